//! Ports: which a container listens on, and which of the host's lead there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use executor::network::{Protocol, Publish};
use serde_json::{Value as Json, json};

use super::ENGINE;
use super::document::PortBinding;
use crate::report::Failure;

/// Ports of the host by port of the container (`80/tcp`).
pub type Bindings = BTreeMap<String, Vec<PortBinding>>;

/// Reads `-p`: `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, with ranges. The messages are Docker's.
pub fn publish(texts: &[String]) -> Result<Bindings, Failure> {
    let mut bindings = Bindings::new();
    for text in texts {
        let wrong = |message: String| Failure::new(ENGINE, message);
        let (rest, protocol) = split_protocol(text)?;
        let (before, inner) = rest.rsplit_once(':').unwrap_or(("", rest));
        let (ip, host) = match before.rsplit_once(':') {
            Some((ip, host)) => (ip, host),
            None => ("", before),
        };
        let ip = ip.trim_start_matches('[').trim_end_matches(']');
        if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
            return Err(wrong(format!("Invalid ip address: {ip}")));
        }
        if inner.is_empty() {
            return Err(wrong(format!("No port specified: {text}<empty>")));
        }
        let inner_ports =
            range(inner).ok_or_else(|| wrong(format!("Invalid containerPort: {inner}")))?;
        let host_ports = match host {
            "" => None,
            host => Some(range(host).ok_or_else(|| wrong(format!("Invalid hostPort: {host}")))?),
        };
        let count = inner_ports.1 - inner_ports.0;
        if let Some(ports) = host_ports
            && ports.1 - ports.0 != count
            && count != 0
        {
            return Err(wrong(format!(
                "Invalid ranges specified for container and host Ports: {inner} and {host}"
            )));
        }
        for offset in 0..=count {
            let host_port = match host_ports {
                None => String::new(),
                // One port in the container may have any free one of a range.
                Some((first, last)) if count == 0 && first != last => format!("{first}-{last}"),
                Some((first, _)) => (first + offset).to_string(),
            };
            bindings
                .entry(format!("{}/{protocol}", inner_ports.0 + offset))
                .or_default()
                .push(PortBinding {
                    host_ip: ip.to_owned(),
                    host_port,
                });
        }
    }
    Ok(bindings)
}

/// Reads `--expose`: a port or a range, with an optional protocol.
pub fn expose(texts: &[String]) -> Result<BTreeMap<String, Json>, Failure> {
    let mut exposed = BTreeMap::new();
    for text in texts {
        let wrong = |why: &str| {
            Failure::new(
                ENGINE,
                format!("invalid range format for --expose: {text}, error: {why}"),
            )
        };
        if text.contains(':') {
            return Err(Failure::new(
                ENGINE,
                format!("invalid port format for --expose: {text}"),
            ));
        }
        let (rest, protocol) = split_protocol(text)?;
        let (first, last) = range(rest).ok_or_else(|| wrong("no port"))?;
        for port in first..=last {
            exposed.insert(format!("{port}/{protocol}"), json!({}));
        }
    }
    Ok(exposed)
}

/// The bindings as a network has them. A port of a container that is in `all` and not bound gets
/// any that is free.
pub fn published(bindings: &Bindings, all: &[String]) -> Vec<Publish> {
    let mut published = Vec::new();
    for (port, bindings) in bindings {
        let Some((port, protocol)) = inner(port) else {
            continue;
        };
        for binding in bindings {
            let host = binding.host_ip.parse().unwrap_or(ANYWHERE);
            published.push(Publish {
                port,
                protocol,
                host,
                host_port: range(&binding.host_port).map_or(0, |(first, _)| first),
                host_last: range(&binding.host_port)
                    .filter(|(first, last)| first < last)
                    .map_or(0, |(_, last)| last),
            });
        }
    }
    for port in all.iter().filter(|port| !bindings.contains_key(*port)) {
        if let Some((port, protocol)) = inner(port) {
            published.push(Publish {
                port,
                protocol,
                host: ANYWHERE,
                host_port: 0,
                host_last: 0,
            });
        }
    }
    published
}

const ANYWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// `80/tcp` in its parts; `80` is TCP's.
pub fn inner(text: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some((port.parse().ok()?, protocol))
}

fn split_protocol(text: &str) -> Result<(&str, &'static str), Failure> {
    match text.rsplit_once('/') {
        None => Ok((text, "tcp")),
        Some((rest, protocol)) => match protocol.to_ascii_lowercase().as_str() {
            "tcp" => Ok((rest, "tcp")),
            "udp" => Ok((rest, "udp")),
            "sctp" => {
                Err(Failure::new(ENGINE, "publishing SCTP is not done").help("TCP and UDP are"))
            }
            _ => Err(Failure::new(ENGINE, format!("Invalid proto: {protocol}"))),
        },
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
        None => {
            let port: u16 = text.parse().ok()?;
            (port, port)
        }
    };
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        publish(&[text.to_owned()])
            .map(|bindings| {
                bindings
                    .iter()
                    .flat_map(|(port, all)| {
                        all.iter()
                            .map(move |one| format!("{}:{}>{port}", one.host_ip, one.host_port))
                    })
                    .collect()
            })
            .map_err(|failure| failure.title)
    }

    #[test]
    fn published_ports_are_read() {
        for (text, expected) in [
            ("80", &[":>80/tcp"][..]),
            ("8080:80", &[":8080>80/tcp"]),
            ("127.0.0.1:8080:80/udp", &["127.0.0.1:8080>80/udp"]),
            ("127.0.0.1::80", &["127.0.0.1:>80/tcp"]),
            ("[::1]:1:2", &["::1:1>2/tcp"]),
            ("1-2:3-4", &[":1>3/tcp", ":2>4/tcp"]),
            ("1000-1010:3", &[":1000-1010>3/tcp"]),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for (text, expected) in [
            ("nonsense", "Invalid containerPort: nonsense"),
            ("99999:80", "Invalid hostPort: 99999"),
            ("x:1:2", "Invalid ip address: x"),
            ("80/icmp", "Invalid proto: icmp"),
            (
                "1-2:3-5",
                "Invalid ranges specified for container and host Ports: 3-5 and 1-2",
            ),
            ("8080:", "No port specified: 8080:<empty>"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn exposed_ports_may_all_be_published() {
        let exposed = expose(&["90".into(), "7-8/udp".into()]).unwrap();
        let ports: Vec<String> = exposed.into_keys().collect();
        assert_eq!(ports, ["7/udp", "8/udp", "90/tcp"]);
        let bound = publish(&["1:90".into()]).unwrap();
        let all = published(&bound, &ports);
        assert_eq!(all.len(), 3);
        assert_eq!(all.iter().filter(|one| one.host_port == 0).count(), 2);
        assert!(expose(&["1:2".into()]).is_err() && expose(&["x".into()]).is_err());
    }
}
