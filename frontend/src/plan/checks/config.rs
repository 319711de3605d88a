//! `# check=skip=A,B;experimental=all;error=true`, for a file or for one instruction.

use std::collections::HashSet;

use crate::instruction::Word;
use crate::rules::{ALL_OWN, OWN};

/// Some rules, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rules {
    All,
    Some(HashSet<String>),
}

impl Rules {
    fn parse(text: &str) -> Self {
        match text.trim() {
            "all" => Self::All,
            names => Self::Some(
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
            ),
        }
    }

    fn has(&self, rule: &str) -> bool {
        matches!(self, Self::All) || self.names(rule)
    }

    /// Whether the rule itself is named, or that all of rbuild's own are meant.
    fn names(&self, rule: &str) -> bool {
        let Self::Some(names) = self else {
            return false;
        };
        names.contains(rule) || rule.starts_with(OWN) && names.contains(ALL_OWN)
    }
}

/// When a rule is asked if nobody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Always.
    Always,
    /// If `experimental=` names it, or `all`.
    Experimental,
    /// If `experimental=` names it; `all` are those of the reference.
    Named,
}

/// Which rules are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    skip: Rules,
    experimental: Rules,
    error: bool,
}

impl Config {
    /// Reads options; empty text means none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let none = || Rules::Some(HashSet::new());
        let mut config = Self {
            skip: none(),
            experimental: none(),
            error: false,
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(config);
        }
        for part in text.splitn(3, ';') {
            let invalid = || format!("invalid check option \"{part}\"");
            let (key, value) = part.split_once('=').ok_or_else(invalid)?;
            match key.trim() {
                "skip" => config.skip = Rules::parse(value),
                "experimental" => config.experimental = Rules::parse(value),
                "error" => {
                    config.error = crate::plan::parse_bool(value.trim()).ok_or_else(invalid)?;
                }
                _ => return Err(invalid()),
            }
        }
        Ok(config)
    }

    /// Whether findings fail the build.
    pub(super) fn is_error(&self) -> bool {
        self.error
    }

    /// Whether a rule of rbuild's own may be asked anywhere.
    pub(super) fn names_own(&self) -> bool {
        match &self.experimental {
            Rules::All => false,
            Rules::Some(names) => names.iter().any(|name| name.starts_with(OWN)),
        }
    }

    /// Whether `rule` is asked at an instruction with `comments` above it.
    pub(super) fn wants(&self, rule: &str, when: When, comments: &[Word]) -> bool {
        let local = comments.iter().find_map(|comment| {
            let text = comment.text.trim_start_matches('#').trim();
            let (key, value) = text.split_once('=')?;
            if !key.trim().eq_ignore_ascii_case("check") {
                return None;
            }
            let value = value.trim().split(' ').next().unwrap_or_default();
            Some(Self::parse(value).ok())
        });
        let configs = [Some(self), local.as_ref().and_then(Option::as_ref)];
        let mut configs = configs.into_iter().flatten();
        match when {
            When::Always => !configs.any(|config| config.skip.has(rule)),
            When::Experimental => configs.any(|config| config.experimental.has(rule)),
            When::Named => {
                configs
                    .clone()
                    .any(|config| config.experimental.names(rule))
                    && !configs.any(|config| config.skip.has(rule))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(text: &str) -> Word {
        Word {
            text: text.to_owned(),
            span: (0..0).into(),
        }
    }

    #[test]
    fn options_are_read() {
        let config = Config::parse("skip=A, B;error=true").unwrap();
        assert!(config.is_error());
        assert!(!config.wants("A", When::Always, &[]) && !config.wants("B", When::Always, &[]));
        assert!(config.wants("C", When::Always, &[]));
        assert!(!config.wants("C", When::Experimental, &[]));
        assert!(
            !Config::parse("skip=all")
                .unwrap()
                .wants("X", When::Always, &[])
        );
        assert!(
            Config::parse("experimental=all")
                .unwrap()
                .wants("X", When::Experimental, &[])
        );
        for wrong in ["skip", "nope=1", "error=maybe"] {
            assert!(Config::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_comment_silences_one_instruction() {
        let config = Config::parse("").unwrap();
        assert!(!config.wants(
            "A",
            When::Always,
            &[comment("words"), comment("check=skip=A,B why")]
        ));
        assert!(!config.wants("A", When::Always, &[comment("# check=skip=all")]));
        assert!(config.wants("A", When::Always, &[comment("check=skip=B")]));
        assert!(config.wants("A", When::Always, &[comment("check=nonsense")]));
    }

    #[test]
    fn own_rules_have_names_of_their_own() {
        let wants = |text: &str, rule, when| Config::parse(text).unwrap().wants(rule, when, &[]);
        for (text, named, always) in [
            ("", false, true),
            ("experimental=all", false, true),
            ("experimental=rbuild/X", true, true),
            ("experimental=rbuild/all", true, true),
            ("experimental=rbuild/all;skip=rbuild/X", false, false),
            ("skip=rbuild/all", false, false),
            ("skip=all", false, false),
            ("skip=X", false, true),
        ] {
            assert_eq!(wants(text, "rbuild/X", When::Named), named, "{text}");
            assert_eq!(wants(text, "rbuild/X", When::Always), always, "{text}");
        }
        assert!(wants("skip=rbuild/all", "X", When::Always));
        assert!(Config::parse("experimental=rbuild/X").unwrap().names_own());
        assert!(!Config::parse("experimental=all").unwrap().names_own());
    }
}
