//! Everything that is known of an image, as docker's `inspect` says it.

use cache::{Store, StoredImage};
use image::ImageRef;
use serde_json::{Map, Value as Json, json};

use super::{Loaded, load_host};
use crate::report::Failure;
use crate::template::{Shape, Value};
use crate::time::written;

/// An image's JSON.
pub fn document(store: &Store, stored: &StoredImage) -> Result<Json, Failure> {
    let Loaded { config, id, .. } = load_host(store, stored)?;
    let names: Vec<ImageRef> = stored.names.iter().filter_map(|n| n.parse().ok()).collect();
    let familiar = |with_digest: bool| -> Vec<String> {
        names
            .iter()
            .filter(|name| name.digest.is_some() == with_digest)
            .map(ImageRef::familiar)
            .collect()
    };
    let own = &config.config;
    let or_null = |empty: bool, value: Json| if empty { Json::Null } else { value };
    let mut inner = fields([
        ("Hostname", json!("")),
        ("Domainname", json!("")),
        ("User", json!(own.user)),
        ("AttachStdin", json!(false)),
        ("AttachStdout", json!(false)),
        ("AttachStderr", json!(false)),
    ]);
    let given = |fields: &mut Map<String, Json>, name: &str, empty: bool, value: Json| {
        if !empty {
            fields.insert(name.to_owned(), value);
        }
    };
    let ports = &own.exposed_ports;
    given(&mut inner, "ExposedPorts", ports.is_empty(), json!(ports));
    inner.extend(fields([
        ("Tty", json!(false)),
        ("OpenStdin", json!(false)),
        ("StdinOnce", json!(false)),
        ("Env", or_null(own.env.is_empty(), json!(own.env))),
        ("Cmd", json!(own.cmd)),
    ]));
    let health = &own.healthcheck;
    given(&mut inner, "Healthcheck", health.is_none(), json!(health));
    given(&mut inner, "ArgsEscaped", !own.args_escaped, json!(true));
    inner.extend(fields([
        ("Image", json!("")),
        (
            "Volumes",
            or_null(own.volumes.is_empty(), json!(own.volumes)),
        ),
        ("WorkingDir", json!(own.working_dir)),
        ("Entrypoint", json!(own.entrypoint)),
        (
            "OnBuild",
            or_null(own.on_build.is_empty(), json!(own.on_build)),
        ),
        ("Labels", or_null(own.labels.is_empty(), json!(own.labels))),
    ]));
    let stop = &own.stop_signal;
    given(&mut inner, "StopSignal", stop.is_empty(), json!(stop));
    given(&mut inner, "Shell", own.shell.is_none(), json!(own.shell));

    let comment = config.history.last().map_or("", |step| &step.comment);
    let mut outer = fields([
        ("Id", json!(id.to_string())),
        ("RepoTags", json!(familiar(false))),
        ("RepoDigests", json!(familiar(true))),
        ("Parent", json!("")),
        ("Comment", json!(comment)),
        ("Created", json!(config.created)),
        // Of which container it was committed, and how that was: said of no image of BuildKit's either.
        ("Container", json!("")),
        ("ContainerConfig", unused()),
        ("DockerVersion", json!("")),
        ("Author", json!(config.author)),
        ("Config", Json::Object(inner)),
        ("Architecture", json!(config.architecture)),
    ]);
    let variant = &config.variant;
    given(&mut outer, "Variant", variant.is_empty(), json!(variant));
    outer.extend(fields([("Os", json!(config.os))]));
    let version = &config.os_version;
    given(&mut outer, "OsVersion", version.is_empty(), json!(version));
    let tagged = match stored.named {
        Some(seconds) => written(seconds),
        None => "0001-01-01T00:00:00Z".to_owned(),
    };
    outer.extend(fields([
        ("Size", json!(stored.size)),
        ("VirtualSize", json!(stored.size)),
        ("GraphDriver", graph(store, stored)),
        (
            "RootFS",
            json!({"Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids}),
        ),
        ("Metadata", json!({"LastTagTime": tagged})),
    ]));
    Ok(Json::Object(outer))
}

/// A configuration in which nothing is said.
fn unused() -> Json {
    json!({
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Env": null,
        "Cmd": null,
        "Image": "",
        "Volumes": null,
        "WorkingDir": "",
        "Entrypoint": null,
        "OnBuild": null,
        "Labels": null,
    })
}

/// Where the files of its layers are; nothing of an image that was not unpacked.
fn graph(store: &Store, stored: &StoredImage) -> Json {
    let layers = stored
        .snapshot
        .as_ref()
        .map(|snapshot| &snapshot.layers[..]);
    let dirs = store.layer_dirs(layers.unwrap_or_default());
    let dirs = dirs.unwrap_or_default().into_iter().rev();
    let mut dirs = dirs.map(|dir| store.root().join(dir));
    let mut data = Map::new();
    if let Some(upper) = dirs.next() {
        let lower: Vec<String> = dirs.map(|dir| dir.display().to_string()).collect();
        if !lower.is_empty() {
            data.insert("LowerDir".to_owned(), json!(lower.join(":")));
        }
        // No more there than docker's are while nothing has the image mounted.
        let beside = |name: &str| json!(upper.with_file_name(name).display().to_string());
        data.insert("MergedDir".to_owned(), beside("merged"));
        data.insert("UpperDir".to_owned(), json!(upper.display().to_string()));
        data.insert("WorkDir".to_owned(), beside("work"));
    }
    json!({"Data": data, "Name": "overlay2"})
}

fn fields<const N: usize>(fields: [(&str, Json); N]) -> Map<String, Json> {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The document as docker's types have it: what JSON leaves out can be asked for all the same.
pub fn value(document: &Json) -> Value {
    let shape = |name: &str| match name {
        "Labels" | "ExposedPorts" | "Volumes" | "Data" => Some(Shape::Map),
        "Env" | "Cmd" | "Entrypoint" | "OnBuild" | "Shell" | "Layers" | "RepoTags"
        | "RepoDigests" | "Test" => Some(Shape::List),
        _ => None,
    };
    Value::of(document, &shape)
        .and_omitted([("Variant", Value::text("")), ("OsVersion", Value::text(""))])
        .with_field("Config", |config| {
            config.and_omitted([
                ("ExposedPorts", Value::Map(None)),
                ("Healthcheck", Value::Nil),
                ("ArgsEscaped", Value::Bool(false)),
                ("StopSignal", Value::text("")),
                ("Shell", Value::List(None)),
            ])
        })
}
