//! `rbuild import`: a root file system tar becomes an image of one layer.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use cache::{Snapshot, Store, View};
use image::compress::{Decoder, ReadAhead};
use image::{History, ImageConfig, Platform};
use solver::LayerDigest;

use crate::cli::images::ImportArgs;
use crate::export::parse_name;
use crate::home::Home;
use crate::images::{changed, seal};
use crate::report::{Class, Failure};

/// Unpacks the tar and stores the image.
pub fn run(args: &ImportArgs, home: &Home) -> anyhow::Result<u8> {
    let names = args.name.as_deref().map(parse_name).transpose()?;
    let platform = match &args.platform {
        Some(text) => text
            .parse()
            .map_err(|error: image::PlatformError| Failure::from_error(Class::Yours, &error))?,
        None => Platform::host(),
    };
    let mut config = ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        ..ImageConfig::default()
    };
    config.config = changed(None, &args.changes)?;
    let store = home.enter_and_open()?;
    let cancel = crate::stop::on_signal();
    let shown = args.source.display().to_string();
    let snapshot = if args.source == Path::new("-") {
        unpack(&store, std::io::stdin(), &shown)?
    } else {
        let file = File::open(&args.source).map_err(|error| unreadable(&shown, &error))?;
        unpack(&store, file, &shown)?
    };
    let now = created()?;
    config.created = Some(now.clone());
    config.history = vec![History {
        created: Some(now),
        comment: args
            .message
            .clone()
            .unwrap_or_else(|| format!("Imported from {shown}")),
        ..History::default()
    }];
    let sealed = seal(&store, &snapshot, &config, names.as_slice(), &cancel)
        .map_err(|error| error.failure())?;
    writeln!(std::io::stdout(), "{}", sealed.id)?;
    Ok(0)
}

/// When the image is said to be made: now, or what SOURCE_DATE_EPOCH says (reproducible-builds.org).
fn created() -> Result<String, Failure> {
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(crate::time::now());
    };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok());
    seconds
        .and_then(|seconds| image::time::rfc3339(seconds, 0))
        .ok_or_else(|| {
            Failure::new(
                Class::Yours,
                format!(
                    "SOURCE_DATE_EPOCH is no number of seconds: {}",
                    epoch.display()
                ),
            )
        })
}

fn unpack(
    store: &Store,
    from: impl Read + Send + 'static,
    shown: &str,
) -> Result<Snapshot, Failure> {
    let told = |error: &(dyn std::error::Error + 'static)| {
        let mut failure = Failure::new(Class::Yours, format!("cannot import {shown}"));
        failure.causes = std::iter::successors(Some(error), |error| error.source())
            .map(ToString::to_string)
            .collect();
        failure
    };
    let plain = Decoder::new(from).map_err(|error| told(&error))?;
    let mut tar = ReadAhead::new(plain).map_err(|error| told(&error))?;
    let new = store
        .new_layer()
        .map_err(|error| crate::home::store_failure(&error))?;
    let unpacked = new.unpack(&mut tar).map_err(|error| told(&error))?;
    let entries = unpacked.into_entries();
    if entries.is_empty() {
        return Err(Failure::new(
            Class::Yours,
            format!("cannot import {shown}: it holds no files"),
        )
        .help("give a tar of a root file system, plain or packed with gzip, xz, bzip2 or zstd"));
    }
    let layer = new
        .commit_listed(&View::default(), entries)
        .map_err(|error| told(&error))?;
    Ok(Snapshot::new([(
        layer.id,
        LayerDigest::Change(layer.change),
    )]))
}

fn unreadable(shown: &str, error: &std::io::Error) -> Failure {
    let mut failure = Failure::new(Class::Yours, format!("cannot read {shown}"));
    failure.causes = vec![error.to_string()];
    failure
}
