//! One request to a registry: authorized, tried again, its failures told.

use std::io::Read;

use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use ureq::http::{self as ureq_http, Method, Response, StatusCode};
use ureq::{Body, SendBody};

use super::{Client, Host, RegistryError, error};
use crate::http::{Attempts, is_passing, is_worth_retrying, retry_after, shown_url};

const LARGEST_MESSAGE: u64 = 64 << 10;

/// What to ask a registry.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: &'a [u8],
    /// What a token must allow, separated by blanks.
    pub(super) scopes: String,
    /// What it is about, for messages.
    pub(super) what: String,
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: Method, url: String, scopes: String, what: String) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: &[],
            scopes,
            what,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(self, bytes: &'a [u8]) -> Self {
        Self {
            body: bytes,
            ..self
        }
    }
}

impl Client {
    /// Sends a request until it is answered with a success, or a failure that lasts.
    pub(super) fn ask(&self, host: &Host, ask: &Ask<'_>) -> Result<Response<Body>, RegistryError> {
        let mut attempts = Attempts::new(self.options.retry, &self.options.cancel);
        loop {
            self.check_cancelled()?;
            let response = match self.ask_authorized(host, ask) {
                Ok(response) => response,
                Err(RegistryError::Transport { source, .. })
                    if is_worth_retrying(&source) && attempts.again(None)? =>
                {
                    continue;
                }
                // Its token service is down or busy.
                Err(RegistryError::Status { status, .. })
                    if StatusCode::from_u16(status).is_ok_and(is_passing)
                        && attempts.again(None)? =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if is_passing(status) && attempts.again(retry_after(response.headers()))? {
                continue;
            }
            return Err(failure(host, &ask.what, response));
        }
    }

    /// Sends a request once, or a second time with what the registry asks for.
    fn ask_authorized(&self, host: &Host, ask: &Ask<'_>) -> Result<Response<Body>, RegistryError> {
        let mut refused = false;
        loop {
            let authorization = self.authorization(host, ask)?;
            let mut body = ask.body;
            let has_body = !ask.body.is_empty() || ask.method == Method::POST;
            let response = send(
                host,
                ask,
                authorization.as_deref(),
                has_body.then_some((&mut body as &mut dyn Read, ask.body.len() as u64)),
            )?;
            if response.status() != StatusCode::UNAUTHORIZED || refused {
                return Ok(response);
            }
            let used = authorization.as_deref();
            let headers = response.headers();
            if !host.auth.refused(host, &ask.scopes, used, headers)? {
                return Ok(response);
            }
            refused = true;
        }
    }

    /// Sends a request with a body that can be read only once: no second attempt.
    pub(super) fn upload(
        &self,
        host: &Host,
        ask: &Ask<'_>,
        body: &mut dyn Read,
        size: u64,
    ) -> Result<Response<Body>, RegistryError> {
        self.check_cancelled()?;
        // An absolute location may be another server's: that one gets no token of this one's.
        let authorization = if ask.url.starts_with(&format!("{}/", host.origin)) {
            self.authorization(host, ask)?
        } else {
            None
        };
        send(host, ask, authorization.as_deref(), Some((body, size)))
    }

    fn authorization(&self, host: &Host, ask: &Ask<'_>) -> Result<Option<String>, RegistryError> {
        host.auth
            .authorization(host, &ask.scopes, self.credentials.as_ref())
    }

    pub(super) fn check_cancelled(&self) -> Result<(), RegistryError> {
        if (self.options.cancel)() {
            return Err(crate::http::Cancelled.into());
        }
        Ok(())
    }
}

fn send(
    host: &Host,
    ask: &Ask<'_>,
    authorization: Option<&str>,
    body: Option<(&mut dyn Read, u64)>,
) -> Result<Response<Body>, RegistryError> {
    let mut request = ureq_http::Request::builder()
        .method(ask.method.clone())
        .uri(&ask.url);
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let unsendable = |source| RegistryError::Request {
        url: shown_url(&ask.url),
        source,
    };
    let sent = match body {
        None => host.agent.run(request.body(()).map_err(unsendable)?),
        Some((mut body, size)) => {
            let request = request.header(CONTENT_LENGTH, size);
            let body = SendBody::from_reader(&mut body);
            host.agent.run(request.body(body).map_err(unsendable)?)
        }
    };
    sent.map_err(|source| RegistryError::Transport {
        url: shown_url(&ask.url),
        source: Box::new(source),
    })
}

/// The error that a registry's answer means.
pub(super) fn failure(host: &Host, what: &str, response: Response<Body>) -> RegistryError {
    let status = response.status();
    let mut body = Vec::new();
    // A message that cannot be read is none.
    let _ = response
        .into_body()
        .into_reader()
        .take(LARGEST_MESSAGE)
        .read_to_end(&mut body);
    let (what, message) = (what.to_owned(), error::message(&body));
    match status {
        StatusCode::NOT_FOUND => RegistryError::NotFound { what },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied {
            what,
            message,
            anonymous: host.auth.is_anonymous(),
        },
        status => RegistryError::Status {
            what,
            status: status.as_u16(),
            message,
        },
    }
}
