//! The right to produce one key.
//!
//! A lease is a lock on one byte of one file, at the key's bits; it belongs to an open file
//! description (fcntl_locking(2), "Open file description locks"), so that threads exclude each
//! other as processes do, and the kernel gives it back when the last holder is gone, however it
//! ended. Nothing is ever unlinked. Who holds it says so in the same file, where its key's slot is.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::OnceLock;

use solver::traits::Claim;
use solver::{CacheKey, VertexId};

use crate::locks;
use crate::store::{Store, StoreError};

/// Bytes of one description.
const SLOT: u64 = 512;

/// Digits that name a vertex in a description: enough within one build.
pub(crate) const VERTEX_DIGITS: usize = 16;

/// What a lease is taken for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// What others are told, such as the project and the step.
    pub text: &'a str,
    /// The build, by its id in the history, and its vertex: where others find what it writes.
    pub log: Option<(&'a str, VertexId)>,
}

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// For people.
    pub text: String,
    /// The build, by its id in the history, and the first digits of the vertex.
    pub log: Option<(String, String)>,
}

/// Slots in the file; two keys may share one, so a description names its key.
const SLOTS: u64 = 1 << 16;

/// The right to produce one key; given back when dropped, and when everybody who was given its
/// descriptor has closed it.
#[derive(Debug)]
pub struct Lease {
    file: File,
}

impl AsFd for Lease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Store {
    /// Tries to get the right to produce `key`, without waiting.
    pub fn claim(
        &self,
        key: &CacheKey,
        purpose: Purpose<'_>,
    ) -> Result<Claim<Lease, Owner>, StoreError> {
        let path = self.leases_file();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        let bits = bits(key);
        if !locks::try_lock(&file, bits, 1)
            .map_err(|errno| StoreError::io("lock", &path)(errno.into()))?
        {
            return Ok(Claim::Theirs(describe(&file, key)));
        }
        // Best effort: without it a waiter cannot say whom it waits for, and that is all.
        let _ = file.write_all_at(&description(key, purpose), bits % SLOTS * SLOT);
        Ok(Claim::Ours(Lease { file }))
    }
}

/// The place of a key's lock: 62 bits, since offsets are signed.
fn bits(key: &CacheKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 2
}

/// `<key> <pid> <start> <build> <vertex> <purpose>` and a line end, filled up with zeros. Without a
/// log, build and vertex are `-`.
fn description(key: &CacheKey, purpose: Purpose<'_>) -> Vec<u8> {
    let (pid, start) = myself();
    let log = match purpose.log {
        Some((build, vertex)) => format!("{build} {}", &vertex.hex()[..VERTEX_DIGITS]),
        None => "- -".to_owned(),
    };
    let head = format!("{} {pid} {start} {log} ", &key.hex()[..16]);
    let room = (SLOT as usize).saturating_sub(head.len() + 1);
    let text = purpose.text;
    let end = (0..=room.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let line = text[..end].replace(char::is_control, " ");
    let mut bytes = format!("{head}{line}\n").into_bytes();
    bytes.resize(SLOT as usize, 0);
    bytes
}

/// This process's number, and when it started. Asked for once: it does not fork.
fn myself() -> (u32, u64) {
    static MYSELF: OnceLock<(u32, u64)> = OnceLock::new();
    *MYSELF.get_or_init(|| {
        let pid = std::process::id();
        (pid, Process::of(pid).map_or(0, |process| process.start))
    })
}

/// Who has a lease.
fn describe(file: &File, key: &CacheKey) -> Owner {
    read_description(file, key).unwrap_or_else(|| Owner {
        text: "another rbuild".to_owned(),
        log: None,
    })
}

fn read_description(file: &File, key: &CacheKey) -> Option<Owner> {
    let mut bytes = [0; SLOT as usize];
    let read = file
        .read_at(&mut bytes, bits(key) % SLOTS * SLOT)
        .unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..read]);
    let (line, _) = text.split_once('\n')?;
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    let [prefix, pid, start, build, vertex, purpose] = words[..] else {
        return None;
    };
    if !key.hex().starts_with(prefix) {
        return None;
    }
    let mut owner = format!("rbuild {pid}");
    if !purpose.is_empty() {
        owner = format!("{owner} ({purpose})");
    }
    // Only the process itself counts, not a later one with its number or one of another namespace.
    let process = pid
        .parse()
        .ok()
        .and_then(Process::of)
        .filter(|process| process.start.to_string() == start);
    let text = match process {
        Some(Process {
            state: 'T' | 't', ..
        }) => {
            format!("{owner}, which is stopped: `kill -CONT {pid}` lets it go on")
        }
        // The launcher has the lease until its container is gone.
        Some(Process { state: 'Z', .. }) | None => format!("{owner}, which is ending"),
        Some(_) => owner,
    };
    Some(Owner {
        text,
        log: (build != "-").then(|| (build.to_owned(), vertex.to_owned())),
    })
}

/// What proc_pid_stat(5) says of a process.
struct Process {
    state: char,
    start: u64,
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        let start = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::open(StoreOptions::new(dir.path().join("store"))).unwrap()
    }

    fn purpose(text: &str) -> Purpose<'_> {
        Purpose { text, log: None }
    }

    fn ours(claim: Claim<Lease, Owner>) -> Option<Lease> {
        match claim {
            Claim::Ours(lease) => Some(lease),
            Claim::Theirs(_) => None,
        }
    }

    #[test]
    fn one_of_many_threads_gets_a_key_and_the_others_are_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let key = CacheKey([7; 32]);
        let held = ours(store.claim(&key, purpose("building /src/app")).unwrap()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| match store.claim(&key, purpose("")).unwrap() {
                Claim::Theirs(owner) => {
                    let pid = std::process::id();
                    assert_eq!(owner.text, format!("rbuild {pid} (building /src/app)"));
                }
                Claim::Ours(_) => panic!("two have it"),
            });
        });
        assert!(ours(store.claim(&CacheKey([8; 32]), purpose("")).unwrap()).is_some());
        drop(held);
        assert!(ours(store.claim(&key, purpose("")).unwrap()).is_some());
    }

    #[test]
    fn a_lease_lasts_until_the_last_holder_of_its_descriptor_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let key = CacheKey([9; 32]);
        let held = ours(store.claim(&key, purpose("")).unwrap()).unwrap();
        let copy = held.as_fd().try_clone_to_owned().unwrap();
        drop(held);
        assert!(ours(store.claim(&key, purpose("")).unwrap()).is_none());
        drop(copy);
        assert!(ours(store.claim(&key, purpose("")).unwrap()).is_some());
    }

    #[test]
    fn a_description_is_cut_at_a_character_and_names_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let mut key = CacheKey([1; 32]);
        let vertex = VertexId([0xab; 32]);
        let long = Purpose {
            text: &"é\n".repeat(300),
            log: Some(("0abc", vertex)),
        };
        let _held = ours(store.claim(&key, long).unwrap()).unwrap();
        let file = File::open(store.leases_file()).unwrap();
        let Owner { text, log } = describe(&file, &key);
        assert!(text.contains("(é é") && !text.contains('\n'), "{text}");
        assert_eq!(log, Some(("0abc".to_owned(), "ab".repeat(8))));
        // The same slot, another key.
        key.0[7] ^= 0xff;
        assert_eq!(describe(&file, &key).text, "another rbuild");
    }
}
