//! Readers of what servers and git answer, opened to the fuzz targets; built with the feature
//! `fuzzing` alone.

/// Looks for `name` in the lines of `git ls-remote`.
pub fn git_references(listed: &str, name: &str) {
    super::git::resolve::choose(listed, name);
}

/// Reads the time of a header.
pub fn http_date(text: &str) -> Option<i64> {
    super::http::date::parse(text)
}
