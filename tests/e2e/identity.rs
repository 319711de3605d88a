//! What is the same and what is not: bytes behind equal sizes and times, owners, copies of a
//! project, and steps that leave what they left before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::place::{Place, is_long, rounds};

const DOCKERFILE: &str = "FROM base:1\nCOPY src /src\nRUN cat /src/* > /all\n";

fn built() -> Option<Place> {
    let place = Place::with_base()?;
    place.write("src/a", "0000\n");
    place.write("src/b", "bbbb\n");
    place.build(DOCKERFILE, &[]).ok();
    Some(place)
}

fn set_time(place: &Place, name: &str, time: SystemTime) {
    let file = fs::File::options()
        .write(true)
        .open(place.project().join(name))
        .unwrap();
    file.set_modified(time).unwrap();
}

/// A hundred times in the long run: other bytes, and everything that a scan can see is as before.
#[test]
fn other_bytes_of_the_same_size_and_time_are_a_miss() {
    let Some(place) = built() else { return };
    let file = place.project().join("src/a");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let out = place.path("out");
    let dest = format!("type=local,dest={}", out.display());
    for round in 1..=rounds(8, 100) {
        let text = format!("{round:04}\n");
        match round % 3 {
            // In place: the same inode.
            0 => fs::write(&file, &text).unwrap(),
            // Another file under the same name.
            1 => {
                place.write("new", &text);
                fs::rename(place.project().join("new"), &file).unwrap();
            }
            // In place and at once after the scan of a build that saw something else.
            _ => {
                fs::write(&file, "xxxx\n").unwrap();
                set_time(&place, "src/a", time);
                place.build_again(&["-o", &dest]).ok();
                fs::write(&file, &text).unwrap();
            }
        }
        set_time(&place, "src/a", time);
        place.build_again(&["-o", &dest]).ok();
        let all = fs::read_to_string(out.join("all")).unwrap();
        assert_eq!(all, format!("{text}bbbb\n"), "round {round}");
    }
}

/// Written right after a build has looked, without anybody setting a time back: within one tick of
/// the clock the time stays the same too.
#[test]
fn what_is_written_in_the_same_tick_is_seen() {
    let Some(place) = built() else { return };
    let file = place.project().join("src/a");
    let out = place.path("out");
    let dest = format!("type=local,dest={}", out.display());
    for round in 0..rounds(5, 100) {
        fs::write(&file, format!("{round:04}\n")).unwrap();
        let writer = std::thread::spawn({
            let file = file.clone();
            move || {
                for turn in 0..200 {
                    fs::write(&file, format!("t{turn:03}\n")).unwrap();
                }
            }
        });
        // Whatever it saw, it says that it could not, or it has one whole state of the file.
        let during = place.build_again(&[]);
        assert!(matches!(during.code, 0 | 2 | 3), "{during:?}");
        writer.join().unwrap();
        place.build_again(&["-o", &dest]).ok();
        let all = fs::read_to_string(out.join("all")).unwrap();
        assert_eq!(all, "t199\nbbbb\n", "round {round}");
    }
}

#[test]
fn times_owners_and_the_place_of_a_project_do_not_count() {
    let Some(place) = built() else { return };
    let hit = |place: &Place, what: &str| {
        let again = place.build_again(&[]).ok();
        assert_eq!(again.ran(), Vec::<&str>::new(), "{what}: {}", again.err);
    };
    set_time(&place, "src/a", SystemTime::now());
    hit(&place, "touch");
    set_time(&place, "src/b", SystemTime::UNIX_EPOCH);
    hit(&place, "an old time");

    let chown =
        |owner| std::os::unix::fs::chown(place.project().join("src/a"), owner, owner).is_ok();
    if chown(Some(4242)) {
        hit(&place, "another owner");
    } else {
        eprintln!("SKIPPED: another owner: only root can give files away");
    }

    // A copy elsewhere, as a fresh clone is: other inodes, times and directory order.
    let project = place.project();
    let elsewhere = place.path("elsewhere");
    let status = Command::new("cp")
        .args(["-r", project.to_str().unwrap(), elsewhere.to_str().unwrap()])
        .status()
        .unwrap();
    assert!(status.success());
    let said = place
        .rbuild(&[
            "build",
            "--progress=plain",
            "-t",
            "app",
            elsewhere.to_str().unwrap(),
        ])
        .ok();
    assert_eq!(said.ran(), Vec::<&str>::new(), "{}", said.err);
}

fn digest(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Steps that run again and leave what they left: what follows comes from the cache, and the files
/// are the same, with all their times.
#[test]
fn a_chain_is_cut_off_where_the_result_is_the_same() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("src/a", "1\n");
    place.write("src/note", "1\n");
    let dockerfile = |tool: &str, note: &str| {
        format!(
            "FROM base:1 AS tool\nRUN echo tool > /tool # {tool}\n\
             FROM base:1\nCOPY src /src\nRUN wc -l < /src/note > /lines && rm /src/note # {note}\n\
             RUN date +%N > /stamp\nCOPY --from=tool /tool /tool\nRUN cat /stamp /tool /lines > /all\n"
        )
    };
    let tar = place.path("tar");
    let dest = format!("type=tar,dest={}", tar.display());
    let build = |text: &str| {
        let said = place.build(text, &["-o", &dest]).ok();
        let ran = said.ran().len();
        (ran, digest(&fs::read(&tar).unwrap()), said.err)
    };
    let (ran, first, _) = build(&dockerfile("one", "one"));
    assert!(ran >= 6);
    // A RUN of another stage, and its result is copied.
    let (ran, now, err) = build(&dockerfile("two", "one"));
    assert_eq!((ran, now), (1, first), "{err}");
    // A RUN in the same stage.
    let (ran, now, err) = build(&dockerfile("two", "two"));
    assert_eq!((ran, now), (1, first), "{err}");
    // Both, and what a RUN rewrites to the same again.
    let (ran, now, err) = build(&dockerfile("three", "three"));
    assert_eq!((ran, now), (2, first), "{err}");
    if is_long() {
        for round in 0..20 {
            let (ran, now, err) = build(&dockerfile(&format!("t{round}"), &format!("n{round}")));
            assert_eq!((ran, now), (2, first), "{err}");
        }
    }
}

/// What is in the store's layers: for each path what would differ if somebody had made the file,
/// written to it or opened it (where the file system notes that).
fn layers(place: &Place) -> BTreeMap<PathBuf, [i64; 7]> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![place.path("store/layers/v1")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                dirs.push(path);
            } else {
                let inode = meta.ino() as i64;
                let (mtime, ctime) = (meta.mtime(), meta.ctime());
                let nanos = [meta.mtime_nsec(), meta.ctime_nsec(), meta.atime_nsec()];
                let times = [mtime, ctime, meta.atime(), nanos[0], nanos[1], nanos[2]];
                let mut all = [inode; 7];
                all[1..].copy_from_slice(&times);
                found.insert(path, all);
            }
        }
    }
    found
}

/// The layer of the copy goes onto the other base as it is: nothing of it is made again, written to
/// or read.
#[test]
fn a_linked_copy_onto_another_base_touches_no_file_of_the_copy() {
    let Some(place) = Place::with_base() else {
        return;
    };
    for n in 0..40 {
        place.write(&format!("src/d{}/f{n}", n % 4), &format!("copied {n}\n"));
    }
    let dockerfile = |base: &str| {
        format!(
            "FROM base:1 AS tool\nRUN echo tool > /tool\nFROM base:1 AS under\nRUN echo {base} > /n\n\
             FROM under\nCOPY --link src /src\nCOPY --link --from=tool /tool /bin/tool\n"
        )
    };
    place.build(&dockerfile("one"), &[]).ok();
    let before = layers(&place);
    let is_copied = |path: &Path| path.to_string_lossy().contains("/src/");
    assert_eq!(before.keys().filter(|path| is_copied(path)).count(), 40);

    let said = place.build(&dockerfile("two"), &[]).ok();
    assert_eq!(
        said.ran(),
        ["[under 2/2] RUN echo two > /n"],
        "{}",
        said.err
    );
    let after = layers(&place);
    for (path, what) in before.iter().filter(|(path, _)| is_copied(path)) {
        assert_eq!(after.get(path), Some(what), "{}", path.display());
    }
    let new: Vec<&PathBuf> = after
        .keys()
        .filter(|path| !before.contains_key(*path))
        .collect();
    let is_of_the_run = |path: &&PathBuf| path.ends_with("fs/n") || path.ends_with("index");
    assert!(new.len() == 2 && new.iter().all(is_of_the_run), "{new:?}");
    assert_eq!(
        place.sh("cat /n /src/d3/f39 /bin/tool"),
        "two\ncopied 39\ntool\n"
    );
}

#[test]
fn a_build_from_the_cache_makes_the_same_image_again() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("file", "1");
    let dockerfile =
        "FROM base:1\nLABEL a=1\nRUN echo made > /made\nENV B=2\nCOPY file /\nCMD [\"true\"]\n";
    place.build(dockerfile, &[]).ok();
    let quiet = |more: &[&str]| {
        let project = place.project();
        let mut all = vec!["build", "-q", project.to_str().unwrap()];
        all.extend(more);
        place.rbuild(&all).ok().out
    };
    let first = quiet(&[]);
    assert_eq!(first, quiet(&[]));
    assert_eq!(
        first.trim(),
        place
            .rbuild(&["inspect", "--format", "{{.Id}}", "app"])
            .ok()
            .out
            .trim()
    );
    for name in ["one.tar", "two.tar"] {
        let output = format!("type=oci,dest={}", place.path(name).display());
        quiet(&["-o", &output]);
    }
    assert_eq!(
        std::fs::read(place.path("one.tar")).unwrap(),
        std::fs::read(place.path("two.tar")).unwrap()
    );
    assert_ne!(first, quiet(&["--no-cache"]), "other layers, other times");
}
