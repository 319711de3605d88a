//! Rules about names and values, told from the texts alone.

use crate::ignore::IgnoreRules;
use crate::plan::paths;

/// Whether the name of an ARG or ENV sounds like a secret.
pub(in super::super) fn is_secret_name(name: &str) -> bool {
    let has = |words: &[&str]| {
        name.split('_')
            .any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
    };
    has(&[
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ]) && !has(&["public", "file", "version"])
}

/// The path of a COPY source, if the ignore file surely hides it: one that lets something in again
/// is not judged.
pub(in super::super) fn ignored_source(rules: &IgnoreRules, source: &str) -> Option<String> {
    if rules.has_negations() {
        return None;
    }
    let path = paths::clean(source);
    let hidden = if matches!(&*path, "." | "/") {
        // The root is no path that a rule could name; only one that matches all its entries counts.
        let patterns = rules.identity();
        path == "." && patterns.lines().any(|p| matches!(p, "*" | "**" | "**/*"))
    } else {
        rules.excludes(&*path)
    };
    hidden.then(|| path.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_sources_are_found() {
        let hidden = |rules: &str, source| {
            let rules = IgnoreRules::parse(rules.as_bytes()).unwrap();
            ignored_source(&rules, source)
        };
        assert_eq!(hidden("*.log\n", "./a.log").as_deref(), Some("a.log"));
        assert_eq!(hidden("dir\n", "dir/x").as_deref(), Some("dir/x"));
        assert_eq!(hidden("*\n", "./").as_deref(), Some("."));
        assert_eq!(hidden("a\n", "."), None);
        assert_eq!(hidden("a\n", "b"), None);
        assert_eq!(hidden("*\n!b\n", "a"), None);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "API_KEY",
            "DATABASE_PASSWORD",
            "token",
            "secret_MESSAGE",
            "AUTH",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "MONKEY",
            "PUBLIC_KEY",
            "TOKEN_FILE",
            "keyboard",
            "SECRET_VERSION",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
