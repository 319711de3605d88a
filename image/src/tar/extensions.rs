//! What the headers in front of an entry's own say about it.

use std::collections::BTreeMap;

use super::sparse::SparseRecords;
use super::{TarError, Time, pax};

/// What the extension headers in front of an entry say.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: SparseRecords,
}

impl Extensions {
    /// What the records of one extended header say.
    pub(super) fn from_records(records: pax::Records) -> Result<Self, TarError> {
        let mut extensions = Self::default();
        for (key, value) in records {
            if extensions.sparse.take(&key, &value)? {
                continue;
            }
            // An empty value takes an earlier record back.
            let given = (!value.is_empty()).then_some(&value);
            let bad = |reason| TarError::Pax { reason };
            match key.as_slice() {
                b"path" => extensions.path = given.cloned(),
                b"linkpath" => extensions.link = given.cloned(),
                b"size" => {
                    extensions.size = given
                        .map(|v| pax::decimal(v).ok_or(bad("its size is no number")))
                        .transpose()?;
                }
                b"uid" => extensions.uid = given.map(|v| id(v)).transpose()?,
                b"gid" => extensions.gid = given.map(|v| id(v)).transpose()?,
                b"mtime" => {
                    extensions.mtime = given
                        .map(|v| pax::time(v).ok_or(bad("its mtime is no time")))
                        .transpose()?;
                }
                key => {
                    if let Some(name) = key.strip_prefix(pax::XATTR) {
                        extensions.xattrs.insert(name.to_vec(), value);
                    }
                }
            }
        }
        Ok(extensions)
    }
}

fn id(text: &[u8]) -> Result<u32, TarError> {
    pax::decimal(text)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or(TarError::Pax {
            reason: "its uid or gid is none",
        })
}
