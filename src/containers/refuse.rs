//! Flags that are docker's and not done: each is refused by its name.

use super::ENGINE;
use crate::cli::container::{Flags, LimitFlags};
use crate::report::Failure;

/// Refuses flags of `run` and `create` that would be ignored otherwise.
pub fn flags(flags: &Flags) -> Result<(), Failure> {
    let (files, network, security) = (&flags.files, &flags.network, &flags.security);
    let other = |given: &Option<String>, done: &[&str]| {
        given.as_deref().is_some_and(|value| !done.contains(&value))
    };
    refuse(&[
        (!files.storage_options.is_empty(), "--storage-opt"),
        (files.gpus.is_some(), "--gpus"),
        (
            other(&files.volume_driver, &["local", ""]),
            "--volume-driver other than local",
        ),
        (!network.link.is_empty(), "--link"),
        (!network.link_local_ip.is_empty(), "--link-local-ip"),
        (network.ip6.is_some(), "--ip6"),
        (!security.device_rules.is_empty(), "--device-cgroup-rule"),
        (other(&security.isolation, &["default", ""]), "--isolation"),
        (
            other(&security.userns, &["host", ""]),
            "--userns other than host",
        ),
        (security.ipc.as_deref() == Some("none"), "--ipc none"),
        (other(&security.uts, &["host", ""]), "--uts other than host"),
        (
            flags.whole.disable_content_trust == Some(false),
            "--disable-content-trust=false",
        ),
        (
            other(&flags.whole.log_driver, &["json-file", "local", "none"]),
            "--log-driver other than json-file, local and none",
        ),
    ])?;
    limits(&flags.limits)
}

/// Refuses limits that would be ignored otherwise.
pub fn limits(flags: &LimitFlags) -> Result<(), Failure> {
    refuse(&[
        (
            flags.memory_swappiness.is_some_and(|value| value != -1),
            "--memory-swappiness",
        ),
        (flags.kernel_memory.is_some(), "--kernel-memory"),
        (flags.cpu_rt_period.is_some(), "--cpu-rt-period"),
        (flags.cpu_rt_runtime.is_some(), "--cpu-rt-runtime"),
        (
            flags.blkio_weight.is_some_and(|value| value != 0),
            "--blkio-weight",
        ),
        (
            !flags.blkio_weight_device.is_empty(),
            "--blkio-weight-device",
        ),
        (!flags.device_read_bps.is_empty(), "--device-read-bps"),
        (!flags.device_read_iops.is_empty(), "--device-read-iops"),
        (!flags.device_write_bps.is_empty(), "--device-write-bps"),
        (!flags.device_write_iops.is_empty(), "--device-write-iops"),
        (flags.oom_kill_disable, "--oom-kill-disable"),
    ])
}

fn refuse(flags: &[(bool, &str)]) -> Result<(), Failure> {
    match flags.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, name)) => Err(Failure::new(ENGINE, format!("{name} is not done"))
            .help("leave it out; docs/runtime.md lists what differs from docker")),
    }
}
