//! Why a step had to run: what differs from the nearest earlier record.
//!
//! What is compared is in [`nearest`]. Knows keys' components by their names only, as the solver
//! writes them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use solver::op::EnvOrigin;
use solver::{KeyPreimage, Op, StateDigest, TreeDigest, Vertex};

use crate::listings::{FileChange, FileChangeKind};
use crate::records::{maker, remembered, tombstone};
use crate::store::{Store, StoreError};

mod nearest;

use nearest::distance;
pub(crate) use nearest::{Present, Written};

/// Why there was no record for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Explanation {
    /// Nothing like it was ever built here.
    NeverBuilt,
    /// There was a record, and it is gone.
    Evicted {
        /// Why.
        reason: String,
    },
    /// It differs from the nearest earlier record.
    Differs {
        /// Name of the step in that earlier build.
        from: String,
        /// What differs, the most telling first; never empty.
        differences: Vec<Difference>,
    },
    /// An equal record is there: the step was forced, or a definition answered for other inputs.
    Recorded,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// For people: `ARG VERSION`, `src/main.c`, `the base image`, `the command` …
    pub what: String,
    /// Its earlier value; none if it was not there.
    pub old: Option<String>,
    /// Its value now; none if it is gone.
    pub new: Option<String>,
    /// For files, which ones, if the names behind both digests are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileChange>,
}

/// Characters of a value that fit into a line.
const SHORT: usize = 40;

impl Explanation {
    /// One line for people.
    pub fn line(&self) -> String {
        match self {
            Self::NeverBuilt => "never built before".to_owned(),
            Self::Evicted { reason } => reason.clone(),
            Self::Differs { differences, .. } => differences
                .first()
                .map_or_else(|| "changed".to_owned(), Difference::line),
            Self::Recorded => "its inputs were made anew".to_owned(),
        }
    }
}

impl Explanation {
    /// What there is to say of the step `name` beyond [`Self::line`]: the step that it was compared
    /// with, unless that is the same one, and everything that differs, a line each, with old and
    /// new values, unless it is one thing.
    pub fn details(&self, name: &str) -> Vec<String> {
        let Self::Differs { from, differences } = self else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        if from != name {
            lines.push(format!("compared with {from}"));
        }
        if let [one] = differences.as_slice()
            && one.files.len() < 2
        {
            return lines;
        }
        for difference in differences {
            match difference.files.as_slice() {
                [] => lines.push(difference.line()),
                files => lines.extend(files.iter().map(FileChange::line)),
            }
        }
        lines
    }
}

impl FileChange {
    /// One line for people: `src/main.c changed`.
    pub fn line(&self) -> String {
        let what = match self.what {
            FileChangeKind::Changed => "changed",
            FileChangeKind::ModeChanged => "changed its mode or owner",
            FileChangeKind::New => "is new",
            FileChangeKind::Gone => "is gone",
        };
        format!("{} {what}", printable(&self.path))
    }
}

impl Difference {
    /// One line for people: `ARG VERSION changed: 1 → 2`.
    pub fn line(&self) -> String {
        if let Some(first) = self.files.first() {
            let line = first.line();
            return match self.files.len() {
                1 => line,
                2 => format!("{line}, and 1 more file"),
                many => format!("{line}, and {} more files", many - 1),
            };
        }
        let what = &self.what;
        match (self.old.as_deref(), self.new.as_deref()) {
            (Some(old), Some(new)) => match (short(old), short(new)) {
                (Some(old), Some(new)) if old != new => format!("{what} changed: {old} → {new}"),
                _ => format!("{what} changed"),
            },
            (None, Some(new)) => match short(new) {
                Some(new) => format!("{what} is new: {new}"),
                None => format!("{what} is new"),
            },
            (Some(old), None) => match short(old) {
                Some(old) => format!("{what} is gone (it was {old})"),
                None => format!("{what} is gone"),
            },
            (None, None) => format!("{what} changed"),
        }
    }
}

/// A value as it stands in a line; none if it says nothing to people.
fn short(value: &str) -> Option<String> {
    let digits = value.strip_prefix("sha256:").unwrap_or(value);
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return (digits.len() != value.len()).then(|| format!("sha256:{}", &digits[..12]));
    }
    let value = printable(value);
    if value.is_empty() {
        return Some("\"\"".to_owned());
    }
    if value.chars().count() <= SHORT {
        return Some(value);
    }
    let cut: String = value.chars().take(SHORT - 1).collect();
    Some(format!("{cut}…"))
}

/// Without characters that would do something to a terminal.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "�")
}

impl Store {
    /// Why there is no record for `preimage`, which `vertex` of `project` needs.
    pub(crate) fn explain(
        &self,
        project: &str,
        vertex: &Vertex,
        preimage: &KeyPreimage,
        present: &Mutex<Present>,
    ) -> Result<Explanation, StoreError> {
        let key = preimage.key();
        let (gone, records) = self.database().read("find records", |connection| {
            Ok((
                tombstone(connection, &key)?,
                remembered(connection, project, vertex, &preimage.kind)?,
            ))
        })?;
        if let Some(reason) = gone {
            return Ok(Explanation::Evicted { reason });
        }
        let present = present.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = records
            .iter()
            .filter(|record| present.may_be_earlier(record, vertex, preimage))
            .min_by_key(|record| distance(record, vertex, preimage));
        let Some(nearest) = nearest else {
            return Ok(Explanation::NeverBuilt);
        };
        let differences = self.differences(nearest, vertex, preimage)?;
        if differences.is_empty() {
            return Ok(Explanation::Recorded);
        }
        Ok(Explanation::Differs {
            from: nearest.name.clone(),
            differences,
        })
    }

    fn differences(
        &self,
        earlier: &crate::records::Remembered,
        vertex: &Vertex,
        preimage: &KeyPreimage,
    ) -> Result<Vec<Difference>, StoreError> {
        let mut differences = Vec::new();
        if earlier.preimage.behaviour != preimage.behaviour {
            differences.push(Difference {
                what: format!("what rbuild does for `{}`", preimage.kind),
                old: Some(earlier.preimage.behaviour.to_string()),
                new: Some(preimage.behaviour.to_string()),
                files: Vec::new(),
            });
        }
        let old = by_name(&earlier.preimage);
        let new = by_name(preimage);
        let names = preimage
            .components
            .iter()
            .map(|component| component.name.as_str())
            .filter(|name| old.get(name) != new.get(name));
        let gone = earlier
            .preimage
            .components
            .iter()
            .map(|component| component.name.as_str())
            .filter(|name| !new.contains_key(name));
        for name in names.chain(gone) {
            let (old, new) = (old.get(name).copied(), new.get(name).copied());
            differences.push(self.difference(name, old, new, earlier, vertex)?);
        }
        Ok(differences)
    }

    fn difference(
        &self,
        name: &str,
        old: Option<&str>,
        new: Option<&str>,
        earlier: &crate::records::Remembered,
        vertex: &Vertex,
    ) -> Result<Difference, StoreError> {
        let mut difference = Difference {
            what: name.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            files: Vec::new(),
        };
        let (label, which) = name.split_once(' ').unwrap_or((name, ""));
        match label {
            "env" => {
                let origin =
                    origin_now(vertex, which).or_else(|| earlier.origins.get(which).copied());
                difference.what = match origin {
                    Some(EnvOrigin::Arg) => format!("ARG {which}"),
                    Some(EnvOrigin::Base) => format!("{which} of the base image"),
                    Some(EnvOrigin::Env) | None => format!("ENV {which}"),
                };
            }
            "args" => {
                "the command".clone_into(&mut difference.what);
                difference.old = old.map(command);
                difference.new = new.map(command);
            }
            "script" | "inline" => "the heredoc".clone_into(&mut difference.what),
            "manifest" | "layers" => "the base image".clone_into(&mut difference.what),
            "root" => self.root_difference(&mut difference, old, new)?,
            "files" | "mount" => {
                let digest = |value: &str| TreeDigest::from_hex(value.split(' ').next()?);
                let named = |value: &str| value.split_once(' ').map(|(_, name)| name.to_owned());
                let (before, now) = (old.and_then(named), new.and_then(named));
                if label == "files" && before != now {
                    "the source".clone_into(&mut difference.what);
                    (difference.old, difference.new) = (before, now);
                } else if let (Some(old), Some(new)) = (old.and_then(digest), new.and_then(digest))
                {
                    difference.files = self.compare_listings(&old, &new).unwrap_or_default();
                    difference.what = selected_name(vertex, which);
                }
            }
            "cwd" => "the working directory".clone_into(&mut difference.what),
            "dest" => "the destination".clone_into(&mut difference.what),
            _ => difference.what = format!("the {name}"),
        }
        Ok(difference)
    }

    /// What it is that stands below: a base image, or what an earlier step left.
    fn root_difference(
        &self,
        difference: &mut Difference,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), StoreError> {
        let maker = |state: Option<&str>| match state.and_then(StateDigest::from_hex) {
            None => Ok(None),
            Some(state) => self
                .database()
                .read("find a record", |connection| maker(connection, &state)),
        };
        let (before, now) = (maker(old)?, maker(new)?);
        difference.what = match (before, now) {
            (Some((_, old)), Some((_, new))) if old == "image" && new == "image" => {
                "the base image".to_owned()
            }
            (_, Some((name, _))) => format!("what {} left", printable(&name)),
            _ => "what the step before left".to_owned(),
        };
        Ok(())
    }
}

fn by_name(preimage: &KeyPreimage) -> BTreeMap<&str, &str> {
    preimage
        .components
        .iter()
        .map(|component| (component.name.as_str(), component.value.as_str()))
        .collect()
}

/// Who sets a variable of a step now.
fn origin_now(vertex: &Vertex, name: &str) -> Option<EnvOrigin> {
    let Op::Exec(exec) = &vertex.op else {
        return None;
    };
    let variable = exec.env.iter().find(|variable| variable.name == name)?;
    Some(variable.origin)
}

/// The path of a step's selection, from the end of its component's name: `files 2`, `mount files 1`.
fn selected_name(vertex: &Vertex, which: &str) -> String {
    let number = which
        .rsplit(' ')
        .next()
        .and_then(|word| word.parse::<usize>().ok());
    number
        .and_then(|number| {
            vertex
                .op
                .selections()
                .into_iter()
                .nth(number.checked_sub(1)?)
        })
        .map_or_else(|| "the files".to_owned(), |(_, selector)| selector.path)
}

/// A command as it was written in a RUN: what the shell is given, or the words.
fn command(list: &str) -> String {
    match serde_json::from_str::<Vec<String>>(list) {
        Ok(words) => match words.as_slice() {
            [_, flag, script] if flag == "-c" => script.clone(),
            _ => words.join(" "),
        },
        Err(_) => list.to_owned(),
    }
}

#[cfg(test)]
mod tests;
