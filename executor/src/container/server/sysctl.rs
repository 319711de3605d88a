//! Kernel parameters of a container's own namespaces (`--sysctl`). Those of the machine are refused.

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::container::error::ContainerError;
use crate::container::spec::{ContainerSpec, Namespace, Network};

/// Parameters of the ipc namespace; see ipc_namespaces(7).
const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// The namespace that a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysctlNamespace {
    /// See network_namespaces(7).
    Network,
    /// See ipc_namespaces(7).
    Ipc,
    /// See uts_namespaces(7).
    Uts,
}

impl SysctlNamespace {
    /// That of the parameter `name`, such as `net.ipv4.ip_forward`; none of one of the machine's.
    pub fn of(name: &str) -> Option<Self> {
        if name.starts_with("net.") {
            Some(Self::Network)
        } else if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
            Some(Self::Ipc)
        } else {
            (name == "kernel.domainname").then_some(Self::Uts)
        }
    }
}

/// Sets the parameters of `spec`, in a process that is in the container's namespaces and has the
/// launcher's root.
pub(super) fn set(spec: &ContainerSpec) -> Result<(), ContainerError> {
    if spec.sysctls.is_empty() {
        return Ok(());
    }
    let failed = ContainerError::prepare("/proc/sys");
    // the launcher's own /proc is writable, and nobody has mounted on it
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/proc/sys", flags, Mode::empty()).map_err(failed)?;
    for (name, value) in &spec.sysctls {
        check(name, spec)?;
        let failed = ContainerError::prepare(&format!("sysctl {name}"));
        let file = rustix::fs::openat2(
            &root,
            name.replace('.', "/"),
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        );
        rustix::io::write(file.map_err(&failed)?, value.as_bytes()).map_err(&failed)?;
    }
    Ok(())
}

/// Whether `name` is a parameter of one of the container's own namespaces.
fn check(name: &str, spec: &ContainerSpec) -> Result<(), ContainerError> {
    let invalid = |why: String| Err(ContainerError::Invalid { why });
    let (is_own, whose) = match SysctlNamespace::of(name) {
        Some(SysctlNamespace::Network) => (spec.network != Network::Host, "network"),
        Some(SysctlNamespace::Ipc) => (spec.namespaces.ipc != Namespace::Host, "ipc"),
        Some(SysctlNamespace::Uts) => (spec.namespaces.uts == Namespace::Own, "uts"),
        None => {
            return invalid(format!(
                "sysctl {name} is not in a separate kernel namespace"
            ));
        }
    };
    if is_own {
        return Ok(());
    }
    invalid(format!(
        "sysctl {name} would change the host: the container has no {whose} namespace of its own"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_own_namespaces_are_set() {
        let mut spec = ContainerSpec::default();
        for (name, good) in [
            ("net.ipv4.ip_forward", true),
            ("kernel.shmmax", true),
            ("fs.mqueue.msg_max", true),
            ("kernel.domainname", true),
            ("kernel.panic", false),
            ("vm.swappiness", false),
            ("network.x", false),
        ] {
            assert_eq!(check(name, &spec).is_ok(), good, "{name}");
        }
        spec.network = Network::Host;
        spec.namespaces.ipc = Namespace::Host;
        assert!(check("net.ipv4.ip_forward", &spec).is_err());
        assert!(check("kernel.shmmax", &spec).is_err());
    }
}
