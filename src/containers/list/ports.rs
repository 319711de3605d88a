//! The column of ports of a line of `ps`.

use std::net::IpAddr;

use executor::monitor::{State, Status};
use executor::network::{Protocol, Settings};

use crate::containers::document::Document;
use crate::containers::ports::inner;

/// The column of ports, as docker orders it: runs of ports that are exposed alone or published under
/// their own number, each kind where its first port comes, and then the others one by one.
pub fn shown(document: &Document, settings: &Settings, status: &Status) -> String {
    if !matches!(status.state, State::Running | State::Paused) || document.is_shared() {
        return String::new();
    }
    let exposed = document.config.exposed_ports.keys();
    let exposed = exposed
        .filter_map(|port| inner(port))
        .filter(|(port, protocol)| {
            let mut published = settings.published.iter();
            !published.any(|one| one.port == *port && one.protocol == *protocol)
        })
        .map(|(port, protocol)| (port, None, protocol));
    let published = settings.published.iter();
    let published = published.map(|one| (one.port, Some((one.host, one.host_port)), one.protocol));
    let mut all: Vec<_> = exposed.chain(published).collect();
    all.sort_unstable();
    let (mut whole, mut open, mut others) = (Vec::new(), Vec::<Run>::new(), Vec::new());
    for (port, host, protocol) in all {
        let address = host.map(|(address, _)| address);
        if let Some((address, outside)) = host
            && outside != port
        {
            let address = shown_address(address);
            others.push(format!("{address}:{outside}->{port}/{protocol}"));
            continue;
        }
        let mut runs = open.iter_mut();
        match runs.find(|run| (run.address, run.protocol) == (address, protocol)) {
            Some(run) if run.last.checked_add(1) == Some(port) => run.last = port,
            Some(run) => {
                whole.push(run.shown());
                (run.first, run.last) = (port, port);
            }
            None => open.push(Run {
                address,
                protocol,
                first: port,
                last: port,
            }),
        }
    }
    whole.extend(open.iter().map(Run::shown));
    whole.append(&mut others);
    whole.join(", ")
}

/// Ports in a row, of one protocol; published at an address under their own numbers, or exposed alone.
struct Run {
    address: Option<IpAddr>,
    protocol: Protocol,
    first: u16,
    last: u16,
}

impl Run {
    fn shown(&self) -> String {
        let ports = span(self.first, self.last);
        let outside = self.address.map_or(String::new(), |address| {
            format!("{}:{ports}->", shown_address(address))
        });
        format!("{outside}{ports}/{}", self.protocol)
    }
}

fn shown_address(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) if !address.is_unspecified() => format!("[{address}]"),
        address => address.to_string(),
    }
}

fn span(first: u16, last: u16) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use executor::network::Publish;

    #[test]
    fn ports_in_a_row_are_one_range() {
        let mut document = Document::default();
        for port in ["80/tcp", "81/tcp", "91/tcp", "92/tcp", "53/udp"] {
            let ports = &mut document.config.exposed_ports;
            ports.insert(port.to_owned(), serde_json::json!({}));
        }
        let publish = |port, host_port| Publish {
            port,
            protocol: Protocol::Tcp,
            host: "0.0.0.0".parse().unwrap(),
            host_port,
            host_last: 0,
        };
        let settings = Settings {
            published: vec![publish(81, 8081), publish(90, 90), publish(80, 80)],
            ..Settings::default()
        };
        let status = Status {
            state: State::Running,
            ..Status::default()
        };
        assert_eq!(
            shown(&document, &settings, &status),
            "0.0.0.0:80->80/tcp, 53/udp, 0.0.0.0:90->90/tcp, 91-92/tcp, 0.0.0.0:8081->81/tcp"
        );
        assert_eq!(shown(&document, &settings, &Status::default()), "");
    }
}
