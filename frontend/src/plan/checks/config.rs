//! `# check=skip=A,B;experimental=all;error=true`, for a file or for one instruction.

use std::collections::HashSet;

use crate::instruction::Word;

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
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(rule),
        }
    }
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

    /// Whether `rule` is asked at an instruction with `comments` above it.
    pub(super) fn wants(&self, rule: &str, experimental: bool, comments: &[Word]) -> bool {
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
        if experimental {
            configs.any(|config| config.experimental.has(rule))
        } else {
            !configs.any(|config| config.skip.has(rule))
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
        assert!(!config.wants("A", false, &[]) && !config.wants("B", false, &[]));
        assert!(config.wants("C", false, &[]));
        assert!(!config.wants("C", true, &[]));
        assert!(!Config::parse("skip=all").unwrap().wants("X", false, &[]));
        assert!(
            Config::parse("experimental=all")
                .unwrap()
                .wants("X", true, &[])
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
            false,
            &[comment("words"), comment("check=skip=A,B why")]
        ));
        assert!(!config.wants("A", false, &[comment("# check=skip=all")]));
        assert!(config.wants("A", false, &[comment("check=skip=B")]));
        assert!(config.wants("A", false, &[comment("check=nonsense")]));
    }
}
