//! Which blobs an image or an index needs.

use std::collections::HashSet;

use super::{BlobError, BlobSource, read_document};
use crate::manifest::{Descriptor, Document, media_type};

const DEEPEST: usize = 4;
const MOST: usize = 10_000;

/// Every blob that `root` leads to, each once, and each after those it names: the order in which a
/// registry takes them. `root` is the last.
pub fn reachable(
    source: &(impl BlobSource + ?Sized),
    root: &Descriptor,
) -> Result<Vec<Descriptor>, BlobError> {
    let mut found = Vec::new();
    visit(source, root, &mut found, &mut HashSet::new(), 0)?;
    Ok(found)
}

fn visit(
    source: &(impl BlobSource + ?Sized),
    at: &Descriptor,
    found: &mut Vec<Descriptor>,
    seen: &mut HashSet<crate::Digest>,
    depth: usize,
) -> Result<(), BlobError> {
    if !seen.insert(at.digest) {
        return Ok(());
    }
    if depth > DEEPEST || seen.len() > MOST {
        return Err(BlobError::Nested(at.digest));
    }
    if media_type::is_manifest(&at.media_type) || media_type::is_index(&at.media_type) {
        let bytes = read_document(source, at)?;
        let document = Document::parse(&bytes, Some(&at.media_type)).map_err(|source| {
            BlobError::Document {
                digest: at.digest,
                source,
            }
        })?;
        match document {
            Document::Index(index) => {
                for child in &index.manifests {
                    visit(source, child, found, seen, depth + 1)?;
                }
            }
            Document::Manifest(manifest) => {
                for leaf in manifest.layers.into_iter().chain([manifest.config]) {
                    if seen.insert(leaf.digest) {
                        found.push(leaf);
                    }
                }
            }
        }
    }
    found.push(at.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Memory;
    use super::*;
    use crate::manifest::{Index, Manifest};

    #[test]
    fn blobs_come_before_what_names_them() {
        let blobs = Memory::default();
        let layer = blobs.add(media_type::OCI_LAYER, b"layer");
        let manifest = |config: &[u8]| {
            let config = blobs.add(media_type::OCI_CONFIG, config);
            let manifest = Manifest::new(media_type::OCI_MANIFEST, config, vec![layer.clone()]);
            blobs.add(
                media_type::OCI_MANIFEST,
                &serde_json::to_vec(&manifest).unwrap(),
            )
        };
        let (one, two) = (manifest(b"{}"), manifest(b"[]"));
        let index = Index::new(media_type::OCI_INDEX, vec![one.clone(), two.clone()]);
        let root = blobs.add(media_type::OCI_INDEX, &serde_json::to_vec(&index).unwrap());
        let found: Vec<_> = reachable(&blobs, &root)
            .unwrap()
            .into_iter()
            .map(|d| d.digest)
            .collect();
        assert_eq!(found.len(), 6);
        assert_eq!(found[0], layer.digest);
        assert_eq!(found[2], one.digest);
        assert_eq!(found[4], two.digest);
        assert_eq!(found[5], root.digest);
        blobs.0.lock().unwrap().remove(&two.digest);
        assert!(matches!(
            reachable(&blobs, &root),
            Err(BlobError::Missing(d)) if d == two.digest
        ));
    }
}
