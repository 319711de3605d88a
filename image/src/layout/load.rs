//! Reads images from a tar, of any kind there has been: an OCI image layout, what `docker save`
//! writes now (both in one) and what it wrote for years (`ID/layer.tar`, `ID.json`).
//!
//! The tar is read once, as it comes: blobs go to the store at once, small documents are kept until
//! all is seen. No path of the archive is ever opened.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use super::docker::{DockerImage, MANIFEST_FILE, REPOSITORIES_FILE};
use super::paths::{beside, clean};
use super::{INDEX_FILE, LAYOUT_FILE, LayoutError, NamedImage, check_marker, json, named_images};
use crate::blob::{BlobError, BlobSink, BlobSource, Verifier, reachable, read_document};
use crate::compress::{Decoder, Format};
use crate::manifest::{
    Container, DOCUMENT_LIMIT, Descriptor, Document, Index, Manifest, media_type,
};
use crate::tar::{Body, Entry, Kind, Reader};
use crate::{Digest, ImageConfig, ImageRef};

/// The most that all documents outside of `blobs/` may have together.
const DOCUMENTS_LIMIT: u64 = 64 << 20;
const MOST_LINKS: usize = 8;

/// Reads the images of an archive, packed or not, and puts all blobs into `store`.
pub fn load(
    from: impl Read,
    store: &(impl BlobSource + BlobSink),
) -> Result<Vec<NamedImage>, LayoutError> {
    let mut tar = Reader::new(Decoder::new(from)?);
    let mut seen = Seen::default();
    while let Some(entry) = tar.next_entry()? {
        let holes = tar.has_holes();
        seen.take(&entry, holes, tar.body(), store)?;
    }
    let images = if let Some(index) = seen.documents.get(INDEX_FILE) {
        if let Some(marker) = seen.documents.get(LAYOUT_FILE) {
            check_marker(marker)?;
        }
        let index: Index = json(INDEX_FILE, index)?;
        let mut images = named_images(index)
            .into_iter()
            .map(|image| whole(store, image))
            .collect::<Result<Vec<_>, _>>()?;
        seen.add_docker_names(&mut images, store)?;
        images
    } else if seen.documents.contains_key(MANIFEST_FILE) {
        seen.docker_images(store)?
    } else {
        return Err(LayoutError::Unknown);
    };
    Ok(images)
}

/// What of an archive has gone by.
#[derive(Default)]
struct Seen {
    documents: HashMap<String, Vec<u8>>,
    documents_size: u64,
    /// Files that went to the store, by path.
    stored: HashMap<String, Stored>,
    /// Links between files, as old archives have them for equal layers.
    links: BTreeMap<String, String>,
}

#[derive(Clone, Copy)]
struct Stored {
    digest: Digest,
    size: u64,
    format: Format,
}

impl Seen {
    fn take<R: Read>(
        &mut self,
        entry: &Entry,
        holes: bool,
        mut body: Body<'_, R>,
        store: &(impl BlobSource + BlobSink),
    ) -> Result<(), LayoutError> {
        let path = clean(&entry.path)?;
        let refuse = |reason| LayoutError::Entry {
            name: path.clone(),
            reason,
        };
        match &entry.kind {
            Kind::Dir => return Ok(()),
            Kind::HardLink { target } => {
                self.links.insert(path, clean(target)?);
                return Ok(());
            }
            Kind::Symlink { target } => {
                let target = beside(&path, target)?;
                self.links.insert(path, target);
                return Ok(());
            }
            Kind::File if holes => return Err(refuse("it has holes")),
            Kind::File => {}
            _ => return Err(refuse("it is a device or a pipe")),
        }
        if self.documents.contains_key(&path) || self.stored.contains_key(&path) {
            return Err(refuse("it is there twice"));
        }
        if let Some(hex) = path.strip_prefix("blobs/sha256/") {
            let digest: Digest = format!("sha256:{hex}")
                .parse()
                .map_err(|_| refuse("a blob is named by its digest"))?;
            if store.size(&digest)? != Some(entry.size) {
                let mut from = Verifier::new(body, digest, entry.size);
                store.put(Some(&digest), &mut from)?;
            }
            let stored = Stored {
                digest,
                size: entry.size,
                format: Format::Plain,
            };
            self.stored.insert(path, stored);
        } else if is_document(&path) {
            self.documents_size = self.documents_size.saturating_add(entry.size);
            let (size, limit) = if entry.size > DOCUMENT_LIMIT {
                (entry.size, DOCUMENT_LIMIT)
            } else {
                (self.documents_size, DOCUMENTS_LIMIT)
            };
            if size > limit {
                return Err(LayoutError::TooLarge {
                    name: path,
                    size,
                    limit,
                });
            }
            let mut bytes = Vec::with_capacity(entry.size as usize);
            body.read_to_end(&mut bytes)?;
            self.documents.insert(path, bytes);
        } else if is_layer(&path) {
            let mut start = [0; 6];
            let length = read_start(&mut body, &mut start)?;
            let format = Format::of(&start[..length]);
            let mut from = start[..length].chain(body);
            let (digest, size) = store.put(None, &mut from)?;
            let stored = Stored {
                digest,
                size,
                format,
            };
            self.stored.insert(path, stored);
        }
        Ok(())
    }

    /// The file that a path of `manifest.json` means, through links.
    fn resolve<'a>(&'a self, path: &'a str) -> &'a str {
        let mut path = path;
        for _ in 0..MOST_LINKS {
            match self.links.get(path) {
                Some(target) => path = target,
                None => break,
            }
        }
        path
    }

    fn docker_manifest(&self) -> Result<Vec<DockerImage>, LayoutError> {
        match self.documents.get(MANIFEST_FILE) {
            Some(bytes) => json(MANIFEST_FILE, bytes),
            None => Ok(Vec::new()),
        }
    }

    /// Gives the images of an index the names that only `manifest.json` has for them.
    fn add_docker_names(
        &self,
        images: &mut [NamedImage],
        store: &impl BlobSource,
    ) -> Result<(), LayoutError> {
        for docker in self.docker_manifest()? {
            let Some(config) = self.stored.get(self.resolve(&docker.config)) else {
                continue;
            };
            for image in images.iter_mut().filter(|image| image.names.is_empty()) {
                let bytes = read_document(store, &image.descriptor)?;
                let same = matches!(
                    Document::parse(&bytes, None),
                    Ok(Document::Manifest(m)) if m.config.digest == config.digest
                );
                if same {
                    image.names = names(&docker)?;
                }
            }
        }
        Ok(())
    }

    /// The images of `manifest.json`, each with a manifest made for it.
    fn docker_images(
        &self,
        store: &(impl BlobSource + BlobSink),
    ) -> Result<Vec<NamedImage>, LayoutError> {
        self.docker_manifest()?
            .iter()
            .map(|docker| self.docker_image(docker, store))
            .collect()
    }

    fn docker_image(
        &self,
        docker: &DockerImage,
        store: &(impl BlobSource + BlobSink),
    ) -> Result<NamedImage, LayoutError> {
        let absent = |path: &str| LayoutError::Absent(path.to_owned());
        let config_path = self.resolve(&docker.config);
        let config_bytes = match (
            self.documents.get(config_path),
            self.stored.get(config_path),
        ) {
            (Some(bytes), _) => bytes.clone(),
            (None, Some(stored)) => {
                let found = Descriptor::new(media_type::DOCKER_CONFIG, stored.digest, stored.size);
                read_document(store, &found)?
            }
            (None, None) => return Err(absent(&docker.config)),
        };
        let config: ImageConfig = json(&docker.config, &config_bytes)?;
        let layers = docker.layers.as_deref().unwrap_or_default();
        let diff_ids = &config.rootfs.diff_ids;
        if layers.len() != diff_ids.len() {
            return Err(LayoutError::LayerCount {
                layers: layers.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let mut descriptors = Vec::with_capacity(layers.len());
        for (path, diff_id) in layers.iter().zip(diff_ids) {
            let stored = self
                .stored
                .get(self.resolve(path))
                .ok_or_else(|| absent(path))?;
            let container = match format(stored, store)? {
                Format::Plain if stored.digest != diff_id.0 => {
                    return Err(LayoutError::Layer {
                        name: path.clone(),
                        expected: diff_id.0,
                        found: stored.digest,
                    });
                }
                Format::Plain => Container::Uncompressed,
                Format::Gzip => Container::Gzip,
                Format::Zstd => Container::Zstd,
                Format::Xz | Format::Bzip2 => {
                    return Err(LayoutError::Entry {
                        name: path.clone(),
                        reason: "a layer is packed with gzip or zstd, or not at all",
                    });
                }
            };
            let media_type = container.docker_layer();
            descriptors.push(Descriptor::new(media_type, stored.digest, stored.size));
        }
        let config = put(store, media_type::DOCKER_CONFIG, &config_bytes)?;
        let manifest = Manifest::new(media_type::DOCKER_MANIFEST, config, descriptors);
        let manifest = serde_json::to_vec(&manifest).map_err(|source| LayoutError::Json {
            name: MANIFEST_FILE.to_owned(),
            source,
        })?;
        Ok(NamedImage {
            descriptor: put(store, media_type::DOCKER_MANIFEST, &manifest)?,
            names: names(docker)?,
        })
    }
}

/// What a stored layer is packed with; blobs are looked at only now.
fn format(stored: &Stored, store: &impl BlobSource) -> io::Result<Format> {
    if stored.format != Format::Plain {
        return Ok(stored.format);
    }
    let mut start = [0; 6];
    let length = read_start(&mut store.open(&stored.digest)?, &mut start)?;
    Ok(Format::of(&start[..length]))
}

/// The image when all its blobs are there. Of an index that lacks platforms, as archives made for
/// one platform have it, the only image that is whole takes its place.
fn whole(store: &impl BlobSource, image: NamedImage) -> Result<NamedImage, LayoutError> {
    let lack = match check(store, &image.descriptor) {
        Err(LayoutError::Blob(BlobError::Missing(lack))) => lack,
        other => return other.map(|()| image),
    };
    let missing = || LayoutError::Blob(BlobError::Missing(lack));
    if !media_type::is_index(&image.descriptor.media_type) || lack == image.descriptor.digest {
        return Err(missing());
    }
    let bytes = read_document(store, &image.descriptor)?;
    let Ok(Document::Index(index)) = Document::parse(&bytes, None) else {
        return Err(missing());
    };
    let mut whole = index
        .images()
        .filter(|child| check(store, child).is_ok())
        .cloned();
    match (whole.next(), whole.next()) {
        (Some(descriptor), None) => Ok(NamedImage {
            descriptor,
            names: image.names,
        }),
        _ => Err(missing()),
    }
}

/// Whether all blobs of an image are there, in the length that their descriptors say.
fn check(store: &impl BlobSource, root: &Descriptor) -> Result<(), LayoutError> {
    for blob in reachable(store, root)? {
        match store.size(&blob.digest)? {
            Some(size) if size == blob.size => {}
            Some(found) => {
                return Err(LayoutError::Blob(BlobError::Size {
                    digest: blob.digest,
                    expected: blob.size,
                    found: Some(found),
                }));
            }
            None if blob.layer_format().is_some_and(|f| f.nondistributable) => {}
            None => return Err(LayoutError::Blob(BlobError::Missing(blob.digest))),
        }
    }
    Ok(())
}

fn put(store: &impl BlobSink, media_type: &str, bytes: &[u8]) -> Result<Descriptor, LayoutError> {
    let (digest, size) = store.put(None, &mut &*bytes)?;
    Ok(Descriptor::new(media_type, digest, size))
}

fn names(docker: &DockerImage) -> Result<Vec<ImageRef>, LayoutError> {
    let tags = docker.repo_tags.as_deref().unwrap_or_default();
    tags.iter()
        .map(|tag| {
            tag.parse().map_err(|_| LayoutError::Entry {
                name: tag.clone(),
                reason: "it is no name of an image",
            })
        })
        .collect()
}

fn read_start(from: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < start.len() {
        match from.read(&mut start[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// A file that is read into memory: it says what the others are.
fn is_document(path: &str) -> bool {
    path == LAYOUT_FILE || path == REPOSITORIES_FILE || path.ends_with(".json")
}

/// A file that may be a layer of an old archive.
fn is_layer(path: &str) -> bool {
    path.ends_with(".tar") || path.ends_with(".tar.gz")
}
