//! Images as commands see them: found in the store or a registry, made from what a build left, and
//! packed for those who want blobs.

mod changes;
mod complete;
mod dated;
mod document;
mod draft;
pub mod inspect;
mod pack;
mod resolve;
mod seal;
mod send;
mod times;
mod unpack;

use std::sync::Arc;

use cache::{ImageError, Store, StoreError, StoredImage};
use image::registry::{Client, DockerCredentials, Options};
use image::{Digest, DocumentError};
use solver::Cancel;

pub use changes::changed;
pub use complete::complete;
pub use dated::Dated;
pub use document::{Loaded, load, load_root, resolved};
pub use draft::{draft, seal_again, settle, settle_all};
pub use pack::{Packing, pack, remember};
pub use seal::{content_size, seal};
pub use send::send;
pub use times::of_layers;
pub use unpack::snapshot;

use crate::report::{Class, Failure};

/// Images in the store and in registries.
pub struct Images {
    store: Store,
    registries: Arc<Client>,
    /// Whether registries are asked although the store knows the name.
    refresh: bool,
    cancel: Cancel,
}

impl Images {
    /// Images of `store`, and of registries with the user's credentials.
    pub fn new(store: &Store, refresh: bool, cancel: &Cancel) -> Self {
        let asked = cancel.clone();
        let options = Options {
            cancel: Arc::new(move || asked.is_cancelled()),
            ..Options::default()
        };
        Self {
            store: store.clone(),
            registries: Arc::new(Client::new(options, DockerCredentials)),
            refresh,
            cancel: cancel.clone(),
        }
    }

    /// The client that speaks to registries.
    pub fn registries(&self) -> Arc<Client> {
        Arc::clone(&self.registries)
    }

    /// Where the images are.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// The image that people mean by a name or an id.
pub fn find(store: &Store, text: &str) -> Result<StoredImage, Failure> {
    settle(store, text, &crate::stop::on_signal()).map_err(|error| error.failure())?;
    store.image(text).map_err(|error| image_failure(&error))
}

/// What people are told of an image that is not there, or cannot go.
pub fn image_failure(error: &ImageError) -> Failure {
    match error {
        ImageError::Store(error) => crate::home::store_failure(error),
        error => Failure::from_error(Class::Refused, error),
    }
}

/// The documents of an image for this machine, or of the only one that there is.
pub fn load_host(store: &Store, image: &StoredImage) -> Result<Loaded, Failure> {
    load(store, image, None)
        .map_err(|error| error.failure())?
        .ok_or_else(|| {
            Failure::new(
                Class::Refused,
                format!(
                    "the image {} has nothing for {}",
                    image.short_id(),
                    image::Platform::host()
                ),
            )
        })
}

/// Why an image could not be read, made or packed.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] cache::LayerError),
    /// A document of an image is not what it should be.
    #[error("the image {image} is damaged: {what}")]
    Damaged {
        /// Which image.
        image: String,
        /// What is wrong.
        what: String,
    },
    /// A manifest could not be read.
    #[error("the manifest {digest} is malformed")]
    Document {
        /// Its digest.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// A layer's blob is not there any more, and cannot be made again.
    #[error("the layer {0} of a pulled image is not in the store")]
    MissingLayer(Digest),
    /// Bytes could not be packed or written.
    #[error("cannot pack a layer")]
    Pack(#[source] std::io::Error),
    /// There is no thread to be had.
    #[error("cannot start a thread")]
    Threads(#[source] std::io::Error),
    /// Somebody asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl ImagesError {
    /// What people are told of it.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Store(error) => crate::home::store_failure(error),
            Self::Threads(error) => crate::threads::failure(error),
            Self::Cancelled => Failure::new(Class::Interrupted, "stopped"),
            Self::MissingLayer(_) => Failure::from_error(Class::System, self)
                .help("pull the image again: rbuild pull NAME"),
            _ => Failure::from_error(Class::System, self),
        }
    }
}
