//! The rules that checks ask: what each is called and means. Their code is in the parser and in
//! `plan/checks`.

/// Where the reference explains its rules.
const PAGES: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name, as `# check=skip=` takes it.
    pub name: &'static str,
    /// What it wants, in the reference's words.
    pub meaning: &'static str,
    /// Whether it is asked only when `# check=experimental=` names it.
    pub experimental: bool,
    has_page: bool,
}

/// Begins the names of rules that the reference does not have.
pub const OWN: &str = "rbuild/";
/// All of these, where rules are named.
pub const ALL_OWN: &str = "rbuild/all";

impl Rule {
    const fn new(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            meaning,
            experimental: false,
            has_page: true,
        }
    }

    const fn own(name: &'static str, meaning: &'static str) -> Self {
        Self {
            has_page: false,
            ..Self::new(name, meaning)
        }
    }

    /// The reference's page that explains it; none if there is none.
    pub fn url(&self) -> Option<String> {
        self.has_page
            .then(|| format!("{PAGES}{}/", slug(self.name)))
    }

    /// Whether what it finds can be rewritten without changing what a build makes.
    pub fn is_fixable(&self) -> bool {
        crate::plan::FIXABLE.contains(&self.name)
    }

    /// The rule of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.name == name)
    }
}

/// All rules, by their names.
pub const RULES: &[Rule] = &[
    Rule::new(
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    ),
    Rule::new(
        "CopyIgnoredFile",
        "Attempting to Copy file that is excluded by .dockerignore",
    ),
    Rule::new("DuplicateStageName", "Stage names should be unique"),
    Rule::new(
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    ),
    Rule::new(
        "ExposeProtoCasing",
        "Protocol in EXPOSE instruction should be lowercase",
    ),
    Rule::new(
        "FromAsCasing",
        "The 'as' keyword should match the case of the 'from' keyword",
    ),
    Rule::new(
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
    ),
    Rule {
        has_page: false,
        ..Rule::new(
            "InvalidBaseImagePlatform",
            "Base image platform does not match expected target platform",
        )
    },
    Rule::new(
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
    ),
    Rule {
        experimental: true,
        ..Rule::new(
            "InvalidDefinitionDescription",
            "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
        )
    },
    Rule::new(
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    ),
    Rule::new(
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
    ),
    Rule::new(
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    ),
    Rule::new(
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
    ),
    Rule::new(
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
    ),
    Rule::new(
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ),
    Rule::new(
        "ReservedStageName",
        "Reserved words should not be used as stage names",
    ),
    Rule::new(
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
    ),
    Rule::new("StageNameCasing", "Stage names should be lowercase"),
    Rule::new("UndefinedArgInFrom", "FROM command must use declared ARGs"),
    Rule::new(
        "UndefinedVar",
        "Variables should be defined before their use",
    ),
    Rule::new(
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    ),
    Rule::own(
        "rbuild/ArgTooEarly",
        "An ARG should not be declared above steps that do not use it: a new value runs them again",
    ),
    Rule::own(
        "rbuild/CopyBeforeInstall",
        "Dependencies should be installed before all files are copied, so that not every change installs them again",
    ),
    Rule::own(
        "rbuild/LoneAptUpdate",
        "Package lists should be updated by the RUN that installs from them",
    ),
    Rule::own(
        "rbuild/NoIgnoreFile",
        "A context with large or secret files should have a .dockerignore",
    ),
    Rule::own(
        "rbuild/UselessIgnoreException",
        "An exception in .dockerignore should let something in",
    ),
];

/// `JSONArgsRecommended` as `json-args-recommended`.
fn slug(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut slug = String::with_capacity(name.len() + 8);
    for (at, byte) in bytes.iter().enumerate() {
        let is_lower = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_lowercase);
        if at > 0 && byte.is_ascii_uppercase() && (is_lower(at - 1) || is_lower(at + 1)) {
            slug.push('-');
        }
        slug.push(char::from(byte.to_ascii_lowercase()));
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_named_after_rules() {
        for (name, page) in [
            ("JSONArgsRecommended", "json-args-recommended"),
            ("SecretsUsedInArgOrEnv", "secrets-used-in-arg-or-env"),
            ("UndefinedVar", "undefined-var"),
        ] {
            let url = Rule::find(name).unwrap().url().unwrap();
            assert_eq!(url, format!("{PAGES}{page}/"));
        }
        assert_eq!(Rule::find("InvalidBaseImagePlatform").unwrap().url(), None);
    }

    /// The page lists the rules that there are, and the code has no others.
    #[test]
    fn the_documentation_lists_every_rule() {
        let page = include_str!("../../docs/checks.md");
        let listed: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| [`")?.split('`').next())
            .collect();
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(listed, names);
        for rule in RULES {
            let name = rule.name;
            let fixed = if rule.is_fixable() { "yes" } else { "" };
            let found = page.lines().any(|line| {
                line.starts_with(&format!("| [`{name}`](checks/{name}.md) | "))
                    && line.ends_with(&format!(" | {fixed} |"))
            });
            assert!(found, "{name} is listed otherwise");
        }
        let code = include_str!("plan/checks/mod.rs");
        let constants = code.lines().filter(|line| line.contains(": &str = \""));
        let mut in_code: Vec<&str> = constants
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        in_code.sort_unstable();
        assert_eq!(in_code, names);
    }
}
