//! Secrets: read when a step asks, handed over beside the spec, written nowhere.

use std::fs::File;
use std::io::Read;

use crate::ops::error::OpError;
use crate::ops::{Executor, SecretSource};

/// The most that a secret may have, in bytes; as in the reference.
const MAX_BYTES: u64 = 500 << 10;

impl Executor {
    /// The secret `id`; none if it was not given and need not be.
    pub(in crate::ops) fn secret(
        &self,
        id: &str,
        required: bool,
    ) -> Result<Option<Vec<u8>>, OpError> {
        let Some(source) = self.options.secrets.get(id) else {
            return if required {
                Err(OpError::SecretNotFound { id: id.to_owned() })
            } else {
                Ok(None)
            };
        };
        let value = match source {
            SecretSource::Value(value) => value.clone(),
            SecretSource::File(path) => {
                let unreadable = |source| OpError::SecretUnreadable {
                    id: id.to_owned(),
                    source,
                };
                let mut value = Vec::new();
                File::open(path)
                    .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut value))
                    .map_err(unreadable)?;
                value
            }
        };
        if value.len() as u64 > MAX_BYTES {
            return Err(OpError::SecretTooLarge {
                id: id.to_owned(),
                limit: MAX_BYTES,
            });
        }
        Ok(Some(value))
    }
}
