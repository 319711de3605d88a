//! The host's certificates inside a step, for networks whose traffic is read on the way.
//!
//! The bundle is mounted, never copied, so it is in no layer; and it is in no key, as a proxy's
//! address is not.

use std::path::{Path, PathBuf};

use crate::container::spec::{Mount, MountSource, Propagation};
use crate::ops::error::OpError;

/// Where the bundle is inside.
const TARGET: &str = "/run/rbuild/host-certs.pem";

/// Variables by which programs find a bundle: OpenSSL, pip, requests, curl, Node, Cargo, git, AWS.
const VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
];

/// The variables with their values.
pub fn variables() -> [(&'static str, &'static str); VARIABLES.len()] {
    VARIABLES.map(|name| (name, TARGET))
}

/// The bundle's own path, links followed, as it must be announced to the launcher.
pub fn source(bundle: &Path) -> Result<PathBuf, OpError> {
    bundle
        .canonicalize()
        .ok()
        .filter(|path| path.is_file())
        .ok_or_else(|| OpError::NoHostCertificates {
            path: bundle.to_owned(),
        })
}

/// The mount of the bundle at `source`.
pub fn mount(source: PathBuf) -> Mount {
    Mount {
        target: TARGET.to_owned(),
        source: MountSource::Host(source),
        readonly: true,
        nosuid: true,
        noexec: true,
        propagation: Propagation::Private,
    }
}
