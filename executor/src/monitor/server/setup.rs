//! From an opening to a monitor that is ready to start its container: lock, network, root, socket.
//! Knows no loop.

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::checks::Checks;
use super::link::Link;
use super::log::Log;
use super::policy::Policy;
use super::serve::{Monitor, Role};
use crate::container::ContainerError;
use crate::container::plan::HOST_SHM;
use crate::container::server::root::{self, Launch};
use crate::container::server::start::Filters;
use crate::container::spec::{Namespace, Network};
use crate::container::wire::Setup;
use crate::monitor::control::SOCKET;
use crate::monitor::error::MonitorError;
use crate::monitor::life::Life;
use crate::monitor::lock::Lock;
use crate::monitor::protocol::Opening;
use crate::monitor::status::{State, Status};
use crate::network::{self, Place, Plan, Up};

/// Docker's code of a container that could not be started.
const UNSTARTED: i32 = 128;

/// The way back to where the monitor came from, for what is to be done when all is over.
pub(super) struct Outside {
    mounts: Option<OwnedFd>,
    arguments: Option<Vec<OsString>>,
}

impl Outside {
    /// Keeps it, if there is something to be done. Called in the namespaces it leads to.
    pub(super) fn keep(life: &Life) -> Result<Self, MonitorError> {
        let arguments = life.afterwards.clone();
        if arguments.is_none() && life.runtime.is_none() && life.hooks.is_empty() {
            return Ok(Self {
                mounts: None,
                arguments,
            });
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mounts = rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty())
            .map_err(MonitorError::refused("the mount namespace"))?;
        Ok(Self {
            mounts: Some(mounts),
            arguments,
        })
    }

    /// The host's mount namespace, for another runtime and for hooks.
    pub(super) fn mounts(&self) -> Option<OwnedFd> {
        self.mounts.as_ref()?.try_clone().ok()
    }

    /// Becomes this program with the arguments kept; comes back when there are none, or it cannot.
    pub(super) fn execute(self) {
        let (Some(mounts), Some(arguments)) = (self.mounts, self.arguments) else {
            return;
        };
        let arguments = std::iter::once(OsString::from("rbuild")).chain(arguments);
        let arguments: Result<Vec<CString>, _> = arguments
            .map(|argument| CString::new(argument.as_bytes()))
            .collect();
        // what is left undone is found by whoever looks at the container next
        if let Ok(arguments) = arguments
            && move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&mounts),
                Some(LinkNameSpaceType::Mount),
            )
            .is_ok()
        {
            let nothing: [CString; 0] = [];
            let _ = nix::unistd::execve(c"/proc/self/exe", &arguments, &nothing);
        }
    }
}

/// Makes a monitor.
pub(super) fn monitor(
    socket: UnixStream,
    opening: Opening,
    joined: Vec<OwnedFd>,
) -> Result<Monitor, MonitorError> {
    let life = opening.life;
    let folder = life.store_root.join(&life.folder);
    let lock = Lock::take(&folder)
        .map_err(MonitorError::refused("the container's lock"))?
        .ok_or(MonitorError::Running)?;
    let before = Status::read(&folder).unwrap_or_default();
    let plan = life.network.clone();
    let at = Place {
        store: life.store_root.clone(),
        folder: folder.clone(),
    };
    let mut made = prepare(life, joined)
        .and_then(|prepared| finish(prepared, lock))
        .inspect_err(|error| {
            network::clear(&plan, &at);
            tell(&folder, &before, error);
        })?;
    let mut link = Link::new(socket).map_err(MonitorError::refused("a connection"))?;
    link.role = Role::Starter {
        attached: opening.attach,
    };
    made.size = opening.size;
    made.before = before;
    made.add(link);
    Ok(made)
}

/// Notes in the status that a container could not be started.
fn tell(folder: &Path, before: &Status, error: &MonitorError) {
    let status = unstarted(before, error);
    // whoever asked is told anyhow
    let _ = status.write(folder);
}

/// What is known of a container that could not be started.
pub(super) fn unstarted(before: &Status, error: &MonitorError) -> Status {
    Status {
        state: if before.started_at.is_some() {
            State::Exited
        } else {
            State::Created
        },
        pid: 0,
        exit_code: error.exit_status().unwrap_or(UNSTARTED),
        error: error.to_string(),
        ..before.clone()
    }
}

struct Prepared {
    life: Life,
    joined: Vec<OwnedFd>,
    host_proc: OwnedFd,
    network: Option<Up>,
    launch: Launch,
}

/// Does what needs the old root, and changes it.
fn prepare(mut life: Life, mut joined: Vec<OwnedFd>) -> Result<Prepared, MonitorError> {
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host_proc = rustix::fs::open("/proc", place, Mode::empty())
        .map_err(MonitorError::refused("the host's /proc"))?;
    let network = network(&mut life, &mut joined)?;
    let root = crate::namespace::is_initial() && crate::namespace::is_admin();
    let mut host_sources = life.host_sources.clone();
    if life.spec.namespaces.ipc == Namespace::Host {
        host_sources.push(HOST_SHM.into());
    }
    let launch = root::enter(&Setup {
        store_root: life.store_root.clone(),
        host_sources,
        name: life.id.clone(),
        root,
        own_pids: life.spec.namespaces.pid == Namespace::Own,
    })?;
    Ok(Prepared {
        life,
        joined,
        host_proc,
        network,
        launch,
    })
}

/// Sets up the container's network, and says in its spec which that is.
fn network(life: &mut Life, joined: &mut Vec<OwnedFd>) -> Result<Option<Up>, MonitorError> {
    match life.network {
        Plan::Host => {
            life.spec.network = Network::Host;
            return Ok(None);
        }
        Plan::None => {
            life.spec.network = Network::None;
            return Ok(None);
        }
        Plan::Of { .. } => {
            if !matches!(life.spec.network, Network::Given(_)) {
                return Err(ContainerError::Invalid {
                    why: "the network of another container was not sent".to_owned(),
                }
                .into());
            }
            return Ok(None);
        }
        Plan::Bridge(_) | Plan::Pasta(_) => {}
    }
    let namespace = network::new_namespace()?;
    let place = Place {
        store: life.store_root.clone(),
        folder: life.store_root.join(&life.folder),
    };
    let up = network::set_up(&life.network, Some(namespace), &place)?;
    if let Some(namespace) = up.namespace() {
        let namespace = namespace
            .try_clone_to_owned()
            .map_err(MonitorError::refused("a network namespace"))?;
        life.spec.network = Network::Given(joined.len());
        joined.push(namespace);
    }
    up.settings()
        .write(&place.folder)
        .map_err(MonitorError::refused("the network's settings"))?;
    Ok(Some(up))
}

/// Makes the monitor, in its new root.
fn finish(prepared: Prepared, lock: Lock) -> Result<Monitor, MonitorError> {
    let life = prepared.life;
    let folder = Path::new("/store").join(&life.folder);
    let listener = listen(&folder)?;
    let log = Log::new(folder.join("log"), life.log);
    let checks = life.health.clone().map(Checks::new);
    let mut network = prepared.network;
    if let Some(network) = &mut network {
        network.moved(Place {
            store: PathBuf::from("/store"),
            folder: folder.clone(),
        });
    }
    Ok(Monitor {
        joined: prepared.joined,
        host_proc: prepared.host_proc,
        host_mounts: None,
        network,
        launch: prepared.launch,
        filters: Filters::new(),
        _lock: lock,
        folder,
        listener,
        links: Vec::new(),
        next: 0,
        status: Status::default(),
        before: Status::default(),
        running: None,
        log,
        execs: Vec::new(),
        checks,
        stopping: None,
        again: None,
        policy: Policy::default(),
        size: None,
        taken_over: false,
        trim: None,
        over: None,
        unwanted: None,
        life,
    })
}

/// Listens in the container's folder, whose path may be longer than a socket's.
fn listen(folder: &Path) -> Result<UnixListener, MonitorError> {
    let failed = MonitorError::refused("the control socket");
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(folder, place, Mode::empty())
        .map_err(MonitorError::refused("the container's folder"))?;
    // that of a monitor that was killed: nobody else can be here, since the lock is ours
    let _ = rustix::fs::unlinkat(&directory, SOCKET, rustix::fs::AtFlags::empty());
    let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    let listener = UnixListener::bind(path).map_err(&failed)?;
    listener.set_nonblocking(true).map_err(&failed)?;
    Ok(listener)
}
