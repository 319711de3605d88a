//! The namespaces that a container is in: its own, the host's, or those of another container that runs.
//! Makes none.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use cache::Store;
use executor::container::spec::{Namespace, Namespaces};
use executor::monitor::Kind;

use super::document::Document;
use super::find;
use crate::report::{Class, Failure};

/// The namespaces of a container; those of others that it joins are added to `joined`.
pub fn namespaces(
    store: &Store,
    document: &Document,
    joined: &mut Joined,
) -> Result<Namespaces, Failure> {
    let host = &document.host_config;
    let mut of = |mode: &str, kind: Kind| {
        if mode == "host" {
            return Ok(Namespace::Host);
        }
        match mode.strip_prefix("container:") {
            None => Ok(Namespace::Own),
            Some(id) => {
                joined.push(store, id, kind)?;
                Ok::<_, Failure>(Namespace::Given(joined.fds.len() - 1))
            }
        }
    };
    Ok(Namespaces {
        pid: of(&host.pid_mode, Kind::Pid)?,
        ipc: of(&host.ipc_mode, Kind::Ipc)?,
        uts: of(&host.uts_mode, Kind::Uts)?,
        cgroup: of(&host.cgroupns_mode, Kind::Cgroup)?,
    })
}

/// Namespaces of other containers, and where they are found while those run.
#[derive(Default)]
pub struct Joined {
    /// To be handed on.
    pub fds: Vec<OwnedFd>,
    /// In `/proc`.
    pub paths: Vec<PathBuf>,
}

impl Joined {
    /// Adds one of a container that runs.
    pub fn push(&mut self, store: &Store, id: &str, kind: Kind) -> Result<(), Failure> {
        self.fds.push(namespace(store, id, kind)?);
        let pid = find::status(store, &find::row(store, id)?)?.pid;
        let name = match kind {
            Kind::Network => "net",
            Kind::Pid => "pid",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Cgroup => "cgroup",
            Kind::Mount => "mnt",
        };
        self.paths.push(format!("/proc/{pid}/ns/{name}").into());
        Ok(())
    }
}

/// A namespace of a container that runs.
fn namespace(store: &Store, id: &str, kind: Kind) -> Result<OwnedFd, Failure> {
    let row = find::row(store, id)?;
    let mut control = find::control(store, &row)?.ok_or_else(|| {
        Failure::new(
            Class::Refused,
            format!(
                "cannot join {} of a non running container: {}",
                match kind {
                    Kind::Network => "network",
                    Kind::Pid => "PID",
                    Kind::Ipc => "IPC",
                    _ => "namespaces",
                },
                row.name
            ),
        )
    })?;
    control
        .namespace(kind)
        .map_err(|error| find::monitor_failure(&error))
}
