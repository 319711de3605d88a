//! Scans of real directories: what is found, what is hashed again, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use solver::Selector;
use solver::selector::Purpose;

use super::*;
use crate::layer::Kind;
use crate::select::{SelectError, Selected, from_context};
use crate::store::StoreOptions;

pub(crate) struct Rules(pub PatternList, pub Vec<String>);

impl ContextFilter for Rules {
    fn patterns(&self) -> &PatternList {
        &self.0
    }

    fn rule(&self, position: usize) -> String {
        self.1[position].clone()
    }
}

pub(crate) fn rules(patterns: &[&str]) -> Arc<dyn ContextFilter> {
    let list = PatternList::new(patterns).unwrap();
    Arc::new(Rules(
        list,
        patterns.iter().map(|p| (*p).to_owned()).collect(),
    ))
}

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
    root: PathBuf,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("context");
    std::fs::create_dir(&root).unwrap();
    Fixture {
        store: Store::open(StoreOptions::new(dir.path().join("store"))).unwrap(),
        root,
        _dir: dir,
    }
}

impl Fixture {
    fn open(&self, patterns: &[&str]) -> Context {
        let options = ContextOptions {
            name: "context".to_owned(),
            dir: self.root.clone(),
            filter: rules(patterns),
            asked: None,
        };
        Context::open(&self.store, options).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Waits (without sleeping) until the file system's clock has gone on, so that what was
    /// written is settled.
    fn settle(&self) {
        let now = disk::now(&self.root).unwrap();
        while disk::now(&self.root).unwrap() <= now {
            std::hint::spin_loop();
        }
    }
}

pub(crate) fn copy(path: &str) -> Selector {
    Selector {
        path: path.to_owned(),
        pattern: path.contains('*'),
        parents: false,
        excludes: Vec::new(),
        purpose: Purpose::Copy,
    }
}

pub(crate) fn names(selected: &Selected) -> Vec<String> {
    let roots = selected.roots.iter().flat_map(|root| {
        let name = String::from_utf8_lossy(&root.name).into_owned();
        root.entries
            .iter()
            .map(move |entry| match entry.relative() {
                b"" => format!("{name}:"),
                relative => format!("{name}:{}", String::from_utf8_lossy(relative)),
            })
    });
    roots.collect()
}

fn known(context: &Context) -> usize {
    let listings = context.listings.lock().unwrap();
    let nodes = listings.values().flat_map(|listing| &listing.children);
    nodes.filter(|node| node.digest.get().is_some()).count()
}

#[test]
fn what_was_read_once_is_not_read_again() {
    let fixture = fixture();
    for name in ["a", "d/b", "d/e/c"] {
        fixture.write(name, name);
    }
    fixture.settle();
    let first = fixture.open(&[]);
    let digest = from_context(&first, &copy(".")).unwrap().digest;
    first.save().unwrap();

    // unreadable now, and other bytes with the old stat would not be noticed: nothing is read
    let again = fixture.open(&[]);
    again.find_dir(b"d/e").unwrap();
    assert_eq!(known(&again), 3);
    assert_eq!(from_context(&again, &copy(".")).unwrap().digest, digest);

    // a directory that was not asked for stays known
    fixture.write("a", "changed");
    fixture.settle();
    let part = fixture.open(&[]);
    assert_ne!(from_context(&part, &copy("a")).unwrap().digest, digest);
    part.save().unwrap();
    let whole = fixture.open(&[]);
    whole.find_dir(b"d/e").unwrap();
    assert_eq!(known(&whole), 3);

    // one that is gone is not
    std::fs::remove_dir_all(fixture.root.join("d")).unwrap();
    fixture.write("a", "again");
    fixture.settle();
    let less = fixture.open(&[]);
    from_context(&less, &copy(".")).unwrap();
    less.save().unwrap();
    assert_eq!(
        Known::load(&less.index, less.device).dir(b"d").digest(
            b"b",
            &first.find_dir(b"d").unwrap().unwrap().children[0].stat
        ),
        None
    );
}

#[test]
fn a_file_changed_within_the_clocks_tick_is_read_again() {
    let fixture = fixture();
    fixture.write("f", "one");
    // the same stat is simulated: the clock said that the scan began before the file changed
    let mut context = fixture.open(&[]);
    context.settled = Timestamp::default();
    from_context(&context, &copy("f")).unwrap();
    context.save().unwrap();
    assert!(!context.index.exists());
    let again = fixture.open(&[]);
    again.find_dir(b"").unwrap();
    assert_eq!(known(&again), 0);
}

#[test]
fn a_changed_time_or_owner_does_not_change_the_digest_but_a_mode_does() {
    let fixture = fixture();
    fixture.write("d/f", "x");
    let digest = || from_context(&fixture.open(&[]), &copy("d")).unwrap().digest;
    let first = digest();
    std::fs::File::options()
        .write(true)
        .open(fixture.root.join("d/f"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(digest(), first);
    std::fs::set_permissions(fixture.root.join("d/f"), PermissionsExt::from_mode(0o600)).unwrap();
    assert_ne!(digest(), first);
}

#[test]
fn the_ignore_file_is_obeyed_and_named() {
    let fixture = fixture();
    for name in [
        "a.o",
        "src/a.c",
        "src/a.o",
        "src/deep/keep",
        "src/deep/not",
        "out/x",
        "empty/y",
    ] {
        fixture.write(name, name);
    }
    let context = fixture.open(&["*", "!src", "**/*.o", "src/deep", "!src/deep/keep", "empty"]);
    let all = from_context(&context, &copy(".")).unwrap();
    assert_eq!(
        names(&all),
        [":", ":src", ":src/a.c", ":src/deep", ":src/deep/keep"]
    );
    let error = from_context(&context, &copy("src/a.o")).unwrap_err();
    assert!(
        error.to_string().starts_with("\"/src/a.o\": not found"),
        "{error}"
    );
    assert!(matches!(error, SelectError::Ignored { rule, .. } if rule == "**/*.o"));
    let error = from_context(&context, &copy("nothere")).unwrap_err();
    assert!(matches!(error, SelectError::NotFound { .. }), "{error}");
    assert_eq!(error.to_string(), "\"/nothere\": not found");
    assert_eq!(
        names(&from_context(&context, &copy("src/deep")).unwrap()),
        ["deep:", "deep:keep"]
    );
    assert!(from_context(&context, &copy("out")).is_err());
    let hidden = fixture.open(&["d", "!d/none"]);
    fixture.write("d/f", "x");
    assert!(from_context(&hidden, &copy("d")).is_err());
}

#[test]
fn special_files_are_never_waited_for() {
    let fixture = fixture();
    let mknod = |name: &str, kind| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            fixture.root.join(name),
            kind,
            0o640.into(),
            0,
        )
        .unwrap();
    };
    mknod("pipe", rustix::fs::FileType::Fifo);
    mknod("socket", rustix::fs::FileType::Socket);
    std::os::unix::fs::symlink("/etc/passwd", fixture.root.join("out")).unwrap();
    let selected = from_context(&fixture.open(&[]), &copy(".")).unwrap();
    let kinds: Vec<&Kind> = selected.roots[0]
        .entries
        .iter()
        .map(|e| &e.entry.kind)
        .collect();
    assert!(matches!(kinds[1], Kind::Symlink { .. }));
    assert!(matches!(kinds[2], Kind::Fifo));
    assert!(matches!(kinds[3], Kind::File { size: 0, .. }));
    // the link leads into the context, where there is no such file
    assert!(from_context(&fixture.open(&[]), &copy("out")).is_err());
}

#[test]
fn changes_while_copying_are_noticed() {
    let fixture = fixture();
    fixture.write("f", "content");
    fixture.settle();
    let context = fixture.open(&[]);
    let selected = from_context(&context, &copy("f")).unwrap();
    let entry = &selected.roots[0].entries[0];
    let copied = |text: &str| {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        file
    };
    // nothing happened: the copy is not even read
    context
        .open_checked(entry)
        .unwrap()
        .verify(&copied("anything"))
        .unwrap();
    let checked = context.open_checked(entry).unwrap();
    fixture.write("f", "CONTENT");
    assert!(matches!(
        checked.verify(&copied("CONTENT")),
        Err(ContextError::Changed { .. })
    ));
    // the stat differs, the copy is what the key says
    let checked = context.open_checked(entry).unwrap();
    checked.verify(&copied("content")).unwrap();
    let checked = context.open_checked(entry).unwrap();
    assert!(
        checked
            .verify_digest(solver::ContentDigest::of(b"content"), 7)
            .is_ok()
    );
    std::fs::remove_file(fixture.root.join("f")).unwrap();
    assert!(matches!(
        context.open_checked(entry),
        Err(ContextError::Changed { .. })
    ));
    std::os::unix::fs::symlink("/etc/passwd", fixture.root.join("f")).unwrap();
    assert!(context.open_checked(entry).is_err());

    std::fs::remove_file(fixture.root.join("f")).unwrap();
    for name in ["g", "h"] {
        fixture.write(name, "new");
    }
    context.forget();
    assert_eq!(names(&from_context(&context, &copy("*")).unwrap()).len(), 2);
}

#[test]
fn what_was_read_for_a_digest_is_given_to_who_copies_it_once() {
    let fixture = fixture();
    fixture.write("f", "content");
    fixture.write("large", &"x".repeat(70_000));
    fixture.settle();
    let context = fixture.open(&[]);
    let entry = |context: &Context, name: &str| {
        from_context(context, &copy(name)).unwrap().roots[0].entries[0].clone()
    };
    let (small, large) = (entry(&context, "f"), entry(&context, "large"));
    assert!(context.take_read(&large).unwrap().is_none());
    // somebody writes meanwhile: the copy is what the digest says all the same
    fixture.write("f", "CONTENT");
    assert_eq!(
        context.take_read(&small).unwrap().as_deref(),
        Some(&b"content"[..])
    );
    assert!(context.take_read(&small).unwrap().is_none());

    let again = fixture.open(&[]);
    let before = entry(&again, "f");
    fixture.write("f", "third");
    again.forget();
    let after = entry(&again, "f");
    assert!(
        again.take_read(&before).unwrap().is_none(),
        "it is another file now"
    );
    assert_eq!(
        again.take_read(&after).unwrap().as_deref(),
        Some(&b"third"[..])
    );
    again.save().unwrap();

    // what an index knows is not read at all
    fixture.settle();
    entry(&again, "f");
    let context = fixture.open(&[]);
    let known = entry(&context, "f");
    context.save().unwrap();
    context.take_read(&known).unwrap();
    let context = fixture.open(&[]);
    let known = entry(&context, "f");
    assert!(context.take_read(&known).unwrap().is_none());
}

#[test]
fn names_are_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = fixture();
    for name in [&b"bad-\xff.o"[..], b"bad-\xff.c"] {
        std::fs::write(fixture.root.join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let selected = from_context(&fixture.open(&["*.o"]), &copy(".")).unwrap();
    assert_eq!(selected.roots[0].entries.len(), 2);
    assert_eq!(selected.roots[0].entries[1].relative(), b"bad-\xff.c");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn what_cannot_be_read_is_named() {
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: root reads everything");
        return;
    }
    let fixture = fixture();
    fixture.write("d/secret", "x");
    std::fs::set_permissions(
        fixture.root.join("d/secret"),
        PermissionsExt::from_mode(0o000),
    )
    .unwrap();
    let error = from_context(&fixture.open(&[]), &copy(".")).unwrap_err();
    assert!(error.to_string().contains("d/secret"), "{error}");
    assert!(from_context(&fixture.open(&["d"]), &copy(".")).is_ok());
}

#[test]
fn a_context_that_is_not_there_is_an_error() {
    let fixture = fixture();
    let options = ContextOptions {
        name: "x".to_owned(),
        dir: Path::new("/nowhere/at/all").to_owned(),
        filter: Arc::new(NoFilter::default()),
        asked: None,
    };
    assert!(Context::open(&fixture.store, options).is_err());
}
