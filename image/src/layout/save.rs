//! Writes images to a tar that is the same for the same images: sorted, without times and owners.

use std::collections::BTreeMap;
use std::io::Write;

use super::docker::{DockerImage, MANIFEST_FILE, REPOSITORIES_FILE, Repositories};
use super::{INDEX_FILE, LAYOUT_FILE, LayoutError, NamedImage, entries, index_json, marker};
use crate::blob::{BlobError, BlobSource, Verifier, reachable, read_document};
use crate::compress::ReadAhead;
use crate::manifest::{Descriptor, Document, Manifest};
use crate::tar::{Entry, Kind, Writer};

/// Size of a blob from which on a thread of its own reads it, in bytes.
const LARGE: u64 = 4 << 20;

/// Who is to read an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Anyone who reads OCI image layouts.
    Oci,
    /// `docker load` of any age too: one platform.
    Docker,
}

/// A member of the archive.
enum Member {
    Directory,
    Bytes(Vec<u8>),
    Blob(Box<Descriptor>),
}

/// Writes `images` and all their blobs to `into`, and returns it. Every blob is verified on its
/// way.
pub fn save<W: Write>(
    into: W,
    kind: ArchiveKind,
    images: &[NamedImage],
    source: &(impl BlobSource + ?Sized),
) -> Result<W, LayoutError> {
    // The order of the paths is the order of the archive.
    let mut members = BTreeMap::from([
        ("blobs".to_owned(), Member::Directory),
        ("blobs/sha256".to_owned(), Member::Directory),
        (LAYOUT_FILE.to_owned(), Member::Bytes(marker())),
        (
            INDEX_FILE.to_owned(),
            Member::Bytes(index_json(entries(images))?),
        ),
    ]);
    for image in images {
        for blob in reachable(source, &image.descriptor)? {
            members.insert(blob_path(&blob), Member::Blob(Box::new(blob)));
        }
    }
    if kind == ArchiveKind::Docker {
        let (manifest, repositories) = docker_files(images, source)?;
        members.insert(MANIFEST_FILE.to_owned(), Member::Bytes(manifest));
        if let Some(repositories) = repositories {
            members.insert(REPOSITORIES_FILE.to_owned(), Member::Bytes(repositories));
        }
    }
    let mut tar = Writer::new(into);
    for (path, member) in members {
        match member {
            Member::Directory => {
                tar.append(&Entry::new(path, Kind::Dir, 0o755), &mut std::io::empty())?;
            }
            Member::Bytes(bytes) => {
                tar.append(&file(path, bytes.len() as u64), &mut bytes.as_slice())?;
            }
            Member::Blob(blob) => {
                append_blob(&mut tar, &file(path, blob.size), &blob, source)?;
            }
        }
    }
    Ok(tar.finish()?)
}

/// Appends a blob; a large one is read and verified in a thread, beside the writing.
fn append_blob<W: Write>(
    tar: &mut Writer<W>,
    entry: &Entry,
    blob: &Descriptor,
    source: &(impl BlobSource + ?Sized),
) -> Result<(), LayoutError> {
    let open = || {
        let from = source.open(&blob.digest)?;
        Ok::<_, LayoutError>(Verifier::new(from, blob.digest, blob.size))
    };
    let mut from = open()?;
    if blob.size < LARGE {
        return Ok(tar.append(entry, &mut from)?);
    }
    std::thread::scope(|scope| match ReadAhead::within(scope, from) {
        Ok(mut ahead) => Ok(tar.append(entry, &mut ahead)?),
        // No more threads can be had.
        Err(_) => Ok(tar.append(entry, &mut open()?)?),
    })
}

fn file(path: String, size: u64) -> Entry {
    Entry {
        size,
        ..Entry::new(path, Kind::File, 0o444)
    }
}

fn blob_path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

/// `manifest.json`, and `repositories` when any image has a name.
fn docker_files(
    images: &[NamedImage],
    source: &(impl BlobSource + ?Sized),
) -> Result<(Vec<u8>, Option<Vec<u8>>), LayoutError> {
    let mut docker_images = Vec::new();
    let mut repositories = Repositories::new();
    for image in images {
        let manifest = single_manifest(&image.descriptor, source)?;
        let tagged = image.names.iter().filter(|name| name.tag.is_some());
        let mut repo_tags = Vec::new();
        for name in tagged {
            let repository = name.familiar_name();
            let tag = name.tag.clone().unwrap_or_default();
            repo_tags.push(format!("{repository}:{tag}"));
            if let Some(top) = manifest.layers.last() {
                let tags = repositories.entry(repository).or_default();
                tags.insert(tag, top.digest.hex());
            }
        }
        docker_images.push(DockerImage {
            config: blob_path(&manifest.config),
            repo_tags: (!repo_tags.is_empty()).then_some(repo_tags),
            layers: Some(manifest.layers.iter().map(blob_path).collect()),
        });
    }
    let repositories = (!repositories.is_empty())
        .then(|| written(REPOSITORIES_FILE, &repositories))
        .transpose()?;
    Ok((written(MANIFEST_FILE, &docker_images)?, repositories))
}

fn written(name: &str, value: &impl serde::Serialize) -> Result<Vec<u8>, LayoutError> {
    serde_json::to_vec(value).map_err(|source| LayoutError::Json {
        name: name.to_owned(),
        source,
    })
}

/// The manifest that `docker load` is to see: the image itself, or the only one of an index.
fn single_manifest(
    root: &Descriptor,
    source: &(impl BlobSource + ?Sized),
) -> Result<Manifest, LayoutError> {
    let read = |at: &Descriptor| {
        let bytes = read_document(source, at)?;
        Document::parse(&bytes, Some(&at.media_type)).map_err(|source| BlobError::Document {
            digest: at.digest,
            source,
        })
    };
    let several = || LayoutError::SeveralPlatforms(root.digest);
    let index = match read(root)? {
        Document::Manifest(manifest) => return Ok(manifest),
        Document::Index(index) => index,
    };
    let mut images = index.images();
    let (Some(only), None) = (images.next(), images.next()) else {
        return Err(several());
    };
    match read(only)? {
        Document::Manifest(manifest) => Ok(manifest),
        Document::Index(_) => Err(several()),
    }
}
