//! Images to and from registries and archives, good and bad.

use std::io::Write;

use image::manifest::media_type;
use image::tar::{Entry, Kind, Writer};
use image::{Descriptor, Digest, Manifest};
use serde_json::json;

use crate::place::{Place, Said};
use crate::registry::Registry;

/// Members of an archive.
fn tar(members: &[(&str, Kind, &[u8])]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (path, kind, bytes) in members {
        let entry = Entry {
            size: bytes.len() as u64,
            ..Entry::new(*path, kind.clone(), 0o644)
        };
        tar.append(&entry, &mut &**bytes).unwrap();
    }
    tar.finish().unwrap()
}

fn link(target: &str) -> Kind {
    Kind::Symlink {
        target: target.into(),
    }
}

/// Configuration and manifest over one layer, whose diff id may be said to be another.
fn documents(layer: &[u8], diff_id: Digest) -> (Vec<u8>, Vec<u8>) {
    let config = json!({
        "architecture": image::Platform::host().architecture, "os": "linux",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string()]},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let manifest = Manifest::new(
        media_type::OCI_MANIFEST,
        Descriptor::of(media_type::OCI_CONFIG, &config),
        vec![Descriptor::of(media_type::OCI_LAYER, layer)],
    );
    (config, serde_json::to_vec(&manifest).unwrap())
}

/// An OCI archive of one image called `evil`, with these blobs under these names.
fn oci(manifest: &[u8], blobs: &[(String, &[u8])]) -> Vec<u8> {
    let mut root = Descriptor::of(media_type::OCI_MANIFEST, manifest);
    root.annotations.insert(
        image::layout::IMAGE_NAME.to_owned(),
        "docker.io/library/evil:latest".to_owned(),
    );
    let index = image::Index::new(media_type::OCI_INDEX, vec![root]);
    let index = serde_json::to_vec(&index).unwrap();
    let mut members: Vec<(&str, Kind, &[u8])> = vec![
        (
            "oci-layout",
            Kind::File,
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        ),
        ("index.json", Kind::File, &index),
    ];
    members.extend(
        blobs
            .iter()
            .map(|(name, bytes)| (&**name, Kind::File, *bytes)),
    );
    tar(&members)
}

fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// Changes the answer for a path.
type Lie = fn(&str, &mut Vec<u8>);

#[track_caller]
fn refused(said: &Said) {
    assert!(
        (1..=3).contains(&said.code) && !said.err.contains("panicked"),
        "{said:?}"
    );
    assert!(!said.out.contains("Loaded image"), "{said:?}");
}

#[track_caller]
fn has_no_images(place: &Place) {
    assert_eq!(place.rbuild(&["images", "-q"]).ok().out, "");
}

#[test]
fn a_push_and_a_pull_give_the_same_image() {
    let (Some(one), Some(two)) = (Place::with_base(), Place::new()) else {
        return;
    };
    let registry = Registry::start();
    let name = registry.name("team/app:1");
    one.build("FROM base:1\nRUN echo x > /x\nCMD [\"cat\", \"/x\"]\n", &[])
        .ok();
    let pushed = one.rbuild(&["push", "app", &name]).ok().out;
    let line = pushed.lines().last().unwrap();
    let digest = line.split(' ').nth(2).unwrap();
    assert!(line.starts_with("1: digest: sha256:"), "{pushed}");
    // What is there is not sent again, and has the same digest.
    let again = one.rbuild(&["push", "app", &name]).ok().out;
    assert_eq!(again, pushed);
    let sent = registry.uploads();
    one.rbuild(&["push", "app", &registry.name("elsewhere/app:1")])
        .ok();
    assert_eq!(
        registry.uploads(),
        sent,
        "blobs are taken over from team/app"
    );
    let digests = ["inspect", "-f", "{{index .RepoDigests 0}}"];
    assert_eq!(
        one.rbuild(&[&digests[..], &["app"]].concat()).ok().out,
        format!("{}@{digest}\n", registry.name("elsewhere/app"))
    );

    let pulled = two.rbuild(&["pull", &name]).ok().out;
    assert_eq!(
        pulled,
        format!("Digest: {digest}\nStatus: Downloaded newer image for {name}\n{name}\n")
    );
    let pulled = two.rbuild(&["pull", &name]).ok().out;
    assert!(pulled.contains("Status: Image is up to date"), "{pulled}");
    assert_eq!(
        two.rbuild(&["pull", "-q", &name]).ok().out,
        format!("{name}\n")
    );
    let id = |place: &Place, name: &str| place.rbuild(&["inspect", "-f", "{{.Id}}", name]).ok().out;
    assert_eq!(id(&one, "app"), id(&two, &name));
    assert_eq!(two.rbuild(&["run", "--rm", &name]).ok().out, "x\n");
    let listed = two.rbuild(&["images", "--digests", "--format", "{{.Tag}} {{.Digest}}"]);
    assert_eq!(listed.ok().out, format!("1 {digest}\n"));
    // A pulled image has its own blobs: what is pushed on is what was pulled.
    let other = registry.name("other/app:2");
    let pushed = two.rbuild(&["push", &name, &other]).ok().out;
    assert!(pushed.contains(digest), "{pushed}");
    two.rbuild(&["rmi", &name]).ok();
    two.rbuild(&["pull", "--platform=linux/s390x", &name])
        .fails(1, "does not match the specified platform (linux/s390x)");
    has_no_images(&two);
    two.rbuild(&["pull", &registry.name("team/none:1")])
        .fails(1, "not found");
}

#[test]
fn a_registry_that_lies_gives_no_image() {
    let Some(place) = Place::new() else { return };
    let layer = tar(&[("x", Kind::File, b"x")]);
    let (config, manifest) = documents(&layer, Digest::of(&layer));
    let lies: [(&str, Lie); 4] = [
        ("the layer has other bytes", |path, body| {
            if path.contains("/blobs/") && body.len() > 1000 {
                body[600] ^= 1;
            }
        }),
        ("the layer is longer", |path, body| {
            if path.contains("/blobs/") && body.len() > 1000 {
                body.extend([0; 512]);
            }
        }),
        ("the configuration has other bytes", |path, body| {
            if path.contains("/blobs/") && body.len() < 1000 {
                let last = body.len() - 1;
                body[last] = b' ';
            }
        }),
        ("the manifest is no JSON", |path, body| {
            if path.contains("/manifests/") {
                body.truncate(20);
            }
        }),
    ];
    for (what, lie) in lies {
        let registry = Registry::start();
        registry.put("app:1", &manifest, &[&config, &layer]);
        registry.lie(lie);
        let said = place.rbuild(&["pull", &registry.name("app:1")]);
        assert!((1..=3).contains(&said.code), "{what}: {said:?}");
        assert!(
            !said.err.contains("panicked") && said.out.is_empty(),
            "{what}: {said:?}"
        );
        has_no_images(&place);
    }
    // By digest the manifest itself is known.
    let registry = Registry::start();
    registry.put("app:1", &manifest, &[&config, &layer]);
    registry.lie(|path, body| {
        if path.contains("/manifests/") {
            body.push(b'\n');
        }
    });
    let by_digest = format!("{}@{}", registry.name("app"), Digest::of(&manifest));
    refused(&place.rbuild(&["pull", &by_digest]));
    has_no_images(&place);
    // All digests are right, and the configuration names another tar.
    let registry = Registry::start();
    let (config, manifest) = documents(&layer, Digest::of(b"another"));
    registry.put("app:1", &manifest, &[&config, &layer]);
    let said = place.rbuild(&["pull", &registry.name("app:1")]);
    refused(&said);
    assert!(said.err.contains("unpacks to"), "{said:?}");
    has_no_images(&place);
}

#[test]
fn hostile_archives_are_not_loaded() {
    let Some(place) = Place::new() else { return };
    let layer = tar(&[("x", Kind::File, b"x")]);
    let (config, manifest) = documents(&layer, Digest::of(&layer));
    let outside = place.path("outside");
    std::fs::write(&outside, "mine").unwrap();
    let target = outside.to_str().unwrap();
    let docker = |layer: &str| {
        json!([{"Config": "c.json", "RepoTags": ["evil:latest"], "Layers": [layer]}]).to_string()
    };
    let by_docker = docker("l/layer.tar");
    let file = Kind::File;
    let good = |name: &str| (name.to_owned(), &*layer);
    let archives: Vec<(&str, Vec<u8>)> = vec![
        (
            "a path above",
            tar(&[("../outside", file.clone(), b"theirs")]),
        ),
        (
            "an absolute path",
            tar(&[(target, file.clone(), b"theirs")]),
        ),
        (
            "a link out",
            tar(&[
                ("c.json", file.clone(), &config),
                ("l/layer.tar", link(target), b""),
                ("manifest.json", file.clone(), by_docker.as_bytes()),
            ]),
        ),
        (
            "a blob under another's name",
            oci(
                &manifest,
                &[
                    (blob_name(&manifest), &manifest),
                    (blob_name(&config), &config),
                    (blob_name(&layer), b"other bytes"),
                ],
            ),
        ),
        (
            "a blob that is not there",
            oci(
                &manifest,
                &[
                    (blob_name(&manifest), &manifest),
                    (blob_name(&config), &config),
                ],
            ),
        ),
        (
            "a blob without a digest",
            tar(&[("blobs/sha256/../../../outside", file.clone(), b"theirs")]),
        ),
        (
            "a layer that is not the configuration's",
            tar(&[
                ("c.json", file.clone(), &config),
                (
                    "l/layer.tar",
                    file.clone(),
                    &tar(&[("y", file.clone(), b"y")]),
                ),
                ("manifest.json", file.clone(), by_docker.as_bytes()),
            ]),
        ),
        (
            "a file twice",
            oci(&manifest, &[good("l.tar"), good("l.tar")]),
        ),
    ];
    for (what, archive) in archives {
        std::fs::write(place.path("evil.tar"), archive).unwrap();
        let said = place.rbuild(&["load", "-i", "evil.tar"]);
        refused(&said);
        assert_eq!(std::fs::read(&outside).unwrap(), b"mine", "{what}");
        has_no_images(&place);
    }
    // 256 MiB of zeros that call themselves a document, in some hundred kilobytes.
    let mut head = Writer::new(Vec::new());
    let entry = Entry {
        size: 256 << 20,
        ..Entry::new("index.json", Kind::File, 0o644)
    };
    head.append(
        &entry,
        &mut std::io::Read::take(std::io::repeat(0), 256 << 20),
    )
    .unwrap();
    let packed = Vec::new();
    let mut gzip = image::compress::Encoder::new(
        packed,
        image::compress::Compression::named("gzip", None).unwrap(),
    );
    gzip.write_all(&head.finish().unwrap()).unwrap();
    std::fs::write(place.path("bomb.tar"), gzip.finish().unwrap()).unwrap();
    refused(&place.rbuild(&["load", "-i", "bomb.tar"]));
    has_no_images(&place);
}

#[test]
fn hostile_layers_stay_inside_and_lying_ones_do_not_start() {
    let Some(place) = Place::new() else { return };
    let outside = place.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "mine").unwrap();
    let target = outside.to_str().unwrap();
    let up = format!("../../../../../../../..{target}/file");
    let absolute = format!("{target}/file");
    let hard = Kind::HardLink {
        target: absolute.clone().into_bytes(),
    };
    let layers = [
        tar(&[(&up, Kind::File, b"theirs")]),
        tar(&[(&absolute, Kind::File, b"theirs")]),
        tar(&[("d", link(target), b""), ("d/file", Kind::File, b"theirs")]),
        tar(&[("f", link(&absolute), b""), ("f", Kind::File, b"theirs")]),
        tar(&[("h", hard, b""), ("h", Kind::File, b"theirs")]),
        tar(&[
            ("d", link("../../../.."), b""),
            (&format!("d{absolute}"), Kind::File, b"theirs"),
        ]),
    ];
    for (number, layer) in layers.iter().enumerate() {
        std::fs::write(place.path("layer.tar"), layer).unwrap();
        let imported = place.rbuild(&["import", "layer.tar", "evil"]);
        let (config, manifest) = documents(layer, Digest::of(layer));
        let archive = oci(
            &manifest,
            &[
                (blob_name(&manifest), &manifest),
                (blob_name(&config), &config),
                (blob_name(layer), layer),
            ],
        );
        std::fs::write(place.path("evil.tar"), archive).unwrap();
        place.rbuild(&["load", "-i", "evil.tar"]).ok();
        // Nothing in it can start; what counts is what happens on the way.
        let ran = place.rbuild(&["run", "--rm", "evil"]);
        assert!((125..=127).contains(&ran.code), "{number}: {ran:?}");
        place.write("Dockerfile", "FROM evil\nCOPY Dockerfile /x\n");
        place.build_again(&["-o", "out"]);
        for said in [&imported, &ran] {
            assert!(!said.err.contains("panicked"), "{number}: {said:?}");
        }
        assert_eq!(
            std::fs::read(outside.join("file")).unwrap(),
            b"mine",
            "{number}"
        );
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1, "{number}");
    }
    let layer = tar(&[("x", Kind::File, b"x")]);
    let (config, manifest) = documents(&layer, Digest::of(b"another"));
    let archive = oci(
        &manifest,
        &[
            (blob_name(&manifest), &manifest),
            (blob_name(&config), &config),
            (blob_name(&layer), &layer),
        ],
    );
    std::fs::write(place.path("evil.tar"), archive).unwrap();
    place.rbuild(&["load", "-i", "evil.tar"]).ok();
    place
        .rbuild(&["run", "--rm", "evil"])
        .fails(125, "unpacks to");
}

#[test]
fn what_is_cut_off_is_no_image() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let archive = place.path("base.tar");
    place
        .rbuild(&["save", "-o", archive.to_str().unwrap(), "base:1"])
        .ok();
    let whole = std::fs::read(&archive).unwrap();
    place.rbuild(&["rmi", "base:1"]).ok();
    for length in [0, 1, 511, 512, 5_000, whole.len() / 2, whole.len() - 1500] {
        std::fs::write(&archive, &whole[..length]).unwrap();
        refused(&place.rbuild(&["load", "-i", "base.tar"]));
        has_no_images(&place);
    }
    std::fs::write(&archive, &whole).unwrap();
    let file = std::fs::File::open(&archive).unwrap();
    let said = place.command(&["load"]).stdin(file).output().unwrap();
    assert_eq!(crate::place::said(said).ok().out, "Loaded image: base:1\n");
}
