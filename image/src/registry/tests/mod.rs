//! Pulling and pushing, from and to registries good and bad.

mod reference;

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::blob::BlobError;
use crate::blob::tests::Memory;
use crate::http::server::{Asked, Reply, Server};
use crate::http::tests::QUICK;
use crate::manifest::{Descriptor, Document, Manifest, media_type};

struct Fixed(Credential);

impl Credentials for Fixed {
    fn find(&self, _: &str) -> Result<Option<Credential>, CredentialError> {
        Ok(Some(self.0.clone()))
    }
}

fn options() -> Options {
    Options {
        retry: QUICK,
        ..Options::default()
    }
}

fn client() -> Arc<Client> {
    Arc::new(Client::new(options(), NoCredentials))
}

fn login(user: &str, password: &str) -> Arc<Client> {
    let credential = Credential::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    Arc::new(Client::new(options(), Fixed(credential)))
}

fn image(server: &Server, rest: &str) -> ImageRef {
    format!("{}/{rest}", server.address).parse().unwrap()
}

fn layer() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn layer_descriptor() -> Descriptor {
    Descriptor::of(media_type::OCI_LAYER, &layer())
}

fn manifest() -> Vec<u8> {
    let config = Descriptor::of(media_type::OCI_CONFIG, b"{}");
    let manifest = Manifest::new(media_type::OCI_MANIFEST, config, vec![layer_descriptor()]);
    serde_json::to_vec(&manifest).unwrap()
}

fn manifest_reply() -> Reply {
    Reply::new(200, manifest())
        .header("Content-Type", media_type::OCI_MANIFEST)
        .header(
            "Docker-Content-Digest",
            crate::Digest::of(&manifest()).to_string(),
        )
}

fn read(mut reader: BlobReader) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn blob_path() -> String {
    format!("/v2/app/blobs/{}", layer_descriptor().digest)
}

/// The part of the layer that was asked for.
fn ranged(asked: &Asked) -> Reply {
    let Some(range) = asked.header("range") else {
        return Reply::new(200, layer());
    };
    let start: usize = range["bytes=".len()..range.len() - 1].parse().unwrap();
    let size = layer().len();
    Reply::new(206, &layer()[start..]).header(
        "Content-Range",
        format!("bytes {start}-{}/{size}", size - 1),
    )
}

#[test]
fn an_image_is_pulled() {
    let server = Server::start(|asked, _| match asked.path.as_str() {
        "/v2/app/manifests/1" => manifest_reply(),
        path if path == blob_path() => ranged(asked),
        "/v2/app/tags/list" => Reply::new(200, r#"{"name":"app","tags":["1","2"]}"#)
            .header("Link", "</v2/app/tags/list?last=2>; rel=\"next\""),
        "/v2/app/tags/list?last=2" => Reply::new(200, r#"{"name":"app","tags":["3"]}"#),
        _ => Reply::new(404, "{}"),
    });
    let (client, app) = (client(), image(&server, "app:1"));
    let resolved = client.resolve(&app).unwrap();
    assert_eq!(server.asked(), ["HEAD /v2/app/manifests/1"]);
    let fetched = client.manifest(&app).unwrap();
    assert_eq!(fetched.descriptor, resolved);
    assert_eq!(fetched.bytes, manifest());
    assert!(matches!(fetched.document, Document::Manifest(_)));
    let accept = server.last("/v2/app/manifests/1");
    let accept = accept.header("accept").unwrap();
    assert!(
        media_type::MANIFESTS_AND_INDEXES
            .iter()
            .all(|t| accept.contains(t))
    );
    let blob = client.blob(&app, &layer_descriptor()).unwrap();
    assert!(read(blob).unwrap() == layer());
    assert_eq!(client.tags(&app).unwrap(), ["1", "2", "3"]);
    let absent = client.manifest(&image(&server, "app:9")).unwrap_err();
    assert!(
        absent.to_string().ends_with("/app:9: not found"),
        "{absent}"
    );
}

#[test]
fn bytes_that_are_not_what_was_asked_for_are_refused() {
    let server = Server::start(|asked, _| match asked.path.as_str() {
        "/v2/app/manifests/lies" => manifest_reply().header("docker-content-digest", "ignored"),
        path if path.starts_with("/v2/app/manifests/sha256:") => manifest_reply(),
        "/v2/app/manifests/other" => Reply::new(200, manifest()).header(
            "Docker-Content-Digest",
            crate::Digest::of(b"other").to_string(),
        ),
        "/v2/app/manifests/html" => Reply::new(200, "<html>"),
        "/v2/app/manifests/endless" => Reply::new(200, vec![b' '; 1 << 20]).endless(),
        path if path == blob_path() => {
            let mut bytes = layer();
            bytes[7] ^= 1;
            Reply::new(200, bytes)
        }
        path if path.starts_with("/v2/endless/blobs") => Reply::new(200, layer()).endless(),
        path if path.starts_with("/v2/short/blobs") => Reply::new(200, &layer()[..99]),
        _ => Reply::new(404, ""),
    });
    let client = client();
    let pinned = image(&server, "app").at_digest(crate::Digest::of(b"wanted"));
    for image in [pinned, image(&server, "app:other")] {
        assert!(matches!(
            client.manifest(&image),
            Err(RegistryError::Blob(BlobError::Digest { .. }))
        ));
    }
    for tag in ["html", "endless"] {
        let error = client.manifest(&image(&server, &format!("app:{tag}")));
        assert!(
            matches!(error, Err(RegistryError::Document { .. })),
            "{tag}"
        );
    }
    for (repository, expected) in [("app", "is corrupt"), ("endless", "and has more")] {
        let blob = client.blob(&image(&server, repository), &layer_descriptor());
        let error = read(blob.unwrap()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.downcast::<BlobError>().is_ok());
    }
    let short = client.blob(&image(&server, "short"), &layer_descriptor());
    assert!(read(short.unwrap()).is_err());
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    for knows_ranges in [true, false] {
        let server = Server::start(move |asked, before| {
            let whole = if knows_ranges {
                ranged(asked)
            } else {
                Reply::new(200, layer())
            };
            match before {
                0 => whole.cut(300_000),
                1 => Reply::new(503, ""),
                2 => whole.cut(400_000),
                _ => whole,
            }
        });
        let app = image(&server, "app");
        let blob = client().blob(&app, &layer_descriptor()).unwrap();
        assert!(read(blob).unwrap() == layer());
        let asked = server.last(&blob_path());
        assert!(asked.header("range").is_some());
        assert_eq!(server.asked().len(), 4);
    }
    let server = Server::start(|asked, _| ranged(asked).cut(10));
    let blob = client().blob(&image(&server, "app"), &layer_descriptor());
    assert!(read(blob.unwrap()).is_err());
    assert_eq!(server.asked().len(), QUICK.attempts as usize);
}

#[test]
fn busy_registries_are_asked_again_and_broken_ones_quoted() {
    let server = Server::start(|asked, before| match (asked.path.as_str(), before) {
        ("/v2/app/manifests/1", 0) => Reply::new(429, "").header("Retry-After", "0"),
        ("/v2/app/manifests/1", 1) => Reply::new(500, ""),
        ("/v2/app/manifests/1", _) => manifest_reply(),
        ("/v2/app/manifests/limit", _) => Reply::new(
            429,
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#,
        ),
        _ => Reply::new(
            400,
            r#"{"errors":[{"code":"NAME_INVALID","message":"bad"}]}"#,
        ),
    });
    let client = client();
    assert!(client.manifest(&image(&server, "app:1")).is_ok());
    for (name, message) in [
        (
            "app:limit",
            "the registry answers 429: TOOMANYREQUESTS: pull rate limit",
        ),
        ("app:x", "the registry answers 400: NAME_INVALID: bad"),
    ] {
        let error = client.manifest(&image(&server, name)).unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
    }
    let asked = server.asked();
    let times = |path: &str| asked.iter().filter(|a| a.ends_with(path)).count();
    assert_eq!(times("manifests/limit"), QUICK.attempts as usize);
    assert_eq!(times("manifests/x"), 1);
    let nobody: ImageRef = "127.0.0.1:1/app".parse().unwrap();
    assert!(matches!(
        client.manifest(&nobody),
        Err(RegistryError::Transport { .. })
    ));
}

/// A registry that wants tokens, from itself; each is good for `life` requests.
fn token_server(life: usize) -> Server {
    let given = Mutex::new(0);
    let uses = Mutex::new(0);
    Server::start(move |asked, before| {
        if asked.path.starts_with("/token") {
            let mut given = given.lock().unwrap();
            if asked.path.contains("busy") && before < 2 {
                return Reply::new(503, "");
            }
            *given += 1;
            *uses.lock().unwrap() = 0;
            return match asked.header("authorization") {
                Some("Basic bWU6d3Jvbmc=") => Reply::new(401, r#"{"details":"wrong password"}"#),
                _ => Reply::new(200, format!(r#"{{"token":"t{given}","expires_in":300}}"#)),
            };
        }
        let good =
            asked.header("authorization") == Some(&format!("Bearer t{}", given.lock().unwrap()));
        let mut uses = uses.lock().unwrap();
        *uses += 1;
        if !good || *uses > life {
            let host = asked.header("host").unwrap();
            let challenge = format!(
                r#"Bearer realm="http://{host}/token",service="reg",scope="repository:app:pull""#
            );
            return Reply::new(401, "").header("WWW-Authenticate", challenge);
        }
        manifest_reply()
    })
}

fn tokens(server: &Server) -> Vec<String> {
    let asked = server.asked();
    asked.into_iter().filter(|a| a.contains("/token")).collect()
}

#[test]
fn tokens_are_fetched_once_for_each_scope_and_again_when_stale() {
    let server = token_server(100);
    let client = login("me", "secret");
    for _ in 0..3 {
        client.manifest(&image(&server, "app:1")).unwrap();
    }
    assert_eq!(
        tokens(&server),
        ["GET /token?service=reg&scope=repository%3Aapp%3Apull"]
    );
    let asked = server.last("/token?service=reg&scope=repository%3Aapp%3Apull");
    assert_eq!(asked.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    client.manifest(&image(&server, "other:1")).unwrap();
    assert_eq!(tokens(&server).len(), 2);

    let server = token_server(1);
    for _ in 0..3 {
        client.manifest(&image(&server, "app:1")).unwrap();
    }
    assert_eq!(tokens(&server).len(), 3);

    let error = login("me", "wrong")
        .manifest(&image(&server, "app:1"))
        .unwrap_err();
    assert!(matches!(
        &error,
        RegistryError::Denied { anonymous: false, message, .. } if message == "wrong password"
    ));
    let never = token_server(0);
    let error = client.manifest(&image(&never, "app:1")).unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }));

    let busy = token_server(100);
    client.manifest(&image(&busy, "busy:1")).unwrap();
    assert_eq!(tokens(&busy).len(), 3);

    let identity = Fixed(Credential::Identity("refresh me".to_owned()));
    let client = Client::new(options(), identity);
    let server = token_server(100);
    client.manifest(&image(&server, "app:1")).unwrap();
    assert_eq!(tokens(&server), ["POST /token"]);
    let body = String::from_utf8(server.last("/token").body).unwrap();
    assert!(body.contains("grant_type=refresh_token"));
    assert!(body.contains("refresh_token=refresh%20me"));
    assert!(!format!("{:?}", Credential::Identity("x y".to_owned())).contains("x y"));
}

#[test]
fn passwords_are_sent_when_asked_for() {
    let server = Server::start(|asked, _| match asked.header("authorization") {
        Some("Basic bWU6c2VjcmV0") => manifest_reply(),
        _ => Reply::new(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}"#,
        )
        .header("WWW-Authenticate", "Basic realm=\"r\""),
    });
    let app = image(&server, "app:1");
    let good = login("me", "secret");
    good.manifest(&app).unwrap();
    good.manifest(&app).unwrap();
    assert_eq!(server.asked().len(), 3);
    for (client, nobody) in [(client(), true), (login("me", "wrong"), false)] {
        let error = client.manifest(&app).unwrap_err();
        assert!(
            matches!(&error, RegistryError::Denied { anonymous, .. } if *anonymous == nobody),
            "{error}"
        );
        assert!(
            error.to_string().ends_with("UNAUTHORIZED: log in"),
            "{error}"
        );
    }
}

/// An image in memory.
fn source() -> (Memory, Descriptor) {
    let blobs = Memory::default();
    blobs.add(media_type::OCI_CONFIG, b"{}");
    blobs.add(media_type::OCI_LAYER, &layer());
    let root = blobs.add(media_type::OCI_MANIFEST, &manifest());
    (blobs, root)
}

#[test]
fn only_what_a_registry_lacks_is_sent() {
    let config = Descriptor::of(media_type::OCI_CONFIG, b"{}").digest;
    let layer = layer_descriptor().digest;
    for (existing, mounts, expected) in [
        (true, false, Pushed::Existed),
        (false, true, Pushed::Mounted),
        (false, false, Pushed::Uploaded),
    ] {
        let server = Server::start(move |asked, before| {
            let path = asked.path.as_str();
            match (asked.method.as_str(), path) {
                ("HEAD", path) if existing && path.ends_with(&layer.to_string()) => {
                    Reply::new(200, "")
                }
                ("HEAD", _) => Reply::new(404, ""),
                ("POST", path) if mounts && path.contains("from=base") => Reply::new(201, ""),
                ("POST", _) => Reply::new(202, "").header("Location", "/upload?state=1"),
                // The first attempt breaks; the second begins anew.
                ("PUT", path) if path.starts_with("/upload") && before == 0 => Reply::new(500, ""),
                ("PUT", _) => Reply::new(201, ""),
                _ => Reply::new(400, ""),
            }
        });
        let (blobs, root) = source();
        let events = Mutex::new(Vec::new());
        client()
            .push(
                &image(&server, "app:1"),
                &root,
                &blobs,
                2,
                &|blob| (blob.digest == layer).then(|| "base".to_owned()),
                &|blob, event| events.lock().unwrap().push((blob.digest, event)),
            )
            .unwrap();
        let events = events.into_inner().unwrap();
        assert!(events.contains(&(layer, PushEvent::Done(expected))));
        assert!(events.contains(&(config, PushEvent::Done(Pushed::Uploaded))));
        let asked = server.asked();
        assert_eq!(asked.last().unwrap(), "PUT /v2/app/manifests/1");
        let put = format!("PUT /upload?state=1&digest={layer}");
        let uploads = asked.iter().filter(|a| **a == put).count();
        assert_eq!(uploads, if expected == Pushed::Uploaded { 2 } else { 0 });
        if uploads > 0 {
            let sent = server.last(&put["PUT ".len()..]);
            assert!(sent.body == self::layer());
        }
        assert_eq!(server.last("/v2/app/manifests/1").body, manifest());
    }
}

#[test]
fn what_is_cancelled_ends() {
    let server = Server::start(|asked, _| match asked.path.as_str() {
        "/v2/app/manifests/1" => Reply::new(503, "").header("Retry-After", "1"),
        _ => ranged(asked),
    });
    let flag = Arc::new(AtomicBool::new(false));
    let cancelled = Arc::clone(&flag);
    let options = Options {
        cancel: Arc::new(move || cancelled.load(Ordering::Relaxed)),
        retry: RetryPolicy::default(),
        ..Options::default()
    };
    let client = Arc::new(Client::new(options, NoCredentials));
    let app = image(&server, "app:1");
    let mut blob = client.blob(&app, &layer_descriptor()).unwrap();
    blob.read_exact(&mut [0; 10]).unwrap();
    let waiting = std::thread::spawn({
        let (client, app) = (Arc::clone(&client), app.clone());
        move || client.manifest(&app)
    });
    while server.asked().len() < 2 {
        std::thread::yield_now();
    }
    flag.store(true, Ordering::Relaxed);
    assert!(matches!(
        waiting.join().unwrap(),
        Err(RegistryError::Cancelled(_))
    ));
    assert!(blob.read_exact(&mut [0; 10]).is_err());
}
