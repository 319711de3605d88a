//! What a container may ask for beyond the defaults.

use executor::container::ContainerError;
use executor::container::spec::{Device, MountSource, Namespace, Network, Propagation};
use executor::monitor::{Attach, Health, HealthState, Kind, MonitorError, Waiting, start};
use executor::network::Plan;
use std::time::Duration;

use crate::Case;
use crate::exec::sh;
use crate::place::{Place, World, hear};

pub const CASES: &[Case] = &[
    ("options::init", init),
    ("options::the_hosts_namespaces", hosts_namespaces),
    ("options::another_containers_namespaces", other_namespaces),
    ("options::devices", devices),
    ("options::kernel_parameters", kernel_parameters),
    ("options::memory_over_a_directory", memory),
    ("options::unmasked", unmasked),
    ("options::mounts_that_travel", propagation),
    ("options::healthy", healthy),
    ("options::unhealthy", unhealthy),
];

/// Whether this process administrates the first user namespace.
fn is_root() -> bool {
    executor::namespace::is_initial()
}

fn said(place: &Place) -> String {
    let heard = hear(&mut place.attached(false));
    assert_eq!(heard.code, Some(0), "{heard:?}");
    heard.out
}

fn init(world: &World) {
    let mut place = world.place("cat /proc/1/comm; echo $$; (sleep .01 &) ; exit 0");
    place.life.spec.process.init = true;
    assert_eq!(said(&place), "rbuild-init\n2\n");
    let mut place =
        world.place("trap 'exit 5' TERM; echo x > /tmp/ready; while :; do sleep .1; done");
    place.life.spec.process.init = true;
    place.start().unwrap();
    place.until("ready", |_| place.folder.join("fs/tmp/ready").exists());
    place.control().stop(None, None).unwrap();
    assert_eq!(place.status().exit_code, 5);
}

fn hosts_namespaces(world: &World) {
    let mut place = world.place(
        "readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts; ls /dev/shm | grep -c mark",
    );
    place.life.spec.namespaces.ipc = Namespace::Host;
    place.life.spec.namespaces.uts = Namespace::Host;
    let mark = tempfile::Builder::new()
        .prefix("mark")
        .tempfile_in("/dev/shm")
        .unwrap();
    let own = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    let wanted = format!("{}\n{}\n1\n", own("ipc").display(), own("uts").display());
    assert_eq!(said(&place), wanted);
    drop(mark);

    if !is_root() {
        return eprintln!("SKIPPED: only root can see the host's processes");
    }
    let mut place = world.place("readlink /proc/self/ns/pid; test -d /proc/$1; exec sleep 1000");
    place
        .life
        .spec
        .process
        .args
        .extend(["sh".to_owned(), std::process::id().to_string()]);
    place.life.spec.namespaces.pid = Namespace::Host;
    place.start().unwrap();
    let log = place.until("said", |_| !place.log().is_empty());
    assert_eq!(place.log()[0].1, format!("{}\n", own("pid").display()));
    place.until_called("sleep");
    assert_eq!(
        sh(&place, "sleep 1000 > /dev/null 2>&1 & echo $!")
            .unwrap()
            .1,
        0
    );
    place.control().stop(None, Some(0)).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{}", log.pid)).exists());
}

fn other_namespaces(world: &World) {
    let mut first = world.place("sleep 1000");
    first.life.network = Plan::None;
    first.life.spec.network = Network::None;
    first.start().unwrap();
    first.until_called("sleep");
    let links =
        "for n in pid ipc uts net; do readlink /proc/self/ns/$n; done; ps -o comm | grep -c sleep";
    let mut second = world.place(links);
    let mut control = first.control();
    let kinds = [Kind::Pid, Kind::Ipc, Kind::Uts, Kind::Network];
    let joined = kinds.map(|kind| control.namespace(kind).unwrap());
    second.life.spec.namespaces.pid = Namespace::Given(0);
    second.life.spec.namespaces.ipc = Namespace::Given(1);
    second.life.spec.namespaces.uts = Namespace::Given(2);
    second.life.spec.network = Network::Given(3);
    second.life.network = Plan::Of {
        container: first.life.id.clone(),
    };
    let attach = Attach {
        stdin: false,
        size: None,
    };
    let started = start(Waiting::new().unwrap(), &second.life, &joined, Some(attach)).unwrap();
    let heard = hear(&mut started.attached.unwrap());
    assert_eq!(heard.out, sh(&first, links).unwrap().0, "{heard:?}");
    // what was not sent is missed
    let error = start(Waiting::new().unwrap(), &second.life, &[], None).unwrap_err();
    assert!(
        matches!(
            error,
            MonitorError::Container(ContainerError::Invalid { .. })
        ),
        "{error}"
    );
    // whoever's processes one shares, one ends with
    second.life.spec.process.args = ["/bin/sleep", "1000"].map(str::to_owned).into();
    start(Waiting::new().unwrap(), &second.life, &joined, None).unwrap();
    first.control().stop(None, Some(0)).unwrap();
    assert_eq!(second.over().exit_code, 137);
}

fn devices(world: &World) {
    if !is_root() {
        return eprintln!("SKIPPED: only root can give devices");
    }
    let device = |source: &str, target: &str| Device {
        source: source.into(),
        target: target.to_owned(),
    };
    let mut place = world.place("head -c 3 /dev/nought | wc -c; head -c 2 /srv/zero | wc -c");
    place.life.spec.devices = vec![
        device("/dev/zero", "/dev/nought"),
        device("/dev/zero", "/srv/zero"),
    ];
    assert_eq!(said(&place), "3\n2\n");
    for source in ["/dev/nosuch", "/dev/fd", "/etc/passwd"] {
        place.life.spec.devices = vec![device(source, "/dev/x")];
        assert!(place.start().is_err(), "{source}");
    }
}

fn kernel_parameters(world: &World) {
    let mut place = world.place("cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax; cat /proc/self/oom_score_adj");
    place.life.network = Plan::None;
    place.life.spec.sysctls = [("net.ipv4.ip_default_ttl", "33"), ("kernel.msgmax", "1234")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    place.life.spec.oom_score_adj = Some(100);
    assert_eq!(said(&place), "33\n1234\n100\n");
    place.life.spec.sysctls = vec![("kernel.panic".to_owned(), "1".to_owned())];
    let error = place.start().unwrap_err().to_string();
    assert!(error.contains("separate kernel namespace"), "{error}");
}

fn memory(world: &World) {
    let mut place = world.place("stat -c '%a %u:%g' /new /tmp /var/old");
    for (target, mode) in [
        ("/new", Some(0o700)),
        ("/tmp", Some(0o700)),
        ("/var/old", None),
    ] {
        let source = MountSource::Tmpfs {
            size: 1 << 20,
            mode,
            uid: 0,
            gid: 0,
        };
        place
            .life
            .spec
            .mounts
            .push(crate::base::mount(target, source));
    }
    // what was there before decides
    assert_eq!(said(&place), "700 0:0\n755 0:0\n755 0:0\n");
}

fn unmasked(world: &World) {
    let script = "grep -q -E ' /proc/(kcore|keys|interrupts|timer_list) ' /proc/mounts && echo 1 || echo 0; grep -c '/proc/sys proc ro' /proc/mounts; true";
    let mut place = world.place(script);
    assert_eq!(said(&place), "1\n1\n");
    place.life.spec.security.unmasked = true;
    assert_eq!(said(&place), "0\n0\n");
}

fn propagation(world: &World) {
    if !is_root() {
        return eprintln!("SKIPPED: only root can let mounts travel");
    }
    let shared = world.store().join("shared");
    std::fs::create_dir_all(shared.join("later")).unwrap();
    let mount = |args: &[&str]| {
        let done = std::process::Command::new("mount")
            .args(args)
            .arg(&shared)
            .status();
        assert!(done.unwrap().success(), "{args:?}");
    };
    mount(&["-t", "tmpfs", "none"]);
    mount(&["--make-shared"]);
    std::fs::create_dir(shared.join("later")).unwrap();
    let mut place = world.place("sleep 1000");
    place.life.host_sources.push(shared.clone());
    let mut asked = crate::base::mount("/shared", MountSource::Host(shared.clone()));
    asked.propagation = Propagation::Slave;
    place.life.spec.mounts.push(asked);
    place.start().unwrap();
    let later = shared.join("later");
    let done = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "none"])
        .arg(&later)
        .status();
    let seen = sh(&place, "grep -c ' /shared/later tmpfs' /proc/mounts")
        .unwrap()
        .0;
    let _ = std::process::Command::new("umount").arg(&later).status();
    let _ = std::process::Command::new("umount")
        .arg("-l")
        .arg(&shared)
        .status();
    assert!(done.unwrap().success());
    assert_eq!(seen, "1\n");
}

fn check(script: &str) -> Health {
    Health {
        args: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        interval: Duration::from_millis(20),
        timeout: Duration::from_mins(2),
        start_period: Duration::ZERO,
        start_interval: Duration::ZERO,
        retries: 2,
    }
}

fn healthy(world: &World) {
    let mut place = world.place("sleep 1000");
    place.life.health = Some(check("echo checked; echo as $USER; exec true"));
    place.life.spec.process.env.push("USER=box".to_owned());
    place.start().unwrap();
    let status = place.until("healthy", |status| {
        let health = status.health.as_ref().unwrap();
        health.status == HealthState::Healthy && health.log.len() == 5
    });
    let log = &status.health.as_ref().unwrap().log[0];
    assert_eq!(
        (log.exit_code, log.output.as_str()),
        (0, "checked\nas box\n")
    );
    assert!(log.start <= log.end);
}

fn unhealthy(world: &World) {
    let mut place = world.place("sleep 1000");
    place.life.health = Some(check("head -c 10000 /dev/zero; exit 3"));
    place.start().unwrap();
    let unhealthy = |status: &executor::monitor::Status| {
        let health = status.health.as_ref().unwrap();
        health.status == HealthState::Unhealthy
    };
    let status = place.until("unhealthy", unhealthy);
    let health = status.health.unwrap();
    assert!(health.failing_streak >= 2);
    assert_eq!(
        (health.log[0].exit_code, health.log[0].output.len()),
        (3, 4096)
    );
    // one that takes too long is killed
    let mut place = world.place("sleep 1000");
    place.life.health = Some(Health {
        timeout: Duration::from_millis(50),
        ..check("sleep 1000")
    });
    place.start().unwrap();
    let status = place.until("unhealthy", unhealthy);
    let log = &status.health.as_ref().unwrap().log[0];
    assert_eq!(log.exit_code, -1);
    assert!(log.output.contains("exceeded timeout"), "{log:?}");
    place.control().stop(None, Some(0)).unwrap();
}
