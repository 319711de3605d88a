//! Names and sets of capabilities: Docker's fourteen, those added and taken, and what each user
//! gets. Knows no system call.

use super::error::ContainerError;
use super::spec::Security;

/// In the order of their numbers; see capabilities(7).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Capabilities(pub(crate) u64);

impl Capabilities {
    /// Those of a container. A privileged one gets all of `available`, which is what this process
    /// could give; others must be there.
    pub(crate) fn of(security: &Security, available: Self) -> Result<Self, ContainerError> {
        if security.privileged {
            return Ok(available);
        }
        let mut set = 0;
        for name in DEFAULT {
            set |= bit(name)?;
        }
        let (add, drop) = (&security.add_capabilities, &security.drop_capabilities);
        let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("all"));
        if all(add) {
            set = available.0;
        }
        if all(drop) {
            set = 0;
        }
        for name in drop.iter().filter(|name| !name.eq_ignore_ascii_case("all")) {
            set &= !bit(name)?;
        }
        for name in add.iter().filter(|name| !name.eq_ignore_ascii_case("all")) {
            let bit = bit(name)?;
            if available.0 & bit == 0 {
                return Err(ContainerError::Capability {
                    name: name.clone(),
                    why: "this process does not have it, and cannot give it".to_owned(),
                });
            }
            set |= bit;
        }
        // what this process lacks is lacking in every default set too, silently: some machines
        // take one of the fourteen from everybody
        Ok(Self(set & available.0))
    }

    /// Their names, `CAP_CHOWN` …, of those that have one.
    pub(crate) fn names(self) -> Vec<String> {
        let has = |number: &usize| self.0 & (1 << number) != 0;
        let numbers = (0..NAMES.len()).filter(has);
        numbers
            .map(|number| format!("CAP_{}", NAMES[number]))
            .collect()
    }

    /// Whether `name` (without `CAP_`) is in it.
    pub(crate) fn has(self, name: &str) -> bool {
        bit(name).is_ok_and(|bit| self.0 & bit != 0)
    }
}

fn bit(name: &str) -> Result<u64, ContainerError> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES
        .iter()
        .position(|known| *known == short)
        .map(|number| 1 << number)
        .ok_or_else(|| ContainerError::Capability {
            name: name.to_owned(),
            why: "there is no such capability".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Capabilities = Capabilities((1 << 41) - 1);

    fn of(add: &[&str], drop: &[&str]) -> Result<u64, ContainerError> {
        let security = Security {
            add_capabilities: add.iter().map(|&name| name.to_owned()).collect(),
            drop_capabilities: drop.iter().map(|&name| name.to_owned()).collect(),
            ..Security::default()
        };
        Capabilities::of(&security, ALL).map(|set| set.0)
    }

    #[test]
    fn sets_are_dockers() {
        assert_eq!(of(&[], &[]), Ok(0xa804_25fb));
        assert_eq!(of(&["CAP_SYS_ADMIN"], &[]), Ok(0xa804_25fb | 1 << 21));
        assert_eq!(of(&[], &["mknod"]), Ok(0xa004_25fb));
        assert_eq!(of(&["NET_RAW"], &["ALL"]), Ok(1 << 13));
        assert_eq!(of(&["all"], &["sys_admin"]), Ok(ALL.0 & !(1 << 21)));
    }

    #[test]
    fn what_cannot_be_given_is_refused() {
        assert!(of(&["NO_SUCH"], &[]).is_err());
        let security = Security {
            add_capabilities: vec!["SYS_ADMIN".to_owned()],
            ..Security::default()
        };
        assert!(Capabilities::of(&security, Capabilities(0xff)).is_err());
    }

    #[test]
    fn privileged_is_all_there_is() {
        let security = Security {
            privileged: true,
            ..Security::default()
        };
        let some = Capabilities(0xff_ffff);
        assert_eq!(Capabilities::of(&security, some), Ok(some));
    }
}
