//! Where the store is, who this user may be in containers, and opening the store.

use std::path::PathBuf;

use cache::{Store, StoreError, StoreOptions};
use executor::namespace::{self, NamespaceError};

use crate::report::{Class, Failure};

/// The state directory of this user.
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// `--root` or `RBUILD_ROOT`, else /var/lib/rbuild for root and `$XDG_DATA_HOME/rbuild` for
    /// everybody else.
    pub fn find(asked: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(root) = asked {
            let root = std::path::absolute(&root).map_err(|error| {
                Failure::from_error(Class::System, &error).help("give --root an absolute path")
            })?;
            return Ok(Self { root });
        }
        if namespace::is_initial() && rustix::process::geteuid().is_root() {
            return Ok(Self {
                root: "/var/lib/rbuild".into(),
            });
        }
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|data| Self {
                root: data.join("rbuild"),
            })
            .ok_or_else(|| {
                Failure::new(
                    Class::System,
                    "there is no place for the store: HOME is not set",
                )
                .help("set HOME, or give --root DIR")
            })
    }

    /// The state directory.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// Gets the rights that the store's files need. An ordinary user gets them in a user namespace,
    /// which executes this program again: nothing may have happened before that is not to happen
    /// twice (reading standard input), and no thread may have been started.
    pub fn enter() -> Result<(), Failure> {
        namespace::enter().map_err(|error| namespace_failure(&error))
    }

    /// [Enters](Self::enter), starts the threads that everything with layers uses, and opens the store.
    pub fn enter_and_open(&self) -> Result<Store, Failure> {
        Self::enter()?;
        crate::threads::start()?;
        self.open()
    }

    /// As [`enter_and_open`](Self::enter_and_open) for a command that most often needs no such threads.
    /// What needs them then calls [`threads::start`](crate::threads::start).
    pub fn enter_and_open_alone(&self) -> Result<Store, Failure> {
        Self::enter()?;
        self.open()
    }

    /// Opens the store, after [`enter`](Self::enter), without those threads.
    pub fn open(&self) -> Result<Store, Failure> {
        let options = StoreOptions {
            before_work: Some(crate::threads::make),
            ..StoreOptions::new(&self.root)
        };
        Store::open(options).map_err(|error| store_failure(&error))
    }

    /// The class of containers that this user can have: part of every key.
    pub fn sandbox() -> String {
        if namespace::is_initial() {
            return "full".to_owned();
        }
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let ids: u64 = map
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
            .sum();
        if ids > 1 {
            "user namespace".to_owned()
        } else {
            "single id".to_owned()
        }
    }
}

fn namespace_failure(error: &NamespaceError) -> Failure {
    Failure::from_error(Class::System, error)
        .help("`rbuild doctor` says what this machine has and lacks")
}

/// What people are told of a store's error.
pub fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::from_error(Class::System, error);
    match error.cure() {
        Some(cure) => failure.help(cure),
        None => failure,
    }
}
