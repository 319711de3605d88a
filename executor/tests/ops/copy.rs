//! COPY and WORKDIR: where things go, and what they are like there.

use std::os::unix::fs::symlink;

use executor::ops::OpError;
use solver::op::{CopySource, InlineFile, ModeChange};

use super::Case;
use crate::world::{Input, World, copy, selector, set_mode};

pub const CASES: &[Case] = &[
    ("copy_places_files_and_directories", files_and_directories),
    ("copy_merges_and_refuses_as_the_reference", merging),
    ("copy_follows_links_of_the_destination", links),
    ("copy_keeps_what_files_are_like", attributes),
    ("copy_changes_modes_and_owners", modes_and_owners),
    ("copy_inline_files", inline),
    ("copy_with_parents", parents),
    ("copy_from_a_snapshot_keeps_owners_and_links", from_snapshot),
    ("copy_of_the_same_again_leaves_nothing", same_again),
    ("copy_of_many_files_in_deep_places", many),
    ("make_dir_makes_parents_for_the_user", make_dir),
    (
        "copy_replaces_a_directory_only_where_it_may",
        replaced_directory,
    ),
];

fn files_and_directories() {
    let world = World::new();
    world.write("one", "1");
    world.write("two", "2");
    world.write("tree/x", "x");
    world.write("tree/sub/y", "y");
    set_mode(&world.path("tree"), 0o700);
    for (sources, dest, expected) in [
        (&["one"][..], "/a", &["a 644 0:0 = 1"][..]),
        (&["one"], "/b/", &["b 755 0:0 dir", "b/one 644 0:0 = 1"]),
        (
            &["one", "two"],
            "/c/",
            &["c 755 0:0 dir", "c/one 644 0:0 = 1", "c/two 644 0:0 = 2"],
        ),
        (
            &["tree"],
            "/d",
            &[
                "d 755 0:0 dir",
                "d/sub 755 0:0 dir",
                "d/sub/y 644 0:0 = y",
                "d/x 644 0:0 = x",
            ],
        ),
        (
            &["tree/sub"],
            "/f/g",
            &["f 755 0:0 dir", "f/g 755 0:0 dir", "f/g/y 644 0:0 = y"],
        ),
        (&["one", "two"], "/last", &["last 644 0:0 = 2"]),
        (
            &["*o*"],
            "/n/",
            &["n 755 0:0 dir", "n/one 644 0:0 = 1", "n/two 644 0:0 = 2"],
        ),
        (&["none*"], "/nothing/", &[]),
        (
            &["tree"],
            "/",
            &["sub 755 0:0 dir", "sub/y 644 0:0 = y", "x 644 0:0 = x"],
        ),
    ] {
        let snapshot = world.copy(&Input::Scratch, sources, dest).unwrap();
        assert_eq!(snapshot.layers.len(), 1);
        assert_eq!(world.tree(&snapshot), expected, "{sources:?} {dest}");
    }
}

fn merging() {
    let world = World::new();
    world.write("file", "file");
    world.write("dir/in", "in");
    world.write("dir/same", "new");
    world.write("dir/nested/deep", "deep");
    set_mode(&world.path("dir/nested"), 0o750);
    world.write("base/d/old", "old");
    world.write("base/d/same", "before");
    world.write("base/d/nested/kept", "kept");
    world.write("base/f", "f");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
    let merged = world.copy(&base, &["dir"], "/d").unwrap();
    assert_eq!(
        world.added(&base, &merged),
        [
            "d/in 644 0:0 = in",
            "d/nested 750 0:0 dir",
            "d/nested/deep 644 0:0 = deep",
            "d/same 644 0:0 = new"
        ]
    );
    assert!(
        world
            .tree(&merged)
            .contains(&"d/nested/kept 644 0:0 = kept".to_owned())
    );

    let into = world.copy(&base, &["file"], "/d").unwrap();
    assert_eq!(world.added(&base, &into), ["d/file 644 0:0 = file"]);
    let over = world.copy(&base, &["file"], "/f").unwrap();
    assert_eq!(world.added(&base, &over), ["f 644 0:0 = file"]);

    for (sources, dest, message) in [
        (&["dir"][..], "/f", "cannot copy to non-directory: /f"),
        (&["dir"], "/f/", "cannot copy to non-directory: /f"),
        (&["file"], "/f/", "cannot copy to non-directory: /f"),
        (&["file"], "/f/x", "cannot copy to non-directory: /f"),
        (
            &["file", "dir"],
            "/new",
            "cannot copy to non-directory: /new",
        ),
    ] {
        let error = world.copy(&base, sources, dest).unwrap_err();
        assert_eq!(error.to_string(), message, "{sources:?} {dest}");
    }
}

fn links() {
    let world = World::new();
    world.write("f", "new");
    world.write("d/g", "g");
    std::fs::create_dir_all(world.path("base/real/dir")).unwrap();
    world.write("base/file", "old");
    for (target, name) in [
        ("/real", "abs"),
        ("real/dir", "rel"),
        ("/file", "tofile"),
        ("/new/made", "tonew"),
        ("../../../..", "up"),
        ("loop", "loop"),
    ] {
        symlink(target, world.path(&format!("base/{name}"))).unwrap();
    }
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
    for (sources, dest, expected) in [
        (&["f"][..], "/abs/one", &["real/one 644 0:0 = new"][..]),
        (&["f"], "/rel/", &["real/dir/f 644 0:0 = new"]),
        (&["f"], "/rel", &["real/dir/f 644 0:0 = new"]),
        (&["d"], "/abs/dir", &["real/dir/g 644 0:0 = g"]),
        (
            &["d"],
            "/rel/new/deep",
            &[
                "real/dir/new 755 0:0 dir",
                "real/dir/new/deep 755 0:0 dir",
                "real/dir/new/deep/g 644 0:0 = g",
            ],
        ),
        (&["f"], "/tofile", &["file 644 0:0 = new"]),
        (
            &["f"],
            "/tonew",
            &["new 755 0:0 dir", "new/made 644 0:0 = new"],
        ),
        (&["f"], "/up/x", &["x 644 0:0 = new"]),
    ] {
        let snapshot = world.copy(&base, sources, dest).unwrap();
        assert_eq!(
            world.added(&base, &snapshot),
            expected,
            "{sources:?} {dest}"
        );
    }
    let error = world.copy(&base, &["f"], "/loop/x").unwrap_err();
    assert!(matches!(error, OpError::TooManyLinks { .. }), "{error}");

    // A link inside a copied tree stays one, and replaces what is there.
    world.write("l/g", "g");
    symlink("elsewhere", world.path("l/file")).unwrap();
    let replaced = world.copy(&base, &["l"], "/").unwrap();
    assert_eq!(
        world.added(&base, &replaced),
        ["file 0:0 -> elsewhere", "g 644 0:0 = g"]
    );
    // But a directory of the tree does not go through a link.
    world.write("e/abs/in", "in");
    let error = world.copy(&base, &["e"], "/").unwrap_err();
    assert_eq!(error.to_string(), "cannot copy to non-directory: /abs");
}

fn attributes() {
    let world = World::new();
    for (name, mode) in [
        ("run", 0o755),
        ("setuid", 0o4755),
        ("none", 0),
        ("sticky", 0o1644),
    ] {
        world.write(&format!("tree/{name}"), name);
        set_mode(&world.path(&format!("tree/{name}")), mode);
    }
    std::fs::create_dir(world.path("tree/shut")).unwrap();
    set_mode(&world.path("tree/shut"), 0o1755);
    std::fs::hard_link(world.path("tree/run"), world.path("tree/same")).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 5);
    let file = std::fs::File::open(world.path("tree/run")).unwrap();
    file.set_modified(time).unwrap();
    if rustix_root() || std::fs::File::open(world.path("tree/none")).is_ok() {
        let tree = world.copy(&Input::Scratch, &["tree"], "/t").unwrap();
        assert_eq!(
            world.tree(&tree),
            [
                "t 755 0:0 dir",
                "t/none 0 0:0 = none",
                "t/run 755 0:0 = run [t/run]",
                "t/same 755 0:0 = run [t/run]",
                "t/setuid 4755 0:0 = setuid",
                "t/shut 1755 0:0 dir",
                "t/sticky 1644 0:0 = sticky",
            ]
        );
        let entry = world.entry(&tree, "t/run").unwrap();
        assert_eq!((entry.mtime.seconds, entry.mtime.nanos), (1_234_567_890, 5));
        // The files on the disk agree.
        use std::os::unix::fs::MetadataExt;
        let fs = world
            .store
            .root()
            .join(&world.store.layer_dirs(&tree.layers[..1]).unwrap()[0]);
        let meta = std::fs::metadata(fs.join("t/setuid")).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o4755);
        let meta = std::fs::metadata(fs.join("t/run")).unwrap();
        assert_eq!((meta.nlink(), meta.mtime()), (2, 1_234_567_890));
        assert_ne!(
            meta.ino(),
            std::fs::metadata(world.path("tree/run")).unwrap().ino()
        );
    } else {
        eprintln!("SKIPPED: attributes: unreadable files are unreadable to this user");
    }
}

fn rustix_root() -> bool {
    std::fs::read("/proc/self/status")
        .is_ok_and(|status| String::from_utf8_lossy(&status).contains("Uid:\t0\t0"))
}

fn modes_and_owners() {
    let world = World::new();
    world.write("f", "f");
    world.write("d/g", "g");
    world.write("d/h/i", "i");
    world.write("base/etc/passwd", "root:x:0:0\ngames:x:5:60\n");
    world.write("base/etc/group", "staff:x:50:\n");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
    let with = |owner: Option<&str>, mode: Option<ModeChange>, source: &str, dest: &str| {
        let mut op = copy(&[source], dest);
        op.owner = owner.map(str::to_owned);
        op.mode = mode;
        op
    };
    let octal = |bits| Some(ModeChange::Octal(bits));
    for (op, expected) in [
        (with(None, octal(0o600), "f", "/1"), &["1 600 0:0 = f"][..]),
        (with(None, octal(0o4711), "f", "/3"), &["3 4711 0:0 = f"]),
        (
            with(None, octal(0o1777), "d", "/4"),
            &[
                "4 777 0:0 dir",
                "4/g 1777 0:0 = g",
                "4/h 1777 0:0 dir",
                "4/h/i 1777 0:0 = i",
            ],
        ),
        (
            with(None, octal(0o644), "d", "/6/new"),
            &[
                "6 644 0:0 dir",
                "6/new 644 0:0 dir",
                "6/new/g 644 0:0 = g",
                "6/new/h 644 0:0 dir",
                "6/new/h/i 644 0:0 = i",
            ],
        ),
        (
            with(
                None,
                Some(ModeChange::Symbolic("go=".to_owned())),
                "f",
                "/7/x",
            ),
            &["7 755 0:0 dir", "7/x 600 0:0 = f"],
        ),
        (with(Some("games"), None, "f", "/a"), &["a 644 5:60 = f"]),
        (
            with(Some("games:staff"), None, "f", "/b"),
            &["b 644 5:50 = f"],
        ),
        (with(Some("5"), None, "f", "/c"), &["c 644 5:5 = f"]),
        (with(Some(":staff"), None, "f", "/d"), &["d 644 0:50 = f"]),
        (with(Some("games:"), None, "f", "/e"), &["e 644 5:0 = f"]),
        (
            with(Some("stranger:staff"), None, "f", "/g"),
            &["g 644 0:50 = f"],
        ),
        (
            with(Some("games:strangers"), None, "f", "/h"),
            &["h 644 5:60 = f"],
        ),
        (
            with(Some("4294967294:65535"), None, "f", "/i"),
            &["i 644 0:65535 = f"],
        ),
        (
            with(Some("7:8"), None, "f", "/made/too"),
            &["made 755 7:8 dir", "made/too 644 7:8 = f"],
        ),
    ] {
        let what = format!("{:?} {:?} {}", op.owner, op.mode, op.dest);
        let snapshot = world.copy_with(&base, op).unwrap();
        assert_eq!(world.added(&base, &snapshot), expected, "{what}");
    }
    let named = world.copy_with(&Input::Scratch, with(Some("games"), None, "f", "/a"));
    assert!(matches!(named, Err(OpError::NoUserDatabase { .. })));
    let numbered = world.copy_with(&Input::Scratch, with(Some("3:4"), None, "f", "/a"));
    assert_eq!(world.tree(&numbered.unwrap()), ["a 644 3:4 = f"]);
}

fn inline() {
    let world = World::new();
    let file = |name: &str, data: &str| {
        CopySource::Inline(InlineFile {
            name: name.to_owned(),
            data: data.to_owned(),
        })
    };
    let mut op = copy(&[], "/dir/");
    op.sources = vec![file("one", "1\n"), file("two", "")];
    op.epoch = Some(7);
    let snapshot = world.copy_with(&Input::Scratch, op).unwrap();
    assert_eq!(
        world.tree(&snapshot),
        [
            "dir 755 0:0 dir",
            "dir/one 644 0:0 = 1\n",
            "dir/two 644 0:0 = "
        ]
    );
    for path in ["dir", "dir/one"] {
        assert_eq!(
            world.entry(&snapshot, path).unwrap().mtime.seconds,
            7,
            "{path}"
        );
    }
    let mut op = copy(&[], "/plain");
    op.sources = vec![file("EOF", "text")];
    op.owner = Some("5:60".to_owned());
    op.mode = Some(ModeChange::Octal(0o755));
    let snapshot = world.copy_with(&Input::Scratch, op).unwrap();
    assert_eq!(world.tree(&snapshot), ["plain 755 5:60 = text"]);
}

fn parents() {
    let world = World::new();
    world.write("tree/one", "1");
    world.write("tree/sub/three", "3");
    set_mode(&world.path("tree/sub"), 0o750);
    let mut op = copy(&[], "/out/");
    op.sources = ["tree/one", "tree/sub/three"]
        .map(|path| CopySource::Files {
            input: 1,
            selector: solver::Selector {
                parents: true,
                ..selector(path)
            },
            unpack: solver::op::Unpack::Never,
        })
        .to_vec();
    let snapshot = world.copy_with(&Input::Scratch, op).unwrap();
    assert_eq!(
        world.tree(&snapshot),
        [
            "out 755 0:0 dir",
            "out/tree 755 0:0 dir",
            "out/tree/one 644 0:0 = 1",
            "out/tree/sub 750 0:0 dir",
            "out/tree/sub/three 644 0:0 = 3",
        ]
    );
}

fn from_snapshot() {
    let world = World::new();
    world.write("t/a", "a");
    world.write("t/d/b", "b");
    std::fs::hard_link(world.path("t/a"), world.path("t/d/c")).unwrap();
    set_mode(&world.path("t/d"), 0o2750);
    let mut op = copy(&["t"], "/t");
    op.owner = Some("7:8".to_owned());
    let stage = world.copy_with(&Input::Scratch, op).unwrap();
    let copied = world
        .run(
            solver::Op::Copy(copy(&["t"], "/u")),
            &[Input::Scratch, Input::Stack(stage)],
        )
        .unwrap();
    assert_eq!(
        world.tree(&copied),
        [
            "u 755 0:0 dir",
            "u/a 644 7:8 = a [u/a]",
            "u/d 2750 7:8 dir",
            "u/d/b 644 7:8 = b",
            "u/d/c 644 7:8 = a [u/a]",
        ]
    );
}

fn same_again() {
    let world = World::new();
    world.write("d/f", "f");
    let base = Input::Stack(world.copy(&Input::Scratch, &["d"], "/d").unwrap());
    let again = world.copy(&base, &["d"], "/d").unwrap();
    let layer = world.store.layer(again.layers.last().unwrap()).unwrap();
    assert!(
        layer.index.is_empty(),
        "{:?}",
        layer.index.iter().collect::<Vec<_>>()
    );
}

fn many() {
    let world = World::new();
    let deep = vec!["level-with-a-rather-long-name"; 30].join("/");
    world.write(&format!("t/{deep}/bottom"), "here");
    for number in 0..300 {
        world.write(&format!("t/many/{number}"), number.to_string());
    }
    let snapshot = world.copy(&Input::Scratch, &["t"], "/t").unwrap();
    let lines = world.tree(&snapshot);
    assert_eq!(lines.len(), 1 + 31 + 1 + 300);
    assert!(lines.contains(&format!("t/{deep}/bottom 644 0:0 = here")));
}

fn make_dir() {
    let world = World::new();
    world.write("base/etc/passwd", "games:x:5:60\n");
    std::fs::create_dir_all(world.path("base/real")).unwrap();
    symlink("/real", world.path("base/link")).unwrap();
    world.write("base/file", "");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
    for (path, owner, expected) in [
        (
            "/made/by",
            "games",
            &["made 755 5:60 dir", "made/by 755 5:60 dir"][..],
        ),
        ("/link/in", "4000:4001", &["real/in 755 4000:4001 dir"]),
        ("/real", "games", &[]),
        (
            "/abs//olute/./x",
            "",
            &[
                "abs 755 0:0 dir",
                "abs/olute 755 0:0 dir",
                "abs/olute/x 755 0:0 dir",
            ],
        ),
    ] {
        let snapshot = world.make_dir(&base, path, owner).unwrap();
        assert_eq!(world.added(&base, &snapshot), expected, "{path}");
        let Input::Stack(below) = &base else { panic!() };
        assert_eq!(snapshot.layers.len(), below.layers.len() + 1);
    }
    let error = world.make_dir(&base, "/file/x", "").unwrap_err();
    assert!(matches!(error, OpError::NotADirectory { .. }));
    assert!(world.make_dir(&Input::Scratch, "/x", "games").is_err());
    let numbered = world
        .make_dir(&Input::Scratch, "/home/me", "1000:1000")
        .unwrap();
    assert_eq!(
        world.tree(&numbered),
        ["home 755 1000:1000 dir", "home/me 755 1000:1000 dir"]
    );
}

fn replaced_directory() {
    let world = World::new();
    world.write("base/d/x/in", "in");
    world.write("src/x", "a file now");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
    let error = world.copy(&base, &["src"], "/d").unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot replace directory /d/x with a file"
    );
}
