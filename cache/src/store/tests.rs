//! Opening, refusing and sweeping a store.

use std::os::unix::fs::PermissionsExt;

use image::DiffId;

use super::*;

fn open(root: &Path) -> Result<Store, StoreError> {
    Store::open(StoreOptions::new(root))
}

#[test]
fn a_store_is_made_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/store");
    let store = open(&root).unwrap();
    let mode = std::fs::metadata(&root).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    let flavour = store.flavour().clone();
    drop(store);
    let text = std::fs::read(root.join("store.json")).unwrap();
    assert_eq!(open(&root).unwrap().flavour(), &flavour);
    assert_eq!(std::fs::read(root.join("store.json")).unwrap(), text);
    assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
    // one whose making was broken off before its last step
    std::fs::remove_file(root.join("store.json")).unwrap();
    assert_eq!(open(&root).unwrap().flavour(), &flavour);
}

#[test]
fn what_is_no_store_of_ours_is_refused_and_left_alone() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil); 7] = [
        ("has format 2; this rbuild knows 1", |root| {
            std::fs::write(root.join("store.json"), r#"{"format":2,"shape":"new"}"#).unwrap();
        }),
        ("is damaged", |root| {
            std::fs::write(root.join("store.json"), "{").unwrap();
        }),
        ("does not say what the store was made for", |root| {
            std::fs::write(root.join("store.json"), r#"{"format":1}"#).unwrap();
        }),
        ("others may enter it", |root| {
            std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("is not a directory", |root| {
            std::fs::remove_dir_all(root).unwrap();
            std::fs::write(root, "").unwrap();
        }),
        ("this rbuild runs", |root| {
            let json = root.join("store.json");
            let text = std::fs::read_to_string(&json).unwrap();
            let other = if text.contains("trusted") {
                text.replace("trusted", "user")
            } else {
                text.replace("\"user\"", "\"trusted\"")
            };
            std::fs::write(json, other).unwrap();
        }),
        ("is not a store", |root| {
            std::fs::remove_file(root.join("store.json")).unwrap();
            std::fs::write(root.join("letter.txt"), "").unwrap();
        }),
    ];
    for (says, spoil) in cases {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        drop(open(&root).unwrap());
        spoil(&root);
        let before = std::fs::read(root.join("store.json")).ok();
        let error = open(&root).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says), "{text}");
        assert!(
            error.cure().is_some() || text.contains("damaged"),
            "{text}: no cure"
        );
        assert_eq!(std::fs::read(root.join("store.json")).ok(), before);
    }
}

#[test]
fn an_id_map_is_noted_once_and_then_binding() {
    let dir = tempfile::tempdir().unwrap();
    let with = |map: Option<&str>| {
        Store::open(StoreOptions {
            id_map: map.map(str::to_owned),
            ..StoreOptions::new(dir.path().join("store"))
        })
    };
    with(None).unwrap();
    with(Some("0 1000 1")).unwrap();
    with(None).unwrap();
    with(Some("0 1000 1")).unwrap();
    let error = with(Some("0 1000 1\n1 100000 65536")).unwrap_err();
    assert!(matches!(error, StoreError::Flavour { .. }), "{error}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn a_directory_that_cannot_be_written_is_an_error_with_its_cure() {
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root may write everywhere");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let error = open(&dir.path().join("store")).unwrap_err();
    assert!(error.cure().unwrap().contains("writable"), "{error}");
}

#[test]
fn a_layer_gets_a_name_a_row_and_a_pin() {
    let (_dir, store) = samples::store();
    let ids = [samples::layer(&store, 1), samples::layer(&store, 2)];
    assert_ne!(ids[0], ids[1]);
    for (id, byte) in ids.iter().zip([1, 2]) {
        assert!(store.layer_dir(id).join("fs").is_dir());
        let (change, pins): ([u8; 32], i64) = store
            .database()
            .read("look", |c| {
                c.query_row(
                    "SELECT change, (SELECT count(*) FROM pins WHERE object = id) FROM layers WHERE id = ?1",
                    [&id.0],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
            })
            .unwrap();
        assert_eq!((change, pins), ([byte; 32], 1));
    }
}

#[test]
fn layers_of_one_diff_id_are_one() {
    let (_dir, store) = samples::store();
    let diff_id = DiffId(image::Digest::of(b"tar"));
    let first = samples::base(&store, diff_id);
    assert_eq!(samples::base(&store, diff_id), first);
    assert_eq!(store.diff_id(&first).unwrap(), Some(diff_id));
    assert_eq!(std::fs::read_dir(store.layers_dir()).unwrap().count(), 1);
}

#[test]
fn what_a_dead_process_left_is_swept_and_what_a_live_one_has_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store")).unwrap();
    let mine = store.staging("layer").unwrap();
    let tmp = store.tmp_dir();
    for name in ["dead", "lockless"] {
        std::fs::create_dir_all(tmp.join(name).join("layer-0/fs")).unwrap();
    }
    std::fs::write(tmp.join("dead.lock"), "").unwrap();
    store
        .database()
        .write("pin", |t| {
            t.execute("INSERT INTO pins VALUES ('dead', 'x')", [])
                .unwrap();
            Ok(())
        })
        .unwrap();
    store.sweep().unwrap();
    assert!(mine.path().exists());
    for name in ["dead", "lockless", "dead.lock"] {
        assert!(!tmp.join(name).exists(), "{name}");
    }
    let pins: i64 = store
        .database()
        .read("count", |c| {
            c.query_row("SELECT count(*) FROM pins", [], |r| r.get(0))
        })
        .unwrap();
    assert_eq!(pins, 0);
}
