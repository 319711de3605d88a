//! RUN: a container on a snapshot, and the layer of what it changed.
//!
//! - `mounts`, `bind`, `cache`, `secret`, `ssh`, `certs`: what the step has beside its root
//! - `env`: the variables it finds
//! - `output`: what it writes
//! - `launcher`: what starts it

mod bind;
mod cache;
mod certs;
mod env;
mod launcher;
mod mounts;
mod output;
mod secret;
mod ssh;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use ::cache::{Lease, Made, NewLayer, Snapshot, Stub};
use solver::op::{ExecOp, NetworkMode, SecurityMode};
use solver::{Job, LogStream};

use self::mounts::Mounts;
use self::output::Output;
use self::ssh::Relay;
use super::error::OpError;
use super::{Executor, input};
use crate::cdi::Edits;
use crate::container::own_group;
use crate::container::spec::{Network, Process, RootFs, Security};
use crate::container::{Attachments, ContainerError, ContainerSpec, Exit, Launcher, Stdio, Stream};

pub(super) use self::bind::ContextLayers;
pub(super) use self::cache::Renewed;
pub(super) use self::launcher::LazyLauncher;

/// Size of /dev/shm when the op does not say, in bytes.
const SHM_SIZE: u64 = 64 << 20;

/// Runs one RUN. The launcher has the lease too until the container is reaped, so that the step of
/// a build that was killed cannot write on while the next one makes the same.
pub(super) fn run(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    op: &ExecOp,
    lease: &Lease,
) -> Result<Snapshot, OpError> {
    let devices = devices(executor, job, op)?;
    let below = input(job, 0)?;
    let view = executor.store().view(below)?;
    let mut mounts = Mounts::prepare(executor, job, op)?;
    mounts.of_devices(&devices);
    let layer = executor.store().new_layer()?;
    layer.adopt_root(&view)?;
    let lower = executor.store().layer_dirs(&below.layers)?;
    let mut spec = spec(executor, op, lower, &layer, &mounts);
    env::with_devices(&mut spec.process.env, &devices.env);
    spec.process.groups.clone_from(&devices.groups);
    spec.devices.clone_from(&devices.devices);
    let begun = layer.now()?;
    let exit = contain(executor, job, op, &spec, mounts, lease)?;
    let made = Made {
        stubs: exit
            .stubs
            .into_iter()
            .map(|stub| Stub {
                path: stub.path.into_bytes(),
                inode: stub.inode,
            })
            .collect(),
        window: Some((begun, layer.now()?)),
    };
    let layer = layer.commit_scanned(&view, &made)?;
    Ok(super::on_top(below, &layer))
}

/// What the devices of a step change: known before anything ran, or it has none.
fn devices(executor: &Executor, job: &Job<'_, Snapshot>, op: &ExecOp) -> Result<Edits, OpError> {
    match (op.devices.first(), executor.options.devices.get(&job.id)) {
        (None, _) => Ok(Edits::default()),
        (Some(_), Some(edits)) => Ok(edits.clone()),
        (Some(device), None) => Err(OpError::Unsupported {
            what: format!("RUN --device={} without a registry of devices", device.name),
        }),
    }
}

/// The network of a step's container: the host's unless there is to be none.
fn network(mode: NetworkMode) -> Network {
    match mode {
        NetworkMode::Default | NetworkMode::Host => Network::Host,
        NetworkMode::None => Network::None,
    }
}

/// The container of a step.
fn spec(
    executor: &Executor,
    op: &ExecOp,
    lower: Vec<PathBuf>,
    layer: &NewLayer,
    mounts: &Mounts,
) -> ContainerSpec {
    let store = executor.store();
    let certs = executor.options.host_certs.is_some();
    ContainerSpec {
        root: RootFs {
            lower,
            upper: Some(mounts::upper(store.root(), layer)),
            volatile: true,
            readonly: false,
        },
        mounts: mounts.list.clone(),
        process: Process {
            args: op.args.clone(),
            env: env::environment(op, mounts.agent_target.as_deref(), certs),
            cwd: op.cwd.clone(),
            user: op.user.clone(),
            ulimits: op.ulimits.clone(),
            ..Process::default()
        },
        hostname: op.hostname.clone(),
        network: network(op.network),
        security: Security {
            privileged: op.security == SecurityMode::Insecure,
            ..Security::default()
        },
        resources: executor.options.resources.clone(),
        cgroup_parent: op.cgroup_parent.clone(),
        shm_size: op.shm_size.unwrap_or(SHM_SIZE),
        ..ContainerSpec::default()
    }
}

/// Starts the container, passes on what it writes and waits for its end. `mounts` lives as long.
fn contain(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    op: &ExecOp,
    spec: &ContainerSpec,
    mut mounts: Mounts,
    lease: &Lease,
) -> Result<Exit, OpError> {
    let process = || op.args.join(" ");
    let not_started = |cause| OpError::NotStarted {
        process: process(),
        cause,
    };
    let launcher = executor.launcher()?;
    let locks = mounts.caches.values().map(AsFd::as_fd);
    let held = std::iter::once(lease.as_fd()).chain(locks).collect();
    let attachments = Attachments {
        contents: std::mem::take(&mut mounts.contents),
        secret_env: std::mem::take(&mut mounts.secret_env),
        held,
        announce: false,
        ..Attachments::default()
    };
    let mut running = launcher
        .run(spec, attachments, Stdio::Pipes)
        .map_err(not_started)?;
    let mut relays = Vec::new();
    if !mounts.agents.is_empty() {
        let listeners = running.take_listeners().map_err(not_started)?;
        for (listener, agent) in listeners.into_iter().zip(&mounts.agents) {
            let relay = Relay::start(listener, agent.clone());
            relays.push(relay.map_err(|e| OpError::io("relay", b"the SSH agent", e))?);
        }
    }
    let mut output = Output::new(job.id, job.events);
    let exit = running.wait(&|| job.cancel.is_cancelled(), &mut |stream, bytes| {
        let stream = match stream {
            Stream::Out => LogStream::Stdout,
            Stream::Err => LogStream::Stderr,
        };
        output.take(stream, bytes);
    });
    drop(relays);
    if matches!(exit, Err(ContainerError::LauncherEnded)) {
        launcher.bury();
    }
    let tail = output.finish();
    if job.cancel.is_cancelled() {
        return Err(OpError::Cancelled);
    }
    let exit = exit.map_err(not_started)?;
    match exit.status.code() {
        0 => Ok(exit),
        code => Err(OpError::Exit {
            process: process(),
            code,
            tail,
            out_of_memory: exit.oom,
        }),
    }
}

impl Executor {
    fn launcher(&self) -> Result<Arc<Launcher>, OpError> {
        own_group::step_aside(&self.options.resources);
        let mut host_sources: Vec<PathBuf> = match &self.options.host_certs {
            Some(bundle) => vec![certs::source(bundle)?],
            None => Vec::new(),
        };
        for edits in self.options.devices.values() {
            host_sources.extend(edits.host_sources().map(std::path::Path::to_owned));
        }
        self.launcher
            .get(self.store().root().to_owned(), host_sources)
            .map_err(|cause| OpError::NoLauncher { cause })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A RUN of `args` with nothing special about it.
    pub(crate) fn exec_op(args: &[&str]) -> ExecOp {
        ExecOp {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            proxy_env: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            hostname: "box".to_owned(),
            network: NetworkMode::Default,
            security: SecurityMode::Sandbox,
            mounts: Vec::new(),
            scripts: Vec::new(),
            extra_hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
            cgroup_parent: None,
            devices: Vec::new(),
            platform: image::Platform::host(),
        }
    }
}
