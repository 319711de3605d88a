//! A tracer, see ptrace(2): runs a build with all of its processes, tells them apart, counts their
//! system calls and does something to one of them. Knows nothing of what a build should do.
//!
//! Another tracer would count the calls of each thread, whosever it is: the first `openat` of the
//! launcher is never reached when rbuild's own first one has failed. It would also take the rights
//! of newuidmap away; this one lets go of it, and of a step's program, which is not ours.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A process of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The one that was called, with all its threads.
    Rbuild,
    /// The one that stays outside the user namespace and has its ids mapped.
    Mapper,
    /// The launcher's outer one, from its birth on.
    Outer,
    /// The launcher, pid 1 of its namespace.
    Launcher,
    /// A step's, until it becomes the step's program.
    Child,
    /// What is let go of: the program of the mapper, and what a traced shell may start.
    Other,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rbuild => "rbuild",
            Self::Mapper => "mapper",
            Self::Outer => "outer",
            Self::Launcher => "launcher",
            Self::Child => "child",
            Self::Other => "other",
        })
    }
}

/// What is done to a call, which the kernel then never sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails.
    Error(Errno),
    /// Its process is killed.
    Kill,
}

/// One call of one process, and what is done to it.
#[derive(Debug, Clone)]
pub struct Tampering {
    pub role: Role,
    /// Its name.
    pub call: String,
    /// Which of them that a process of this role makes, from 1.
    pub at: usize,
    pub fault: Fault,
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {}: {:?}",
            self.role, self.call, self.at, self.fault
        )
    }
}

/// What became of a traced program and of everything that it had started.
#[derive(Debug, Default)]
pub struct Traced {
    /// Its exit code; 128 + n for a signal.
    pub code: i32,
    /// The calls of a process of the role in their order, of the one that made most of them.
    pub calls: BTreeMap<Role, Vec<&'static str>>,
    /// Whether the call was made that was to be tampered with.
    pub met: bool,
    /// Whether it had to be ended.
    pub hung: bool,
}

#[derive(Debug)]
struct Process {
    role: Role,
    executed: usize,
    calls: Vec<&'static str>,
}

struct Tracer<'a> {
    first: Pid,
    watched: &'a [Role],
    tampering: Option<&'a Tampering>,
    names: HashMap<u64, &'static str>,
    /// The process of each thread.
    threads: HashMap<Pid, Pid>,
    processes: HashMap<Pid, Process>,
    /// Threads in a call, with the error that it will have.
    entered: HashMap<Pid, Option<Errno>>,
    traced: Traced,
}

/// Runs `program` with its arguments and environment to its end and to that of all that it starts.
/// Counts the calls of the roles in `watched` and does `tampering`. After `limit`, `give_up` must
/// kill whatever is left.
pub fn trace(
    program: &Command,
    watched: &[Role],
    tampering: Option<&Tampering>,
    errors: std::fs::File,
    limit: Duration,
    give_up: &(dyn Fn() + Sync),
) -> Traced {
    let mut stopped = Command::new("sh");
    stopped
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(errors);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => stopped.env(name, value),
            None => stopped.env_remove(name),
        };
    }
    let first = Pid::from_raw(stopped.spawn().unwrap().id().cast_signed());
    let waited = waitpid(first, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(waited, WaitStatus::Stopped(first, Signal::SIGSTOP));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, options).unwrap();
    kill(first, Signal::SIGCONT).unwrap();
    let mut tracer = Tracer {
        first,
        watched,
        tampering,
        names: names(),
        threads: HashMap::from([(first, first)]),
        processes: HashMap::from([(first, Process::new(Role::Rbuild))]),
        entered: HashMap::new(),
        traced: Traced::default(),
    };
    std::thread::scope(|scope| {
        let (done, end) = mpsc::channel::<()>();
        let watch = scope.spawn(move || {
            let hung = end.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            if hung {
                give_up();
            }
            hung
        });
        tracer.run();
        drop(done);
        tracer.traced.hung = watch.join().unwrap();
    });
    tracer.finish()
}

impl Process {
    fn new(role: Role) -> Self {
        Self {
            role,
            executed: 0,
            calls: Vec::new(),
        }
    }
}

impl Tracer<'_> {
    fn run(&mut self) {
        // of this thread alone: other tests wait for what they started themselves
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(thread, code)) => self.ended(thread, code),
                Ok(WaitStatus::Signaled(thread, signal, _)) => {
                    self.ended(thread, 128 + signal as i32);
                }
                Ok(WaitStatus::PtraceSyscall(thread)) => self.call(thread),
                Ok(WaitStatus::PtraceEvent(thread, _, event)) => self.event(thread, event),
                Ok(WaitStatus::Stopped(thread, signal)) => self.signalled(thread, signal),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return,
                Err(error) => panic!("waitpid: {error}"),
            }
        }
    }

    fn ended(&mut self, thread: Pid, code: i32) {
        self.entered.remove(&thread);
        if thread == self.first {
            self.traced.code = code;
        }
    }

    /// The process of a thread, which is noted when it is new.
    fn process(&mut self, thread: Pid) -> &mut Process {
        let known = self.threads.get(&thread).copied();
        let process = known.unwrap_or_else(|| {
            let (process, parent) = origin(thread);
            self.threads.insert(thread, process);
            process_entry(&mut self.processes, process, parent);
            process
        });
        self.processes
            .entry(process)
            .or_insert_with(|| Process::new(Role::Other))
    }

    fn event(&mut self, thread: Pid, event: i32) {
        let process = self.process(thread);
        if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
            process.executed += 1;
        }
        let executed = process.executed > 0;
        if process.role == Role::Other || (process.role == Role::Child && executed) {
            let _ = ptrace::detach(thread, None);
            return;
        }
        self.resume(thread, None);
    }

    fn signalled(&mut self, thread: Pid, signal: Signal) {
        let role = self.process(thread).role;
        let fatal = [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL];
        if matches!(role, Role::Launcher | Role::Child) && fatal.contains(&signal) {
            // the kernel ends a first process so, but not one that is traced
            let _ = kill(thread, Signal::SIGKILL);
        }
        self.resume(thread, Some(signal));
    }

    /// At the entry of a call, or at its end.
    fn call(&mut self, thread: Pid) {
        if let Some(error) = self.entered.remove(&thread) {
            if let Some(error) = error
                && let Ok(mut registers) = ptrace::getregs(thread)
            {
                registers.rax = (-i64::from(error as i32)).cast_unsigned();
                let _ = ptrace::setregs(thread, registers);
            }
            self.resume(thread, None);
            return;
        }
        // one that was killed meanwhile has no registers
        let Ok(mut registers) = ptrace::getregs(thread) else {
            return;
        };
        let number = registers.orig_rax;
        let mut error = None;
        match self.fault(thread, number) {
            Some(Fault::Kill) => {
                let _ = kill(thread, Signal::SIGKILL);
            }
            Some(Fault::Error(errno)) => {
                error = Some(errno);
                // there is no such call
                registers.orig_rax = u64::MAX;
                let _ = ptrace::setregs(thread, registers);
            }
            None => {}
        }
        self.entered.insert(thread, error);
        self.resume(thread, None);
    }

    /// Counts a call, and says what is done to it.
    fn fault(&mut self, thread: Pid, number: u64) -> Option<Fault> {
        let name = self.names.get(&number).copied().unwrap_or("unknown");
        let (tampering, met) = (self.tampering, self.traced.met);
        let process = self.process(thread);
        // it is still the shell
        if process.role == Role::Rbuild && process.executed == 0 {
            return None;
        }
        process.calls.push(name);
        let tampering = tampering?;
        if met || process.role != tampering.role || name != tampering.call {
            return None;
        }
        let equal = process.calls.iter().filter(|call| **call == name);
        if equal.count() != tampering.at {
            return None;
        }
        self.traced.met = true;
        Some(tampering.fault)
    }

    fn resume(&mut self, thread: Pid, signal: Option<Signal>) {
        let role = self.process(thread).role;
        // one that was killed meanwhile goes on by itself
        let _ = if self.watched.contains(&role) {
            ptrace::syscall(thread, signal)
        } else {
            ptrace::cont(thread, signal)
        };
    }

    fn finish(mut self) -> Traced {
        for process in self.processes.into_values() {
            let most = self.traced.calls.entry(process.role).or_default();
            if process.calls.len() > most.len() {
                *most = process.calls;
            }
        }
        self.traced
    }
}

/// Notes a process that is new: what it is follows from who made it.
fn process_entry(processes: &mut HashMap<Pid, Process>, process: Pid, parent: Pid) {
    if processes.contains_key(&process) {
        return;
    }
    let role = processes.get(&parent).map_or(Role::Other, |parent| {
        match parent.role {
            // before it was executed again, inside its namespace, it makes only the mapper
            Role::Rbuild if parent.executed == 1 && !is_root() => Role::Mapper,
            Role::Rbuild => Role::Outer,
            Role::Outer => Role::Launcher,
            Role::Launcher => Role::Child,
            Role::Mapper | Role::Child | Role::Other => Role::Other,
        }
    });
    processes.insert(process, Process::new(role));
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The process of a thread, and the one that made it.
fn origin(thread: Pid) -> (Pid, Pid) {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().parse().ok());
        Pid::from_raw(number.unwrap_or(0))
    };
    (number("Tgid:"), number("PPid:"))
}

/// The names of the calls, from the list that the filters are made of.
fn names() -> HashMap<u64, &'static str> {
    let list = include_str!("../../executor/src/container/seccomp/profile.txt");
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            Some((words.next()?.parse().ok()?, name))
        })
        .collect()
}
