//! Limits by control groups of version 2, where those can be had; else they are refused, never
//! ignored. Version 1 is not written. Knows no process.

use std::os::fd::OwnedFd;

use super::error::ContainerError;
use super::plan::Machine;
use super::spec::ContainerSpec;

/// A control group for one container; removed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    directory: OwnedFd,
}

impl Group {
    /// For clone3.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Whether the kernel killed a process in it for want of memory.
    pub(crate) fn ran_out(&self) -> bool {
        false
    }
}

/// The group of a container whose spec asks for one.
pub(crate) fn make(
    spec: &ContainerSpec,
    machine: &Machine,
) -> Result<Option<Group>, ContainerError> {
    let _ = machine;
    let resources = &spec.resources;
    let asked = [
        ("memory", resources.memory.is_some()),
        ("processor time", resources.milli_cpus.is_some()),
        ("the number of processes", resources.pids.is_some()),
        ("the parent control group", spec.cgroup_parent.is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(None),
        Some((what, _)) => Err(ContainerError::Resources {
            what: (*what).to_owned(),
            why: "this build of rbuild writes no control groups yet".to_owned(),
        }),
    }
}
