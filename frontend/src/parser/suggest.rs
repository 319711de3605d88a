//! What was probably meant by a name that does not exist, as it would have been written.

/// `name` in the letters of `given`: upper case if all of it is, lower case if all of it is.
pub(super) fn in_case_of(given: &str, name: &str) -> String {
    if given == given.to_uppercase() {
        name.to_uppercase()
    } else {
        name.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        assert_eq!(in_case_of("RUNN", "run"), "RUN");
        assert_eq!(in_case_of("runn", "run"), "run");
        assert_eq!(in_case_of("Runn", "RUN"), "run");
    }
}
