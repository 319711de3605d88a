//! Values of flags that have a grammar of their own.

use std::path::PathBuf;
use std::str::FromStr;

/// `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// In front of the first `=`.
    pub name: String,
    /// After it.
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("use NAME=VALUE".to_owned()),
        }
    }
}

/// `name=value` of a `--filter`: a name in any case, with or without spaces around.
pub fn filter(text: &str) -> Result<Pair, String> {
    let pair: Pair = text
        .parse()
        .map_err(|_| "bad format of filter (expected name=value)")?;
    Ok(Pair {
        name: pair.name.trim().to_ascii_lowercase(),
        value: pair.value.trim().to_owned(),
    })
}

/// `host:address` or `host=address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// Name.
    pub host: String,
    /// IPv4 or IPv6 address, or `host-gateway`.
    pub address: String,
}

impl FromStr for ExtraHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, address) = text
            .split_once('=')
            .or_else(|| text.split_once(':'))
            .ok_or("use HOST:ADDRESS")?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("the host name is missing".to_owned());
        }
        if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("`{address}` is not an IP address"));
        }
        Ok(Self {
            host: host.to_owned(),
            address: address.to_owned(),
        })
    }
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// Its name in `RUN --mount=type=secret,id=…`.
    pub id: String,
    /// Where.
    pub place: SecretPlace,
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a file.
    File(PathBuf),
    /// In an environment variable of rbuild's.
    Env(String),
    /// In the variable named like the secret if there is one, and otherwise in the file of that name.
    Named,
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut id = None;
        let mut file = None;
        let mut env = None;
        let mut kind = None;
        for (key, value) in fields(text)? {
            let slot = match key.as_str() {
                "id" => &mut id,
                "src" | "source" => &mut file,
                "env" => &mut env,
                "type" => &mut kind,
                other => return Err(format!("unknown key `{other}`; use id, src, env and type")),
            };
            *slot = Some(value);
        }
        let id = id.filter(|id| !id.is_empty()).ok_or("the id is missing")?;
        let place = match (kind.as_deref(), file, env) {
            (None | Some("file"), Some(file), None) => SecretPlace::File(file.into()),
            (None | Some("env"), None, Some(name)) => SecretPlace::Env(name),
            (Some("env"), Some(name), None) => SecretPlace::Env(name),
            (Some("env"), None, None) => SecretPlace::Env(id.clone()),
            (Some("file"), None, None) => SecretPlace::File(id.clone().into()),
            (None, None, None) => SecretPlace::Named,
            (Some("file" | "env") | None, _, _) => {
                return Err("give either src or env".to_owned());
            }
            (Some(other), _, _) => return Err(format!("unknown type `{other}`; use file or env")),
        };
        Ok(Self { id, place })
    }
}

/// An SSH agent of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAgent {
    /// Its name in `RUN --mount=type=ssh,id=…`.
    pub id: String,
    /// Its socket; `$SSH_AUTH_SOCK` when none.
    pub socket: Option<PathBuf>,
}

impl FromStr for SshAgent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, socket) = match text.split_once('=') {
            Some((id, socket)) => (id, Some(PathBuf::from(socket))),
            None => (text, None),
        };
        if id.is_empty() {
            return Err("use default or ID=SOCKET".to_owned());
        }
        Ok(Self {
            id: id.to_owned(),
            socket,
        })
    }
}

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// In which form.
    pub kind: OutputKind,
    /// File or directory; standard output when `-`, none for the store and for registries.
    pub dest: Option<PathBuf>,
    /// `name=`, beside those of `--tag`.
    pub names: Vec<String>,
    /// How layers are compressed.
    pub compression: Option<String>,
    /// How hard.
    pub compression_level: Option<i32>,
    /// Whether layers that exist compressed otherwise are compressed anew.
    pub force_compression: bool,
    /// Whether media types are OCI's (or Docker's).
    pub oci_mediatypes: Option<bool>,
    /// Whether an OCI archive is one tar (or a directory).
    pub tar: bool,
    /// Whether times in layers are clamped to the epoch.
    pub rewrite_timestamp: bool,
    /// Whether an image is sent to its registry.
    pub push: bool,
    /// Whether files of each platform get a directory of their own; those of several do unless told.
    pub platform_split: Option<bool>,
}

/// In which form a result leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// An image in the store.
    Image,
    /// An OCI archive, or layout directory with `tar=false`.
    Oci,
    /// An archive for `docker load`.
    Docker,
    /// Files in a directory.
    Local,
    /// Files in a tar.
    Tar,
    /// An image in a registry.
    Registry,
    /// Nothing leaves.
    CacheOnly,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut output = Self {
            kind: OutputKind::Local,
            dest: None,
            names: Vec::new(),
            compression: None,
            compression_level: None,
            force_compression: false,
            oci_mediatypes: None,
            tar: true,
            rewrite_timestamp: false,
            push: false,
            platform_split: None,
        };
        if text == "-" {
            output.kind = OutputKind::Tar;
            output.dest = Some("-".into());
            return Ok(output);
        }
        if !text.contains('=') {
            if text.is_empty() {
                return Err("give a directory, or type=…".to_owned());
            }
            output.dest = Some(text.into());
            return Ok(output);
        }
        let mut kind = None;
        for (key, value) in fields(text)? {
            match key.as_str() {
                "type" => {
                    kind = Some(match value.as_str() {
                        "image" => OutputKind::Image,
                        "oci" => OutputKind::Oci,
                        "docker" => OutputKind::Docker,
                        "local" => OutputKind::Local,
                        "tar" => OutputKind::Tar,
                        "registry" => OutputKind::Registry,
                        "cacheonly" => OutputKind::CacheOnly,
                        other => {
                            return Err(format!(
                                "unknown type `{other}`; use oci, docker, local, tar, image, registry or cacheonly"
                            ));
                        }
                    });
                }
                "dest" => output.dest = Some(value.into()),
                "name" => output.names.extend(value.split(',').map(str::to_owned)),
                "compression" => match value.as_str() {
                    "gzip" | "zstd" | "uncompressed" => output.compression = Some(value),
                    other => {
                        return Err(format!(
                            "compression `{other}` is not done; use gzip, zstd or uncompressed"
                        ));
                    }
                },
                "compression-level" => {
                    output.compression_level =
                        Some(value.parse().map_err(|_| "compression-level is a number")?);
                }
                "force-compression" => output.force_compression = flag(&key, &value)?,
                "oci-mediatypes" => output.oci_mediatypes = Some(flag(&key, &value)?),
                "tar" => output.tar = flag(&key, &value)?,
                "rewrite-timestamp" => output.rewrite_timestamp = flag(&key, &value)?,
                "push" => output.push = flag(&key, &value)?,
                "platform-split" => output.platform_split = Some(flag(&key, &value)?),
                "mode" if value == "copy" => {}
                "mode" => return Err(format!("mode={value} is not done; use mode=copy")),
                other => return Err(format!("`{other}` is not done")),
            }
        }
        output.kind = kind.ok_or("type=… is missing")?;
        match output.kind {
            OutputKind::Local if output.dest.is_none() => {
                Err("type=local needs dest=DIRECTORY".to_owned())
            }
            OutputKind::Oci if !output.tar && output.dest.is_none() => {
                Err("tar=false needs dest=DIRECTORY".to_owned())
            }
            _ => Ok(output),
        }
    }
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("{key} is true or false, not `{other}`")),
    }
}

/// `key=value,key=value` as CSV: a field may be quoted, with `""` for a quote.
pub fn fields(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut fields = Vec::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let mut field = String::new();
        if rest.peek() == Some(&'"') {
            rest.next();
            loop {
                match rest.next() {
                    Some('"') if rest.peek() == Some(&'"') => {
                        rest.next();
                        field.push('"');
                    }
                    Some('"') => break,
                    Some(letter) => field.push(letter),
                    None => return Err("a quote is not closed".to_owned()),
                }
            }
            if !matches!(rest.next(), None | Some(',')) {
                return Err("a closing quote is followed by more than a comma".to_owned());
            }
        } else {
            field.extend(rest.by_ref().take_while(|&letter| letter != ','));
        }
        let (key, value) = field.split_once('=').unwrap_or((&field, ""));
        fields.push((key.trim().to_ascii_lowercase(), value.to_owned()));
    }
    Ok(fields)
}

/// Bytes with an optional unit: `64m`, `1GiB`.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a size; use 64m or 1g"))?;
    let factor = match unit
        .trim()
        .to_ascii_lowercase()
        .trim_end_matches("ib")
        .trim_end_matches('b')
    {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1024.0 * 1024.0,
        "g" => 1024.0 * 1024.0 * 1024.0,
        "t" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        other => return Err(format!("unknown unit `{other}`; use k, m, g or t")),
    };
    Ok((number * factor) as u64)
}

/// Bytes, or -1 for all there are.
pub fn size_or_all(text: &str) -> Result<i64, String> {
    if text.trim() == "-1" {
        return Ok(-1);
    }
    size(text).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Processors, such as `1.5`, in thousand millionths.
pub fn nano_cpus(text: &str) -> Result<u64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok((number * 1e9).round() as u64),
        _ => Err(format!("`{text}` is not a number of processors")),
    }
}

/// A duration as Go writes them (`1m30s`, `1.5h`), in nanoseconds.
pub fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration; use 30s, 1m30s or 2h");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(0);
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = rest.split_at(end.ok_or_else(wrong)?);
        let letters = unit.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = unit.split_at(letters.unwrap_or(unit.len()));
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * factor;
        rest = after;
    }
    if text.trim().is_empty() || total > i64::MAX as f64 {
        return Err(wrong());
    }
    Ok(total.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_processors_are_read() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("250ms", Some(250_000_000)),
            ("0", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5y", None),
            ("9999999999999h", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text}");
        }
        for (text, expected) in [("1.5", Some(1_500_000_000)), ("-1", None), ("x", None)] {
            assert_eq!(nano_cpus(text).ok(), expected, "{text}");
        }
        assert_eq!(size_or_all("-1"), Ok(-1));
        assert_eq!(size_or_all("1k"), Ok(1024));
    }

    #[test]
    fn filters_have_names_and_values() {
        let read = |text: &str| filter(text).map(|pair| (pair.name, pair.value));
        assert_eq!(read("Name = a=b "), Ok(("name".into(), "a=b".into())));
        assert!(read("name").is_err() && read("=x").is_err());
    }

    #[test]
    fn outputs() {
        let oci: Output = "type=oci,dest=x.tar,rewrite-timestamp=true"
            .parse()
            .unwrap();
        assert!(
            oci.kind == OutputKind::Oci
                && oci.rewrite_timestamp
                && oci.dest == Some("x.tar".into())
        );
        let names: Output = r#"type=image,"name=a,b",push=true"#.parse().unwrap();
        assert_eq!(names.names, ["a", "b"]);
        assert_eq!("out".parse::<Output>().unwrap().kind, OutputKind::Local);
        assert_eq!("-".parse::<Output>().unwrap().kind, OutputKind::Tar);
        for wrong in [
            "type=local",
            "type=floppy",
            "dest=x",
            "type=oci,compression=estargz",
            "type=oci,x=1",
        ] {
            assert!(wrong.parse::<Output>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets() {
        let place = |text: &str| text.parse::<SecretSource>().map(|secret| secret.place);
        assert_eq!(place("id=a,src=f"), Ok(SecretPlace::File("f".into())));
        assert_eq!(place("id=a,env=F"), Ok(SecretPlace::Env("F".into())));
        assert_eq!(place("id=a"), Ok(SecretPlace::Named));
        assert_eq!(place("id=a,type=env"), Ok(SecretPlace::Env("a".into())));
        assert!(place("src=f").is_err() && place("id=a,src=f,env=F").is_err());
    }

    #[test]
    fn hosts_and_sizes() {
        assert_eq!("a:1.2.3.4".parse::<ExtraHost>().unwrap().address, "1.2.3.4");
        assert_eq!("a=[::1]".parse::<ExtraHost>().unwrap().address, "::1");
        assert!("a:b".parse::<ExtraHost>().is_err());
        assert_eq!(size("64m"), Ok(64 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert!(size("x").is_err());
    }
}
