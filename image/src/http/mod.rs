//! Fetches files by http and https, for `ADD url`; and what the registry client shares with it:
//! certificates, connections, and how long to go on trying.

mod agent;
mod certificates;
mod login;
mod retry;

use std::io::Read;

use ureq::http::{HeaderMap, Request, StatusCode, header};

pub use agent::shown_url;
pub(crate) use agent::{Trust, agent, is_loopback, is_worth_retrying};
pub(crate) use certificates::has_own as has_own_certificates;
pub use certificates::{CertificateError, DIRECTORIES as CERTIFICATE_DIRECTORIES};
pub use login::{blotted, masked, split_login, without_password};
pub(crate) use retry::{Attempts, is_passing, retry_after};
pub use retry::{Cancel, Cancelled, RetryPolicy};

/// A file that cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The server cannot be reached, or breaks off.
    #[error("cannot fetch {url}")]
    Transport {
        /// The address, without query and credentials.
        url: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// The server refuses.
    #[error("cannot fetch {url}: invalid response status {status}")]
    Status {
        /// The address, without query and credentials.
        url: String,
        /// HTTP's number for it.
        status: u16,
    },
    /// The address is none, or a header cannot be sent.
    #[error("`{url}` cannot be asked for")]
    Request {
        /// The address, without query and credentials.
        url: String,
        /// Why.
        source: ureq::http::Error,
    },
    /// Certificates cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The build was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What to ask for besides the address.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// The `ETag` of what is already here.
    pub etag: Option<String>,
    /// The `Last-Modified` of what is already here.
    pub last_modified: Option<String>,
    /// More headers. `Authorization` is not sent on to another host by a redirect, others are.
    pub headers: Vec<(String, String)>,
}

/// What a server answered.
pub struct Answer {
    /// 200; or 304, when what is here is still what is there.
    pub status: u16,
    /// The validator to give as [`Conditions::etag`] next time.
    pub etag: Option<String>,
    /// When the file last changed there, as the server writes it (RFC 9110, 5.6.7).
    pub last_modified: Option<String>,
    /// How many bytes the body has, where the server says so.
    pub content_length: Option<u64>,
    /// The file. Its end is an error when it comes before `content_length`.
    pub body: Box<dyn Read + Send>,
}

/// Fetches files. Keeps connections open for the next one.
pub struct Fetcher {
    agent: ureq::Agent,
    retry: RetryPolicy,
    cancel: Cancel,
}

impl Fetcher {
    /// A fetcher that stops trying when `cancel` says so.
    pub fn new(retry: RetryPolicy, cancel: Cancel) -> Result<Self, HttpError> {
        Ok(Self {
            agent: agent(&Trust::default())?,
            retry,
            cancel,
        })
    }

    /// Asks for `url`, follows redirects, and tries again when the server or the connection
    /// fails.
    pub fn get(&self, url: &str, conditions: &Conditions) -> Result<Answer, HttpError> {
        let mut attempts = Attempts::new(self.retry, &self.cancel);
        loop {
            let mut request = Request::get(url);
            let validators = [
                (header::IF_NONE_MATCH, &conditions.etag),
                (header::IF_MODIFIED_SINCE, &conditions.last_modified),
            ];
            for (name, value) in validators {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            for (name, value) in &conditions.headers {
                request = request.header(name, value);
            }
            let request = request.body(()).map_err(|source| HttpError::Request {
                url: shown_url(url),
                source,
            })?;
            let response = match self.agent.run(request) {
                Ok(response) => response,
                Err(error) => {
                    if is_worth_retrying(&error) && attempts.again(None)? {
                        continue;
                    }
                    return Err(HttpError::Transport {
                        url: shown_url(url),
                        source: Box::new(error),
                    });
                }
            };
            let status = response.status();
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                let text = |name| text(response.headers(), name);
                return Ok(Answer {
                    status: status.as_u16(),
                    etag: text(header::ETAG),
                    last_modified: text(header::LAST_MODIFIED),
                    content_length: response.body().content_length(),
                    body: Box::new(response.into_body().into_reader()),
                });
            }
            if is_passing(status) && attempts.again(retry_after(response.headers()))? {
                continue;
            }
            return Err(HttpError::Status {
                url: shown_url(url),
                status: status.as_u16(),
            });
        }
    }
}

/// A header as text.
pub(crate) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

#[cfg(test)]
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod tests;
