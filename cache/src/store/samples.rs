//! Stores and layers for tests.

use image::DiffId;
use solver::ChangeDigest;

use super::{LayerId, Store, StoreOptions};

/// A new store, and the directory that it goes away with.
pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path().join("store"))).unwrap();
    (dir, store)
}

/// A layer without an index, with a file of 100,000 bytes, named by `change`.
pub(crate) fn layer(store: &Store, change: u8) -> LayerId {
    commit(store, None, change)
}

/// A layer of an image.
pub(crate) fn base(store: &Store, diff_id: DiffId) -> LayerId {
    commit(store, Some(diff_id), 0xba)
}

fn commit(store: &Store, diff_id: Option<DiffId>, change: u8) -> LayerId {
    let home = store.staging("layer").unwrap();
    let fs = home.path().join("fs");
    std::fs::create_dir(&fs).unwrap();
    std::fs::write(fs.join(format!("file-{change}")), vec![change; 100_000]).unwrap();
    let id = LayerId(super::staging::random_name());
    let change = ChangeDigest([change; 32]);
    let form = super::Form::Whole { origin: None };
    store.commit(id, home, diff_id, change, &form).unwrap().0
}
