//! What images are described by: JSON documents, archives, names.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;

use image::blob::{BlobSink, BlobSource};
use image::{Digest, Document, ImageConfig, ImageRef, Platform};

/// A manifest, an index or a configuration; of an index, the image for a machine too.
pub fn documents(data: &[u8]) {
    match Document::parse(data, None) {
        Ok(Document::Index(index)) => {
            let _ = index.choose(&Platform::new("linux", "arm64", "v8"));
            index.images().for_each(drop);
        }
        Ok(Document::Manifest(manifest)) => {
            manifest.layers.iter().for_each(|layer| {
                layer.layer_format();
            });
        }
        Err(_) => {}
    }
    if let Ok(config) = serde_json::from_slice::<ImageConfig>(data) {
        config.platform();
        // What is written again is read again, and is then the same; but for fractions, whose
        // last digit may be another.
        let written = serde_json::to_vec(&config).expect("a configuration is written");
        let again: ImageConfig =
            serde_json::from_slice(&written).expect("what was written is read");
        if !has_fraction(&serde_json::from_slice(data).expect("a configuration is JSON")) {
            assert_eq!(serde_json::to_vec(&again).expect("it is written"), written);
        }
    }
}

/// Whether a number anywhere is no integer. JSON nests at most 128 deep where it is read.
fn has_fraction(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(values) => values.iter().any(has_fraction),
        serde_json::Value::Object(values) => values.values().any(has_fraction),
        _ => false,
    }
}

/// Blobs in memory.
#[derive(Default)]
struct Blobs(Mutex<HashMap<Digest, Vec<u8>>>);

impl BlobSource for Blobs {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        let blobs = self.0.lock().expect("no lock is poisoned");
        let bytes = blobs.get(digest).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        let blobs = self.0.lock().expect("no lock is poisoned");
        Ok(blobs.get(digest).map(|bytes| bytes.len() as u64))
    }
}

impl BlobSink for Blobs {
    fn put(&self, expected: Option<&Digest>, from: &mut dyn Read) -> io::Result<(Digest, u64)> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let digest = Digest::of(&bytes);
        if expected.is_some_and(|expected| *expected != digest) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let size = bytes.len() as u64;
        self.0
            .lock()
            .expect("no lock is poisoned")
            .insert(digest, bytes);
        Ok((digest, size))
    }
}

/// An archive of images, as `rbuild load` takes it.
pub fn load(data: &[u8]) {
    let _ = image::layout::load(&super::layers::mended(data)[..], &Blobs::default());
}

/// The name of an image: what is written of it is read as the same.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = text.parse::<Digest>();
    let _ = text.parse::<Platform>();
    if let Ok(name) = text.parse::<ImageRef>() {
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name), "{text:?}");
        assert_eq!(name.familiar().parse().as_ref(), Ok(&name), "{text:?}");
    }
}
