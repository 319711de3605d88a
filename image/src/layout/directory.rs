//! The OCI image layout as a directory, read and written.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    INDEX_FILE, LAYOUT_FILE, LayoutError, NamedImage, REF_NAME, check_marker, entries, entry_name,
    index_json, json, marker, named_images,
};
use crate::Digest;
use crate::blob::{BlobSink, BlobSource, Verifier, copy_digesting, reachable};
use crate::manifest::{DOCUMENT_LIMIT, Descriptor, Index};

/// A directory that holds `oci-layout`, `index.json` and `blobs/`.
pub struct LayoutDir {
    root: PathBuf,
    temporary: AtomicU64,
}

impl LayoutDir {
    /// Opens a layout to read it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let layout = Self {
            root: root.into(),
            temporary: AtomicU64::new(0),
        };
        check_marker(&layout.document(LAYOUT_FILE)?)?;
        Ok(layout)
    }

    /// Opens a layout to write to it, and makes it where there is none.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let root = root.into();
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|source| LayoutError::File {
            path: blobs,
            source,
        })?;
        if !root.join(LAYOUT_FILE).exists() {
            let layout = Self {
                root: root.clone(),
                temporary: AtomicU64::new(0),
            };
            layout.replace(INDEX_FILE, &index_json(Vec::new())?)?;
            layout.replace(LAYOUT_FILE, &marker())?;
        }
        Self::open(root)
    }

    /// The images, each once with all its names.
    pub fn images(&self) -> Result<Vec<NamedImage>, LayoutError> {
        Ok(named_images(self.index()?))
    }

    /// The image that a `oci-layout://directory[:tag][@digest]` means: by digest, else by tag or
    /// name, else the one tagged `latest`, else the only one.
    pub fn find(
        &self,
        tag: Option<&str>,
        digest: Option<&Digest>,
    ) -> Result<Descriptor, LayoutError> {
        let index = self.index()?;
        let is_named = |entry: &&Descriptor, name: &str| {
            entry.annotations.get(REF_NAME).is_some_and(|n| n == name)
                || entry_name(entry).is_some_and(|n| {
                    n.tag.as_deref() == Some(name) || n.to_string() == name || n.familiar() == name
                })
        };
        let manifests = || index.manifests.iter();
        let found = match (digest, tag) {
            (Some(digest), _) => {
                let entry = manifests().find(|entry| entry.digest == *digest).cloned();
                return match entry {
                    Some(entry) => Ok(entry),
                    // Not in the index, but perhaps under one of its own.
                    None => self.by_digest(digest),
                };
            }
            (None, Some(tag)) => manifests().find(|entry| is_named(entry, tag)),
            (None, None) => manifests().find(|entry| is_named(entry, "latest")).or(
                match index.manifests.as_slice() {
                    [only] => Some(only),
                    _ => None,
                },
            ),
        };
        found.cloned().ok_or_else(|| LayoutError::NotFound {
            wanted: tag.unwrap_or("latest").to_owned(),
            offered: manifests()
                .filter_map(|entry| entry.annotations.get(REF_NAME).cloned())
                .collect(),
        })
    }

    /// Copies images and all their blobs from `source`, and names them in the index. An entry of
    /// the same name or, without names, of the same digest is replaced.
    pub fn add(
        &self,
        images: &[NamedImage],
        source: &(impl BlobSource + ?Sized),
    ) -> Result<(), LayoutError> {
        for image in images {
            for blob in reachable(source, &image.descriptor)? {
                if self.size(&blob.digest)? == Some(blob.size) {
                    continue;
                }
                let from = source.open(&blob.digest)?;
                let mut from = Verifier::new(from, blob.digest, blob.size);
                self.put(Some(&blob.digest), &mut from)?;
            }
        }
        let added = entries(images);
        let mut manifests = self.index()?.manifests;
        manifests.retain(|old| {
            let same = |new: &Descriptor| match new.annotations.get(REF_NAME) {
                Some(_) => entry_name(old) == entry_name(new),
                None => old.digest == new.digest,
            };
            !added.iter().any(same)
        });
        manifests.extend(added);
        self.replace(INDEX_FILE, &index_json(manifests)?)
    }

    fn by_digest(&self, digest: &Digest) -> Result<Descriptor, LayoutError> {
        let absent = || LayoutError::NotFound {
            wanted: digest.to_string(),
            offered: Vec::new(),
        };
        let size = self.size(digest)?.ok_or_else(absent)?;
        let mut descriptor = Descriptor::new("", *digest, size);
        let bytes = crate::blob::read_document(self, &descriptor)?;
        let document = crate::Document::parse(&bytes, None).map_err(|_| absent())?;
        document.media_type().clone_into(&mut descriptor.media_type);
        Ok(descriptor)
    }

    fn index(&self) -> Result<Index, LayoutError> {
        json(INDEX_FILE, &self.document(INDEX_FILE)?)
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, LayoutError> {
        let path = self.root.join(name);
        let read = || {
            let mut bytes = Vec::new();
            open_file(&path)?
                .take(DOCUMENT_LIMIT + 1)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| LayoutError::File {
            path: path.clone(),
            source,
        })?;
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(LayoutError::TooLarge {
                name: path.display().to_string(),
                size: bytes.len() as u64,
                limit: DOCUMENT_LIMIT,
            });
        }
        Ok(bytes)
    }

    /// Writes a file beside its place and moves it there, so that nobody sees half of it.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), LayoutError> {
        let path = self.root.join(name);
        let temporary = self.temporary_path();
        fs::write(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| {
                let _ = fs::remove_file(&temporary);
                LayoutError::File { path, source }
            })
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    fn temporary_path(&self) -> PathBuf {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let name = format!(".tmp-{}-{number}", std::process::id());
        self.root.join("blobs").join(name)
    }
}

/// Opens a regular file; nothing that would block or has no end.
fn open_file(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    File::open(path)
}

impl BlobSource for LayoutDir {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(open_file(&self.blob_path(digest))?))
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        match fs::metadata(self.blob_path(digest)) {
            Ok(found) => Ok(found.is_file().then_some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl BlobSink for LayoutDir {
    fn put(&self, expected: Option<&Digest>, from: &mut dyn Read) -> io::Result<(Digest, u64)> {
        let temporary = self.temporary_path();
        let mut write = || {
            let mut file = File::create_new(&temporary)?;
            let (digest, size) = match expected {
                Some(digest) => (*digest, io::copy(from, &mut file)?),
                None => copy_digesting(from, &mut file)?,
            };
            fs::rename(&temporary, self.blob_path(&digest))?;
            Ok((digest, size))
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }
}
