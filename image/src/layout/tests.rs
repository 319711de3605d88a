//! Round trips through every kind of archive, what other tools make of them, and hostile ones.

use std::io::Read;
use std::process::Command;

use super::*;
use crate::blob::BlobSource;
use crate::blob::tests::Memory;
use crate::compress::{BlobWriter, Compression};
use crate::manifest::Manifest;
use crate::tar::{Entry, Kind, Writer};
use crate::{DiffId, ImageConfig};

/// A tar with one file.
fn layer_tar(name: &str) -> Vec<u8> {
    tar(&[(name, name.as_bytes())])
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, content) in files {
        let entry = Entry {
            size: content.len() as u64,
            ..Entry::new(*name, Kind::File, 0o644)
        };
        writer.append(&entry, &mut &**content).unwrap();
    }
    writer.finish().unwrap()
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let mut config = ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids = layers.iter().map(|l| DiffId(Digest::of(l))).collect();
    serde_json::to_vec(&config).unwrap()
}

/// An image of two layers, one of each compression.
fn image(blobs: &Memory, seed: &str, names: &[&str]) -> NamedImage {
    let contents = [layer_tar("below"), layer_tar(seed)];
    let mut layers = Vec::new();
    for (content, compression) in contents.iter().zip([Compression::GZIP, Compression::ZSTD]) {
        let mut writer = BlobWriter::new(Vec::new(), compression);
        std::io::Write::write_all(&mut writer, content).unwrap();
        let (bytes, blob) = writer.finish().unwrap();
        layers.push(blobs.add(&blob.layer().media_type, &bytes));
    }
    let config = config(&[&contents[0], &contents[1]]);
    let config = blobs.add(media_type::OCI_CONFIG, &config);
    let manifest = Manifest::new(media_type::OCI_MANIFEST, config, layers);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    NamedImage {
        descriptor: blobs.add(media_type::OCI_MANIFEST, &bytes),
        names: names.iter().map(|n| n.parse().unwrap()).collect(),
    }
}

fn blob(store: &Memory, digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.open(digest).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_saved_loads_again() {
    let blobs = Memory::default();
    let images = [
        image(&blobs, "one", &["app:1", "localhost:5000/app:2"]),
        image(&blobs, "two", &[]),
    ];
    for kind in [ArchiveKind::Oci, ArchiveKind::Docker] {
        let archive = save(Vec::new(), kind, &images, &blobs).unwrap();
        assert_eq!(archive, save(Vec::new(), kind, &images, &blobs).unwrap());
        let store = Memory::default();
        assert_eq!(load(archive.as_slice(), &store).unwrap(), images);
        assert!(*store.0.lock().unwrap() == *blobs.0.lock().unwrap());
        let mut packed = crate::compress::Encoder::new(Vec::new(), Compression::ZSTD);
        std::io::Write::write_all(&mut packed, &archive).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(load(packed.as_slice(), &Memory::default()).unwrap(), images);
    }
}

#[test]
fn a_directory_keeps_what_others_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Memory::default();
    let (one, two) = (
        image(&blobs, "one", &["app:1"]),
        image(&blobs, "two", &["app:2"]),
    );
    let three = image(&blobs, "three", &["app:1"]);
    let layout = LayoutDir::create(dir.path()).unwrap();
    layout.add(&[one], &blobs).unwrap();
    LayoutDir::create(dir.path())
        .unwrap()
        .add(&[two.clone(), three.clone()], &blobs)
        .unwrap();
    let layout = LayoutDir::open(dir.path()).unwrap();
    assert_eq!(layout.images().unwrap(), [two.clone(), three.clone()]);
    assert_eq!(
        layout.find(Some("2"), None).unwrap().digest,
        two.descriptor.digest
    );
    assert_eq!(
        layout.find(Some("app:1"), None).unwrap().digest,
        three.descriptor.digest
    );
    let digest = three.descriptor.digest;
    assert_eq!(
        layout.find(Some("2"), Some(&digest)).unwrap().digest,
        digest
    );
    let error = layout.find(None, None).unwrap_err().to_string();
    assert_eq!(error, "the layout has no image `latest`: it has 2, 1");
    let copied = Memory::default();
    let archive = save(Vec::new(), ArchiveKind::Oci, &[two], &layout).unwrap();
    load(archive.as_slice(), &copied).unwrap();
    assert!(LayoutDir::open(dir.path().join("blobs")).is_err());
}

#[test]
fn archives_of_old_docker_load() {
    let (below, above) = (layer_tar("below"), layer_tar("above"));
    let config = config(&[&below, &above, &below]);
    let manifest = br#"[{"Config":"c.json","RepoTags":["old:1"],"Layers":["a/layer.tar","b/layer.tar","c/layer.tar"]}]"#;
    let mut writer = Writer::new(Vec::new());
    let file = |size: usize, path: &str| Entry {
        size: size as u64,
        ..Entry::new(path, Kind::File, 0o644)
    };
    writer
        .append(&file(below.len(), "a/layer.tar"), &mut below.as_slice())
        .unwrap();
    writer
        .append(&file(above.len(), "./b/layer.tar"), &mut above.as_slice())
        .unwrap();
    let link = Kind::Symlink {
        target: b"../a/layer.tar".to_vec(),
    };
    writer
        .append(
            &Entry::new("c/layer.tar", link, 0o777),
            &mut std::io::empty(),
        )
        .unwrap();
    writer
        .append(&file(config.len(), "c.json"), &mut config.as_slice())
        .unwrap();
    writer
        .append(&file(manifest.len(), "manifest.json"), &mut &manifest[..])
        .unwrap();
    let store = Memory::default();
    let images = load(writer.finish().unwrap().as_slice(), &store).unwrap();
    assert_eq!(images[0].names[0].familiar(), "old:1");
    let manifest: Manifest =
        serde_json::from_slice(&blob(&store, &images[0].descriptor.digest)).unwrap();
    assert_eq!(manifest.config.digest, Digest::of(&config));
    let layers: Vec<_> = manifest.layers.iter().map(|l| l.digest).collect();
    let expected = [&below, &above, &below].map(|l| Digest::of(l));
    assert_eq!(layers, expected);
    assert_eq!(manifest.layers[0].media_type, media_type::DOCKER_LAYER);
}

#[test]
fn archives_that_lie_are_refused() {
    let layer = layer_tar("a");
    let config = config(&[b"another layer"]);
    let manifest = br#"[{"Config":"c.json","RepoTags":null,"Layers":["a.tar"]}]"#;
    let hex = Digest::of(b"x").hex();
    let blob_path = format!("blobs/sha256/{hex}");
    let index = |digest: &Digest| {
        let mut manifest = Descriptor::of(media_type::OCI_MANIFEST, b"{}");
        manifest.digest = *digest;
        index_json(vec![manifest]).unwrap()
    };
    let absent = index(&Digest::of(b"absent"));
    let big = vec![b' '; 9 << 20];
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Files<'_>, &str); 10] = [
        (
            &[
                ("c.json", &config),
                ("a.tar", &layer),
                ("manifest.json", manifest),
            ],
            "and the image's configuration says",
        ),
        (
            &[("c.json", &config), ("manifest.json", manifest)],
            "the archive names `a.tar`",
        ),
        (
            &[("a.tar", &layer), ("manifest.json", manifest)],
            "the archive names `c.json`",
        ),
        (&[("../c.json", &config)], "it leads upwards"),
        (&[("/c.json", &config)], "it is absolute"),
        (&[("index.json", &absent)], "is missing"),
        (&[(&blob_path, b"y")], "is corrupt"),
        (
            &[("blobs/sha256/zz", b"y")],
            "a blob is named by its digest",
        ),
        (
            &[("index.json", b"{}"), ("index.json", b"{}")],
            "it is there twice",
        ),
        (&[("index.json", &big)], "at most 8388608 are read"),
    ];
    for (files, message) in cases {
        let error = load(tar(files).as_slice(), &Memory::default()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    for (kind, message) in [
        (
            Kind::Symlink {
                target: b"../../etc/shadow".to_vec(),
            },
            "it links out of the archive",
        ),
        (
            Kind::Symlink {
                target: b"/etc/shadow".to_vec(),
            },
            "it links to an absolute path",
        ),
        (
            Kind::HardLink {
                target: b"../x".to_vec(),
            },
            "it leads upwards",
        ),
        (Kind::Fifo, "it is a device or a pipe"),
    ] {
        let mut writer = Writer::new(Vec::new());
        writer
            .append(
                &Entry::new("a/layer.tar", kind, 0o644),
                &mut std::io::empty(),
            )
            .unwrap();
        let archive = writer.finish().unwrap();
        let error = load(archive.as_slice(), &Memory::default()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(matches!(
        load(tar(&[("etc/passwd", b"x")]).as_slice(), &Memory::default()),
        Err(LayoutError::Unknown)
    ));
    assert!(matches!(
        load(
            &b"no tar at all, however long this text may be"[..],
            &Memory::default()
        ),
        Err(LayoutError::Tar(_))
    ));
}

#[test]
fn of_an_index_that_lacks_platforms_the_whole_image_is_taken() {
    let blobs = Memory::default();
    let there = image(&blobs, "there", &[]);
    let lacking = image(&blobs, "lacking", &[]);
    let index = Index::new(
        media_type::OCI_INDEX,
        vec![lacking.descriptor.clone(), there.descriptor.clone()],
    );
    let root = NamedImage {
        descriptor: blobs.add(media_type::OCI_INDEX, &serde_json::to_vec(&index).unwrap()),
        names: vec!["app:1".parse().unwrap()],
    };
    assert!(matches!(
        save(
            Vec::new(),
            ArchiveKind::Docker,
            std::slice::from_ref(&root),
            &blobs
        ),
        Err(LayoutError::SeveralPlatforms(_))
    ));
    let archive = save(Vec::new(), ArchiveKind::Oci, &[root], &blobs).unwrap();
    let lost = format!("blobs/sha256/{}", lacking.descriptor.digest.hex());
    let mut reader = crate::tar::Reader::new(archive.as_slice());
    let mut writer = Writer::new(Vec::new());
    while let Some(entry) = reader.next_entry().unwrap() {
        if entry.path != lost.as_bytes() {
            writer.append(&entry, &mut reader.body()).unwrap();
        }
    }
    let archive = writer.finish().unwrap();
    let images = load(archive.as_slice(), &Memory::default()).unwrap();
    assert_eq!(images[0].descriptor.digest, there.descriptor.digest);
    assert_eq!(images[0].names[0].familiar(), "app:1");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn skopeo_copies_from_all_kinds_and_we_load_what_it_writes() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        eprintln!("SKIPPED: skopeo is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let blobs = Memory::default();
    let images = [image(&blobs, "one", &["app:1"])];
    for (kind, name) in [
        (ArchiveKind::Oci, "oci.tar"),
        (ArchiveKind::Docker, "docker.tar"),
    ] {
        std::fs::write(at(name), save(Vec::new(), kind, &images, &blobs).unwrap()).unwrap();
    }
    LayoutDir::create(at("dir"))
        .unwrap()
        .add(&images, &blobs)
        .unwrap();
    for (from, to) in [
        (
            format!("oci-archive:{}", at("oci.tar")),
            format!("dir:{}", at("d1")),
        ),
        (
            format!("oci-archive:{}", at("docker.tar")),
            format!("dir:{}", at("d2")),
        ),
        (
            format!("docker-archive:{}", at("docker.tar")),
            format!("dir:{}", at("d3")),
        ),
        (format!("oci:{}:1", at("dir")), format!("dir:{}", at("d4"))),
        (
            format!("docker-archive:{}", at("docker.tar")),
            format!("docker-archive:{}:new:1", at("theirs.tar")),
        ),
    ] {
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "-q", &from, &to])
            .output()
            .unwrap();
        assert!(output.status.success(), "{from}: {output:?}");
    }
    let store = Memory::default();
    let archive = std::fs::File::open(at("theirs.tar")).unwrap();
    let loaded = load(archive, &store).unwrap();
    assert_eq!(loaded[0].names[0].familiar(), "new:1");
    let manifest: Manifest =
        serde_json::from_slice(&blob(&store, &loaded[0].descriptor.digest)).unwrap();
    let layers: Vec<_> = manifest.layers.iter().map(|l| l.digest).collect();
    let expected = [layer_tar("below"), layer_tar("one")].map(|l| Digest::of(&l));
    assert_eq!(layers, expected);
}
