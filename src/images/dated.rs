//! What a plan asks about the world: base images, and when remote sources were last changed.
//! Images are [`Images`]' business, sources the executor's.

use std::error::Error;

use executor::ops::Executor;
use frontend::plan::{ImageName, ImageResolver, ResolveError, ResolvedImage};
use image::Platform;
use solver::{Cancel, Op};

use super::Images;

/// [`Images`], and an executor that fetches what a SOURCE_DATE_EPOCH names.
pub struct Dated<'a> {
    /// Base images.
    pub images: &'a Images,
    /// Fetches sources; needs no contexts.
    pub sources: Executor,
    /// Asks to stop.
    pub cancel: &'a Cancel,
}

impl ImageResolver for Dated<'_> {
    fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        self.images.resolve(name, platform)
    }

    fn modified(&self, source: &Op) -> Result<Option<i64>, ResolveError> {
        self.sources.modified(source, self.cancel).map_err(|error| {
            let mut message = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                message = format!("{message}: {cause}");
                source = cause.source();
            }
            ResolveError {
                message,
                help: None,
                unreachable: false,
            }
        })
    }
}
