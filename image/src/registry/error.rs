//! What goes wrong with registries.

use crate::blob::BlobError;
use crate::http::{Cancelled, CertificateError};
use crate::manifest::DocumentError;

use super::CredentialError;

/// A registry that cannot be spoken to, or says no.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached, or breaks off.
    #[error("cannot reach {url}")]
    Transport {
        /// The address, without query and credentials.
        url: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// It has no such image, tag or blob.
    #[error("{what}: not found")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// It does not let us.
    #[error(
        "{what}: access denied, the repository does not exist or may require authorization{}{message}",
        if .message.is_empty() { "" } else { ": " }
    )]
    Denied {
        /// What was asked for.
        what: String,
        /// What the registry says.
        message: String,
        /// Whether no credentials are configured for it.
        anonymous: bool,
    },
    /// It answers with another failure.
    #[error("{what}: the registry answers {status}{}{message}", if .message.is_empty() { "" } else { ": " })]
    Status {
        /// What was asked for.
        what: String,
        /// HTTP's number for it.
        status: u16,
        /// What the registry says.
        message: String,
    },
    /// It answers something that the protocol does not have.
    #[error("{what}: the registry's answer makes no sense: {reason}")]
    Answer {
        /// What was asked for.
        what: String,
        /// Why.
        reason: &'static str,
    },
    /// It wants to be logged in to in a way that is not known, or not safe.
    #[error("cannot log in to {host}: {reason}")]
    Login {
        /// The registry.
        host: String,
        /// Why.
        reason: String,
    },
    /// What it sent for a name is no manifest.
    #[error("{what}")]
    Document {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// What it sent, or what is to be sent, is not what it should be.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A request cannot be made.
    #[error("`{url}` cannot be asked for")]
    Request {
        /// The address, without query and credentials.
        url: String,
        /// Why.
        source: ureq::http::Error,
    },
    /// Credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// Certificates cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The build was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<RegistryError> for std::io::Error {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Blob(error) => error.into(),
            other => Self::other(other),
        }
    }
}

/// What a registry says about a failure: the messages of its JSON (OCI distribution spec, "Error
/// Codes"), else the start of its text.
pub(super) fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Failure {
        #[serde(default)]
        errors: Vec<One>,
        #[serde(default)]
        details: String,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    const LONGEST: usize = 300;
    let text = match serde_json::from_slice::<Failure>(body) {
        Ok(failure) if !failure.errors.is_empty() => {
            let one = |e: &One| match (e.code.as_str(), e.message.as_str()) {
                (code, "") => code.to_owned(),
                ("", message) => message.to_owned(),
                (code, message) => format!("{code}: {message}"),
            };
            let all: Vec<_> = failure.errors.iter().map(one).collect();
            all.join("; ")
        }
        Ok(failure) => failure.details,
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    // A terminal obeys control characters.
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_the_registrys_words() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"X"}]}"#,
                "DENIED: no; X",
            ),
            (r#"{"details":"incorrect username"}"#, "incorrect username"),
            ("<html>\x1b[2Joops", "<html> [2Joops"),
            ("", ""),
        ] {
            assert_eq!(message(body.as_bytes()), expected);
        }
        assert_eq!(message(&[b'x'; 9999]).len(), 300);
    }
}
