//! `RUN --mount`: the comma-separated options of one value.

use solver::op::Sharing;

use super::csv::fields;
use super::error::PlanError;
use super::gotext::quoted;
use super::parse_bool;
use crate::suggest;

const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];
const SHARINGS: [&str; 3] = ["shared", "private", "locked"];
const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl Kind {
    fn name(self) -> &'static str {
        TYPES[self as usize]
    }
}

/// The options of one mount, checked against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) kind: Kind,
    pub(super) from: String,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) readonly: bool,
    /// Bytes; 0 when not given.
    pub(super) size: u64,
    pub(super) id: String,
    pub(super) sharing: Option<Sharing>,
    pub(super) required: bool,
    pub(super) env: Option<String>,
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// The `from` of a mount, before anything else of it is read: it decides what a stage needs.
pub(super) fn from(value: &str) -> Result<Option<String>, PlanError> {
    let mut from = None;
    for field in fields(value)? {
        let Some((key, value)) = field.split_once('=') else {
            continue;
        };
        if !key.eq_ignore_ascii_case("from") {
            continue;
        }
        if value.find('$').is_some_and(|at| at + 1 != value.len()) {
            return Err(PlanError::new(format!(
                "'{}' doesn't support variable expansion, define alias stage instead",
                key.to_lowercase()
            )));
        }
        from = Some(value.to_owned());
    }
    Ok(from)
}

/// Reads a mount; `expand` replaces the variables of a value.
pub(super) fn parse(
    value: &str,
    mut expand: impl FnMut(&str) -> Result<String, PlanError>,
) -> Result<Mount, PlanError> {
    let mut mount = Mount {
        kind: Kind::Bind,
        from: String::new(),
        source: String::new(),
        target: String::new(),
        readonly: false,
        size: 0,
        id: String::new(),
        sharing: None,
        required: false,
        env: None,
        mode: None,
        uid: None,
        gid: None,
    };
    let mut readonly = None;
    for field in fields(value)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        let value = match (key.as_str(), value) {
            (_, Some(value)) => expand(value)?,
            ("readonly" | "ro" | "readwrite" | "rw" | "required", None) => "true".to_owned(),
            (_, None) => {
                return Err(PlanError::new(format!(
                    "invalid field '{field}' must be a key=value pair"
                )));
            }
        };
        match key.as_str() {
            "readonly" | "ro" => readonly = Some(boolean(&key, &value)?),
            "readwrite" | "rw" => readonly = Some(!boolean(&key, &value)?),
            _ => mount.set(&key, value, &field)?,
        }
    }
    mount.readonly = readonly.unwrap_or(!matches!(mount.kind, Kind::Cache | Kind::Tmpfs));
    mount.check()?;
    Ok(mount)
}

impl Mount {
    fn set(&mut self, key: &str, value: String, field: &str) -> Result<(), PlanError> {
        let unexpected = |kind: Kind| {
            PlanError::new(format!(
                "unexpected key '{key}' for mount type '{}'",
                kind.name()
            ))
        };
        match key {
            "type" => self.kind = kind(&value)?,
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "required" => {
                if !matches!(self.kind, Kind::Secret | Kind::Ssh) {
                    return Err(unexpected(self.kind));
                }
                self.required = boolean(key, &value)?;
            }
            "size" => {
                if self.kind != Kind::Tmpfs {
                    return Err(unexpected(self.kind));
                }
                self.size = size(&value)
                    .ok_or_else(|| PlanError::new(format!("invalid value for size: {value}")))?;
            }
            "id" => self.id = value,
            "sharing" => self.sharing = Some(sharing(&value)?),
            "mode" => self.mode = Some(number(key, &value, 8)?),
            "uid" => self.uid = Some(number(key, &value, 10)?),
            "gid" => self.gid = Some(number(key, &value, 10)?),
            "env" => self.env = Some(value),
            _ => {
                return Err(PlanError::new(suggest::with_suggestion(
                    format!("unexpected key '{key}' in '{field}'"),
                    key,
                    KEYS,
                )));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), PlanError> {
        let kind = self.kind.name();
        if matches!(self.kind, Kind::Bind | Kind::Tmpfs) {
            for (key, value) in [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)] {
                if value.is_some() {
                    return Err(PlanError::new(format!(
                        "{key} not allowed for {} type mounts",
                        quoted(kind)
                    )));
                }
            }
        }
        if self.kind == Kind::Secret {
            let wrong = if !self.from.is_empty() {
                Some("secret mount should not have a from")
            } else if self.sharing.is_some() {
                Some("secret mount should not define sharing")
            } else if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
                Some("invalid secret mount. one of source, target required")
            } else if !self.source.is_empty() && !self.id.is_empty() {
                Some("both source and id can't be set")
            } else {
                None
            };
            if let Some(wrong) = wrong {
                return Err(PlanError::new(wrong));
            }
        }
        if self.kind == Kind::Ssh && !self.source.is_empty() {
            return Err(PlanError::new("ssh does not support source"));
        }
        if self.sharing.is_some() && self.kind != Kind::Cache {
            return Err(PlanError::new(format!(
                "invalid cache sharing set for {kind} mount"
            )));
        }
        Ok(())
    }
}

fn kind(value: &str) -> Result<Kind, PlanError> {
    match value.to_lowercase().as_str() {
        "bind" => Ok(Kind::Bind),
        "cache" => Ok(Kind::Cache),
        "tmpfs" => Ok(Kind::Tmpfs),
        "secret" => Ok(Kind::Secret),
        "ssh" => Ok(Kind::Ssh),
        _ => Err(PlanError::new(suggest::with_suggestion(
            format!("unsupported mount type {}", quoted(value)),
            value,
            TYPES,
        ))),
    }
}

fn sharing(value: &str) -> Result<Sharing, PlanError> {
    match value.to_lowercase().as_str() {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        _ => Err(PlanError::new(suggest::with_suggestion(
            format!("unsupported sharing value {}", quoted(value)),
            value,
            SHARINGS,
        ))),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, PlanError> {
    parse_bool(value).ok_or_else(|| PlanError::new(format!("invalid value for {key}: {value}")))
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, PlanError> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    u32::from_str_radix(value, radix)
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| PlanError::new(format!("invalid value {value} for {key}")))
}

/// `64m`, `1.5GiB`, `1024`: bytes, in powers of 1024.
fn size(text: &str) -> Option<u64> {
    let end = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))?;
    let (number, unit) = text.split_at(end + 1);
    let number: f64 = number.strip_suffix(' ').unwrap_or(number).parse().ok()?;
    let unit = unit.to_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        unit => {
            let (letter, rest) = unit.split_at_checked(1)?;
            if !matches!(rest, "" | "b" | "ib") {
                return None;
            }
            1 + "kmgtp".find(letter)? as i32
        }
    };
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    Some((number * 1024_f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: &str) -> Result<Mount, String> {
        parse(value, |text| Ok(text.replace("$V", "v"))).map_err(|error| error.message)
    }

    #[test]
    fn options_are_read() {
        let mount = plain("type=cache,target=/c,sharing=LOCKED,uid=1,mode=0700,ro").unwrap();
        assert_eq!(
            (mount.kind, mount.sharing),
            (Kind::Cache, Some(Sharing::Locked))
        );
        assert_eq!(
            (mount.uid, mount.gid, mount.mode),
            (Some(1), None, Some(0o700))
        );
        assert!(mount.readonly);
        let mount = plain("source=$V,dst=/x").unwrap();
        assert_eq!((mount.kind, mount.source.as_str()), (Kind::Bind, "v"));
        assert!(mount.readonly);
        assert!(!plain("target=/x,rw").unwrap().readonly);
        assert!(!plain("type=cache,target=/x").unwrap().readonly);
        assert!(plain("type=ssh,required").unwrap().required);
        assert_eq!(plain("type=tmpfs,target=/t,size=1.5k").unwrap().size, 1536);
        assert_eq!(plain("type=secret,\"id=a,b\"").unwrap().id, "a,b");
    }

    #[test]
    fn wrong_options_are_named() {
        for (value, message) in [
            ("type=volume", "unsupported mount type \"volume\""),
            (
                "type=bnd",
                "unsupported mount type \"bnd\" (did you mean bind?)",
            ),
            (
                "targt=/x",
                "unexpected key 'targt' in 'targt=/x' (did you mean target?)",
            ),
            ("target", "invalid field 'target' must be a key=value pair"),
            (
                "mode=0700,target=/x",
                "mode not allowed for \"bind\" type mounts",
            ),
            (
                "type=tmpfs,uid=1",
                "uid not allowed for \"tmpfs\" type mounts",
            ),
            (
                "type=cache,required",
                "unexpected key 'required' for mount type 'cache'",
            ),
            ("size=1", "unexpected key 'size' for mount type 'bind'"),
            ("type=tmpfs,size=x", "invalid value for size: x"),
            ("type=cache,mode=9", "invalid value 9 for mode"),
            ("type=cache,uid=+1", "invalid value +1 for uid"),
            ("type=cache,sharing=no", "unsupported sharing value \"no\""),
            ("sharing=shared", "invalid cache sharing set for bind mount"),
            ("ro=maybe", "invalid value for ro: maybe"),
            (
                "type=secret",
                "invalid secret mount. one of source, target required",
            ),
            ("type=secret,id=a,src=b", "both source and id can't be set"),
            (
                "type=secret,id=a,from=b",
                "secret mount should not have a from",
            ),
            ("type=ssh,source=b", "ssh does not support source"),
            (
                "a\"b",
                "failed to parse csv mounts: bare \" in non-quoted field",
            ),
            ("", "failed to parse csv mounts: EOF"),
        ] {
            assert_eq!(plain(value).unwrap_err(), message, "{value}");
        }
    }

    #[test]
    fn from_is_known_without_variables() {
        assert_eq!(
            from("type=$T,FROM=a,target=/x").unwrap().as_deref(),
            Some("a")
        );
        assert_eq!(from("target=/x").unwrap(), None);
        assert!(from("from=$S").unwrap_err().message.contains("'from'"));
        assert!(from("from=a$").is_ok());
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("10b", Some(10)),
            ("1 KiB", Some(1024)),
            ("2MB", Some(2 << 20)),
            ("1g", Some(1 << 30)),
            ("k", None),
            ("1x", None),
            ("1ib", None),
            ("1kk", None),
            ("-1", None),
            ("1kibb", None),
            ("1bb", None),
            ("1é", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
