//! The mounts of a step: what the op asks for, as what the container takes.
//!
//! What must outlive the container (directories for changes that are thrown away, locks) is held
//! by [`Mounts`], which goes when the step is over.

use std::path::{Path, PathBuf};

use ::cache::{NewLayer, Snapshot};
use solver::Job;
use solver::op::{ExecMount, ExecOp, MountKind};

use super::{bind, cache, certs};
use crate::cdi::Edits;
use crate::container::hosts;
use crate::container::spec::{Mount, MountSource, Propagation, Upper};
use crate::ops::Executor;
use crate::ops::error::OpError;

/// Mounts with all that goes with them.
#[derive(Default)]
pub struct Mounts {
    /// The files of the network, then what was asked for, sorted by target, so that a parent is
    /// made before what is below it.
    pub list: Vec<Mount>,
    /// Bytes of the `Content` mounts, by index.
    pub contents: Vec<Vec<u8>>,
    /// Secret variables.
    pub secret_env: Vec<(String, String)>,
    /// Agents behind the `Socket` mounts, by index.
    pub agents: Vec<PathBuf>,
    /// Target of the first agent asked for, whether it was given or not.
    pub agent_target: Option<String>,
    /// Cache mounts in use.
    pub caches: cache::Taken,
    /// Directories for changes that nobody keeps.
    pub thrown_away: Vec<NewLayer>,
}

impl Mounts {
    /// Prepares the mounts of a step.
    pub fn prepare(
        executor: &Executor,
        job: &Job<'_, Snapshot>,
        op: &ExecOp,
    ) -> Result<Self, OpError> {
        let mut mounts = Self {
            caches: cache::take(executor, job, op)?,
            ..Self::default()
        };
        mounts.network_files(op)?;
        for script in &op.scripts {
            let target = format!("/dev/pipes/{}", script.name);
            let source = mounts.content(script.data.clone().into_bytes(), 0, 0, 0o755);
            mounts.add(&target, source, true, true, false);
        }
        if let Some(bundle) = &executor.options.host_certs {
            mounts.list.push(certs::mount(certs::source(bundle)?));
        }
        let (mut selection, own) = (0, mounts.list.len());
        for mount in &op.mounts {
            mounts.asked(executor, job, mount, &mut selection)?;
        }
        // Stable: of two mounts at one target the later one is seen. What was asked for hides the
        // files of the network too: a tmpfs on /etc is empty.
        mounts.list[own..].sort_by(|a, b| components(&a.target).cmp(components(&b.target)));
        Ok(mounts)
    }

    /// `/etc/hosts` and `/etc/resolv.conf`.
    fn network_files(&mut self, op: &ExecOp) -> Result<(), OpError> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let hosts = hosts::hosts(&op.hostname, &op.extra_hosts, super::network(op.network))?;
        let resolv_conf = hosts::resolv_conf(super::network(op.network), read);
        for (target, text) in [("/etc/hosts", hosts), ("/etc/resolv.conf", resolv_conf)] {
            let source = self.content(text.into_bytes(), 0, 0, 0o644);
            self.add(target, source, true, true, true);
        }
        Ok(())
    }

    /// One `RUN --mount`. `selection` counts those that select from an input.
    fn asked(
        &mut self,
        executor: &Executor,
        job: &Job<'_, Snapshot>,
        mount: &ExecMount,
        selection: &mut usize,
    ) -> Result<(), OpError> {
        let target = mount.target.as_str();
        match &mount.kind {
            MountKind::Bind { input, source } => {
                let digest = job.selections.get(*selection);
                *selection += 1;
                let (lower, path) = bind::layers(executor, job, *input, source, digest)?;
                let upper = if mount.readonly {
                    None
                } else {
                    Some(self.throw_away(executor)?)
                };
                let source = MountSource::Layers { lower, upper, path };
                self.add(target, source, mount.readonly, false, false);
            }
            kind @ MountKind::Cache { from, .. } => {
                let seed = from.and_then(|_| job.selections.get(*selection));
                *selection += usize::from(from.is_some());
                let instance = cache::identity(kind, seed).and_then(|id| self.caches.get(&id));
                if let Some(instance) = instance {
                    let path = cache::relative(executor.store().root(), instance);
                    let source = MountSource::Store(path);
                    self.add(target, source, mount.readonly, false, false);
                }
            }
            MountKind::Tmpfs { size } => {
                let source = MountSource::Tmpfs {
                    size: *size,
                    mode: Some(0o1777),
                    uid: 0,
                    gid: 0,
                };
                self.add(target, source, mount.readonly, true, false);
            }
            MountKind::Secret {
                id,
                env,
                file,
                required,
                uid,
                gid,
                mode,
            } => {
                let value = executor.secret(id, *required)?;
                if let Some(name) = env {
                    let value = value.clone().unwrap_or_default();
                    let value = String::from_utf8(value).ok().filter(|v| !v.contains('\0'));
                    let value = value.ok_or_else(|| OpError::SecretNotText { id: id.clone() })?;
                    self.secret_env.push((name.clone(), value));
                }
                if let (true, Some(value)) = (*file, value) {
                    let source = self.content(value, *uid, *gid, *mode);
                    self.add(target, source, true, true, mode & 0o111 == 0);
                }
            }
            MountKind::Ssh {
                id,
                required,
                uid,
                gid,
                mode,
            } => {
                self.agent_target.get_or_insert_with(|| target.to_owned());
                let Some(agent) = executor.options.ssh_agents.get(id) else {
                    return if *required {
                        Err(OpError::NoSshAgent { id: id.clone() })
                    } else {
                        Ok(())
                    };
                };
                let source = MountSource::Socket {
                    index: self.agents.len(),
                    uid: *uid,
                    gid: *gid,
                    mode: *mode,
                };
                self.agents.push(agent.clone());
                self.add(target, source, false, true, true);
            }
        }
        Ok(())
    }

    /// The mounts that devices bring, each in the place of what was there.
    pub fn of_devices(&mut self, devices: &Edits) {
        for mount in &devices.mounts {
            self.list.retain(|known| known.target != mount.target);
            let below = components(&mount.target).collect::<Vec<_>>();
            let sorted = |known: &Mount| components(&known.target).le(below.iter().copied());
            let at = self.list.iter().rposition(sorted).map_or(0, |at| at + 1);
            self.list.insert(at, mount.clone());
        }
    }

    fn add(
        &mut self,
        target: &str,
        source: MountSource,
        readonly: bool,
        nosuid: bool,
        noexec: bool,
    ) {
        self.list.push(Mount {
            target: target.to_owned(),
            source,
            readonly,
            nosuid,
            noexec,
            propagation: Propagation::Private,
        });
    }

    fn content(&mut self, bytes: Vec<u8>, uid: u32, gid: u32, mode: u32) -> MountSource {
        self.contents.push(bytes);
        MountSource::Content {
            index: self.contents.len() - 1,
            uid,
            gid,
            mode,
        }
    }

    fn throw_away(&mut self, executor: &Executor) -> Result<Upper, OpError> {
        let layer = executor.store().new_layer()?;
        let upper = upper(executor.store().root(), &layer);
        self.thrown_away.push(layer);
        Ok(upper)
    }
}

/// The directories of a new layer as an overlay's, relative to the store.
pub fn upper(root: &Path, layer: &NewLayer) -> Upper {
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
    Upper {
        fs: relative(&layer.fs),
        work: relative(&layer.work),
    }
}

fn components(target: &str) -> impl Iterator<Item = &str> {
    target.split('/').filter(|name| !name.is_empty())
}
