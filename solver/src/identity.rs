//! What an op is for its keys: every thing that can change its result, named, in a fixed order.
//!
//! Never in it: where a vertex was written, proxies, addresses of extra hosts, secret values, the id
//! and sharing of cache mounts, paths whose content is digested instead, limits. URLs are not either:
//! a source is the state that the other side was found in.

use image::Platform;

use crate::digest::Encoder;
use crate::key::{Component, DefinitionKey, KeyPreimage};
use crate::op::{
    CopyOp, CopySource, ExecMount, ExecOp, GitOp, HttpOp, ImageOp, InlineFile, MakeDirOp,
    ModeChange, MountKind, NetworkMode, Op, SecurityMode, Unpack,
};
use crate::selector::{Purpose, Selector};
use crate::{ContentDigest, StateDigest, TreeDigest};

/// The kind of an op, and its behaviour version: to be raised whenever the executor changes what
/// the op does, so that older records no longer count.
const fn kind(op: &Op) -> (&'static str, u32) {
    let behaviour = match op {
        Op::Exec(_) => 3,
        Op::Copy(_) => 2,
        _ => 1,
    };
    (op.kind(), behaviour)
}

/// Makes the preimage of an op's key.
///
/// `states` are its inputs' by position (none for a context), `selections` what was selected from
/// them in the order of [`Op::selections`]; `source` is what a `Http` or `Git` was found to be;
/// `sandbox` the class of the sandbox it would run in.
pub fn preimage(
    op: &Op,
    states: &[Option<StateDigest>],
    selections: &[TreeDigest],
    source: Option<&StateDigest>,
    sandbox: &str,
) -> KeyPreimage {
    let (kind, behaviour) = kind(op);
    let mut components = Vec::new();
    let mut put = |label: &str, which: &str, value: &str| {
        components.push(Component {
            name: match which {
                "" => label.to_owned(),
                _ => format!("{label} {which}"),
            },
            value: value.to_owned(),
        });
    };
    describe(op, &mut put);
    for ((number, (_, selector)), digest) in (1..).zip(op.selections()).zip(selections) {
        put(
            &selection_label(&selector),
            &number.to_string(),
            &selection_value(&selector, digest),
        );
    }
    if let Some(source) = source {
        put("source", "", &source.hex());
    }
    // The other inputs count by what was selected from them.
    if matches!(op, Op::Exec(_) | Op::Copy(_) | Op::MakeDir(_))
        && let Some(Some(root)) = states.first()
    {
        put("root", "", &root.hex());
    }
    put("sandbox", "", sandbox);
    KeyPreimage {
        kind: kind.to_owned(),
        behaviour,
        components,
    }
}

/// One input as a definition sees it.
#[derive(Debug, Clone, Copy)]
pub enum Leaf<'a> {
    /// By its own definition.
    Definition(&'a DefinitionKey),
    /// A context: by what was selected from it, in the order of the selections.
    Selected,
}

/// Folds an op and what its inputs are defined by. `selected` holds the digests of the selections
/// that were made from contexts, none for the others.
pub fn definition(
    op: &Op,
    inputs: &[Leaf<'_>],
    selected: &[Option<TreeDigest>],
    source: Option<&StateDigest>,
    sandbox: &str,
) -> DefinitionKey {
    let (kind, behaviour) = kind(op);
    let mut encoder = Encoder::new("rbuild definition v1");
    encoder
        .field(kind.as_bytes())
        .number(u64::from(behaviour))
        .field(sandbox.as_bytes());
    describe(op, &mut |label, which, value| {
        encoder
            .field(label.as_bytes())
            .field(which.as_bytes())
            .field(value.as_bytes());
    });
    for ((input, selector), digest) in op.selections().iter().zip(selected) {
        encoder.field(b"selection").number(*input as u64);
        match digest {
            Some(digest) => encoder.field(selection_value(selector, digest).as_bytes()),
            None => {
                encoder
                    .field(selector.path.as_bytes())
                    .number(u64::from(selector.pattern))
                    .number(u64::from(selector.parents))
                    .number(selector.excludes.len() as u64);
                for exclude in &selector.excludes {
                    encoder.field(exclude.as_bytes());
                }
                &mut encoder
            }
        };
    }
    if let Some(source) = source {
        encoder.field(b"source").field(&source.0);
    }
    for input in inputs {
        match input {
            Leaf::Definition(definition) => encoder.field(b"input").field(&definition.0),
            Leaf::Selected => encoder.field(b"selected"),
        };
    }
    DefinitionKey(encoder.finish())
}

fn selection_label(selector: &Selector) -> String {
    match selector.purpose {
        Purpose::Copy => "files".to_owned(),
        Purpose::Mount => "mount files".to_owned(),
    }
}

/// A file gets the last component of its source's name; what a mount's source is called, nobody sees.
fn selection_value(selector: &Selector, digest: &TreeDigest) -> String {
    match selector.purpose {
        Purpose::Copy => {
            let path = selector.path.trim_end_matches('/');
            let base = path.rsplit('/').next().unwrap_or(path);
            format!("{} {base}", digest.hex())
        }
        Purpose::Mount => digest.hex(),
    }
}

/// Hands the op's own components to `put`, as (label, which one of them, value).
fn describe(op: &Op, put: &mut dyn FnMut(&str, &str, &str)) {
    match op {
        Op::Scratch | Op::Context(_) | Op::Merge => {}
        Op::Image(image) => describe_image(image, put),
        Op::Http(http) => describe_http(http, put),
        Op::Git(git) => describe_git(git, put),
        Op::Exec(exec) => describe_exec(exec, put),
        Op::Copy(copy) => describe_copy(copy, put),
        Op::MakeDir(dir) => describe_dir(dir, put),
    }
}

fn describe_image(image: &ImageOp, put: &mut dyn FnMut(&str, &str, &str)) {
    put("manifest", "", &image.manifest.to_string());
    let layers: Vec<String> = image.diff_ids.iter().map(ToString::to_string).collect();
    put("layers", "", &layers.join(" "));
    put("platform", "", &platform(&image.platform));
}

fn describe_http(http: &HttpOp, put: &mut dyn FnMut(&str, &str, &str)) {
    put("name", "", &http.file_name);
}

fn describe_git(git: &GitOp, put: &mut dyn FnMut(&str, &str, &str)) {
    put("directory", "", &git.subdir);
    put("keep git directory", "", yes_or_no(git.keep_git_dir));
    put("submodules", "", yes_or_no(git.submodules));
    put("commit times", "", yes_or_no(git.commit_mtime));
}

fn describe_exec(exec: &ExecOp, put: &mut dyn FnMut(&str, &str, &str)) {
    put("args", "", &list(&exec.args));
    for script in &exec.scripts {
        put("script", &script.name, &content(script));
    }
    for variable in &exec.env {
        put("env", &variable.name, &variable.value);
    }
    put("cwd", "", &exec.cwd);
    put("user", "", &exec.user);
    put("hostname", "", &exec.hostname);
    put(
        "network",
        "",
        match exec.network {
            NetworkMode::Default => "default",
            NetworkMode::None => "none",
            NetworkMode::Host => "host",
        },
    );
    put(
        "security",
        "",
        match exec.security {
            SecurityMode::Sandbox => "sandbox",
            SecurityMode::Insecure => "insecure",
        },
    );
    for mount in &exec.mounts {
        put("mount", &mount.target, &mount_value(mount));
    }
    for device in &exec.devices {
        let required = if device.required { "required" } else { "" };
        put("device", &device.name, required);
    }
    for ulimit in &exec.ulimits {
        let (name, limits) = ulimit.split_once('=').unwrap_or((ulimit, ""));
        put("ulimit", name, limits);
    }
    if let Some(size) = exec.shm_size {
        put("shm size", "", &size.to_string());
    }
    if let Some(parent) = &exec.cgroup_parent {
        put("cgroup parent", "", parent);
    }
    for (name, _address) in &exec.extra_hosts {
        put("host", name, "");
    }
    put("platform", "", &platform(&exec.platform));
}

fn mount_value(mount: &ExecMount) -> String {
    let access = if mount.readonly { "ro" } else { "rw" };
    let kind = match &mount.kind {
        MountKind::Bind { .. } => "bind".to_owned(),
        MountKind::Cache {
            id: _,
            sharing: _,
            from,
            source: _,
            uid,
            gid,
            mode,
        } => {
            let seeded = if from.is_some() { " seeded" } else { "" };
            format!("cache owner={uid}:{gid} mode={mode:o}{seeded}")
        }
        MountKind::Tmpfs { size } => format!("tmpfs size={size}"),
        MountKind::Secret {
            id,
            env,
            file,
            required: _,
            uid,
            gid,
            mode,
        } => {
            let file = if *file {
                format!(" owner={uid}:{gid} mode={mode:o}")
            } else {
                String::new()
            };
            let env = env.as_deref().map(|env| format!(" env={env:?}"));
            format!("secret id={id:?}{file}{}", env.unwrap_or_default())
        }
        MountKind::Ssh {
            id,
            required: _,
            uid,
            gid,
            mode,
        } => format!("ssh id={id:?} owner={uid}:{gid} mode={mode:o}"),
    };
    format!("{kind} {access}")
}

fn describe_copy(copy: &CopyOp, put: &mut dyn FnMut(&str, &str, &str)) {
    for (number, source) in (1..).zip(&copy.sources) {
        match source {
            // The files come later, by their digests in the same order.
            CopySource::Files { unpack, .. } => put(
                "source",
                &format!("{number}"),
                match unpack {
                    Unpack::Never => "files",
                    Unpack::Archives => "files, archives unpacked",
                },
            ),
            CopySource::Inline(file) => put(
                &format!("inline {number}"),
                "",
                &format!("{} {}", content(file), file.name),
            ),
        }
    }
    put("dest", "", &copy.dest);
    if let Some(owner) = &copy.owner {
        put("owner", "", owner);
    }
    match &copy.mode {
        Some(ModeChange::Octal(mode)) => put("mode", "", &format!("{mode:04o}")),
        Some(ModeChange::Symbolic(change)) => put("mode", "", change),
        None => {}
    }
    put("link", "", yes_or_no(copy.link));
    describe_epoch(copy.epoch, put);
}

fn describe_dir(dir: &MakeDirOp, put: &mut dyn FnMut(&str, &str, &str)) {
    put("path", "", &dir.path);
    put("mode", "", &format!("{:04o}", dir.mode));
    put("owner", "", &dir.owner);
    describe_epoch(dir.epoch, put);
}

fn describe_epoch(epoch: Option<i64>, put: &mut dyn FnMut(&str, &str, &str)) {
    if let Some(epoch) = epoch {
        put("epoch", "", &epoch.to_string());
    }
}

fn platform(platform: &Platform) -> String {
    let Platform {
        architecture,
        os,
        os_version,
        os_features,
        variant,
    } = platform;
    let mut text = format!("{os}/{architecture}");
    if !variant.is_empty() {
        text = format!("{text}/{variant}");
    }
    if !os_version.is_empty() || !os_features.is_empty() {
        text = format!(
            "{text} version={os_version:?} features={}",
            list(os_features)
        );
    }
    text
}

/// Several texts as one, so that no two lists look the same.
fn list(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}

fn content(file: &InlineFile) -> String {
    ContentDigest::of(file.data.as_bytes()).hex()
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{DeviceRequest, EnvOrigin, EnvVar, Sharing};
    use crate::{CacheKey, ChangeDigest, StateFold};

    fn exec() -> ExecOp {
        ExecOp {
            args: vec!["/bin/sh".into(), "-c".into(), "make".into()],
            env: vec![EnvVar {
                name: "PATH".into(),
                value: "/bin".into(),
                origin: EnvOrigin::Env,
            }],
            proxy_env: Vec::new(),
            cwd: "/src".into(),
            user: String::new(),
            hostname: "buildkitsandbox".into(),
            network: NetworkMode::Default,
            security: SecurityMode::Sandbox,
            mounts: vec![
                mount(MountKind::Bind {
                    input: 1,
                    source: "lib".into(),
                }),
                cache("/a", Sharing::Shared, 0o755),
                mount(secret("key", "value", true, 0o400)),
            ],
            scripts: Vec::new(),
            extra_hosts: vec![("db".into(), "10.0.0.1".into())],
            ulimits: Vec::new(),
            shm_size: None,
            cgroup_parent: None,
            devices: Vec::new(),
            platform: Platform::new("linux", "amd64", ""),
        }
    }

    fn mount(kind: MountKind) -> ExecMount {
        ExecMount {
            target: "/m".into(),
            kind,
            readonly: true,
        }
    }

    fn cache(id: &str, sharing: Sharing, mode: u32) -> ExecMount {
        mount(MountKind::Cache {
            id: id.into(),
            sharing,
            from: None,
            source: String::new(),
            uid: 0,
            gid: 0,
            mode,
        })
    }

    fn secret(id: &str, env: &str, required: bool, mode: u32) -> MountKind {
        MountKind::Secret {
            id: id.into(),
            env: Some(env.into()),
            file: true,
            required,
            uid: 0,
            gid: 0,
            mode,
        }
    }

    fn state(byte: u8) -> StateDigest {
        StateFold::new().change(&ChangeDigest([byte; 32])).state()
    }

    fn key(op: &Op) -> CacheKey {
        let states = [Some(state(1)), Some(state(2))];
        preimage(op, &states, &[TreeDigest([3; 32])], None, "full").key()
    }

    fn changed(change: impl FnOnce(&mut ExecOp)) -> bool {
        let mut exec_op = exec();
        change(&mut exec_op);
        key(&Op::Exec(exec_op)) != key(&Op::Exec(exec()))
    }

    #[test]
    fn all_that_changes_a_run_is_in_its_key() {
        assert!(changed(|run| run.args[2] = "make all".into()));
        assert!(changed(
            |run| run.args = vec!["/bin/sh".into(), "-c\",\"make".into()]
        ));
        assert!(changed(|run| run.env[0].value = "/usr/bin".into()));
        assert!(changed(|run| run.env.clear()));
        assert!(changed(|run| run.cwd = "/".into()));
        assert!(changed(|run| run.user = "nobody".into()));
        assert!(changed(|run| run.hostname = "box".into()));
        assert!(changed(|run| run.network = NetworkMode::None));
        assert!(changed(|run| run.security = SecurityMode::Insecure));
        assert!(changed(|run| run.mounts[0].target = "/n".into()));
        assert!(changed(|run| run.mounts[0].readonly = false));
        assert!(changed(
            |run| run.mounts[1] = cache("/a", Sharing::Shared, 0o700)
        ));
        assert!(changed(
            |run| run.mounts[2].kind = secret("key2", "value", true, 0o400)
        ));
        assert!(changed(
            |run| run.mounts[2].kind = secret("key", "other", true, 0o400)
        ));
        assert!(changed(
            |run| run.mounts[2].kind = secret("key", "value", true, 0o444)
        ));
        assert!(changed(|run| run.mounts.clear()));
        assert!(changed(|run| run.extra_hosts[0].0 = "web".into()));
        assert!(changed(|run| run.ulimits.push("nofile=1".into())));
        assert!(changed(|run| run.shm_size = Some(1)));
        assert!(changed(|run| run.cgroup_parent = Some("x".into())));
        assert!(changed(|run| run.devices.push(DeviceRequest {
            name: "vendor/gpu=0".into(),
            required: false
        })));
        assert!(changed(
            |run| run.platform = Platform::new("linux", "arm64", "")
        ));
        assert!(changed(
            |run| run.platform = Platform::new("linux", "amd64", "v3")
        ));
        assert!(changed(|run| run.scripts.push(InlineFile {
            name: "x".into(),
            data: "y".into(),
        })));
    }

    #[test]
    fn what_does_not_change_a_run_is_not() {
        assert!(!changed(|run| run.env[0].origin = EnvOrigin::Arg));
        assert!(!changed(|run| run
            .proxy_env
            .push(("http_proxy".into(), "x".into()))));
        assert!(!changed(|run| run.extra_hosts[0].1 = "10.0.0.2".into()));
        assert!(!changed(
            |run| run.mounts[1] = cache("mine", Sharing::Locked, 0o755)
        ));
        assert!(!changed(
            |run| run.mounts[2].kind = secret("key", "value", false, 0o400)
        ));
        // The selection's digest stands for it.
        assert!(!changed(|run| run.mounts[0].kind = MountKind::Bind {
            input: 1,
            source: "other".into(),
        }));
    }

    #[test]
    fn inputs_sandbox_and_selections_count() {
        let op = Op::Exec(exec());
        let make = |root: u8, other: u8, tree: u8, sandbox: &str| {
            let states = [Some(state(root)), Some(state(other))];
            preimage(&op, &states, &[TreeDigest([tree; 32])], None, sandbox).key()
        };
        let base = make(1, 2, 3, "full");
        assert_ne!(base, make(9, 2, 3, "full"));
        assert_eq!(base, make(1, 9, 3, "full"), "only what was selected counts");
        assert_ne!(base, make(1, 2, 9, "full"));
        assert_ne!(base, make(1, 2, 3, "single id"));
    }

    fn copy(path: &str) -> Op {
        Op::Copy(CopyOp {
            sources: vec![CopySource::Files {
                input: 1,
                selector: Selector {
                    path: path.into(),
                    pattern: false,
                    parents: false,
                    excludes: Vec::new(),
                    purpose: Purpose::Copy,
                },
                unpack: Unpack::Never,
            }],
            dest: "/dest/".into(),
            owner: None,
            mode: None,
            link: false,
            epoch: None,
        })
    }

    #[test]
    fn a_copy_keeps_only_the_base_name_of_its_source() {
        assert_eq!(key(&copy("a/file")), key(&copy("b/file")));
        assert_ne!(key(&copy("a/file")), key(&copy("a/other")));
    }

    #[test]
    fn a_definition_sees_paths_where_it_does_not_see_content() {
        let input = DefinitionKey([7; 32]);
        let other = DefinitionKey([8; 32]);
        let define = |path: &str, from: Leaf<'_>, tree: Option<u8>| {
            let root = Leaf::Definition(&input);
            let tree = tree.map(|byte| TreeDigest([byte; 32]));
            definition(&copy(path), &[root, from], &[tree], None, "full")
        };
        let stage = Leaf::Definition(&other);
        assert_ne!(define("a/x", stage, None), define("b/x", stage, None));
        assert_ne!(
            define("a/x", stage, None),
            define("a/x", Leaf::Definition(&input), None)
        );
        assert_eq!(
            define("a/x", Leaf::Selected, Some(1)),
            define("b/x", Leaf::Selected, Some(1))
        );
        assert_ne!(
            define("a/x", Leaf::Selected, Some(1)),
            define("a/x", Leaf::Selected, Some(2))
        );
    }

    #[test]
    fn a_source_is_what_the_other_side_was_found_in() {
        let http = |url: &str, found: u8| {
            let op = Op::Http(HttpOp {
                url: url.into(),
                checksum: None,
                file_name: "f".into(),
            });
            preimage(&op, &[], &[], Some(&state(found)), "full").key()
        };
        assert_eq!(http("https://a/f", 1), http("https://mirror/f", 1));
        assert_ne!(http("https://a/f", 1), http("https://a/f", 2));
    }
}
