//! Networks of containers, through the binary: names, published ports, ways in and out, and that
//! nothing stays. Only root has bridges; others have published ports and a way out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::place::{BASE, Cleared, PATIENCE, Place, doctor, has_networks};

/// A place of root's; none, loudly, for anybody else and where there are no bridges.
fn place() -> Option<Place> {
    let place = Place::with_base()?;
    if doctor(&place)["tier"] != "root" {
        eprintln!("SKIPPED: only root can have bridges");
        return None;
    }
    has_networks(&place).then_some(place)
}

/// Removes what a test started, whatever became of it.
struct Containers<'p>(&'p Place, &'p [&'p str]);

impl Drop for Containers<'_> {
    fn drop(&mut self) {
        let mut words = vec!["rm", "-f"];
        words.extend(self.1);
        self.0.rbuild(&words);
    }
}

/// Names of this host's interfaces that are of the network `name` of a place.
fn bridge(place: &Place, name: &str) -> Option<String> {
    let id = place
        .rbuild(&["network", "inspect", "-f", "{{.Id}}", name])
        .ok();
    let bridge = format!("rb-{}", &id.out[..12]);
    std::path::Path::new("/sys/class/net")
        .join(&bridge)
        .exists()
        .then_some(bridge)
}

/// Waits for the bridge to go: it goes after everybody was told of the container's end.
fn is_gone(place: &Place, name: &str) -> bool {
    let start = Instant::now();
    while bridge(place, name).is_some() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// What a web server answers.
fn get(address: &str) -> String {
    let start = Instant::now();
    loop {
        // the server may be still starting
        if let Ok(mut talk) = TcpStream::connect(address) {
            let mut text = String::new();
            let asked = talk.write_all(b"GET / HTTP/1.0\r\n\r\n");
            if asked.is_ok() && talk.read_to_string(&mut text).is_ok() && !text.is_empty() {
                return text;
            }
        }
        assert!(start.elapsed() < PATIENCE, "nobody answers at {address}");
        std::thread::yield_now();
    }
}

#[test]
fn a_container_is_reached_by_its_address_and_by_a_port_of_the_host() {
    let Some(place) = place() else { return };
    let _over = Containers(&place, &["web"]);
    let serve = "echo page > /tmp/index.html; exec busybox httpd -f -h /tmp";
    place
        .rbuild(&[
            "run",
            "-d",
            "--name",
            "web",
            "-p",
            "127.0.0.1::80",
            BASE,
            "sh",
            "-c",
            serve,
        ])
        .ok();
    let format = "{{.NetworkSettings.IPAddress}}";
    let address = place.rbuild(&["inspect", "-f", format, "web"]).ok().out;
    assert!(get(&format!("{}:80", address.trim())).ends_with("page\n"));
    let port = place.rbuild(&["port", "web", "80"]).ok().out;
    assert!(get(port.trim()).ends_with("page\n"));
    let taken = format!("{}:81", port.trim());
    place
        .rbuild(&["run", "--rm", "-p", &taken, BASE, "true"])
        .fails(125, "already");
    assert!(bridge(&place, "bridge").is_some());
    place.rbuild(&["rm", "-f", "web"]).ok();
    assert!(is_gone(&place, "bridge"));
}

#[test]
fn containers_know_each_other_by_name_on_networks_of_their_own() {
    let Some(place) = place() else { return };
    place.rbuild(&["network", "create", "net"]).ok();
    place
        .rbuild(&["network", "create", "--internal", "other"])
        .ok();
    let _over = Containers(&place, &["one", "two"]);
    for (name, network) in [("one", "net"), ("two", "other")] {
        place
            .rbuild(&[
                "run",
                "-d",
                "--name",
                name,
                "--network",
                network,
                BASE,
                "sleep",
                "600",
            ])
            .ok();
    }
    let ping = |name: &str| {
        let words = [
            "exec", "one", "busybox", "ping", "-c", "1", "-W", "60", name,
        ];
        place.rbuild(&words).code
    };
    assert_ne!(ping("two"), 0);
    place
        .rbuild(&["network", "connect", "--alias", "second", "net", "two"])
        .ok();
    assert_eq!((ping("two"), ping("second")), (0, 0));
    place
        .rbuild(&["network", "connect", "net", "two"])
        .fails(1, "already exists");
    place.rbuild(&["rename", "two", "three"]).ok();
    assert_eq!(ping("three"), 0);
    place.rbuild(&["rename", "three", "two"]).ok();
    place
        .rbuild(&["network", "rm", "net"])
        .fails(1, "has active endpoints");
    place.rbuild(&["network", "disconnect", "net", "two"]).ok();
    assert_ne!(ping("two"), 0);
    place.rbuild(&["rm", "-f", "one", "two"]).ok();
    place.rbuild(&["network", "rm", "net", "other"]).ok();
    place
        .rbuild(&["network", "inspect", "net"])
        .fails(1, "No such network");
}

/// Whatever kills a monitor: addresses and ports are free, and no interface stays.
#[test]
fn a_killed_monitor_leaves_nothing() {
    let Some(place) = place() else { return };
    let subnet = "10.213.77.0/24";
    place
        .rbuild(&["network", "create", "--subnet", subnet, "net"])
        .ok();
    let run = |name: &str| {
        let words = [
            "run",
            "-d",
            "--name",
            name,
            "--network",
            "net",
            "--ip",
            "10.213.77.7",
            BASE,
            "sleep",
            "600",
        ];
        place.rbuild(&words)
    };
    let _over = Containers(&place, &["one", "two"]);
    run("one").ok();
    run("two").fails(125, "Address already in use");
    let id = place.rbuild(&["inspect", "-f", "{{.Id}}", "one"]).ok().out;
    let killed = monitors(id.trim());
    assert!(!killed.is_empty());
    for pid in killed {
        let _ = std::process::Command::new("kill")
            .args(["-KILL", &pid])
            .status();
    }
    place.rbuild(&["rm", "-f", "one", "two"]).ok();
    run("two").ok();
    place.rbuild(&["rm", "-f", "two"]).ok();
    assert!(is_gone(&place, "net"));
    place.rbuild(&["network", "rm", "net"]).ok();
}

/// The processes that hold the lock of a container.
fn monitors(id: &str) -> Vec<String> {
    let is_monitor = |pid: &str| {
        let links = std::fs::read_dir(format!("/proc/{pid}/fd"));
        links.into_iter().flatten().flatten().any(|link| {
            let to = std::fs::read_link(link.path()).unwrap_or_default();
            to.ends_with(format!("{id}/lock"))
        })
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| is_monitor(pid))
        .collect()
}

/// A server at port 80 of a container.
const SERVE: &str = "echo page > /tmp/index.html; exec busybox httpd -f -h /tmp";

#[test]
fn an_ordinary_users_container_is_reached_by_its_published_ports() {
    let Some(place) = Place::with_base().map(Cleared) else {
        return;
    };
    if doctor(&place)["tier"] == "root" {
        eprintln!("SKIPPED: root has bridges");
        return;
    }
    let run = |name: &str, port: &str| {
        let words = [
            "run", "-d", "--name", name, "-p", port, BASE, "sh", "-c", SERVE,
        ];
        place.rbuild(&words)
    };
    if !has_networks(&place) {
        run("web", "127.0.0.1::80").fails(125, "use --network host or none");
        return;
    }
    run("web", "127.0.0.1::80").ok();
    let port = place.rbuild(&["port", "web", "80"]).ok().out;
    assert!(get(port.trim()).ends_with("page\n"));
    let taken = format!("{}:80", port.trim());
    run("other", &taken).fails(125, "already");
    place.rbuild(&["rm", "-f", "other"]).ok();
    let inside = place.rbuild(&["exec", "web", "ip", "-4", "addr", "show", "eth0"]);
    assert!(inside.ok().out.contains("inet "));
    let ways = place.rbuild(&["exec", "web", "ip", "route"]).ok().out;
    assert!(ways.contains("default via"), "{ways}");
    // nobody answers in the name of the host's loopback
    let gateway = ways.split_whitespace().nth(2).unwrap_or_default();
    let served = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = served.local_addr().unwrap().port().to_string();
    let asked = [
        "exec", "web", "busybox", "nc", "-w", "2", gateway, &host, "-e", "true",
    ];
    assert_ne!(place.rbuild(&asked).code, 0);
    place.rbuild(&["network", "create", "net"]).ok();
    place
        .rbuild(&["run", "--rm", "--network", "net", BASE, "true"])
        .fails(125, "root");
    place.rbuild(&["rm", "-f", "web"]).ok();
    // free for the next, whoever it is
    run("again", &taken).ok();
    assert!(get(port.trim()).ends_with("page\n"));
    let id = place
        .rbuild(&["inspect", "-f", "{{.Id}}", "again"])
        .ok()
        .out;
    for pid in monitors(id.trim()) {
        let _ = std::process::Command::new("kill")
            .args(["-KILL", &pid])
            .status();
    }
    // nor does a killed monitor leave somebody who listens
    let start = Instant::now();
    while let Err(error) = std::net::TcpListener::bind(port.trim()) {
        assert!(start.elapsed() < PATIENCE, "{error}");
        std::thread::yield_now();
    }
}
