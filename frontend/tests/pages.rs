//! The page of each rule: its bad example gives exactly this rule, its good one gives nothing, and it
//! says truly whether `--fix` helps.
#![expect(
    clippy::unwrap_used,
    reason = "a page that cannot be read fails the test"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use frontend::ignore::IgnoreRules;
use frontend::plan::{
    ContextFiles, ImageName, PlanRequest, ResolveError, ResolvedImage, apply, edits,
};
use frontend::rules::RULES;
use frontend::{Findings, ImageResolver, check, parse};
use image::{DiffId, Digest, ImageConfig, Platform};
use solver::op::ImageOrigin;

/// Where the pages are now, which may be another place than where this was built.
fn pages() -> PathBuf {
    let room = std::env::var_os("CARGO_MANIFEST_DIR");
    let room: PathBuf = room
        .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
        .into();
    room.join("../docs/checks")
}

/// Has every image, some of them for one machine alone.
struct Images;

impl ImageResolver for Images {
    fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        let text = name.text();
        let architecture = match text.split_once("only-") {
            Some((_, rest)) => rest.split(':').next().unwrap().to_owned(),
            None => platform.architecture.clone(),
        };
        let mut config = ImageConfig {
            os: platform.os.clone(),
            architecture,
            ..ImageConfig::default()
        };
        config.rootfs.diff_ids = vec![DiffId(Digest::of(text.as_bytes()))];
        Ok(ResolvedImage {
            reference: text.to_owned(),
            origin: ImageOrigin::Store,
            manifest: Digest::of(text.as_bytes()),
            config,
        })
    }
}

/// `path bytes`, line by line.
#[derive(Debug)]
struct Listed(String);

impl ContextFiles for Listed {
    fn find(&self, wanted: &(dyn Fn(&[u8], u64) -> bool + Sync)) -> Vec<(Vec<u8>, u64)> {
        let files = self.0.lines().map(|line| {
            let (path, size) = line.split_once(char::is_whitespace).unwrap();
            (path.as_bytes().to_vec(), size.trim().parse().unwrap())
        });
        files.filter(|(path, size)| wanted(path, *size)).collect()
    }

    fn head(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }
}

/// A part of a page under a heading of the second level.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let start = format!("\n## {heading}\n");
    let (_, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("there is no {heading} in {page}"));
    rest.split("\n## ").next().unwrap()
}

/// The fenced text of a language in a section.
fn block(section: &str, language: &str) -> Option<String> {
    let (_, rest) = section.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```").unwrap().0.to_owned())
}

/// Arguments that a section says are given: `--build-arg NAME=VALUE` in backticks.
fn build_args(section: &str) -> Vec<(String, String)> {
    let parts = section.split("`--build-arg ").skip(1);
    let parts = parts.map(|part| part.split('`').next().unwrap().split_once('=').unwrap());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A Dockerfile, and what its check finds.
fn example(section: &str) -> (String, PlanRequest, Findings) {
    let text = block(section, "dockerfile").unwrap();
    let ignore = block(section, "gitignore");
    let files = block(section, "text").filter(|_| ignore.is_none());
    let request = PlanRequest {
        own_rules: true,
        ignored: Some(IgnoreRules::parse(ignore.unwrap_or_default().as_bytes()).unwrap()),
        unguarded: files.map(|files| Arc::new(Listed(files)) as Arc<dyn ContextFiles>),
        platforms: vec![Platform::new("linux", "amd64", "")],
        build_args: build_args(section),
        now: "2026-01-02T03:04:05Z".to_owned(),
        ..PlanRequest::default()
    };
    let dockerfile = parse(&text).unwrap_or_else(|errors| panic!("{errors:?} in {text}"));
    let found = check(&dockerfile, &request, &Images);
    assert!(found.errors.is_empty(), "{:?} in {text}", found.errors);
    (text, request, found)
}

#[test]
fn every_page_is_true() {
    for rule in RULES {
        let name = rule.name;
        let path = pages().join(format!("{name}.md"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.starts_with(&format!("# {name}\n\n")), "{name}");
        assert!(section(&page, "Why").trim().len() > 80, "{name}: why?");

        let (text, request, found) = example(section(&page, "Bad"));
        let rules: Vec<&str> = found.warnings.iter().map(|w| w.rule).collect();
        assert!(
            !rules.is_empty() && rules.iter().all(|rule| *rule == name),
            "{name}: {found:?}"
        );

        let (good, _, nothing) = example(section(&page, "Good"));
        assert!(nothing.warnings.is_empty(), "{name}: {nothing:?} in {good}");

        let dockerfile = parse(&text).unwrap();
        let fixed = apply(&text, &edits(&text, &dockerfile, &found.warnings));
        let says = section(&page, "Fix").trim_start();
        if rule.is_fixable() {
            let left = check(&parse(&fixed).unwrap(), &request, &Images);
            assert!(left.warnings.is_empty(), "{name}: {left:?} in {fixed}");
            assert_eq!(fixed, good, "{name}: the good example is what a fix makes");
            assert!(says.starts_with("`rbuild check --fix` "), "{name}: {says}");
        } else {
            assert_eq!(fixed, text, "{name}");
            assert!(says.starts_with("By hand: "), "{name}: {says}");
        }
    }
}

#[test]
fn there_are_no_other_pages() {
    let mut found = Vec::new();
    for (dir, prefix) in [("", ""), ("rbuild", "rbuild/")] {
        for entry in std::fs::read_dir(pages().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension() == Some(Path::new("md").as_os_str()) {
                let name = path.file_stem().unwrap().to_str().unwrap();
                found.push(format!("{prefix}{name}"));
            }
        }
    }
    found.sort();
    let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(found, names);
}
