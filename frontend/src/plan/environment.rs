//! The variables of a stage, as RUN and expansion see them, and those of its image.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use solver::op::{EnvOrigin, EnvVar};

use crate::expansion::Variables;

/// What a process would find when nothing sets PATH.
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables in the order in which they were last set. Cloning shares them until one is set.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment(Arc<Inner>);

#[derive(Debug, Clone, Default)]
struct Inner {
    positions: HashMap<Arc<str>, u64>,
    order: BTreeMap<u64, Variable>,
    next: u64,
    bytes: usize,
}

/// One variable of an [`Environment`].
#[derive(Debug, Clone)]
pub(super) struct Variable {
    name: Arc<str>,
    value: Arc<str>,
    origin: EnvOrigin,
}

impl Environment {
    /// Sets `name`, which moves to the end.
    pub(super) fn set(&mut self, name: &str, value: &str, origin: EnvOrigin) {
        let inner = Arc::make_mut(&mut self.0);
        let name: Arc<str> = match inner.positions.get_key_value(name) {
            Some((known, _)) => Arc::clone(known),
            None => name.into(),
        };
        let position = inner.next;
        inner.next += 1;
        inner.bytes += name.len() + value.len();
        if let Some(old) = inner.positions.insert(Arc::clone(&name), position)
            && let Some(old) = inner.order.remove(&old)
        {
            inner.bytes -= old.name.len() + old.value.len();
        }
        let value = value.into();
        inner.order.insert(
            position,
            Variable {
                name,
                value,
                origin,
            },
        );
    }

    /// Unsets `name`.
    pub(super) fn remove(&mut self, name: &str) {
        let inner = Arc::make_mut(&mut self.0);
        if let Some(position) = inner.positions.remove(name)
            && let Some(old) = inner.order.remove(&position)
        {
            inner.bytes -= old.name.len() + old.value.len();
        }
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.order.values().map(|variable| &*variable.name)
    }

    /// The bytes of all names and values.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// The variables as a step gets them.
    pub(super) fn for_step(&self) -> Vec<EnvVar> {
        let variables = self.0.order.values();
        variables
            .map(|variable| EnvVar {
                name: (*variable.name).to_owned(),
                value: (*variable.value).to_owned(),
                origin: variable.origin,
            })
            .collect()
    }
}

impl Variables for Environment {
    fn get(&self, name: &str) -> Option<&str> {
        let position = self.0.positions.get(name)?;
        self.0.order.get(position).map(|variable| &*variable.value)
    }
}

/// `Env` of an image's configuration: a variable keeps the place where it was first set.
#[derive(Debug, Clone, Default)]
pub(super) struct ConfigEnv(Arc<(Vec<String>, HashMap<String, usize>)>);

impl ConfigEnv {
    /// The variables of a base image.
    pub(super) fn new(list: Vec<String>) -> Self {
        let mut index = HashMap::with_capacity(list.len());
        for (position, text) in list.iter().enumerate() {
            index.entry(split(text).0.to_owned()).or_insert(position);
        }
        Self(Arc::new((list, index)))
    }

    /// Sets `name`.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let (list, index) = Arc::make_mut(&mut self.0);
        let text = format!("{name}={value}");
        match index.get(name) {
            Some(&position) => list[position] = text,
            None => {
                index.insert(name.to_owned(), list.len());
                list.push(text);
            }
        }
    }

    /// Whether `name` is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.1.contains_key(name)
    }

    /// Names and values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.0.iter().map(|text| split(text))
    }

    /// The list as the configuration holds it.
    pub(super) fn list(&self) -> &[String] {
        &self.0.0
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_again_moves_in_one_and_stays_in_the_other() {
        let mut environment = Environment::default();
        for (name, value) in [("A", "1"), ("B", "2"), ("A", "33")] {
            environment.set(name, value, EnvOrigin::Env);
        }
        assert_eq!(environment.names().collect::<Vec<_>>(), ["B", "A"]);
        assert_eq!(environment.get("A"), Some("33"));
        assert_eq!(environment.bytes(), 5);
        environment.remove("B");
        assert_eq!((environment.get("B"), environment.bytes()), (None, 3));

        let mut config = ConfigEnv::new(vec!["A=1".into(), "B=2=3".into(), "C".into()]);
        let before = config.clone();
        config.set("A", "x");
        config.set("D", "");
        assert_eq!(config.list(), ["A=x", "B=2=3", "C", "D="]);
        assert_eq!(before.list().len(), 3);
        assert!(config.iter().any(|pair| pair == ("B", "2=3")));
    }

    #[test]
    fn a_copy_is_not_touched() {
        let mut parent = Environment::default();
        parent.set("A", "1", EnvOrigin::Arg);
        let mut child = parent.clone();
        child.set("A", "2", EnvOrigin::Env);
        assert_eq!((parent.get("A"), child.get("A")), (Some("1"), Some("2")));
        assert_eq!(child.for_step()[0].origin, EnvOrigin::Env);
    }
}
