//! The times in an image's configuration: those at which its layers were made, not that of the
//! build. A build that finds everything in the cache so makes the same image again.

use std::time::{SystemTime, UNIX_EPOCH};

use cache::{Snapshot, Store, StoreError};
use frontend::plan::Target;

/// Sets the times of what a build added to its base. Entries without a layer take the time of the
/// layer before them, the first ones that of the first layer. Times that are somebody's wish
/// (SOURCE_DATE_EPOCH) stay.
pub fn of_layers(
    store: &Store,
    snapshot: &Snapshot,
    target: &mut Target,
) -> Result<(), StoreError> {
    let base = target.base_history.min(target.config.history.len());
    let layers = snapshot.layers.get(target.base_layers..);
    let (old, own) = target.config.history.split_at_mut(base);
    let layers = layers.unwrap_or_default();
    let full = own.iter().filter(|entry| !entry.empty_layer).count();
    if target.epoch.is_some() || own.is_empty() || full != layers.len() {
        return Ok(());
    }
    let times = layers
        .iter()
        .map(|id| Ok(written(store.layer_made(id)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let from_base = old.iter().rev().find_map(|entry| entry.created.clone());
    let mut time = times.first().cloned().or(from_base);
    let mut times = times.into_iter();
    for entry in own {
        if !entry.empty_layer {
            time = times.next().or(time);
        }
        if time.is_some() {
            entry.created.clone_from(&time);
        }
    }
    if time.is_some() {
        target.config.created = time;
    }
    Ok(())
}

fn written(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    image::time::rfc3339(seconds, since.subsec_nanos()).unwrap_or_default()
}
