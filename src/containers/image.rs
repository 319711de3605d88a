//! The image that a container is made of: in the store, or fetched first.

use std::io::IsTerminal;

use cache::pins::Pin;
use cache::{Snapshot, Store};
use frontend::plan::{ImageName, ImageResolver};
use image::{Digest, ImageConfig, Platform};

use super::ENGINE;
use crate::cli::build::Progress as Mode;
use crate::cli::container::Whole;
use crate::images::{Images, load, resolved, settle, snapshot};
use crate::progress::Progress;
use crate::report::Failure;
use crate::stop::Signals;

/// An image with its files.
pub struct Found {
    /// Its manifest, or the index that it was pulled by.
    pub manifest: Digest,
    /// Its configuration: the id that people see.
    pub id: Digest,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its files.
    pub snapshot: Snapshot,
    /// They stay as long as this lives.
    pub _pins: Vec<Pin>,
}

/// The image that people mean by `text`; asked of the registry as `--pull` says.
pub fn find(store: &Store, text: &str, flags: &Whole, signals: &Signals) -> Result<Found, Failure> {
    let cancel = signals.asked();
    let wanted = match &flags.platform {
        Some(text) => Some(
            text.parse::<Platform>()
                .map_err(|error| Failure::new(ENGINE, format!("{text} is no platform: {error}")))?,
        ),
        None => None,
    };
    settle(store, text, &cancel).map_err(|error| error.failure())?;
    let missing = || Failure::new(ENGINE, format!("No such image: {text}"));
    let images = Images::new(store, flags.pull == "always", &cancel);
    let known = match store.image(text) {
        Ok(known) if flags.pull != "always" => load(store, &known, wanted.as_ref())
            .map_err(|error| error.failure())?
            .map(|loaded| (known, loaded)),
        Ok(_) | Err(cache::ImageError::Unknown(_)) => None,
        Err(error) => return Err(crate::images::image_failure(&error)),
    };
    let is_shown = std::io::stderr().is_terminal() && !flags.quiet;
    let progress = Progress::new(if is_shown { Mode::Auto } else { Mode::Quiet });
    let (image, stored) = match known {
        Some((stored, loaded)) => (resolved(&stored, loaded), stored),
        None if flags.pull == "never" => return Err(missing()),
        None => {
            crate::threads::start()?;
            let platform = wanted.unwrap_or_else(Platform::host);
            let image = images
                .resolve(&ImageName::Reference(text.to_owned()), &platform)
                .map_err(|error| {
                    let failure = Failure::new(ENGINE, error.message);
                    match error.help {
                        Some(help) => failure.help(help),
                        None => failure,
                    }
                })?;
            let stored = store
                .image(text)
                .map_err(|error| crate::images::image_failure(&error))?;
            (image, stored)
        }
    };
    if !image.config.platform().serves(&Platform::host()) && flags.platform.is_none() {
        crate::report::note(&format!(
            "warning: the image's platform ({}) does not match this machine's ({})",
            image.config.platform(),
            Platform::host()
        ));
    }
    let stacked = match &stored.snapshot {
        // Most containers: nothing to fetch, nothing to unpack.
        Some(known) if stored.manifest == image.manifest => store
            .pin(&known.layers)
            .map_err(|error| crate::home::store_failure(&error))?
            .map(|pin| (known.clone(), vec![pin])),
        _ => None,
    };
    let (snapshot, pins) = match stacked {
        Some(stacked) => stacked,
        None => {
            crate::threads::start()?;
            snapshot(&images, &image, &progress, &cancel)?
        }
    };
    progress.finish();
    Ok(Found {
        manifest: stored.manifest,
        id: stored.config,
        config: image.config,
        snapshot,
        _pins: pins,
    })
}
