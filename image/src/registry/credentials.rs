//! Who we are to a registry: what `docker login` and `podman login` have stored.

use std::fmt;

use docker_credential::{CredentialRetrievalError, DockerCredential};

/// The name under which Docker keeps the credentials of its own registry.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A way to say who we are. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Name and password.
    Password {
        /// The name.
        user: String,
        /// The password, or a token in its place.
        password: String,
    },
    /// A token to get other tokens with (OAuth 2's refresh token).
    Identity(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(…)",
            Self::Identity(_) => "Identity(…)",
        })
    }
}

/// Stored credentials that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the credentials for {registry}")]
pub struct CredentialError {
    /// For which registry.
    pub registry: String,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where credentials come from.
pub trait Credentials: Send + Sync {
    /// Those for a registry (`host[:port]`); none when there are none.
    fn find(&self, registry: &str) -> Result<Option<Credential>, CredentialError>;
}

/// Nobody.
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn find(&self, _: &str) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}

/// `DOCKER_AUTH_CONFIG`, then Docker's `config.json` with its helpers and stores, then podman's
/// `auth.json`.
pub struct DockerCredentials;

impl Credentials for DockerCredentials {
    fn find(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let keys = match registry {
            crate::reference::DEFAULT_REGISTRY => {
                vec![DOCKER_HUB_KEY.to_owned(), registry.to_owned()]
            }
            other => vec![other.to_owned(), format!("https://{other}")],
        };
        let inline = std::env::var("DOCKER_AUTH_CONFIG").ok();
        for key in &keys {
            let places: [&dyn Fn() -> Result<DockerCredential, CredentialRetrievalError>; 3] = [
                &|| match &inline {
                    Some(json) => {
                        docker_credential::get_credential_from_reader(json.as_bytes(), key)
                    }
                    None => Err(CredentialRetrievalError::ConfigNotFound),
                },
                &|| docker_credential::get_credential(key),
                &|| docker_credential::get_podman_credential(key),
            ];
            for place in places {
                match place() {
                    Ok(found) => return Ok(usable(found)),
                    Err(error) if is_absence(&error) => {}
                    Err(error) => {
                        return Err(CredentialError {
                            registry: registry.to_owned(),
                            source: Box::new(error),
                        });
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Helpers answer with empty names for registries that they do not know.
fn usable(found: DockerCredential) -> Option<Credential> {
    match found {
        DockerCredential::IdentityToken(token) if token.is_empty() => None,
        DockerCredential::IdentityToken(token) => Some(Credential::Identity(token)),
        DockerCredential::UsernamePassword(user, password) => (!user.is_empty()
            || !password.is_empty())
        .then_some(Credential::Password { user, password }),
    }
}

/// Whether it only means that nothing is stored.
fn is_absence(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured
        | CredentialRetrievalError::ConfigNotFound
        | CredentialRetrievalError::ConfigReadError
        | CredentialRetrievalError::CredentialMismatchError => true,
        // What docker-credential-helpers say for an unknown server.
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. } => [stdout, stderr]
            .iter()
            .any(|text| text.contains("not found")),
        _ => false,
    }
}
