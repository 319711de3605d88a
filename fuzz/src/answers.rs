//! What registries, web servers and git say.

/// Anything as a header, the body of an error, a date, or the lines of `git ls-remote` after the
/// name that is looked for.
pub fn answers(data: &[u8]) {
    image::registry::fuzzing::answer(data);
    let text = String::from_utf8_lossy(data);
    if let Some(seconds) = executor::ops::fuzzing::http_date(&text) {
        // The years that four digits have.
        assert!(
            (-62_200_000_000..=253_500_000_000).contains(&seconds),
            "{text:?}: {seconds}"
        );
    }
    if let Some((name, listed)) = text.split_once('\n') {
        executor::ops::fuzzing::git_references(listed, name);
    }
}
