//! Connections: one pool for each kind of trust.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::{Config, RedirectAuthHeaders};
use ureq::tls::{ClientCert, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Proxy};

use super::certificates::{self, CertificateError};

const CONNECT: Duration = Duration::from_secs(20);
/// The longest silence, in either direction, before a connection counts as broken.
const SILENCE: Duration = Duration::from_mins(1);
const IDLE_CONNECTIONS: usize = 16;

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// A registry (`host[:port]`) whose own certificates count too, and the directories in which
    /// they are looked for.
    pub(crate) registry: Option<(String, Vec<PathBuf>)>,
    /// Takes any certificate.
    pub(crate) anyone: bool,
    /// Ignores the proxies of the environment.
    pub(crate) no_proxy: bool,
}

/// A pool of connections.
pub(crate) fn agent(trust: &Trust) -> Result<Agent, CertificateError> {
    let local = match &trust.registry {
        Some((registry, directories)) => certificates::of_registry(directories, registry)?,
        None => certificates::Local::default(),
    };
    let mut roots = certificates::system().to_vec();
    roots.extend(local.roots);
    let roots = if roots.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::new_with_certs(&roots)
    };
    let client = local
        .client
        .map(|(chain, key)| ClientCert::new_with_certs(&chain, key));
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(roots)
        .client_cert(client)
        .disable_verification(trust.anyone)
        .build();
    let proxy = if trust.no_proxy {
        None
    } else {
        Proxy::try_from_env()
    };
    let config = Config::builder()
        .tls_config(tls)
        .proxy(proxy)
        .http_status_as_error(false)
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .user_agent(concat!("rbuild/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .input_buffer_size(256 << 10)
        .output_buffer_size(256 << 10)
        .build();
    Ok(config.new_agent())
}

/// Whether another attempt may go better.
pub(crate) fn is_worth_retrying(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
    )
}

/// An address for a message: without the query, which may hold a signature, and without
/// credentials.
pub fn shown_url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Whether `host[:port]` is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_recognised() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]",
            "[::1]:5000",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org",
            "10.0.0.1:5000",
            "[fe80::1]:1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        for (url, shown) in [
            ("https://u:p@h/a?sig=x", "https://h/a"),
            ("http://h:1", "http://h:1"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
