//! A host of the test's own, containers on it, and talk between them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use executor::network::{Bridged, Interface, NetworkError, Place, Plan, Publish, Up};
use nix::sched::{CloneFlags, setns, unshare};

/// Moves this thread to a host without interfaces; none, loudly, where that cannot be had.
pub fn host() -> Option<tempfile::TempDir> {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        eprintln!("SKIPPED: a network namespace needs CAP_SYS_ADMIN ({error})");
        return None;
    }
    // loopback up, as every host has it
    executor::sys::process::raise_loopback().unwrap();
    Some(tempfile::tempdir().unwrap())
}

/// A network with this number.
pub fn interface(network: u8, address: u8, bridge: &str) -> Interface {
    let digit = char::from(b'a' + network);
    Interface {
        network: format!("net{network}"),
        network_id: digit.to_string().repeat(64),
        bridge: bridge.to_owned(),
        endpoint: format!("{digit}{address:03}").repeat(16),
        address: Ipv4Addr::new(10, 77, network, address),
        prefix: 24,
        gateway: Ipv4Addr::new(10, 77, network, 1),
        mac: [2, 0x42, 10, 77, network, address],
        mtu: None,
        internal: false,
        aliases: Vec::new(),
    }
}

/// A container that is nothing but its network, served as its monitor would.
pub struct Box {
    pub namespace: OwnedFd,
    pub plan: Plan,
    pub place: Place,
    pub settings: executor::network::Settings,
    over: Arc<AtomicBool>,
    server: Option<JoinHandle<Up>>,
}

impl Box {
    pub fn new(
        store: &Path,
        interfaces: &[Interface],
        publish: &[Publish],
    ) -> Result<Self, NetworkError> {
        let plan = Bridged {
            container: interfaces[0].endpoint.clone(),
            interfaces: interfaces.to_vec(),
            publish: publish.to_vec(),
            resolver: None,
            servers: Vec::new(),
        };
        Self::with(store, plan)
    }

    pub fn with(store: &Path, plan: Bridged) -> Result<Self, NetworkError> {
        let folder = store.join("containers").join(&plan.container);
        std::fs::create_dir_all(&folder).unwrap();
        let place = Place {
            store: store.to_owned(),
            folder,
        };
        let plan = Plan::Bridge(plan);
        let namespace = executor::network::new_namespace()?;
        let copy = namespace.try_clone().unwrap();
        let up = executor::network::set_up(&plan, Some(namespace), &place)?;
        let settings = up.settings().clone();
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let server = std::thread::spawn(move || serve(up, &stop));
        Ok(Self {
            namespace: copy,
            plan,
            place,
            settings,
            over,
            server: Some(server),
        })
    }

    /// Ends the serving, and gives what was served.
    pub fn stop(&mut self) -> Up {
        self.over.store(true, Ordering::Relaxed);
        self.server.take().unwrap().join().unwrap()
    }

    /// Does something inside, in a thread of its own.
    pub fn inside<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = self.namespace.try_clone().unwrap();
        std::thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        })
    }

    /// Listens at a port inside, and tells each of `count` callers who he is.
    pub fn listen(&self, port: u16, count: usize) -> JoinHandle<()> {
        let (ready, wait) = std::sync::mpsc::channel();
        let thread = self.inside(move || {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
            ready.send(()).unwrap();
            for _ in 0..count {
                let (mut caller, from) = listener.accept().unwrap();
                caller.write_all(from.ip().to_string().as_bytes()).unwrap();
            }
        });
        wait.recv().unwrap();
        thread
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        if self.server.is_some() {
            drop(self.stop());
        }
    }
}

fn serve(mut up: Up, over: &AtomicBool) -> Up {
    while !over.load(Ordering::Relaxed) {
        let list = up.descriptors();
        let numbers: Vec<_> = list.iter().map(|(fd, _)| fd.as_raw_fd()).collect();
        let mut fds: Vec<_> = list
            .iter()
            .map(|(fd, flags)| rustix::event::PollFd::from_borrowed_fd(fd.as_fd(), *flags))
            .collect();
        let wait = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        rustix::event::poll(&mut fds, Some(&wait)).unwrap();
        let ready: Vec<_> = fds
            .iter()
            .zip(numbers)
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(_, number)| number)
            .collect();
        for number in ready {
            up.ready(number);
        }
        up.tick();
    }
    up
}

/// What the listener at `to` says; none when nobody answers.
pub fn call(to: impl Into<SocketAddr>) -> Option<String> {
    ask(to.into(), Duration::from_mins(2))
}

/// Whether nobody answers at `to` for a while.
pub fn silent(to: impl Into<SocketAddr>) -> bool {
    ask(to.into(), Duration::from_millis(500)).is_none()
}

fn ask(to: SocketAddr, patience: Duration) -> Option<String> {
    let mut talk = TcpStream::connect_timeout(&to, patience).ok()?;
    talk.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    let mut text = String::new();
    talk.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Names of the interfaces of this thread's host.
pub fn links() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_to_string("/proc/thread-self/net/dev")
        .unwrap()
        .lines()
        .skip(2)
        .filter_map(|line| Some(line.split(':').next()?.trim().to_owned()))
        .collect();
    names.sort();
    names
}
