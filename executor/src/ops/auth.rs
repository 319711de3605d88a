//! Secrets that authorize at servers: `GIT_AUTH_TOKEN`, `HTTP_AUTH_TOKEN_host` and their likes.
//!
//! Gives values of headers; they are never shown, logged or put into an argument.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Executor;
use super::error::OpError;

impl Executor {
    /// The header for a repository: `GIT_AUTH_HEADER[.host]` as it is, or `GIT_AUTH_TOKEN[.host]`
    /// as the password that forges take.
    pub(super) fn git_header(&self, url: &str) -> Result<Option<String>, OpError> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Ok(None);
        }
        for name in hosts(url)
            .map(|host| format!(".{host}"))
            .chain([String::new()])
        {
            if let Some(value) = self.header_secret(&format!("GIT_AUTH_HEADER{name}"))? {
                return Ok(Some(format!("Authorization: {value}")));
            }
            if let Some(token) = self.header_secret(&format!("GIT_AUTH_TOKEN{name}"))? {
                let password = STANDARD.encode(format!("x-access-token:{token}"));
                return Ok(Some(format!("Authorization: Basic {password}")));
            }
        }
        Ok(None)
    }

    /// The value of `Authorization` for a URL: `HTTP_AUTH_HEADER_host` as it is, or
    /// `HTTP_AUTH_TOKEN_host` as a bearer's.
    pub(super) fn http_authorization(&self, url: &str) -> Result<Option<String>, OpError> {
        for host in hosts(url) {
            if let Some(value) = self.header_secret(&format!("HTTP_AUTH_HEADER_{host}"))? {
                return Ok(Some(value));
            }
            if let Some(token) = self.header_secret(&format!("HTTP_AUTH_TOKEN_{host}"))? {
                return Ok(Some(format!("Bearer {token}")));
            }
        }
        Ok(None)
    }

    /// A secret that stands in a header: one line of text.
    fn header_secret(&self, id: &str) -> Result<Option<String>, OpError> {
        let Some(value) = self.secret(id, false)? else {
            return Ok(None);
        };
        String::from_utf8(value)
            .ok()
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.contains(|c: char| c.is_control()))
            .map(Some)
            .ok_or_else(|| OpError::SecretNotText { id: id.to_owned() })
    }
}

/// The host of a URL with its port, then without.
fn hosts(url: &str) -> impl Iterator<Item = &str> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    };
    std::iter::once(host).chain((bare != host).then_some(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_with_and_without_its_port() {
        for (url, expected) in [
            ("https://example.org/a:b@c", vec!["example.org"]),
            (
                "http://u:p@example.org:80?x",
                vec!["example.org:80", "example.org"],
            ),
            ("http://[::1]:5000/x", vec!["[::1]:5000", "[::1]"]),
            ("http://[::1]/x", vec!["[::1]"]),
        ] {
            assert_eq!(hosts(url).collect::<Vec<_>>(), expected, "{url}");
        }
    }
}
