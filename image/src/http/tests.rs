//! Fetching from servers good and bad.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Reply, Server};
use super::*;

pub(crate) const QUICK: RetryPolicy = RetryPolicy {
    attempts: 4,
    first_pause: Duration::from_micros(10),
    longest_pause: Duration::from_millis(1),
    total: Duration::from_secs(20),
};

fn fetcher() -> Fetcher {
    Fetcher::new(QUICK, Arc::new(|| false)).unwrap()
}

fn read(answer: Answer) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut body) = (Vec::new(), answer.body);
    body.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn files_and_their_validators_are_fetched() {
    let server = Server::start(|asked, before| match asked.path.as_str() {
        "/moved" => Reply::new(302, "").header("Location", "/file"),
        "/file" if asked.header("if-none-match") == Some("\"v1\"") => Reply::new(304, ""),
        "/file" => Reply::new(200, "content")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
        "/shaky" if before < 2 => Reply::new(503, "").header("Retry-After", "0"),
        "/shaky" => Reply::new(200, "at last"),
        "/cut" => Reply::new(200, "0123456789").cut(4),
        "/down" => Reply::new(500, ""),
        _ => Reply::new(404, ""),
    });
    let url = |path: &str| format!("http://{}{path}", server.address);
    let fetcher = fetcher();
    let plain = Conditions::default();
    let answer = fetcher.get(&url("/moved"), &plain).unwrap();
    assert_eq!((answer.status, answer.content_length), (200, Some(7)));
    assert_eq!(
        answer.last_modified.as_deref(),
        Some("Wed, 21 Oct 2015 07:28:00 GMT")
    );
    let known = Conditions {
        etag: answer.etag.clone(),
        headers: vec![("Authorization".to_owned(), "Bearer x".to_owned())],
        ..Conditions::default()
    };
    assert_eq!(read(answer).unwrap(), b"content");
    assert_eq!(fetcher.get(&url("/file"), &known).unwrap().status, 304);
    assert_eq!(
        server.last("/file").header("authorization"),
        Some("Bearer x")
    );
    assert_eq!(
        read(fetcher.get(&url("/shaky"), &plain).unwrap()).unwrap(),
        b"at last"
    );
    assert!(read(fetcher.get(&url("/cut"), &plain).unwrap()).is_err());
    for (path, status) in [("/none?secret=1", 404), ("/down", 500)] {
        let error = fetcher.get(&url(path), &plain).err().unwrap().to_string();
        assert!(error.ends_with(&format!("invalid response status {status}")));
        assert!(!error.contains("secret"));
    }
    assert_eq!(
        server.asked().iter().filter(|a| *a == "GET /down").count(),
        4
    );
}

#[test]
fn what_cannot_be_asked_for_is_an_error() {
    let fetcher = fetcher();
    let plain = Conditions::default();
    assert!(matches!(
        fetcher.get("http://127.0.0.1:1/x", &plain),
        Err(HttpError::Transport { .. })
    ));
    assert!(fetcher.get("no address", &plain).is_err());
    let cancelled = Fetcher::new(QUICK, Arc::new(|| true)).unwrap();
    assert!(matches!(
        cancelled.get("http://127.0.0.1:1/x", &plain),
        Err(HttpError::Cancelled(_))
    ));
}
