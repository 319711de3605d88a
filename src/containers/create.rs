//! Making a container: what flags and image say becomes a document, volumes, a folder and a row.
//! Nothing is started.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use cache::{ContainerRowError, MergedTree, NewVolume, Store, StoredContainer};
use image::ContainerConfig;
use serde_json::{Value as Json, json};

use super::document::{Document, MountKind, MountPoint};
use super::image::Found;
use super::mounts::Wanted;
use super::request::Request;
use super::{env, names};
use crate::home::store_failure;
use crate::report::{Class, Failure};

/// How often a random name is tried.
const ATTEMPTS: u32 = 100;

/// What the daemon of docker would refuse: 1 for `create`, and 125 for `run`.
const REFUSED: Class = Class::Refused;

/// Makes a container; gives its row and its document.
pub fn create(
    store: &Store,
    request: Request,
    image: &Found,
    name: Option<&str>,
) -> Result<(StoredContainer, Document), Failure> {
    let Request {
        mut document,
        mut mounts,
        ..
    } = request;
    let own = &image.config.config;
    document.id = random_id()?;
    document.created = crate::time::now();
    document.image = image.id.to_string();
    document.platform.clone_from(&image.config.os);
    let command = (request.entrypoint, request.command);
    let chosen_dir = document.config.working_dir.clone();
    merge(&mut document, own, &request.image, command)?;
    check_dir(store, image, &chosen_dir)?;
    health(&mut document, request.health, own);
    host_name(&mut document, store)?;
    super::shared::join(store, &mut document)?;
    super::shared::volumes_from(store, &document, &mut mounts)?;
    let mut declared = own.volumes.clone();
    declared.extend(anonymous(&mounts));
    document.config.volumes = (!declared.is_empty()).then(|| declared.clone());
    for destination in declared.keys() {
        if !mounts
            .iter()
            .any(|wanted| wanted.point.destination == *destination)
        {
            mounts.push(unnamed(destination));
        }
    }
    for (at, wanted) in mounts.iter().enumerate() {
        let target = &wanted.point.destination;
        let again = mounts[..at]
            .iter()
            .any(|other| other.point.destination == *target);
        if again || document.host_config.tmpfs.contains_key(target) && !is_declared(own, target) {
            return Err(Failure::new(
                REFUSED,
                format!("Duplicate mount point: {target}"),
            ));
        }
    }
    // A tmpfs takes the place of a volume that only the image declares.
    mounts.retain(|wanted| {
        !document
            .host_config
            .tmpfs
            .contains_key(&wanted.point.destination)
    });
    let mut made = Made::new(store);
    for wanted in mounts {
        document.mounts.push(made.mount(wanted, image)?);
    }
    document
        .mounts
        .sort_by(|a, b| a.destination.cmp(&b.destination));
    document.hooks = super::hooks::chosen(&request.hooks_dirs, &document)?;
    let row = add(store, &document, image, name)?;
    made.kept();
    Ok((row, document))
}

/// Whether the working directory that somebody chose is one in the image, or can be made.
fn check_dir(store: &Store, image: &Found, path: &str) -> Result<(), Failure> {
    if path.is_empty() {
        return Ok(());
    }
    let view = store
        .view(&image.snapshot)
        .map_err(|error| store_failure(&error))?;
    let found = view
        .resolve(path.trim_start_matches('/').as_bytes(), true)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    match found {
        cache::Resolved::Entry(entry) if !matches!(entry.kind, cache::Kind::Dir { .. }) => Err(
            Failure::new(REFUSED, format!("Cannot mkdir: {path} is not a directory")),
        ),
        _ => Ok(()),
    }
}

fn is_declared(image: &ContainerConfig, target: &str) -> bool {
    image.volumes.contains_key(target)
}

/// The folder and the row, under a name that nobody has.
fn add(
    store: &Store,
    document: &Document,
    image: &Found,
    name: Option<&str>,
) -> Result<StoredContainer, Failure> {
    let volumes: Vec<String> = document
        .mounts
        .iter()
        .filter(|point| point.kind == MountKind::Volume)
        .map(|point| point.name.clone())
        .collect();
    let created = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let mut row = StoredContainer {
        id: document.id.clone(),
        name: String::new(),
        manifest: image.manifest,
        config: image.id,
        stack: image.snapshot.layers.clone(),
        created: i64::try_from(created).unwrap_or(i64::MAX),
    };
    for attempt in 0..ATTEMPTS {
        row.name = match name {
            Some(name) => name.strip_prefix('/').unwrap_or(name).to_owned(),
            None => names::name(random()?, attempt),
        };
        let folder = store
            .staging("container")
            .map_err(|error| store_failure(&error))?;
        prepare(folder.path(), document)?;
        match store.add_container(&row, &volumes, &folder) {
            Ok(()) => return Ok(row),
            Err(ContainerRowError::NameTaken { .. }) if name.is_none() => {}
            Err(error) => return Err(super::find::failure(&error)),
        }
    }
    Err(Failure::new(Class::System, "no free name was found"))
}

fn prepare(folder: &Path, document: &Document) -> Result<(), Failure> {
    for dir in ["fs", "work"] {
        let path = folder.join(dir);
        std::fs::create_dir(&path).map_err(|error| crate::export::unwritable(&path, &error))?;
    }
    document.write(folder)
}

/// What the image says where the flags do not.
fn merge(
    document: &mut Document,
    own: &ContainerConfig,
    image: &str,
    (entrypoint, command): (Option<String>, Vec<String>),
) -> Result<(), Failure> {
    let config = &mut document.config;
    image.clone_into(&mut config.image);
    let inherit = |to: &mut String, from: &String| {
        if to.is_empty() {
            to.clone_from(from);
        }
    };
    inherit(&mut config.user, &own.user);
    inherit(&mut config.working_dir, &own.working_dir);
    inherit(&mut config.stop_signal, &own.stop_signal);
    config.env = env::with_image(std::mem::take(&mut config.env), &own.env);
    for (name, value) in &own.labels {
        let label = config.labels.entry(name.clone());
        label.or_insert_with(|| value.clone());
    }
    for (port, value) in &own.exposed_ports {
        let port = if port.contains('/') {
            port.clone()
        } else {
            format!("{port}/tcp")
        };
        config
            .exposed_ports
            .entry(port)
            .or_insert_with(|| value.clone());
    }
    config.shell.clone_from(&own.shell);
    config.on_build = (!own.on_build.is_empty()).then(|| own.on_build.clone());
    let given = (!command.is_empty()).then_some(command);
    (config.entrypoint, config.cmd) = match entrypoint {
        Some(program) => ((!program.is_empty()).then(|| vec![program]), given),
        None => (
            own.entrypoint
                .clone()
                .filter(|entrypoint| !entrypoint.is_empty()),
            given.or_else(|| own.cmd.clone()),
        ),
    };
    let mut words = config
        .entrypoint
        .iter()
        .chain(&config.cmd)
        .flatten()
        .cloned();
    document.path = words.next().ok_or_else(|| {
        Failure::new(REFUSED, "No command specified")
            .help("the image has none: give one after its name")
    })?;
    document.args = words.collect();
    Ok(())
}

/// The health check: flags over the image's, part by part.
fn health(
    document: &mut Document,
    given: Option<image::config::Healthcheck>,
    own: &ContainerConfig,
) {
    document.config.healthcheck = match (given, own.healthcheck.clone()) {
        (None, own) => own,
        (Some(given), None) => Some(given),
        (Some(mut given), Some(own)) => {
            if given.test.is_empty() {
                given.test = own.test;
            }
            let inherit = |to: &mut i64, from: i64| {
                if *to == 0 {
                    *to = from;
                }
            };
            inherit(&mut given.interval, own.interval);
            inherit(&mut given.timeout, own.timeout);
            inherit(&mut given.start_period, own.start_period);
            inherit(&mut given.start_interval, own.start_interval);
            inherit(&mut given.retries, own.retries);
            Some(given)
        }
    };
}

/// The host name: as asked for, the host's where that is shared, else the short id.
fn host_name(document: &mut Document, store: &Store) -> Result<(), Failure> {
    let host = &document.host_config;
    if !document.config.hostname.is_empty() {
        if host.uts_mode == "host" {
            return Err(Failure::new(
                super::ENGINE,
                "conflicting options: hostname and the UTS mode",
            ));
        }
        return Ok(());
    }
    let name = if host.network_mode == "host" || host.uts_mode == "host" {
        host_name_of_machine().unwrap_or_else(|| document.short_id().to_owned())
    } else if let Some(other) = host.network_mode.strip_prefix("container:") {
        let other = super::find::row(store, other)?;
        super::find::document(store, &other)?.config.hostname
    } else {
        document.short_id().to_owned()
    };
    document.config.hostname = name;
    Ok(())
}

fn host_name_of_machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn anonymous(mounts: &[Wanted]) -> BTreeMap<String, Json> {
    mounts
        .iter()
        .filter(|wanted| wanted.is_unnamed())
        .map(|wanted| (wanted.point.destination.clone(), json!({})))
        .collect()
}

fn unnamed(destination: &str) -> Wanted {
    Wanted {
        point: MountPoint {
            driver: "local".to_owned(),
            destination: destination.to_owned(),
            rw: true,
            ..MountPoint::default()
        },
        ..Wanted::default()
    }
}

/// Volumes that were made on the way; removed again when the container is not made after all.
struct Made<'s> {
    store: &'s Store,
    names: Vec<String>,
}

impl<'s> Made<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            store,
            names: Vec::new(),
        }
    }

    fn kept(mut self) {
        self.names.clear();
    }

    /// Finds or makes what is to be mounted.
    fn mount(&mut self, wanted: Wanted, image: &Found) -> Result<MountPoint, Failure> {
        match wanted.point.kind {
            MountKind::Bind => bind(wanted),
            MountKind::Tmpfs => Ok(wanted.point),
            MountKind::Volume => self.volume(wanted, image),
        }
    }

    fn volume(&mut self, wanted: Wanted, image: &Found) -> Result<MountPoint, Failure> {
        let mut point = wanted.point;
        let is_anonymous = point.name.is_empty();
        if is_anonymous {
            point.name = random_id()?;
        }
        let new = self
            .store
            .add_volume(&NewVolume {
                name: point.name.clone(),
                labels: wanted.labels,
                options: wanted.options,
                anonymous: is_anonymous,
            })
            .map_err(|error| super::find::volume_failure(&error))?;
        if new {
            self.names.push(point.name.clone());
        }
        let files = self.store.volume_files(&point.name);
        if !wanted.no_copy && is_empty(&files) {
            crate::threads::start()?;
            let view = self
                .store
                .view(&image.snapshot)
                .map_err(|error| store_failure(&error))?;
            let path = point.destination.trim_start_matches('/');
            MergedTree::new(&view, None)
                .fill_volume(path.as_bytes(), &files)
                .map_err(|error| Failure::from_error(Class::System, &error))?;
        }
        point.source = files.display().to_string();
        Ok(point)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            // One that somebody uses already stays.
            let _ = self.store.remove_volume(name);
        }
    }
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// A directory or file of the host's: that of `-v` is made when it is not there.
fn bind(wanted: Wanted) -> Result<MountPoint, Failure> {
    let mut point = wanted.point;
    let path =
        std::path::absolute(&point.source).map_err(|error| Failure::from_error(REFUSED, &error))?;
    if std::fs::metadata(&path).is_err() {
        if !wanted.make_source {
            return Err(Failure::new(
                REFUSED,
                format!(
                    "invalid mount config for type \"bind\": bind source path does not exist: {}",
                    path.display()
                ),
            ));
        }
        std::fs::create_dir_all(&path).map_err(|error| {
            let mut failure = Failure::new(
                REFUSED,
                format!(
                    "error while creating mount source path '{}'",
                    path.display()
                ),
            );
            failure.causes = vec![error.to_string()];
            failure
        })?;
    }
    point.source = path.display().to_string();
    Ok(point)
}

/// 64 random hexadecimal digits, which are no number: docker's ids are not, so that a short one is
/// a host name.
pub fn random_id() -> Result<String, Failure> {
    loop {
        let id = image::Digest::from_bytes(random()?).hex();
        if id[..12].contains(|c: char| !c.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(bytes)
}
