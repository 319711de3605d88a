//! Slash-separated paths as texts; nothing is looked up.

pub(super) use solver::pattern::clean;

/// The last component, `/` for the root and `.` for nothing (Go's `path.Base`).
pub(super) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// `path` inside `directory`, absolute and cleaned.
pub(super) fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        clean(path).into_owned()
    } else {
        clean(&format!("/{directory}/{path}")).into_owned()
    }
}

/// `path` as a name inside a tree: cleaned, without a leading `/` or `..`; `.` for the root.
pub(super) fn inside(path: &str) -> String {
    let rooted = format!("/{path}");
    match clean(&rooted).strip_prefix('/') {
        Some("") | None => ".".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// Whether `name` holds a character that makes it a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return true,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_texts() {
        for (path, expected) in [
            ("", "."),
            ("/", "/"),
            ("/..", "/"),
            ("a/../..", ".."),
            ("/a//b/./c/..", "/a/b"),
            ("./x/", "x"),
            ("../../x", "../../x"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        for (path, expected) in [("", "."), ("/", "."), ("../x", "x"), ("/a/b/", "a/b")] {
            assert_eq!(inside(path), expected, "{path}");
        }
        assert_eq!(join("/w", "../x"), "/x");
        assert_eq!(join("/w", "/x/"), "/x");
        for (path, expected) in [("", "."), ("/", "/"), ("a/b/", "b"), ("x", "x")] {
            assert_eq!(base(path), expected, "{path}");
        }
        assert!(is_pattern("a*") && is_pattern("[a]") && !is_pattern("a\\*"));
    }
}
