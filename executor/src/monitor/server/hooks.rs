//! Calling hooks among the host's files: each is told of the container on its standard input, is waited
//! for as long as it may take, and writes into `hooks.log` in the container's folder. Knows not what
//! they are for.

use std::ffi::CString;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::serve::Monitor;
use crate::container::ContainerError;
use crate::container::hook::{Hook, Told};
use crate::container::server::foreign::stdio_of;
use crate::container::server::hooks::ended_in_time;
use crate::container::spec::Namespace;
use crate::sys::process::{Cloned, clone_process, exit_now, wait};

/// What hooks write, in the container's folder.
const NOTES: &str = "hooks.log";

impl Monitor {
    /// Lets a container that is made, and waits at `gate` for its program, go on when the hooks of that
    /// moment have done their work.
    pub(super) fn at_gate(&self, gate: &UnixStream, pid: i32) -> Result<(), ContainerError> {
        let mut byte = [0];
        // one that could not be made says why elsewhere
        if rustix::io::read(gate, &mut byte) != Ok(1) {
            return Ok(());
        }
        let hooks = &self.life.hooks;
        self.call_all("prestart", &hooks.prestart, "creating", Some(pid))?;
        self.call_all(
            "createRuntime",
            &hooks.create_runtime,
            "creating",
            Some(pid),
        )?;
        let _ = rustix::io::write(gate, &byte);
        Ok(())
    }

    /// When the program runs.
    pub(super) fn after_start(&self, pid: i32) -> Result<(), ContainerError> {
        self.call_all(
            "poststart",
            &self.life.hooks.poststart,
            "running",
            Some(pid),
        )
    }

    /// When the container is gone: what fails is noted, and the others are called all the same.
    pub(super) fn after_end(&self) {
        for hook in &self.life.hooks.poststop {
            if let Err(error) = self.call_hook("poststop", hook, "stopped", None)
                && let Ok(mut notes) = self.hook_notes()
            {
                let _ = writeln!(notes, "{error}");
            }
        }
    }

    fn call_all(
        &self,
        stage: &str,
        hooks: &[Hook],
        status: &str,
        pid: Option<i32>,
    ) -> Result<(), ContainerError> {
        hooks
            .iter()
            .try_for_each(|hook| self.call_hook(stage, hook, status, pid))
    }

    fn call_hook(
        &self,
        stage: &str,
        hook: &Hook,
        status: &str,
        pid: Option<i32>,
    ) -> Result<(), ContainerError> {
        let failed = |why: String| ContainerError::Hook {
            stage: stage.to_owned(),
            path: hook.path.display().to_string(),
            why,
        };
        let refused =
            |cause: Errno| failed(crate::container::error::Errno::from(cause).to_string());
        let bundle = self.life.store_root.join(&self.life.folder);
        let told = Told {
            id: &self.life.id,
            bundle: &bundle,
            annotations: &self.life.annotations,
        };
        let stdin = told.file(status, pid).map_err(refused)?;
        let mut notes = self.hook_notes().map_err(refused)?;
        let before = notes.seek(std::io::SeekFrom::End(0)).unwrap_or_default();
        let copy = |file: &std::fs::File| {
            let copy = file.try_clone().map(OwnedFd::from);
            copy.map_err(|error| refused(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
        };
        let stdio = [stdin, copy(&notes)?, copy(&notes)?];
        match clone_process(0, None).map_err(refused)? {
            Cloned::Child => {
                // it comes back only when it could not become the hook
                let error = self.become_hook(hook, &stdio);
                let _ = writeln!(notes, "{error}");
                exit_now(127)
            }
            Cloned::Parent { pid, pidfd } => {
                let ended = ended_in_time(&pidfd, hook.timeout);
                if !ended {
                    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                }
                let waited = wait(Some(pid), true).map_err(refused)?;
                let said = match waited.map(|waited| (waited.code, waited.signal)) {
                    Some((Some(0), _)) if ended => return Ok(()),
                    _ if !ended => hook.late(),
                    Some((Some(code), _)) => format!("exit status {code}"),
                    Some((None, Some(signal))) => format!("ended by signal {signal}"),
                    _ => "nobody knows how it ended".to_owned(),
                };
                Err(failed(said + &self.last_note(before)))
            }
        }
    }

    /// What a hook said last, after so many bytes of others.
    fn last_note(&self, before: u64) -> String {
        let text = std::fs::read(self.folder.join(NOTES)).unwrap_or_default();
        let text = text.get(before as usize..).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.map_or_else(String::new, |line| format!(": {line}"))
    }

    fn hook_notes(&self) -> Result<std::fs::File, Errno> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::open(self.folder.join(NOTES), flags, mode).map(std::fs::File::from)
    }

    fn become_hook(&self, hook: &Hook, stdio: &[OwnedFd]) -> ContainerError {
        match self.try_become_hook(hook, stdio) {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn try_become_hook(
        &self,
        hook: &Hook,
        stdio: &[OwnedFd],
    ) -> Result<std::convert::Infallible, ContainerError> {
        let what = hook.path.display().to_string();
        let failed = |cause: Errno| ContainerError::prepare(&what)(cause);
        let folder = self.among_the_hosts_files()?;
        rustix::process::chdir(&folder).map_err(failed)?;
        stdio_of(stdio)?;
        let strings = |texts: Vec<String>| -> Result<Vec<CString>, Errno> {
            let made: Result<_, _> = texts.into_iter().map(CString::new).collect();
            made.map_err(|_| Errno::INVAL)
        };
        let words = strings(hook.words()).map_err(failed)?;
        let env = strings(hook.env.clone()).map_err(failed)?;
        let program = CString::new(hook.path.as_os_str().as_bytes());
        let program = program.map_err(|_| failed(Errno::INVAL))?;
        let Err(error) = nix::unistd::execve(&program, &words, &env);
        Err(failed(Errno::from_raw_os_error(error as i32)))
    }

    /// Goes where the host's files are, with the processes that this monitor sees: in a child, which is
    /// to become another program. Gives the container's folder there.
    pub(super) fn among_the_hosts_files(&self) -> Result<PathBuf, ContainerError> {
        let failed = ContainerError::prepare;
        let host = self
            .host_mounts
            .as_ref()
            .ok_or_else(|| failed("the host's mounts")(Errno::BADF))?;
        move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(failed("the host's mounts"))?;
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
            .map_err(|error| failed("a mount namespace")(Errno::from_raw_os_error(error as i32)))?;
        let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", flags).map_err(failed("making mounts one-way"))?;
        if self.life.spec.namespaces.pid == Namespace::Own {
            // pids that it is told, and those that it makes, are there
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("proc", "/proc", "proc", flags, None).map_err(failed("/proc"))?;
        }
        Ok(self.life.store_root.join(&self.life.folder))
    }
}
