//! What a step does: a closed enum of plain data.
//!
//! Paths here are texts of the container, absolute and cleaned unless said otherwise. Nothing here
//! has been looked up: users are names, secrets are ids.

use std::path::PathBuf;

use image::{DiffId, Digest, Platform};
use serde::{Deserialize, Serialize};

use crate::selector::{Purpose, Selector};

/// One step. Which inputs a vertex of it has is said at each variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// The empty file system. No inputs.
    Scratch,
    /// The file system of an image. No inputs.
    Image(ImageOp),
    /// A directory that the user offered. No inputs; has no state of its own, only selections of it.
    Context(ContextOp),
    /// A downloaded file. No inputs.
    Http(HttpOp),
    /// A checked-out repository. No inputs.
    Git(GitOp),
    /// RUN. Input 0 is the root file system; mounts name the others by their position.
    Exec(ExecOp),
    /// COPY and ADD. Input 0 is the root file system (`Scratch` under `--link`); sources name the
    /// others by their position.
    Copy(CopyOp),
    /// WORKDIR. Input 0 is the root file system.
    MakeDir(MakeDirOp),
    /// Partial stacks one on the other, lowest first. Input 0 is the root file system.
    Merge,
}

impl Op {
    /// What kind of op it is, in a word: part of its identity.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Image(_) => "image",
            Self::Context(_) => "context",
            Self::Http(_) => "http",
            Self::Git(_) => "git",
            Self::Exec(_) => "run",
            Self::Copy(_) => "copy",
            Self::MakeDir(_) => "workdir",
            Self::Merge => "merge",
        }
    }

    /// The selections that this op makes of its inputs, as (input position, selector), in a fixed
    /// order: sources of COPY and ADD; bind mounts and seeds of cache mounts of RUN, as written.
    pub fn selections(&self) -> Vec<(usize, Selector)> {
        let mount = |source: &str| Selector {
            path: source.to_owned(),
            pattern: false,
            parents: false,
            excludes: Vec::new(),
            purpose: Purpose::Mount,
        };
        match self {
            Self::Copy(copy) => copy
                .sources
                .iter()
                .filter_map(|source| match source {
                    CopySource::Files {
                        input, selector, ..
                    } => Some((*input, selector.clone())),
                    CopySource::Inline(_) => None,
                })
                .collect(),
            Self::Exec(exec) => exec
                .mounts
                .iter()
                .filter_map(|m| match &m.kind {
                    MountKind::Bind { input, source }
                    | MountKind::Cache {
                        from: Some(input),
                        source,
                        ..
                    } => Some((*input, mount(source))),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// An image whose configuration has been read already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageOp {
    /// Its name as shown to people, with registry and tag.
    pub reference: String,
    /// Where its blobs are to be had; not part of its identity.
    pub origin: ImageOrigin,
    /// Digest of the manifest for `platform`.
    pub manifest: Digest,
    /// Its layers, lowest first.
    pub diff_ids: Vec<DiffId>,
    /// Which of an index's images it is.
    pub platform: Platform,
}

/// Where an image's blobs are to be had.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImageOrigin {
    /// In the store's own blobs.
    Store,
    /// In a registry, by this canonical name (`registry/repository[:tag][@digest]`).
    Registry(String),
    /// In an OCI image layout directory.
    Layout(PathBuf),
}

/// A directory of the user's, by the name it has in this build (`context` is the main one).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContextOp {
    /// `context`, or the name given to `--build-context`.
    pub name: String,
}

/// A file behind a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpOp {
    /// Where.
    pub url: String,
    /// What its bytes must be.
    pub checksum: Option<Digest>,
    /// The name it gets: the last component of the URL's path.
    pub file_name: String,
}

/// A commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GitOp {
    /// The remote, without fragment and query.
    pub url: String,
    /// Branch, tag or commit; the remote's HEAD when empty.
    pub reference: String,
    /// Directory of the repository that becomes the root; empty for all.
    pub subdir: String,
    /// Commit (or a prefix of one) that it must be.
    pub checksum: Option<String>,
    /// Whether `.git` is kept.
    pub keep_git_dir: bool,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// Whether files get the commit's time.
    pub commit_mtime: bool,
}

/// A device that a RUN asks for by the name that the Container Device Interface gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// `vendor.com/class=name` and the like.
    pub name: String,
    /// Whether the step cannot be without it.
    pub required: bool,
}

/// A process in a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecOp {
    /// Program and arguments, the shell included.
    pub args: Vec<String>,
    /// Environment in order, without proxies; a name stands once.
    pub env: Vec<EnvVar>,
    /// Proxy variables: given to the process, never in a key.
    pub proxy_env: Vec<(String, String)>,
    /// Working directory, made when missing.
    pub cwd: String,
    /// USER as written; empty for root.
    pub user: String,
    /// Host name inside.
    pub hostname: String,
    /// Which network.
    pub network: NetworkMode,
    /// How much is allowed.
    pub security: SecurityMode,
    /// In the order written; sorted by target when they are made.
    pub mounts: Vec<ExecMount>,
    /// Scripts to be found at `/dev/pipes/<name>`, mode 0755.
    pub scripts: Vec<InlineFile>,
    /// `--add-host` names with addresses; the names alone are in the key.
    pub extra_hosts: Vec<(String, String)>,
    /// `--ulimit` as written (`nofile=1024:2048`).
    pub ulimits: Vec<String>,
    /// Size of /dev/shm in bytes; 64 MiB when none.
    pub shm_size: Option<u64>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `RUN --device`, in the order in which they are written.
    pub devices: Vec<DeviceRequest>,
    /// For which machine.
    pub platform: Platform,
}

/// One variable of a step's environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Who set it: for explanations, not part of the identity.
    pub origin: EnvOrigin,
}

/// Which instruction set a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum EnvOrigin {
    Arg,
    Env,
    Base,
}

/// Network of a RUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetworkMode {
    /// What the builder gives every RUN.
    Default,
    /// Loopback alone.
    None,
    /// The host's, by entitlement.
    Host,
}

/// Privileges of a RUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecurityMode {
    /// The default isolation.
    Sandbox,
    /// Privileged, by entitlement.
    Insecure,
}

/// One `RUN --mount`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecMount {
    /// Where, absolute.
    pub target: String,
    /// What.
    pub kind: MountKind,
    /// Whether writing is refused.
    pub readonly: bool,
}

/// What a `RUN --mount` brings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MountKind {
    /// Files of an input; writes are thrown away after the step.
    Bind {
        /// Position among the vertex's inputs.
        input: usize,
        /// Path inside it.
        source: String,
    },
    /// A directory that outlives the build.
    Cache {
        /// Identity, namespace included.
        id: String,
        /// What concurrent users see.
        sharing: Sharing,
        /// Input that seeds the first instance.
        from: Option<usize>,
        /// Directory inside the seed.
        source: String,
        /// Owner of a new instance.
        uid: u32,
        /// Group of a new instance.
        gid: u32,
        /// Mode of a new instance.
        mode: u32,
    },
    /// Memory.
    Tmpfs {
        /// Limit in bytes; none when 0.
        size: u64,
    },
    /// A secret as a file, a variable or both.
    Secret {
        /// Which.
        id: String,
        /// Variable that gets its value.
        env: Option<String>,
        /// Whether a file is mounted at the target.
        file: bool,
        /// Whether a missing one is an error.
        required: bool,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode.
        mode: u32,
    },
    /// A socket of an SSH agent.
    Ssh {
        /// Which.
        id: String,
        /// Whether a missing one is an error.
        required: bool,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode.
        mode: u32,
    },
}

/// What concurrent users of a cache mount see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sharing {
    /// The same directory.
    Shared,
    /// A directory each.
    Private,
    /// The same directory, one after the other.
    Locked,
}

/// A file whose content stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InlineFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub data: String,
}

/// COPY and ADD.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyOp {
    /// In the order written.
    pub sources: Vec<CopySource>,
    /// Destination, absolute; ends in `/` when it was written so (or as `.`), which makes it a directory.
    pub dest: String,
    /// `--chown` as written.
    pub owner: Option<String>,
    /// `--chmod`.
    pub mode: Option<ModeChange>,
    /// `--link`: the destination is never resolved through what is below.
    pub link: bool,
    /// When set, the modification time of directories that are created and of inline files
    /// (seconds since 1970).
    pub epoch: Option<i64>,
}

/// One source of a COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CopySource {
    /// Files of an input.
    Files {
        /// Position among the vertex's inputs.
        input: usize,
        /// Which.
        selector: Selector,
        /// What happens to archives among them.
        unpack: Unpack,
    },
    /// A heredoc: mode 0644.
    Inline(InlineFile),
}

/// What ADD does with a source that is an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unpack {
    /// Copies it: COPY, `--unpack=false`, and ADD of a URL.
    Never,
    /// Unpacks it if its content is an archive, and copies it otherwise: ADD of local files and `--unpack`.
    Archives,
}

/// A change of mode bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModeChange {
    /// Exactly these, at most 07777.
    Octal(u32),
    /// `u=rwX,go=rX`, as chmod(1) has it, checked already.
    Symbolic(String),
}

/// WORKDIR.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MakeDirOp {
    /// Where, absolute; parents are made too.
    pub path: String,
    /// Mode of what is made.
    pub mode: u32,
    /// USER as written, owner of what is made; empty for root.
    pub owner: String,
    /// When set, the modification time of what is made (seconds since 1970).
    pub epoch: Option<i64>,
}
