//! What can go wrong with a step.

use std::path::PathBuf;

use cache::StoreError;

use crate::container::ContainerError;

/// Why an op failed.
#[derive(Debug, thiserror::Error)]
pub enum OpError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be read or made.
    #[error(transparent)]
    Layer(#[from] cache::LayerError),
    /// Files could not be selected.
    #[error(transparent)]
    Select(#[from] cache::SelectError),
    /// A file of a context could not be copied.
    #[error(transparent)]
    Context(#[from] cache::ContextError),
    /// What was selected is not any more what its digest says.
    #[error("{path} changed while it was being copied")]
    SelectionChanged {
        /// What was selected.
        path: String,
    },
    /// An op cannot be written down: a mistake of ours.
    #[error("internal error: an op that cannot be encoded")]
    Encode {
        /// Why not.
        source: serde_json::Error,
    },
    /// An op that needs no work was asked to do some: a mistake of ours.
    #[error("internal error: this op has nothing to run")]
    NothingToRun,
    /// A system call on a file of the step failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: `read`, `make`, `link` …
        action: &'static str,
        /// On what, as a path of the container or of the host.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A user or group by name on a root that has no files.
    #[error("cannot look up {owner:?}: an empty root file system has no users; give numbers")]
    NoUserDatabase {
        /// As written.
        owner: String,
    },
    /// A passwd or group file that no system has.
    #[error("/{path} is larger than {limit} bytes")]
    UserDatabaseTooLarge {
        /// Which file.
        path: String,
        /// The most that is read.
        limit: u64,
    },
    /// A `--chmod` that is none.
    #[error("invalid mode {mode:?}")]
    BadMode {
        /// As written.
        mode: String,
    },
    /// A directory was to be copied onto something else.
    #[error("cannot copy to non-directory: /{path}")]
    NotADirectory {
        /// Where.
        path: String,
    },
    /// A file was to be copied onto a directory.
    #[error("cannot replace directory /{path} with a file")]
    IsADirectory {
        /// Where.
        path: String,
    },
    /// Too many links on the way to a path.
    #[error("too many symbolic links in /{path}")]
    TooManyLinks {
        /// As asked for.
        path: String,
    },
    /// A link that must be in the archive, or below it, is not.
    #[error("{archive}: {member} links to {target}, which is not there")]
    MissingLinkTarget {
        /// Which archive.
        archive: String,
        /// Which member.
        member: String,
        /// What it links to.
        target: String,
    },
    /// An archive that cannot be read to its end.
    #[error("cannot unpack {archive}")]
    BadArchive {
        /// Which.
        archive: String,
        /// Why not.
        source: std::io::Error,
    },
    /// An archive whose content is out of proportion.
    #[error("cannot unpack {archive}: {reason}")]
    ArchiveRefused {
        /// Which.
        archive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A vertex without an input that its op needs: a mistake of ours.
    #[error("internal error: input {position} is missing")]
    MissingInput {
        /// Which position.
        position: usize,
    },
    /// A context that was not offered.
    #[error("no build context named {name:?}")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// A required secret that was not given.
    #[error("secret {id}: not found")]
    SecretNotFound {
        /// Its id.
        id: String,
    },
    /// A secret whose source cannot be read.
    #[error("cannot read secret {id}")]
    SecretUnreadable {
        /// Its id.
        id: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret too large to be one.
    #[error("secret {id} is larger than {limit} bytes")]
    SecretTooLarge {
        /// Its id.
        id: String,
        /// The most that is taken.
        limit: u64,
    },
    /// A secret for a variable that no variable can hold.
    #[error("secret {id} cannot be a variable: it is not text")]
    SecretNotText {
        /// Its id.
        id: String,
    },
    /// A required agent that was not given.
    #[error("no SSH key {id:?} forwarded: give --ssh {id}")]
    NoSshAgent {
        /// Its id.
        id: String,
    },
    /// A host that no network leads to.
    #[error(transparent)]
    NoHostGateway(#[from] crate::container::hosts::NoHostGateway),
    /// A repository could not be had.
    #[error("git {}: {reason}", image::http::masked(url))]
    Git {
        /// Which.
        url: String,
        /// What git said, or what is wrong with the request.
        reason: String,
    },
    /// A URL could not be fetched.
    #[error(transparent)]
    Fetch(#[from] image::http::HttpError),
    /// A URL could not be had.
    #[error("{}: {reason}", image::http::shown_url(url))]
    Http {
        /// Which.
        url: String,
        /// What the server said, or what is wrong with the request.
        reason: String,
    },
    /// An image is not what its manifest or configuration says.
    #[error("{image} lies about its content: {about}")]
    ImageLies {
        /// Its name.
        image: String,
        /// What it says, and what there is.
        about: String,
    },
    /// The manifest of an image could not be had.
    #[error("cannot read the manifest of {image}")]
    ImageBlob {
        /// Its name.
        image: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A layer of an image could not be had.
    #[error("cannot get layer {layer} of {image}")]
    ImageLayer {
        /// Its name.
        image: String,
        /// The layer's blob.
        layer: image::Digest,
        /// Why not.
        source: std::io::Error,
    },
    /// A heredoc whose name has a directory.
    #[error("open /{path}: no such file or directory")]
    NoInlineDirectory {
        /// Its name.
        path: String,
    },
    /// There is no git.
    #[error("ADD of a repository needs the program `git`, and there is none: install git")]
    NoGit,
    /// Something that is not done yet.
    #[error("{what} is not supported")]
    Unsupported {
        /// What, as the user wrote it.
        what: String,
    },
    /// The process of a RUN failed.
    #[error("process {process:?} did not complete successfully: exit code: {code}")]
    Exit {
        /// Program and arguments, joined.
        process: String,
        /// Its exit code.
        code: i32,
        /// The last lines that it wrote.
        tail: String,
        /// Whether the kernel killed a process of it for want of memory.
        out_of_memory: bool,
    },
    /// The container of a RUN could not be started.
    #[error("process {process:?} did not complete successfully: {cause}")]
    NotStarted {
        /// Program and arguments, joined.
        process: String,
        /// Why not.
        cause: ContainerError,
    },
    /// No container can be started here.
    #[error("no container can be started")]
    NoLauncher {
        /// Why not.
        #[source]
        cause: ContainerError,
    },
    /// A host's certificates were asked for, and there are none.
    #[error("--host-certs: no certificate bundle at {}", path.display())]
    NoHostCertificates {
        /// Where it was looked for last.
        path: PathBuf,
    },
}

impl OpError {
    /// An [`Io`](Self::Io) on a path of bytes.
    pub fn io(action: &'static str, path: &[u8], source: impl Into<std::io::Error>) -> Self {
        Self::Io {
            action,
            path: String::from_utf8_lossy(path).into_owned(),
            source: source.into(),
        }
    }
}
