//! `volume ls`: lists volumes.

use crate::cli::volume::VolumeListArgs;
use crate::columns::{Columns, custom};
use crate::home::{Home, store_failure};
use crate::output::print;
use crate::volumes::Filter;

const FIELDS: &[(&str, &str)] = &[
    ("Driver", "DRIVER"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Size", "SIZE"),
];

/// Lists volumes by name.
pub fn run(args: &VolumeListArgs, home: &Home) -> anyhow::Result<u8> {
    let filter = Filter::of_list(&args.filters)?;
    let store = home.enter_and_open()?;
    let mut volumes = store.volumes().map_err(|error| store_failure(&error))?;
    volumes.retain(|volume| filter.takes(volume));
    let format = custom(args.format.as_deref());
    if args.quiet && format.is_none() {
        let names: String = volumes
            .iter()
            .flat_map(|volume| [volume.name.as_str(), "\n"])
            .collect();
        print(&names)?;
        return Ok(0);
    }
    let labels: Vec<_> = volumes.iter().map(|volume| volume.labels.clone()).collect();
    let rows: Vec<Vec<String>> = volumes
        .into_iter()
        .map(|volume| {
            let labels = volume.labels.iter();
            let labels: Vec<String> = labels
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            vec![
                "local".to_owned(),
                labels.join(","),
                "N/A".to_owned(),
                store.volume_files(&volume.name).display().to_string(),
                volume.name,
                "local".to_owned(),
                "N/A".to_owned(),
            ]
        })
        .collect();
    Columns {
        fields: FIELDS,
        shown: vec!["Driver", "Name"],
    }
    .print_labelled(format, &rows, &labels)?;
    Ok(0)
}
