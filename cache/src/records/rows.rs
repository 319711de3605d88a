//! The rows behind [`Records`](super::Records).

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use solver::op::EnvOrigin;
use solver::traits::NewRecord;
use solver::{CacheKey, DefinitionKey, Found, KeyPreimage, Op, StateDigest, Vertex};

use super::{pack, preimage};
use crate::database::now;
use crate::layer::LayerId;
use crate::snapshot::Snapshot;

/// A record as a look-up sees it.
pub(super) struct FoundRow {
    pub(super) found: Found<Snapshot>,
    pub(super) used: i64,
}

/// The columns that [`found_row`] reads.
const FOUND: &str = "r.key, r.stack, r.digests, r.state, r.preimage, r.used";

/// None for a record that this program cannot read: it is no record for it.
fn found_row(row: &Row<'_>) -> rusqlite::Result<Option<FoundRow>> {
    let layers = split_stack(row.get_ref(1)?.as_str()?);
    let digests = pack::read_digests(row.get_ref(2)?.as_blob()?);
    let preimage = preimage::read(row.get_ref(4)?.as_blob()?);
    let (Some(digests), Some(preimage)) = (digests, preimage) else {
        return Ok(None);
    };
    if digests.len() != layers.len() {
        return Ok(None);
    }
    Ok(Some(FoundRow {
        found: Found {
            key: CacheKey(row.get(0)?),
            preimage,
            output: Snapshot {
                layers,
                digests,
                state: StateDigest(row.get(3)?),
            },
            inputs: Vec::new(),
            remote: false,
        },
        used: row.get(5)?,
    }))
}

pub(super) fn find(connection: &Connection, key: &CacheKey) -> rusqlite::Result<Option<FoundRow>> {
    let found = connection
        .prepare_cached(&format!("SELECT {FOUND} FROM records r WHERE r.key = ?1"))?
        .query_row([key.0], found_row)
        .optional()?;
    Ok(found.flatten())
}

/// The records of many definitions, with their positions, in one query.
pub(super) fn find_definitions(
    connection: &Connection,
    definitions: &[DefinitionKey],
) -> rusqlite::Result<Vec<(usize, FoundRow)>> {
    // A JSON list is the one kind of table that a parameter can be.
    let mut list = String::with_capacity(definitions.len() * 67 + 2);
    for definition in definitions {
        list.push(if list.is_empty() { '[' } else { ',' });
        list.push('"');
        list.push_str(&definition.hex());
        list.push('"');
    }
    list.push(']');
    let mut query = connection.prepare_cached(&format!(
        "SELECT {FOUND}, j.key, a.inputs FROM json_each(?1) j
         JOIN aliases a ON a.definition = unhex(j.value)
         JOIN records r ON r.key = a.key"
    ))?;
    let mut rows = query.query([list])?;
    let mut found = Vec::with_capacity(definitions.len());
    while let Some(row) = rows.next()? {
        let inputs = pack::read_inputs(row.get_ref(7)?.as_blob()?);
        if let (Some(mut record), Some(inputs)) = (found_row(row)?, inputs) {
            record.found.inputs = inputs;
            found.push((row.get::<_, i64>(6)? as usize, record));
        }
    }
    Ok(found)
}

pub(super) fn alias(
    transaction: &Transaction<'_>,
    definition: &DefinitionKey,
    key: &CacheKey,
    inputs: &[Option<StateDigest>],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO aliases VALUES (?1, ?2, ?3)")?
        .execute((definition.0, key.0, pack::write_inputs(inputs)))?;
    Ok(())
}

pub(super) fn store(
    transaction: &Transaction<'_>,
    record: &NewRecord<'_, Snapshot>,
    project: &str,
) -> rusqlite::Result<()> {
    let meta = &record.vertex.meta;
    let stack: Vec<&str> = record
        .output
        .layers
        .iter()
        .map(|id| id.0.as_str())
        .collect();
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO records
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, 1, ?13)",
        )?
        .execute(params![
            record.key.0,
            stack.join(" "),
            pack::write_digests(&record.output.digests),
            record.output.state.0,
            preimage::write(record.preimage),
            record.preimage.kind,
            project,
            meta.stage,
            meta.step,
            meta.name,
            origins(record.vertex),
            now(),
            record.elapsed.as_micros() as i64,
        ])?;
    transaction
        .prepare_cached("DELETE FROM tombstones WHERE key = ?1")?
        .execute([record.key.0])?;
    alias(transaction, &record.definition, &record.key, record.inputs)
}

/// Removes a record with its aliases, and notes why.
pub(crate) fn bury(
    transaction: &Transaction<'_>,
    key: &CacheKey,
    reason: &str,
) -> rusqlite::Result<()> {
    let there = transaction
        .prepare_cached("DELETE FROM records WHERE key = ?1")?
        .execute([key.0])?;
    transaction
        .prepare_cached("DELETE FROM aliases WHERE key = ?1")?
        .execute([key.0])?;
    if there > 0 {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO tombstones VALUES (?1, ?2, ?3)")?
            .execute(params![key.0, reason, now()])?;
    }
    Ok(())
}

/// The layer ids of a `stack` column.
pub(crate) fn split_stack(stack: &str) -> Vec<LayerId> {
    stack
        .split_ascii_whitespace()
        .map(|id| LayerId(id.to_owned()))
        .collect()
}

/// An earlier record, as an explanation sees it.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) key: CacheKey,
    pub(crate) preimage: KeyPreimage,
    pub(crate) step: u32,
    pub(crate) name: String,
    pub(crate) origins: BTreeMap<String, EnvOrigin>,
}

/// The latest records of the same project, stage and kind; newest first.
pub(crate) fn remembered(
    connection: &Connection,
    project: &str,
    vertex: &Vertex,
    kind: &str,
) -> rusqlite::Result<Vec<Remembered>> {
    const MANY: i64 = 64;
    let mut query = connection.prepare_cached(
        "SELECT preimage, step, name, origins, key FROM records
         WHERE project = ?1 AND stage = ?2 AND kind = ?3
         ORDER BY created DESC, rowid DESC LIMIT ?4",
    )?;
    let rows = query.query_map(params![project, vertex.meta.stage, kind, MANY], |row| {
        let (step, name, origins) = (row.get(1)?, row.get(2)?, row.get::<_, String>(3)?);
        let preimage = preimage::read(row.get_ref(0)?.as_blob()?);
        let key = CacheKey(row.get(4)?);
        Ok(preimage.map(|preimage| Remembered {
            key,
            preimage,
            step,
            name,
            origins: serde_json::from_str(&origins).unwrap_or_default(),
        }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// The name and kind of the step that left a state, if there is a record of one.
pub(crate) fn maker(
    connection: &Connection,
    state: &StateDigest,
) -> rusqlite::Result<Option<(String, String)>> {
    connection
        .prepare_cached(
            "SELECT name, kind FROM records WHERE state = ?1 ORDER BY created DESC LIMIT 1",
        )?
        .query_row([state.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Why the record of a key is gone, if there was one.
pub(crate) fn tombstone(
    connection: &Connection,
    key: &CacheKey,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT reason FROM tombstones WHERE key = ?1")?
        .query_row([key.0], |row| row.get(0))
        .optional()
}

/// Who set each variable of a step, as JSON: so that a later miss can name the instruction.
fn origins(vertex: &Vertex) -> String {
    let Op::Exec(exec) = &vertex.op else {
        return "{}".to_owned();
    };
    let origins: BTreeMap<&str, EnvOrigin> = exec
        .env
        .iter()
        .map(|variable| (variable.name.as_str(), variable.origin))
        .collect();
    serde_json::to_string(&origins).unwrap_or_default()
}
