//! Rules about names and values, told from the texts alone.

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

#[cfg(test)]
mod tests {
    use super::*;

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
