//! Which certificates to believe: the system's, and those that an administrator put beside a
//! registry's name (Docker's `certs.d`: `*.crt` are roots, `NAME.cert` with `NAME.key` a client).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{fs, io};

use ureq::tls::{Certificate, PemItem, PrivateKey, parse_pem};

/// Where administrators put certificates beside a registry's name.
pub const DIRECTORIES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// A certificate or key that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no {what} in PEM form", .path.display())]
    Pem {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
}

type Client = (Vec<Certificate<'static>>, PrivateKey<'static>);

/// What is kept beside a registry's name.
#[derive(Default)]
pub(super) struct Local {
    pub(super) roots: Vec<Certificate<'static>>,
    pub(super) client: Option<Client>,
}

/// The system's roots, read once; none in an empty system.
pub(super) fn system() -> &'static [Certificate<'static>] {
    static ROOTS: LazyLock<Vec<Certificate<'static>>> = LazyLock::new(|| {
        let found = rustls_native_certs::load_native_certs();
        let certificates = found.certs.iter();
        certificates
            .map(|der| Certificate::from_der(der.as_ref()).to_owned())
            .collect()
    });
    &ROOTS
}

/// Whether an administrator has put certificates beside a registry's name.
pub(crate) fn has_own(directories: &[PathBuf], registry: &str) -> bool {
    directories
        .iter()
        .any(|directory| directory.join(registry).is_dir())
}

/// What `certs.d` has for a registry.
pub(super) fn of_registry(
    directories: &[PathBuf],
    registry: &str,
) -> Result<Local, CertificateError> {
    let mut local = Local::default();
    for directory in directories {
        read_directory(&directory.join(registry), &mut local)?;
    }
    Ok(local)
}

fn read_directory(directory: &Path, local: &mut Local) -> Result<(), CertificateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Read { path, source }
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(directory)(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed(directory))?.path());
    }
    paths.sort();
    for path in paths {
        let read = || fs::read(&path).map_err(failed(&path));
        match path.extension().and_then(|e| e.to_str()) {
            Some("crt") => local.roots.extend(certificates(&path, &read()?)?),
            Some("cert") => {
                let chain = certificates(&path, &read()?)?;
                let path = path.with_extension("key");
                let pem = fs::read(&path).map_err(failed(&path))?;
                let key = PrivateKey::from_pem(&pem).map_err(|_| CertificateError::Pem {
                    path,
                    what: "private key",
                })?;
                local.client.get_or_insert((chain, key));
            }
            _ => {}
        }
    }
    Ok(())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let found: Vec<_> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(CertificateError::Pem {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_adds_nothing_and_nonsense_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut local = Local::default();
        read_directory(&dir.path().join("absent"), &mut local).unwrap();
        fs::write(dir.path().join("notes.txt"), "x").unwrap();
        read_directory(dir.path(), &mut local).unwrap();
        assert!(local.roots.is_empty() && local.client.is_none());
        let root = dir.path().join("ca.crt");
        fs::write(&root, "x").unwrap();
        let error = read_directory(dir.path(), &mut local).unwrap_err();
        assert!(matches!(error, CertificateError::Pem { path, .. } if path == root));
    }
}
