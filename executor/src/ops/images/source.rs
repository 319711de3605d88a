//! Where the blobs of an image are to be had, besides the store.

use std::io::{self, Read};
use std::sync::Arc;

use cache::blobs::Blobs;
use image::blob::{BlobError, BlobSource, Verifier, read_document};
use image::layout::LayoutDir;
use image::registry::Client;
use image::{Descriptor, ImageRef};
use solver::op::{ImageOp, ImageOrigin};

use crate::ops::Executor;
use crate::ops::error::OpError;

/// A place with an image's blobs.
pub enum Source {
    /// The store alone.
    Store(Blobs),
    /// A directory.
    Layout(LayoutDir),
    /// A repository of a registry.
    Registry(Arc<Client>, Box<ImageRef>),
}

impl Source {
    /// Where `op` says.
    pub fn of(executor: &Executor, op: &ImageOp) -> Result<Self, OpError> {
        let failed = |source: io::Error| OpError::ImageBlob {
            image: op.reference.clone(),
            source,
        };
        Ok(match &op.origin {
            ImageOrigin::Store => Self::Store(executor.store().blobs()),
            ImageOrigin::Layout(path) => {
                Self::Layout(LayoutDir::open(path).map_err(|e| failed(io::Error::other(e)))?)
            }
            ImageOrigin::Registry(name) => {
                let image: ImageRef = name.parse().map_err(|e| failed(io::Error::other(e)))?;
                match &executor.options.registries {
                    Some(client) => {
                        let image = image.at_digest(op.manifest);
                        Self::Registry(Arc::clone(client), Box::new(image))
                    }
                    None => Self::Store(executor.store().blobs()),
                }
            }
        })
    }

    /// Opens a blob; its end is reached only if it is what its descriptor says.
    pub fn open(&self, descriptor: &Descriptor) -> io::Result<Box<dyn Read + Send + '_>> {
        let Descriptor { digest, size, .. } = *descriptor;
        let verified = |blob| Box::new(Verifier::new(blob, digest, size));
        Ok(match self {
            Self::Store(blobs) => verified(BlobSource::open(blobs, &digest)?),
            Self::Layout(layout) => verified(layout.open(&digest)?),
            Self::Registry(client, image) => {
                Box::new(client.blob(image, descriptor).map_err(io::Error::other)?)
            }
        })
    }

    /// The bytes of the manifest, verified.
    pub fn manifest(&self, op: &ImageOp) -> io::Result<Vec<u8>> {
        let document = |blobs: &dyn BlobSource| {
            let size = blobs.size(&op.manifest)?;
            let size = size.ok_or_else(|| io::Error::from(BlobError::Missing(op.manifest)))?;
            Ok(read_document(
                blobs,
                &Descriptor::new("", op.manifest, size),
            )?)
        };
        match self {
            Self::Store(blobs) => document(blobs),
            Self::Layout(layout) => document(layout),
            Self::Registry(client, image) => client
                .manifest(image)
                .map(|fetched| fetched.bytes)
                .map_err(io::Error::other),
        }
    }
}
