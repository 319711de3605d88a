//! Readers of what registries answer, opened to the fuzz targets; built with the feature
//! `fuzzing` alone.

use ureq::http::{HeaderMap, HeaderValue, header};

/// Reads the headers and the body that a registry may answer with, each made of `answer`.
pub fn answer(answer: &[u8]) {
    super::error::message(answer);
    let Ok(value) = HeaderValue::from_bytes(answer) else {
        return;
    };
    if let Ok(link) = value.to_str() {
        super::pull::next_page("https://registry.example", link);
    }
    let mut headers = HeaderMap::new();
    headers.append(header::WWW_AUTHENTICATE, value);
    super::auth::challenges(&headers);
}
