//! `image prune`: removes images that have no name, or those that no container uses.

use std::fmt::Write as _;

use cache::{Store, StoredImage};

use crate::cli::image::ImagePruneArgs;
use crate::cli::value::Pair;
use crate::columns::size;
use crate::commands::container::confirmed;
use crate::home::{Home, store_failure};
use crate::images::{load, settle_all};
use crate::output::print;
use crate::report::{Class, Failure};

/// Removes them, and says which.
pub fn run(args: &ImagePruneArgs, home: &Home) -> anyhow::Result<u8> {
    let filter = Filter::new(&args.filters)?;
    let store = home.enter_and_open()?;
    let warning = if args.all {
        "This will remove all images without at least one container associated to them."
    } else {
        "This will remove all dangling images."
    };
    let (mut text, freed) = if args.force || confirmed(warning)? {
        prune(&store, args.all, &filter)?
    } else {
        (String::new(), 0)
    };
    let _ = writeln!(text, "Total reclaimed space: {}", size(freed));
    print(&text)?;
    Ok(0)
}

/// Removes images; gives what is said of them, and how many bytes that freed.
pub fn prune(store: &Store, all: bool, filter: &Filter) -> Result<(String, u64), Failure> {
    settle_all(store, &crate::stop::on_signal()).map_err(|error| error.failure())?;
    let containers = store.containers().map_err(|error| store_failure(&error))?;
    let is_kept = |image: &StoredImage| {
        let used = || containers.iter().any(|row| row.config == image.config);
        used() || !filter.takes(store, image)
    };
    let gone = store
        .prune_images(all, &is_kept)
        .map_err(|error| store_failure(&error))?;
    let mut text = String::new();
    if gone.is_empty() {
        return Ok((text, 0));
    }
    text.push_str("Deleted Images:\n");
    for image in &gone {
        for name in &image.names {
            let name = name
                .parse()
                .map_or_else(|_| name.clone(), |name: image::ImageRef| name.familiar());
            // Writing to a text cannot fail.
            let _ = writeln!(text, "untagged: {name}");
        }
        let _ = writeln!(text, "deleted: {}", image.config);
    }
    text.push('\n');
    let freed = store
        .collect_garbage()
        .map_err(|error| store_failure(&error))?
        .freed;
    Ok((text, freed))
}

/// Which images go.
#[derive(Debug, Default)]
pub struct Filter {
    /// Seconds since 1970, as images have them.
    until: Option<i64>,
    /// Name, value, and whether the label must be there.
    labels: Vec<(String, Option<String>, bool)>,
}

impl Filter {
    /// Understands `until`, `label` and `label!`.
    pub fn new(pairs: &[Pair]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for Pair { name, value } in pairs {
            let invalid = || {
                Failure::new(Class::Refused, format!("invalid filter '{name}={value}'"))
                    .help("there are until, label and label!")
            };
            match name.as_str() {
                "until" => {
                    let nanoseconds = crate::time::moment(value).ok_or_else(invalid)?;
                    filter.until = Some(nanoseconds.div_euclid(1_000_000_000));
                }
                "label" | "label!" => {
                    let (key, wanted) = match value.split_once('=') {
                        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                        None => (value.clone(), None),
                    };
                    filter.labels.push((key, wanted, name == "label"));
                }
                _ => return Err(invalid()),
            }
        }
        Ok(filter)
    }

    /// Whether an image may go. One whose labels cannot be read stays if they count.
    fn takes(&self, store: &Store, image: &StoredImage) -> bool {
        if self.until.is_some_and(|until| image.created > until) {
            return false;
        }
        if self.labels.is_empty() {
            return true;
        }
        let Ok(Some(loaded)) = load(store, image, None) else {
            return false;
        };
        let labels = &loaded.config.config.labels;
        self.labels.iter().all(|(name, value, wanted)| {
            let found = labels.get(name);
            let has = found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
            has == *wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_younger_than_until_stays() {
        let now = crate::time::moment("0s").unwrap() / 1_000_000_000;
        for (text, age, goes) in [("1h", 0, false), ("1h", 7200, true), ("24h", 7200, false)] {
            let filter = Filter::new(&[Pair {
                name: "until".to_owned(),
                value: text.to_owned(),
            }])
            .unwrap();
            let until = filter.until.unwrap();
            assert_eq!(now - age <= until, goes, "{text} {age}");
        }
    }
}
