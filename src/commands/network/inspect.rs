//! `network inspect`.

use crate::cli::network::NetworkInspectArgs;
use crate::columns::malformed;
use crate::home::{Home, store_failure};
use crate::networks::{alive, document, endpoints, row_failure};
use crate::output::print;
use crate::report::{Class, Failure};
use crate::template::Template;

/// Shows networks; those that are not there are named afterwards.
pub fn run(args: &NetworkInspectArgs, home: &Home) -> anyhow::Result<u8> {
    let template = match args.format.as_deref() {
        None => None,
        Some("json") => Some(Template::parse("{{json .}}")),
        Some(text) => Some(Template::parse(text)),
    };
    let template = template.transpose().map_err(|error| malformed(&error))?;
    let store = home.enter_and_open()?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for text in &args.networks {
        match store.network(text) {
            Ok(network) => {
                let there = endpoints(&store, &network).all(&alive(&store));
                let there = there.map_err(|error| store_failure(&error))?;
                found.push(document::document(&network, &there));
            }
            Err(error) => failures.push(row_failure(&error)),
        }
    }
    match template {
        None => print(&format!("{}\n", pretty(&found)?))?,
        Some(template) => {
            for document in &found {
                match template.render(&document::value(document)) {
                    Ok(text) => print(&format!("{text}\n"))?,
                    Err(error) => failures.push(malformed(&error)),
                }
            }
        }
    }
    Failure::all(failures).map_or(Ok(0), |failure| Err(failure.into()))
}

/// With four spaces, as docker indents.
fn pretty(documents: &[serde_json::Value]) -> Result<String, Failure> {
    let mut out = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, indent);
    serde::Serialize::serialize(documents, &mut serializer)
        .map_err(|error| Failure::from_error(Class::Ours, &error))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
