//! Limits of control groups, as Docker's documents have them and as the runtime does.

use executor::container::spec::{Most, Resources};

use super::cpuset;
use super::document::HostConfig;
use crate::cli::container::LimitFlags;
use crate::cli::value;
use crate::report::{Class, Failure};

/// The least memory that a container may be limited to.
const LEAST_MEMORY: u64 = 6 << 20;
/// Puts limits into the document of a new container: those that were given. The messages are Docker's.
pub fn apply(flags: &LimitFlags, host: &mut HostConfig) -> Result<(), Failure> {
    check(flags)?;
    if flags.memory_swap.is_some_and(|swap| swap > 0) && flags.memory.unwrap_or(0) == 0 {
        return wrong(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    set(flags, host);
    if host.memory_swap == 0 && host.memory != 0 {
        host.memory_swap = i64::try_from(host.memory.saturating_mul(2)).unwrap_or(i64::MAX);
    }
    host.pids_limit = host.pids_limit.filter(|pids| *pids > 0);
    set_text(&mut host.cgroup_parent, flags.cgroup_parent.as_ref());
    Ok(())
}

/// Changes the limits of a container that has been made, to what [`check`] has seen. What was set in
/// one way is not changed in another.
pub fn change(flags: &LimitFlags, host: &mut HostConfig) -> Result<(), Failure> {
    let given = |number: Option<u64>| number.is_some_and(|number| number > 0);
    let quota = flags.cpu_quota.is_some_and(|quota| quota > 0);
    let conflict = |wanted: &str, has: &str| {
        wrong(&format!(
            "Conflicting options: {wanted} cannot be updated as {has} has already been set"
        ))
    };
    if given(flags.cpus) && host.cpu_period > 0 {
        return conflict("Nano CPUs", "CPU Period");
    }
    if given(flags.cpus) && host.cpu_quota > 0 {
        return conflict("Nano CPUs", "CPU Quota");
    }
    if given(flags.cpu_period) && host.nano_cpus > 0 {
        return conflict("CPU Period", "NanoCPUs");
    }
    if quota && host.nano_cpus > 0 {
        return conflict("CPU Quota", "NanoCPUs");
    }
    let memory = flags.memory.filter(|memory| *memory > 0);
    let memory = memory.and_then(|memory| i64::try_from(memory).ok());
    if memory.is_some_and(|memory| memory > host.memory_swap) && flags.memory_swap.unwrap_or(0) == 0
    {
        return wrong(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        );
    }
    set(flags, host);
    Ok(())
}

/// What is wrong with limits whatever has been set before.
pub fn check(flags: &LimitFlags) -> Result<(), Failure> {
    super::refuse::limits(flags)?;
    let memory = flags.memory.unwrap_or(0);
    if memory != 0 && memory < LEAST_MEMORY {
        return wrong("Minimum memory limit allowed is 6MB");
    }
    if let Some(swap) = flags.memory_swap
        && swap > 0
        && swap.unsigned_abs() < memory
    {
        return wrong("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if let Some(reservation) = flags.memory_reservation
        && memory != 0
        && reservation > memory
    {
        return wrong(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    if flags.cpus.is_some() && flags.cpu_period.is_some() {
        return wrong("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if flags.cpus.is_some() && flags.cpu_quota.is_some() {
        return wrong("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if let Some(cpus) = flags.cpus {
        let all = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        if cpus > all * 1_000_000_000 {
            return wrong(&format!(
                "Range of CPUs is from 0.01 to {all}.00, as there are only {all} CPUs available"
            ));
        }
    }
    if let Some(period) = flags.cpu_period
        && period != 0
        && !(1000..=1_000_000).contains(&period)
    {
        return wrong(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if let Some(quota) = flags.cpu_quota
        && (1..1000).contains(&quota)
    {
        return wrong("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if let Some(wanted) = &flags.cpuset_cpus {
        cpuset::available("CPUs", wanted, "/sys/devices/system/cpu/online")?;
    }
    if let Some(wanted) = &flags.cpuset_mems {
        cpuset::available("memory nodes", wanted, "/sys/devices/system/node/online")?;
    }
    Ok(())
}

/// Sets what was given; nothing at all is as good as not given.
fn set(flags: &LimitFlags, host: &mut HostConfig) {
    let number = |to: &mut u64, value: Option<u64>| *to = value.filter(|n| *n != 0).unwrap_or(*to);
    let signed = |to: &mut i64, value: Option<i64>| *to = value.filter(|n| *n != 0).unwrap_or(*to);
    number(&mut host.memory, flags.memory);
    number(&mut host.memory_reservation, flags.memory_reservation);
    signed(&mut host.memory_swap, flags.memory_swap);
    number(&mut host.nano_cpus, flags.cpus);
    number(&mut host.cpu_period, flags.cpu_period);
    signed(&mut host.cpu_quota, flags.cpu_quota);
    number(&mut host.cpu_shares, flags.cpu_shares);
    set_text(&mut host.cpuset_cpus, flags.cpuset_cpus.as_ref());
    set_text(&mut host.cpuset_mems, flags.cpuset_mems.as_ref());
    // nothing is not given, and less is no limit
    let pids = flags.pids_limit.filter(|pids| *pids != 0);
    host.pids_limit = pids.map(|pids| pids.max(0)).or(host.pids_limit);
}

fn set_text(to: &mut String, value: Option<&String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        to.clone_from(value);
    }
}

fn wrong(message: &str) -> Result<(), Failure> {
    Err(Failure::new(Class::Refused, message))
}

/// The limits as the runtime has them.
pub fn resources(host: &HostConfig) -> Resources {
    let positive = |number: u64| (number > 0).then_some(number);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let most = |number: i64| match u64::try_from(number) {
        Ok(0) => None,
        Ok(number) => Some(Most::Of(number)),
        Err(_) => Some(Most::All),
    };
    let by_share = positive(host.nano_cpus).map(|share| Most::Of(share / 10_000));
    Resources {
        memory: positive(host.memory),
        cpu_quota: by_share.or_else(|| most(host.cpu_quota)),
        cpu_period: positive(host.cpu_period),
        pids: host.pids_limit.map(|pids| match u64::try_from(pids) {
            Ok(pids) if pids > 0 => Most::Of(pids),
            _ => Most::All,
        }),
        swap: most(host.memory_swap)
            .filter(|_| host.memory > 0)
            .map(|all| match all {
                Most::All => Most::All,
                Most::Of(all) => Most::Of(all.saturating_sub(host.memory)),
            }),
        memory_reservation: positive(host.memory_reservation),
        cpu_shares: positive(host.cpu_shares),
        cpuset_cpus: text(&host.cpuset_cpus),
        cpuset_mems: text(&host.cpuset_mems),
    }
}

/// Reads a build's `--resource`: each `NAME=VALUE`.
pub fn of_build(texts: &[String]) -> Result<Resources, Failure> {
    let mut flags = LimitFlags::default();
    for text in texts {
        let invalid = |why: &str| {
            let message = format!("invalid argument \"{text}\" for \"--resource\" flag: {why}");
            Failure::new(Class::Yours, message)
        };
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| invalid("must be name=value"))?;
        let size = || value::size(value).map_err(|why| invalid(&why));
        let number = || {
            let number: Result<u64, _> = value.parse();
            number.map_err(|_| invalid("not a number"))
        };
        match name {
            "memory" => flags.memory = Some(size()?),
            "memory-swap" => {
                let all = value::size_or_all(value).map_err(|why| invalid(&why))?;
                flags.memory_swap = Some(all);
            }
            "cpu-shares" => flags.cpu_shares = Some(number()?),
            "cpu-period" => flags.cpu_period = Some(number()?),
            "cpu-quota" => {
                let quota = i64::try_from(number()?);
                flags.cpu_quota = Some(quota.map_err(|_| invalid("not a number"))?);
            }
            "cpuset-cpus" => flags.cpuset_cpus = Some(value.to_owned()),
            "cpuset-mems" => flags.cpuset_mems = Some(value.to_owned()),
            _ => return Err(invalid(&format!("unknown resource {name}"))),
        }
    }
    let mut host = HostConfig::default();
    apply(&flags, &mut host).map_err(|failure| Failure {
        class: Class::Yours,
        ..failure
    })?;
    Ok(resources(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_names_its_limits() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let given = texts(&["memory=64m", "cpu-quota=50000", "cpuset-cpus=0,1"]);
        let resources = of_build(&given).unwrap();
        assert_eq!(resources.memory, Some(64 << 20));
        assert_eq!(resources.cpu_quota, Some(Most::Of(50_000)));
        assert_eq!(resources.cpuset_cpus.as_deref(), Some("0,1"));
        for wrong in [
            "memory",
            "memory=much",
            "disk=1",
            "memory=1",
            "cpu-quota=-1",
            "cpu-quota=9223372036854775808",
        ] {
            assert!(of_build(&texts(&[wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_checked_and_translated() {
        let mut host = HostConfig::default();
        let flags = LimitFlags {
            memory: Some(64 << 20),
            cpus: Some(500_000_000),
            pids_limit: Some(-1),
            ..LimitFlags::default()
        };
        apply(&flags, &mut host).unwrap();
        assert_eq!(host.memory_swap, 128 << 20);
        let resources = resources(&host);
        assert_eq!(resources.memory, Some(64 << 20));
        assert_eq!(resources.swap, Some(Most::Of(64 << 20)));
        let half = Some(Most::Of(50_000));
        assert_eq!((resources.cpu_quota, resources.pids), (half, None));
        for wrong in [
            LimitFlags {
                memory: Some(1),
                ..LimitFlags::default()
            },
            LimitFlags {
                memory_swap: Some(1),
                ..LimitFlags::default()
            },
            LimitFlags {
                cpus: Some(u64::MAX),
                ..LimitFlags::default()
            },
            LimitFlags {
                cpuset_cpus: Some("0,9999".to_owned()),
                ..LimitFlags::default()
            },
            LimitFlags {
                oom_kill_disable: true,
                ..LimitFlags::default()
            },
        ] {
            assert!(apply(&wrong, &mut host).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn limits_are_changed_as_they_were_set() {
        let mut host = HostConfig {
            memory: 32 << 20,
            memory_swap: 64 << 20,
            nano_cpus: 500_000_000,
            pids_limit: Some(9),
            ..HostConfig::default()
        };
        let none = LimitFlags::default;
        let (quota, period) = (Some(30_000), Some(50_000));
        #[rustfmt::skip]
        let refused = [
            (LimitFlags { memory: Some(128 << 20), ..none() }, "already set memoryswap"),
            (LimitFlags { cpu_quota: quota, ..none() }, "CPU Quota cannot be updated as NanoCPUs"),
            (LimitFlags { cpu_period: period, ..none() }, "CPU Period cannot be updated as NanoCPUs"),
        ];
        for (flags, why) in refused {
            let before = host.clone();
            let error = change(&flags, &mut host).unwrap_err();
            assert!(error.title.contains(why), "{}", error.title);
            assert_eq!(host, before);
        }
        let flags = LimitFlags {
            memory: Some(48 << 20),
            pids_limit: Some(-1),
            ..none()
        };
        change(&flags, &mut host).unwrap();
        let now = resources(&host);
        assert_eq!(now.swap, Some(Most::Of(16 << 20)), "what is left of both");
        assert_eq!(now.pids, Some(Most::All));
        let flags = LimitFlags {
            memory_swap: Some(-1),
            ..none()
        };
        change(&flags, &mut host).unwrap();
        assert_eq!(resources(&host).swap, Some(Most::All));
        let nothing = LimitFlags {
            memory: Some(0),
            ..none()
        };
        let before = host.clone();
        change(&nothing, &mut host).unwrap();
        assert_eq!(host, before, "what is nothing was not given");

        host.nano_cpus = 0;
        let flags = LimitFlags {
            cpu_quota: quota,
            cpu_period: period,
            ..none()
        };
        change(&flags, &mut host).unwrap();
        let now = resources(&host);
        assert_eq!(
            (now.cpu_quota, now.cpu_period),
            (Some(Most::Of(30_000)), period)
        );
        for (has, flags) in [("CPU Period", 50_000), ("CPU Quota", 0)] {
            host.cpu_period = flags;
            let flags = LimitFlags {
                cpus: Some(1_000_000_000),
                ..none()
            };
            let error = change(&flags, &mut host).unwrap_err();
            assert!(error.title.contains(has), "{}", error.title);
        }
    }
}
