//! Base images: in the store if it knows the name, else asked of the registry. Layers are not
//! touched: they are fetched when a step needs their files.

use std::path::Path;

use cache::Snapshot;
use cache::images::NewImage;
use frontend::plan::{ImageName, ImageResolver, ResolveError, ResolvedImage};
use image::layout::LayoutDir;
use image::registry::RegistryError;
use image::{Descriptor, Digest, Document, ImageConfig, ImageRef, Manifest, Platform};
use solver::op::ImageOrigin;

use super::Images;

/// What a registry has under a name.
#[derive(Debug, Clone)]
pub struct Found {
    /// Digest of the manifest or index.
    pub root: Digest,
    /// The manifest for the platform.
    pub manifest: Manifest,
    /// What a build or a container needs of it.
    pub resolved: ResolvedImage,
}

impl ImageResolver for Images {
    fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        match name {
            ImageName::Reference(text) => self.by_name(text, platform),
            ImageName::Layout(text) => self.in_layout(text, platform),
        }
    }
}

impl Images {
    fn by_name(&self, text: &str, platform: &Platform) -> Result<ResolvedImage, ResolveError> {
        let reference: ImageRef = text
            .parse()
            .map_err(|error| fail(format!("{text}: {error}"), None))?;
        if !self.refresh
            && let Some(known) = self.in_store(&reference, platform)?
        {
            return Ok(known);
        }
        self.in_registry(&reference, platform)
    }

    fn in_store(
        &self,
        reference: &ImageRef,
        platform: &Platform,
    ) -> Result<Option<ResolvedImage>, ResolveError> {
        let name = reference.to_string();
        super::settle(&self.store, &name, &self.cancel)
            .map_err(|error| fail(error.to_string(), None))?;
        let Ok(stored) = self.store.image(&name) else {
            return Ok(None);
        };
        // An image that cannot be read any more is asked for anew.
        let Ok(Some(loaded)) = super::load(&self.store, &stored, Some(platform)) else {
            return Ok(None);
        };
        Ok(Some(ResolvedImage {
            reference: reference.to_string(),
            origin: ImageOrigin::Registry(reference.to_string()),
            manifest: loaded.manifest_digest,
            config: loaded.config,
        }))
    }

    fn in_registry(
        &self,
        reference: &ImageRef,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        let found = self.ask(reference, platform)?;
        self.keep(reference, &found, None)
            .map_err(|error| fail(error.to_string(), error.cure()))?;
        Ok(found.resolved)
    }

    /// Asks the registry what a name stands for, and keeps the documents among the blobs; the name
    /// is not given to it yet.
    pub fn ask(&self, reference: &ImageRef, platform: &Platform) -> Result<Found, ResolveError> {
        let told = |error: RegistryError| registry_failure(reference, &error);
        let blobs = self.store.blobs();
        let keep = |bytes: &[u8]| {
            blobs
                .put_bytes(bytes)
                .map_err(|error| fail(error.to_string(), error.cure()))
        };
        let root = self.registries.manifest(reference).map_err(told)?;
        keep(&root.bytes)?;
        let (digest, manifest) = match root.document {
            Document::Manifest(manifest) => (root.descriptor.digest, manifest),
            Document::Index(index) => {
                let chosen = index
                    .choose(platform)
                    .map_err(|error| fail(format!("{}: {error}", reference.familiar()), None))?;
                let fetched = self
                    .registries
                    .manifest(&reference.at_digest(chosen.digest))
                    .map_err(told)?;
                keep(&fetched.bytes)?;
                match fetched.document {
                    Document::Manifest(manifest) => (chosen.digest, manifest),
                    Document::Index(_) => {
                        return Err(fail(
                            format!("{}: its index leads to another index", reference.familiar()),
                            None,
                        ));
                    }
                }
            }
        };
        let bytes = self
            .registries
            .document(reference, &manifest.config)
            .map_err(told)?;
        keep(&bytes)?;
        let config = parse_config(reference, &bytes, &manifest)?;
        Ok(Found {
            root: root.descriptor.digest,
            manifest,
            resolved: ResolvedImage {
                reference: reference.to_string(),
                origin: ImageOrigin::Registry(reference.to_string()),
                manifest: digest,
                config,
            },
        })
    }

    /// Remembers what a name stands for, so that the next build asks nobody.
    pub fn keep(
        &self,
        reference: &ImageRef,
        found: &Found,
        snapshot: Option<&Snapshot>,
    ) -> Result<(), cache::StoreError> {
        let layers = &found.manifest.layers;
        let mut needed: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
        needed.push(found.resolved.manifest);
        let config = &found.resolved.config;
        let created = config
            .created
            .as_deref()
            .and_then(image::time::parse_rfc3339)
            .unwrap_or_default();
        let size = match snapshot {
            Some(snapshot) => super::seal::sizes(&self.store, snapshot)?.iter().sum(),
            None => layers.iter().map(|layer| layer.size).sum(),
        };
        let image = NewImage {
            manifest: found.root,
            config: found.manifest.config.digest,
            blobs: &needed,
            snapshot,
            size,
            created,
        };
        super::pack::remember(&self.store, config, &found.manifest)?;
        if snapshot.is_some() {
            for layer in layers {
                super::send::remember_place(&self.store, reference, &layer.digest);
            }
        }
        // The digest is a name too: the one that the registry knows it by.
        let names = [reference.clone(), reference.at_digest(found.root)];
        let names = match reference.digest {
            Some(_) => &names[..1],
            None => &names[..],
        };
        self.store.add_image(&image, names)
    }

    fn in_layout(&self, text: &str, platform: &Platform) -> Result<ResolvedImage, ResolveError> {
        let (dir, tag, digest) = split_layout(text)?;
        let told = |error: image::layout::LayoutError| {
            let mut message = format!("oci-layout://{text}: {error}");
            if let Some(source) = std::error::Error::source(&error) {
                message = format!("{message}: {source}");
            }
            fail(message, None)
        };
        let layout = LayoutDir::open(dir).map_err(told)?;
        let mut descriptor = layout.find(tag, digest.as_ref()).map_err(told)?;
        let document = |descriptor: &Descriptor| {
            let bytes = image::blob::read_document(&layout, descriptor)
                .map_err(|error| fail(format!("oci-layout://{text}: {error}"), None))?;
            Ok::<_, ResolveError>(bytes)
        };
        let parse = |bytes: &[u8]| {
            Document::parse(bytes, None)
                .map_err(|error| fail(format!("oci-layout://{text}: {error}"), None))
        };
        let mut bytes = document(&descriptor)?;
        let manifest = loop {
            match parse(&bytes)? {
                Document::Manifest(manifest) => break manifest,
                Document::Index(index) => {
                    descriptor = index
                        .choose(platform)
                        .map_err(|error| fail(format!("oci-layout://{text}: {error}"), None))?
                        .clone();
                    let inner = document(&descriptor)?;
                    if matches!(parse(&inner)?, Document::Index(_)) {
                        return Err(fail(
                            format!("oci-layout://{text}: its index leads to another index"),
                            None,
                        ));
                    }
                    bytes = inner;
                }
            }
        };
        let config_bytes = document(&manifest.config)?;
        let keep = |bytes: &[u8]| {
            self.store
                .blobs()
                .put_bytes(bytes)
                .map_err(|error| fail(error.to_string(), error.cure()))
        };
        keep(&bytes)?;
        keep(&config_bytes)?;
        let reference: ImageRef = "oci-layout:latest"
            .parse()
            .map_err(|_| fail(text.to_owned(), None))?;
        let config = parse_config(&reference, &config_bytes, &manifest)?;
        super::pack::remember(&self.store, &config, &manifest)
            .map_err(|error| fail(error.to_string(), error.cure()))?;
        Ok(ResolvedImage {
            reference: format!("oci-layout://{text}"),
            origin: ImageOrigin::Layout(
                std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
            ),
            manifest: descriptor.digest,
            config,
        })
    }
}

fn parse_config(
    reference: &ImageRef,
    bytes: &[u8],
    manifest: &Manifest,
) -> Result<ImageConfig, ResolveError> {
    let config: ImageConfig = serde_json::from_slice(bytes).map_err(|error| {
        fail(
            format!(
                "{}: its configuration is malformed: {error}",
                reference.familiar()
            ),
            None,
        )
    })?;
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(fail(
            format!(
                "{}: its manifest names {} layers, its configuration {}",
                reference.familiar(),
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            ),
            None,
        ));
    }
    Ok(config)
}

/// `directory[:tag][@digest]`.
fn split_layout(text: &str) -> Result<(&Path, Option<&str>, Option<Digest>), ResolveError> {
    let (rest, digest) = match text.rsplit_once('@') {
        Some((rest, digest)) if digest.starts_with("sha256:") => {
            let digest = digest
                .parse()
                .map_err(|error| fail(format!("oci-layout://{text}: {error}"), None))?;
            (rest, Some(digest))
        }
        _ => (text, None),
    };
    let (dir, tag) = match rest.rsplit_once(':') {
        Some((dir, tag)) if !tag.contains('/') && !Path::new(rest).is_dir() => (dir, Some(tag)),
        _ => (rest, None),
    };
    Ok((Path::new(dir), tag, digest))
}

fn fail(message: String, help: Option<String>) -> ResolveError {
    ResolveError {
        message,
        help,
        unreachable: false,
    }
}

/// What people are told when a registry does not give an image.
fn registry_failure(reference: &ImageRef, error: &RegistryError) -> ResolveError {
    let mut message = format!("{}: {error}", reference.familiar());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    let name = reference.familiar();
    ResolveError {
        message,
        help: Some(format!(
            "the store has no image of this name either; `rbuild import FILE {name}` makes one from a root file system"
        )),
        unreachable: matches!(error, RegistryError::Transport { .. }),
    }
}
