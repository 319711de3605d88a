//! `why`, `du` and `prune`: the store and what it remembers.

use std::io::Write;

use cache::builds::{BuildRecord, StepOutcome, StepRecord};
use cache::prune::PruneOptions;
use cache::usage::UsageItem;
use serde_json::json;

use crate::cli::store::{DuArgs, PruneArgs, WhyArgs};
use crate::home::{Home, store_failure};
use crate::progress::{Tally, bytes};
use crate::report::{Class, Failure};

/// Says why steps of a past build ran.
pub fn why(args: &WhyArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let text = args.build.as_deref().unwrap_or("^0");
    let build = store
        .past_build(text)
        .map_err(|error| store_failure(&error))?
        .ok_or_else(|| {
            Failure::new(
                Class::Yours,
                match &args.build {
                    Some(id) => format!("there is no build {id}"),
                    None => "nothing was built here yet".to_owned(),
                },
            )
        })?;
    let steps = chosen(&build, args.step.as_deref())?;
    let mut out = std::io::stdout().lock();
    if args.step.is_none() {
        let all = build.steps.iter();
        let tally = Tally::of(all.map(|step| (step.is_image, step.outcome)));
        writeln!(out, "build {} of {}: {tally}", build.id, build.dockerfile)?;
    }
    if build.steps.is_empty() {
        writeln!(out, "no step of it is known")?;
    } else if steps.is_empty() {
        writeln!(out, "every step came from the cache")?;
    }
    for step in steps {
        writeln!(out, "{}", step.name)?;
        match step.outcome {
            StepOutcome::Cached => writeln!(out, "  came from the cache")?,
            StepOutcome::Skipped => writeln!(out, "  was not needed")?,
            _ => {
                writeln!(
                    out,
                    "  ran: {}",
                    if step.reason.is_empty() {
                        "(not known)"
                    } else {
                        &step.reason
                    }
                )?;
                for line in step
                    .explanation
                    .iter()
                    .flat_map(|why| why.details(&step.name))
                {
                    writeln!(out, "    {line}")?;
                }
            }
        }
    }
    Ok(0)
}

/// The steps that are meant: by number, by a part of the name, or all that did not come from the cache.
fn chosen<'a>(build: &'a BuildRecord, step: Option<&str>) -> Result<Vec<&'a StepRecord>, Failure> {
    let Some(text) = step else {
        return Ok(build
            .steps
            .iter()
            .filter(|step| !matches!(step.outcome, StepOutcome::Cached | StepOutcome::Skipped))
            .collect());
    };
    let by_number = text
        .parse::<usize>()
        .ok()
        .and_then(|number| build.steps.get(number.checked_sub(1)?));
    let found: Vec<_> = match by_number {
        Some(step) => vec![step],
        None => build
            .steps
            .iter()
            .filter(|step| step.name.contains(text))
            .collect(),
    };
    if found.is_empty() {
        return Err(Failure::new(
            Class::Yours,
            format!("the build {} has no step `{text}`", build.id),
        )
        .help("give a number from 1, or a part of the step's text"));
    }
    Ok(found)
}

/// Shows what the store holds.
pub fn du(args: &DuArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let usage = store.usage().map_err(|error| store_failure(&error))?;
    let mut out = std::io::stdout().lock();
    if args.format.is_some() {
        let items: Vec<_> = usage.items.iter().map(item_json).collect();
        let all = json!({
            "items": items, "images": usage.images, "blobs": usage.blobs, "other": usage.other, "total": usage.total,
        });
        writeln!(out, "{all}")?;
        return Ok(0);
    }
    if args.verbose {
        writeln!(
            out,
            "{:<14} {:<16} {:>10} {:>10} {:>6}  DESCRIPTION",
            "ID", "TYPE", "UNIQUE", "SHARED", "USES"
        )?;
        for item in &usage.items {
            writeln!(
                out,
                "{:<14} {:<16} {:>10} {:>10} {:>6}  {}{}",
                short(&item.id),
                item.kind.name(),
                bytes(item.unique),
                bytes(item.shared),
                item.uses,
                item.description,
                if item.in_use { " (in use)" } else { "" }
            )?;
        }
        writeln!(out)?;
    }
    let prunable: u64 = usage
        .items
        .iter()
        .filter(|item| !item.in_use)
        .map(|item| item.unique)
        .sum();
    for (what, size) in [
        ("images' files", usage.images),
        ("blobs", usage.blobs),
        ("other", usage.other),
        ("can be pruned", prunable),
        ("total", usage.total),
    ] {
        writeln!(out, "{what:<14} {:>10}", bytes(size))?;
    }
    Ok(0)
}

fn item_json(item: &UsageItem) -> serde_json::Value {
    json!({
        "id": item.id, "type": item.kind.name(), "description": item.description, "unique": item.unique,
        "shared": item.shared, "in_use": item.in_use, "created": item.created, "used": item.used, "uses": item.uses,
    })
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Removes what is not needed.
pub fn prune(args: &PruneArgs, home: &Home) -> anyhow::Result<u8> {
    let mut options = PruneOptions {
        all: args.all,
        keep_storage: args.keep_storage,
        dry_run: args.dry_run,
        ..PruneOptions::default()
    };
    for filter in &args.filter {
        options
            .filter(&format!("{}={}", filter.name, filter.value))
            .map_err(|error| Failure::from_error(Class::Yours, &error))?;
    }
    let store = home.enter_and_open()?;
    let pruned = store
        .prune(&options)
        .map_err(|error| store_failure(&error))?;
    let mut out = std::io::stdout().lock();
    for item in &pruned.items {
        writeln!(
            out,
            "{:<14} {:<16} {:>10}  {}",
            short(&item.id),
            item.kind.name(),
            bytes(item.unique),
            item.description
        )?;
    }
    let verb = if args.dry_run { "would free" } else { "freed" };
    writeln!(
        out,
        "{} records, {} layers, {} blobs; {verb} {}",
        pruned.items.len(),
        pruned.layers,
        pruned.blobs,
        bytes(pruned.freed)
    )?;
    Ok(0)
}
