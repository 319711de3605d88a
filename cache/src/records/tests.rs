//! Records found by key and by definition, in many processes.

use std::time::Duration;

use solver::op::MakeDirOp;
use solver::{ChangeDigest, Component, LayerDigest, Op, VertexMeta};

use super::*;
use crate::store::samples;

fn vertex(step: u32) -> Vertex {
    Vertex {
        op: Op::MakeDir(MakeDirOp {
            path: "/x".into(),
            mode: 0o755,
            owner: String::new(),
            epoch: None,
        }),
        inputs: Vec::new(),
        meta: VertexMeta {
            name: format!("step {step}"),
            stage: "build".into(),
            step,
            ..VertexMeta::default()
        },
    }
}

fn preimage(value: &str) -> KeyPreimage {
    KeyPreimage {
        kind: "workdir".into(),
        behaviour: 1,
        components: vec![Component {
            name: "path".into(),
            value: value.into(),
        }],
    }
}

fn snapshot(store: &Store, changes: &[u8]) -> Snapshot {
    Snapshot::new(changes.iter().map(|change| {
        let digest = LayerDigest::Change(ChangeDigest([*change; 32]));
        (samples::layer(store, *change), digest)
    }))
}

fn keep(records: &Records, value: &str, definition: u8, output: &Snapshot) -> CacheKey {
    let preimage = preimage(value);
    records
        .store(&NewRecord {
            key: preimage.key(),
            preimage: &preimage,
            definition: DefinitionKey([definition; 32]),
            inputs: &[Some(output.state), None],
            vertex: &vertex(1),
            output,
            elapsed: Duration::from_millis(5),
        })
        .unwrap();
    preimage.key()
}

#[test]
fn a_record_is_found_by_key_and_by_definition_with_its_whole_stack() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let output = snapshot(&store, &[1, 2, 3]);
    let key = keep(&records, "a", 7, &output);
    let found = records.find(&key).unwrap().unwrap();
    assert_eq!((found.key, &found.output), (key, &output));
    assert_eq!(found.preimage, preimage("a"));
    let unknown = DefinitionKey([8; 32]);
    let all = records
        .find_definitions(&[unknown, DefinitionKey([7; 32]), unknown])
        .unwrap();
    assert!(all[0].is_none() && all[2].is_none());
    let by_definition = all[1].as_ref().unwrap();
    assert_eq!(by_definition.output, output);
    assert_eq!(by_definition.inputs, [Some(output.state), None]);
}

#[test]
fn a_definition_is_answered_by_the_last_one_only() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let output = snapshot(&store, &[1]);
    let first = keep(&records, "a", 7, &output);
    let second = keep(&records, "b", 7, &output);
    let definition = DefinitionKey([7; 32]);
    let answer = |records: &Records| {
        records.find_definitions(&[definition]).unwrap()[0]
            .as_ref()
            .map(|found| found.key)
    };
    assert_eq!(answer(&records), Some(second));
    records.alias(&definition, &first, &[]).unwrap();
    assert_eq!(answer(&records), Some(first));
}

#[test]
fn a_forced_step_replaces_its_record() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let key = keep(&records, "a", 7, &snapshot(&store, &[1]));
    let newer = snapshot(&store, &[2]);
    assert_eq!(keep(&records, "a", 7, &newer), key);
    assert_eq!(records.find(&key).unwrap().unwrap().output, newer);
}

#[test]
fn a_record_whose_layer_is_gone_is_a_miss_that_says_so() {
    let (_dir, store) = samples::store();
    let other = Store::open(crate::StoreOptions::new(store.root())).unwrap();
    let records = Records::new(&store, "p");
    let output = snapshot(&store, &[1, 2]);
    let key = keep(&records, "a", 7, &output);
    // Somebody deletes a layer by hand; another process, which has not pinned it yet, notices.
    std::fs::remove_dir_all(store.layer_dir(&output.layers[0])).unwrap();
    let theirs = Records::new(&other, "p");
    assert!(theirs.pin(&key, &output).unwrap().is_none());
    assert!(theirs.find(&key).unwrap().is_none());
    let definition = DefinitionKey([7; 32]);
    assert!(theirs.find_definitions(&[definition]).unwrap()[0].is_none());
    let reason = theirs.explain(&vertex(1), &preimage("a")).unwrap();
    assert_eq!(reason, "its files were lost or damaged");
}

#[test]
fn uses_are_noted_seldom_and_never_waited_for() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let key = keep(&records, "a", 7, &snapshot(&store, &[1]));
    let uses = || -> i64 {
        store
            .database()
            .read("look", |c| {
                c.query_row("SELECT uses FROM records", [], |row| row.get(0))
            })
            .unwrap()
    };
    records.find(&key).unwrap();
    records.note_uses().unwrap();
    assert_eq!(uses(), 1, "it was used just now");
    let age = || {
        store
            .database()
            .write("age", |t| {
                t.execute("UPDATE records SET used = used - 10000", [])
                    .unwrap();
                Ok(())
            })
            .unwrap();
    };
    age();
    records.find(&key).unwrap();
    store
        .database()
        .write("hold the lock", |_| records.note_uses())
        .unwrap();
    assert_eq!(uses(), 1, "somebody else was writing");
    records.find(&key).unwrap();
    drop(records);
    assert_eq!(uses(), 2);
}

#[test]
fn who_only_looks_changes_nothing() {
    let (_dir, store) = samples::store();
    let output = snapshot(&store, &[1]);
    let key = keep(&Records::new(&store, "p"), "a", 7, &output);
    let row = || -> (i64, i64) {
        let age = "UPDATE records SET used = used - 10000";
        let db = store.database();
        let aged = db.write("age", |t| Ok(t.execute(age, []).unwrap()));
        assert_eq!(aged.unwrap(), 1, "the record is there");
        let query = "SELECT uses, used FROM records";
        db.read("look", |c| {
            c.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
        })
        .unwrap()
    };
    let before = row();
    let looking = Records::new(&store, "p").only_looking();
    assert!(looking.find(&key).unwrap().is_some());
    assert!(looking.pin(&key, &output).unwrap().is_some());
    let definition = DefinitionKey([7; 32]);
    assert!(looking.find_definitions(&[definition]).unwrap()[0].is_some());
    drop(looking);
    assert_eq!(row(), (before.0, before.1 - 10000));
}

#[test]
fn a_row_of_another_form_is_no_record() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let key = keep(&records, "a", 7, &snapshot(&store, &[1]));
    store
        .database()
        .write("spoil", |t| {
            t.execute("UPDATE records SET preimage = x'ff00'", [])
                .unwrap();
            Ok(())
        })
        .unwrap();
    assert!(records.find(&key).unwrap().is_none());
    assert!(records.find_definitions(&[DefinitionKey([7; 32])]).unwrap()[0].is_none());
}

#[test]
fn thousands_of_definitions_are_one_query() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let output = snapshot(&store, &[1]);
    let definition = |number: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        DefinitionKey(key)
    };
    let db = store.database();
    db.write("fill", |transaction| {
        for number in 0..5000_u32 {
            let preimage = preimage(&number.to_string());
            let vertex = vertex(number);
            let record = NewRecord {
                key: preimage.key(),
                preimage: &preimage,
                definition: definition(number),
                inputs: &[],
                vertex: &vertex,
                output: &output,
                elapsed: Duration::ZERO,
            };
            rows::store(transaction, &record, "p").unwrap();
        }
        Ok(())
    })
    .unwrap();
    let wanted: Vec<_> = (0..6000).rev().map(definition).collect();
    let found = records.find_definitions(&wanted).unwrap();
    assert_eq!(found.iter().flatten().count(), 5000);
    let key = preimage("4999").key();
    assert_eq!(found[1000].as_ref().unwrap().key, key);
    assert!(found[999].is_none());
}
