//! An ordinary user's way out: the program `pasta` carries packets between the container's namespace
//! and sockets of this user on the host.

use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::doors;
use super::error::NetworkError;
use super::plan::{Pasta, Publish};

/// The container's address. Nobody but itself reaches it.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// What it takes for this host's address.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const PREFIX: &str = "24";
pub(super) const PROGRAM: &str = "pasta";
/// Where it is looked for: a monitor has no environment.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
const OWN: &str = "a network of an ordinary user's own";
/// How often another free port is tried for one that was free a moment ago.
const TRIES: usize = 3;
/// How long a killed one is waited for, should the kernel not get to it.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// The most of its words that are passed on.
const WORDS: u64 = 2000;

/// The program at work; it has ended when this was dropped, and ends with the pid namespace of this
/// process.
#[derive(Debug)]
pub(super) struct Running {
    process: Option<OwnedFd>,
    pub(super) published: Vec<Publish>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        // fails only when it has ended
        let _ = pidfd_send_signal(process, Signal::KILL);
        // its ports are another's to open only once it is gone
        let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&PATIENCE));
    }
}

/// Starts it for `namespace`; comes back when packets pass. `folder` takes a file for a moment.
pub(super) fn start(
    plan: &Pasta,
    namespace: &OwnedFd,
    folder: &Path,
) -> Result<Running, NetworkError> {
    let any = plan.publish.iter().any(|publish| publish.host_port == 0);
    let mut tries = if any { TRIES } else { 1 };
    loop {
        // taken for a moment, so that what is wrong with a port is said in docker's words
        let doors = doors::take(&plan.publish)?;
        let published: Vec<Publish> = doors.iter().map(|door| door.publish).collect();
        drop(doors);
        tries -= 1;
        match once(&published, namespace, folder) {
            Ok(process) => return Ok(Running { process, published }),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

fn once(
    published: &[Publish],
    namespace: &OwnedFd,
    folder: &Path,
) -> Result<Option<OwnedFd>, NetworkError> {
    let failed = NetworkError::refused;
    let words = rustix::fs::memfd_create("words", MemfdFlags::CLOEXEC)
        .map_err(failed("a file in memory"))?;
    let copy = words.as_fd().try_clone_to_owned();
    let copy = copy.map_err(|error| unstarted(&error))?;
    let number = folder.join(".pasta");
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments(published, namespace.as_raw_fd()))
        .arg("--pid")
        .arg(&number)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(copy);
    // it gets the namespace by its descriptor
    fcntl_setfd(namespace, FdFlags::empty()).map_err(failed("a descriptor"))?;
    let status = command.status();
    fcntl_setfd(namespace, FdFlags::CLOEXEC).map_err(failed("a descriptor"))?;
    let status = status.map_err(|error| unstarted(&error))?;
    let text = std::fs::read_to_string(&number).unwrap_or_default();
    let _ = std::fs::remove_file(&number);
    if !status.success() {
        return Err(said(words, status));
    }
    let process = text.trim().parse().ok().and_then(Pid::from_raw);
    Ok(process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
}

fn arguments(published: &[Publish], namespace: i32) -> Vec<String> {
    let mut words: Vec<String> = [
        "--quiet",
        "--config-net",
        "--ipv4-only",
        // services on the host's loopback are no business of a container's
        "--no-map-gw",
        "--tcp-ns",
        "none",
        "--udp-ns",
        "none",
        "--ns-ifname",
        "eth0",
        "--netmask",
        PREFIX,
    ]
    .map(str::to_owned)
    .into();
    words.extend(["--address".to_owned(), ADDRESS.to_string()]);
    words.extend(["--gateway".to_owned(), GATEWAY.to_string()]);
    for (flag, protocol) in [
        ("--tcp-ports", super::plan::Protocol::Tcp),
        ("--udp-ports", super::plan::Protocol::Udp),
    ] {
        let mut ports = published
            .iter()
            .filter(|publish| publish.protocol == protocol)
            .map(|publish| {
                let (from, to) = (publish.host_port, publish.port);
                if publish.host.is_unspecified() {
                    format!("{from}:{to}")
                } else {
                    format!("{}/{from}:{to}", publish.host)
                }
            })
            .peekable();
        if ports.peek().is_none() {
            words.extend([flag.to_owned(), "none".to_owned()]);
        }
        for port in ports {
            words.extend([flag.to_owned(), port]);
        }
    }
    words.extend(["--netns".to_owned(), format!("/proc/self/fd/{namespace}")]);
    words
}

/// Why it did not do it, by its own word.
fn said(words: OwnedFd, status: ExitStatus) -> NetworkError {
    let mut text = String::new();
    let mut file = std::fs::File::from(words);
    let _ = std::io::Seek::rewind(&mut file);
    // what cannot be read is not said
    let _ = file.take(WORDS).read_to_string(&mut text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains("to syslog"))
        .collect();
    let why = match lines.as_slice() {
        [] => format!("it ended with {status}"),
        lines => lines.join("; "),
    };
    if why.contains("tun") {
        return without_tun(Errno::ACCESS, &format!("pasta says: {why}; "));
    }
    NetworkError::Pasta { why }
}

/// The device that it makes interfaces with cannot be used.
pub(super) fn without_tun(cause: Errno, words: &str) -> NetworkError {
    NetworkError::Lacking {
        what: OWN.to_owned(),
        cause: cause.into(),
        cure: format!(
            "{words}`chmod 666 /dev/net/tun` as root lets everybody use it, as most systems do; or \
             use --network host or none"
        ),
    }
}

/// It is not installed.
pub(super) fn missing() -> NetworkError {
    NetworkError::Lacking {
        what: OWN.to_owned(),
        cause: Errno::NOENT.into(),
        cure: "install the program pasta (Debian's package passt), or use --network host or none"
            .to_owned(),
    }
}

fn unstarted(error: &std::io::Error) -> NetworkError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return NetworkError::Lacking {
            what: "a network of an ordinary user's own".to_owned(),
            cause: Errno::NOENT.into(),
            cure:
                "install the program pasta (Debian's package passt), or use --network host or none"
                    .to_owned(),
        };
    }
    NetworkError::Pasta {
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::plan::Protocol;

    #[test]
    fn ports_are_said_in_its_words() {
        let publish = |host: &str, host_port, protocol| Publish {
            port: 80,
            protocol,
            host: host.parse().unwrap(),
            host_port,
            host_last: 0,
        };
        let ports = [
            publish("0.0.0.0", 8080, Protocol::Tcp),
            publish("127.0.0.1", 8081, Protocol::Tcp),
        ];
        let words = arguments(&ports, 9).join(" ");
        assert!(
            words.contains("--tcp-ports 8080:80 --tcp-ports 127.0.0.1/8081:80 "),
            "{words}"
        );
        assert!(words.contains("--udp-ports none"), "{words}");
        assert!(words.ends_with("--netns /proc/self/fd/9"), "{words}");
    }
}
