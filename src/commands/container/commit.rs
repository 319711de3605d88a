//! `commit`: an image of what a container changed.

use cache::{Snapshot, Store, StoredContainer};
use executor::monitor::{Control, MonitorError};
use image::{ContainerConfig, History, ImageConfig};
use solver::LayerDigest;

use crate::cli::container::CommitArgs;
use crate::containers::document::Config;
use crate::containers::{changes, find};
use crate::export::parse_name;
use crate::home::{Home, store_failure};
use crate::images::{changed, seal};
use crate::output::print;
use crate::report::{Class, Failure};

/// Makes the image, and prints its id.
pub fn run(args: &CommitArgs, home: &Home) -> anyhow::Result<u8> {
    let names = args.name.as_deref().map(parse_name).transpose();
    let names = names.map_err(Failure::refused)?;
    let store = home.enter_and_open()?;
    let row = find::row(&store, &args.container)?;
    let mut config = image_config(&store, &row)?;
    let document = find::document(&store, &row)?;
    config.config = of_container(&document.config, std::mem::take(&mut config.config));
    config.config = changed(Some(&config), &args.changes).map_err(Failure::refused)?;
    let below = changes::below(&store, &row)?;
    let pinned = store
        .pin(&row.stack)
        .map_err(|error| store_failure(&error))?;
    let _pin = pinned.ok_or_else(|| {
        Failure::new(
            Class::System,
            format!("the layers of container {} are not all there", row.name),
        )
    })?;
    let mut snapshot = snapshot(&store, &row)?;
    let still = Still::of(&store, &row, args.pause)?;
    let own = changes::own(&store, &row, &below)?;
    let is_empty = own.is_empty();
    if !is_empty {
        let layer = store
            .new_layer()
            .and_then(|new| new.commit_copied(&own, &below))
            .map_err(|error| store_failure(&error))?;
        snapshot.push(layer.id, LayerDigest::Change(layer.change));
    }
    drop(still);
    let now = crate::time::now();
    config.created = Some(now.clone());
    config.author = args.author.clone().unwrap_or_default();
    config.history.push(History {
        created: Some(now),
        created_by: document.config.cmd.unwrap_or_default().join(" "),
        author: config.author.clone(),
        comment: args.message.clone().unwrap_or_default(),
        empty_layer: is_empty,
    });
    let cancel = crate::stop::on_signal();
    let sealed = seal(&store, &snapshot, &config, names.as_slice(), &cancel)
        .map_err(|error| error.failure())?;
    print(&format!("{}\n", sealed.id))?;
    Ok(0)
}

/// The configuration of a container's image.
fn image_config(store: &Store, row: &StoredContainer) -> Result<ImageConfig, Failure> {
    let bytes = store
        .blobs()
        .read(&row.config)
        .map_err(|error| store_failure(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(
            Class::System,
            format!("the configuration {} is damaged: {error}", row.config),
        )
    })
}

/// The stack of a container, as its image has it.
fn snapshot(store: &Store, row: &StoredContainer) -> Result<Snapshot, Failure> {
    let image = store
        .image_by_manifest(&row.manifest)
        .map_err(|error| store_failure(&error))?;
    if let Some(known) = image.and_then(|image| image.snapshot)
        && known.layers == row.stack
    {
        return Ok(known);
    }
    let mut snapshot = Snapshot::new([]);
    for id in &row.stack {
        let layer = store.layer(id).map_err(|error| store_failure(&error))?;
        let digest = match layer.diff_id {
            Some(diff_id) => LayerDigest::Base(diff_id),
            None => LayerDigest::Change(layer.change),
        };
        snapshot.push(id.clone(), digest);
    }
    Ok(snapshot)
}

/// What the container was started with becomes what its image starts with; what is not in a
/// container's description stays as the image had it.
fn of_container(config: &Config, old: ContainerConfig) -> ContainerConfig {
    ContainerConfig {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.clone(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        healthcheck: config.healthcheck.clone(),
        volumes: config.volumes.clone().unwrap_or_default(),
        working_dir: config.working_dir.clone(),
        on_build: config.on_build.clone().unwrap_or_default(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        shell: config.shell.clone(),
        ..old
    }
}

/// A container that stands still as long as this lives, if it ran.
struct Still(Option<Control>);

impl Still {
    fn of(store: &Store, row: &StoredContainer, pause: bool) -> Result<Self, Failure> {
        find::status(store, row)?;
        let control = if pause {
            find::control(store, row)?
        } else {
            None
        };
        let Some(mut control) = control else {
            return Ok(Self(None));
        };
        match control.pause() {
            Ok(()) => Ok(Self(Some(control))),
            Err(MonitorError::Paused | MonitorError::NotRunning | MonitorError::Ended) => {
                Ok(Self(None))
            }
            Err(error) => Err(find::monitor_failure(&error)
                .help("--pause=false takes the files while it goes on")),
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if let Some(control) = &mut self.0 {
            // One that ended meanwhile needs it no more.
            let _ = control.unpause();
        }
    }
}
