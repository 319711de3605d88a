//! A container that another OCI runtime starts: this monitor mounts its root, writes its `config.json`,
//! calls the runtime's `create`, `start` and `delete`, and is the parent of its first process all the
//! same. Knows nothing that the runtimes do not share.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::serve::Monitor;
use crate::container::ContainerError;
use crate::container::capability::Capabilities;
use crate::container::cgroup::Group;
use crate::container::describe::{self, About};
use crate::container::seccomp;
use crate::container::server::foreign::{attach_root, read_in, root_of, stdio_of};
use crate::container::server::report::Report;
use crate::container::server::start::{Cloning, Terminal, peer};
use crate::sys::process::{Cloned, clone_process, exit_now, wait};

/// Names in the container's folder.
const PID: &str = "pid";
const NOTES: &str = "runtime.log";
const CONSOLE: &str = "console";
/// PATH by which a runtime finds its helpers.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A container that was made and not started yet.
pub(super) struct Made {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// The other side of its terminal.
    pub(super) master: Option<OwnedFd>,
}

impl Monitor {
    /// Starts the container by another runtime.
    pub(super) fn begin_with(
        &mut self,
        runtime: &Path,
        stdio: Vec<OwnedFd>,
        group: Option<Group>,
    ) -> Result<Cloning, ContainerError> {
        let failed = ContainerError::prepare("calling the other runtime");
        let security = &self.life.spec.security;
        let capabilities = Capabilities::of(security, self.launch.capabilities)?;
        let filtered = !security.privileged && !security.unfiltered;
        let filter = filtered.then(|| seccomp::filter(capabilities).into());
        let made = self.create_with(runtime, &stdio, group.as_ref(), capabilities)?;
        drop(stdio);
        if let (Some(master), Some(size)) = (&made.master, self.size) {
            super::output::resize(master, size);
        }
        if let Err(error) = self.start_with(runtime) {
            let _ = pidfd_send_signal(&made.pidfd, Signal::KILL);
            let _ = wait(Some(made.pid), true);
            self.delete_with(runtime);
            return Err(error);
        }
        let terminal = made.master.map(|master| {
            let peer = peer(&master)?;
            Ok(Terminal { master, peer })
        });
        // it says nothing, and has said so
        let (report, _) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(&failed)?;
        Ok(Cloning {
            pid: made.pid,
            pidfd: made.pidfd,
            report: Report::new(report),
            group,
            terminal: terminal.transpose().map_err(&failed)?,
            terminals: None,
            listeners: Vec::new(),
            capabilities,
            filter,
        })
    }

    /// Has `runtime` make the container, its first process with these standard descriptors.
    pub(super) fn create_with(
        &self,
        runtime: &Path,
        stdio: &[OwnedFd],
        group: Option<&Group>,
        capabilities: Capabilities,
    ) -> Result<Made, ContainerError> {
        let failed = ContainerError::prepare("calling the other runtime");
        for name in [PID, NOTES, CONSOLE] {
            // of an earlier start
            let _ = std::fs::remove_file(self.folder.join(name));
        }
        // what a killed monitor left of an earlier one
        self.delete_with(runtime);
        let console = self.life.spec.process.terminal.then(|| self.console());
        let console = console.transpose().map_err(&failed)?;
        let mut words = vec!["create", "--bundle", ".", "--pid-file", PID];
        if console.is_some() {
            words.extend(["--console-socket", CONSOLE]);
        }
        words.push(&self.life.id);
        // the runtime makes it in this container's group, which must be empty for that
        let group = group.map(Group::path);
        let made = self.call(runtime, &words, stdio, group, Some(capabilities));
        if made.is_err() {
            self.delete_with(runtime);
        }
        made?;
        let text = std::fs::read_to_string(self.folder.join(PID)).unwrap_or_default();
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(Errno::SRCH))?;
        // it is a child of this process, left to it by the runtime, so that the number is its own
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(&failed)?;
        let master = console
            .map(|console| received(&console))
            .transpose()
            .map_err(&failed)?;
        Ok(Made {
            pid: pid.as_raw_pid(),
            pidfd,
            master,
        })
    }

    /// Has `runtime` start what it made.
    pub(super) fn start_with(&self, runtime: &Path) -> Result<(), ContainerError> {
        self.call(runtime, &["start", &self.life.id], &[], None, None)
    }

    /// Has `runtime` forget what it made.
    pub(super) fn delete_with(&self, runtime: &Path) {
        // it may know nothing of it
        let _ = self.call(
            runtime,
            &["delete", "--force", &self.life.id],
            &[],
            None,
            None,
        );
    }

    /// Where the runtime sends the terminal's other side.
    fn console(&self) -> Result<UnixListener, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&self.folder, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{CONSOLE}", folder.as_raw_fd());
        let listener = UnixListener::bind(path);
        let listener =
            listener.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        // it has connected before `create` comes back, or never
        listener.set_nonblocking(true).map_err(|_| Errno::IO)?;
        Ok(listener)
    }

    /// Calls the runtime, where the host's files are, and waits until it has ended. With `bundle` the
    /// container's root is mounted for it and its `config.json` written.
    fn call(
        &self,
        runtime: &Path,
        words: &[&str],
        stdio: &[OwnedFd],
        group: Option<&str>,
        bundle: Option<Capabilities>,
    ) -> Result<(), ContainerError> {
        let failed = ContainerError::prepare("calling the other runtime");
        match clone_process(0, None).map_err(&failed)? {
            Cloned::Child => {
                // it comes back only when it could not become the runtime
                let error = self.become_runtime(runtime, words, stdio, group, bundle);
                let notes = Path::new("/")
                    .join(&self.life.store_root)
                    .join(&self.life.folder);
                for folder in [&self.folder, &notes] {
                    let _ = std::fs::write(folder.join(NOTES), error.to_string());
                }
                exit_now(match error {
                    ContainerError::UnknownUser { .. } | ContainerError::UnknownGroup { .. } => 3,
                    _ => 2,
                })
            }
            Cloned::Parent { pid, .. } => {
                let waited = wait(Some(pid), true).map_err(&failed)?;
                if waited.and_then(|waited| waited.code) == Some(0) {
                    return Ok(());
                }
                let text = std::fs::read_to_string(self.folder.join(NOTES)).unwrap_or_default();
                Err(self.meant(runtime, &text))
            }
        }
    }

    /// What a runtime's last words mean.
    fn meant(&self, runtime: &Path, text: &str) -> ContainerError {
        let last = text.lines().last().unwrap_or_default();
        let said = serde_json::from_str::<serde_json::Value>(last).ok();
        let said = said
            .and_then(|value| value.get("msg")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| last.to_owned());
        let program = self
            .life
            .spec
            .process
            .args
            .first()
            .cloned()
            .unwrap_or_default();
        let lower = said.to_lowercase();
        if lower.contains("not found in $path")
            || lower.contains(&format!("`{}`: no such file", program.to_lowercase()))
            || lower.contains(&format!("exec: \"{}\": stat", program.to_lowercase()))
        {
            return ContainerError::CommandNotFound { program };
        }
        if lower.contains("exec: ") && lower.contains("permission denied")
            || lower.contains("open executable: permission denied")
            || lower.contains("open executable: operation not permitted")
        {
            return ContainerError::NotExecutable {
                program,
                cause: Errno::ACCESS.into(),
            };
        }
        ContainerError::Invalid {
            why: format!("{}: {said}", runtime.display()),
        }
    }

    fn become_runtime(
        &self,
        runtime: &Path,
        words: &[&str],
        stdio: &[OwnedFd],
        group: Option<&str>,
        bundle: Option<Capabilities>,
    ) -> ContainerError {
        match self.try_become_runtime(runtime, words, stdio, group, bundle) {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    fn try_become_runtime(
        &self,
        runtime: &Path,
        words: &[&str],
        stdio: &[OwnedFd],
        group: Option<&str>,
        bundle: Option<Capabilities>,
    ) -> Result<std::convert::Infallible, ContainerError> {
        let failed = ContainerError::prepare;
        let spec = &self.life.spec;
        let root = bundle.map(|_| root_of(spec, &self.launch)).transpose()?;
        let folder = self.among_the_hosts_files()?;
        rustix::process::chdir(&folder).map_err(failed("the container's folder"))?;
        if let (Some(root), Some(capabilities)) = (root, bundle) {
            attach_root(&root, "rootfs")?;
            // the runtime's own, by number: it opens them in a process that has not inherited them
            let own = rustix::process::getpid().as_raw_pid();
            let joined = self.joined.iter().map(AsRawFd::as_raw_fd);
            let joined: Vec<PathBuf> = joined
                .map(|fd| format!("/proc/{own}/fd/{fd}").into())
                .collect();
            let about = About {
                store: &self.life.store_root,
                joined: &joined,
                hooks: &self.life.hooks,
                annotations: &self.life.annotations,
            };
            let mut read = |path: &str| read_in(&root, path);
            let document = describe::document_for(spec, &about, capabilities, group, &mut read)?;
            std::fs::write("config.json", document).map_err(|error| {
                failed("config.json")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
            })?;
        }
        stdio_of(stdio)?;
        for fd in &self.joined {
            // named in config.json
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())
                .map_err(failed("a namespace"))?;
        }
        let mut arguments = vec![
            runtime.display().to_string(),
            "--root".to_owned(),
            folder.join("runtime").display().to_string(),
        ];
        arguments.extend(["--log", NOTES, "--log-format", "json"].map(str::to_owned));
        if runtime.file_name().is_some_and(|name| name == "crun") {
            // it would ask systemd for a group
            arguments.push("--cgroup-manager=cgroupfs".to_owned());
        }
        arguments.extend(words.iter().map(|word| (*word).to_owned()));
        let strings: Result<Vec<CString>, _> = arguments.into_iter().map(CString::new).collect();
        let strings = strings.map_err(|_| failed("arguments")(Errno::INVAL))?;
        let env = [CString::new(PATH).unwrap_or_default()];
        let program = CString::new(runtime.as_os_str().as_bytes());
        let program = program.map_err(|_| failed("arguments")(Errno::INVAL))?;
        let Err(error) = nix::unistd::execve(&program, &strings, &env);
        let what = runtime.display().to_string();
        Err(failed(&what)(Errno::from_raw_os_error(error as i32)))
    }
}

/// The descriptor that came over a console socket.
fn received(listener: &UnixListener) -> Result<OwnedFd, Errno> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let (socket, _) = listener.accept().map_err(|_| Errno::NOTCONN)?;
    let mut name = [0; 4096];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        &socket,
        &mut [std::io::IoSliceMut::new(&mut name)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let found = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    found.ok_or(Errno::BADF)
}
