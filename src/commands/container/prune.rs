//! `container prune`: removes all containers that do not run.

use std::fmt::Write as _;

use crate::cli::container::ContainerPruneArgs;
use crate::columns::size;
use crate::containers::list::Listed;
use crate::containers::{remove, size};
use crate::home::{Home, store_failure};
use crate::output::print;
use crate::report::{Class, Failure};

/// Removes them.
pub fn run(args: &ContainerPruneArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let (ids, bytes) =
        if args.force || super::confirmed("This will remove all stopped containers.")? {
            prune(&store, &args.filters)?
        } else {
            (Vec::new(), 0)
        };
    print(&said("Deleted Containers:", &ids, bytes))?;
    Ok(0)
}

/// What is said of things that were removed.
pub fn said(title: &str, names: &[String], bytes: u64) -> String {
    let mut text = String::new();
    if !names.is_empty() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{title}");
        for name in names {
            let _ = writeln!(text, "{name}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "Total reclaimed space: {}", size(bytes));
    text
}

/// Removes containers that do not run; gives their ids, and how many bytes were in them.
pub fn prune(
    store: &cache::Store,
    filters: &[crate::cli::value::Pair],
) -> Result<(Vec<String>, u64), Failure> {
    let filter = Filter::new(filters)?;
    let (mut ids, mut bytes) = (Vec::new(), 0);
    for row in store.containers().map_err(|error| store_failure(&error))? {
        let Some(listed) = Listed::read(store, row)? else {
            continue;
        };
        if listed.is_live() || !filter.takes(&listed) {
            continue;
        }
        bytes += size::own(store, &listed.row);
        remove::remove(store, &listed.row, false, false)?;
        ids.push(listed.row.id);
    }
    Ok((ids, bytes))
}

/// Which of them go.
struct Filter {
    until: Option<i64>,
    /// Name, value, and whether the label must be there.
    labels: Vec<(String, Option<String>, bool)>,
}

impl Filter {
    fn new(pairs: &[crate::cli::value::Pair]) -> Result<Self, Failure> {
        let mut filter = Self {
            until: None,
            labels: Vec::new(),
        };
        for pair in pairs {
            let invalid = || {
                Failure::new(
                    Class::Refused,
                    format!("invalid filter '{}={}'", pair.name, pair.value),
                )
            };
            match pair.name.as_str() {
                "until" => {
                    let time = crate::time::moment(&pair.value).ok_or_else(invalid)?;
                    filter.until = Some(time);
                }
                "label" | "label!" => {
                    let (name, value) = match pair.value.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (pair.value.as_str(), None),
                    };
                    let wanted = pair.name == "label";
                    filter.labels.push((name.to_owned(), value, wanted));
                }
                _ => return Err(invalid().help("use until, label or label!")),
            }
        }
        Ok(filter)
    }

    fn takes(&self, listed: &Listed) -> bool {
        let labels = &listed.document.config.labels;
        self.until.is_none_or(|time| listed.row.created < time)
            && self.labels.iter().all(|(name, value, wanted)| {
                let has = labels
                    .get(name)
                    .is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                has == *wanted
            })
    }
}
