//! Volumes as docker shows them.

use cache::{Store, StoredVolume};
use serde_json::{Value as Json, json};

use crate::template::{Shape, Value};
use crate::time::written;

/// A volume's JSON.
pub fn document(store: &Store, volume: &StoredVolume) -> Json {
    let or_null = |empty: bool, value: Json| if empty { Json::Null } else { value };
    json!({
        "CreatedAt": written(volume.created),
        "Driver": "local",
        "Labels": or_null(volume.labels.is_empty(), json!(volume.labels)),
        "Mountpoint": store.volume_files(&volume.name).display().to_string(),
        "Name": volume.name,
        "Options": or_null(volume.options.is_empty(), json!(volume.options)),
        "Scope": "local",
    })
}

/// The JSON as docker's types have it.
pub fn value(document: &Json) -> Value {
    let shape = |name: &str| matches!(name, "Labels" | "Options").then_some(Shape::Map);
    Value::of(document, &shape)
}
