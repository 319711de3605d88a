//! A registry for tests, on a loopback port: it keeps what it is sent, and lies when told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use image::Digest;

/// Changes the body of an answer for a path.
type Lie = Box<dyn Fn(&str, &mut Vec<u8>) + Send>;

/// A registry; it listens for as long as the test runs.
pub struct Registry {
    /// `127.0.0.1:PORT`
    pub address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Manifests and blobs, by path.
    kept: HashMap<String, Kept>,
    lie: Option<Lie>,
    uploads: usize,
}

#[derive(Clone)]
struct Kept {
    media_type: String,
    bytes: Vec<u8>,
}

struct Asked {
    method: String,
    path: String,
    query: String,
    media_type: String,
    body: Vec<u8>,
}

impl Registry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that breaks off is the test's business.
                thread::spawn(move || attend(&stream, &shared));
            }
        });
        Self { address, state }
    }

    /// A name of an image in it.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// How many blobs it was sent.
    pub fn uploads(&self) -> usize {
        self.state.lock().unwrap().uploads
    }

    /// From now on answers are changed.
    pub fn lie(&self, lie: impl Fn(&str, &mut Vec<u8>) + Send + 'static) {
        self.state.lock().unwrap().lie = Some(Box::new(lie));
    }

    /// Puts a manifest there, and the blobs that it names.
    pub fn put(&self, name: &str, manifest: &[u8], blobs: &[&[u8]]) {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let mut state = self.state.lock().unwrap();
        let mut keep = |kind: &str, name: &str, media_type: &str, bytes: &[u8]| {
            let kept = Kept {
                media_type: media_type.to_owned(),
                bytes: bytes.to_vec(),
            };
            state
                .kept
                .insert(format!("/v2/{repository}/{kind}/{name}"), kept);
        };
        let oci = image::manifest::media_type::OCI_MANIFEST;
        keep("manifests", tag, oci, manifest);
        keep(
            "manifests",
            &Digest::of(manifest).to_string(),
            oci,
            manifest,
        );
        for blob in blobs {
            keep(
                "blobs",
                &Digest::of(blob).to_string(),
                "application/octet-stream",
                blob,
            );
        }
    }
}

fn attend(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader, stream) {
        answer(stream, &asked, state)?;
    }
    Some(())
}

fn read(reader: &mut BufReader<&TcpStream>, mut stream: &TcpStream) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let method = words.next()?.to_owned();
    let target = words.next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (mut length, mut media_type) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "content-type" => value.trim().clone_into(&mut media_type),
            "expect" => stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        media_type,
        body,
    })
}

/// Takes a blob from another repository, if that is asked for and it is there.
fn mounts(state: &mut State, asked: &Asked) -> bool {
    let parameter = |name: &str| {
        let mut pairs = asked
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let (Some(digest), Some(from)) = (parameter("mount"), parameter("from")) else {
        return false;
    };
    let Some(kept) = state
        .kept
        .get(&format!("/v2/{from}/blobs/{digest}"))
        .cloned()
    else {
        return false;
    };
    let to = asked.path.trim_end_matches("uploads/");
    state.kept.insert(format!("{to}{digest}"), kept);
    true
}

fn answer(mut stream: &TcpStream, asked: &Asked, state: &Mutex<State>) -> Option<()> {
    let mut state = state.lock().unwrap();
    let mut headers = String::new();
    let mut body = Vec::new();
    let status = match (asked.method.as_str(), asked.path.as_str()) {
        (_, "/v2/") => 200,
        ("POST", path) if path.ends_with("/blobs/uploads/") && mounts(&mut state, asked) => 201,
        ("POST", path) if path.ends_with("/blobs/uploads/") => {
            headers = format!("Location: {path}1\r\n");
            202
        }
        ("PUT", path) => {
            let digest = Digest::of(&asked.body);
            let kept = Kept {
                media_type: asked.media_type.clone(),
                bytes: asked.body.clone(),
            };
            if let Some((repository, _)) = path.split_once("/blobs/uploads/") {
                state.uploads += 1;
                assert_eq!(asked.query, format!("digest={digest}"));
                state
                    .kept
                    .insert(format!("{repository}/blobs/{digest}"), kept);
            } else if let Some((repository, _)) = path.split_once("/manifests/") {
                state.kept.insert(path.to_owned(), kept.clone());
                state
                    .kept
                    .insert(format!("{repository}/manifests/{digest}"), kept);
            }
            headers = format!("Docker-Content-Digest: {digest}\r\n");
            201
        }
        ("GET" | "HEAD", path) => match state.kept.get(path) {
            Some(kept) => {
                headers = format!("Content-Type: {}\r\n", kept.media_type);
                body.clone_from(&kept.bytes);
                if let Some(lie) = &state.lie {
                    lie(path, &mut body);
                }
                200
            }
            None => 404,
        },
        _ => 405,
    };
    drop(state);
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    if asked.method != "HEAD" {
        stream.write_all(&body).ok()?;
    }
    Some(())
}
