//! The kernel's own upper directories, where this process may mount.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;

/// Mounts an overlay over `below`, lets `work` work in it, and commits; the merged tree as it was
/// at the end and the layer. None when this process may not mount.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
pub(super) fn step(store: &Store, below: &View, work: &dyn Fn(&Path)) -> Option<(Seen, Layer)> {
    let new = store.new_layer().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let mut lower: Vec<String> = below
        .layers()
        .iter()
        .rev()
        .map(|layer| layer.files.path().display().to_string())
        .collect();
    lower.push(empty.path().display().to_string());
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,xino=off,redirect_dir=nofollow",
        lower.join(":"),
        new.fs.display(),
        new.work.display()
    );
    let options = std::ffi::CString::new(options).unwrap();
    let from = new.now().unwrap();
    if let Err(errno) = mount(
        "overlay",
        dir.path(),
        "overlay",
        MountFlags::empty(),
        &*options,
    ) {
        eprintln!("SKIPPED: cannot mount an overlay here: {errno}");
        return None;
    }
    work(dir.path());
    let seen = on_disk(dir.path());
    unmount(dir.path(), UnmountFlags::empty()).unwrap();
    let window = Some((from, new.now().unwrap()));
    let layer = new
        .commit_scanned(
            below,
            &Made {
                stubs: Vec::new(),
                window,
            },
        )
        .unwrap();
    check_disk(&layer);
    Some((seen, layer))
}

fn sh(script: &'static str) -> impl Fn(&Path) {
    move |root| {
        let status = std::process::Command::new("sh")
            .args(["-ec", script])
            .current_dir(root)
            .status()
            .unwrap();
        assert!(status.success(), "{script}");
    }
}

/// Runs scripts one on the other; the changes of each, after checking that each layer shows what
/// the kernel showed.
fn run(scripts: &[&'static str]) -> Option<Vec<Vec<String>>> {
    let (_dir, store) = store();
    let mut below = View::default();
    let mut all = Vec::new();
    for script in scripts {
        let (seen, layer) = step(&store, &below, &sh(script))?;
        below = on_top(&below, &layer);
        assert_eq!(shown(&below), seen, "{script}");
        all.push(changes(&layer));
    }
    Some(all)
}

macro_rules! histories {
    ($($name:ident: [$($script:literal => [$($change:literal),*]),* $(,)?])*) => {
        $(#[test]
        fn $name() {
            if let Some(changes) = run(&[$($script),*]) {
                let expected: Vec<Vec<&str>> = vec![$(vec![$($change),*]),*];
                assert_eq!(changes, expected);
            }
        })*
    };
}

histories! {
    deletions: [
        "mkdir -p d/sub; touch d/a d/b d/sub/c" => ["A d", "A d/a", "A d/b", "A d/sub", "A d/sub/c"],
        "rm d/a" => ["A d", "D d/a"],
        "rm -r d/sub" => ["A d", "D d/sub"],
        "rm -r d; mkdir e; touch e/x; rm -r e" => ["D d"],
    ]
    a_directory_made_again: [
        "mkdir -p d/keep; touch d/old1 d/old2 d/keep/x" => ["A d", "A d/keep", "A d/keep/x", "A d/old1", "A d/old2"],
        "rm -r d; mkdir d; touch d/new" => ["A d", "D d/keep", "A d/new", "D d/old1", "D d/old2"],
        "rm d/new; mkdir d/new; touch d/new/deep" => ["A d", "A d/new", "A d/new/deep"],
    ]
    nested_opaque: [
        "mkdir -p a/b/c tmp; touch -d @5 a/b/c/1 a/b/2 a/3" => ["A a", "A a/3", "A a/b", "A a/b/2", "A a/b/c", "A a/b/c/1", "A tmp"],
        "cp -a a tmp/a; rm -r a; mkdir -p a/b; cp -a tmp/a/b/c a/b/c; touch a/b/2; rm -r tmp/a/b/c"
            => ["A a", "D a/3", "A a/b", "A a/b/2", "A tmp", "A tmp/a", "A tmp/a/3", "A tmp/a/b", "A tmp/a/b/2"],
    ]
    nothing_at_all: [
        "mkdir d; echo x > d/f; ln -s f d/l; mkfifo d/p" => ["A d", "A d/f", "A d/l", "A d/p"],
        "true" => [],
        "touch d/t; rm d/t; chmod 600 d/f; chmod 644 d/f; chmod 700 d; chmod 755 d" => [],
        "touch -d @7 d" => [],
        "rm -r d/l; ln -s f d/l; touch -h -d @3 d/l" => ["A d", "A d/l"],
    ]
    other_types: [
        "mkdir -p d1/x d2/y t; touch f1 f2 d1/f; ln -s t l1; ln -s t l2"
            => ["A d1", "A d1/f", "A d1/x", "A d2", "A d2/y", "A f1", "A f2", "A l1", "A l2", "A t"],
        "rm -r d1; echo f > d1; rm -r d2; ln -s t d2" => ["A d1", "A d2"],
        "rm f1; mkdir f1; touch f1/in; rm f2; ln -s t f2" => ["A f1", "A f1/in", "A f2"],
        "rm l1; mkdir l1; touch l1/in; rm l2; echo f > l2" => ["A l1", "A l1/in", "A l2"],
        "rm -r d1 f1 l1; mkdir d1 f1; touch d1/z" => ["A d1", "A d1/z", "A f1", "D f1/in", "D l1"],
    ]
    attributes: [
        "mkdir d; echo data > d/f; echo other > d/g; ln -s f d/l" => ["A d", "A d/f", "A d/g", "A d/l"],
        "chmod 4750 d/f" => ["A d", "A d/f"],
        "chown 5:60 d/g; chown -h 7:7 d/l" => ["A d", "A d/g", "A d/l"],
        "chmod 1777 d" => ["A d"],
        "touch -d @9 d/f" => ["A d", "A d/f"],
    ]
    hard_links: [
        "mkdir d; echo x > d/a; ln d/a d/b; ln d/a c" => ["A c", "A d", "A d/a", "A d/b"],
        "rm d/a" => ["A d", "D d/a"],
        "mkdir e; echo y > e/1; ln e/1 e/2; rm e/1; ln e/2 e/3" => ["A e", "A e/2", "A e/3"],
    ]
}

#[test]
fn a_root_with_attributes_of_its_own_keeps_them() {
    let (_dir, store) = store();
    let chmod =
        |root: &Path| std::fs::set_permissions(root, PermissionsExt::from_mode(0o711)).unwrap();
    let Some((_, layer)) = step(&store, &View::default(), &chmod) else {
        return;
    };
    assert_eq!(changes(&layer), ["A "]);
    let below = on_top(&View::default(), &layer);
    assert_eq!(below.get(b"").unwrap().mode, 0o711);
    let new = store.new_layer().unwrap();
    new.adopt_root(&below).unwrap();
    assert_eq!(
        changes(&new.commit_scanned(&below, &Made::default()).unwrap()),
        Vec::<String>::new()
    );
}
