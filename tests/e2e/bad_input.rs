//! Input that is wrong or hostile: one error that names the place, a documented exit code, within
//! seconds, nothing half-written and nothing left running or mounted.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{PATIENCE, Place, Said, said};
use crate::still;

/// Runs a build that must end by itself.
fn build(place: &Place) -> Said {
    let project = place.project();
    let mut child = place
        .command(&["build", "--progress=plain", project.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs: {:?}", said(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    said(child.wait_with_output().unwrap())
}

/// Fails unless a build is refused with `code` and one error that holds `text`, and leaves nothing.
#[track_caller]
fn refused(place: &Place, what: &str, code: i32, text: &str) {
    let before = still::files(place);
    let said = build(place);
    assert_eq!(said.code, code, "{what}: {}", said.err);
    assert!(
        said.err.contains(text),
        "{what}: `{text}` is not in {}",
        said.err
    );
    let errors = said
        .err
        .lines()
        .filter(|line| line.starts_with("error"))
        .count();
    assert_eq!(errors, 1, "{what}: {}", said.err);
    assert_eq!(still::files(place), before, "{what}");
    still::nothing_runs(place);
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_no_dockerfile_is_refused() {
    let Some(place) = Place::new() else { return };
    let file = place.project().join("Dockerfile");
    let large = vec![b'x'; 100 << 20];
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let contents: [(&str, &[u8], &str); 4] = [
        ("empty", b"", "empty"),
        ("binary", &binary, "binary"),
        ("not UTF-8", b"FROM scratch\nCOPY \xff /\n", "Dockerfile"),
        ("100 MB", &large, "limit"),
    ];
    fs::create_dir(place.project()).unwrap();
    for (what, content, text) in contents {
        fs::write(&file, content).unwrap();
        refused(&place, what, 2, text);
    }
    fs::remove_file(&file).unwrap();
    refused(&place, "missing", 2, "Dockerfile");
    fs::create_dir(&file).unwrap();
    refused(&place, "a directory", 2, "directory");
    fs::remove_dir(&file).unwrap();
    fifo(&file);
    refused(&place, "a pipe that nobody writes to", 2, "empty");
    fs::remove_file(&file).unwrap();
    symlink("Dockerfile", &file).unwrap();
    refused(&place, "a link to itself", 2, "symbolic links");
    fs::remove_file(&file).unwrap();
    place.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    fifo(&place.project().join(".dockerignore"));
    let said = build(&place).ok();
    assert!(said.err.contains("1 ran"), "{}", said.err);
}

#[test]
fn a_file_full_of_errors_shows_many_of_them_and_ends() {
    let Some(place) = Place::new() else { return };
    place.write(
        "Dockerfile",
        &format!("FROM scratch\n{}", "RUNN x\n".repeat(100_000)),
    );
    let said = build(&place).fails(2, "too many errors");
    assert!(said.err.contains("Dockerfile:2:1") && said.err.contains("Dockerfile:101:1"));
    assert!(said.err.lines().count() < 2000);
}

#[test]
fn a_dockerfile_comes_through_a_pipe() {
    let Some(place) = Place::new() else { return };
    place.write("a", "a");
    let pipe = place.path("pipe");
    fifo(&pipe);
    let project = place.project();
    let child = place
        .command(&[
            "build",
            "--progress=plain",
            "-f",
            "/proc/self/fd/0",
            project.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    // It comes late, and in two pieces.
    let mut pipe = child.stdin.take().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    pipe.write_all(b"FROM scratch\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    pipe.write_all(b"COPY a /\n").unwrap();
    drop(pipe);
    let said = said(child.wait_with_output().unwrap()).ok();
    assert_eq!(said.ran().len(), 1, "{}", said.err);
}

#[test]
fn what_a_context_may_hold_never_hangs() {
    let Some(place) = Place::new() else { return };
    let project = place.project();
    place.write("Dockerfile", "FROM scratch\nCOPY . /all/\n");
    fifo(&project.join("pipe"));
    let _listener = std::os::unix::net::UnixListener::bind(project.join("socket")).unwrap();
    symlink("two", project.join("one")).unwrap();
    symlink("one", project.join("two")).unwrap();
    symlink("/etc/passwd", project.join("out")).unwrap();
    symlink(".", project.join("self")).unwrap();
    fs::write(project.join(std::ffi::OsStr::from_bytes(b"n\xff\xfe")), "x").unwrap();
    build(&place).ok();
    still::nothing_runs(&place);
    for (dockerfile, text) in [
        ("FROM scratch\nCOPY one /\n", "symbolic links"),
        ("FROM scratch\nCOPY one/x /\n", "symbolic links"),
        ("FROM scratch\nCOPY out /\n", "not found"),
        ("FROM scratch\nCOPY out/x /\n", "not found"),
        ("FROM scratch\nCOPY ../../etc/passwd /\n", "not found"),
        ("FROM scratch\nCOPY self/self/self/missing /\n", "not found"),
    ] {
        place.write("Dockerfile", dockerfile);
        refused(&place, dockerfile, 2, text);
    }
}

#[test]
fn a_file_that_its_owner_shut_is_read_all_the_same() {
    let Some(place) = Place::new() else { return };
    place.write("Dockerfile", "FROM scratch\nCOPY . /\n");
    place.write("hidden", "x");
    let hidden = place.project().join("hidden");
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may, and an ordinary user is root among what is his in the user namespace.
    place.build_again(&[]).ok();
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("a", "a");
    for (dockerfile, code, text) in [
        ("FROM base:1\nCOPY --from=9 / /\n", 2, "9"),
        (
            "FROM base:1 AS a\nCOPY --from=b /x /\nFROM a AS b\nRUN true\n",
            2,
            "",
        ),
        ("FROM base:1 AS a\nCOPY --from=a /x /\n", 2, ""),
        (
            "FROM base:1\nUSER nobody-here\nRUN true\n",
            1,
            "nobody-here",
        ),
        (
            "FROM scratch\nCOPY --chown=nobody-here a /\n",
            2,
            "nobody-here",
        ),
        (
            "FROM base:1\nRUN --mount=type=secret,id=s,required true\n",
            2,
            "secret s",
        ),
        ("FROM 127.0.0.1:1/nothing\n", 3, "127.0.0.1:1"),
    ] {
        place.write("Dockerfile", dockerfile);
        refused(&place, dockerfile, code, text);
    }
}

/// Name, kind, and what it links to or holds.
type Member<'a> = (&'a str, u8, &'a str);

/// Writes a tar with one member after the other.
fn tar(path: &Path, members: &[Member<'_>]) {
    let mut bytes = Vec::new();
    for (name, kind, text) in members {
        let mut header = [0u8; 512];
        let mut put = |at: usize, text: &str| {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        let size = if *kind == b'0' { text.len() } else { 0 };
        put(0, name);
        put(100, "0000644\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{size:011o}\0"));
        put(136, "00000000000\0");
        put(148, "        ");
        put(156, &char::from(*kind).to_string());
        if *kind != b'0' {
            put(157, text);
        }
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        if size > 0 {
            bytes.extend(text.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.extend([0; 1024]);
    fs::write(path, bytes).unwrap();
}

#[test]
fn archives_stay_below_their_destination() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let outside = place.directory("outside");
    let out = outside.to_str().unwrap();
    let up = format!("../../../../../../../../../..{out}");
    let cases: &[(&str, &[Member<'_>])] = &[
        ("absolute", &[("/abs", b'0', "x")]),
        ("dots", &[(&format!("{up}/dots"), b'0', "x")]),
        ("link", &[("out", b'2', out), ("out/link", b'0', "x")]),
        (
            "dotted link",
            &[("out", b'2', &up), ("out/link", b'0', "x")],
        ),
        (
            "link in a link",
            &[("a", b'2', "/"), ("a/b", b'2', out), ("b/c", b'0', "x")],
        ),
    ];
    place.write("Dockerfile", "FROM scratch\nADD a.tar /x/\n");
    for (what, members) in cases {
        tar(&place.project().join("a.tar"), members);
        let dest = place.path("dest");
        let _ = fs::remove_dir_all(&dest);
        let output = format!("type=local,dest={}", dest.display());
        let said = place.build_again(&["-o", &output]);
        assert!(matches!(said.code, 0 | 2), "{what}: {}", said.err);
        assert_eq!(
            fs::read_dir(&outside).unwrap().count(),
            0,
            "{what} went out"
        );
        if said.code == 0 {
            let top: Vec<_> = fs::read_dir(&dest)
                .unwrap()
                .flatten()
                .map(|e| e.file_name())
                .collect();
            assert_eq!(top, ["x"], "{what}");
        }
    }
    for (what, members) in [
        ("hard link out", [("h", b'1', "/etc/passwd")]),
        (
            "dotted hard link",
            [("h", b'1', "../../../../../../etc/passwd")],
        ),
    ] {
        tar(&place.project().join("a.tar"), &members);
        refused(&place, what, 2, "a.tar");
    }
    // What begins like an archive and is none to its end.
    let whole = fs::read(place.project().join("a.tar")).unwrap();
    fs::write(place.project().join("a.tar"), &whole[..700]).unwrap();
    let said = build(&place);
    assert!(matches!(said.code, 0 | 2), "{}", said.err);
}

#[test]
fn a_bomb_is_refused() {
    let Some(place) = Place::new() else { return };
    place.write("Dockerfile", "FROM scratch\nADD bomb.tar.gz /\n");
    // A member of a thousand gigabytes, of which the first fifty megabytes are there.
    let mut header = [0u8; 512];
    header[..3].copy_from_slice(b"big");
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(b"17777777777\0");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let file = fs::File::create(place.project().join("bomb.tar.gz")).unwrap();
    let mut gzip = Command::new("gzip")
        .arg("-1")
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .unwrap();
    let mut into = gzip.stdin.take().unwrap();
    into.write_all(&header).unwrap();
    for _ in 0..50 {
        into.write_all(&vec![0; 1 << 20]).unwrap();
    }
    drop(into);
    assert!(gzip.wait().unwrap().success());
    refused(&place, "a bomb", 2, "bomb.tar.gz");
}
