//! The texts of `/etc/hosts` and `/etc/resolv.conf` inside a container.
//!
//! Knows texts and addresses; how they are mounted is the container's business.

use std::fmt::Write;
use std::net::IpAddr;

use super::spec::Network;

/// `--add-host NAME:host-gateway` in a network that has no way to the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host-gateway for {host} needs a network: this step runs with --network=none")]
pub struct NoHostGateway {
    /// Name of the host.
    pub host: String,
}

/// `/etc/hosts`: this host, loopback, then what `--add-host` says.
pub fn hosts(
    hostname: &str,
    extra: &[(String, String)],
    network: Network,
) -> Result<String, NoHostGateway> {
    let mut text = String::from("127.0.0.1\tlocalhost");
    if !hostname.is_empty() {
        text.push(' ');
        text.push_str(hostname);
    }
    text.push_str("\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in extra {
        let address = match (address.as_str(), network) {
            // With the host's network, the way to the host is loopback.
            ("host-gateway", Network::Host) => "127.0.0.1",
            ("host-gateway", Network::None | Network::Given(_)) => {
                return Err(NoHostGateway { host: name.clone() });
            }
            (address, _) => address.trim_start_matches('[').trim_end_matches(']'),
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    Ok(text)
}

/// Servers that are asked when none of the host's can be reached from another network.
const PUBLIC_SERVERS: &str = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n\
     nameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n";

/// `/etc/resolv.conf`: the host's as it is when the step shares the host's network, else without
/// servers on loopback. `read` gives the content of a host's file, empty if there is none.
pub fn resolv_conf(network: Network, read: impl Fn(&str) -> String) -> String {
    let text = read("/etc/resolv.conf");
    if network.is_host() {
        return text;
    }
    let servers: Vec<IpAddr> = text.lines().filter_map(server).collect();
    let stub_only = matches!(servers[..], [IpAddr::V4(only)] if only.octets() == [127, 0, 0, 53]);
    let text = if stub_only {
        read("/run/systemd/resolve/resolv.conf")
    } else {
        text
    };
    without_loopback(&text)
}

fn without_loopback(text: &str) -> String {
    let mut kept = String::new();
    let mut any = false;
    for line in text.lines() {
        match server(line) {
            Some(address) if address.is_loopback() => continue,
            Some(_) => any = true,
            None => {}
        }
        kept.push_str(line);
        kept.push('\n');
    }
    if !any {
        kept.push_str(PUBLIC_SERVERS);
    }
    kept
}

/// The addresses of the servers that a resolv.conf names.
pub fn servers(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(server).collect()
}

/// The address of a `nameserver` line. See resolv.conf(5).
fn server(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    let address = (words.next() == Some("nameserver")).then(|| words.next())??;
    // A zone (`fe80::1%eth0`) says through which link, not where.
    address.split('%').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_has_loopback_and_what_was_added() {
        let extra = [
            ("db".to_owned(), "10.0.0.7".to_owned()),
            ("six".to_owned(), "[2001:db8::1]".to_owned()),
            ("up".to_owned(), "host-gateway".to_owned()),
        ];
        assert_eq!(
            hosts("box", &extra, Network::Host).unwrap(),
            "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             10.0.0.7\tdb\n2001:db8::1\tsix\n127.0.0.1\tup\n"
        );
        assert!(
            hosts("", &extra[..2], Network::None)
                .unwrap()
                .starts_with("127.0.0.1\tlocalhost\n")
        );
        assert!(matches!(
            hosts("box", &extra, Network::None),
            Err(NoHostGateway { host }) if host == "up"
        ));
    }

    #[test]
    fn resolv_conf_is_the_hosts_unless_loopback_cannot_be_reached() {
        let read = |etc: &'static str| {
            move |path: &str| match path {
                "/etc/resolv.conf" => etc.to_owned(),
                "/run/systemd/resolve/resolv.conf" => {
                    "nameserver 10.1.1.1\nsearch real\n".to_owned()
                }
                other => panic!("read {other}"),
            }
        };
        let stub = "# stub\nnameserver 127.0.0.53\noptions edns0\n";
        for (network, etc, want) in [
            (Network::Host, stub, stub),
            (
                Network::Host,
                "nameserver 127.0.0.1",
                "nameserver 127.0.0.1",
            ),
            (Network::None, stub, "nameserver 10.1.1.1\nsearch real\n"),
            (
                Network::None,
                "search x\nnameserver ::1\nnameserver 127.0.0.1\nnameserver fe80::1%eth0",
                "search x\nnameserver fe80::1%eth0\n",
            ),
        ] {
            assert_eq!(resolv_conf(network, read(etc)), want, "{network:?} {etc}");
        }
        let public = resolv_conf(Network::None, read("nameserver 127.0.0.1\noptions x\n"));
        assert_eq!(public, format!("options x\n{PUBLIC_SERVERS}"));
        assert_eq!(resolv_conf(Network::None, read("")), PUBLIC_SERVERS);
    }
}
