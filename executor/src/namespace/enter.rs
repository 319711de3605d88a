//! Entering a user namespace: a helper outside writes the maps, and this program is executed again
//! inside, with the same process id. See user_namespaces(7).

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsopen};
use rustix::pipe::{PipeFlags, pipe_with};

use super::ids::{self, Range};
use super::{NamespaceError, Report, Tier, cure, is_admin, is_initial};
use crate::sys::process::{Cloned, clone_process, exit_now, is_single_threaded, wait};

/// Holds this process's id when it was executed again.
const MARK: &str = "RBUILD_NAMESPACE";
/// Exit codes of the helper.
const MAPPED: i32 = 0;
const NO_USERS: i32 = 1;
const NO_GROUPS: i32 = 2;

/// Makes sure that this process may administrate its user namespace. Comes back at once where it
/// may already; else it executes this program again, with the same arguments, inside a new user
/// and mount namespace, and does not come back. Supplementary groups are kept.
///
/// # Errors
/// When the machine refuses; the error says what to change.
pub fn enter() -> Result<(), NamespaceError> {
    if is_admin() {
        return Ok(());
    }
    if std::env::var(MARK).is_ok_and(|mark| mark == std::process::id().to_string()) {
        return Err(NamespaceError::Powerless { cure: cure() });
    }
    become_root()?;
    let mut args = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let error = command
        .args(args)
        .env(MARK, std::process::id().to_string())
        .exec();
    Err(NamespaceError::System {
        what: "executing this program again".to_owned(),
        cause: error.into(),
    })
}

/// What this machine can do. Tries it in a child; this process, which must have one thread, stays
/// as it is.
///
/// # Errors
/// [`NamespaceError::Threads`], and what cloning gives.
pub fn examine() -> Result<Report, NamespaceError> {
    let tier = if is_admin() {
        if is_initial() {
            Tier::Root
        } else {
            Tier::Inside
        }
    } else {
        try_in_child()?
    };
    let kernel = rustix::system::uname();
    let layers = crate::kernel::mounts_layer_by_layer("/");
    let kernel = kernel.release().to_string_lossy().into_owned();
    Ok(Report {
        tier,
        // without rights to ask, the version has to do
        layer_by_layer: layers
            .unwrap_or_else(|error| error == Errno::PERM && at_least(&kernel, 6, 7)),
        shuts_abstract_sockets: crate::sys::filter::landlock_version() >= 6,
        unified_cgroups: std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        kernel,
    })
}

fn at_least(kernel: &str, major: u32, minor: u32) -> bool {
    let mut numbers = kernel
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

fn try_in_child() -> Result<Tier, NamespaceError> {
    const REFUSED: i32 = 64;
    const ONE: i32 = 1;
    let granted = Granted::read();
    match clone_process(0, None).map_err(|cause| system("clone", cause))? {
        Cloned::Child => exit_now(match become_root() {
            Ok(Mapped::Many) => 0,
            Ok(Mapped::One) => ONE,
            Err(NamespaceError::Refused { .. } | NamespaceError::Powerless { .. }) => REFUSED,
            Err(_) => REFUSED + 1,
        }),
        Cloned::Parent { pid, .. } => {
            let waited = wait(Some(pid), true).map_err(|cause| system("wait", cause))?;
            Ok(match waited.and_then(|waited| waited.code) {
                Some(0) => Tier::ManyIds {
                    users: granted.users,
                    groups: granted.groups,
                },
                Some(ONE) => Tier::OneId {
                    why: granted.lacking(),
                },
                _ => Tier::None {
                    cause: crate::container::Errno(libc::EPERM),
                    cure: cure(),
                },
            })
        }
    }
}

/// What this user was granted.
struct Granted {
    uid: u32,
    gid: u32,
    users: Vec<Range>,
    groups: Vec<Range>,
}

impl Granted {
    fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let uid = rustix::process::geteuid().as_raw();
        let passwd = read("/etc/passwd");
        let name = ids::name(&passwd, uid);
        Self {
            uid,
            gid: rustix::process::getegid().as_raw(),
            users: ids::granted(&read("/etc/subuid"), name, uid),
            groups: ids::granted(&read("/etc/subgid"), name, uid),
        }
    }

    fn has_many(&self) -> bool {
        !self.users.is_empty() && !self.groups.is_empty()
    }

    fn lacking(&self) -> String {
        if self.users.is_empty() {
            "/etc/subuid grants this user no ids".to_owned()
        } else if self.groups.is_empty() {
            "/etc/subgid grants this user no ids".to_owned()
        } else {
            "newuidmap is missing, or is not set-user-ID root".to_owned()
        }
    }
}

enum Mapped {
    Many,
    One,
}

/// Puts this process into a new user and mount namespace, in which it is root.
fn become_root() -> Result<Mapped, NamespaceError> {
    if !is_single_threaded() {
        return Err(NamespaceError::Threads);
    }
    let granted = Granted::read();
    let helper = granted
        .has_many()
        .then(|| Helper::start(&granted))
        .transpose()?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(|cause| {
        NamespaceError::Refused {
            cause: crate::container::Errno(cause as i32),
            cure: cure(),
        }
    })?;
    let many = helper.map(Helper::finish).transpose()?.unwrap_or(false);
    if !many {
        map_one(&granted)?;
    }
    // some machines let everybody in and take the rights at the door
    fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|_| NamespaceError::Powerless { cure: cure() })?;
    Ok(if many { Mapped::Many } else { Mapped::One })
}

fn map_one(granted: &Granted) -> Result<(), NamespaceError> {
    let write = |path: &str, text: &str| {
        std::fs::write(path, text).map_err(|error| NamespaceError::System {
            what: format!("writing {path}"),
            cause: error.into(),
        })
    };
    write("/proc/self/uid_map", &format!("0 {} 1", granted.uid))?;
    // a user must not leave groups that deny him something
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/gid_map", &format!("0 {} 1", granted.gid))
}

/// A process that stays outside and maps ids for us.
struct Helper {
    pid: i32,
    go: OwnedFd,
    words: OwnedFd,
}

impl Helper {
    fn start(granted: &Granted) -> Result<Self, NamespaceError> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|cause| system("pipe", cause));
        let (wait_for, go) = pipe()?;
        let (words, say) = pipe()?;
        let us = std::process::id();
        match clone_process(0, None).map_err(|cause| system("clone", cause))? {
            Cloned::Child => {
                drop((go, words));
                exit_now(help(us, granted, wait_for, say))
            }
            Cloned::Parent { pid, .. } => Ok(Self { pid, go, words }),
        }
    }

    /// Tells it that the namespace is there, and waits; false when it could map nothing.
    fn finish(self) -> Result<bool, NamespaceError> {
        // if it is gone, its exit code says so
        let _ = std::fs::File::from(self.go).write_all(b"!");
        let mut message = String::new();
        let _ = std::fs::File::from(self.words).read_to_string(&mut message);
        let waited = wait(Some(self.pid), true).map_err(|cause| system("wait", cause))?;
        match waited.and_then(|waited| waited.code) {
            Some(MAPPED) => Ok(true),
            Some(NO_USERS) => Ok(false),
            _ => Err(NamespaceError::Helper {
                program: "newgidmap".to_owned(),
                message: message.trim().to_owned(),
            }),
        }
    }
}

/// Runs outside. Gives the exit code.
fn help(pid: u32, granted: &Granted, wait_for: OwnedFd, say: OwnedFd) -> i32 {
    let mut go = [0];
    if !matches!(std::fs::File::from(wait_for).read(&mut go), Ok(1)) {
        return NO_USERS;
    }
    let run = |program: &str, own: u32, ranges: &[Range]| {
        let output = Command::new(program)
            .arg(pid.to_string())
            .args(ids::map(own, ranges))
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    if run("newuidmap", granted.uid, &granted.users).is_err() {
        return NO_USERS;
    }
    match run("newgidmap", granted.gid, &granted.groups) {
        Ok(()) => MAPPED,
        Err(message) => {
            let _ = std::fs::File::from(say).write_all(message.as_bytes());
            NO_GROUPS
        }
    }
}

fn system(what: &str, cause: Errno) -> NamespaceError {
    if cause == Errno::BUSY {
        return NamespaceError::Threads;
    }
    NamespaceError::System {
        what: what.to_owned(),
        cause: cause.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(at_least("6.18.44-x", 6, 7));
        assert!(at_least("10.0", 6, 7));
        assert!(!at_least("6.6.1", 6, 7));
        assert!(!at_least("5.15", 6, 7));
    }

    #[test]
    fn threads_are_noticed() {
        // whatever runs this waits in another thread
        let result = std::thread::spawn(|| become_root().map(|_| ()))
            .join()
            .unwrap();
        assert_eq!(result, Err(NamespaceError::Threads));
    }
}
