//! Targets and parameters, as tables for people and with BuildKit's fields for programs.

use frontend::outline::{MountOutline, Outline, TargetOutline};
use serde_json::{Map, Value, json};

use crate::findings::{ranges, source_base64};
use crate::report::Source;

/// What a stage without a name is called.
const NAMELESS: &str = "(default)";

pub(super) fn targets(targets: &[TargetOutline]) -> String {
    let rows = targets.iter().map(|target| {
        let name = match (&target.name, target.is_default) {
            (Some(name), true) => format!("{name} {NAMELESS}"),
            (Some(name), false) => name.clone(),
            (None, true) => NAMELESS.to_owned(),
            (None, false) => String::new(),
        };
        let platform = target.platform.clone().unwrap_or_default();
        let description = target.description.clone().unwrap_or_default();
        vec![name, target.base.clone(), platform, description]
    });
    table(&["TARGET", "BASE", "PLATFORM", "DESCRIPTION"], rows)
}

pub(super) fn targets_json(targets: &[TargetOutline], source: &Source) -> String {
    let targets = targets.iter().map(|target| {
        fields([
            ("name", target.name.as_ref().map(|name| json!(name))),
            ("default", target.is_default.then(|| json!(true))),
            (
                "description",
                target.description.as_ref().map(|text| json!(text)),
            ),
            ("base", Some(json!(target.base))),
            ("platform", target.platform.as_ref().map(|text| json!(text))),
            ("location", Some(location(source, target.span))),
        ])
    });
    let targets: Vec<Value> = targets.collect();
    let all = json!({ "targets": targets, "sources": [source_base64(source)] });
    format!("{all:#}\n")
}

pub(super) fn outline(outline: &Outline) -> String {
    let mut parts = Vec::new();
    if outline.name.is_some() || outline.description.is_some() {
        let name = outline.name.as_deref().unwrap_or(NAMELESS);
        let mut part = format!("TARGET:      {name}\n");
        if let Some(description) = &outline.description {
            part.push_str(&format!("DESCRIPTION: {description}\n"));
        }
        parts.push(part);
    }
    if !outline.args.is_empty() {
        let rows = outline.args.iter().map(|arg| {
            let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![
                arg.name.clone(),
                or_nothing(&arg.value),
                or_nothing(&arg.description),
            ]
        });
        parts.push(table(&["BUILD ARG", "VALUE", "DESCRIPTION"], rows));
    }
    let mounts = |list: &[MountOutline], title: &str| {
        let rows = list.iter().map(|mount| {
            let required = if mount.required { "true" } else { "" };
            vec![mount.id.clone(), required.to_owned()]
        });
        (!list.is_empty()).then(|| table(&[title, "REQUIRED"], rows))
    };
    parts.extend(mounts(&outline.secrets, "SECRET"));
    parts.extend(mounts(&outline.ssh, "SSH"));
    if !outline.caches.is_empty() {
        let rows = outline.caches.iter().map(|cache| vec![cache.id.clone()]);
        parts.push(table(&["CACHE"], rows));
    }
    parts.join("\n")
}

pub(super) fn outline_json(outline: &Outline, source: &Source) -> String {
    let args = outline.args.iter().map(|arg| {
        let of = |text: &Option<String>| {
            let text = text.as_ref().filter(|text| !text.is_empty());
            text.map(|text| json!(text))
        };
        fields([
            ("name", Some(json!(arg.name))),
            ("description", of(&arg.description)),
            ("value", of(&arg.value)),
            ("location", Some(location(source, arg.span))),
        ])
    });
    let mounts = |list: &[MountOutline], name: &'static str| {
        let list = list.iter().map(|mount| {
            fields([
                (name, Some(json!(mount.id))),
                ("required", mount.required.then(|| json!(true))),
                ("location", Some(location(source, mount.span))),
            ])
        });
        list_of(list.collect())
    };
    let all = fields([
        ("name", outline.name.as_ref().map(|name| json!(name))),
        (
            "description",
            outline.description.as_ref().map(|text| json!(text)),
        ),
        ("args", list_of(args.collect())),
        ("secrets", mounts(&outline.secrets, "name")),
        ("ssh", mounts(&outline.ssh, "name")),
        ("cache", mounts(&outline.caches, "ID")),
        ("sources", Some(json!([source_base64(source)]))),
    ]);
    format!("{all:#}\n")
}

/// An object of the fields that have a value.
fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn list_of(list: Vec<Value>) -> Option<Value> {
    (!list.is_empty()).then_some(Value::Array(list))
}

fn location(source: &Source, span: solver::Span) -> Value {
    json!({ "ranges": ranges(&source.text, span) })
}

/// Columns as wide as their widest entry; those without any are left out.
fn table(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.collect();
    let width = |column: usize| {
        let entries = rows.iter().filter_map(|row| row.get(column));
        entries
            .map(|entry| entry.chars().count())
            .max()
            .unwrap_or(0)
    };
    let columns: Vec<(usize, usize)> = titles
        .iter()
        .enumerate()
        .filter(|(column, _)| *column == 0 || width(*column) > 0)
        .map(|(column, title)| (column, width(column).max(title.len())))
        .collect();
    let head: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (column, width) in &columns {
            let entry = row.get(*column).map(String::as_str).unwrap_or_default();
            line.push_str(&format!("{entry:<width$}   ", width = *width));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
