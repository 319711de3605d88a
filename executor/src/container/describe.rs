//! A container's `config.json` as it lies in its folder, for people, hooks and other runtimes. Starts
//! nothing, and knows nothing of this machine but what this process may give.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bundle::{self, Facts};
use super::capability::Capabilities;
use super::error::ContainerError;
use super::hook::Hooks;
use super::server::foreign::identify_by;
use super::spec::ContainerSpec;
use super::{limit, nodes};

/// What belongs to the document beyond the spec.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The store's root.
    pub store: &'a Path,
    /// Paths of the namespaces that it joins, by index.
    pub joined: &'a [PathBuf],
    /// Programs that are called at its stages.
    pub hooks: &'a Hooks,
    /// What is said of it.
    pub annotations: &'a BTreeMap<String, String>,
}

/// The document. `read` gives the container's /etc/passwd and /etc/group; nothing, if it has none.
///
/// Its root is `rootfs` beside it, where somebody else mounts the container's layers. A network
/// namespace of its own is one that the runtime makes, with loopback alone.
pub fn document(
    spec: &ContainerSpec,
    about: &About<'_>,
    read: &mut dyn FnMut(&str) -> Result<String, ContainerError>,
) -> Result<Vec<u8>, ContainerError> {
    let held = rustix::thread::capabilities(None)
        .map_err(ContainerError::prepare("this process's capabilities"))?;
    let capabilities = Capabilities::of(&spec.security, Capabilities(held.permitted.bits()))?;
    document_for(spec, about, capabilities, None, read)
}

/// The same, with the capabilities that it has been given, and the control group that it is to be in.
pub(crate) fn document_for(
    spec: &ContainerSpec,
    about: &About<'_>,
    capabilities: Capabilities,
    group: Option<&str>,
    read: &mut dyn FnMut(&str) -> Result<String, ContainerError>,
) -> Result<Vec<u8>, ContainerError> {
    let (who, env) = identify_by(&spec.process, read)?;
    let facts = Facts {
        store: about.store,
        who: &who,
        env: &env,
        capabilities,
        files: limit::files(),
        joined: about.joined,
        group,
        nodes: &nodes::of(spec),
        hooks: about.hooks,
        annotations: about.annotations,
    };
    let document = bundle::config(spec, &facts)?;
    serde_json::to_vec_pretty(&document).map_err(|error| ContainerError::Invalid {
        why: error.to_string(),
    })
}
