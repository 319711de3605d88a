//! Hooks that `--hooks-dir` brings: files as oci-hooks(5) has them, in version 1.0.0, and which of them
//! are for a container. Calls none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use executor::container::hook::{Hook, Hooks};
use regex::Regex;
use serde::Deserialize;

use super::ENGINE;
use super::document::{Document, MountKind};
use crate::report::Failure;

const VERSION: &str = "1.0.0";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    hook: Hook,
    when: When,
    stages: Vec<String>,
}

/// For which containers: for those to which everything applies that is said, if anything is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct When {
    always: Option<bool>,
    annotations: BTreeMap<String, String>,
    commands: Vec<String>,
    has_bind_mounts: Option<bool>,
}

/// The hooks in `directories` that are for a container. A file takes the place of one with its name in
/// an earlier directory; they are called in the order of their names.
pub fn chosen(directories: &[PathBuf], document: &Document) -> Result<Hooks, Failure> {
    let mut files = BTreeMap::new();
    for directory in directories {
        let unread = |error: std::io::Error| {
            Failure::new(
                ENGINE,
                format!("--hooks-dir {}: {error}", directory.display()),
            )
            .help("it takes a directory of files *.json, which `man 5 oci-hooks` describes")
        };
        for entry in std::fs::read_dir(directory).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.insert(path.file_name().map(ToOwned::to_owned), path);
            }
        }
    }
    let mut hooks = Hooks::default();
    for path in files.values() {
        let text = std::fs::read_to_string(path).map_err(|error| failed(path, &error))?;
        let file: File = serde_json::from_str(&text).map_err(|error| failed(path, &error))?;
        add(file, document, &mut hooks).map_err(|why| failed(path, &why))?;
    }
    if !hooks.create_container.is_empty() && document.runtime_program.is_none() {
        return Err(Failure::new(
            ENGINE,
            "a hook of the stage createContainer is not done when rbuild itself starts a container",
        )
        .help("it sees the container's mounts beside the host's files, which are never together here: use another --runtime"));
    }
    Ok(hooks)
}

fn add(file: File, document: &Document, hooks: &mut Hooks) -> Result<(), String> {
    if file.version != VERSION {
        return Err(format!(
            "its version is {:?}, and {VERSION:?} is what is known",
            file.version
        ));
    }
    if !file.hook.path.is_absolute() {
        return Err(format!("{} is not absolute", file.hook.path.display()));
    }
    if file.stages.is_empty() {
        return Err("it names no stage".to_owned());
    }
    let applies = file.when.applies(document)?;
    for stage in &file.stages {
        let found = hooks.stage(stage);
        let list = found.ok_or_else(|| format!("there is no stage {stage:?}"))?;
        if applies {
            list.push(file.hook.clone());
        }
    }
    Ok(())
}

impl When {
    fn applies(&self, document: &Document) -> Result<bool, String> {
        let pattern = |text: &String| {
            Regex::new(text).map_err(|error| format!("{text:?} is no pattern: {error}"))
        };
        let mut answers = Vec::new();
        answers.extend(self.always);
        for (key, value) in &self.annotations {
            let (key, value) = (pattern(key)?, pattern(value)?);
            let mut given = document.host_config.annotations.iter();
            answers.push(given.any(|(name, text)| key.is_match(name) && value.is_match(text)));
        }
        if !self.commands.is_empty() {
            let mut fits = false;
            for text in &self.commands {
                fits |= pattern(text)?.is_match(&document.path);
            }
            answers.push(fits);
        }
        if let Some(wanted) = self.has_bind_mounts {
            let mut mounts = document.mounts.iter();
            answers.push(wanted && mounts.any(|point| point.kind == MountKind::Bind));
        }
        Ok(!answers.is_empty() && answers.into_iter().all(|answer| answer))
    }
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(ENGINE, format!("the hook {}: {why}", path.display()))
        .help("`man 5 oci-hooks` has the form of these files")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::document::MountPoint;

    fn document() -> Document {
        let mut document = Document {
            path: "/bin/sh".to_owned(),
            ..Document::default()
        };
        let annotations = &mut document.host_config.annotations;
        annotations.insert("org.trace".to_owned(), "yes please".to_owned());
        document
    }

    fn applies(when: &str) -> bool {
        let when: When = serde_json::from_str(when).unwrap();
        when.applies(&document()).unwrap()
    }

    #[test]
    fn everything_that_is_said_must_apply() {
        assert!(!applies("{}"));
        assert!(applies(r#"{"always": true}"#));
        assert!(!applies(r#"{"always": false}"#));
        assert!(applies(r#"{"commands": ["^/usr", "sh$"]}"#));
        assert!(!applies(r#"{"commands": ["^/usr"]}"#));
        assert!(applies(r#"{"annotations": {"^org\\.trace$": "^yes"}}"#));
        assert!(!applies(r#"{"annotations": {"^org\\.trace$": "^no"}}"#));
        assert!(!applies(r#"{"always": true, "hasBindMounts": true}"#));
        assert!(!applies(r#"{"always": true, "commands": ["^/usr"]}"#));
        let mut bound = document();
        bound.mounts.push(MountPoint {
            kind: MountKind::Bind,
            ..MountPoint::default()
        });
        for (when, applies) in [
            (r#"{"hasBindMounts": true}"#, true),
            // as podman has it: a condition that never holds
            (r#"{"hasBindMounts": false}"#, false),
        ] {
            let when: When = serde_json::from_str(when).unwrap();
            assert_eq!(when.applies(&bound).unwrap(), applies);
            assert!(!when.applies(&document()).unwrap());
        }
    }

    #[test]
    fn later_directories_count_and_wrong_files_are_named() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = |path: &str| {
            format!(
                r#"{{"version": "1.0.0", "hook": {{"path": "{path}"}}, "when": {{"always": true}}, "stages": ["poststop"]}}"#
            )
        };
        let write = |directory: &Path, name: &str, text: &str| {
            std::fs::write(directory.join(name), text).unwrap();
        };
        write(first.path(), "b.json", &text("/old"));
        write(first.path(), "c.json", &text("/last"));
        write(first.path(), "README", "no hook");
        write(second.path(), "b.json", &text("/new"));
        let places = [first.path().to_owned(), second.path().to_owned()];
        let hooks = chosen(&places, &document()).unwrap();
        let paths: Vec<_> = hooks
            .poststop
            .iter()
            .map(|hook| hook.path.as_path())
            .collect();
        assert_eq!(paths, [Path::new("/new"), Path::new("/last")]);
        for (wrong, said) in [
            (text("relative"), "is not absolute"),
            (text("/x").replace("1.0.0", "0.1.0"), "its version"),
            (text("/x").replace("poststop", "never"), "there is no stage"),
            (text("/x").replace("[\"poststop\"]", "[]"), "names no stage"),
            (
                text("/x").replace("poststop", "createContainer"),
                "createContainer",
            ),
            (text("/x").replace("always", "sometimes"), "sometimes"),
        ] {
            write(second.path(), "b.json", &wrong);
            let failure = chosen(&places, &document()).unwrap_err();
            assert!(failure.title.contains(said), "{}", failure.title);
        }
        let failure = chosen(&["/no/such/place".into()], &document()).unwrap_err();
        assert!(
            failure
                .title
                .contains("--hooks-dir /no/such/place: No such file")
        );
    }
}
