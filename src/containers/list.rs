//! A container as a line of `ps`.

mod ports;

use cache::{Store, StoredContainer};
use executor::monitor::{HealthState, State, Status};
use executor::network::Settings;

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
            ports::shown(&self.document, &self.settings, &self.status),
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

#[cfg(test)]
mod tests {
    use super::*;
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
}
