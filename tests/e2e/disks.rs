//! Stores that cannot be used, or have no room: refused with the place and the cure, and nothing is
//! lost. Runs in a mount namespace of its own, which only root has.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use crate::place::{Place, Said, binary};

/// A small disk with commands that were run on it, one after the other.
struct Script {
    place: Place,
    text: String,
    names: Vec<String>,
}

impl Script {
    /// A disk of so many bytes at `disk`; none (and a loud line) for ordinary users.
    fn new(size: &str) -> Option<Self> {
        let place = Place::new()?;
        let may = Command::new("unshare").args(["-m", "true"]).output();
        if !may.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: only root can mount a small disk");
            return None;
        }
        let disk = place.path("disk");
        fs::create_dir(&disk).unwrap();
        let text = format!(
            "cd {}\nmount -t tmpfs -o size={size} tmpfs disk\n",
            place.path("").display()
        );
        let mut script = Self {
            place,
            text,
            names: Vec::new(),
        };
        script.project("small", 1_000);
        Some(script)
    }

    /// A project with a file of so many bytes that nothing makes smaller.
    fn project(&mut self, name: &str, size: usize) {
        let dir = self.place.path(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY file /\n").unwrap();
        let mut state = 88_172_645_463_325_252_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(size)
        .collect();
        fs::write(dir.join("file"), noise).unwrap();
    }

    fn shell(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Runs rbuild on the store `disk/NAME`; what it says comes under `name`.
    fn rbuild(&mut self, name: &str, store: &str, arguments: &str) {
        let binary = binary();
        let line = format!(
            "RBUILD_ROOT=$PWD/disk/{store} {} {arguments} >{name}.out 2>{name}.err; echo $? >{name}.code",
            binary.display()
        );
        self.shell(&line);
        self.names.push(name.to_owned());
    }

    fn fill(&mut self) {
        self.shell("cat /dev/zero >disk/filler 2>/dev/null; true");
    }

    /// Runs it all; gives what each rbuild said.
    fn run(&self) -> impl Fn(&str) -> Said {
        let output = Command::new("unshare")
            .args(["-m", "sh", "-c", &self.text])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let dir: PathBuf = self.place.path("");
        move |name| {
            let read = |kind: &str| fs::read_to_string(dir.join(format!("{name}.{kind}"))).unwrap();
            Said {
                code: read("code").trim().parse().unwrap(),
                out: read("out"),
                err: read("err"),
            }
        }
    }
}

#[test]
fn a_full_disk_is_named_can_be_pruned_and_works_when_it_has_room() {
    let Some(mut script) = Script::new("48m") else {
        return;
    };
    script.project("large", 3_000_000);
    script.rbuild("first", "store", "build --progress=plain -t app small");
    script.fill();
    script.rbuild("cached", "store", "build --progress=plain small");
    script.rbuild("full", "store", "build --progress=plain large");
    script.rbuild("why", "store", "why");
    script.rbuild("images", "store", "images");
    script.rbuild(
        "export",
        "store",
        "build --progress=plain -o type=oci,dest=disk/out.tar small",
    );
    script.rbuild("fresh", "fresh", "images");
    script.rbuild("du", "store", "du");
    script.rbuild("prune", "store", "prune --all");
    script.shell("ls disk/store/tmp >left.out; ls disk/out.tar >exported.out 2>/dev/null; true");
    script.shell("rm disk/filler");
    script.rbuild("after", "store", "build --progress=plain -t app large");
    script.rbuild("again", "store", "build --progress=plain large");
    script.rbuild(
        "run",
        "store",
        "build --progress=plain -o type=tar,dest=whole.tar large",
    );
    script.rbuild("made", "fresh", "images");
    let said = script.run();

    said("first").ok();
    assert_eq!(said("cached").ok().ran(), Vec::<&str>::new());
    said("full").fails(3, "rbuild prune");
    said("why").ok();
    let images = said("images");
    assert!(images.out.contains("app") || images.err.contains("rbuild prune"));
    said("export").fails(3, "rbuild prune");
    said("fresh").fails(3, "No space left on device");
    // It cannot note the sizes of new layers, and says so, or has nothing to note.
    assert!(matches!(said("du").code, 0 | 3));
    assert!(said("prune").ok().out.contains("freed"));
    let read = |name: &str| fs::read_to_string(script.place.path(name)).unwrap();
    assert_eq!(
        (read("left.out"), read("exported.out")),
        (String::new(), String::new())
    );
    assert_eq!(said("after").ok().ran().len(), 1);
    assert_eq!(said("again").ok().ran(), Vec::<&str>::new());
    said("run").ok();
    said("made").ok();
    let tar = fs::metadata(script.place.path("whole.tar")).unwrap();
    assert!(tar.len() > 3_000_000);
}

#[test]
fn a_build_with_nothing_to_do_needs_no_room() {
    // Without room for bytes, and without room for files.
    for (size, fill) in [
        ("48m", "cat /dev/zero >disk/filler 2>/dev/null; true"),
        (
            "48m,nr_inodes=400",
            "n=0; while true >disk/filler$n; do n=$((n + 1)); done 2>/dev/null; cat /dev/zero >disk/filler0 2>/dev/null; true",
        ),
    ] {
        let Some(mut script) = Script::new(size) else {
            return;
        };
        script.rbuild(
            "first",
            "store",
            "build --progress=plain -t app --load small",
        );
        script.shell(fill);
        for (name, arguments) in [
            ("plain", "build --progress=plain small"),
            ("named", "build --progress=plain -t app small"),
            ("loaded", "build --progress=plain -t app --load small"),
            (
                "written",
                "build --progress=plain -o type=tar,dest=out.tar small",
            ),
            ("images", "images"),
            ("history", "history app"),
            ("check", "check small"),
            ("work", "build --progress=plain -t app --no-cache small"),
        ] {
            script.rbuild(name, "store", arguments);
        }
        script.rbuild("prune", "store", "prune --all");
        let said = script.run();
        said("first").ok();
        for name in ["plain", "named", "loaded", "written"] {
            let said = said(name).ok();
            assert!(said.err.contains("1 cached"), "{name}: {}", said.err);
            assert!(!said.err.contains(" runs: "), "{name}: {}", said.err);
        }
        for name in ["images", "history", "check"] {
            said(name).ok();
        }
        assert!(said("prune").ok().out.contains("freed"));
        said("work").fails(3, "rbuild prune");
    }
}

#[test]
fn a_store_that_cannot_be_used_is_refused_with_its_cure() {
    let Some(mut script) = Script::new("64m") else {
        return;
    };
    script.rbuild("made", "store", "build --progress=plain -t app small");
    script.shell("chmod 755 disk/store");
    script.rbuild("mode", "store", "images");
    script.shell("chmod 700 disk/store; cp -a disk/store disk/newer; cp -a disk/store disk/damaged; cp -a disk/store disk/rows");
    script.shell("sed -i 's/\"format\": *[0-9]*/\"format\": 99/' disk/newer/store.json; echo garbage >disk/damaged/store.json");
    script.shell("find disk/newer -type f | xargs md5sum | sort >before.out");
    script.rbuild("newer", "newer", "build --progress=plain small");
    script.rbuild("newer2", "newer", "prune --all");
    script.shell("find disk/newer -type f | xargs md5sum | sort >after.out");
    script.rbuild("damaged", "damaged", "images");
    script.shell(
        "rm -f disk/rows/records.sqlite-*; yes nonsense | head -c 8192 >disk/rows/records.sqlite",
    );
    script.rbuild("rows", "rows", "images");
    script.shell("echo >disk/file; mkdir -m 700 disk/other; echo >disk/other/thing");
    script.rbuild("file", "file", "images");
    script.rbuild("other", "other", "build --progress=plain small");
    script.shell("mkdir disk/l disk/u disk/w disk/o; mount -t overlay -o lowerdir=disk/l,upperdir=disk/u,workdir=disk/w overlay disk/o");
    script.rbuild("overlay", "o/store", "images");
    script.shell("umount disk/o; mount -o remount,ro disk");
    script.rbuild("readonly", "store", "build --progress=plain small");
    script.rbuild("readonly-new", "none", "images");
    let said = script.run();

    said("made").ok();
    for (name, text, cure) in [
        ("mode", "mode 0755", "chmod 0700"),
        ("newer", "format 99", "--root"),
        ("newer2", "format 99", "--root"),
        ("damaged", "damaged", "system reset"),
        ("rows", "records.sqlite", "system reset"),
        ("file", "is not a directory", "--root"),
        ("other", "is not a store", "--root"),
        ("overlay", "overlay", "--root"),
        ("readonly", "Read-only file system", "--root"),
        ("readonly-new", "Read-only file system", "--root"),
    ] {
        let said = said(name).fails(3, text);
        assert!(said.err.contains("disk/"), "{name}: {}", said.err);
        assert!(said.err.contains(cure), "{name}: {}", said.err);
        assert_eq!(
            said.err.matches("error: ").count(),
            1,
            "{name}: {}",
            said.err
        );
    }
    let read = |name: &str| fs::read_to_string(script.place.path(name)).unwrap();
    assert_eq!(
        read("before.out"),
        read("after.out"),
        "a newer store is left alone"
    );
}

#[test]
fn a_store_of_another_user_is_refused() {
    const USER: u32 = 61_234;
    let Some(place) = Place::new() else { return };
    let store = place.path("store");
    place.rbuild(&["images"]).ok();
    if chown(&store, Some(USER), Some(USER)).is_err() {
        eprintln!("SKIPPED: only root can give a store away");
        return;
    }
    place
        .rbuild(&["images"])
        .fails(3, "another user")
        .fails(3, "--root");
    chown(&store, Some(0), Some(0)).unwrap();
    // The same store for somebody who may not even look into it.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.path(""), open).unwrap();
    let program = place.path("rbuild");
    fs::copy(binary(), &program).unwrap();
    let as_user = |root: PathBuf| {
        let output = Command::new("setpriv")
            .args([
                &format!("--reuid={USER}"),
                &format!("--regid={USER}"),
                "--clear-groups",
            ])
            .arg(&program)
            .arg("images")
            .env("RBUILD_ROOT", root)
            .env("HOME", place.path(""))
            .output()
            .unwrap();
        crate::place::said(output)
    };
    as_user(store).fails(3, "another user").fails(3, "--root");
    // A user's own store, which root then has.
    let theirs = place.path("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(USER), Some(USER)).unwrap();
    as_user(theirs.join("store")).ok();
    let root = |store: PathBuf| {
        let mut command = place.command(&["images"]);
        crate::place::said(command.env("RBUILD_ROOT", store).output().unwrap())
    };
    root(theirs.join("store")).fails(3, "another user");
    chown(theirs.join("store"), Some(0), Some(0)).unwrap();
    root(theirs.join("store"))
        .fails(3, "rootless")
        .fails(3, "--root");
}
