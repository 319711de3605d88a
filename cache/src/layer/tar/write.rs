//! Writes a layer's tar from its index.

use std::io::{Read, Write};

use image::tar::{OPAQUE_WHITEOUT, TarError, Time, WHITEOUT_PREFIX, Writer};
use rayon::prelude::*;

use crate::layer::entry::{join, split};
use crate::layer::error::lossy;
use crate::layer::{Entry, Kind, Layer, LayerError, TimeRule};

/// Files up to this size are read ahead, side by side.
const SMALL: u64 = 64 << 10;
/// Entries that are read ahead together.
pub(crate) const BATCH: usize = 256;

/// How a layer's tar is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct TarOptions {
    /// Latest modification time, in seconds since 1970: later ones become this (`rewrite-timestamp`).
    pub clamp: Option<i64>,
}

/// Writes a layer's tar from its index: sorted, normalised, the same bytes everywhere. Times that
/// count exactly are written exactly, others in whole seconds.
pub fn write_tar(
    layer: &Layer,
    options: TarOptions,
    out: &mut dyn Write,
) -> Result<(), LayerError> {
    let mut tar = Writer::new(out);
    let mut entries = layer.index.iter().peekable();
    while entries.peek().is_some() {
        let batch: Vec<Entry> = entries.by_ref().take(BATCH).collect();
        let contents: Result<Vec<Option<Vec<u8>>>, LayerError> = batch
            .par_iter()
            .map(|entry| read_small(layer, entry))
            .collect();
        for (entry, content) in batch.iter().zip(contents?) {
            append(layer, options, &mut tar, entry, content)?;
        }
    }
    tar.finish()?;
    Ok(())
}

/// Whether the bytes of an entry go into the archive: hard links have them once.
fn has_bytes(entry: &Entry) -> bool {
    match &entry.kind {
        Kind::File { link, .. } => link.as_ref().is_none_or(|first| *first == entry.path),
        _ => false,
    }
}

/// The bytes of a small file, to be read ahead.
pub(crate) fn read_small(layer: &Layer, entry: &Entry) -> Result<Option<Vec<u8>>, LayerError> {
    match entry.kind {
        Kind::File { size, .. } if size <= SMALL && has_bytes(entry) => {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            if size > 0 {
                // one more than there should be, so that a longer file is noticed
                open(layer, entry)?
                    .take(size + 1)
                    .read_to_end(&mut bytes)
                    .map_err(LayerError::io("read", layer.files.join(&entry.path)))?;
            }
            Ok(Some(bytes))
        }
        _ => Ok(None),
    }
}

fn open(layer: &Layer, entry: &Entry) -> Result<std::fs::File, LayerError> {
    layer
        .files
        .open_file(&entry.path)
        .map_err(LayerError::io("open", layer.files.join(&entry.path)))
}

fn append(
    layer: &Layer,
    options: TarOptions,
    tar: &mut Writer<&mut dyn Write>,
    entry: &Entry,
    content: Option<Vec<u8>>,
) -> Result<(), LayerError> {
    let (dir, name) = split(&entry.path);
    if entry
        .path
        .split(|byte| *byte == b'/')
        .any(|name| name.starts_with(WHITEOUT_PREFIX))
    {
        return Err(LayerError::Path {
            path: lossy(&entry.path),
            reason: "a name that begins with `.wh.` would be taken for a deletion",
        });
    }
    if entry.kind == Kind::Whiteout {
        let path = join(dir, &[WHITEOUT_PREFIX, name].concat());
        return Ok(tar.append(&marker(path), &mut std::io::empty())?);
    }
    append_entry(layer, tar, entry, &header(entry, options), content)?;
    if matches!(entry.kind, Kind::Dir { opaque: true }) {
        let mark = marker(join(&entry.path, OPAQUE_WHITEOUT));
        tar.append(&mark, &mut std::io::empty())?;
    }
    Ok(())
}

/// Writes an entry under `header`, with its bytes if it has any: those that were read ahead, or
/// its file's in the layer.
pub(crate) fn append_entry<W: Write>(
    layer: &Layer,
    tar: &mut Writer<W>,
    entry: &Entry,
    header: &image::tar::Entry,
    content: Option<Vec<u8>>,
) -> Result<(), LayerError> {
    match content {
        Some(bytes) => tar.append(header, &mut &bytes[..])?,
        None if has_bytes(entry) => tar.append(header, &mut open(layer, entry)?)?,
        None => tar.append(header, &mut std::io::empty())?,
    }
    Ok(())
}

/// An entry as an archive has it. Whiteouts have no form of their own there.
pub(crate) fn header(entry: &Entry, options: TarOptions) -> image::tar::Entry {
    let kind = match &entry.kind {
        Kind::Whiteout => image::tar::Kind::File,
        Kind::Dir { .. } => image::tar::Kind::Dir,
        Kind::File {
            link: Some(first), ..
        } if *first != entry.path => image::tar::Kind::HardLink {
            target: first.clone(),
        },
        Kind::File { .. } => image::tar::Kind::File,
        Kind::Symlink { target } => image::tar::Kind::Symlink {
            target: target.clone(),
        },
        Kind::CharDevice { major, minor } => image::tar::Kind::CharDevice {
            major: *major,
            minor: *minor,
        },
        Kind::BlockDevice { major, minor } => image::tar::Kind::BlockDevice {
            major: *major,
            minor: *minor,
        },
        Kind::Fifo => image::tar::Kind::Fifo,
    };
    let path = if entry.path.is_empty() {
        b"."
    } else {
        entry.path.as_slice()
    };
    image::tar::Entry {
        uid: entry.uid,
        gid: entry.gid,
        mtime: time(entry, options),
        xattrs: match kind {
            image::tar::Kind::HardLink { .. } => Default::default(),
            _ => entry
                .xattrs
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), value.clone()))
                .collect(),
        },
        size: match entry.kind {
            Kind::File { size, .. } if has_bytes(entry) => size,
            _ => 0,
        },
        ..image::tar::Entry::new(path, kind, entry.mode)
    }
}

/// An empty file that says something by its name.
fn marker(path: Vec<u8>) -> image::tar::Entry {
    image::tar::Entry::new(path, image::tar::Kind::File, 0)
}

fn time(entry: &Entry, options: TarOptions) -> Time {
    let mtime = entry.mtime;
    match options.clamp {
        Some(latest) if mtime.seconds >= latest => Time {
            seconds: latest,
            nanos: 0,
        },
        _ => Time {
            seconds: mtime.seconds,
            nanos: if entry.time == TimeRule::Exact {
                mtime.nanos
            } else {
                0
            },
        },
    }
}

impl From<TarError> for LayerError {
    fn from(error: TarError) -> Self {
        Self::Archive(error)
    }
}
