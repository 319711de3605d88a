//! Names of containers, asked of the resolver inside.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use cache::networks::{Endpoints, StoredNetwork, Wanted};
use executor::network::{Bridged, Interface};

use crate::fixture::{Box, host, interface};

/// A question for the address of a name.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// The address that the resolver gives for a name, or the code of its refusal.
fn ask(name: &str) -> Result<Ipv4Addr, u8> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_mins(2)))
        .unwrap();
    socket.connect("127.0.0.11:53").unwrap();
    socket.send(&question(name)).unwrap();
    let mut buffer = [0; 512];
    let count = socket.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..2], [0x12, 0x34]);
    match buffer[3] & 15 {
        0 => {
            let address: [u8; 4] = buffer[count - 4..count].try_into().unwrap();
            Ok(address.into())
        }
        code => Err(code),
    }
}

/// As `rbuild run` has it: an endpoint that counts, and a container with a resolver on it.
fn start(store: &Path, interface: &Interface, name: &str, servers: Vec<IpAddr>) -> Box {
    let network = StoredNetwork {
        id: interface.network_id.clone(),
        name: interface.network.clone(),
        driver: "bridge".to_owned(),
        subnet: Some(cache::networks::Subnet::of(
            interface.address,
            interface.prefix,
        )),
        gateway: Some(interface.gateway),
        pool: None,
        given: true,
        internal: interface.internal,
        labels: std::collections::BTreeMap::new(),
        options: std::collections::BTreeMap::new(),
        created: 0,
    };
    let container = interface.endpoint.clone();
    let wanted = Wanted {
        container: container.clone(),
        name: name.to_owned(),
        address: Some(interface.address),
        aliases: vec![format!("other-{name}")],
        ..Wanted::default()
    };
    let alive = |id: &str| {
        executor::monitor::Lock::is_held(&store.join("containers").join(id)).unwrap_or(false)
    };
    let endpoints = Endpoints::at(store, &network.id);
    let taken = endpoints.take(&network, wanted, &alive).unwrap();
    let plan = Bridged {
        container: container.clone(),
        interfaces: vec![interface.clone()],
        publish: Vec::new(),
        resolver: Some(servers),
        servers: Vec::new(),
    };
    let started = Box::with(store, plan).unwrap();
    let lock = executor::monitor::Lock::take(&store.join("containers").join(&container));
    std::mem::forget(lock.unwrap().unwrap());
    taken.leave();
    started
}

#[test]
fn containers_are_found_by_name_on_their_own_networks() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    let one = start(store, &interface(0, 2, "rb-first"), "one", Vec::new());
    let two = start(store, &interface(0, 3, "rb-first"), "two", Vec::new());
    let other = start(store, &interface(1, 2, "rb-second"), "far", Vec::new());
    let two_is = Ipv4Addr::new(10, 77, 0, 3);
    for name in ["two", "TWO", "other-two", "two.net0"] {
        let found = one.inside(move || ask(name)).join().unwrap();
        assert_eq!(found, Ok(two_is), "{name}");
    }
    let found = two.inside(|| ask("one")).join().unwrap();
    assert_eq!(found, Ok(Ipv4Addr::new(10, 77, 0, 2)));
    // nobody else can be asked
    assert_eq!(one.inside(|| ask("far")).join().unwrap(), Err(2));
    assert_eq!(other.inside(|| ask("two")).join().unwrap(), Err(2));
    // port 53 is the container's own
    let own = one.inside(|| {
        UdpSocket::bind("0.0.0.0:53")
            .and_then(|_| TcpListener::bind("0.0.0.0:53"))
            .map(drop)
    });
    own.join().unwrap().unwrap();
}

#[test]
fn what_is_not_known_is_asked_of_the_hosts_servers() {
    let Some(folder) = host() else { return };
    let store = folder.path();
    // of the two servers only the second is there
    let server = UdpSocket::bind("127.0.0.2:53").unwrap();
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let (count, from) = server.recv_from(&mut buffer).unwrap();
        let mut reply = buffer[..count].to_vec();
        reply[2] = 0x80;
        reply[7] = 1;
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 9]);
        server.send_to(&reply, from).unwrap();
    });
    let servers: Vec<IpAddr> = ["127.0.0.3", "127.0.0.2"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let one = start(store, &interface(0, 2, "rb-first"), "one", servers.clone());
    let found = one.inside(|| ask("example.org")).join().unwrap();
    assert_eq!(found, Ok(Ipv4Addr::new(192, 0, 2, 9)));
    answers.join().unwrap();
    let mut inner = interface(1, 2, "rb-inner");
    inner.internal = true;
    let inner = start(store, &inner, "inner", servers);
    assert_eq!(inner.inside(|| ask("example.org")).join().unwrap(), Err(2));
}
