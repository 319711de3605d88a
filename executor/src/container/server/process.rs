//! The last steps from a process in a finished root to the program: user, limits, directory,
//! capabilities, filter, execution. Knows no mounts.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::execve;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::root::Launch;
use crate::container::capability::Capabilities;
use crate::container::error::ContainerError;
use crate::container::limit;
use crate::container::spec::Process;
use crate::container::user::{self, Identity};
use crate::sys::filter::{Instruction, load_seccomp, scope_abstract_sockets};
use crate::sys::process::raise_ambient;

/// The largest passwd or group file that is read.
pub(super) const USER_FILE: u64 = 1 << 20;
/// Where a system keeps its users.
const PASSWD: &str = "/etc/passwd";
/// PATH of a container that sets none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much the program may do.
#[derive(Debug)]
pub(super) struct Rights<'a> {
    pub(super) capabilities: Capabilities,
    /// Kept by a user who is not root too.
    pub(super) ambient: bool,
    /// None for a container that nobody filters.
    pub(super) filter: Option<&'a [Instruction]>,
    /// Whether abstract sockets of others are shut.
    pub(super) scoped: bool,
    pub(super) no_new_privileges: bool,
}

/// Who the process will be, from the container's own files, and its environment: what was asked
/// for, the secret variables, HOME and PATH when they are missing.
pub(super) fn identify(
    process: &Process,
    secrets: &[String],
) -> Result<(Identity, Vec<String>), ContainerError> {
    let mut known = None::<String>;
    let mut read_once = |path: &str| {
        let text = read(path)?;
        if path == PASSWD {
            known = Some(text.clone());
        }
        Ok(text)
    };
    let who = user::identify(&process.user, &process.groups, &mut read_once)?;
    let env = complete(process, secrets, &|| {
        // a container without passwd has homes all the same
        let text = || read(PASSWD).unwrap_or_default();
        user::home(who.uid, &known.clone().unwrap_or_else(text))
    });
    Ok((who, env))
}

/// The environment, with the home directory given, which is asked for only when it is needed.
pub(super) fn complete(
    process: &Process,
    secrets: &[String],
    home: &dyn Fn() -> String,
) -> Vec<String> {
    let mut env: Vec<String> = Vec::with_capacity(process.env.len() + secrets.len() + 2);
    for variable in process.env.iter().chain(secrets) {
        let name = variable.split('=').next().unwrap_or_default();
        let same = |known: &String| known.split('=').next() == Some(name);
        // the last one counts, as for a shell that sets them in order
        match env.iter_mut().find(|known| same(known)) {
            Some(known) => known.clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
    if !env.iter().any(|known| known.starts_with("PATH=")) {
        env.push(format!("PATH={PATH}"));
    }
    let has_home = |known: &String| known.starts_with("HOME=") && known.len() > "HOME=".len();
    if !env.iter().any(has_home) {
        env.retain(|known| !known.starts_with("HOME="));
        env.push(format!("HOME={}", home()));
    }
    env
}

/// Makes pipes and the container's own terminal the user's, so that /dev/stdout can be opened. What
/// was handed in from outside, a caller's terminal or file, stays whose it is.
pub(super) fn give_stdio(who: &Identity, terminal: bool) -> Result<(), Errno> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for fd in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let stat = rustix::fs::fstat(fd)?;
        let ours = terminal || FileType::from_raw_mode(stat.st_mode) == FileType::Fifo;
        if ours && stat.st_uid != who.uid {
            match rustix::fs::fchown(fd, Some(Uid::from_raw(who.uid)), None) {
                // an id that is not mapped is named where it is taken on; a pipe may be another's
                Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Enters the working directory, which is made, with its parents, when it is not there.
pub(super) fn enter_directory(
    path: &str,
    who: &Identity,
    make: bool,
) -> Result<(), ContainerError> {
    let failed = |why: String| ContainerError::WorkingDirectory {
        path: path.to_owned(),
        why,
    };
    let text = |error: Errno| crate::container::error::Errno::from(error).to_string();
    let wanted = if path.is_empty() { "/" } else { path };
    if !wanted.starts_with('/') {
        return Err(failed("is not absolute".to_owned()));
    }
    let directory = match open_directory(wanted) {
        Err(Errno::NOENT) if make => make_directory(wanted, who),
        found => found,
    };
    let directory = directory.map_err(|error| failed(text(error)))?;
    rustix::process::fchdir(&directory).map_err(|error| failed(text(error)))?;
    // a directory of another mount namespace has no path here (CVE-2024-21626)
    let current = rustix::process::getcwd(Vec::new()).map_err(|error| failed(text(error)))?;
    if !current.to_bytes().starts_with(b"/") {
        return Err(failed("is outside the container".to_owned()));
    }
    Ok(())
}

fn open_directory(path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    )
}

fn make_directory(path: &str, who: &Identity) -> Result<OwnedFd, Errno> {
    let mut directory = open_directory("/")?;
    let mut known = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        known.push('/');
        known.push_str(part);
        directory = match open_directory(&known) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&directory, part, Mode::from_raw_mode(0o755))?;
                let (uid, gid) = (Uid::from_raw(who.uid), Gid::from_raw(who.gid));
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(&directory, part, Some(uid), Some(gid), flags)?;
                open_directory(&known)?
            }
            found => found?,
        };
    }
    Ok(directory)
}

/// Gives up everything but `rights`, and becomes `who`.
pub(super) fn become_user(
    who: &Identity,
    rights: &Rights<'_>,
    launch: &Launch,
) -> Result<(), ContainerError> {
    let prepare = ContainerError::prepare;
    for number in 0..64 {
        let bit = 1 << number;
        if rights.capabilities.0 & bit == 0 {
            let one = CapabilitySet::from_bits_retain(bit);
            match rustix::thread::remove_capability_from_bounding_set(one) {
                // that was the last one this kernel knows
                Err(Errno::INVAL) => break,
                result => result.map_err(prepare("dropping capabilities"))?,
            }
        }
    }
    if rights.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(prepare("no_new_privs"))?;
    }
    if rights.scoped {
        scope_abstract_sockets().map_err(prepare("shutting abstract sockets"))?;
    }
    if launch.sets_groups {
        let groups: Vec<Gid> = who.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&groups)
            .map_err(|error| unmapped(error, "group", who.gid, launch, "supplementary groups"))?;
    } else if let Some(&id) = who.asked.iter().find(|gid| **gid != who.gid) {
        // with one id there is one group; those that an image puts its root into are not to be had
        return Err(ContainerError::UnmappedId {
            what: "group".to_owned(),
            id,
            available: launch.mapped,
        });
    }
    let gid = Gid::from_raw(who.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .map_err(|error| unmapped(error, "group", who.gid, launch, "setgid"))?;
    // the filter needs the right to load it, which goes with the user; it allows all that follows
    if let Some(filter) = rights.filter {
        load_seccomp(filter).map_err(prepare("loading the filter of system calls"))?;
    }
    let ambient = rights.ambient && who.uid != 0;
    if ambient {
        rustix::thread::set_keep_capabilities(true).map_err(prepare("keeping capabilities"))?;
    }
    let uid = Uid::from_raw(who.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .map_err(|error| unmapped(error, "user", who.uid, launch, "setuid"))?;
    let mut sets = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    if who.uid == 0 || ambient {
        sets.effective = CapabilitySet::from_bits_retain(rights.capabilities.0);
        sets.permitted = sets.effective;
    }
    if ambient {
        sets.inheritable = sets.permitted;
    }
    rustix::thread::set_capabilities(None, sets).map_err(prepare("capabilities"))?;
    if ambient {
        for number in (0..64).filter(|number| rights.capabilities.0 & (1 << number) != 0) {
            raise_ambient(number).map_err(prepare("ambient capabilities"))?;
        }
    }
    Ok(())
}

fn unmapped(error: Errno, what: &str, id: u32, launch: &Launch, call: &str) -> ContainerError {
    if error == Errno::INVAL {
        ContainerError::UnmappedId {
            what: what.to_owned(),
            id,
            available: launch.mapped,
        }
    } else {
        ContainerError::prepare(call)(error)
    }
}

/// Sets how readily the kernel kills this process for want of memory.
pub(super) fn oom_score(score: i32) -> Result<(), ContainerError> {
    let failed = ContainerError::prepare("oom-score-adj");
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open("/proc/self/oom_score_adj", flags, Mode::empty());
    rustix::io::write(file.map_err(&failed)?, score.to_string().as_bytes())
        .map(|_| ())
        .map_err(failed)
}

/// Sets it for what is cloned from now on, and gives what it was.
pub(super) fn swap_oom_score(score: i32) -> Result<i32, ContainerError> {
    let before = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    oom_score(score)?;
    Ok(before.trim().parse().unwrap_or(0))
}

/// Sets the limits that were asked for.
pub(super) fn limits(process: &Process) -> Result<(), ContainerError> {
    process.ulimits.iter().try_for_each(|text| limit::set(text))
}

/// Becomes the program. Comes back only with the reason why not.
pub(super) fn execute(args: &[String], env: &[String]) -> ContainerError {
    let Some(program) = args.first() else {
        return ContainerError::NoCommand;
    };
    let strings = |all: &[String]| {
        all.iter()
            .map(|text| CString::new(text.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
    };
    let (Ok(arguments), Ok(variables)) = (strings(args), strings(env)) else {
        return ContainerError::Invalid {
            why: "an argument or variable contains a zero byte".to_owned(),
        };
    };
    let not_found = ContainerError::CommandNotFound {
        program: program.clone(),
    };
    let path = env.iter().find_map(|known| known.strip_prefix("PATH="));
    let file = if program.contains('/') {
        Some(program.clone())
    } else {
        path.unwrap_or(PATH)
            .split(':')
            .filter(|directory| directory.starts_with('/'))
            .map(|directory| format!("{directory}/{program}"))
            .find(|file| is_executable(file))
    };
    let Some(file) = file.and_then(|file| CString::new(file).ok()) else {
        return not_found;
    };
    let Err(error) = execve(&file, &arguments, &variables);
    match error {
        nix::Error::ENOENT | nix::Error::ENOTDIR => not_found,
        error => ContainerError::NotExecutable {
            program: program.clone(),
            cause: crate::container::error::Errno(error as i32),
        },
    }
}

fn is_executable(path: &str) -> bool {
    let regular = rustix::fs::stat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    regular && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// A file of the container that says who is who.
fn read(path: &str) -> Result<String, ContainerError> {
    let failed = |why: &str| ContainerError::UserFile {
        file: path.to_owned(),
        why: why.to_owned(),
    };
    let opened = rustix::fs::openat2(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    );
    let file = match opened {
        // an image without users has numbers all the same
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        file => {
            file.map_err(|error| failed(&crate::container::error::Errno::from(error).to_string()))?
        }
    };
    let stat = rustix::fs::fstat(&file).map_err(|_| failed("fstat"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(failed("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(USER_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error.to_string()))?;
    if bytes.len() as u64 > USER_FILE {
        return Err(failed("it is larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_variables_counts_and_defaults_fill_up() {
        let process = Process {
            env: ["A=1", "B=2", "A=3", "HOME="].map(str::to_owned).into(),
            user: "4000000:0".to_owned(),
            ..Process::default()
        };
        let (who, env) = identify(&process, &["B=secret".to_owned()]).unwrap();
        assert_eq!((who.uid, who.gid), (4_000_000, 0));
        assert_eq!(env[..2], ["A=3", "B=secret"]);
        assert_eq!(env[2], format!("PATH={PATH}"));
        assert_eq!(env[3], "HOME=/");
        assert_eq!(env.len(), 4);
    }

    #[test]
    fn user_files_are_small_regular_files() {
        assert_eq!(read("/nonexistent/passwd").unwrap(), "");
        assert!(read("/dev/zero").is_err());
        let directory = tempfile::tempdir().unwrap();
        let big = directory.path().join("passwd");
        std::fs::write(&big, vec![b'x'; (USER_FILE + 1) as usize]).unwrap();
        assert!(read(big.to_str().unwrap()).is_err());
    }
}
