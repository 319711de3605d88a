//! Limits, as Docker's documents have them and as the runtime does.

use executor::container::spec::Resources;

use super::ENGINE;
use super::document::{HostConfig, Ulimit};
use crate::cli::container::LimitFlags;
use crate::cli::value;
use crate::report::{Class, Failure};

/// The least memory that a container may be limited to.
const LEAST_MEMORY: u64 = 6 << 20;
/// Microseconds of a period when none is given.
const PERIOD: u64 = 100_000;
/// Names of limits of processes; see getrlimit(2).
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Puts limits into a document: those that were given. The messages are Docker's.
pub fn apply(flags: &LimitFlags, host: &mut HostConfig) -> Result<(), Failure> {
    super::refuse::limits(flags)?;
    let wrong = |message: &str| Err(Failure::new(Class::Refused, message));
    if let Some(memory) = flags.memory {
        if memory != 0 && memory < LEAST_MEMORY {
            return wrong("Minimum memory limit allowed is 6MB");
        }
        host.memory = memory;
        if flags.memory_swap.is_none() && memory != 0 {
            host.memory_swap = i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX);
        }
    }
    if let Some(swap) = flags.memory_swap {
        if swap > 0 && host.memory == 0 {
            return wrong(
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            );
        }
        if swap > 0 && swap.unsigned_abs() < host.memory {
            return wrong("Minimum memoryswap limit should be larger than memory limit, see usage");
        }
        host.memory_swap = swap;
    }
    if let Some(reservation) = flags.memory_reservation {
        if host.memory != 0 && reservation > host.memory {
            return wrong(
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            );
        }
        host.memory_reservation = reservation;
    }
    if flags.cpus.is_some() && (flags.cpu_period.is_some() || flags.cpu_quota.is_some()) {
        return wrong("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if let Some(cpus) = flags.cpus {
        let all = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        if cpus > all * 1_000_000_000 {
            return Err(Failure::new(
                Class::Refused,
                format!(
                    "Range of CPUs is from 0.01 to {all}.00, as there are only {all} CPUs available"
                ),
            ));
        }
        host.nano_cpus = cpus;
        (host.cpu_period, host.cpu_quota) = (0, 0);
    }
    if let Some(period) = flags.cpu_period {
        if period != 0 && !(1000..=1_000_000).contains(&period) {
            return wrong(
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            );
        }
        host.cpu_period = period;
        host.nano_cpus = 0;
    }
    if let Some(quota) = flags.cpu_quota {
        if (1..1000).contains(&quota) {
            return wrong("CPU cfs quota can not be less than 1ms (i.e. 1000)");
        }
        host.cpu_quota = quota;
        host.nano_cpus = 0;
    }
    let set = |to: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            to.clone_from(value);
        }
    };
    if let Some(wanted) = &flags.cpuset_cpus {
        available("CPUs", wanted, "/sys/devices/system/cpu/online")?;
    }
    if let Some(wanted) = &flags.cpuset_mems {
        available("memory nodes", wanted, "/sys/devices/system/node/online")?;
    }
    set(&mut host.cpuset_cpus, &flags.cpuset_cpus);
    set(&mut host.cpuset_mems, &flags.cpuset_mems);
    set(&mut host.cgroup_parent, &flags.cgroup_parent);
    host.cpu_shares = flags.cpu_shares.unwrap_or(host.cpu_shares);
    host.pids_limit = flags.pids_limit.or(host.pids_limit);
    Ok(())
}

/// Whether this machine has all that a list such as `0-2,5` names, by what the kernel says in `file`.
fn available(what: &str, wanted: &str, file: &str) -> Result<(), Failure> {
    let refused = |message: String| Failure::new(Class::Refused, message);
    let numbers =
        list(wanted).ok_or_else(|| refused(format!("Invalid value {wanted} for cpuset {what}")))?;
    let Ok(online) = std::fs::read_to_string(file) else {
        // A kernel that does not say what it has knows best what it takes.
        return Ok(());
    };
    let online = online.trim();
    let has = list(online).unwrap_or_default();
    if numbers.iter().all(|number| has.contains(number)) {
        return Ok(());
    }
    Err(refused(format!(
        "Requested {what} are not available - requested {wanted}, available: {online}"
    )))
}

/// The numbers of a list such as `0-2,5`; none if it is no list.
fn list(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 8192;
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// The limits as the runtime has them.
pub fn resources(host: &HostConfig) -> Resources {
    let positive = |number: u64| (number > 0).then_some(number);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let period = positive(host.cpu_period).unwrap_or(PERIOD);
    let by_quota = u64::try_from(host.cpu_quota).ok().and_then(positive);
    Resources {
        memory: positive(host.memory),
        milli_cpus: positive(host.nano_cpus / 1_000_000)
            .or_else(|| by_quota.map(|quota| quota * 1000 / period)),
        pids: host
            .pids_limit
            .and_then(|pids| u64::try_from(pids).ok())
            .and_then(positive),
        swap: u64::try_from(host.memory_swap)
            .ok()
            .filter(|swap| *swap > 0 && host.memory > 0)
            .map(|swap| swap.saturating_sub(host.memory)),
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

/// Reads `--ulimit`: `name=soft[:hard]`.
pub fn ulimits(texts: &[String]) -> Result<Vec<Ulimit>, Failure> {
    texts.iter().map(|text| ulimit(text)).collect()
}

fn ulimit(text: &str) -> Result<Ulimit, Failure> {
    let wrong = |message: String| Failure::new(ENGINE, message);
    let invalid = || wrong(format!("invalid ulimit argument: {text}"));
    let (name, values) = text.split_once('=').ok_or_else(invalid)?;
    if !ULIMITS.contains(&name) {
        return Err(wrong(format!("invalid ulimit type: {name}")));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| match text {
        "unlimited" => Ok(-1),
        text => text
            .parse::<i64>()
            .ok()
            .filter(|n| *n >= -1)
            .ok_or_else(invalid),
    };
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(wrong(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        hard,
        soft,
    })
}

/// A limit as the runtime has it; -1 is none.
pub fn written(ulimit: &Ulimit) -> String {
    format!("{}={}:{}", ulimit.name, ulimit.soft, ulimit.hard)
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
        assert_eq!(resources.milli_cpus, Some(500));
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
        assert_eq!(resources.swap, Some(64 << 20));
        assert_eq!((resources.milli_cpus, resources.pids), (Some(500), None));
        let quota = LimitFlags {
            cpu_quota: Some(50_000),
            ..LimitFlags::default()
        };
        apply(&quota, &mut host).unwrap();
        assert_eq!(super::resources(&host).milli_cpus, Some(500));
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
    fn lists_of_processors_are_read() {
        assert_eq!(list("0-2,5"), Some(vec![0, 1, 2, 5]));
        for wrong in ["x", "2-1", "9999", "1-"] {
            assert_eq!(list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ulimits_are_read() {
        let read = |text: &str| ulimit(text).map(|limit| written(&limit));
        assert_eq!(read("nofile=100:200").unwrap(), "nofile=100:200");
        assert_eq!(read("core=0").unwrap(), "core=0:0");
        assert_eq!(read("core=unlimited").unwrap(), "core=-1:-1");
        assert_eq!(read("core=-1").unwrap(), "core=-1:-1");
        for wrong in ["nofile", "what=1", "nofile=2:1", "nofile=x", "nofile=-2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
