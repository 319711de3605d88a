//! Volumes as docker shows and filters them.

use cache::{Store, StoredVolume};
use serde_json::{Value as Json, json};

use crate::cli::value::Pair;
use crate::report::{Class, Failure};
use crate::template::{Shape, Value};
use crate::time::written;

/// A volume's JSON.
pub fn document(store: &Store, volume: &StoredVolume) -> Json {
    // Of a volume that nobody named nobody said anything.
    let or_null = |empty: bool, value: Json| {
        if empty && volume.anonymous {
            Json::Null
        } else {
            value
        }
    };
    json!({
        "CreatedAt": written(volume.created),
        "Driver": "local",
        "Labels": or_null(volume.labels.is_empty(), json!(volume.labels)),
        "Mountpoint": store.volume_files(&volume.name).display().to_string(),
        "Name": volume.name,
        "Options": or_null(volume.options.is_empty(), json!(volume.options)),
        "Scope": "local",
    })
}

/// The JSON as docker's types have it.
pub fn value(document: &Json) -> Value {
    let shape = |name: &str| matches!(name, "Labels" | "Options").then_some(Shape::Map);
    Value::of(document, &shape)
}

/// Which volumes are listed or removed.
#[derive(Debug, Default)]
pub struct Filter {
    names: Vec<String>,
    dangling: Option<bool>,
    is_other_driver: bool,
    /// Name, value, and whether the label must be there.
    labels: Vec<(String, Option<String>, bool)>,
}

impl Filter {
    /// Filters of `volume ls`.
    pub fn of_list(pairs: &[Pair]) -> Result<Self, Failure> {
        Self::new(pairs, &["name", "label", "driver", "dangling"])
    }

    /// Filters of `volume prune`.
    pub fn of_prune(pairs: &[Pair]) -> Result<Self, Failure> {
        Self::new(pairs, &["label", "label!", "all"])
    }

    fn new(pairs: &[Pair], known: &[&str]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for Pair { name, value } in pairs {
            let invalid = |text: String| {
                Failure::new(Class::Refused, format!("invalid filter '{text}'"))
                    .help(format!("there are {}", known.join(", ")))
            };
            if !known.contains(&name.as_str()) {
                return Err(invalid(name.clone()));
            }
            let truth = || match value.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(invalid(format!("{name}={value}"))),
            };
            match name.as_str() {
                "name" => filter.names.push(value.clone()),
                "driver" => filter.is_other_driver |= value != "local",
                "dangling" => filter.dangling = Some(truth()?),
                // All of them go anyway.
                "all" => drop(truth()?),
                label => {
                    let (name, value) = match value.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (value.as_str(), None),
                    };
                    let wanted = label == "label";
                    filter.labels.push((name.to_owned(), value, wanted));
                }
            }
        }
        Ok(filter)
    }

    /// Whether a volume is one of them.
    pub fn takes(&self, volume: &StoredVolume) -> bool {
        let named = self.names.is_empty()
            || self
                .names
                .iter()
                .any(|name| crate::containers::pattern::fits(name, &volume.name));
        named
            && !self.is_other_driver
            && self
                .dangling
                .is_none_or(|wanted| wanted == volume.users.is_empty())
            && self.labels.iter().all(|(name, value, wanted)| {
                let has = volume
                    .labels
                    .get(name)
                    .is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                has == *wanted
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose() {
        let volume = StoredVolume {
            name: "vol1".to_owned(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            options: std::collections::BTreeMap::new(),
            anonymous: false,
            created: 0,
            users: Vec::new(),
        };
        for (text, expected) in [
            ("name=ol", true),
            ("name=x", false),
            ("label=a", true),
            ("label=a=b", true),
            ("label=a=c", false),
            ("dangling=true", true),
            ("dangling=0", false),
            ("driver=local", true),
            ("driver=nfs", false),
        ] {
            let filter = Filter::of_list(&[text.parse().unwrap()]).unwrap();
            assert_eq!(filter.takes(&volume), expected, "{text}");
        }
        let without = Filter::of_prune(&["label!=a".parse().unwrap()]).unwrap();
        assert!(!without.takes(&volume));
        for wrong in ["what=1", "dangling=perhaps"] {
            assert!(
                Filter::of_list(&[wrong.parse().unwrap()]).is_err(),
                "{wrong}"
            );
        }
    }
}
