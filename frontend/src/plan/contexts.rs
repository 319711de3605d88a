//! `--build-context`: what replaces stages, images and `--from`, found by name.

use std::collections::HashMap;

use image::{ImageRef, Platform};

use super::request::NamedContext;

/// The request's named contexts, by familiar name.
#[derive(Debug, Default)]
pub(super) struct Contexts(HashMap<String, (String, NamedContext)>);

/// One that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its name in the request, by which the executor knows a directory.
    pub(super) name: String,
    /// What it stands for.
    pub(super) context: NamedContext,
}

impl Contexts {
    pub(super) fn new<'c>(named: impl IntoIterator<Item = (&'c String, &'c NamedContext)>) -> Self {
        Self(
            named
                .into_iter()
                .map(|(name, context)| {
                    let known = |name: &str| familiar(name).unwrap_or_else(|| name.to_lowercase());
                    let key = match name.split_once("::") {
                        Some((name, platform)) => {
                            format!("{}::{}", known(name), platform.to_lowercase())
                        }
                        None => known(name),
                    };
                    (key, (name.clone(), context.clone()))
                })
                .collect(),
        )
    }

    /// The context that stands for `name` on `platform`.
    pub(super) fn find(&self, name: &str, platform: &Platform) -> Option<Found> {
        if self.0.is_empty()
            || name.eq_ignore_ascii_case("scratch")
            || name.eq_ignore_ascii_case("context")
        {
            return None;
        }
        let name = familiar(name)?;
        let (name, context) = self
            .0
            .get(&format!("{name}::{platform}"))
            .or_else(|| self.0.get(&name))?;
        Some(Found {
            name: name.clone(),
            context: context.clone(),
        })
    }
}

/// `docker.io/library/alpine:latest` and `alpine` are one name; none for what is no image's name.
fn familiar(name: &str) -> Option<String> {
    let familiar = name.parse::<ImageRef>().ok()?.familiar();
    let familiar = familiar.strip_suffix(":latest").unwrap_or(&familiar);
    Some(familiar.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_spelling() {
        let named = [
            ("alpine".to_owned(), NamedContext::Directory),
            (
                "example.org/a:V1".to_owned(),
                NamedContext::Image("x".into()),
            ),
            ("b::linux/arm64".to_owned(), NamedContext::Directory),
        ];
        let contexts = Contexts::new(named.iter().map(|(name, context)| (name, context)));
        let amd = "linux/amd64".parse().unwrap();
        let arm = "linux/arm64".parse().unwrap();
        let found = |name| contexts.find(name, &amd).map(|found| found.name);
        assert_eq!(
            found("docker.io/library/alpine:latest").as_deref(),
            Some("alpine")
        );
        assert_eq!(
            found("ALPINE").as_deref(),
            None,
            "an image name with capitals is none"
        );
        assert_eq!(
            found("example.org/a:V1").as_deref(),
            Some("example.org/a:V1")
        );
        assert_eq!(found("alpine:3"), None);
        assert_eq!(found("b"), None);
        assert!(contexts.find("b", &arm).is_some());
    }
}
