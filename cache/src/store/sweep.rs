//! Cleaning up after processes that died.

use super::staging::Dead;
use super::{Store, StoreError};

impl Store {
    /// Removes what dead processes left in `tmp`, and their pins. What this process has no right
    /// to remove stays.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.bury(Dead::find(&self.tmp_dir())?)
    }

    /// Looks for dead processes at once, and cleans up after them while others go on.
    pub(super) fn sweep_aside(&self) {
        let Ok(dead) = Dead::find(&self.tmp_dir()) else {
            return;
        };
        if !dead.is_empty() {
            let store = self.clone();
            // If the process ends first, the next one goes on; errors are met again when it matters.
            std::thread::spawn(move || store.bury(dead));
        }
    }

    fn bury(&self, dead: Vec<Dead>) -> Result<(), StoreError> {
        let db = self.database();
        for owner in dead {
            db.write("drop pins", |transaction| {
                transaction
                    .execute("DELETE FROM pins WHERE owner = ?1", [&owner.name])
                    .map_err(db.error("drop pins"))
            })?;
            owner.bury()?;
        }
        Ok(())
    }
}
