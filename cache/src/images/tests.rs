//! Images and their names in a store of their own.

use super::*;
use crate::store::samples;

fn named(text: &str) -> ImageRef {
    text.parse().unwrap()
}

fn add(store: &Store, content: &str, names: &[&str]) -> StoredImage {
    let manifest = Digest::of(format!("manifest {content}").as_bytes());
    let names: Vec<ImageRef> = names.iter().map(|name| named(name)).collect();
    let image = NewImage {
        manifest,
        config: Digest::of(content.as_bytes()),
        blobs: &[Digest::of(b"layer")],
        snapshot: None,
        size: 7,
        created: 1,
    };
    store.add_image(&image, &names).unwrap();
    store.image(&format!("x@{manifest}")).unwrap()
}

fn remove(store: &Store, text: &str, force: bool) -> Result<RemovedImage, String> {
    store
        .remove_image(text, force, &|_| None)
        .map_err(|error| error.to_string())
}

#[test]
fn an_image_is_found_by_name_id_and_the_beginning_of_it() {
    let (_dir, store) = samples::store();
    let image = add(&store, "a", &["app", "example.org/team/app:1"]);
    let id = image.config.hex();
    for text in [
        "app",
        "app:latest",
        "docker.io/library/app",
        "example.org/team/app:1",
        &id,
        &id[..6],
        &format!("sha256:{id}"),
        &format!("app@{}", image.manifest),
    ] {
        assert_eq!(store.image(text).unwrap(), image, "{text}");
    }
    for text in ["app:2", "xyz", "sha256:00", "", "APP"] {
        let error = store.image(text).unwrap_err().to_string();
        assert_eq!(error, format!("No such image: {text}"));
    }
}

#[test]
fn the_beginning_of_many_ids_is_no_answer() {
    let (_dir, store) = samples::store();
    // 17 images have at least two ids with the same first digit.
    for number in 0..17 {
        add(&store, &number.to_string(), &[]);
    }
    let first = |image: &StoredImage| image.config.hex()[..1].to_owned();
    let images = store.images().unwrap();
    let digit = images
        .iter()
        .map(first)
        .find(|digit| images.iter().filter(|i| first(i) == *digit).count() > 1)
        .unwrap();
    let error = store.image(&digit).unwrap_err();
    assert!(matches!(error, ImageError::Ambiguous(_)), "{error}");
}

#[test]
fn a_name_goes_to_the_newest_image_and_leaves_the_older_one_dangling() {
    let (_dir, store) = samples::store();
    let old = add(&store, "old", &["app"]);
    let new = add(&store, "new", &["app"]);
    assert_eq!(store.image("app").unwrap().manifest, new.manifest);
    let old = store.image(&old.config.hex()).unwrap();
    assert_eq!(old.tags().count(), 0);
}

#[test]
fn removing_follows_dockers_rules() {
    let (_dir, store) = samples::store();
    let image = add(&store, "a", &["app:1", "app:2", "other:1"]);
    let id = image.config.hex();
    let removed = remove(&store, "app:1", false).unwrap();
    assert_eq!(removed.untagged, ["app:1"]);
    assert_eq!(removed.deleted, None);
    let error = remove(&store, &id, false).unwrap_err();
    assert_eq!(
        error,
        format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            &id[..12]
        )
    );
    let users = |running| {
        move |_: &StoredImage| {
            Some(UsedBy {
                container: "c1".into(),
                running,
            })
        }
    };
    remove(&store, "other:1", false).unwrap();
    let error = store
        .remove_image("app:2", false, &users(false))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "conflict: unable to delete app:2 (must be forced) - image is being used by stopped container c1"
    );
    let id = &image.config.to_string();
    let error = store.remove_image(id, true, &users(true)).unwrap_err();
    assert!(error.to_string().contains("(cannot be forced)"), "{error}");
    // Only its name goes from under a container that runs.
    let removed = store.remove_image("app:2", true, &users(true)).unwrap();
    assert_eq!(removed.untagged, ["app:2"]);
    assert_eq!(removed.deleted, None);
    assert_eq!(store.images().unwrap().len(), 1);
    let removed = store.remove_image(id, true, &users(false)).unwrap();
    assert_eq!(removed.deleted, Some(image.config));
    assert!(store.images().unwrap().is_empty());
}

#[test]
fn an_id_takes_all_tags_of_one_repository_along() {
    let (_dir, store) = samples::store();
    let image = add(&store, "a", &["app:1", "app:2"]);
    store
        .tag_image(&image.manifest, &named("app").at_digest(image.manifest))
        .unwrap();
    let removed = remove(&store, &image.short_id(), false).unwrap();
    assert_eq!(removed.untagged.len(), 3);
    assert_eq!(removed.deleted, Some(image.config));
}

#[test]
fn the_last_tag_of_a_repository_takes_its_digest_along() {
    let (_dir, store) = samples::store();
    let image = add(&store, "a", &["app:1", "app:2", "other:1"]);
    for name in ["app", "other"] {
        let by_digest = named(name).at_digest(image.manifest);
        store.tag_image(&image.manifest, &by_digest).unwrap();
    }
    assert_eq!(remove(&store, "app:1", false).unwrap().untagged, ["app:1"]);
    let removed = remove(&store, "app:2", false).unwrap();
    let by_digest = |name: &str| format!("{name}@{}", image.manifest);
    assert_eq!(removed.untagged, ["app:2".to_owned(), by_digest("app")]);
    assert_eq!(removed.deleted, None);
    let removed = remove(&store, "other:1", false).unwrap();
    assert_eq!(removed.untagged, ["other:1".to_owned(), by_digest("other")]);
    assert_eq!(removed.deleted, Some(image.config));
}

#[test]
fn an_images_files_are_noted_later() {
    let (_dir, store) = samples::store();
    let image = add(&store, "a", &["app"]);
    let snapshot = Snapshot::new([]);
    store
        .set_image_snapshot(&image.manifest, &snapshot, 7)
        .unwrap();
    add(&store, "a", &["app:again"]);
    assert_eq!(store.image("app").unwrap().snapshot, Some(snapshot));
}
