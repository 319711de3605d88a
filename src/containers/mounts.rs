//! What people want mounted: `-v`, `--mount` and `--tmpfs`, read to mount points. Nothing is made
//! here, and nothing looked up on the host. The messages are Docker's.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::ENGINE;
use super::document::{Memory, MountKind, MountPoint};
use crate::cli::value::size;
use crate::report::{Class, Failure};

/// Mode of a directory in memory when nobody says another.
const TMPFS_MODE: u32 = 0o1777;

/// Something to be mounted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// What, and where.
    pub point: MountPoint,
    /// Whether a new volume stays empty (`nocopy`).
    pub no_copy: bool,
    /// Whether a directory of the host's that is not there is made: so with `-v`, not with `--mount`.
    pub make_source: bool,
    /// Labels of a new volume.
    pub labels: BTreeMap<String, String>,
    /// Options of a new volume.
    pub options: BTreeMap<String, String>,
}

impl Wanted {
    /// Whether it is a volume that nobody named: `-v /target`.
    pub fn is_unnamed(&self) -> bool {
        self.make_source && self.point.kind == MountKind::Volume && self.point.name.is_empty()
    }
}

/// What docker's daemon says of a mount; what its client says of a flag is [`ENGINE`].
fn wrong(message: String) -> Failure {
    Failure::new(Class::Refused, message)
}

/// Reads a `-v`: `[SOURCE:]TARGET[:OPTIONS]`.
pub fn volume(text: &str) -> Result<Wanted, Failure> {
    let invalid = || wrong(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(invalid()),
    };
    if target.is_empty() || (parts.len() > 1 && source.is_empty()) {
        return Err(invalid());
    }
    let destination = destination(target)?;
    let mut wanted = Wanted {
        point: MountPoint {
            destination,
            mode: options.to_owned(),
            rw: true,
            ..MountPoint::default()
        },
        make_source: true,
        ..Wanted::default()
    };
    let given = |names: [&str; 2]| options.split(',').filter(|o| names.contains(o)).count();
    if given(["ro", "rw"]) > 1 || given(["z", "Z"]) > 1 {
        return Err(wrong(format!("invalid mode: {options}")));
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => wanted.point.rw = false,
            // SELinux labels and caching hints mean nothing where neither is.
            "rw" | "z" | "Z" | "consistent" | "cached" | "delegated" | "copy" => {}
            "nocopy" => wanted.no_copy = true,
            "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
                option.clone_into(&mut wanted.point.propagation);
            }
            _ => return Err(wrong(format!("invalid mode: {options}"))),
        }
    }
    if source.starts_with(['/', '.', '~']) {
        wanted.point.kind = MountKind::Bind;
        source.clone_into(&mut wanted.point.source);
        if wanted.point.propagation.is_empty() {
            "rprivate".clone_into(&mut wanted.point.propagation);
        }
        if wanted.no_copy {
            return Err(wrong(format!("invalid mode: {options}")));
        }
    } else {
        source.clone_into(&mut wanted.point.name);
        "local".clone_into(&mut wanted.point.driver);
        if source.is_empty() {
            wanted.point.mode = String::new();
        } else if wanted.point.mode.is_empty() {
            "z".clone_into(&mut wanted.point.mode);
        }
        if !wanted.point.propagation.is_empty() {
            return Err(wrong(format!("invalid mode: {options}")));
        }
    }
    Ok(wanted)
}

/// Reads a `--mount`: `type=…,source=…,target=…` in the words of docker.
pub fn mount(text: &str) -> Result<Wanted, Failure> {
    let mut wanted = Wanted {
        point: MountPoint {
            rw: true,
            ..MountPoint::default()
        },
        ..Wanted::default()
    };
    let invalid = |message: String| {
        let message = format!("invalid argument \"{text}\" for \"--mount\" flag: {message}");
        Failure::new(ENGINE, message)
    };
    let mut source = String::new();
    let mut target = String::new();
    let mut memory = Memory::default();
    let mut given_for = Vec::new();
    for field in crate::cli::value::fields(text).map_err(&invalid)? {
        let (key, value) = field;
        let flag = || match value.as_str() {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(invalid(format!("invalid value for {key}: {value}"))),
        };
        let pair = || {
            let (name, value) = value.split_once('=').unwrap_or((&value, ""));
            (name.to_owned(), value.to_owned())
        };
        match key.to_ascii_lowercase().as_str() {
            "type" => {
                wanted.point.kind = match value.to_ascii_lowercase().as_str() {
                    "bind" => MountKind::Bind,
                    "volume" => MountKind::Volume,
                    "tmpfs" => MountKind::Tmpfs,
                    "image" | "npipe" | "cluster" => {
                        return Err(wrong(format!("--mount type={value} is not done")));
                    }
                    _ => {
                        return Err(wrong(format!(
                            "invalid mount config: mount type unknown: \"{value}\""
                        )));
                    }
                }
            }
            "source" | "src" => source = value,
            "target" | "destination" | "dst" => target = value,
            "readonly" | "ro" => wanted.point.rw = !flag()?,
            // A hint to file systems of other machines.
            "consistency" => {}
            "bind-propagation" => {
                given_for.push(MountKind::Bind);
                match value.as_str() {
                    "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
                        wanted.point.propagation = value;
                    }
                    _ => return Err(invalid(format!("invalid propagation: {value}"))),
                }
            }
            "volume-nocopy" => {
                given_for.push(MountKind::Volume);
                wanted.no_copy = flag()?;
            }
            "volume-label" => {
                given_for.push(MountKind::Volume);
                wanted.labels.extend([pair()]);
            }
            "volume-opt" => {
                given_for.push(MountKind::Volume);
                wanted.options.extend([pair()]);
            }
            "volume-driver" => {
                given_for.push(MountKind::Volume);
                if value != "local" {
                    return Err(wrong(format!(
                        "error looking up volume plugin {value}: plugin \"{value}\" not found"
                    )));
                }
            }
            "tmpfs-size" => {
                given_for.push(MountKind::Tmpfs);
                memory.size = size(&value)
                    .map_err(|_| invalid(format!("invalid value for {key}: {value}")))?;
            }
            "tmpfs-mode" => {
                given_for.push(MountKind::Tmpfs);
                memory.mode = Some(
                    u32::from_str_radix(&value, 8)
                        .map_err(|_| invalid(format!("invalid value for {key}: {value}")))?,
                );
            }
            "bind-nonrecursive" | "bind-recursive" | "volume-subpath" => {
                return Err(wrong(format!("--mount {key} is not done")));
            }
            _ => {
                return Err(invalid(if value.is_empty() {
                    format!("invalid field '{key}' must be a key=value pair")
                } else {
                    format!("unexpected key '{key}' in '{key}={value}'")
                }));
            }
        }
    }
    if target.is_empty() {
        return Err(invalid("target is required".to_owned()));
    }
    let own = wanted.point.kind;
    if let Some(other) = given_for.into_iter().find(|kind| *kind != own) {
        return Err(invalid(format!(
            "cannot mix '{}-*' options with mount type '{}'",
            other.name(),
            own.name()
        )));
    }
    wanted.point.destination = destination(&target)?;
    match wanted.point.kind {
        MountKind::Bind => {
            if source.is_empty() {
                return Err(wrong(
                    "invalid mount config for type \"bind\": field Source must not be empty"
                        .to_owned(),
                ));
            }
            // Only what begins with a dot is looked for from here, as docker has it.
            if !source.starts_with(['/', '.']) {
                return Err(wrong(format!(
                    "invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
                )));
            }
            wanted.point.source = source;
            if wanted.point.propagation.is_empty() {
                "rprivate".clone_into(&mut wanted.point.propagation);
            }
        }
        MountKind::Volume => {
            wanted.point.name = source;
            "local".clone_into(&mut wanted.point.driver);
            "z".clone_into(&mut wanted.point.mode);
        }
        MountKind::Tmpfs => {
            if !source.is_empty() {
                return Err(wrong(
                    "invalid mount config for type \"tmpfs\": field Source must not be specified"
                        .to_owned(),
                ));
            }
            memory.mode = memory.mode.or(Some(TMPFS_MODE));
            wanted.point.memory = Some(memory);
        }
    }
    Ok(wanted)
}

/// A `--mount` as docker's `HostConfig.Mounts` says it.
pub fn described(wanted: &Wanted) -> Json {
    let point = &wanted.point;
    let mut all = json!({"Type": point.kind.name()});
    let mut put = |name: &str, value: Json| all[name] = value;
    let source = match point.kind {
        MountKind::Volume => &point.name,
        _ => &point.source,
    };
    if !source.is_empty() {
        put("Source", json!(source));
    }
    put("Target", json!(point.destination));
    if !point.rw {
        put("ReadOnly", json!(true));
    }
    match point.kind {
        MountKind::Bind if point.propagation != "rprivate" => {
            put("BindOptions", json!({"Propagation": point.propagation}));
        }
        MountKind::Volume if wanted.no_copy || !wanted.labels.is_empty() => {
            let mut options = json!({});
            if wanted.no_copy {
                options["NoCopy"] = json!(true);
            }
            if !wanted.labels.is_empty() {
                options["Labels"] = json!(wanted.labels);
            }
            put("VolumeOptions", options);
        }
        MountKind::Tmpfs => {
            let memory = point.memory.unwrap_or_default();
            let mut options = json!({});
            if memory.size > 0 {
                options["SizeBytes"] = json!(memory.size);
            }
            if let Some(mode) = memory.mode.filter(|mode| *mode != TMPFS_MODE) {
                options["Mode"] = json!(mode);
            }
            if options != json!({}) {
                put("TmpfsOptions", options);
            }
        }
        _ => {}
    }
    all
}

/// Reads a `--tmpfs`: `TARGET[:OPTIONS]`. Gives the target and the options as they were written.
pub fn tmpfs(text: &str) -> Result<(String, String), Failure> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = destination(target)?;
    memory(options)?;
    Ok((target, options.to_owned()))
}

/// Options of a tmpfs, as mount(8) has them.
pub fn memory(options: &str) -> Result<(Memory, bool), Failure> {
    let mut memory = Memory::default();
    let mut readonly = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let invalid = || wrong(format!("invalid tmpfs option [\"{option}\"]"));
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", value) => memory.size = size(value).map_err(|_| invalid())?,
            ("mode", value) => {
                memory.mode = Some(u32::from_str_radix(value, 8).map_err(|_| invalid())?);
            }
            ("uid", value) => memory.uid = value.parse().map_err(|_| invalid())?,
            ("gid", value) => memory.gid = value.parse().map_err(|_| invalid())?,
            ("ro", "") => readonly = true,
            ("exec", "") => memory.exec = true,
            ("suid", "") => memory.suid = true,
            ("noexec", "") => memory.exec = false,
            ("nosuid", "") => memory.suid = false,
            // Devices are never to be had, and the rest is what a new tmpfs is anyway.
            ("rw" | "nodev" | "async" | "diratime" | "relatime", "") => {}
            _ => return Err(invalid()),
        }
    }
    Ok((memory, readonly))
}

/// A path in the container: absolute, without `.`, `..` and doubled slashes, and not `/` itself.
fn destination(path: &str) -> Result<String, Failure> {
    if !path.starts_with('/') {
        return Err(wrong(format!(
            "invalid mount config: invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(wrong(
            "invalid volume specification: destination can't be '/'".to_owned(),
        ));
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wanted: Result<Wanted, Failure>) -> String {
        match wanted {
            Err(failure) => failure.title,
            Ok(Wanted { point, no_copy, .. }) => format!(
                "{:?} {}{}>{}{}{}",
                point.kind,
                point.name,
                point.source,
                point.destination,
                if point.rw { "" } else { " ro" },
                if no_copy { " nocopy" } else { "" }
            ),
        }
    }

    #[test]
    fn volumes_are_read() {
        for (text, expected) in [
            ("/srv", "Volume >/srv"),
            ("vol:/srv/", "Volume vol>/srv"),
            ("vol:/srv:ro,nocopy", "Volume vol>/srv ro nocopy"),
            ("/host:/a/../b:ro", "Bind /host>/b ro"),
            ("./here:/x", "Bind ./here>/x"),
            ("/host:/x:rshared", "Bind /host>/x"),
            ("/host:/x:what", "invalid mode: what"),
            ("/host:/x:ro,rw", "invalid mode: ro,rw"),
            ("vol:/x:shared", "invalid mode: shared"),
            (
                "a:b",
                "invalid mount config: invalid mount path: 'b' mount path must be absolute",
            ),
            ("a:/b:ro:x", "invalid volume specification: 'a:/b:ro:x'"),
            (":/b", "invalid volume specification: ':/b'"),
            (
                "v:/",
                "invalid volume specification: destination can't be '/'",
            ),
        ] {
            assert_eq!(shown(volume(text)), expected, "{text}");
        }
    }

    #[test]
    fn mounts_are_read() {
        for (text, expected) in [
            ("type=bind,source=/h,target=/x", "Bind /h>/x"),
            ("type=bind,src=/h,dst=/x,readonly", "Bind /h>/x ro"),
            ("source=v,destination=/x,ro=true", "Volume v>/x ro"),
            ("dst=/x", "Volume >/x"),
            ("type=volume,dst=/x,volume-nocopy", "Volume >/x nocopy"),
            ("type=tmpfs,dst=/x,tmpfs-size=1m", "Tmpfs >/x"),
            (
                "type=bind,dst=/x",
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                "type=nonsense,dst=/x",
                "invalid mount config: mount type unknown: \"nonsense\"",
            ),
        ] {
            assert_eq!(shown(mount(text)), expected, "{text}");
        }
        for wrong in [
            "type=bind,src=/h",
            "type=volume,dst=/x,tmpfs-size=1",
            "dst=/x,what=1",
            "dst=/x,readonly=perhaps",
            "type=tmpfs,src=a,dst=/x",
        ] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
        for (text, expected) in [
            (
                "type=bind,src=/h,dst=/x,ro",
                r#"{"Type":"bind","Source":"/h","Target":"/x","ReadOnly":true}"#,
            ),
            (
                "src=v,dst=/x,volume-nocopy",
                r#"{"Type":"volume","Source":"v","Target":"/x","VolumeOptions":{"NoCopy":true}}"#,
            ),
            (
                "type=tmpfs,dst=/x,tmpfs-size=1k",
                r#"{"Type":"tmpfs","Target":"/x","TmpfsOptions":{"SizeBytes":1024}}"#,
            ),
            ("type=tmpfs,dst=/x", r#"{"Type":"tmpfs","Target":"/x"}"#),
        ] {
            assert_eq!(described(&mount(text).unwrap()).to_string(), expected);
        }
        assert_eq!(
            mount("type=tmpfs,dst=/x")
                .unwrap()
                .point
                .memory
                .unwrap()
                .mode,
            Some(0o1777)
        );
    }

    #[test]
    fn memory_has_options() {
        let (memory, readonly) = memory("size=4m,mode=700,exec,ro").unwrap();
        assert_eq!(
            (memory.size, memory.mode, memory.exec, readonly),
            (4 << 20, Some(0o700), true, true)
        );
        assert!(tmpfs("/x:size=y").is_err() && tmpfs("x").is_err());
        assert_eq!(
            tmpfs("/x:size=1").unwrap(),
            ("/x".to_owned(), "size=1".to_owned())
        );
    }
}
