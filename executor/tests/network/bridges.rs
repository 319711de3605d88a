//! Bridges, ways out, published ports, and what is left of them.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use executor::network::{Plan, Protocol, Publish, Settings, clear, sweep};

use crate::fixture::{Box, call, host, interface, links, silent};

fn publish(host: &str, port: u16, protocol: Protocol) -> Publish {
    Publish {
        port,
        protocol,
        host: host.parse().unwrap(),
        host_port: 0,
        host_last: 0,
    }
}

#[test]
fn neighbours_talk_and_networks_are_apart() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    let before = links();
    let one = Box::new(store, &[interface(0, 2, "rb-first")], &[]).unwrap();
    let two = Box::new(store, &[interface(0, 3, "rb-first")], &[]).unwrap();
    let other = Box::new(store, &[interface(1, 2, "rb-second")], &[]).unwrap();
    // two whose names are none of ours: nothing keeps them apart from what stands for the world
    let plain = Box::new(store, &[interface(3, 2, "plain")], &[]).unwrap();
    let world = Box::new(store, &[interface(2, 2, "world")], &[]).unwrap();

    let address = Ipv4Addr::new(10, 77, 0, 3);
    let listener = two.listen(80, 2);
    let call_two = move || call((address, 80));
    assert_eq!(call_two().as_deref(), Some("10.77.0.1"));
    assert_eq!(
        one.inside(call_two).join().unwrap().as_deref(),
        Some("10.77.0.2")
    );
    assert!(other.inside(move || silent((address, 80))).join().unwrap());
    listener.join().unwrap();

    // the world sees this host's address on its way there, not the container's
    let listener = world.listen(80, 1);
    let out = move || call((Ipv4Addr::new(10, 77, 2, 2), 80));
    assert_eq!(
        plain.inside(out).join().unwrap().as_deref(),
        Some("10.77.2.1")
    );
    listener.join().unwrap();

    drop((one, two, other, plain, world));
    assert_eq!(links(), before);
}

#[test]
fn an_internal_network_has_no_way_out() {
    let Some(folder) = host() else { return };
    let mut inner = interface(0, 2, "inner");
    inner.internal = true;
    let inner = Box::new(folder.path(), &[inner], &[]).unwrap();
    let world = Box::new(folder.path(), &[interface(2, 2, "world")], &[]).unwrap();
    let listener = world.listen(80, 1);
    let out = move || call((Ipv4Addr::new(10, 77, 2, 2), 80));
    let none = inner.inside(|| silent((Ipv4Addr::new(10, 77, 2, 2), 80)));
    assert!(none.join().unwrap());
    assert!(out().is_some());
    listener.join().unwrap();
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    let ports = [
        publish("0.0.0.0", 80, Protocol::Tcp),
        publish("127.0.0.1", 81, Protocol::Tcp),
    ];
    let web = Box::new(store, &[interface(0, 2, "first")], &ports).unwrap();
    let near = Box::new(store, &[interface(0, 3, "first")], &[]).unwrap();
    let world = Box::new(store, &[interface(2, 2, "world")], &[]).unwrap();
    assert_eq!(Settings::read(&web.place.folder).unwrap(), web.settings);
    let find = |port| {
        let found = web.settings.published.iter().find(|one| one.port == port);
        found.unwrap().host_port
    };
    let (all, local) = (find(80), find(81));

    let listener = web.listen(80, 5);
    let at = |a, b, c, d| move || call((Ipv4Addr::new(a, b, c, d), all));
    // loopback comes through the proxy, the rest through the kernel
    assert_eq!(at(127, 0, 0, 1)().as_deref(), Some("10.77.0.1"));
    assert_eq!(at(10, 77, 2, 1)().as_deref(), Some("10.77.2.1"));
    let world_calls = world.inside(at(10, 77, 2, 1)).join().unwrap();
    // a container of another network comes as this host, as to everybody out there
    assert_eq!(world_calls.as_deref(), Some("10.77.0.1"));
    assert!(near.inside(at(10, 77, 0, 1)).join().unwrap().is_some());
    assert!(web.inside(at(10, 77, 0, 1)).join().unwrap().is_some());
    listener.join().unwrap();

    let listener = web.listen(81, 1);
    let from_world = world.inside(move || silent((Ipv4Addr::new(10, 77, 2, 1), local)));
    assert!(from_world.join().unwrap());
    assert!(call((Ipv4Addr::LOCALHOST, local)).is_some());
    listener.join().unwrap();

    let taken = Publish {
        host_port: local,
        ..ports[1]
    };
    let before = links();
    let refused = Box::new(store, &[interface(0, 9, "first")], &[taken])
        .err()
        .unwrap();
    assert!(refused.to_string().contains("already"), "{refused}");
    assert_eq!(links(), before);
}

#[test]
fn datagrams_go_there_and_back() {
    let Some(folder) = host() else { return };
    let ports = [publish("0.0.0.0", 53, Protocol::Udp)];
    let server = Box::new(folder.path(), &[interface(0, 2, "rb-first")], &ports).unwrap();
    let (ready, wait) = std::sync::mpsc::channel();
    let echo = server.inside(move || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap();
        ready.send(()).unwrap();
        for _ in 0..4 {
            let mut buffer = [0; 64];
            let (count, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..count], from).unwrap();
        }
    });
    wait.recv().unwrap();
    let port = server.settings.published[0].host_port;
    for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 77, 0, 1)] {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_mins(2)))
            .unwrap();
        socket.connect((IpAddr::V4(host), port)).unwrap();
        for text in ["one", "two"] {
            let mut buffer = [0; 64];
            socket.send(text.as_bytes()).unwrap();
            let count = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], text.as_bytes(), "{host}");
        }
    }
    echo.join().unwrap();
}

#[test]
fn a_port_and_an_address_are_free_as_soon_as_it_ends() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    let ports = [publish("0.0.0.0", 80, Protocol::Tcp)];
    let mut one = Box::new(store, &[interface(0, 2, "rb-first")], &ports).unwrap();
    let port = one.settings.published[0].host_port;
    let mut served = one.stop();
    served.end();
    let mut again = interface(0, 2, "rb-first");
    again.endpoint = "f".repeat(64);
    let ports = [Publish {
        host_port: port,
        ..ports[0]
    }];
    // the very same container, started again before the kernel has done with what it had
    let Plan::Bridge(mut plan) = one.plan.clone() else {
        panic!("{:?}", one.plan);
    };
    (plan.interfaces, plan.publish) = (vec![again], ports.to_vec());
    let two = Box::with(store, plan).unwrap();
    let listener = two.listen(80, 2);
    assert!(call((Ipv4Addr::new(10, 77, 0, 1), port)).is_some());
    assert!(call((Ipv4Addr::new(10, 77, 0, 2), 80)).is_some());
    listener.join().unwrap();
    drop(served);
}

#[test]
fn a_filter_that_drops_what_is_passed_on_lets_ours_pass() {
    let Some(folder) = host() else { return };
    let nft = |words: &str| {
        let done = std::process::Command::new("nft")
            .args(words.split(' '))
            .output();
        done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let chain =
        "add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }";
    if nft("add table ip filter").is_err() {
        eprintln!("SKIPPED: another program's filter takes the program `nft`");
        return;
    }
    nft(chain).unwrap();
    // left by a bridge whose containers were killed
    nft("insert rule ip filter FORWARD iifname rb-gone accept comment \"rbuild rb-gone\"").unwrap();
    let store = folder.path();
    let plain = Box::new(store, &[interface(3, 2, "plain")], &[]).unwrap();
    let world = Box::new(store, &[interface(2, 2, "world")], &[]).unwrap();
    let rules = nft("list chain ip filter FORWARD").unwrap();
    for (text, count) in [("rbuild plain", 2), ("rbuild world", 2), ("rb-gone", 0)] {
        assert_eq!(rules.matches(text).count(), count, "{rules}");
    }
    let listener = world.listen(80, 1);
    let out = move || call((Ipv4Addr::new(10, 77, 2, 2), 80));
    assert!(plain.inside(out).join().unwrap().is_some());
    listener.join().unwrap();
    drop((plain, world));
    let rules = nft("list chain ip filter FORWARD").unwrap();
    assert!(!rules.contains("rbuild"), "{rules}");
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    let mut one = Box::new(store, &[interface(0, 2, "rb-first")], &[]).unwrap();
    let two = Box::new(store, &[interface(1, 2, "rb-second")], &[]).unwrap();
    let listener = two.listen(80, 2);
    let reach = move || call((Ipv4Addr::new(10, 77, 1, 2), 80));
    let none = || silent((Ipv4Addr::new(10, 77, 1, 2), 80));
    assert!(one.inside(none).join().unwrap());
    let mut up = one.stop();
    let second = interface(1, 3, "rb-second");
    up.connect(&second).unwrap();
    assert_eq!(up.settings().interfaces.len(), 2);
    assert_eq!(one.inside(links).join().unwrap(), ["eth0", "eth1", "lo"]);
    assert_eq!(
        one.inside(reach).join().unwrap().as_deref(),
        Some("10.77.1.3")
    );
    up.disconnect(&second.network_id).unwrap();
    assert!(up.disconnect(&second.network_id).is_err());
    assert_eq!(one.inside(links).join().unwrap(), ["eth0", "lo"]);
    assert!(one.inside(none).join().unwrap());
    reach();
    listener.join().unwrap();
}

#[test]
fn what_a_killed_process_leaves_is_cleared() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    let before = links();
    let mut one = Box::new(store, &[interface(0, 2, "rb-first")], &[]).unwrap();
    let two = Box::new(store, &[interface(0, 3, "rb-first")], &[]).unwrap();
    // as if it had been killed: nothing of it is undone in order
    std::mem::forget(one.stop());
    clear(&one.plan, &one.place);
    let listener = two.listen(80, 1);
    assert!(call((Ipv4Addr::new(10, 77, 0, 3), 80)).is_some());
    listener.join().unwrap();
    drop(two);
    assert_eq!(links(), before);
    let bridges = [("a".repeat(64), "rb-first".to_owned())];
    assert!(sweep(store, &bridges, &|_| false).unwrap().is_empty());
    // a bridge whose containers were killed with those who could have cleared it
    let made = std::process::Command::new("ip")
        .args(["link", "add", "rb-first", "type", "bridge"])
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: an empty bridge takes the program `ip`");
        return;
    }
    assert_eq!(sweep(store, &bridges, &|_| false).unwrap(), ["rb-first"]);
    assert_eq!(links(), before);
}

#[test]
#[ignore = "says how long it takes"]
fn how_long_it_takes() {
    let Some(folder) = host() else { return };
    let mut lines = Vec::new();
    for number in 0..20 {
        let start = std::time::Instant::now();
        let mut one =
            Box::new(folder.path(), &[interface(0, 2 + number, "rb-first")], &[]).unwrap();
        let up = start.elapsed();
        let mut served = one.stop();
        let start = std::time::Instant::now();
        served.end();
        let ended = start.elapsed();
        drop(served);
        lines.push(format!(
            "up {up:?}, ended {ended:?}, gone {:?}",
            start.elapsed()
        ));
    }
    eprintln!("{}", lines.join("\n"));
}
