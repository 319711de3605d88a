//! Past builds: one directory each, with what came of it and its events.
//!
//! These are files and no rows, so that a build with nothing to do waits for no writer. A build
//! whose process died is told by its lock.

use std::cmp::Reverse;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image::Digest;
use serde::{Deserialize, Serialize};
use solver::CacheKey;

use crate::explain::Explanation;
use crate::store::{Store, StoreError, remove};

/// How many builds are remembered, beside those that were asked to be kept.
const REMEMBERED: usize = 100;

/// One past or present build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Its name: sorts by the time it began.
    pub id: String,
    /// When it began, in seconds since 1970.
    pub started: f64,
    /// How long it took, in seconds.
    pub elapsed: f64,
    /// What was built, as [`Records::new`](crate::records::Records::new) was told.
    pub project: String,
    /// The Dockerfile, as the user named it.
    pub dockerfile: String,
    /// The target stage; empty for the last one.
    pub target: String,
    /// What came of it.
    pub result: BuildResult,
    /// Why it failed, one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The manifest, if it made an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
    /// Its names, as the user wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Its steps, in the order of the Dockerfile.
    #[serde(default)]
    pub steps: Vec<StepRecord>,
    /// Whether the user wants it kept.
    #[serde(default)]
    pub kept: bool,
}

/// What came of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum BuildResult {
    Running,
    Succeeded,
    Failed,
    Cancelled,
    /// Its process died.
    Died,
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// As it was shown: `[build 2/5] RUN make`.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// Its position in the stage.
    pub step: u32,
    /// What came of it.
    pub outcome: StepOutcome,
    /// Its key, if it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CacheKey>,
    /// Why it ran, if it did: the one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why it ran, with old and new values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// How long it ran, in seconds.
    pub elapsed: f64,
    /// Whether it is an image to build on, which is fetched or on hand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_image: bool,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum StepOutcome {
    Cached,
    Done,
    Failed,
    Cancelled,
    Skipped,
}

/// A build that goes on. Dropped without [`finish`](Self::finish) it counts as died.
#[derive(Debug)]
pub struct Build {
    dir: PathBuf,
    record: BuildRecord,
    began: SystemTime,
    /// Locked until dropped.
    events: File,
}

impl Store {
    /// Begins a build's history: its directory, its empty event file, and a record that says that it
    /// runs. On a full disk there is none of that, and the build goes on.
    pub fn begin_build(
        &self,
        project: &str,
        dockerfile: &str,
        target: &str,
    ) -> Result<Build, StoreError> {
        let began = SystemTime::now();
        let since = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut micros = since.as_micros();
        let (id, dir) = loop {
            let id = sortable(micros);
            let dir = self.build_dir(&id);
            match DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => break (id, dir),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => micros += 1,
                // Where there is no room even for that, nothing is remembered of the build.
                Err(error) if is_full(&error) => break (id, dir),
                Err(error) => return Err(StoreError::io("make", dir)(error)),
            }
        };
        let path = dir.join(EVENTS);
        let events = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let events = match events {
            Ok(events) => {
                events.lock().map_err(StoreError::io("lock", &path))?;
                events
            }
            Err(error) if is_full(&error) || error.kind() == ErrorKind::NotFound => {
                let nowhere = Path::new("/dev/null");
                let file = OpenOptions::new().write(true).open(nowhere);
                file.map_err(StoreError::io("open", nowhere))?
            }
            Err(error) => return Err(StoreError::io("make", &path)(error)),
        };
        let build = Build {
            record: BuildRecord {
                id,
                started: seconds(since),
                elapsed: 0.0,
                project: project.to_owned(),
                dockerfile: dockerfile.to_owned(),
                target: target.to_owned(),
                result: BuildResult::Running,
                message: String::new(),
                image: None,
                names: Vec::new(),
                steps: Vec::new(),
                kept: false,
            },
            dir,
            began,
            events,
        };
        match write(&build.dir, &build.record) {
            // A build with nothing to do needs no room; one that needs some says so itself.
            Err(error) if error.is_full() => {}
            Err(_) if !build.dir.is_dir() => {}
            written => written?,
        }
        self.forget_builds(REMEMBERED)?;
        Ok(build)
    }

    /// The builds that are remembered, newest first.
    pub fn builds(&self) -> Result<Vec<BuildRecord>, StoreError> {
        let mut ids = self.build_ids()?;
        ids.sort_by(|a, b| b.cmp(a));
        Ok(ids
            .iter()
            .filter_map(|id| read(&self.build_dir(id)))
            .collect())
    }

    /// The build with this id, the beginning of one, or `^N`: the N-th before the last one (`^0`).
    pub fn past_build(&self, text: &str) -> Result<Option<BuildRecord>, StoreError> {
        let mut ids = self.build_ids()?;
        ids.sort_by(|a, b| b.cmp(a));
        // What has no record, as when the disk was full, is no build to anybody.
        let mut records = ids
            .iter()
            .filter(|id| text.starts_with('^') || (!text.is_empty() && id.starts_with(text)))
            .filter_map(|id| read(&self.build_dir(id)));
        // Of several the newest: people type what a list showed them last.
        Ok(match text.strip_prefix('^') {
            Some(offset) => offset
                .parse::<usize>()
                .ok()
                .and_then(|offset| records.nth(offset)),
            None => records.next(),
        })
    }

    /// Keeps a build, or lets it be forgotten again.
    pub fn keep_build(&self, id: &str, kept: bool) -> Result<(), StoreError> {
        let dir = self.build_dir(id);
        match read(&dir) {
            Some(mut record) if record.kept != kept => {
                record.kept = kept;
                write(&dir, &record)
            }
            _ => Ok(()),
        }
    }

    /// The event file of a build.
    pub fn build_events(&self, id: &str) -> PathBuf {
        self.build_dir(id).join(EVENTS)
    }

    /// Forgets the oldest builds beyond the newest `remembered`, without those that are kept or
    /// go on. The number forgotten is the answer.
    pub fn forget_builds(&self, remembered: usize) -> Result<usize, StoreError> {
        let mut ids = self.build_ids()?;
        if ids.len() <= remembered {
            return Ok(0);
        }
        ids.sort_by_key(|id| Reverse(id.clone()));
        let mut forgotten = 0;
        for id in ids.split_off(remembered) {
            let dir = self.build_dir(&id);
            let record = read(&dir);
            if record.is_some_and(|record| record.kept || record.result == BuildResult::Running) {
                continue;
            }
            remove::tree(&dir)?;
            forgotten += 1;
        }
        Ok(forgotten)
    }

    fn build_ids(&self) -> Result<Vec<String>, StoreError> {
        let dir = self.builds_dir();
        let names = std::fs::read_dir(&dir)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|entry| entry.file_name().into_string().ok()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(StoreError::io("list", &dir))?;
        Ok(names.into_iter().flatten().collect())
    }
}

impl Build {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its event file, opened for appending.
    pub fn events(&self) -> &File {
        &self.events
    }

    /// Ends it.
    pub fn finish(
        mut self,
        result: BuildResult,
        message: &str,
        image: Option<(Digest, Vec<String>)>,
        steps: Vec<StepRecord>,
    ) -> Result<BuildRecord, StoreError> {
        let record = &mut self.record;
        record.result = result;
        message.clone_into(&mut record.message);
        if let Some((digest, names)) = image {
            record.image = Some(digest);
            record.names = names;
        }
        record.steps = steps;
        record.elapsed = seconds(self.began.elapsed().unwrap_or(Duration::ZERO));
        write(&self.dir, record)?;
        Ok(self.record)
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Whole microseconds, which JSON gives back as they were.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

/// A number as eleven digits and letters that sort as the number does.
fn sortable(mut number: u128) -> String {
    let mut digits = [b'0'; 11];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
        number /= 36;
    }
    digits.map(char::from).iter().collect()
}

const EVENTS: &str = "events.jsonl";
const RECORD: &str = "build.json";

fn write(dir: &Path, record: &BuildRecord) -> Result<(), StoreError> {
    let path = dir.join(RECORD);
    let scratch = dir.join(format!("{RECORD}.new"));
    let text = serde_json::to_vec(record).unwrap_or_default();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&scratch)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &text))
        .and_then(|()| std::fs::rename(&scratch, &path))
        .map_err(StoreError::io("write", path))
}

/// None for a directory without a readable record: a build that is just beginning, or of another version.
fn read(dir: &Path) -> Option<BuildRecord> {
    let text = std::fs::read(dir.join(RECORD)).ok()?;
    let mut record: BuildRecord = serde_json::from_slice(&text).ok()?;
    if record.result == BuildResult::Running
        && File::open(dir.join(EVENTS)).is_ok_and(|events| events.try_lock_shared().is_ok())
    {
        record.result = BuildResult::Died;
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;

    #[test]
    fn a_build_runs_then_ends_or_dies() {
        let (_dir, store) = samples::store();
        let build = store.begin_build("p", "Dockerfile", "").unwrap();
        let id = build.id().to_owned();
        let result = || store.past_build(&id).unwrap().unwrap().result;
        assert_eq!(result(), BuildResult::Running);
        drop(build);
        assert_eq!(result(), BuildResult::Died);
        let build = store.begin_build("p", "Dockerfile", "app").unwrap();
        let step = StepRecord {
            name: "RUN make".into(),
            stage: "build".into(),
            step: 1,
            outcome: StepOutcome::Done,
            key: Some(CacheKey([1; 32])),
            reason: "never built before".into(),
            explanation: Some(Explanation::NeverBuilt),
            elapsed: 0.5,
            is_image: false,
        };
        let image = Some((Digest::of(b"x"), vec!["app".to_owned()]));
        let record = build
            .finish(BuildResult::Succeeded, "", image, vec![step])
            .unwrap();
        let builds = store.builds().unwrap();
        assert_eq!(builds[0], record);
        assert_eq!(builds.len(), 2);
        assert_eq!(store.past_build("^0").unwrap().unwrap(), record);
        assert_eq!(store.past_build("^1").unwrap().unwrap().id, id);
        for text in ["^2", "^x", "", "nothing"] {
            assert_eq!(store.past_build(text).unwrap(), None);
        }
    }

    #[test]
    fn the_oldest_are_forgotten_but_for_those_kept_or_running() {
        let (_dir, store) = samples::store();
        let mut ids = Vec::new();
        let running = store.begin_build("p", "", "").unwrap();
        for _ in 0..5 {
            let build = store.begin_build("p", "", "").unwrap();
            ids.push(build.id().to_owned());
            build
                .finish(BuildResult::Failed, "no", None, Vec::new())
                .unwrap();
        }
        let mut sorted = ids.clone();
        sorted.sort();
        store.keep_build(&sorted[0], true).unwrap();
        assert_eq!(store.forget_builds(2).unwrap(), 2);
        let left: Vec<String> = store.builds().unwrap().into_iter().map(|b| b.id).collect();
        assert_eq!(left.len(), 4);
        assert!(left.contains(&sorted[0]) && left.contains(&running.id().to_owned()));
    }
}
