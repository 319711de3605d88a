//! The rows: one SQLite file that many processes share.
//!
//! Knows connections, transactions and migrations, and none of the tables' meaning. Every write is
//! one short `BEGIN IMMEDIATE` transaction: a deferred one that upgrades is refused at once when
//! another process writes, whatever the timeout. Connections are never carried over a fork (they
//! are opened close-on-exec, and rbuild does not fork).

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::store::StoreError;

/// How long a write waits for the writers before it; SQLite's waiting is not fair.
const PATIENCE: Duration = Duration::from_mins(1);

/// A write-ahead log above this many bytes is folded into the database when its last user closes it;
/// below, the next opening reads it in less time than the two flushes take.
const LARGE_LOG: u64 = 512 * 1024;

/// Pages of the write-ahead log from which on a commit tries to fold it, 32 MiB. Each try flushes
/// the log, even where a reader stands in the way; at SQLite's own 1,000 a build of 2,000 steps
/// flushed 740 times.
const FOLD_PAGES: i64 = 8192;

/// The tables, one text for each version; a new one is appended, an old one never changed.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// The store's database: a pool of connections, as many as threads use at once.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// The turn to write, among the threads of this process: SQLite would let each sleep up to a
    /// tenth of a second before it looks again. Other processes' writers are waited for so.
    turn: Mutex<()>,
}

impl Database {
    /// Opens the database at `path`, making or migrating it when needed. One of a newer version is
    /// left alone.
    pub fn open(path: PathBuf) -> Result<Self, StoreError> {
        let database = Self {
            path,
            idle: Mutex::default(),
            turn: Mutex::default(),
        };
        database.hide()?;
        let mut connection = database.connect()?;
        database.migrate(&mut connection)?;
        database.give_back(connection);
        Ok(database)
    }

    /// Runs `read` in one read transaction: it sees one state of the rows.
    pub fn read<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.take()?;
        let result = connection
            .unchecked_transaction()
            .and_then(|transaction| read(&transaction));
        self.give_back(connection);
        result.map_err(self.error(action))
    }

    /// Runs `write` in one write transaction, which nothing of is kept if it fails. `write` must not
    /// write through another.
    pub fn write<T>(
        &self,
        action: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take()?;
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let result = (|| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(self.error(action))?;
            let value = write(&transaction)?;
            transaction.commit().map_err(self.error(action))?;
            Ok(value)
        })();
        drop(turn);
        self.give_back(connection);
        result
    }

    /// As [`write`](Self::write), but gives up at once, with none, when somebody else writes.
    pub fn try_write<T>(
        &self,
        action: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let mut connection = self.take()?;
        let result = (|| {
            connection
                .busy_timeout(Duration::ZERO)
                .map_err(self.error(action))?;
            let transaction =
                match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
                    Err(error) if is_busy(&error) => return Ok(None),
                    other => other.map_err(self.error(action))?,
                };
            let value = write(&transaction)?;
            match transaction.commit() {
                Err(error) if is_busy(&error) => return Ok(None),
                other => other.map_err(self.error(action))?,
            }
            Ok(Some(value))
        })();
        drop(turn);
        // A connection whose timeout cannot be set back is not used again.
        if connection.busy_timeout(PATIENCE).is_ok() {
            self.give_back(connection);
        }
        result
    }

    /// Wraps an error of SQLite's.
    pub fn error(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        move |source| StoreError::Database {
            action,
            path: self.path.clone(),
            source,
        }
    }

    /// Bytes of its files on disk.
    pub fn size(&self) -> u64 {
        ["", "-wal", "-shm"]
            .iter()
            .map(|suffix| crate::usage::allocated(&with_suffix(&self.path, suffix)))
            .sum()
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.connect(),
        }
    }

    fn give_back(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }

    /// Makes the file so that only its owner reads it, as preimages ask for; SQLite gives its journals
    /// the same mode.
    fn hide(&self) -> Result<(), StoreError> {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(StoreError::io("make", &self.path)(error))
            }
            _ => Ok(()),
        }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let open = || {
            let connection = Connection::open_with_flags(
                &self.path,
                OpenFlags::SQLITE_OPEN_READ_WRITE
                    | OpenFlags::SQLITE_OPEN_CREATE
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "normal")?;
            connection
                .pragma_update_and_check(None, "wal_autocheckpoint", FOLD_PAGES, |_| Ok(()))?;
            // Folding the log costs two flushes; `drop` decides whether it is worth them.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        };
        open().map_err(self.error("open the rows"))
    }

    fn migrate(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let action = "migrate the rows";
        let known = MIGRATIONS.len() as u64;
        let version = |connection: &Connection| {
            connection
                .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
                .map(|version| version.max(0) as u64)
                .map_err(self.error(action))
        };
        let check = |found| {
            if found > known {
                return Err(StoreError::Version {
                    path: self.path.clone(),
                    found,
                    known,
                });
            }
            Ok(found == known)
        };
        if check(version(connection)?)? {
            return Ok(());
        }
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(self.error(action))?;
        // Another process may have done it while this one waited.
        let found = version(&transaction)?;
        if !check(found)? {
            for text in &MIGRATIONS[found as usize..] {
                transaction
                    .execute_batch(text)
                    .map_err(self.error(action))?;
            }
            transaction
                .pragma_update(None, "user_version", known as i64)
                .map_err(self.error(action))?;
        }
        transaction.commit().map_err(self.error(action))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let large = std::fs::metadata(with_suffix(&self.path, "-wal"))
            .is_ok_and(|log| log.len() > LARGE_LOG);
        if large && let Ok(connection) = self.take() {
            // Best effort: whoever else is busy with the log will fold it later.
            let _ = connection.busy_timeout(Duration::ZERO).and_then(|()| {
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            });
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Seconds since 1970, as the rows hold times.
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        let _database = Database::open(path.clone()).unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let mode = std::fs::metadata(with_suffix(&path, suffix))
                .unwrap()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{suffix}");
        }
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.sqlite");
        let database = Database::open(path.clone()).unwrap();
        database
            .write("raise", |transaction| {
                transaction
                    .pragma_update(None, "user_version", 999)
                    .unwrap();
                Ok(())
            })
            .unwrap();
        drop(database);
        match Database::open(path.clone()) {
            Err(StoreError::Version { found: 999, .. }) => (),
            other => panic!("{other:?}"),
        }
        let connection = Connection::open(path).unwrap();
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 999);
    }

    #[test]
    fn a_busy_writer_is_not_waited_for_by_who_does_not_want_to() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("records.sqlite")).unwrap();
        let written = database
            .write("hold the lock", |_| database.try_write("try", |_| Ok(())))
            .unwrap();
        assert_eq!(written, None);
        assert_eq!(database.try_write("try", |_| Ok(7)).unwrap(), Some(7));
    }

    #[test]
    fn nothing_of_a_failed_write_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("records.sqlite")).unwrap();
        let failed: Result<(), _> = database.write("write", |transaction| {
            transaction
                .execute("INSERT INTO memos VALUES ('a', 'b', x'00', 0)", [])
                .unwrap();
            Err(StoreError::NoLayer { id: "x".into() })
        });
        assert!(failed.is_err());
        let rows: i64 = database
            .read("count", |c| {
                c.query_row("SELECT count(*) FROM memos", [], |r| r.get(0))
            })
            .unwrap();
        assert_eq!(rows, 0);
    }
}
