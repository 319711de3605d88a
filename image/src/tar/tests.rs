//! The codec against itself, against the `tar` crate, and against GNU tar where there is one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Command;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn read_all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.body().read_to_end(&mut content)?;
        entries.push((entry, content));
    }
    Ok(entries)
}

fn write_all(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.append(entry, &mut content.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn file(path: &str, content: &[u8]) -> (Entry, Vec<u8>) {
    let entry = Entry {
        size: content.len() as u64,
        ..Entry::new(path, Kind::File, 0o644)
    };
    (entry, content.to_vec())
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z.]{1,20}(/[a-z]{1,60}){0,6}".prop_map(String::into_bytes),
        "[é-ü]{1,80}".prop_map(String::into_bytes),
        vec(1..=255_u8, 1..30).prop_map(|bytes| {
            let mut bytes: Vec<u8> = bytes.into_iter().filter(|b| *b != b'/').collect();
            bytes.push(b'x');
            bytes
        }),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::File),
        1 => path().prop_map(|target| Kind::HardLink { target }),
        1 => path().prop_map(|target| Kind::Symlink { target }),
        1 => Just(Kind::Dir),
        1 => Just(Kind::Fifo),
        1 => (0..4096_u32, 0..1_048_576_u32).prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => (0..4096_u32, 0..1_048_576_u32).prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
    ]
}

prop_compose! {
    fn entry()(
        path in path(),
        kind in kind(),
        mode in 0..=0o7777_u32,
        uid in prop_oneof![0..70_000_u32, any::<u32>()],
        gid in prop_oneof![0..70_000_u32, any::<u32>()],
        seconds in prop_oneof![0..2_000_000_000_i64, -5_000_000_000..90_000_000_000_i64],
        nanos in prop_oneof![Just(0), 0..1_000_000_000_u32],
        xattrs in btree_map("(user|security)\\.[a-z]{1,10}".prop_map(String::into_bytes), vec(any::<u8>(), 0..40), 0..3),
        content in vec(any::<u8>(), 0..1500),
    ) -> (Entry, Vec<u8>) {
        let content = if kind == Kind::File { content } else { Vec::new() };
        let size = content.len() as u64;
        (Entry { path, kind, mode, uid, gid, mtime: Time { seconds, nanos }, xattrs, size }, content)
    }
}

proptest! {
    #[test]
    fn entries_read_what_they_write(entries in vec(entry(), 0..6)) {
        let bytes = write_all(&entries);
        prop_assert_eq!(read_all(&bytes).unwrap(), entries);
    }

    #[test]
    fn the_tar_crate_reads_what_is_written(mut entries in vec(entry(), 0..6)) {
        // It takes a line break inside a value for the end of its record.
        for (entry, _) in &mut entries {
            entry.xattrs.clear();
        }
        let bytes = write_all(&entries);
        let mut archive = ::tar::Archive::new(bytes.as_slice());
        let mut seen = 0;
        for (theirs, (ours, content)) in archive.entries().unwrap().zip(&entries) {
            let mut theirs = theirs.unwrap();
            let mut path = theirs.path_bytes().into_owned();
            if ours.kind == Kind::Dir {
                prop_assert_eq!(path.pop(), Some(b'/'));
            }
            prop_assert_eq!(&path, &ours.path);
            prop_assert_eq!(theirs.header().mode().unwrap(), ours.mode);
            prop_assert_eq!(theirs.size(), ours.size);
            if let Kind::HardLink { target } | Kind::Symlink { target } = &ours.kind {
                prop_assert_eq!(&*theirs.link_name_bytes().unwrap(), target);
            }
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).unwrap();
            prop_assert_eq!(&read, content);
            seen += 1;
        }
        prop_assert_eq!(seen, entries.len());
    }

    #[test]
    fn what_the_tar_crate_writes_is_read(path in "[a-z]{1,90}(/[a-z]{1,90}){0,3}", content in vec(any::<u8>(), 0..1500), uid in any::<u32>()) {
        let mut builder = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_gnu();
        header.set_mode(0o4755);
        header.set_uid(u64::from(uid));
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, &path, content.as_slice()).unwrap();
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "link", &path).unwrap();
        let read = read_all(&builder.into_inner().unwrap()).unwrap();
        prop_assert_eq!(&read[0].0.path, path.as_bytes());
        prop_assert_eq!((read[0].0.mode, read[0].0.uid), (0o4755, uid));
        prop_assert_eq!(&read[0].1, &content);
        prop_assert_eq!(&read[1].0.kind, &Kind::Symlink { target: path.into_bytes() });
    }

    #[test]
    fn damaged_archives_are_answered(
        entries in vec(entry(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = write_all(&entries);
        for (at, value, reseal) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
            if reseal {
                let block = at / BLOCK * BLOCK;
                let mut header = header::Header::new();
                header.0.copy_from_slice(&bytes[block..block + BLOCK]);
                let flag = header.flag();
                header.seal(flag);
                bytes[block..block + BLOCK].copy_from_slice(&header.0);
            }
        }
        let _ = read_all(&bytes);
        let _ = read_all(&bytes[..cut.index(bytes.len())]);
    }
}

/// A sealed header of type `flag` and its body.
fn raw(flag: u8, name: &str, body: &[u8]) -> Vec<u8> {
    let mut header = header::Header::new();
    header.set_text(header::NAME, name.as_bytes());
    header.set_octal(header::MODE, 0o644);
    header.set_octal(header::SIZE, body.len() as u64);
    header.seal(flag);
    let mut bytes = header.0.to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len() + padding(body.len() as u64) as usize, 0);
    bytes
}

fn records(pairs: &[(&str, &str)]) -> Vec<u8> {
    pax::write(
        &pairs
            .iter()
            .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect::<BTreeMap<_, _>>(),
    )
}

#[test]
fn a_size_in_an_extended_header_is_the_entrys_not_the_next_headers() {
    // A long name stands between: a reader that applied the size to it would take the file's
    // content for headers, and see other files than Go does.
    let hidden = raw(b'0', "hidden", b"");
    let mut bytes = raw(b'x', "pax", &records(&[("size", "1024")]));
    bytes.extend(raw(b'L', "././@LongLink", b"long-name\0"));
    let mut inner = header::Header::new();
    inner.set_text(header::NAME, b"short");
    inner.set_octal(header::SIZE, 0);
    inner.seal(b'0');
    bytes.extend(inner.0);
    bytes.extend(&hidden);
    bytes.extend([0; BLOCK]);
    bytes.extend(raw(b'0', "after", b""));
    let paths: Vec<_> = read_all(&bytes)
        .unwrap()
        .into_iter()
        .map(|(e, _)| (e.path, e.size))
        .collect();
    assert_eq!(
        paths,
        [(b"long-name".to_vec(), 1024), (b"after".to_vec(), 0)]
    );
}

#[test]
fn global_headers_are_passed_over_and_the_last_local_one_counts() {
    let mut bytes = raw(
        b'g',
        "pax_global_header",
        &records(&[("comment", "c0ffee"), ("uid", "7")]),
    );
    bytes.extend(raw(b'x', "pax", &records(&[("uid", "8"), ("gid", "9")])));
    bytes.extend(raw(b'x', "pax", &records(&[("uid", "10")])));
    bytes.extend(raw(b'0', "a", b"x"));
    let (entry, content) = read_all(&bytes).unwrap().remove(0);
    assert_eq!((entry.uid, entry.gid, content), (10, 0, b"x".to_vec()));
}

#[test]
fn a_sparse_name_counts_for_sparse_files_only() {
    let named = |more: &[(&str, &str)]| {
        let mut pairs = vec![("GNU.sparse.name", "other"), ("path", "path")];
        pairs.extend(more);
        let name = raw(b'L', "././@LongLink", b"long\0");
        let file = raw(b'0', "short", b"hi");
        read_all(&[raw(b'x', "pax", &records(&pairs)), name, file].concat())
    };
    assert_eq!(named(&[]).unwrap()[0].0.path, b"long");
    let sparse = [("GNU.sparse.map", "1,2"), ("GNU.sparse.size", "4")];
    let read = named(&sparse).unwrap();
    assert_eq!(
        (&read[0].0.path[..], &read[0].1[..]),
        (&b"other"[..], &b"\0hi\0"[..])
    );
    let unknown = [("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")];
    assert!(matches!(named(&unknown), Err(TarError::Sparse { .. })));
    let pax = raw(b'x', "pax", &records(&sparse));
    assert!(matches!(
        read_all(&[pax, raw(b'5', "dir/", b"")].concat()),
        Err(TarError::Sparse { .. })
    ));
}

#[test]
fn bombs_and_nonsense_are_refused() {
    let mut huge = header::Header::new();
    huge.set_text(header::NAME, b"x");
    huge.set_octal(header::SIZE, 2 << 20);
    huge.seal(b'x');
    assert!(matches!(
        read_all(&huge.0),
        Err(TarError::TooLarge {
            limit: EXTENSION_LIMIT,
            ..
        })
    ));
    let long = raw(b'L', "././@LongLink", &vec![b'a'; PATH_LIMIT + 1]);
    let long = [long, raw(b'0', "a", b"")].concat();
    assert!(matches!(read_all(&long), Err(TarError::TooLarge { .. })));
    assert!(matches!(
        read_all(&raw(b'M', "volume", b"")),
        Err(TarError::Kind { flag: 'M', .. })
    ));
    assert!(matches!(
        read_all(&[b'x'; 1024]),
        Err(TarError::Header { offset: 0 })
    ));
    let cut = raw(b'0', "a", &[1; 600]);
    assert!(matches!(
        read_all(&cut[..1000]).map_err(std::io::Error::from),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof
    ));
    let negative = [
        raw(b'x', "pax", &records(&[("uid", "-1")])),
        raw(b'0', "a", b""),
    ];
    assert!(matches!(
        read_all(&negative.concat()),
        Err(TarError::Pax { .. })
    ));
}

#[test]
fn a_body_of_another_length_is_no_entry() {
    let (entry, _) = file("a", b"four");
    for body in [&b"fou"[..], b"fours"] {
        let mut writer = Writer::new(Vec::new());
        let error = writer.append(&entry, &mut &*body).unwrap_err();
        assert!(matches!(error, TarError::Body { size: 4, .. }));
    }
}

#[test]
fn headers_hold_nothing_of_the_machine() {
    let bytes = write_all(&[file("etc/app.conf", b"x")]);
    assert_eq!(bytes.len(), 4 * BLOCK);
    let expected = [
        (0, &b"etc/app.conf\0"[..]),
        (
            100,
            b"0000644\x000000000\x000000000\x0000000000001\x0000000000000\0",
        ),
        (156, b"0"),
        (257, b"ustar\x0000"),
    ];
    let mut rest = bytes[..BLOCK].to_vec();
    for (at, text) in expected {
        assert_eq!(&bytes[at..at + text.len()], text);
        rest[at..at + text.len()].fill(0);
    }
    rest[148..156].fill(0);
    assert_eq!(rest, [0; BLOCK]);
}

#[test]
fn a_file_that_is_all_hole_costs_nothing() {
    let map = "GNU.sparse.map";
    let size = (1_u64 << 60).to_string();
    let pax = records(&[
        ("GNU.sparse.major", "0"),
        ("GNU.sparse.minor", "1"),
        ("GNU.sparse.name", "hole"),
        ("GNU.sparse.size", &size),
        (map, "4,2"),
    ]);
    let bytes = [
        raw(b'x', "pax", &pax),
        raw(b'0', "GNUSparseFile.0/hole", b"hi"),
    ]
    .concat();
    let mut reader = Reader::new(bytes.as_slice());
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!((entry.path.as_slice(), entry.size), (&b"hole"[..], 1 << 60));
    let mut body = reader.body();
    assert_eq!(body.skip_hole(), 4);
    let mut buffer = [0; 16];
    assert_eq!(body.read(&mut buffer).unwrap(), 2);
    assert_eq!(&buffer[..2], b"hi");
    assert_eq!(body.skip_hole(), (1 << 60) - 6);
    assert_eq!(body.read(&mut buffer).unwrap(), 0);
    assert!(reader.next_entry().unwrap().is_none());
}

/// Runs GNU tar, or says why the test is none.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn gnu_tar(arguments: &[&str]) -> Option<()> {
    let output = Command::new("tar").args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Some(()),
        other => {
            eprintln!("SKIPPED: no GNU tar that runs {arguments:?}: {other:?}");
            None
        }
    }
}

#[test]
fn sparse_files_of_gnu_tar_are_read_in_all_formats() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let sparse = std::fs::File::create(at("sparse")).unwrap();
    let mut expected = vec![0; 4 << 20];
    for n in 0..40 {
        let offset = n * 100_000;
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"content", offset as u64).unwrap();
        expected[offset..offset + 7].copy_from_slice(b"content");
    }
    sparse.set_len(4 << 20).unwrap();
    std::fs::write(at("after"), "after").unwrap();
    for format in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let archive = at("archive.tar");
        let mut arguments = vec!["-cS", "-f", &archive, "-C", dir.path().to_str().unwrap()];
        arguments.extend(format);
        arguments.extend(["sparse", "after"]);
        if gnu_tar(&arguments).is_none() {
            return;
        }
        let bytes = std::fs::read(&archive).unwrap();
        assert!(bytes.len() < 2 << 20, "{format:?} stored the holes");
        let read = read_all(&bytes).unwrap();
        assert_eq!(read[0].0.path, b"sparse", "{format:?}");
        assert!(read[0].1 == expected, "{format:?}");
        assert_eq!(read[1].1, b"after", "{format:?}");
    }
}

#[test]
fn gnu_tar_unpacks_what_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(180));
    let mut link = Entry::new(
        "link",
        Kind::Symlink {
            target: b"x".repeat(300),
        },
        0o777,
    );
    link.mtime.nanos = 5;
    let entries = [
        (Entry::new("d".repeat(120), Kind::Dir, 0o755), Vec::new()),
        file(&long, b"long"),
        file("é\u{fffd}", b"wide"),
        (link, Vec::new()),
        (
            Entry::new(
                "hard",
                Kind::HardLink {
                    target: long.clone().into_bytes(),
                },
                0o644,
            ),
            Vec::new(),
        ),
    ];
    let archive = dir.path().join("a.tar");
    std::fs::File::create(&archive)
        .unwrap()
        .write_all(&write_all(&entries))
        .unwrap();
    let (archive, out) = (archive.to_str().unwrap(), dir.path().to_str().unwrap());
    if gnu_tar(&["-xof", archive, "-C", out]).is_none() {
        return;
    }
    assert_eq!(std::fs::read(dir.path().join(&long)).unwrap(), b"long");
    assert_eq!(std::fs::read(dir.path().join("hard")).unwrap(), b"long");
    assert_eq!(
        std::fs::read(dir.path().join("é\u{fffd}")).unwrap(),
        b"wide"
    );
    let target = std::fs::read_link(dir.path().join("link")).unwrap();
    assert_eq!(target.as_os_str().len(), 300);
}

#[test]
fn a_link_may_lead_to_the_root() {
    let target = b"/".to_vec();
    let link = Entry::new("link", Kind::Symlink { target }, 0o777);
    let read = read_all(&write_all(&[(link.clone(), Vec::new())])).unwrap();
    assert_eq!(read[0].0.kind, link.kind);
}
