//! Images, URLs and repositories: from servers and directories that the tests make.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use executor::ops::OpError;
use image::blob::BlobSink;
use image::compress::{Compression, Encoder};
use image::layout::LayoutDir;
use image::manifest::media_type;
use image::tar::{self, Kind, Writer};
use image::{Descriptor, DiffId, Digest, Manifest, Platform};
use solver::Cancel;
use solver::op::{GitOp, HttpOp, ImageOp, ImageOrigin, Op};

use super::Case;
use crate::world::World;

pub const CASES: &[Case] = &[
    ("image_is_unpacked_from_a_layout", image_from_layout),
    ("image_that_lies_leaves_nothing", lying_image),
    ("http_is_fetched_once_and_asked_about", http),
    ("http_checks_and_refuses", http_refused),
    ("files_and_archives_have_times", times_of_files),
    ("git_gives_branches_tags_and_directories", git),
    ("git_refuses_what_it_should", git_refused),
];

fn layer(names: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, content) in names {
        let mut entry = tar::Entry::new(*name, Kind::File, 0o644);
        entry.size = content.len() as u64;
        writer.append(&entry, &mut content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

/// A layout of an image with these layers (one in each compression), and the op for it.
fn layout(at: &Path, layers: &[Vec<u8>]) -> ImageOp {
    let layout = LayoutDir::create(at).unwrap();
    let kinds = [
        (Compression::GZIP, media_type::OCI_LAYER_GZIP),
        (Compression::ZSTD, media_type::OCI_LAYER_ZSTD),
    ];
    let put = |media_type: &str, bytes: &[u8]| {
        layout.put(None, &mut &bytes[..]).unwrap();
        Descriptor::of(media_type, bytes)
    };
    let descriptors = layers.iter().enumerate().map(|(at, bytes)| {
        let (compression, media_type) = kinds[at % 2];
        let mut encoder = Encoder::new(Vec::new(), compression);
        encoder.write_all(bytes).unwrap();
        put(media_type, &encoder.finish().unwrap())
    });
    let descriptors: Vec<Descriptor> = descriptors.collect();
    let config = put(media_type::OCI_CONFIG, b"{}");
    let manifest = Manifest::new(media_type::OCI_MANIFEST, config, descriptors);
    let manifest = put(
        media_type::OCI_MANIFEST,
        &serde_json::to_vec(&manifest).unwrap(),
    );
    ImageOp {
        reference: "example.org/base:1".to_owned(),
        origin: ImageOrigin::Layout(at.to_owned()),
        manifest: manifest.digest,
        diff_ids: layers
            .iter()
            .map(|bytes| DiffId(Digest::of(bytes)))
            .collect(),
        platform: Platform::host(),
    }
}

fn image_from_layout() {
    let world = World::new();
    let op = layout(
        &world.dir.path().join("layout"),
        &[
            layer(&[("a", "1"), ("b", "2"), ("dir/c", "3")]),
            layer(&[("a", "new"), (".wh.b", "")]),
            layer(&[("z", &"z".repeat(3 << 20))]),
        ],
    );
    let first = world.run(Op::Image(op.clone()), &[]).unwrap();
    let lines = world.tree(&first);
    assert_eq!(lines[..2], ["a 644 0:0 = new", "dir 755 0:0 dir"]);
    assert_eq!(lines[2], "dir/c 644 0:0 = 3");
    assert_eq!(lines.len(), 4);
    // The second time nothing is read.
    std::fs::remove_dir_all(world.dir.path().join("layout")).unwrap();
    world.next_build();
    assert_eq!(world.run(Op::Image(op), &[]).unwrap(), first);
}

fn lying_image() {
    let good = layer(&[("a", "1")]);
    for case in ["diff id", "blob", "count", "missing"] {
        let world = World::new();
        let at = world.dir.path().join("layout");
        let mut op = layout(&at, &[good.clone(), layer(&[("b", "2")])]);
        let blobs = at.join("blobs/sha256");
        let manifest = std::fs::read_to_string(blobs.join(op.manifest.hex())).unwrap();
        let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
        let blob = blobs.join(manifest.layers[1].digest.hex());
        match case {
            "diff id" => op.diff_ids[1] = DiffId(Digest::of(b"other")),
            "blob" => {
                let mut bytes = std::fs::read(&blob).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                std::fs::write(&blob, bytes).unwrap();
            }
            "count" => drop(op.diff_ids.pop()),
            _ => std::fs::remove_file(&blob).unwrap(),
        }
        let last = op.diff_ids[op.diff_ids.len() - 1];
        let error = world.run(Op::Image(op), &[]).unwrap_err();
        match case {
            "diff id" | "count" => {
                assert!(
                    matches!(error, OpError::ImageLies { .. }),
                    "{case}: {error}"
                );
            }
            _ => assert!(
                matches!(error, OpError::ImageLayer { .. }),
                "{case}: {error}"
            ),
        }
        assert!(error.to_string().contains("example.org/base:1"), "{error}");
        if case != "count" {
            assert!(
                world.store.layer_by_diff_id(&last).unwrap().is_none(),
                "{case}"
            );
        }
    }
}

/// A server that gives each request to `answer` and counts them.
pub(super) struct Server {
    pub(super) address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(super) fn new(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let request = head(&mut stream);
                if request.is_empty() {
                    continue;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer(&request).as_bytes());
            }
        });
        Self { address, requests }
    }

    pub(super) fn op(&self, path: &str) -> HttpOp {
        HttpOp {
            url: format!("http://{}{path}", self.address),
            checksum: None,
            file_name: "file".to_owned(),
        }
    }
}

fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).to_ascii_lowercase()
}

fn ok(body: &str, headers: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn http() {
    let version = Arc::new(Mutex::new(("one", "1")));
    let current = Arc::clone(&version);
    let server = Server::new(move |request| {
        let (body, etag) = *current.lock().unwrap();
        if request.contains(&format!("if-none-match: \"{etag}\"")) {
            return "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_owned();
        }
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        ok(
            body,
            &format!("ETag: \"{etag}\"\r\nLast-Modified: {date}\r\n"),
        )
    });
    let world = World::new();
    let run = |op: &HttpOp| world.run(Op::Http(op.clone()), &[]).unwrap();
    let op = server.op("/f");
    let first = run(&op);
    assert_eq!(world.tree(&first), ["file 600 0:0 = one"]);
    assert_eq!(
        world.entry(&first, "file").unwrap().mtime.seconds,
        784_111_777
    );
    // Once a build.
    assert_eq!(run(&op), first);
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
    // The next build asks, and is told that nothing changed.
    world.next_build();
    assert_eq!(run(&op), first);
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
    // With the checksum of what is here, nobody is asked.
    world.next_build();
    let mut checked = op.clone();
    checked.checksum = Some(Digest::of(b"one"));
    assert_eq!(run(&checked), first);
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);

    world.next_build();
    *version.lock().unwrap() = ("two", "2");
    let second = run(&op);
    assert_eq!(world.tree(&second), ["file 600 0:0 = two"]);
    assert_ne!(first.state, second.state);
}

fn http_refused() {
    let server = Server::new(|request| {
        if request.starts_with("get /secret") {
            return if request.contains("authorization: bearer token") {
                ok("for your eyes", "")
            } else {
                "HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
            };
        }
        if request.starts_with("get /f") {
            return ok("content", "");
        }
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
    });
    let host = server.address.clone();
    let world = World::with(move |options| {
        options.secrets.insert(
            format!("HTTP_AUTH_TOKEN_{host}"),
            executor::ops::SecretSource::Value(b"token".to_vec()),
        );
    });
    let run = |op: HttpOp| world.run(Op::Http(op), &[]);
    let error = run(server.op("/none")).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    let mut wrong = server.op("/f");
    wrong.checksum = Some(Digest::of(b"other"));
    let error = run(wrong).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    let named = HttpOp {
        file_name: "../up".to_owned(),
        ..server.op("/f")
    };
    assert!(run(named).is_err());
    let plain = run(server.op("/f")).unwrap();
    assert_eq!(world.entry(&plain, "file").unwrap().mtime.seconds, 0);
    let secret = run(server.op("/secret")).unwrap();
    assert_eq!(world.tree(&secret), ["file 600 0:0 = for your eyes"]);
}

fn times_of_files() {
    let dated = |name: &str, seconds: i64, kind: tar::Kind| {
        let mut entry = tar::Entry::new(name, kind, 0o644);
        entry.mtime.seconds = seconds;
        entry
    };
    let mut archive = tar::Writer::new(Vec::new());
    for entry in [
        dated("a", 1000, tar::Kind::File),
        dated("b", 3000, tar::Kind::File),
        dated("c", 2000, tar::Kind::File),
        dated("d", 9000, tar::Kind::Dir),
    ] {
        archive.append(&entry, &mut &b""[..]).unwrap();
    }
    let archive = String::from_utf8(archive.finish().unwrap()).unwrap();
    let server = Server::new(move |request| {
        if request.contains("/said") {
            return ok(&archive, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        }
        ok(
            if request.contains("/archive") {
                &archive
            } else if request.contains("/broken") {
                &archive[..700]
            } else {
                "text"
            },
            "",
        )
    });
    let world = World::new();
    for (path, time) in [
        ("/said", Some(784_111_777)),
        ("/archive", Some(3000)),
        ("/broken", None),
        ("/text", None),
    ] {
        let op = Op::Http(server.op(path));
        let found = world.executor().modified(&op, &Cancel::default());
        assert_eq!(found.unwrap(), time, "{path}");
    }
}

/// A repository with a branch, tags and a submodule-free history; none without git.
fn repository(at: &Path) -> Option<String> {
    let script = "set -e; git init -q -b main .; mkdir -p docs/deep; echo readme > README; \
        echo guide > docs/guide; echo x > run.sh; chmod 755 run.sh; ln -s README link; \
        git add -A; git commit -q -m first; git tag v1; git checkout -q -b side; echo s > only-side; \
        git add -A; git commit -q -m side; git tag -a -m noted v2; git checkout -q main; \
        echo changed > README; git commit -qam second; git rev-parse v1";
    std::fs::create_dir_all(at).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(at);
    for name in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{name}_NAME"), "a")
            .env(format!("GIT_{name}_EMAIL"), "a@example.org")
            .env(format!("GIT_{name}_DATE"), "2020-02-02T02:02:02Z");
    }
    let output = command.output().unwrap();
    if !output.status.success() {
        eprintln!("SKIPPED: git: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(super) fn git_op(url: &str, reference: &str, subdir: &str) -> GitOp {
    GitOp {
        url: url.to_owned(),
        reference: reference.to_owned(),
        subdir: subdir.to_owned(),
        checksum: None,
        keep_git_dir: false,
        submodules: true,
        commit_mtime: false,
    }
}

fn git() {
    let world = World::new();
    let at = world.dir.path().join("repository");
    let Some(first) = repository(&at) else { return };
    let url = format!("file://{}", at.display());
    let run = |op: GitOp| world.tree(&world.run(Op::Git(op), &[]).unwrap());
    assert_eq!(
        run(git_op(&url, "", "")),
        [
            "README 644 0:0 = changed\n",
            "docs 755 0:0 dir",
            "docs/guide 644 0:0 = guide\n",
            "link 0:0 -> README",
            "run.sh 755 0:0 = x\n",
        ]
    );
    assert_eq!(run(git_op(&url, "v1", ""))[0], "README 644 0:0 = readme\n");
    assert_eq!(
        run(git_op(&url, &first, ""))[0],
        "README 644 0:0 = readme\n"
    );
    assert!(run(git_op(&url, "v2", "")).contains(&"only-side 644 0:0 = s\n".to_owned()));
    assert!(run(git_op(&url, "side", "")).contains(&"only-side 644 0:0 = s\n".to_owned()));
    assert_eq!(
        run(git_op(&url, "side", "docs")),
        ["guide 644 0:0 = guide\n"]
    );
    let mut dated = git_op(&url, "v1", "");
    dated.commit_mtime = true;
    let snapshot = world.run(Op::Git(dated), &[]).unwrap();
    assert_eq!(
        world.entry(&snapshot, "README").unwrap().mtime.seconds,
        1_580_608_922
    );
    let mut kept = git_op(&url, "v1", "");
    kept.keep_git_dir = true;
    let snapshot = world.run(Op::Git(kept), &[]).unwrap();
    assert!(world.entry(&snapshot, ".git/HEAD").is_some());
    let time = |reference: &str| {
        let op = Op::Git(git_op(&url, reference, ""));
        world.executor().modified(&op, &Cancel::default())
    };
    assert_eq!(time("v2").unwrap(), Some(1_580_608_922));
    assert_eq!(time("v2").unwrap(), Some(1_580_608_922), "remembered");
    assert!(time("none").is_err());
    // A commit that was fetched once needs no server.
    let again = git_op(&url, &first, "");
    let before = world.run(Op::Git(again.clone()), &[]).unwrap();
    std::fs::remove_dir_all(&at).unwrap();
    world.next_build();
    assert_eq!(world.run(Op::Git(again), &[]).unwrap(), before);
}

fn git_refused() {
    let world = World::new();
    let at = world.dir.path().join("repository");
    let Some(first) = repository(&at) else { return };
    let url = format!("file://{}", at.display());
    let run = |op: GitOp| world.run(Op::Git(op), &[]).unwrap_err().to_string();
    assert!(run(git_op(&url, "no-such-branch", "")).contains("no-such-branch"));
    assert!(run(git_op(&url, "--upload-pack=touch x", "")).contains("no reference"));
    assert!(run(git_op("--upload-pack=x", "", "")).contains("no address"));
    assert!(run(git_op("ext::sh -c true", "", "")).contains("no address"));
    for subdir in ["none", "README", "link", "..", "docs/../.."] {
        assert!(
            run(git_op(&url, "v1", subdir)).contains("no directory"),
            "{subdir}"
        );
    }
    let mut wrong = git_op(&url, "v1", "");
    wrong.checksum = Some("0123456789".to_owned());
    let message = run(wrong);
    assert!(
        message.contains("expected checksum to match 0123456789"),
        "{message}"
    );
    let mut right = git_op(&url, "v1", "");
    right.checksum = Some(first[..12].to_owned());
    world.run(Op::Git(right), &[]).unwrap();
}
