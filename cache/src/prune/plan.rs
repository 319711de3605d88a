//! What goes, decided from an inventory alone: no row and no file is looked at.

use std::collections::HashMap;

use image::Digest;
use solver::CacheKey;

use super::filter::PruneOptions;
use super::inventory::Inventory;
use crate::layer::LayerId;
use crate::usage::UsageKind;

/// What goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) records: Vec<CacheKey>,
    /// Layers that nothing needs without those records.
    pub(super) layers: Vec<LayerId>,
    pub(super) mounts: Vec<String>,
    pub(super) contexts: Vec<String>,
    /// Whether what nothing names goes too: layers without a row, and blobs.
    pub(super) garbage: bool,
    hex: Vec<String>,
}

/// Something that may go.
enum Candidate<'a> {
    Record(&'a super::inventory::RecordRow),
    Mount(&'a super::inventory::MountRow),
    Context(&'a super::inventory::ContextFile),
}

impl Candidate<'_> {
    /// The longest unused first, then the least used, then the highest stack: a layer goes only
    /// after all that stand on it.
    fn order(&self) -> (bool, i64, u64, std::cmp::Reverse<usize>) {
        match self {
            Self::Record(record) => (
                true,
                record.used,
                record.uses,
                std::cmp::Reverse(record.stack.len()),
            ),
            Self::Mount(mount) => (!mount.retired, mount.used, mount.uses, std::cmp::Reverse(0)),
            Self::Context(context) => (true, context.used, 1, std::cmp::Reverse(0)),
        }
    }
}

/// The blobs that are not garbage: those of images, and the compressed forms of layers.
struct Forms<'a> {
    inventory: &'a Inventory,
    of: HashMap<&'a LayerId, Vec<&'a Digest>>,
    /// How many layers that stay have each blob as a form.
    uses: HashMap<&'a Digest, usize>,
    /// Bytes of all of them.
    bytes: u64,
}

impl<'a> Forms<'a> {
    fn new(inventory: &'a Inventory, references: &HashMap<&LayerId, usize>) -> Self {
        let mut forms = Self {
            inventory,
            of: HashMap::new(),
            uses: HashMap::new(),
            bytes: 0,
        };
        for (layer, blob) in &inventory.forms {
            if references.contains_key(layer) || inventory.is_needed(layer) {
                forms.of.entry(layer).or_default().push(blob);
                *forms.uses.entry(blob).or_insert(0) += 1;
            }
        }
        let stays = |blob| forms.uses.contains_key(blob) || inventory.keeps_blob(blob);
        let sizes = inventory.blob_sizes.iter();
        forms.bytes = sizes
            .filter(|(blob, _)| stays(blob))
            .map(|(_, size)| size)
            .sum();
        forms
    }

    /// Bytes of the blobs that go with a layer.
    fn without(&mut self, layer: &LayerId) -> u64 {
        let mut freed = 0;
        for blob in self.of.remove(layer).unwrap_or_default() {
            let uses = self.uses.entry(blob).or_insert(1);
            *uses -= 1;
            if *uses == 0 && !self.inventory.keeps_blob(blob) {
                freed += self.inventory.blob_sizes.get(blob).copied().unwrap_or(0);
            }
        }
        freed
    }
}

impl Plan {
    pub(super) fn new(inventory: &Inventory, options: &PruneOptions, now: i64) -> Self {
        let records = inventory.records.iter().filter(|record| {
            let (key, top) = (record.key.hex(), record.stack.last());
            let ids = [key.as_str(), top.map_or("", |id| id.0.as_str())];
            // A stack that is read keeps its record; one that only an image shows, unless asked.
            let kept = top.is_some_and(|id| {
                inventory.pinned.contains(&id.0)
                    || (inventory.image_layers.contains(id) && !options.all)
            });
            !kept
                && !inventory.kept.contains(&record.key)
                && options.wants(UsageKind::Regular, &ids, record.used, now)
        });
        let mounts = inventory
            .mounts
            .iter()
            .filter(|mount| options.wants(UsageKind::CacheMount, &[&mount.id], mount.used, now));
        let contexts = inventory
            .contexts
            .iter()
            .filter(|file| options.wants(UsageKind::Local, &[&file.id], file.used, now));
        let mut candidates: Vec<Candidate<'_>> = records
            .map(Candidate::Record)
            .chain(mounts.map(Candidate::Mount))
            .chain(contexts.map(Candidate::Context))
            .collect();
        candidates.sort_by_key(Candidate::order);

        let mut references = inventory.references();
        // Garbage counts as gone before anything else goes.
        let mut total = inventory.mount_bytes() + inventory.context_bytes();
        for (id, size) in &inventory.layers {
            if references.contains_key(id) || inventory.is_needed(id) {
                total += size;
            }
        }
        let mut forms = Forms::new(inventory, &references);
        total += forms.bytes;
        let mut plan = Self::default();
        for candidate in candidates {
            if options.keep_storage.is_some_and(|keep| total <= keep) {
                break;
            }
            match candidate {
                Candidate::Record(record) => {
                    plan.records.push(record.key);
                    plan.hex.push(record.key.hex());
                    for id in &record.stack {
                        let Some(count) = references.get_mut(id) else {
                            continue;
                        };
                        *count -= 1;
                        if *count == 0 {
                            references.remove(id);
                            if !inventory.is_needed(id) {
                                let freed = inventory.layer_size(id) + forms.without(id);
                                total = total.saturating_sub(freed);
                            }
                        }
                    }
                }
                Candidate::Mount(mount) => {
                    total = total.saturating_sub(mount.size);
                    plan.mounts.push(mount.id.clone());
                }
                Candidate::Context(context) => {
                    total = total.saturating_sub(context.size);
                    plan.contexts.push(context.id.clone());
                }
            }
        }
        plan.garbage = options.kinds.is_empty() || options.kinds.contains(&UsageKind::Regular);
        if plan.garbage {
            plan.layers = inventory
                .layers
                .keys()
                .filter(|id| !references.contains_key(id) && !inventory.is_needed(id))
                .cloned()
                .collect();
            plan.layers.sort();
        }
        plan
    }

    /// The ids of records, mounts and contexts that go.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        [&self.hex, &self.mounts, &self.contexts]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::inventory::{ContextFile, MountRow, RecordRow};
    use super::*;

    const NOW: i64 = 1_000_000;

    fn id(name: &str) -> LayerId {
        LayerId(name.into())
    }

    fn record(number: u8, stack: &str, unused: i64) -> RecordRow {
        RecordRow {
            key: CacheKey([number; 32]),
            stack: crate::records::split_stack(stack),
            name: String::new(),
            created: 0,
            used: NOW - unused,
            uses: 1,
        }
    }

    /// Three builds on one base, ten bytes a layer; `i` is an image's, `p` is pinned, `g` is garbage.
    fn inventory() -> Inventory {
        Inventory {
            records: vec![
                record(1, "base", 100),
                record(2, "base a", 100),
                record(3, "base a b", 100),
                record(4, "base i", 50),
                record(5, "base p", 10),
            ],
            layers: ["base", "a", "b", "i", "p", "g"]
                .iter()
                .map(|name| (id(name), 10))
                .collect(),
            image_layers: [id("base"), id("i")].into(),
            pinned: ["p".to_owned(), "base".to_owned()].into(),
            mounts: vec![MountRow {
                id: "m".into(),
                identity: "x".into(),
                created: 0,
                used: NOW - 70,
                uses: 1,
                size: 10,
                retired: false,
            }],
            contexts: vec![ContextFile {
                id: "c".into(),
                used: NOW - 60,
                size: 10,
            }],
            ..Inventory::default()
        }
    }

    fn keys(plan: &Plan) -> Vec<u8> {
        let mut keys: Vec<u8> = plan.records.iter().map(|key| key.0[0]).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn what_is_to_be_kept_counts_blobs_and_they_go_with_their_layers() {
        let blob = |name: &str| Digest::of(name.as_bytes());
        let mut inventory = inventory();
        inventory.forms = vec![
            (id("a"), blob("packed a")),
            (id("b"), blob("packed b")),
            (id("g"), blob("packed g")),
            (id("i"), blob("packed i")),
        ];
        inventory.blobs = [blob("manifest"), blob("packed i")].into();
        inventory.blob_sizes = [
            "packed a", "packed b", "packed g", "packed i", "manifest", "lost",
        ]
        .iter()
        .map(|name| (blob(name), 100))
        .collect();
        // 70 bytes as below, and four blobs that are not garbage.
        for (keep, records) in [(470, &[][..]), (469, &[3]), (360, &[3]), (359, &[2, 3])] {
            let options = PruneOptions {
                keep_storage: Some(keep),
                ..PruneOptions::default()
            };
            let plan = Plan::new(&inventory, &options, NOW);
            assert_eq!(keys(&plan), records, "{keep}");
        }
    }

    #[test]
    fn what_kept_builds_made_stays() {
        let mut inventory = inventory();
        inventory.kept = [CacheKey([3; 32])].into();
        let options = PruneOptions {
            all: true,
            ..PruneOptions::default()
        };
        let plan = Plan::new(&inventory, &options, NOW);
        assert_eq!(keys(&plan), [2, 4]);
        // The kept record's stack names the layer of the one that goes.
        assert_eq!(plan.layers, [id("g")]);
    }

    #[test]
    fn filters_choose_and_roots_stay() {
        let options = |change: fn(&mut PruneOptions)| {
            let mut options = PruneOptions::default();
            change(&mut options);
            options
        };
        type Case<'a> = (PruneOptions, &'a [u8], &'a [&'a str], usize);
        let cases: [Case<'_>; 9] = [
            (options(|_| ()), &[2, 3], &["a", "b", "g"], 2),
            (options(|o| o.all = true), &[2, 3, 4], &["a", "b", "g"], 2),
            (options(|o| o.garbage_only = true), &[], &["g"], 0),
            (
                options(|o| o.unused_for = Some(Duration::from_secs(65))),
                &[2, 3],
                &["a", "b", "g"],
                1,
            ),
            (
                options(|o| o.kinds = vec![UsageKind::CacheMount]),
                &[],
                &[],
                1,
            ),
            (
                options(|o| o.ids = vec!["0303".into()]),
                &[3],
                &["b", "g"],
                0,
            ),
            (options(|o| o.ids = vec!["a".into()]), &[2], &["g"], 0),
            // 70 bytes without garbage: the highest stack of the longest unused frees ten.
            (options(|o| o.keep_storage = Some(60)), &[3], &["b", "g"], 0),
            (
                options(|o| o.keep_storage = Some(45)),
                &[2, 3],
                &["a", "b", "g"],
                1,
            ),
        ];
        for (options, records, layers, others) in cases {
            let plan = Plan::new(&inventory(), &options, NOW);
            assert_eq!(keys(&plan), records, "{options:?}");
            let names: Vec<&str> = plan.layers.iter().map(|id| id.0.as_str()).collect();
            assert_eq!(names, layers, "{options:?}");
            assert_eq!(
                plan.mounts.len() + plan.contexts.len(),
                others,
                "{options:?}"
            );
        }
    }
}
