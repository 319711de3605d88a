//! A container as a line of `ps`.

use std::net::IpAddr;

use cache::{Store, StoredContainer};
use executor::monitor::{HealthState, State, Status};
use executor::network::{Protocol, Settings};

use super::document::{Document, MountKind};
use super::{find, inspect};
use crate::columns::{ellipsis, size};
use crate::report::Failure;
use crate::time::{lasted, shown};

/// Letters of a command that is cut.
const COMMAND: usize = 20;
/// Letters of a mount that is cut.
const MOUNT: usize = 15;

/// All that is known of a container.
pub struct Listed {
    /// Its row.
    pub row: StoredContainer,
    /// Its description.
    pub document: Document,
    /// How it is.
    pub status: Status,
    /// Its network, while it runs.
    pub settings: Settings,
}

impl Listed {
    /// Reads what there is of a container; none when it was removed meanwhile.
    pub fn read(store: &Store, row: StoredContainer) -> Result<Option<Self>, Failure> {
        let folder = find::folder(store, &row);
        if !folder.exists() {
            return Ok(None);
        }
        let document = find::document(store, &row)?;
        let status = find::status(store, &row)?;
        let settings = inspect::settings(&folder, &status)?;
        Ok(Some(Self {
            row,
            document,
            status,
            settings,
        }))
    }

    /// Whether `ps` without `-a` shows it.
    pub fn is_live(&self) -> bool {
        self.status.state.is_live()
    }

    /// When it was made, in seconds since 1970.
    pub fn created(&self) -> i64 {
        self.row.created / 1_000_000_000
    }

    /// A row for [`FIELDS`].
    pub fn line(&self, store: &Store, whole: bool, sizes: bool) -> Result<Vec<String>, Failure> {
        let command = written(&self.document);
        let command = if whole {
            command
        } else {
            ellipsis(&command, COMMAND)
        };
        let labels: Vec<String> = self
            .document
            .config
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mounts = self.mounts(whole);
        let volumes = self
            .document
            .mounts
            .iter()
            .filter(|point| point.kind == MountKind::Volume)
            .count();
        let bytes = if sizes {
            let (own, all) = super::size::of(store, &self.row)?;
            format!("{} (virtual {})", size(own), size(all))
        } else {
            "0B".to_owned()
        };
        Ok(vec![
            format!("\"{command}\""),
            shown(self.created()),
            if whole {
                self.row.id.clone()
            } else {
                self.row.short_id().to_owned()
            },
            self.image(store, whole),
            labels.join(","),
            volumes.to_string(),
            mounts.join(","),
            self.row.name.clone(),
            self.networks().join(","),
            ports(&self.document, &self.settings, &self.status),
            format!("{} ago", lasted(crate::time::since(self.created()))),
            bytes,
            self.status.state.name().to_owned(),
            shown_status(&self.status),
        ])
    }

    /// The image as it was asked for, or its id when that is another image's name by now; of an id, its
    /// first digits.
    fn image(&self, store: &Store, whole: bool) -> String {
        let text = &self.document.config.image;
        let named = store.image(text);
        let text = if named.is_ok_and(|image| image.config == self.row.config) {
            text
        } else {
            &self.row.config.to_string()
        };
        let is_id = text
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64)
            .or_else(|| {
                let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
                is_hex.then_some(text.as_str())
            });
        match is_id {
            Some(hex) if !whole => hex[..12].to_owned(),
            _ => text.clone(),
        }
    }

    fn mounts(&self, whole: bool) -> Vec<String> {
        let points = self.document.mounts.iter();
        points
            .filter(|point| point.kind != MountKind::Tmpfs)
            .map(|point| {
                let name = match point.kind {
                    MountKind::Volume => &point.name,
                    _ => &point.source,
                };
                if whole {
                    name.clone()
                } else {
                    ellipsis(name, MOUNT)
                }
            })
            .collect()
    }

    /// Names of the networks that it is on.
    pub fn networks(&self) -> Vec<String> {
        let own = self.document.networks.keys();
        let mut names: Vec<String> = own
            .filter(|name| !name.starts_with("container:"))
            .cloned()
            .collect();
        for interface in &self.settings.interfaces {
            if !names.contains(&interface.network) {
                names.push(interface.network.clone());
            }
        }
        names
    }
}

/// Program and arguments as docker writes them: arguments with a space are quoted, the program is not.
fn written(document: &Document) -> String {
    let mut text = document.path.clone();
    for argument in &document.args {
        text.push(' ');
        if argument.contains(' ') {
            text.push('\'');
            text.push_str(argument);
            text.push('\'');
        } else {
            text.push_str(argument);
        }
    }
    text
}

/// Names and headings of the fields of a line.
pub const FIELDS: &[(&str, &str)] = &[
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("Size", "SIZE"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];

/// How a container is, as docker says it: `Up 2 hours (healthy)`, `Exited (1) 5 seconds ago`.
pub fn shown_status(status: &Status) -> String {
    let passed = |time: Option<std::time::SystemTime>| {
        let passed = time
            .and_then(|time| time.elapsed().ok())
            .unwrap_or_default();
        lasted(i64::try_from(passed.as_secs()).unwrap_or(i64::MAX))
    };
    let up = || format!("Up {}", passed(status.started_at));
    let ended = || format!("({}) {} ago", status.exit_code, passed(status.finished_at));
    match status.state {
        State::Created => "Created".to_owned(),
        State::Running => match status.health.as_ref().map(|health| health.status) {
            None => up(),
            Some(HealthState::Starting) => format!("{} (health: starting)", up()),
            Some(health) => format!("{} ({})", up(), health.name()),
        },
        State::Paused => format!("{} (Paused)", up()),
        State::Restarting => format!("Restarting {}", ended()),
        State::Exited => format!("Exited {}", ended()),
        State::Dead => "Dead".to_owned(),
    }
}

/// The column of ports, as docker orders it: runs of ports that are exposed alone or published under
/// their own number, each kind where its first port comes, and then the others one by one.
fn ports(document: &Document, settings: &Settings, status: &Status) -> String {
    if !matches!(status.state, State::Running | State::Paused) || document.is_shared() {
        return String::new();
    }
    let exposed = document.config.exposed_ports.keys();
    let exposed = exposed
        .filter_map(|port| super::ports::inner(port))
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
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_status_is_dockers_words() {
        let ago = |seconds| Some(SystemTime::now() - Duration::from_secs(seconds));
        let status = |state, health: Option<HealthState>| Status {
            state,
            exit_code: 3,
            started_at: ago(7300),
            finished_at: ago(5),
            health: health.map(|status| executor::monitor::HealthStatus {
                status,
                ..executor::monitor::HealthStatus::default()
            }),
            ..Status::default()
        };
        for (status, expected) in [
            (status(State::Created, None), "Created"),
            (status(State::Running, None), "Up 2 hours"),
            (
                status(State::Running, Some(HealthState::Starting)),
                "Up 2 hours (health: starting)",
            ),
            (
                status(State::Running, Some(HealthState::Healthy)),
                "Up 2 hours (healthy)",
            ),
            (status(State::Paused, None), "Up 2 hours (Paused)"),
            (status(State::Exited, None), "Exited (3) 5 seconds ago"),
            (
                status(State::Restarting, None),
                "Restarting (3) 5 seconds ago",
            ),
        ] {
            assert_eq!(shown_status(&status), expected);
        }
    }

    #[test]
    fn arguments_with_spaces_are_quoted() {
        let document = Document {
            path: "sh".to_owned(),
            args: ["-c", "exit 3", "x"].map(str::to_owned).to_vec(),
            ..Document::default()
        };
        assert_eq!(written(&document), "sh -c 'exit 3' x");
    }

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
            ports(&document, &settings, &status),
            "0.0.0.0:80->80/tcp, 53/udp, 0.0.0.0:90->90/tcp, 91-92/tcp, 0.0.0.0:8081->81/tcp"
        );
        assert_eq!(ports(&document, &settings, &Status::default()), "");
    }
}
