//! The list of system calls that containers may use, and how it depends on capabilities.

use super::tree::{ALLOW, errno};
use crate::container::capability::Capabilities;

const LIST: &str = include_str!("profile.txt");
/// The newest call that the list was made with; a newer one does not exist for a container, so
/// that its C library falls back on an older one.
const NEWEST: u32 = 467;

/// Every CLONE_NEW* that clone(2) takes as a flag.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// Whose numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    X86_64,
    I386,
    Aarch64,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// This, whatever its arguments.
    Always(u32),
    /// EPERM for AF_VSOCK: it reaches the hypervisor past every network namespace.
    Socket,
    /// EPERM but for the execution domains that change nothing dangerous.
    Personality,
    /// EPERM with a flag for a new namespace.
    Clone,
}

impl Decision {
    /// The result, if arguments have no part in it.
    #[cfg(test)]
    pub(super) fn fixed(self) -> Option<u32> {
        match self {
            Self::Always(result) => Some(result),
            _ => None,
        }
    }
}

/// Decisions by the first number they hold for, ascending from 0.
pub(super) fn ranges(column: Column, capabilities: Capabilities) -> Vec<(u32, Decision)> {
    let eperm = Decision::Always(errno(libc::EPERM));
    let enosys = Decision::Always(errno(libc::ENOSYS));
    let mut by_number = vec![eperm; NEWEST as usize + 1];
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let columns = [words.nth(1), words.next(), words.next()];
        let Some(rule) = words.next() else { continue };
        let number = columns[column as usize].and_then(|number| number.parse::<usize>().ok());
        if let Some(decision) = number.and_then(|number| by_number.get_mut(number)) {
            *decision = decide(rule, capabilities);
        }
    }
    let mut ranges: Vec<(u32, Decision)> = Vec::new();
    for (number, decision) in by_number.into_iter().chain([enosys]).enumerate() {
        if ranges.last().is_none_or(|(_, last)| *last != decision) {
            ranges.push((number as u32, decision));
        }
    }
    ranges
}

/// The list as the OCI runtime specification has it: a call without a rule is refused.
pub(super) fn document(capabilities: Capabilities) -> serde_json::Value {
    use serde_json::json;
    let mut allowed = Vec::new();
    let mut rules = Vec::new();
    let masked =
        |value: u64| json!({"index": 0, "value": value, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"});
    let equal = |value: u64, op: &str| json!({"index": 0, "value": value, "op": op});
    let mut rule = |name: &str, argument: serde_json::Value| {
        rules.push(json!({"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}));
    };
    let mut unknown = Vec::new();
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, _, _, _, decision] = words[..] else {
            continue;
        };
        match decide(decision, capabilities) {
            Decision::Always(ALLOW) => allowed.push(name),
            Decision::Always(result) if result == errno(libc::ENOSYS) => unknown.push(name),
            Decision::Always(_) => {}
            Decision::Socket => rule(name, equal(libc::AF_VSOCK as u64, "SCMP_CMP_NE")),
            Decision::Personality => {
                for domain in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
                    rule(name, equal(domain, "SCMP_CMP_EQ"));
                }
            }
            Decision::Clone => rule(name, masked(NEW_NAMESPACES)),
        }
    }
    rules.push(json!({"names": allowed, "action": "SCMP_ACT_ALLOW"}));
    if !unknown.is_empty() {
        rules.push(json!({
            "names": unknown, "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS,
        }));
    }
    let machines = if cfg!(target_arch = "aarch64") {
        json!(["SCMP_ARCH_AARCH64"])
    } else {
        json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])
    };
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": machines,
        "syscalls": rules,
    })
}

fn decide(rule: &str, capabilities: Capabilities) -> Decision {
    let admin = capabilities.has("SYS_ADMIN");
    match rule {
        "allow" => Decision::Always(ALLOW),
        "socket" => Decision::Socket,
        "personality" => Decision::Personality,
        "clone" | "clone3" if admin => Decision::Always(ALLOW),
        "clone" => Decision::Clone,
        // its flags are in memory, where no filter sees them: a C library takes clone instead
        "clone3" => Decision::Always(errno(libc::ENOSYS)),
        names if names.split(',').any(|name| capabilities.has(name)) => Decision::Always(ALLOW),
        _ => Decision::Always(errno(libc::EPERM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood() {
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words.len(), 5, "{line}");
            for number in &words[1..4] {
                assert!(
                    *number == "-" || number.parse::<u32>().unwrap() <= NEWEST,
                    "{line}"
                );
            }
            let known = ["allow", "socket", "personality", "clone", "clone3"].contains(&words[4]);
            let all = Capabilities((1 << 41) - 1);
            assert!(
                known || words[4].split(',').all(|name| all.has(name)),
                "{line}"
            );
        }
    }

    #[test]
    fn numbers_are_those_of_this_machine() {
        let column = if cfg!(target_arch = "aarch64") { 3 } else { 1 };
        let number = |name: &str| -> libc::c_long {
            let line = LIST
                .lines()
                .find(|line| line.split(' ').next() == Some(name));
            line.unwrap()
                .split_whitespace()
                .nth(column)
                .unwrap()
                .parse()
                .unwrap()
        };
        for (name, wanted) in [
            ("read", libc::SYS_read),
            ("socket", libc::SYS_socket),
            ("clone", libc::SYS_clone),
            ("clone3", libc::SYS_clone3),
            ("personality", libc::SYS_personality),
            ("mount", libc::SYS_mount),
            ("openat2", libc::SYS_openat2),
            ("bpf", libc::SYS_bpf),
            ("setns", libc::SYS_setns),
        ] {
            assert_eq!(number(name), wanted, "{name}");
        }
    }
}
