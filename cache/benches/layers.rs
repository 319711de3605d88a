//! What a build does with many files: scanning a context, loading and digesting an index, walking
//! a stack, packing and unpacking a layer, finding what a changed file costs. `cargo bench -p cache`.

use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache::{
    Context, ContextOptions, Entry, LayerIndex, Made, NoFilter, Origin, Store, StoreOptions,
    TarOptions, View, select, write_tar,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use solver::selector::Purpose;
use solver::{ContentDigest, Selector};

const FILES: usize = 50_000;
const PER_DIR: usize = 100;

fn make_files(root: &Path) {
    for at in 0..FILES {
        let dir = root.join(format!("d{}/e{}", at / PER_DIR / 25, at / PER_DIR));
        if at % PER_DIR == 0 {
            std::fs::create_dir_all(&dir).expect("a temporary directory can be written to");
        }
        let mut file = std::fs::File::create(dir.join(format!("file-{at}.txt"))).expect("as above");
        file.write_all(format!("content of {at}\n").repeat(at % 40 + 1).as_bytes())
            .expect("as above");
    }
}

fn entries(count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for at in 0..count {
        if at % PER_DIR == 0 {
            entries.push(Entry::dir(format!("usr/lib/dir-{at:06}"), 0o755));
        }
        let dir = at / PER_DIR * PER_DIR;
        let path = format!("usr/lib/dir-{dir:06}/some-file-{at}.txt");
        entries.push(Entry::file(
            path,
            0o644,
            at as u64,
            ContentDigest::of(&at.to_le_bytes()),
        ));
    }
    entries
}

fn index(c: &mut Criterion) {
    let packed = LayerIndex::new(entries(10_000)).expect("the entries can stand together");
    c.bench_function("index: load 10,000 entries", |b| {
        b.iter_batched(
            || packed.as_bytes().to_vec(),
            |bytes| LayerIndex::from_bytes(bytes).expect("it was just packed"),
            BatchSize::LargeInput,
        );
    });
    c.bench_function("index: pack and digest 10,000 entries", |b| {
        b.iter_batched(|| entries(10_000), LayerIndex::new, BatchSize::LargeInput);
    });
    c.bench_function("index: look up 10,000 paths", |b| {
        let paths: Vec<_> = packed.iter().map(|entry| entry.path).collect();
        b.iter(|| {
            paths
                .iter()
                .filter(|path| packed.get(path).is_some())
                .count()
        });
    });
}

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("there is room");
        let store = Store::open(StoreOptions::new(dir.path().join("store")))
            .expect("a store can be made here");
        make_files(&dir.path().join("context"));
        Self { dir, store }
    }

    fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    fn scan(&self) -> Context {
        let options = ContextOptions {
            name: "context".to_owned(),
            dir: self.context(),
            filter: Arc::new(NoFilter::default()),
            asked: None,
        };
        let context = Context::open(&self.store, options).expect("it is there");
        let selector = Selector {
            path: ".".to_owned(),
            pattern: false,
            parents: false,
            excludes: Vec::new(),
            purpose: Purpose::Copy,
        };
        black_box(select::from_context(&context, &selector).expect("it can be read"));
        context
    }
}

fn context(c: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = c.benchmark_group("context of 50,000 files");
    group.sample_size(10);
    group.bench_function("scan cold (page cache warm)", |b| b.iter(|| fixture.scan()));
    fixture.scan().save().expect("the index can be written");
    group.bench_function("scan warm", |b| b.iter(|| fixture.scan()));
    group.finish();
}

fn layers(c: &mut Criterion) {
    let fixture = Fixture::new();
    let new = fixture.store.new_layer().expect("a layer can be started");
    make_files(&new.fs);
    let layer = new
        .commit_scanned(&View::default(), &Made::default())
        .expect("it can be read");
    let mut tar = Vec::new();
    write_tar(&layer, TarOptions::default(), &mut tar).expect("its files are there");
    let view = View::new(vec![Arc::new(layer.clone())]);
    let mut group = c.benchmark_group("layer of 50,000 files");
    group.sample_size(10);
    group.bench_function("write tar", |b| {
        b.iter(|| write_tar(&layer, TarOptions::default(), &mut std::io::sink()));
    });
    group.bench_function("unpack tar", |b| {
        b.iter_batched(
            || fixture.store.new_layer().expect("a layer can be started"),
            |new| {
                black_box(new.unpack(&mut &tar[..]).expect("it was just written"));
                new
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("select all from a stage", |b| {
        let selector = Selector {
            path: ".".to_owned(),
            pattern: false,
            parents: false,
            excludes: Vec::new(),
            purpose: Purpose::Copy,
        };
        b.iter(|| select::from_view(&view, &selector));
    });
    group.bench_function("scan an upper directory, nothing changed", |b| {
        b.iter_batched(
            || {
                let new = fixture.store.new_layer().expect("a layer can be started");
                new.unpack(&mut &tar[..]).expect("it was just written");
                new
            },
            |new| new.commit_scanned(&View::default(), &Made::default()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Decides what a COPY has to write if one of its files changed since the last time.
fn delta(c: &mut Criterion) {
    let fixture = Fixture::new();
    let below = View::default();
    let origin = Some(Origin([7; 32]));
    let with_root = || {
        let roots = ["usr", "usr/lib"].map(|path| Entry::dir(path, 0o755));
        roots.into_iter().chain(entries(FILES)).collect::<Vec<_>>()
    };
    let new = || fixture.store.new_layer().expect("a layer can be started");
    let first = new();
    let planned = first
        .plan(&below, with_root(), origin)
        .expect("the entries can stand together");
    first
        .commit_planned(planned)
        .expect("its index can be written");
    let changed = || {
        let mut entries = with_root();
        if let Some(last) = entries.last_mut() {
            last.mode = 0o600;
        }
        (new(), entries)
    };
    let mut group = c.benchmark_group("delta of 50,000 files");
    group.sample_size(10);
    group.bench_function("plan one changed", |b| {
        b.iter_batched(
            changed,
            |(new, entries)| {
                let planned = new.plan(&below, entries, origin).expect("as above");
                assert!(planned.is_delta());
                (new, planned)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, index, context, layers, delta);
criterion_main!(benches);
