//! What a file offers to who builds it: its targets, and the parameters of one of them.
//!
//! Targets need the tree alone, so that they can be listed for files that no build accepts. The
//! parameters are gathered while the target is lowered, by [`outline`](crate::plan::outline).

use solver::Span;

use crate::instruction::{Dockerfile, Word};

/// A stage that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetOutline {
    /// Its name, lower case; none when it has none.
    pub name: Option<String>,
    /// From the comment `# name …` above FROM.
    pub description: Option<String>,
    /// What it starts from, as written.
    pub base: String,
    /// `--platform`, as written.
    pub platform: Option<String>,
    /// Whether it is built when nobody asks for another.
    pub is_default: bool,
    /// FROM.
    pub span: Span,
}

/// The parameters of a target, each list in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The stage's name, lower case; none when it has none.
    pub name: Option<String>,
    /// From the comment `# name …` above FROM.
    pub description: Option<String>,
    /// ARGs of the stages that the target needs, and those that their FROMs use.
    pub args: Vec<ArgOutline>,
    /// Secrets that its RUNs mount.
    pub secrets: Vec<MountOutline>,
    /// SSH agents that its RUNs mount.
    pub ssh: Vec<MountOutline>,
    /// Cache mounts of its RUNs; never required.
    pub caches: Vec<MountOutline>,
}

/// A build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgOutline {
    /// Its name.
    pub name: String,
    /// Its value in this build: given, or its default with variables replaced.
    pub value: Option<String>,
    /// From the comment `# NAME …` above ARG.
    pub description: Option<String>,
    /// ARG.
    pub span: Span,
}

/// Something that RUN mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOutline {
    /// Its id.
    pub id: String,
    /// Whether a step fails without it.
    pub required: bool,
    /// The first RUN that mounts it.
    pub span: Span,
}

/// The stages of a file, in its order.
pub fn targets(dockerfile: &Dockerfile) -> Vec<TargetOutline> {
    let last = dockerfile.stages.len();
    let stages = dockerfile.stages.iter().enumerate();
    let outline = stages.map(|(number, stage)| {
        let name = stage.name.as_ref().map(|name| name.lower());
        TargetOutline {
            description: name
                .as_deref()
                .and_then(|name| description(name, &stage.comments)),
            name,
            base: stage.base.text.clone(),
            platform: stage.platform.as_ref().map(|word| word.text.clone()),
            is_default: number + 1 == last,
            span: stage.span,
        }
    });
    outline.collect()
}

/// What the first comment that begins with `name` says after it.
pub(crate) fn description(name: &str, comments: &[Word]) -> Option<String> {
    comments.iter().find_map(|comment| {
        let text = comment.text.strip_prefix(name)?.strip_prefix(' ')?;
        Some(text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_need_the_tree_alone() {
        let text = "\
ARG V=1
# base what all start from
FROM alpine:$V AS Base
# a comment of another thing
FROM --platform=$BUILDPLATFORM base AS tools
RUN --mount=type=nonsense x
# stage-2 says nothing of a stage without a name
FROM tools
";
        let found = targets(&crate::parse(text).unwrap());
        let rows: Vec<_> = found
            .iter()
            .map(|target| {
                (
                    target.name.as_deref(),
                    target.description.as_deref(),
                    target.base.as_str(),
                    target.platform.as_deref(),
                    target.is_default,
                    &text[target.span.start..target.span.start + 4],
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                (
                    Some("base"),
                    Some("what all start from"),
                    "alpine:$V",
                    None,
                    false,
                    "FROM"
                ),
                (
                    Some("tools"),
                    None,
                    "base",
                    Some("$BUILDPLATFORM"),
                    false,
                    "FROM"
                ),
                (None, None, "tools", None, true, "FROM"),
            ]
        );
    }
}
