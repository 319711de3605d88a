//! Against the reference registry, where it is installed: with and without TLS.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// A running `docker-registry`; ends with its value.
struct Registry {
    process: Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a registry on a free port; none when it is not installed.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn start(dir: &Path, tls: &str) -> Option<Registry> {
    let config = dir.join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:0\n{tls}",
        dir.display()
    );
    std::fs::write(&config, text).unwrap();
    let started = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut process) = started else {
        eprintln!("SKIPPED: docker-registry is not installed");
        return None;
    };
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.ok()?;
        let rest = line.split("listening on ").nth(1)?;
        Some(rest.split(['"', ' ', ',']).next()?.to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    let mut registry = Registry {
        process,
        address: String::new(),
    };
    registry.address = address.unwrap();
    Some(registry)
}

#[test]
fn it_takes_and_gives_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = start(dir.path(), "") else {
        return;
    };
    let address = &registry.address;
    let (blobs, root) = source();
    let client = client();
    let app: ImageRef = format!("{address}/team/app:1").parse().unwrap();
    let copy: ImageRef = format!("{address}/team/copy:1").parse().unwrap();
    for (image, expected) in [
        (&app, Pushed::Uploaded),
        (&app, Pushed::Existed),
        (&copy, Pushed::Mounted),
    ] {
        let seen = Mutex::new(BTreeSet::new());
        let event = |blob: &Descriptor, event| {
            if let PushEvent::Done(pushed) = event
                && blob.digest != root.digest
            {
                seen.lock().unwrap().insert(format!("{pushed:?}"));
            }
        };
        let mount = |_: &Descriptor| Some("team/app".to_owned());
        client
            .push(image, &root, &blobs, 4, &mount, &event)
            .unwrap();
        let expected = BTreeSet::from([format!("{expected:?}")]);
        assert_eq!(seen.into_inner().unwrap(), expected);
        assert_eq!(client.resolve(image).unwrap(), root);
    }
    let blob = client.blob(&copy, &layer_descriptor()).unwrap();
    assert!(read(blob).unwrap() == layer());
    assert_eq!(client.tags(&app).unwrap(), ["1"]);
    assert!(matches!(
        client.manifest(&format!("{address}/none:1").parse().unwrap()),
        Err(RegistryError::NotFound { .. })
    ));
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn it_is_believed_with_its_certificate_only() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("ca.crt"), dir.path().join("ca.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args([
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        eprintln!("SKIPPED: no openssl that makes certificates");
        return;
    }
    let tls = format!(
        "  tls: {{certificate: {}, key: {}}}\n",
        certificate.display(),
        key.display()
    );
    let Some(registry) = start(dir.path(), &tls) else {
        return;
    };
    let app: ImageRef = format!("{}/app:1", registry.address).parse().unwrap();
    let (blobs, root) = source();
    let push = |certificates: &Path, anyone: bool| {
        let options = Options {
            certificates: vec![certificates.to_owned()],
            any_certificate: anyone
                .then(|| registry.address.clone())
                .into_iter()
                .collect(),
            ..options()
        };
        let client = Client::new(options, NoCredentials);
        client.push(&app, &root, &blobs, 2, &|_| None, &|_, _| {})
    };
    let known = dir.path().join("known");
    let unknown = dir.path().join("unknown");
    for (directory, with) in [(&known, true), (&unknown, false)] {
        let own = directory.join(&registry.address);
        std::fs::create_dir_all(&own).unwrap();
        if with {
            std::fs::copy(&certificate, own.join("ca.crt")).unwrap();
        }
    }
    let error = push(&unknown, false).unwrap_err();
    assert!(matches!(error, RegistryError::Transport { .. }), "{error}");
    push(&known, false).unwrap();
    push(&unknown, true).unwrap();
}
