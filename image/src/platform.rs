//! Which machine an image is for (OCI image spec, image-index.md, `platform`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Operating system, processor and what narrows them; always normalised (`x86_64` is `amd64`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Processor, by Go's name for it.
    pub architecture: String,
    /// Operating system, by Go's name for it.
    pub os: String,
    /// Version of the operating system, for Windows images.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Features of the operating system that the image needs.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the processor, such as `v7`; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// A text that should have been `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform: {reason}")]
pub struct PlatformError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Platform {
    /// A normalised platform from its parts; `variant` may be empty.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) = normalise(
            &architecture.to_ascii_lowercase(),
            &variant.to_ascii_lowercase(),
        );
        Self {
            architecture,
            os,
            os_version: String::new(),
            os_features: Vec::new(),
            variant,
        }
    }

    /// The platform of the machine that this program was built for.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, "")
    }

    /// Whether a process of `self` runs on a machine that asked for `wanted`: the same system and
    /// processor, and a variant that is not newer.
    pub fn serves(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (self.variant == wanted.variant
                || wanted.variant.is_empty()
                || self.variant.is_empty()
                || (wanted.architecture == "arm" && self.variant <= wanted.variant))
    }
}

/// Go's names for what users and kernels call the same processor.
fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386" | "x86" | "i686", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        ("riscv64gc", v) => ("riscv64", v),
        ("powerpc64le", v) => ("ppc64le", v),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let fail = |reason| PlatformError {
            text: text.to_owned(),
            reason,
        };
        let parts: Vec<&str> = text.split('/').collect();
        let well_formed = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'(' | b')')
                })
        };
        if !parts.iter().all(well_formed) {
            return Err(fail("use os/architecture[/variant], such as linux/arm64"));
        }
        match parts.as_slice() {
            ["local"] => Ok(Self::host()),
            ["linux" | "darwin" | "macos" | "windows" | "freebsd" | "wasi"] => {
                Ok(Self::new(parts[0], std::env::consts::ARCH, ""))
            }
            [architecture] => {
                let platform = Self::new("linux", architecture, "");
                match platform.architecture.as_str() {
                    "386" | "amd64" | "arm" | "arm64" | "loong64" | "mips" | "mips64"
                    | "mips64le" | "mipsle" | "ppc64" | "ppc64le" | "riscv64" | "s390x"
                    | "wasm" => Ok(platform),
                    _ => Err(fail(
                        "neither an operating system nor a processor that is known",
                    )),
                }
            }
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(fail("use os/architecture[/variant], such as linux/arm64")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (text, shown) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/amd64/v2", "linux/amd64/v2"),
            ("arm64", "linux/arm64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown);
        }
        assert!("linux//x".parse::<Platform>().is_err());
        assert!("nonsense".parse::<Platform>().is_err());
    }
}
