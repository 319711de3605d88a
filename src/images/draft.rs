//! Names that lead to a draft: given by a build, made an image when somebody needs the id.

use cache::{Draft, Snapshot, Store, StoreError};
use image::{ImageConfig, ImageRef, Manifest};
use solver::Cancel;

use super::ImagesError;
use super::seal::{Sealed, make, seal};

/// Gives what a build left these names. Names that lead to just this already are left alone: a
/// build with nothing to do writes nothing, and the image keeps the times at which it was made,
/// and so its id. `is_dated` says that the times are somebody's wish, and count.
pub fn draft(
    store: &Store,
    snapshot: &Snapshot,
    config: &ImageConfig,
    is_dated: bool,
    names: &[ImageRef],
) -> Result<(), ImagesError> {
    let mut config = config.clone();
    config.rootfs.diff_ids.clear();
    let same = |bytes: &[u8]| is_same_text(&config, bytes, is_dated);
    let text = serde_json::to_vec(&config).map_err(|error| ImagesError::Pack(error.into()))?;
    let is_there = |name: &ImageRef| {
        let name = name.to_string();
        Ok::<_, StoreError>(match store.draft(&name)? {
            Some(draft) => draft.snapshot == *snapshot && same(&draft.config),
            None => is_image(store, &name, snapshot, &same),
        })
    };
    let mut new = Vec::new();
    for name in names {
        if !is_there(name)? {
            new.push(name.clone());
        }
    }
    if !new.is_empty() {
        store.add_draft(&text, snapshot, &new)?;
    }
    Ok(())
}

/// Whether a name leads to an image of just these files and this configuration.
fn is_image(store: &Store, name: &str, snapshot: &Snapshot, same: &dyn Fn(&[u8]) -> bool) -> bool {
    let Ok(image) = store.image(name) else {
        return false;
    };
    // One that cannot be read is replaced.
    image.names.iter().any(|other| other == name)
        && image.snapshot.as_ref() == Some(snapshot)
        && store
            .blobs()
            .read(&image.config)
            .is_ok_and(|bytes| same(&bytes))
}

/// As [`seal`], but a build with nothing to do finds the image that it made, whatever its names,
/// and writes nothing.
pub fn seal_again(
    store: &Store,
    snapshot: &Snapshot,
    config: &ImageConfig,
    is_dated: bool,
    names: &[ImageRef],
    cancel: &Cancel,
) -> Result<Sealed, ImagesError> {
    let mut bare = config.clone();
    bare.rootfs.diff_ids.clear();
    let blobs = store.blobs();
    for image in store.images_of(snapshot)? {
        let same = |bytes: Vec<u8>| is_same_text(&bare, &bytes, is_dated);
        // One that was pulled may be known by its index.
        let leads = |bytes: Vec<u8>| {
            serde_json::from_slice(&bytes)
                .is_ok_and(|manifest: Manifest| manifest.config.digest == image.config)
        };
        if !blobs.read(&image.config).is_ok_and(same)
            || !blobs.read(&image.manifest).is_ok_and(leads)
        {
            continue;
        }
        for name in names {
            if !image.names.contains(&name.to_string()) {
                store.tag_image(&image.manifest, name)?;
            }
        }
        return Ok(Sealed {
            id: image.config,
            manifest: image.manifest,
        });
    }
    seal(store, snapshot, config, names, cancel)
}

fn is_same_text(config: &ImageConfig, known: &[u8], is_dated: bool) -> bool {
    serde_json::from_slice(known).is_ok_and(|known| is_same(config, known, is_dated))
}

/// Whether two configurations are one, layers' digests aside.
fn is_same(config: &ImageConfig, mut known: ImageConfig, is_dated: bool) -> bool {
    known.rootfs.diff_ids.clear();
    if !is_dated && known.history.len() == config.history.len() {
        known.created.clone_from(&config.created);
        for (known, new) in known.history.iter_mut().zip(&config.history) {
            known.created.clone_from(&new.created);
        }
    }
    known == *config
}

/// Makes an image of the draft that `text` names, if there is one. Ids never name a draft.
pub fn settle(store: &Store, text: &str, cancel: &Cancel) -> Result<(), ImagesError> {
    let Ok(name) = text.parse::<ImageRef>() else {
        return Ok(());
    };
    match store.draft(&name.to_string())? {
        Some(draft) => settle_one(store, &draft, cancel),
        None => Ok(()),
    }
}

/// Makes images of all drafts.
pub fn settle_all(store: &Store, cancel: &Cancel) -> Result<(), ImagesError> {
    for draft in store.drafts()? {
        settle_one(store, &draft, cancel)?;
    }
    Ok(())
}

fn settle_one(store: &Store, draft: &Draft, cancel: &Cancel) -> Result<(), ImagesError> {
    let damaged = |what: String| ImagesError::Damaged {
        image: draft.name.clone(),
        what,
    };
    let config: ImageConfig = serde_json::from_slice(&draft.config)
        .map_err(|error| damaged(format!("its configuration: {error}")))?;
    let _pin = store
        .pin(&draft.snapshot.layers)?
        .ok_or_else(|| damaged("a layer of it is gone".to_owned()))?;
    crate::threads::make().map_err(ImagesError::Threads)?;
    let (image, _, documents) = make(store, &draft.snapshot, &config, cancel)?;
    documents.keep(store)?;
    store.settle_draft(draft, &image)?;
    Ok(())
}
