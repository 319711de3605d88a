//! What goes first, what stays, and a disk that is full.

use std::path::Path;

use solver::op::{MakeDirOp, Sharing};
use solver::traits::NewRecord;
use solver::{
    CacheKey, ChangeDigest, Component, DefinitionKey, KeyPreimage, LayerDigest, Op, ResultCache,
    Vertex, VertexMeta,
};

use super::*;
use crate::images::NewImage;
use crate::mounts::{MountAnswer, MountRequest};
use crate::records::Records;
use crate::snapshot::Snapshot;
use crate::store::samples;
use crate::{StoreOptions, usage};

fn vertex() -> Vertex {
    Vertex {
        op: Op::MakeDir(MakeDirOp {
            path: "/x".into(),
            mode: 0o755,
            owner: String::new(),
            epoch: None,
        }),
        inputs: Vec::new(),
        meta: VertexMeta::default(),
    }
}

fn preimage(name: &str) -> KeyPreimage {
    KeyPreimage {
        kind: "workdir".into(),
        behaviour: 1,
        components: vec![Component {
            name: "path".into(),
            value: name.into(),
        }],
    }
}

/// A record on `below` with a layer of its own.
fn record(store: &Store, name: &str, below: &Snapshot, change: u8) -> (CacheKey, Snapshot) {
    let mut output = below.clone();
    let digest = LayerDigest::Change(ChangeDigest([change; 32]));
    output.push(samples::layer(store, change), digest);
    let preimage = preimage(name);
    let key = preimage.key();
    let records = Records::new(store, "p");
    records
        .store(&NewRecord {
            key,
            preimage: &preimage,
            definition: DefinitionKey(key.0),
            inputs: &[],
            vertex: &vertex(),
            output: &output,
            elapsed: Duration::ZERO,
        })
        .unwrap();
    (key, output)
}

fn everything() -> PruneOptions {
    PruneOptions {
        all: true,
        ..PruneOptions::default()
    }
}

fn layers_on_disk(store: &Store) -> usize {
    std::fs::read_dir(store.layers_dir()).unwrap().count()
}

#[test]
fn what_another_process_reads_stays_until_it_is_done() {
    let (_dir, store) = samples::store();
    let (key, output) = record(&store, "a", &Snapshot::new([]), 1);
    record(&store, "b", &output, 2);
    let reader = Store::open(StoreOptions::new(store.root())).unwrap();
    let pin = Records::new(&reader, "p")
        .pin(&key, &output)
        .unwrap()
        .unwrap();
    let pruned = store.prune(&everything()).unwrap();
    assert_eq!((pruned.items.len(), pruned.layers), (1, 1));
    assert!(pruned.freed >= 100_000);
    assert!(store.layer_dir(&output.layers[0]).is_dir());
    drop(pin);
    drop(reader);
    let pruned = store.prune(&everything()).unwrap();
    assert_eq!((pruned.items.len(), pruned.layers), (1, 1));
    assert_eq!(layers_on_disk(&store), 0);
    let records = Records::new(&store, "p");
    assert!(records.find(&key).unwrap().is_none());
    assert!(records.pin(&key, &output).unwrap().is_none());
    let reason = records.explain(&vertex(), &preimage("a")).unwrap();
    assert_eq!(reason, "evicted by prune (all)");
}

#[test]
fn pins_of_the_dead_and_of_gone_containers_are_void() {
    let (_dir, store) = samples::store();
    let (_, output) = record(&store, "a", &Snapshot::new([]), 1);
    let tmp = store.tmp_dir();
    std::fs::write(tmp.join("dead.lock"), "").unwrap();
    store
        .database()
        .write("pin", |t| {
            t.execute(
                "INSERT INTO pins VALUES ('dead', ?1)",
                [&output.layers[0].0],
            )
            .unwrap();
            Ok(())
        })
        .unwrap();
    std::fs::create_dir(store.containers_dir().join("c1")).unwrap();
    assert!(store.hold("c1", &output.layers).unwrap());
    assert_eq!(store.prune(&everything()).unwrap().layers, 0);
    std::fs::remove_dir(store.containers_dir().join("c1")).unwrap();
    assert_eq!(store.prune(&everything()).unwrap().layers, 1);
    assert!(!store.hold("c1", &output.layers).unwrap(), "it is gone");
}

#[test]
fn what_an_image_shows_stays_and_goes_with_it() {
    let (_dir, store) = samples::store();
    let (key, output) = record(&store, "a", &Snapshot::new([]), 1);
    let blobs = store.blobs();
    let (manifest, config, loose) = (
        blobs.put_bytes(b"manifest").unwrap(),
        blobs.put_bytes(b"config").unwrap(),
        blobs.put_bytes(b"loose").unwrap(),
    );
    let image = NewImage {
        manifest,
        config,
        blobs: &[],
        snapshot: Some(&output),
        size: 1,
        created: 1,
    };
    store.add_image(&image, &["app".parse().unwrap()]).unwrap();
    // What this process has put is pinned; another one sees what is left of it.
    let root = store.root().to_owned();
    drop((store, blobs));
    let store = Store::open(StoreOptions::new(&root)).unwrap();
    let pruned = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!((pruned.items.len(), pruned.layers, pruned.blobs), (0, 0, 1));
    assert!(store.blobs().size(&loose).unwrap().is_none());
    assert!(Records::new(&store, "p").find(&key).unwrap().is_some());
    let pruned = store.prune(&everything()).unwrap();
    assert_eq!((pruned.items.len(), pruned.layers, pruned.blobs), (1, 0, 0));
    assert_eq!(store.image("app").unwrap().snapshot.as_ref(), Some(&output));
    store.remove_image("app", false, &|_| None).unwrap();
    let pruned = store.collect_garbage().unwrap();
    assert_eq!((pruned.layers, pruned.blobs), (1, 2));
    assert_eq!(layers_on_disk(&store), 0);
}

#[test]
fn dangling_images_are_pruned_and_tagged_ones_only_when_asked() {
    let (_dir, store) = samples::store();
    for (content, name) in [("old", "app"), ("new", "app"), ("other", "tool")] {
        let image = NewImage {
            manifest: Digest::of(content.as_bytes()),
            config: Digest::of(content.as_bytes()),
            blobs: &[],
            snapshot: None,
            size: 0,
            created: 1,
        };
        store.add_image(&image, &[name.parse().unwrap()]).unwrap();
    }
    let gone = store.prune_images(false, &|_| false).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].manifest, Digest::of(b"old"));
    let used = |image: &StoredImage| image.names[0].contains("tool");
    assert_eq!(store.prune_images(true, &used).unwrap().len(), 1);
    assert_eq!(store.images().unwrap().len(), 1);
}

#[test]
fn a_dry_run_says_what_goes_and_removes_nothing() {
    let (_dir, store) = samples::store();
    record(&store, "a", &Snapshot::new([]), 1);
    let root = store.root().to_owned();
    drop(store);
    let store = Store::open(StoreOptions::new(&root)).unwrap();
    let asked = store
        .prune(&PruneOptions {
            dry_run: true,
            ..everything()
        })
        .unwrap();
    assert_eq!(layers_on_disk(&store), 1);
    let done = store.prune(&everything()).unwrap();
    assert_eq!(asked, done);
    assert_eq!((done.items.len(), layers_on_disk(&store)), (1, 0));
}

#[test]
fn directories_without_a_row_go_and_foreign_blobs_stay() {
    let (_dir, store) = samples::store();
    std::fs::create_dir_all(store.layers_dir().join("orphan/fs")).unwrap();
    std::fs::write(store.blobs_dir().join("README"), "mine").unwrap();
    let made = samples::layer(&store, 1);
    let pin = store.pin(std::slice::from_ref(&made)).unwrap().unwrap();
    store.collect_garbage().unwrap();
    assert!(
        store.layer_dir(&made).is_dir(),
        "this process made it just now"
    );
    assert_eq!(layers_on_disk(&store), 1);
    assert!(store.blobs_dir().join("README").exists());
    drop(pin);
}

#[test]
fn a_cache_mount_in_use_stays() {
    let (_dir, store) = samples::store();
    let get = |identity: &str| {
        let request = MountRequest {
            identity: identity.into(),
            sharing: Sharing::Shared,
            fresh: false,
        };
        match store.cache_mount(&request).unwrap() {
            MountAnswer::New(new) => new.ready().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let (used, idle) = (get("used"), get("idle"));
    std::fs::write(idle.fs().join("big"), vec![1; 300_000]).unwrap();
    drop(idle);
    let mut options = PruneOptions::default();
    options.filter("type=exec.cachemount").unwrap();
    let pruned = store.prune(&options).unwrap();
    assert_eq!(pruned.items.len(), 1);
    assert!(pruned.freed > 300_000, "{}", pruned.freed);
    assert!(used.fs().is_dir());
    assert_eq!(std::fs::read_dir(store.mounts_dir()).unwrap().count(), 1);
}

#[test]
fn sizes_are_those_of_du() {
    let (_dir, store) = samples::store();
    let (_, below) = record(&store, "a", &Snapshot::new([]), 1);
    record(&store, "b", &below, 2);
    let layer = store.layer_dir(&below.layers[0]).join("fs");
    std::fs::hard_link(layer.join("file-1"), layer.join("again")).unwrap();
    let sparse = std::fs::File::create(layer.join("sparse")).unwrap();
    sparse.set_len(50_000_000).unwrap();
    store.blobs().put_bytes(&vec![7; 70_000]).unwrap();
    let usage = store.usage().unwrap();
    let du = std::process::Command::new("du")
        .args(["-s", "--block-size=1"])
        .arg(store.root())
        .output()
        .unwrap();
    let text = String::from_utf8(du.stdout).unwrap();
    let real: u64 = text.split('\t').next().unwrap().parse().unwrap();
    let off = usage.total.abs_diff(real);
    assert!(off * 50 <= real, "{} is not {real}", usage.total);
    let unique: u64 = usage.items.iter().map(|item| item.unique).sum();
    assert!(unique > 100_000 && unique < 200_000, "{unique}");
}

/// Runs `test` in a directory on a file system of so many bytes, which only it can see.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn on_a_small_disk(bytes: &str, test: impl FnOnce(PathBuf) + Send) {
    use nix::mount::{MsFlags, mount};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let set_up = || -> nix::Result<()> {
        // The namespace is this thread's and ends with it.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        let size = format!("size={bytes}");
        let none = MsFlags::empty();
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            none,
            Some(size.as_str()),
        )
    };
    std::thread::scope(|scope| {
        scope.spawn(|| match set_up() {
            Ok(()) => test(path.join("store")),
            Err(error) => eprintln!("SKIPPED: cannot mount a tmpfs: {error}"),
        });
    });
}

fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0; 1]).is_ok() {}
}

#[test]
fn a_full_disk_is_named_and_can_be_pruned() {
    on_a_small_disk("24m", |root| {
        let store = Store::open(StoreOptions::new(&root)).unwrap();
        for change in 0..20 {
            record(&store, &change.to_string(), &Snapshot::new([]), change);
        }
        drop(store);
        fill(&root.join("../filler"));
        let store = Store::open(StoreOptions::new(&root)).unwrap();
        let error = store.blobs().put_bytes(&vec![1; 200_000]).unwrap_err();
        assert!(error.is_full() && error.cure().is_some(), "{error:?}");
        let pruned = store.prune(&everything()).unwrap();
        assert_eq!((pruned.items.len(), pruned.layers), (20, 20));
        assert_eq!(layers_on_disk(&store), 0);
        assert!(
            usage::allocated(&store.ballast_file()) > 0,
            "it is filled again"
        );
        store.blobs().put_bytes(&vec![1; 200_000]).unwrap();
    });
}

#[test]
fn a_store_cannot_be_made_on_a_full_disk() {
    on_a_small_disk("1m", |root| {
        let error = Store::open(StoreOptions::new(&root)).unwrap_err();
        assert!(error.is_full(), "{error:?}");
        assert!(!root.join("store.json").exists());
    });
}

#[test]
fn the_compressed_forms_of_a_layer_go_with_it() {
    let (_dir, store) = samples::store();
    let (_, made) = record(&store, "a", &Snapshot::new([]), 1);
    let layer = made.layers[0].clone();
    let blob = store.blobs().put_bytes(b"compressed").unwrap();
    store
        .blobs()
        .set_form(&layer, "gzip", &blob, b"{}")
        .unwrap();
    let root = store.root().to_owned();
    drop(store);
    let store = Store::open(StoreOptions::new(&root)).unwrap();
    let pruned = store.prune(&everything()).unwrap();
    assert_eq!((pruned.layers, pruned.blobs), (1, 1));
}
