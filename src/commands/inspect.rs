//! `inspect`: everything that is known of images, as docker's JSON.

use cache::{Store, StoredImage};
use image::ImageRef;
use serde_json::{Map, Value as Json, json};

use crate::cli::images::InspectArgs;
use crate::columns::malformed;
use crate::home::Home;
use crate::images::{Loaded, load_host};
use crate::output::print;
use crate::report::{Class, Failure};
use crate::template::{Shape, Template, Value};
use crate::time::written;

/// Shows images; those that are not there are named afterwards.
pub fn run(args: &InspectArgs, home: &Home) -> anyhow::Result<u8> {
    let template = match args.format.as_deref() {
        None => None,
        Some("json") => Some(Template::parse("{{json .}}")),
        Some(text) => Some(Template::parse(text)),
    };
    let template = template.transpose().map_err(|error| malformed(&error))?;
    let store = home.enter_and_open()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for text in &args.objects {
        crate::images::settle(&store, text, &crate::stop::on_signal()).map_err(|e| e.failure())?;
        match store.image(text) {
            Ok(image) => found.push(document(&store, &image)?),
            Err(cache::ImageError::Unknown(_)) => failures.push(Failure::new(
                Class::Refused,
                format!("No such object: {text}"),
            )),
            Err(error) => failures.push(crate::images::image_failure(&error)),
        }
    }
    match template {
        None => print(&format!("{}\n", pretty(&found)?))?,
        Some(template) => {
            for document in &found {
                match template.render(&value(document)) {
                    Ok(text) => print(&format!("{text}\n"))?,
                    Err(error) => failures.push(malformed(&error)),
                }
            }
        }
    }
    Failure::all(failures).map_or(Ok(0), |failure| Err(failure.into()))
}

/// With four spaces, as docker indents.
fn pretty(documents: &[Json]) -> Result<String, Failure> {
    let mut out = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, indent);
    serde::Serialize::serialize(documents, &mut serializer)
        .map_err(|error| Failure::from_error(Class::Ours, &error))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn document(store: &Store, stored: &StoredImage) -> Result<Json, Failure> {
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
        (
            "RootFS",
            json!({"Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids}),
        ),
        ("Metadata", json!({"LastTagTime": tagged})),
    ]));
    Ok(Json::Object(outer))
}

fn fields<const N: usize>(fields: [(&str, Json); N]) -> Map<String, Json> {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The document as docker's types have it: what JSON leaves out can be asked for all the same.
fn value(document: &Json) -> Value {
    let shape = |name: &str| match name {
        "Labels" | "ExposedPorts" | "Volumes" => Some(Shape::Map),
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
