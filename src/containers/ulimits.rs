//! `--ulimit`: limits of processes, as Docker's documents have them and as the runtime does.

use super::ENGINE;
use super::document::Ulimit;
use crate::report::Failure;

/// Names of limits of processes; see getrlimit(2).
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads `--ulimit`: `name=soft[:hard]`.
pub fn read(texts: &[String]) -> Result<Vec<Ulimit>, Failure> {
    texts.iter().map(|text| one(text)).collect()
}

fn one(text: &str) -> Result<Ulimit, Failure> {
    let wrong = |message: String| Failure::new(ENGINE, message);
    let invalid = || wrong(format!("invalid ulimit argument: {text}"));
    let (name, values) = text.split_once('=').ok_or_else(invalid)?;
    if !ULIMITS.contains(&name) {
        return Err(wrong(format!("invalid ulimit type: {name}")));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| match text {
        "unlimited" => Ok(-1),
        text => text
            .parse::<i64>()
            .ok()
            .filter(|n| *n >= -1)
            .ok_or_else(invalid),
    };
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft > hard || soft == -1) {
        return Err(wrong(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        hard,
        soft,
    })
}

/// A limit as the runtime has it; -1 is none.
pub fn written(ulimit: &Ulimit) -> String {
    format!("{}={}:{}", ulimit.name, ulimit.soft, ulimit.hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits_are_read() {
        let read = |text: &str| one(text).map(|limit| written(&limit));
        assert_eq!(read("nofile=100:200").unwrap(), "nofile=100:200");
        assert_eq!(read("core=0").unwrap(), "core=0:0");
        assert_eq!(read("core=unlimited").unwrap(), "core=-1:-1");
        assert_eq!(read("core=-1").unwrap(), "core=-1:-1");
        for wrong in ["nofile", "what=1", "nofile=2:1", "nofile=x", "nofile=-2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
