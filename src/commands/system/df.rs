//! `system df`: how much room images, containers, volumes and the build cache take.

use std::collections::HashMap;

use cache::usage::UsageItem;
use cache::{LayerId, Store, StoredImage, StoredVolume};

use crate::cli::system::DfArgs;
use crate::columns::{Columns, Row, exact_size};
use crate::containers::list::{self, Listed};
use crate::containers::size;
use crate::home::{Home, store_failure};
use crate::images::{content_size, settle_all};
use crate::output::print;
use crate::report::Failure;
use crate::time::ago;

/// Shows it.
pub fn run(args: &DfArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    settle_all(&store, &crate::stop::on_signal()).map_err(|error| error.failure())?;
    let all = All::read(&store)?;
    if args.verbose && args.format.is_none() {
        return all.each(&store);
    }
    Columns {
        fields: &[
            ("Active", "ACTIVE"),
            ("Reclaimable", "RECLAIMABLE"),
            ("Size", "SIZE"),
            ("TotalCount", "TOTAL"),
            ("Type", "TYPE"),
        ],
        shown: vec!["Type", "TotalCount", "Active", "Size", "Reclaimable"],
    }
    .print(args.format.as_deref(), &all.kinds())?;
    Ok(0)
}

/// Everything that takes room.
struct All {
    images: Vec<StoredImage>,
    /// Bytes of each layer, how many images have it, and whether a container needs it.
    layers: HashMap<LayerId, Shared>,
    containers: Vec<(Listed, u64)>,
    volumes: Vec<(StoredVolume, u64)>,
    records: Vec<UsageItem>,
}

#[derive(Default)]
struct Shared {
    bytes: u64,
    images: usize,
    is_used: bool,
}

impl All {
    fn read(store: &Store) -> Result<Self, Failure> {
        let fail = |error| store_failure(&error);
        let images = store.images().map_err(fail)?;
        let mut containers = Vec::new();
        for row in store.containers().map_err(fail)? {
            if let Some(listed) = Listed::read(store, row)? {
                let bytes = size::own(store, &listed.row);
                containers.push((listed, bytes));
            }
        }
        let mut layers = HashMap::<LayerId, Shared>::new();
        for image in &images {
            for id in image.snapshot.iter().flat_map(|snapshot| &snapshot.layers) {
                let shared = layers.entry(id.clone()).or_default();
                shared.images += 1;
                shared.bytes = content_size(&*store.layer(id).map_err(fail)?);
            }
        }
        for id in containers.iter().flat_map(|(listed, _)| &listed.row.stack) {
            if let Some(shared) = layers.get_mut(id) {
                shared.is_used = true;
            }
        }
        let volumes = store.volumes().map_err(fail)?.into_iter();
        let volumes = volumes.map(|volume| {
            let bytes = size::tree(&store.volume_files(&volume.name));
            (volume, bytes)
        });
        Ok(Self {
            layers,
            containers,
            volumes: volumes.collect(),
            records: store.usage().map_err(fail)?.items,
            images,
        })
    }

    fn users(&self, image: &StoredImage) -> usize {
        let own = |(listed, _): &&(Listed, u64)| listed.row.config == image.config;
        self.containers.iter().filter(own).count()
    }

    /// A line for each kind.
    fn kinds(&self) -> Vec<Row> {
        let packed = |image: &&StoredImage| image.snapshot.is_none();
        let packed = self.images.iter().filter(packed);
        let used = self.images.iter().filter(|image| self.users(image) > 0);
        let layers = |wanted: fn(&&Shared) -> bool| -> u64 {
            self.layers
                .values()
                .filter(wanted)
                .map(|layer| layer.bytes)
                .sum()
        };
        let blobs: u64 = packed.clone().map(|image| image.size).sum();
        let free_blobs: u64 = packed
            .filter(|image| self.users(image) == 0)
            .map(|image| image.size)
            .sum();
        let live = |(listed, _): &&(Listed, u64)| listed.is_live();
        let in_use = |(volume, _): &&(StoredVolume, u64)| !volume.users.is_empty();
        let sum = |bytes: &mut dyn Iterator<Item = u64>| bytes.sum::<u64>();
        vec![
            kind(
                "Images",
                self.images.len(),
                used.count(),
                layers(|_| true) + blobs,
                layers(|layer| !layer.is_used) + free_blobs,
            ),
            kind(
                "Containers",
                self.containers.len(),
                self.containers.iter().filter(live).count(),
                sum(&mut self.containers.iter().map(|(_, bytes)| *bytes)),
                sum(&mut self
                    .containers
                    .iter()
                    .filter(|c| !live(c))
                    .map(|(_, bytes)| *bytes)),
            ),
            kind(
                "Local Volumes",
                self.volumes.len(),
                self.volumes.iter().filter(in_use).count(),
                sum(&mut self.volumes.iter().map(|(_, bytes)| *bytes)),
                sum(&mut self
                    .volumes
                    .iter()
                    .filter(|v| !in_use(v))
                    .map(|(_, bytes)| *bytes)),
            ),
            kind(
                "Build Cache",
                self.records.len(),
                self.records.iter().filter(|item| item.in_use).count(),
                sum(&mut self.records.iter().map(|item| item.unique)),
                sum(&mut self
                    .records
                    .iter()
                    .filter(|item| !item.in_use)
                    .map(|item| item.unique)),
            ),
        ]
    }

    /// A table for each kind.
    fn each(&self, store: &Store) -> anyhow::Result<u8> {
        print("Images space usage:\n\n")?;
        Columns {
            fields: &[
                ("Repository", "REPOSITORY"),
                ("Tag", "TAG"),
                ("ID", "IMAGE ID"),
                ("CreatedSince", "CREATED"),
                ("Size", "SIZE"),
                ("SharedSize", "SHARED SIZE"),
                ("UniqueSize", "UNIQUE SIZE"),
                ("Containers", "CONTAINERS"),
            ],
            shown: vec![
                "Repository",
                "Tag",
                "ID",
                "CreatedSince",
                "Size",
                "SharedSize",
                "UniqueSize",
                "Containers",
            ],
        }
        .print(
            None,
            &self
                .images
                .iter()
                .map(|image| self.image(image))
                .collect::<Vec<_>>(),
        )?;
        print("\nContainers space usage:\n\n")?;
        let lines = self.containers.iter().map(|(listed, bytes)| {
            let mut line = listed.line(store, false, false)?;
            if let Some(at) = list::FIELDS.iter().position(|(name, _)| *name == "Size") {
                line[at] = exact_size(*bytes);
            }
            Ok(line)
        });
        Columns {
            fields: list::FIELDS,
            shown: vec![
                "ID",
                "Image",
                "Command",
                "LocalVolumes",
                "Size",
                "RunningFor",
                "Status",
                "Names",
            ],
        }
        .print(None, &lines.collect::<Result<Vec<_>, Failure>>()?)?;
        print("\nLocal Volumes space usage:\n\n")?;
        let lines = self.volumes.iter().map(|(volume, bytes)| {
            vec![
                volume.name.clone(),
                volume.users.len().to_string(),
                exact_size(*bytes),
            ]
        });
        Columns {
            fields: &[
                ("Name", "VOLUME NAME"),
                ("Links", "LINKS"),
                ("Size", "SIZE"),
            ],
            shown: vec!["Name", "Links", "Size"],
        }
        .print(None, &lines.collect::<Vec<_>>())?;
        let bytes: u64 = self.records.iter().map(|item| item.unique).sum();
        print(&format!("\nBuild cache usage: {}\n\n", exact_size(bytes)))?;
        let lines = self.records.iter().map(|item| {
            vec![
                item.id.chars().take(12).collect(),
                item.kind.name().to_owned(),
                exact_size(item.unique),
                ago(item.created),
                ago(item.used),
                item.uses.to_string(),
                (item.shared > 0).to_string(),
            ]
        });
        Columns {
            fields: &[
                ("ID", "CACHE ID"),
                ("CacheType", "CACHE TYPE"),
                ("Size", "SIZE"),
                ("CreatedSince", "CREATED"),
                ("LastUsedSince", "LAST USED"),
                ("UsageCount", "USAGE"),
                ("Shared", "SHARED"),
            ],
            shown: vec![
                "ID",
                "CacheType",
                "Size",
                "CreatedSince",
                "LastUsedSince",
                "UsageCount",
                "Shared",
            ],
        }
        .print(None, &lines.collect::<Vec<_>>())?;
        Ok(0)
    }

    fn image(&self, image: &StoredImage) -> Row {
        let layers = image.snapshot.iter().flat_map(|snapshot| &snapshot.layers);
        let layers = layers.filter_map(|id| self.layers.get(id));
        let shared: u64 = layers
            .filter(|layer| layer.images > 1)
            .map(|layer| layer.bytes)
            .sum();
        let name = image.tags().next().and_then(|name| name.parse().ok());
        let none = || "<none>".to_owned();
        let (repository, tag) = name.map_or_else(
            || (none(), none()),
            |name: image::ImageRef| (name.familiar_name(), name.tag.unwrap_or_else(none)),
        );
        vec![
            repository,
            tag,
            image.short_id(),
            ago(image.created),
            exact_size(image.size),
            exact_size(shared),
            exact_size(image.size.saturating_sub(shared)),
            self.users(image).to_string(),
        ]
    }
}

fn kind(name: &str, total: usize, active: usize, bytes: u64, free: u64) -> Row {
    let reclaimable = match (free * 100).checked_div(bytes) {
        Some(share) if name != "Build Cache" => format!("{} ({share}%)", exact_size(free)),
        _ => exact_size(free),
    };
    vec![
        active.to_string(),
        reclaimable,
        exact_size(bytes),
        total.to_string(),
        name.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_something() {
        assert_eq!(kind("Images", 1, 0, 200, 50)[1], "50B (25%)");
        assert_eq!(kind("Images", 0, 0, 0, 0)[1], "0B");
    }
}
