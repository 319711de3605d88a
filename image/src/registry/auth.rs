//! Logging in: what a registry asks for (RFC 9110 `WWW-Authenticate`), and the tokens it wants
//! (distribution's "Token Authentication Specification" and its OAuth 2 form).

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::{HeaderMap, Request, header};

use super::credentials::{Credential, Credentials};
use super::{Host, RegistryError};
use crate::http::{is_passing, shown_url};

const LARGEST_TOKEN: u64 = 1 << 20;
/// How long a token lives when nobody says (the specification's default).
const SHORTEST_LIFE: u64 = 60;
/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);

/// What is known about logging in to one registry.
#[derive(Default)]
pub(super) struct Auth(Mutex<State>);

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
    /// Looked up once: helpers are processes.
    credential: Option<Option<Credential>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

struct Token {
    value: String,
    expires: Instant,
}

impl Auth {
    /// The `Authorization` to send, as far as is known what the registry wants. `scopes` are
    /// separated by blanks.
    pub(super) fn authorization(
        &self,
        host: &Host,
        scopes: &str,
        credentials: &dyn Credentials,
    ) -> Result<Option<String>, RegistryError> {
        // Held while a token is fetched: others that need the same one wait for it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(challenge) = state.challenge.clone() else {
            return Ok(None);
        };
        let credential = state.credential(host, credentials)?;
        let (realm, service) = match (challenge, credential) {
            (Challenge::Bearer { realm, service }, _) => (realm, service),
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                return Ok(Some(basic(&user, &password)));
            }
            (Challenge::Basic, _) => return Ok(None),
        };
        let now = Instant::now();
        if let Some(token) = state.tokens.get(scopes)
            && token.expires > now + MARGIN
        {
            return Ok(Some(format!("Bearer {}", token.value)));
        }
        let credential = state.credential(host, credentials)?;
        let token = fetch_token(
            host,
            &realm,
            service.as_deref(),
            scopes,
            credential.as_ref(),
        )?;
        let authorization = format!("Bearer {}", token.value);
        state.tokens.insert(scopes.to_owned(), token);
        Ok(Some(authorization))
    }

    /// Takes note of a refusal (401). Says whether another attempt makes sense: not when the very
    /// authorization it asks for was `used`.
    pub(super) fn refused(
        &self,
        host: &Host,
        scopes: &str,
        used: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<bool, RegistryError> {
        let challenge = challenges(headers).ok_or_else(|| RegistryError::Login {
            host: host.name.clone(),
            reason: "it asks for neither a password nor a token".to_owned(),
        })?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = state.challenge.as_ref() != Some(&challenge);
        state.challenge = Some(challenge);
        let stale = state
            .tokens
            .get(scopes)
            .is_some_and(|token| used == Some(&format!("Bearer {}", token.value)));
        if stale {
            state.tokens.remove(scopes);
        }
        Ok(is_news || used.is_none() || stale)
    }

    /// Whether nobody is logged in.
    pub(super) fn is_anonymous(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(state.credential, Some(Some(_)))
    }
}

impl State {
    fn credential(
        &mut self,
        host: &Host,
        credentials: &dyn Credentials,
    ) -> Result<Option<Credential>, RegistryError> {
        if let Some(known) = &self.credential {
            return Ok(known.clone());
        }
        let found = credentials.find(&host.name)?;
        self.credential = Some(found.clone());
        Ok(found)
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn fetch_token(
    host: &Host,
    realm: &str,
    service: Option<&str>,
    scopes: &str,
    credential: Option<&Credential>,
) -> Result<Token, RegistryError> {
    let failed = |reason: String| RegistryError::Login {
        host: host.name.clone(),
        reason,
    };
    if credential.is_some() && !realm.starts_with("https://") && host.origin.starts_with("https://")
    {
        let shown = shown_url(realm);
        return Err(failed(format!(
            "it wants the password sent unencrypted to {shown}"
        )));
    }
    let mut query: Vec<(&str, &str)> = Vec::new();
    query.extend(service.map(|service| ("service", service)));
    let request = match credential {
        Some(Credential::Identity(token)) => {
            query.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "rbuild"),
                ("refresh_token", token),
                ("scope", scopes),
            ]);
            Request::post(realm)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encode(&query))
        }
        other => {
            query.extend(scopes.split(' ').map(|scope| ("scope", scope)));
            let joint = if realm.contains('?') { '&' } else { '?' };
            let mut request = Request::get(format!("{realm}{joint}{}", encode(&query)));
            if let Some(Credential::Password { user, password }) = other {
                request = request.header(header::AUTHORIZATION, basic(user, password));
            }
            request.body(String::new())
        }
    };
    let request = request.map_err(|source| RegistryError::Request {
        url: shown_url(realm),
        source,
    })?;
    let response = if request.method() == ureq::http::Method::GET {
        host.agent.run(request.map(|_| ()))
    } else {
        host.agent.run(request)
    };
    let response = response.map_err(|source| RegistryError::Transport {
        url: shown_url(realm),
        source: Box::new(source),
    })?;
    let status = response.status();
    let mut body = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(LARGEST_TOKEN)
        .read_to_end(&mut body)
        .map_err(|e| failed(e.to_string()))?;
    if !status.is_success() {
        let (what, message) = (shown_url(realm), super::error::message(&body));
        return Err(if status.is_client_error() && !is_passing(status) {
            RegistryError::Denied {
                what,
                message,
                anonymous: credential.is_none(),
            }
        } else {
            let status = status.as_u16();
            RegistryError::Status {
                what,
                status,
                message,
            }
        });
    }
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| failed("its token service answers no JSON".to_owned()))?;
    let value = answer
        .token
        .filter(|token| !token.is_empty())
        .or(answer.access_token)
        .ok_or_else(|| failed("its token service gives no token".to_owned()))?;
    let life = answer.expires_in.unwrap_or(0).clamp(SHORTEST_LIFE, 86_400);
    Ok(Token {
        value,
        expires: Instant::now() + Duration::from_secs(life),
    })
}

/// `application/x-www-form-urlencoded`.
fn encode(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    };
    let pair = |(key, value): &(&str, &str)| format!("{}={}", escaped(key), escaped(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The challenge to answer: a token rather than a password.
pub(super) fn challenges(headers: &HeaderMap) -> Option<Challenge> {
    let mut found = None;
    for value in headers.get_all(header::WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            let parameters = parse_parameters(parameters);
            if let Some(realm) = parameters.get("realm") {
                return Some(Challenge::Bearer {
                    realm: realm.clone(),
                    service: parameters.get("service").cloned(),
                });
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

/// `key="value",key=value`.
fn parse_parameters(text: &str) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',']).to_ascii_lowercase();
        let mut value = String::new();
        let mut end = after.len();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut escaped = false;
            for (n, c) in quoted.char_indices() {
                match c {
                    '\\' if !escaped => escaped = true,
                    '"' if !escaped => {
                        end = n + 2;
                        break;
                    }
                    c => {
                        escaped = false;
                        value.push(c);
                    }
                }
            }
        } else {
            end = after.find(',').unwrap_or(after.len());
            after[..end].trim().clone_into(&mut value);
        }
        parameters.insert(key, value);
        rest = &after[end..];
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let of = |texts: &[&str]| {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(header::WWW_AUTHENTICATE, text.parse().unwrap());
            }
            challenges(&headers)
        };
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        assert_eq!(
            of(&[r#"Bearer realm="https://a/token?x=1,2",service="a \"b\"",scope="r:x:pull""#]),
            bearer("https://a/token?x=1,2", Some("a \"b\""))
        );
        assert_eq!(
            of(&["Basic realm=\"r\"", "bearer realm=http://a, service=b"]),
            bearer("http://a", Some("b"))
        );
        assert_eq!(of(&["Basic realm=\"r\""]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate", "Bearer service=x"]), None);
        assert_eq!(of(&["Bearer realm=\"unclosed"]), bearer("unclosed", None));
    }
}
