//! Small answers worth remembering: any domain, question and bytes.
//!
//! What a domain means is known to who uses it: selections' digests, validators of URLs, diff ids,
//! compressed forms of layers.

use rusqlite::{OptionalExtension, params};

use crate::database::now;
use crate::store::{Store, StoreError};

impl Store {
    /// The answer to `question`, if it was remembered.
    pub fn memo(&self, domain: &str, question: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.database().read("find a memo", |connection| {
            connection
                .prepare_cached("SELECT answer FROM memos WHERE domain = ?1 AND question = ?2")?
                .query_row([domain, question], |row| row.get(0))
                .optional()
        })
    }

    /// Remembers an answer in place of an earlier one.
    pub fn set_memo(&self, domain: &str, question: &str, answer: &[u8]) -> Result<(), StoreError> {
        let db = self.database();
        db.write("add a memo", |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO memos VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut insert| insert.execute(params![domain, question, answer, now()]))
                .map_err(db.error("add a memo"))?;
            Ok(())
        })
    }

    /// Forgets an answer.
    pub fn forget_memo(&self, domain: &str, question: &str) -> Result<(), StoreError> {
        let db = self.database();
        db.write("drop a memo", |transaction| {
            transaction
                .execute(
                    "DELETE FROM memos WHERE domain = ?1 AND question = ?2",
                    [domain, question],
                )
                .map_err(db.error("drop a memo"))?;
            Ok(())
        })
    }
}
