//! The client of image registries (OCI distribution spec 1.1): manifests and blobs, both ways.
//!
//! Blocking; to move blobs side by side, use it from several threads. What is received is verified
//! while it streams by, connections that break are taken up where they broke, and what a registry
//! already has is never sent again. It prints nothing and keeps nothing on disk.

mod auth;
mod credentials;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod pull;
mod push;
mod request;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ImageRef;
use crate::http::{self, Cancel, RetryPolicy, Trust};

pub use credentials::{Credential, CredentialError, Credentials, DockerCredentials, NoCredentials};
pub use error::RegistryError;
pub use pull::{BlobReader, Fetched};
pub use push::{PushEvent, Pushed};

/// How a [`Client`] behaves.
#[derive(Clone)]
pub struct Options {
    /// Registries (`host[:port]`) spoken to without TLS; those on this machine are, unless they
    /// have a directory among `certificates`.
    pub plain_http: HashSet<String>,
    /// Registries whose certificate is not checked.
    pub any_certificate: HashSet<String>,
    /// Directories with a directory for each registry that has certificates of its own, laid out
    /// as Docker's `certs.d`.
    pub certificates: Vec<PathBuf>,
    /// How often and how long to try.
    pub retry: RetryPolicy,
    /// Ends everything soon after it says so; a read that hangs, within a minute.
    pub cancel: Cancel,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain_http: HashSet::new(),
            any_certificate: HashSet::new(),
            certificates: http::CERTIFICATE_DIRECTORIES.map(PathBuf::from).to_vec(),
            retry: RetryPolicy::default(),
            cancel: Arc::new(|| false),
        }
    }
}

/// Speaks to any number of registries. Connections, tokens and what they ask for are kept for as
/// long as it lives.
pub struct Client {
    options: Options,
    credentials: Box<dyn Credentials>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// One registry.
struct Host {
    /// As images name it.
    name: String,
    /// Scheme, host and port.
    origin: String,
    agent: ureq::Agent,
    auth: auth::Auth,
}

/// Docker Hub is not where its name says.
const DOCKER_HUB: &str = "registry-1.docker.io";

impl Client {
    /// A client that logs in with `credentials`.
    pub fn new(options: Options, credentials: impl Credentials + 'static) -> Self {
        Self {
            options,
            credentials: Box::new(credentials),
            hosts: Mutex::new(HashMap::new()),
        }
    }

    fn host(&self, image: &ImageRef) -> Result<Arc<Host>, RegistryError> {
        let name = &image.registry;
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let address = match name.as_str() {
            crate::reference::DEFAULT_REGISTRY => DOCKER_HUB,
            other => other,
        };
        let directories = &self.options.certificates;
        let local = http::is_loopback(address);
        let plain = self.options.plain_http.contains(name)
            || (local && !http::has_own_certificates(directories, address));
        let trust = Trust {
            registry: Some((address.to_owned(), directories.clone())),
            anyone: self.options.any_certificate.contains(name),
            no_proxy: local,
        };
        let host = Arc::new(Host {
            name: name.clone(),
            origin: format!("{}://{address}", if plain { "http" } else { "https" }),
            agent: http::agent(&trust)?,
            auth: auth::Auth::default(),
        });
        hosts.insert(name.clone(), Arc::clone(&host));
        Ok(host)
    }
}

/// What a token is to allow in a repository.
#[derive(Clone, Copy)]
enum Access {
    Pull,
    PullPush,
}

/// The scope of a token (distribution's "Token Scope Documentation").
fn scope(repository: &str, access: Access) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::PullPush => "pull,push",
    };
    format!("repository:{repository}:{actions}")
}

#[cfg(test)]
mod tests;
