//! `inspect`: everything that is known of containers, images, volumes and networks, as docker's JSON.

use cache::Store;
use serde_json::Value as Json;

use crate::cli::images::InspectArgs;
use crate::columns::{malformed, unreadable};
use crate::containers;
use crate::home::{Home, store_failure};
use crate::networks;
use crate::output::print;
use crate::report::{Class, Failure};
use crate::template::{Template, Value};

/// What there is to look among.
const KINDS: [&str; 4] = ["container", "image", "volume", "network"];
/// What docker has besides: none is ever found here.
const OTHER_KINDS: [&str; 6] = ["config", "node", "plugin", "secret", "service", "task"];

/// Something that was found, and as a template sees it.
type Found = (Json, fn(&Json) -> Value);

/// Shows objects of one kind alone.
pub fn of_kind(
    kind: &str,
    objects: Vec<String>,
    format: Option<String>,
    size: bool,
    home: &Home,
) -> anyhow::Result<u8> {
    let args = InspectArgs {
        objects,
        format,
        size,
        kind: Some(kind.to_owned()),
    };
    run(&args, home)
}

/// Shows objects; those that are not there are named afterwards.
pub fn run(args: &InspectArgs, home: &Home) -> anyhow::Result<u8> {
    let template = match args.format.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some("json") => Some(Template::parse("{{json .}}")),
        Some(text) => Some(Template::parse(text)),
    };
    let template = template.transpose().map_err(unreadable)?;
    let kind = args.kind.as_deref().filter(|kind| !kind.is_empty());
    if let Some(kind) = kind
        && !KINDS.contains(&kind)
        && !OTHER_KINDS.contains(&kind)
    {
        return Err(Failure::new(
            Class::Refused,
            format!("\"{kind}\" is not a valid value for --type"),
        )
        .help(format!("there are {}", KINDS.join(", ")))
        .into());
    }
    let store = home.enter_and_open()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for text in &args.objects {
        match find(&store, args, text) {
            Ok(object) => found.push(object),
            Err(failure) => failures.push(failure),
        }
    }
    match template {
        None => {
            let documents: Vec<&Json> = found.iter().map(|(document, _)| document).collect();
            print(&format!("{}\n", pretty(&documents)?))?;
        }
        Some(template) => {
            for (document, value) in &found {
                match template.render(&value(document)) {
                    Ok(text) => print(&format!("{text}\n"))?,
                    Err(error) => {
                        // docker shows nothing but an empty line of what does not fit.
                        print("\n")?;
                        failures.push(malformed(&error));
                    }
                }
            }
        }
    }
    Failure::all(failures).map_or(Ok(0), |failure| Err(failure.into()))
}

/// The object that people mean by a text: a container before an image before a volume before a network.
fn find(store: &Store, args: &InspectArgs, text: &str) -> Result<Found, Failure> {
    let kind = args.kind.as_deref().filter(|kind| !kind.is_empty());
    let wanted = |name: &str| kind.is_none_or(|kind| kind == name);
    if wanted("container") {
        match store.container(text) {
            Ok(row) => {
                let document = containers::inspect::document(store, &row, args.size)?;
                return Ok((document, containers::inspect::value));
            }
            Err(cache::ContainerRowError::Unknown(_)) if kind.is_none() => {}
            Err(error) => return Err(containers::find::failure(&error)),
        }
    }
    if wanted("image") {
        crate::images::settle(store, text, &crate::stop::on_signal()).map_err(|e| e.failure())?;
        match store.image(text) {
            Ok(image) => {
                let document = crate::images::inspect::document(store, &image)?;
                return Ok((document, crate::images::inspect::value));
            }
            Err(cache::ImageError::Unknown(_)) if kind.is_none() => {}
            Err(error) => return Err(crate::images::image_failure(&error)),
        }
    }
    if wanted("volume") {
        match store.volume(text) {
            Ok(volume) => {
                let document = crate::volumes::document(store, &volume);
                return Ok((document, crate::volumes::value));
            }
            Err(cache::VolumeError::Unknown(_)) if kind.is_none() => {}
            Err(error) => return Err(containers::find::volume_failure(&error)),
        }
    }
    if wanted("network") {
        match store.network(text) {
            Ok(network) => {
                let there = networks::endpoints(store, &network).all(&networks::alive(store));
                let there = there.map_err(|error| store_failure(&error))?;
                let document = networks::document::document(&network, &there);
                return Ok((document, networks::document::value));
            }
            Err(cache::networks::NetworkRowError::Unknown(_)) if kind.is_none() => {}
            Err(error) => return Err(networks::row_failure(&error)),
        }
    }
    let kind = kind.unwrap_or("object");
    Err(Failure::new(
        Class::Refused,
        format!("No such {kind}: {text}"),
    ))
}

/// With four spaces, as docker indents.
fn pretty(documents: &[&Json]) -> Result<String, Failure> {
    let mut out = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, indent);
    serde::Serialize::serialize(documents, &mut serializer)
        .map_err(|error| Failure::from_error(Class::Ours, &error))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
