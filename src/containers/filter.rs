//! Which containers `ps` shows: `--filter`, `-a`, `-l` and `-n`. Several values of one name are
//! alternatives, but for labels; different names must all hold.

use std::collections::BTreeMap;

use cache::{LayerId, Store};
use executor::monitor::{HealthState, State};

use super::list::Listed;
use super::{find, pattern, ports};
use crate::cli::value::Pair;
use crate::report::{Class, Failure};

/// Names of filters that there are.
const NAMES: [&str; 15] = [
    "id",
    "name",
    "label",
    "exited",
    "status",
    "ancestor",
    "before",
    "since",
    "volume",
    "network",
    "publish",
    "expose",
    "health",
    "is-task",
    "isolation",
];
const STATES: [&str; 7] = [
    "created",
    "restarting",
    "running",
    "removing",
    "paused",
    "exited",
    "dead",
];

/// Filters, understood.
#[derive(Debug, Default)]
pub struct Filter {
    texts: BTreeMap<&'static str, Vec<String>>,
    before: Option<i64>,
    since: Option<i64>,
    /// Stacks of images, and their ids.
    ancestors: Option<Vec<(Vec<LayerId>, image::Digest)>>,
    exited: Vec<i32>,
}

impl Filter {
    /// Understands filters.
    pub fn new(store: &Store, pairs: &[Pair]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for Pair { name, value } in pairs {
            let invalid =
                || Failure::new(Class::Refused, format!("invalid filter '{name}={value}'"));
            let Some(name) = NAMES.iter().find(|known| *known == name) else {
                return Err(
                    Failure::new(Class::Refused, format!("invalid filter '{name}'"))
                        .help(format!("there are {}", NAMES.join(", "))),
                );
            };
            match *name {
                "status" if !STATES.contains(&value.as_str()) => return Err(invalid()),
                "health"
                    if !["starting", "healthy", "unhealthy", "none"].contains(&value.as_str()) =>
                {
                    return Err(invalid());
                }
                "exited" => filter.exited.push(value.parse().map_err(|_| invalid())?),
                "before" => filter.before = Some(find::row(store, value)?.created),
                "since" => filter.since = Some(find::row(store, value)?.created),
                // Nothing here is a task of a swarm's.
                "is-task" if !["true", "false"].contains(&value.as_str()) => return Err(invalid()),
                "publish" | "expose" if range(value).is_none() => return Err(invalid()),
                "ancestor" => {
                    let ancestors = filter.ancestors.get_or_insert_default();
                    // An image that is not there has no descendants.
                    if let Ok(image) = crate::images::find(store, value) {
                        let layers = image.snapshot.map(|snapshot| snapshot.layers);
                        ancestors.push((layers.unwrap_or_default(), image.config));
                    }
                }
                _ => {}
            }
            filter.texts.entry(name).or_default().push(value.clone());
        }
        Ok(filter)
    }

    /// Whether containers that do not run are shown too.
    pub fn implies_all(&self) -> bool {
        self.texts.contains_key("status") || self.texts.contains_key("exited")
    }

    /// Whether a container is shown.
    pub fn takes(&self, listed: &Listed) -> bool {
        let document = &listed.document;
        let any = |name: &str, holds: &dyn Fn(&str) -> bool| {
            self.texts
                .get(name)
                .is_none_or(|values| values.iter().any(|value| holds(value)))
        };
        let labels = self.texts.get("label").into_iter().flatten();
        let mut labels = labels.map(|label| label.split_once('=').unwrap_or((label, "\0")));
        labels.all(|(name, value)| {
            let found = document.config.labels.get(name);
            found.is_some_and(|found| value == "\0" || value == found)
        }) && any("id", &|value| pattern::fits(value, &listed.row.id))
            && any("name", &|value| {
                let value = value.strip_prefix('/').unwrap_or(value);
                let value = match value.strip_prefix("^/") {
                    Some(rest) => format!("^{rest}"),
                    None => value.to_owned(),
                };
                pattern::fits(&value, &listed.row.name)
            })
            && any("status", &|value| listed.status.state.name() == value)
            && (self.exited.is_empty()
                || (listed.status.state == State::Exited
                    && self.exited.contains(&listed.status.exit_code)))
            && self.before.is_none_or(|time| listed.row.created < time)
            && self.since.is_none_or(|time| listed.row.created > time)
            && self.is_descendant(listed)
            && any("is-task", &|value| value == "false")
            && any("isolation", &|value| value == "default")
            && any("volume", &|value| {
                document.mounts.iter().any(|point| {
                    point.name == value || point.source == value || point.destination == value
                })
            })
            && any("network", &|value| {
                let ids = &listed.settings.interfaces;
                listed.networks().iter().any(|name| name == value)
                    || ids
                        .iter()
                        .any(|up| !value.is_empty() && up.network_id.starts_with(value))
            })
            && any("publish", &|value| {
                let published = &listed.settings.published;
                published.iter().any(|one| {
                    range(value).is_some_and(|(first, last, protocol)| {
                        (first..=last).contains(&one.host_port) && one.protocol == protocol
                    })
                })
            })
            && any("expose", &|value| {
                let exposed = document.config.exposed_ports.keys();
                exposed
                    .filter_map(|port| ports::inner(port))
                    .any(|(port, spoken)| {
                        range(value).is_some_and(|(first, last, protocol)| {
                            (first..=last).contains(&port) && spoken == protocol
                        })
                    })
            })
            && any("health", &|value| {
                listed
                    .status
                    .health
                    .as_ref()
                    .map_or("none", |health| HealthState::name(health.status))
                    == value
            })
    }

    fn is_descendant(&self, listed: &Listed) -> bool {
        self.ancestors.as_ref().is_none_or(|ancestors| {
            ancestors.iter().any(|(layers, id)| {
                listed.row.config == *id
                    || (!layers.is_empty() && listed.row.stack.starts_with(layers))
            })
        })
    }
}

/// `80`, `80/udp`, `80-90/tcp`.
fn range(text: &str) -> Option<(u16, u16, executor::network::Protocol)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (_, protocol) = ports::inner(&format!("1/{protocol}"))?;
    Some((first.parse().ok()?, last.parse().ok()?, protocol))
}
