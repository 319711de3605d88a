//! `# syntax=` and `BUILDKIT_SYNTAX`: only the frontends that this one stands in for.

use image::ImageRef;

use super::error::PlanError;

/// Refuses a frontend that is not the Dockerfile's own.
pub(super) fn check(syntax: &str) -> Result<(), PlanError> {
    let name = syntax.split_whitespace().next().unwrap_or_default();
    let known = name.parse::<ImageRef>().is_ok_and(|reference| {
        reference.registry == image::reference::DEFAULT_REGISTRY
            && matches!(
                reference.repository.as_str(),
                "docker/dockerfile" | "docker/dockerfile-upstream"
            )
    });
    if known || name.is_empty() {
        return Ok(());
    }
    Err(PlanError::new(format!(
        "the syntax image {name} is not supported: frontends other than docker/dockerfile are not loaded"
    ))
    .help("remove the syntax line, or use docker/dockerfile"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_usual_frontend_is_known() {
        for known in [
            "docker/dockerfile:1",
            "docker/dockerfile",
            "docker.io/docker/dockerfile-upstream:master",
            "docker/dockerfile:1.4-labs some arguments",
            "",
        ] {
            assert!(check(known).is_ok(), "{known}");
        }
        for other in ["example.org/frontend", "docker/other", "Bad Name"] {
            let error = check(other).unwrap_err();
            let name = other.split(' ').next().unwrap();
            assert!(error.message.contains(name), "{}", error.message);
        }
    }
}
