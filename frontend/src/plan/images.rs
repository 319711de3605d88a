//! Base images: who reads their configurations, and each of them read once, side by side.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use image::{ImageConfig, ImageRef, Platform};
use solver::op::{ImageOrigin, Op};

/// How many images are asked for at the same time.
const MOST_AT_ONCE: usize = 16;

/// An image whose manifest and configuration were read.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// Its canonical name.
    pub reference: String,
    /// Where its blobs are to be had.
    pub origin: ImageOrigin,
    /// Digest of the manifest for the platform.
    pub manifest: image::Digest,
    /// Its configuration.
    pub config: ImageConfig,
}

/// Which image is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageName {
    /// A reference as written in FROM, `--from` or `docker-image://`.
    Reference(String),
    /// `oci-layout://…`, without the scheme.
    Layout(String),
}

impl ImageName {
    /// The text that was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Reference(text) | Self::Layout(text) => text,
        }
    }
}

/// Reads base images' configurations: all the frontend knows of stores and registries.
pub trait ImageResolver: Sync {
    /// The image's manifest for `platform` and its configuration.
    fn resolve(&self, name: &ImageName, platform: &Platform)
    -> Result<ResolvedImage, ResolveError>;

    /// When what an `Http` or `Git` op names was last changed, in seconds since 1970: the header
    /// of the file, or the newest entry if it is an archive; the commit. None if it has no time.
    /// Asked only for a SOURCE_DATE_EPOCH that names a source.
    ///
    /// # Errors
    /// The source cannot be reached; unless implemented, that this is not supported.
    fn modified(&self, source: &Op) -> Result<Option<i64>, ResolveError> {
        let _ = source;
        Err(ResolveError {
            message: "only a number of seconds is supported, not the time of a source".to_owned(),
            help: Some(
                "give the seconds since 1970, such as $(git log -1 --pretty=%ct)".to_owned(),
            ),
            unreachable: false,
        })
    }
}

/// Why an image's configuration could not be read; its cause is the resolver's.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    /// What went wrong, naming the image.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether it could not be asked for at all: nothing is wrong with the name then.
    pub unreachable: bool,
}

type Answer = Result<Arc<ResolvedImage>, ResolveError>;
type Slot = Arc<OnceLock<Answer>>;

/// Asks a resolver for each image once per platform, however many ask for it.
pub(super) struct Images<'a> {
    resolver: &'a dyn ImageResolver,
    slots: Mutex<HashMap<(ImageName, Platform), Slot>>,
}

impl<'a> Images<'a> {
    pub(super) fn new(resolver: &'a dyn ImageResolver) -> Self {
        Self {
            resolver,
            slots: Mutex::default(),
        }
    }

    /// When a source was last changed.
    pub(super) fn modified(&self, source: &Op) -> Result<Option<i64>, ResolveError> {
        self.resolver.modified(source)
    }

    /// The image, waiting for whoever is asking for it already.
    pub(super) fn get(&self, name: &ImageName, platform: &Platform) -> Answer {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                slots
                    .entry((canonical(name), platform.clone()))
                    .or_default(),
            )
        };
        slot.get_or_init(|| self.resolver.resolve(name, platform).map(Arc::new))
            .clone()
    }

    /// Asks for all of `wanted` side by side; what came of it is kept for [`get`](Self::get).
    pub(super) fn prepare(&self, wanted: &[(ImageName, Platform)]) {
        if wanted.len() < 2 {
            return;
        }
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..wanted.len().min(MOST_AT_ONCE) {
                scope.spawn(|| {
                    while let Some((name, platform)) =
                        wanted.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        // A failure is told where the image is used.
                        let _ = self.get(name, platform);
                    }
                });
            }
        });
    }
}

/// One name for all the ways to write an image.
fn canonical(name: &ImageName) -> ImageName {
    match name {
        ImageName::Reference(text) => match text.parse::<ImageRef>() {
            Ok(reference) => ImageName::Reference(reference.to_string()),
            Err(_) => name.clone(),
        },
        ImageName::Layout(_) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(AtomicUsize);

    impl ImageResolver for Counting {
        fn resolve(&self, name: &ImageName, _: &Platform) -> Result<ResolvedImage, ResolveError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(ResolveError {
                message: name.text().to_owned(),
                help: None,
                unreachable: false,
            })
        }
    }

    #[test]
    fn an_image_is_asked_for_once_per_platform() {
        let resolver = Counting(AtomicUsize::new(0));
        let images = Images::new(&resolver);
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let names = ["busybox", "docker.io/library/busybox:latest", "busybox:2"];
        let mut wanted: Vec<_> = names
            .iter()
            .map(|name| {
                let name = ImageName::Reference((*name).to_owned());
                (name, platform("linux/amd64"))
            })
            .collect();
        wanted.push((wanted[0].0.clone(), platform("linux/arm64")));
        images.prepare(&wanted);
        for (name, platform) in &wanted {
            assert!(images.get(name, platform).is_err());
        }
        assert_eq!(resolver.0.load(Ordering::Relaxed), 3);
    }
}
