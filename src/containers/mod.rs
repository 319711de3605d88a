//! Containers as commands see them.
//!
//! - [`request`]: flags, understood (with [`mounts`], [`ports`], [`mod@env`], [`limits`],
//!   [`cpuset`], [`ulimits`], [`rights`], [`restart`], [`runtime`])
//! - [`image`], [`create`], [`shared`]: an image and a request become a folder and a row
//! - [`document`], [`bundle`], [`hooks`]: what is in the folder: `container.json`, `config.json` and what that calls
//! - [`life`], [`rootfs`], [`joined`], [`network`]: a document becomes what its monitor starts
//! - [`find`]: rows, documents, status and monitor of the containers that people name
//! - [`start`], [`session`]: starting, and staying with what runs
//! - [`inspect`], [`list`], [`filter`], [`size`], [`log`], [`usage`]: what is shown of them
//! - [`changes`], [`root`]: what they changed, and their files as they see them
//! - [`remove`]: their end
//! - [`names`], [`signal`], [`refuse`]: words

mod bundle;
pub mod changes;
mod cpuset;
pub mod create;
pub mod document;
pub mod env;
pub mod filter;
pub mod find;
mod hooks;
pub mod image;
pub mod inspect;
mod joined;
pub mod life;
pub mod limits;
pub mod list;
pub mod log;
pub mod mounts;
mod names;
pub mod network;
pub mod pattern;
pub mod ports;
mod refuse;
pub mod remove;
pub mod request;
pub mod restart;
mod rights;
pub mod root;
mod rootfs;
mod runtime;
pub mod session;
mod shared;
pub mod signal;
pub mod size;
pub mod start;
pub mod ulimits;
pub mod usage;

use crate::report::Class;

/// Docker's code for what went wrong before the process, and for arguments that are wrong.
pub const ENGINE: Class = Class::Container(125);

/// Whether processes of a container can no longer raise their privileges by exec.
pub fn no_new_privileges(document: &document::Document) -> bool {
    // What cannot be understood was refused when the container was made.
    rights::no_new_privileges(&document.host_config).unwrap_or(true)
}
