//! Everything that may die at the wrong moment, and every system call that may be refused: what is left
//! is an account that is true, and nothing else.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use executor::monitor::{Control, Lock, MonitorError, State, Status, Waiting};

use crate::Case;
use crate::place::{Place, World, hear, hear_until};
use crate::tampered::tampered;

pub const CASES: &[Case] = &[
    ("faults::monitor_killed", monitor_killed),
    ("faults::first_process_killed", first_process_killed),
    ("faults::starter_killed", starter_killed),
    ("faults::after_a_reboot", after_a_reboot),
    ("faults::nonsense_on_the_socket", nonsense),
    ("faults::refused", refused),
    ("faults::killed_on_the_way", killed_on_the_way),
];

/// The argument that makes this program start a container and stay attached.
pub const STARTER: &str = "start-a-container-and-stay";
/// The argument that makes this program run one container to its end.
pub const ONCE: &str = "run-a-container-once";

/// The life of a container as it was before this program was executed again.
pub fn life(path: &str) -> executor::monitor::Life {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn starter(path: &str) -> i32 {
    let attach = executor::monitor::Attach {
        stdin: false,
        size: None,
    };
    let started =
        executor::monitor::start(Waiting::new().unwrap(), &life(path), &[], Some(attach)).unwrap();
    println!("started");
    let heard = hear(&mut started.attached.unwrap());
    heard.code.unwrap_or(1)
}

/// Exit codes: the container ran, its monitor was lost, it was not started.
const RAN: i32 = 0;
const LOST: i32 = 3;
const REFUSED: i32 = 4;

pub fn once(path: &str) -> i32 {
    let attach = executor::monitor::Attach {
        stdin: false,
        size: None,
    };
    let started = Waiting::new()
        .and_then(|waiting| executor::monitor::start(waiting, &life(path), &[], Some(attach)));
    match started {
        Ok(started) => match hear(&mut started.attached.unwrap()).code {
            Some(0) => RAN,
            _ => LOST,
        },
        Err(MonitorError::Ended) => LOST,
        Err(error) => {
            eprintln!("{error}");
            REFUSED
        }
    }
}

/// The monitor's process id: that of whoever made the control socket.
fn monitor_of(place: &Place) -> rustix::process::Pid {
    let folder = std::fs::File::open(&place.folder).unwrap();
    let path = format!("/proc/self/fd/{}/control", folder.as_raw_fd());
    let socket = UnixStream::connect(path).unwrap();
    rustix::net::sockopt::socket_peercred(&socket).unwrap().pid
}

/// Processes that have the store open or mounted in some way, this one excepted.
fn users(world: &World) -> Vec<String> {
    let mark = world
        .store()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let mut users = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if name == std::process::id().to_string() || name.parse::<i32>().is_err() {
            continue;
        }
        let mounts = std::fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if mounts.contains(&mark) && !words.is_empty() {
            users.push(format!("{name}: {}", String::from_utf8_lossy(&words)));
        }
    }
    users
}

/// Waits until as many processes use the store as before.
fn nothing_left(world: &World, before: usize) {
    let end = std::time::Instant::now() + std::time::Duration::from_mins(2);
    while users(world).len() > before {
        assert!(std::time::Instant::now() < end, "left: {:?}", users(world));
        std::thread::yield_now();
    }
}

fn monitor_killed(world: &World) {
    let before = users(world).len();
    let place = world.place("echo ready; sleep 1000 & exec sleep 1000");
    let mut attached = place.attached(false);
    hear_until(&mut attached, "ready");
    let monitor = monitor_of(&place);
    rustix::process::kill_process(monitor, rustix::process::Signal::KILL).unwrap();
    assert_eq!(hear(&mut attached).code, None);
    drop(Lock::wait(&place.folder).unwrap());
    nothing_left(world, before);
    let (status, died) = Status::settled(&place.folder).unwrap();
    assert!(died);
    assert_eq!(
        (status.state, status.exit_code, status.pid),
        (State::Exited, 137, 0)
    );
    assert!(status.error.contains("killed"), "{status:?}");
    assert!(Control::connect(&place.folder).unwrap().is_none());
    // and it can be started again, though its socket is still there
    place.start().unwrap();
    assert_eq!(place.status().state, State::Running);
}

fn first_process_killed(world: &World) {
    let before = users(world).len();
    let place = world.place("echo ready; sleep 1000 & exec sleep 1000");
    let mut attached = place.attached(false);
    hear_until(&mut attached, "ready");
    let pid = rustix::process::Pid::from_raw(place.status().pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(hear(&mut attached).code, Some(137));
    assert_eq!(place.over().exit_code, 137);
    nothing_left(world, before);
}

fn starter_killed(world: &World) {
    let place = world.place("echo x; sleep 1000");
    let path = place.folder.join("life");
    std::fs::write(&path, serde_json::to_vec(&place.life).unwrap()).unwrap();
    let mut starter = Command::new(std::env::current_exe().unwrap())
        .arg(STARTER)
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut starter.stdout.take().unwrap(), &mut byte).unwrap();
    starter.kill().unwrap();
    starter.wait().unwrap();
    assert_eq!(place.status().state, State::Running);
    assert_eq!(crate::exec::sh(&place, "echo alive").unwrap().0, "alive\n");
}

fn after_a_reboot(world: &World) {
    let place = world.place("true");
    let running = Status {
        state: State::Restarting,
        pid: 1,
        started_at: Some(std::time::SystemTime::UNIX_EPOCH),
        ..Status::default()
    };
    running.write(&place.folder).unwrap();
    std::fs::write(place.folder.join("control"), "no socket").unwrap();
    assert!(Control::connect(&place.folder).unwrap().is_none());
    assert_eq!(place.status().state, State::Exited);
    assert_eq!(hear(&mut place.attached(false)).code, Some(0));
}

fn nonsense(world: &World) {
    let place = world.place("sleep 1000");
    place.start().unwrap();
    let folder = std::fs::File::open(&place.folder).unwrap();
    let path = format!("/proc/self/fd/{}/control", folder.as_raw_fd());
    for bytes in [&[0xff; 64][..], &[0; 12], b"x"] {
        let socket = UnixStream::connect(&path).unwrap();
        std::io::Write::write_all(&mut &socket, bytes).unwrap();
    }
    // half an order holds nobody up
    let half = UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut &half, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'"']).unwrap();
    assert_eq!(place.control().status().unwrap().state, State::Running);
}

/// Runs a container with one system call tampered with; comes back when everything that had the
/// standard error is gone. None without strace.
fn tamper(place: &Place, injection: &str) -> Option<(i32, String)> {
    for directory in ["fs", "work"] {
        let path = place.folder.join(directory);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
    }
    let _ = std::fs::remove_file(place.folder.join(Status::FILE));
    let path = place.folder.join("life");
    std::fs::write(&path, serde_json::to_vec(&place.life).unwrap()).unwrap();
    tampered(injection, ONCE, Path::new(&path))
}

fn usable(place: &Place) -> bool {
    let usable = matches!(tamper(place, "chroot:error=EIO"), Some((RAN, _)));
    if !usable {
        eprintln!("SKIPPED: no usable strace");
    }
    usable
}

/// What must be so after any of it: an account that is true, and a container that can be started.
fn sound(world: &World, place: &Place, call: &str, before: usize) {
    drop(Lock::wait(&place.folder).unwrap());
    let (status, _) = Status::settled(&place.folder).unwrap();
    assert!(!status.state.is_live(), "{call}: {status:?}");
    nothing_left(world, before);
    let heard = hear(&mut place.attached(false));
    assert_eq!(heard.code, Some(0), "{call}");
    place.over();
}

fn refused(world: &World) {
    let before = users(world).len();
    let place = world.place("true");
    if !usable(&place) {
        return;
    }
    for call in [
        "clone3",
        "fsopen",
        "fsconfig",
        "fsmount",
        "move_mount",
        "open_tree",
        "mount_setattr",
        "openat2",
        "pivot_root",
        "umount2",
        "setsid",
        "bind",
        "listen",
        "sethostname",
        "close_range",
        "prctl",
        "seccomp",
        "setresuid",
        "capset",
        "getcwd",
        "symlinkat",
    ] {
        let (code, words) = tamper(&place, &format!("{call}:error=EIO:when=1+")).unwrap();
        assert!([REFUSED, LOST].contains(&code), "{call}: {code} {words}");
        assert!(
            code == LOST || words.contains("Input/output error"),
            "{call}: {words}"
        );
        sound(world, &place, call, before);
    }
}

fn killed_on_the_way(world: &World) {
    let before = users(world).len();
    let place = world.place("true");
    if !usable(&place) {
        return;
    }
    for call in [
        "fsopen",
        "move_mount",
        "pivot_root",
        "bind",
        "wait4",
        "rename",
        "renameat",
    ] {
        for when in [1, 2] {
            let (code, words) = tamper(&place, &format!("{call}:signal=KILL:when={when}")).unwrap();
            assert!(
                [RAN, REFUSED, LOST, -1].contains(&code),
                "{call} {when}: {code} {words}"
            );
            sound(world, &place, call, before);
        }
    }
}
