//! What the user wants gone.

use std::time::Duration;

use crate::usage::UsageKind;

/// What to prune. The default is all build cache that nobody needs and that no image shares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Also what images share: their files stay, the records of how they were made go.
    pub all: bool,
    /// Only what was not used for so long.
    pub unused_for: Option<Duration>,
    /// Only these kinds; all when empty.
    pub kinds: Vec<UsageKind>,
    /// Only what has one of these ids, or an id that begins so; all when empty.
    pub ids: Vec<String>,
    /// Only as much, the longest unused first, as is above this many bytes.
    pub keep_storage: Option<u64>,
    /// Only layers and blobs that nothing names any more.
    pub garbage_only: bool,
    /// Says what would go, and removes nothing.
    pub dry_run: bool,
}

/// A `--filter` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is not `name=value`.
    #[error("invalid filter `{0}`: write it as name=value")]
    Form(String),
    /// There is no such filter.
    #[error("unknown filter `{0}`: there are until, unused-for, id and type")]
    Name(String),
    /// There is no such kind.
    #[error("unknown type `{0}`: there are regular, exec.cachemount and source.local")]
    Kind(String),
    /// A length of time that is none.
    #[error("invalid duration `{0}`: write it as 48h, 90m or 1h30m")]
    Duration(String),
}

impl PruneOptions {
    /// Adds a `--filter` as it was written.
    pub fn filter(&mut self, text: &str) -> Result<(), FilterError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| FilterError::Form(text.to_owned()))?;
        match name {
            "until" | "unused-for" => {
                let duration = parse_duration(value)?;
                self.unused_for = Some(self.unused_for.unwrap_or_default().max(duration));
            }
            "id" => self.ids.push(value.to_owned()),
            "type" => self
                .kinds
                .push(UsageKind::named(value).ok_or_else(|| FilterError::Kind(value.to_owned()))?),
            _ => return Err(FilterError::Name(name.to_owned())),
        }
        Ok(())
    }

    /// For the tombstones: `evicted by prune (all, unused-for=48h)`.
    pub(super) fn describe(&self) -> String {
        let mut words = Vec::new();
        if self.all {
            words.push("all".to_owned());
        }
        if let Some(unused) = self.unused_for {
            words.push(format!("unused-for={}", show_duration(unused)));
        }
        words.extend(
            self.kinds
                .iter()
                .map(|kind| format!("type={}", kind.name())),
        );
        words.extend(self.ids.iter().map(|id| format!("id={id}")));
        if let Some(bytes) = self.keep_storage {
            words.push(format!("keep-storage={bytes}"));
        }
        if words.is_empty() {
            "evicted by prune".to_owned()
        } else {
            format!("evicted by prune ({})", words.join(", "))
        }
    }

    pub(super) fn wants(&self, kind: UsageKind, ids: &[&str], used: i64, now: i64) -> bool {
        let unused = u64::try_from(now - used).unwrap_or(0);
        !self.garbage_only
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self
                .unused_for
                .is_none_or(|least| unused >= least.as_secs())
            && (self.ids.is_empty()
                || self.ids.iter().any(|wanted| {
                    !wanted.is_empty() && ids.iter().any(|id| id.starts_with(wanted.as_str()))
                }))
    }
}

/// Reads a length of time as Go writes it (`1h30m`, `90s`, `1.5h`), with `d` for days beside.
pub fn parse_duration(text: &str) -> Result<Duration, FilterError> {
    let fail = || FilterError::Duration(text.to_owned());
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(fail)?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(fail()),
        };
        seconds += number.parse::<f64>().map_err(|_| fail())? * unit;
        rest = after;
    }
    if text.is_empty() {
        return Err(fail());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| fail())
}

fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_told() {
        let mut options = PruneOptions::default();
        for text in ["until=24h", "unused-for=48h", "type=regular", "id=ab"] {
            options.filter(text).unwrap();
        }
        assert_eq!(
            options.describe(),
            "evicted by prune (unused-for=48h, type=regular, id=ab)"
        );
        for (text, error) in [
            ("until", FilterError::Form("until".into())),
            ("label=x", FilterError::Name("label".into())),
            ("type=x", FilterError::Kind("x".into())),
            ("until=soon", FilterError::Duration("soon".into())),
        ] {
            assert_eq!(options.filter(text), Err(error));
        }
    }

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [
            ("1h30m", 5400),
            ("48h", 172_800),
            ("1.5h", 5400),
            ("2d", 172_800),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in ["", "1", "h", "1x", "-1h", "1h-", "1e400h", "..h", "1µs"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
