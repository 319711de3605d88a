//! How an ordinary user gets the rights that containers need: a user namespace with the ids that
//! the machine grants, entered by executing this program again. Knows no container.
//!
//! What a machine allows is found by doing it, never by reading versions.

mod cure;
mod enter;
mod ids;

pub use cure::cure;
pub use enter::{enter, examine};
pub use ids::Range;

use rustix::thread::CapabilitySet;

use crate::container::Errno;

/// How this process gets, or has, the rights that containers need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tier {
    /// Its capabilities count in the first user namespace.
    Root,
    /// It is in another user namespace already, and may administrate it: in a container, or entered before.
    Inside,
    /// A namespace with many ids, mapped by newuidmap and newgidmap.
    ManyIds {
        /// Of users, beyond the own.
        users: Vec<Range>,
        /// Of groups, beyond the own.
        groups: Vec<Range>,
    },
    /// A namespace with the own id alone, as root: nothing can belong to another user.
    OneId {
        /// Why not more.
        why: String,
    },
    /// No namespace, no containers.
    None {
        /// What the kernel said.
        cause: Errno,
        /// What to change.
        cure: String,
    },
}

/// Why a namespace was not entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The kernel refused one.
    #[error("no user namespace for this user ({}): {cure}", refusal(*cause))]
    Refused {
        /// What it said.
        cause: Errno,
        /// What to change.
        cure: String,
    },
    /// A helper refused to map ids.
    #[error("{program} failed: {message}")]
    Helper {
        /// `newuidmap` or `newgidmap`.
        program: String,
        /// Its own words.
        message: String,
    },
    /// This process has several threads, and must not be cloned.
    #[error("a user namespace must be entered before the first thread is started")]
    Threads,
    /// Executed again, and no better for it.
    #[error("the user namespace gave no rights: {cure}")]
    Powerless {
        /// What to change.
        cure: String,
    },
    /// Another call failed.
    #[error("{what}: {cause}")]
    System {
        /// Which.
        what: String,
        /// Why.
        cause: Errno,
    },
}

/// What this machine can do for containers, for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How rights are had.
    pub tier: Tier,
    /// Version of the kernel.
    pub kernel: String,
    /// Whether an overlay takes its layers one by one: hundreds of them need that.
    pub layer_by_layer: bool,
    /// Whether abstract sockets of the host can be shut for a container that has its network.
    pub shuts_abstract_sockets: bool,
    /// Whether control groups are one tree of version 2, without which nothing can be limited.
    pub unified_cgroups: bool,
}

/// Whether this process is in the first user namespace.
pub fn is_initial() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Whether this process may administrate its user namespace.
pub fn is_admin() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// What the kernel means: unshare(2) says that there is no space where a limit is reached.
fn refusal(cause: Errno) -> String {
    match cause {
        Errno(libc::ENOSPC) => "the limit of their number is reached".to_owned(),
        cause => cause.to_string(),
    }
}
