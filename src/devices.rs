//! The devices of a build's steps: asked of the registry before anything runs, so that a step without
//! its devices is known at once, and refused though its result is in the cache.

use std::collections::HashMap;
use std::path::PathBuf;

use executor::cdi::{Allowed, CdiError, DIRECTORIES, Edits, Registry, Request};
use frontend::BuildPlan;
use solver::{Op, VertexId};

use crate::report::{Class, Failure, Source};

/// What is said of devices.
#[derive(Debug, Clone, Default)]
pub struct Devices {
    /// `--allow device`.
    pub allowed: Allowed,
    /// `--cdi-spec-dir`; the usual directories when empty.
    pub directories: Vec<PathBuf>,
}

impl Devices {
    /// What the devices of each step change.
    pub fn of_plan(
        &self,
        plan: &BuildPlan,
        source: &Source,
    ) -> Result<HashMap<VertexId, Edits>, Failure> {
        let asking = plan
            .graph
            .iter()
            .filter_map(|(id, vertex)| match &vertex.op {
                Op::Exec(op) if !op.devices.is_empty() => Some((id, vertex, op)),
                _ => None,
            });
        let mut registry = None;
        let mut edits = HashMap::new();
        for (id, vertex, op) in asking {
            let registry = registry.get_or_insert_with(|| Registry::read(&self.directories()));
            let requests = op.devices.iter().map(|device| Request {
                name: &device.name,
                required: device.required,
            });
            let granted = registry.grant(&requests.collect::<Vec<_>>(), &self.allowed);
            let found = granted.and_then(|names| registry.edits(&names));
            let found = found.map_err(|error| {
                let failure = self.failure(&error);
                match vertex.meta.span {
                    Some(span) => failure.at(source, span, ""),
                    None => failure,
                }
            })?;
            edits.insert(id, found);
        }
        Ok(edits)
    }

    fn directories(&self) -> Vec<PathBuf> {
        if self.directories.is_empty() {
            DIRECTORIES.map(PathBuf::from).to_vec()
        } else {
            self.directories.clone()
        }
    }

    fn failure(&self, error: &CdiError) -> Failure {
        let failure = Failure::from_error(Class::Yours, error);
        match error {
            CdiError::NotAllowed { names } => {
                failure.help(format!("allow it with --allow device={}", names[0]))
            }
            CdiError::NotRegistered { .. } => {
                let directories = self.directories();
                let shown = directories.iter().map(|dir| match std::fs::read_dir(dir) {
                    Ok(_) => dir.display().to_string(),
                    Err(error) => format!("{} ({error})", dir.display()),
                });
                let shown = shown.collect::<Vec<_>>().join(" and ");
                failure.help(format!("devices are registered in {shown}"))
            }
            _ => failure,
        }
    }
}
