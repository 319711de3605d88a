//! Cleaning up after processes that died.
//!
//! The dead's pins go first, then their files: while these are removed, the owner's lock is held
//! by who removes them, and to everybody else the owner looks alive.

use std::thread::JoinHandle;

use super::staging::Dead;
use super::{Store, StoreError};

impl Store {
    /// Removes what dead processes left in `tmp`, and their pins. What this process has no right
    /// to remove stays.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let dead = Dead::find(&self.tmp_dir())?;
        let db = self.database();
        if !dead.is_empty() {
            db.write("drop pins", |transaction| {
                drop_pins(transaction, &dead).map_err(db.error("drop pins"))
            })?;
        }
        for owner in dead {
            owner.bury()?;
        }
        Ok(())
    }

    /// Looks for dead processes at once, and removes what they left while others go on. Waits for
    /// no writer: what is not done now is done at another opening.
    pub(super) fn sweep_aside(&self) -> Option<JoinHandle<()>> {
        let dead = Dead::find(&self.tmp_dir()).ok()?;
        if dead.is_empty() {
            return None;
        }
        let db = self.database();
        db.try_write("drop pins", |transaction| {
            drop_pins(transaction, &dead).map_err(db.error("drop pins"))
        })
        .ok()
        .flatten()?;
        // Without a thread for it the next who opens the store does it.
        std::thread::Builder::new()
            .spawn(move || {
                for owner in dead {
                    // Somebody with more rights may come later.
                    let _ = owner.bury();
                }
            })
            .ok()
    }
}

fn drop_pins(transaction: &rusqlite::Transaction<'_>, dead: &[Dead]) -> rusqlite::Result<()> {
    let mut drop = transaction.prepare("DELETE FROM pins WHERE owner = ?1")?;
    for owner in dead {
        drop.execute([&owner.name])?;
    }
    Ok(())
}
