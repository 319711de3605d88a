//! Devices by name, as the Container Device Interface describes them (<https://github.com/cncf-tags/container-device-interface>).
//!
//! - `file`: what a specification says
//! - `edits`: what a container gets of it
//! - here: which devices there are, which a name means, and which a step may have
//!
//! Knows no step: it gets names, and gives what a container is to be changed by.

mod edits;
mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use self::edits::Edits;
use self::file::{ContainerEdits, Specification};

/// Where specifications are when nothing else is said, the most important last.
pub const DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// Annotation by which devices of several vendors share a name.
const CLASS: &str = "org.mobyproject.buildkit.device.class";
/// Annotation of devices that every step may have.
const AUTO_ALLOW: &str = "org.mobyproject.buildkit.device.autoallow";

/// Why a step does not get its devices.
#[derive(Debug, thiserror::Error)]
pub enum CdiError {
    /// No specification has it.
    #[error("required device {name:?} is not registered{}", if broken.is_empty() { String::new() } else { format!(" ({broken})") })]
    NotRegistered {
        /// As it was asked for.
        name: String,
        /// Specifications that could not be read.
        broken: String,
    },
    /// It is there, and nobody said that it may be used.
    #[error("{} requested by the build but not allowed", several(names))]
    NotAllowed {
        /// Their full names.
        names: Vec<String>,
    },
    /// A device changes a container in a way that is not done.
    #[error("device {device} needs {what}, which is not supported")]
    Unsupported {
        /// Its full name.
        device: String,
        /// What it needs.
        what: String,
    },
    /// A node or file of a device is not as its specification says.
    #[error("device {device}: {path}: {why}", path = path.display())]
    Host {
        /// The device's full name.
        device: String,
        /// The node or file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// `--allow device=…` that means nothing.
    #[error("--allow device={text}: {why}")]
    BadEntitlement {
        /// As it was written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

fn several(names: &[String]) -> String {
    match names {
        [name] => format!("device {name} is"),
        names => format!("devices {} are", names.join(", ")),
    }
}

/// A device that a step asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// `vendor.com/class=name`, `vendor.com/class=*`, `vendor.com/class` for the first of them, or
    /// the class that an annotation gives.
    pub name: &'a str,
    /// Whether the step cannot be without it.
    pub required: bool,
}

/// What `--allow device` grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    all: bool,
    names: BTreeSet<String>,
    /// Names that stand for another device.
    aliases: BTreeMap<String, String>,
}

impl Allowed {
    /// Adds one `--allow device[=NAME[,alias=ALIAS]]`; `text` is what follows `device`.
    ///
    /// # Errors
    /// [`CdiError::BadEntitlement`].
    pub fn add(&mut self, text: &str) -> Result<(), CdiError> {
        let Some(text) = text.strip_prefix('=').filter(|text| !text.is_empty()) else {
            self.all = true;
            return Ok(());
        };
        let bad = |why: &str| CdiError::BadEntitlement {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        let mut fields = text.split(',');
        let name = fields.next().unwrap_or_default();
        if name.is_empty() {
            return Err(bad("the name is missing"));
        }
        let mut alias = None;
        for field in fields {
            match field.split_once('=') {
                Some(("alias", name)) if !name.is_empty() => alias = Some(name.to_owned()),
                _ => return Err(bad("only alias=NAME can follow a device's name")),
            }
        }
        match alias {
            Some(alias) => drop(self.aliases.insert(alias, name.to_owned())),
            None => drop(self.names.insert(name.to_owned())),
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One device of one specification.
#[derive(Debug)]
struct Registered {
    /// Which directory it is from; a later one wins.
    priority: usize,
    specification: PathBuf,
    annotations: BTreeMap<String, String>,
    /// Of the whole specification.
    shared: ContainerEdits,
    own: ContainerEdits,
    is_double: bool,
}

/// The devices of this machine.
#[derive(Debug, Default)]
pub struct Registry {
    devices: BTreeMap<String, Registered>,
    /// Specifications that could not be read, with the reasons.
    broken: Vec<String>,
}

impl Registry {
    /// Reads the specifications of directories, the most important last. One that cannot be read is
    /// passed over, and named when a device is not found.
    pub fn read(directories: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for (priority, directory) in directories.iter().enumerate() {
            for path in file::list(directory) {
                match file::read(&path) {
                    Ok(specification) => registry.add(&path, priority, specification),
                    Err(why) => registry.broken.push(format!("{}: {why}", path.display())),
                }
            }
        }
        let mut doubles = Vec::new();
        registry.devices.retain(|name, device| {
            if device.is_double {
                doubles.push(format!("{name} is in two files of one directory"));
            }
            !device.is_double
        });
        registry.broken.extend(doubles);
        registry
    }

    fn add(&mut self, path: &Path, priority: usize, specification: Specification) {
        for device in specification.devices {
            let name = format!("{}={}", specification.kind, device.name);
            let mut annotations = specification.annotations.clone();
            annotations.extend(device.annotations);
            let known = self.devices.get_mut(&name);
            if let Some(known) = known.filter(|known| known.priority == priority) {
                known.is_double = true;
                continue;
            }
            let registered = Registered {
                priority,
                specification: path.to_owned(),
                annotations,
                shared: specification.container_edits.clone(),
                own: device.container_edits,
                is_double: false,
            };
            self.devices.insert(name, registered);
        }
    }

    /// The full names that `name` means, in order.
    pub fn find(&self, name: &str) -> Vec<&str> {
        let names = || self.devices.keys().map(String::as_str);
        let (kind, device) = name.split_once('=').unwrap_or((name, ""));
        let mut found: Vec<&str> = Vec::new();
        if kind.contains('/') {
            let of_kind = names().filter(|known| {
                let rest = known.strip_prefix(kind);
                rest.is_some_and(|rest| rest.starts_with('='))
            });
            found = match device {
                "" => of_kind.take(1).collect(),
                "*" => of_kind.collect(),
                _ => names().filter(|known| *known == name).collect(),
            };
        }
        if found.is_empty() {
            let of_class = self.devices.iter().filter(|(_, device)| {
                let class = device.annotations.get(CLASS);
                class.is_some_and(|class| class == name)
            });
            found = of_class.map(|(known, _)| known.as_str()).collect();
        }
        found
    }

    /// The full names of the devices that a step gets, each once.
    ///
    /// # Errors
    /// [`CdiError::NotRegistered`]; [`CdiError::NotAllowed`], also for a device that nobody has and
    /// that could be done without when nothing at all is allowed: who wrote it should know.
    pub fn grant(
        &self,
        requests: &[Request<'_>],
        allowed: &Allowed,
    ) -> Result<Vec<String>, CdiError> {
        let mut granted: Vec<String> = Vec::new();
        let mut forbidden = Vec::new();
        let open: BTreeSet<&str> = { allowed.names.iter() }
            .flat_map(|name| self.find(name))
            .collect();
        for request in requests {
            let alias = allowed.aliases.get(request.name);
            let found = self.find(alias.map_or(request.name, String::as_str));
            if found.is_empty() && request.required {
                return Err(CdiError::NotRegistered {
                    name: request.name.to_owned(),
                    broken: self.broken.join("; "),
                });
            }
            if found.is_empty() && allowed.is_empty() {
                forbidden.push(request.name.to_owned());
            }
            for name in found {
                let is_allowed = allowed.all
                    || alias.is_some()
                    || open.contains(name)
                    || self.devices[name].is_free();
                let list = if is_allowed {
                    &mut granted
                } else {
                    &mut forbidden
                };
                if !list.iter().any(|known| known == name) {
                    list.push(name.to_owned());
                }
            }
        }
        if forbidden.is_empty() {
            Ok(granted)
        } else {
            Err(CdiError::NotAllowed { names: forbidden })
        }
    }

    /// What a container with these devices is changed by.
    ///
    /// # Errors
    /// [`CdiError::Unsupported`], [`CdiError::Host`].
    pub fn edits(&self, names: &[String]) -> Result<Edits, CdiError> {
        let mut edits = Edits::default();
        let mut seen = BTreeSet::new();
        for name in names {
            let Some(device) = self.devices.get(name) else {
                continue;
            };
            if seen.insert(&device.specification) {
                edits.add(name, &device.shared)?;
            }
            edits.add(name, &device.own)?;
        }
        Ok(edits)
    }
}

impl Registered {
    fn is_free(&self) -> bool {
        let free = self.annotations.get(AUTO_ALLOW).map(String::as_str);
        matches!(free, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}
