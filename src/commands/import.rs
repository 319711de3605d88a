//! `import`: a root file system (a tar from a file, an address or standard input, or a directory)
//! becomes an image of one layer.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use cache::{Snapshot, Store, View};
use image::compress::{Decoder, ReadAhead};
use image::http::{Conditions, Fetcher, HttpError, RetryPolicy};
use image::{History, ImageConfig, Platform};
use solver::LayerDigest;

use crate::cli::images::ImportArgs;
use crate::copy::{CopyError, Side, pack};
use crate::export::parse_name;
use crate::home::Home;
use crate::images::{changed, seal};
use crate::report::{Class, Failure};

/// Unpacks the tar and stores the image.
pub fn run(args: &ImportArgs, home: &Home) -> anyhow::Result<u8> {
    // docker's 1, whoever is to blame
    import(args, home).map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) => failure.refused().into(),
        Err(error) => error,
    })
}

fn import(args: &ImportArgs, home: &Home) -> anyhow::Result<u8> {
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
    let url = args.source.to_str().filter(|text| is_url(text));
    let shown = url.map_or(shown, image::http::shown_url);
    let snapshot = match url {
        Some(url) => unpack(&store, fetched(url, &cancel)?, &shown)?,
        None if args.source == Path::new("-") => unpack(&store, std::io::stdin(), &shown)?,
        None if args.source.is_dir() => unpack_directory(&store, &args.source, &shown)?,
        None => {
            let file = File::open(&args.source).map_err(|error| unreadable(&shown, &error))?;
            unpack(&store, file, &shown)?
        }
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

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What is at an address.
fn fetched(url: &str, cancel: &solver::Cancel) -> Result<Box<dyn Read + Send>, Failure> {
    let asked = cancel.clone();
    let fetcher = Fetcher::new(
        RetryPolicy::default(),
        Arc::new(move || asked.is_cancelled()),
    );
    let failed = |error: HttpError| Failure::from_error(Class::Refused, &error);
    let answer = fetcher.and_then(|fetcher| fetcher.get(url, &Conditions::default()));
    Ok(answer.map_err(failed)?.body)
}

/// Takes the files of a directory, as if they had been packed.
fn unpack_directory(store: &Store, dir: &Path, shown: &str) -> Result<Snapshot, Failure> {
    let told = |error: &dyn std::fmt::Display| {
        let mut failure = Failure::new(Class::Yours, format!("cannot import {shown}"));
        failure.causes = vec![error.to_string()];
        failure
    };
    let dir = std::path::absolute(dir).map_err(|error| unreadable(shown, &error))?;
    let dir = dir
        .to_str()
        .ok_or_else(|| told(&"its name is not UTF-8"))?
        .to_owned();
    let side = Side::host().map_err(|error| told(&error))?;
    let (read, write) = std::io::pipe().map_err(|error| told(&error))?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut out = BufWriter::with_capacity(1 << 18, write);
            pack(&side, &dir, true, b"", &mut out)?;
            out.flush().map_err(image::tar::TarError::from)?;
            Ok::<(), CopyError>(())
        });
        let unpacked = unpack(store, read, shown);
        match packing.join() {
            // Then the tar ended early.
            Ok(Err(error)) => Err(unpacked.err().unwrap_or_else(|| told(&error))),
            Ok(Ok(())) => unpacked,
            Err(_) => Err(Failure::new(
                Class::Ours,
                "the reader of a directory panicked",
            )),
        }
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
