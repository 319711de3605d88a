//! `--call`: what `rbuild build` does instead of building.

use std::str::FromStr;

/// What is asked for, and how it is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What to do.
    pub method: Method,
    /// Whether the answer is JSON.
    pub json: bool,
}

/// What `--call` can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Build.
    Build,
    /// Ask the rules.
    Check,
    /// List the parameters of the target.
    Outline,
    /// List the stages.
    Targets,
}

impl Call {
    /// `--check`.
    pub const CHECK: Self = Self {
        method: Method::Check,
        json: false,
    };
}

impl FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let method = match parts.next().unwrap_or_default() {
            "build" => Method::Build,
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            other => {
                return Err(format!(
                    "there is no `{other}`; there are build, check, outline and targets"
                ));
            }
        };
        let mut json = false;
        for part in parts {
            json = match part {
                "format=json" => true,
                "format=text" => false,
                other => {
                    return Err(format!(
                        "`{other}` is not understood; format=json and format=text are"
                    ));
                }
            };
        }
        if json && method == Method::Build {
            return Err("a build has no format; see --metadata-file".to_owned());
        }
        Ok(Self { method, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_formats_are_read() {
        let call = |method, json| Ok(Call { method, json });
        for (text, expected) in [
            ("build", call(Method::Build, false)),
            ("check", call(Method::Check, false)),
            ("lint,format=json", call(Method::Check, true)),
            ("outline,format=text", call(Method::Outline, false)),
            ("targets,format=json", call(Method::Targets, true)),
        ] {
            assert_eq!(text.parse::<Call>(), expected, "{text}");
        }
        for wrong in [
            "",
            "subrequests.describe",
            "check,json",
            "build,format=json",
        ] {
            assert!(wrong.parse::<Call>().is_err(), "{wrong}");
        }
    }
}
