//! What an image is: names, digests, manifests, configurations, and the bytes they are made of.
//!
//! This room knows none of the others: it has never heard of a Dockerfile, a cache or a container.
//! Read it in this order:
//!
//! - [`digest`]: `sha256:…` of bytes, and the two digests that name layers
//! - [`platform`]: which machine an image is for
//! - [`mod@reference`]: what people call an image
//! - [`manifest`]: which blobs make an image, and which image is for which machine
//! - [`tar`]: the form in which layers travel
//! - [`compress`]: packing and unpacking, on all cores
//! - [`blob`]: where blobs come from and go to, verified on the way
//! - [`layout`]: images in files, OCI's and Docker's
//! - [`http`]: files from the network, and what all connections share
//! - [`registry`]: manifests and blobs from and to registries
//! - [`time`]: RFC 3339
//! - [`config`]: what a container of the image starts with, and how the image came to be

pub mod blob;
pub mod compress;
pub mod config;
pub mod digest;
pub mod http;
pub mod layout;
pub mod manifest;
pub mod platform;
pub mod reference;
pub mod registry;
pub mod tar;
pub mod time;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use digest::{ChainId, DiffId, Digest, DigestError, DigestWriter};
pub use manifest::{Descriptor, Document, DocumentError, Index, Manifest};
pub use platform::{Platform, PlatformError};
pub use reference::{ImageRef, ReferenceError};
