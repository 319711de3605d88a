//! The digest of what a layer does. Knows only entries.

use solver::ChangeDigest;
use solver::digest::Encoder;

use super::{Entry, Kind, TimeRule};

/// Takes a layer's entries in the order of its index.
pub(super) struct ChangeEncoder {
    encoder: Encoder,
    entry: Vec<u8>,
}

impl ChangeEncoder {
    pub fn new() -> Self {
        Self {
            encoder: Encoder::new("rbuild change v1"),
            entry: Vec::with_capacity(256),
        }
    }

    pub fn entry(&mut self, entry: &Entry) {
        self.entry.clear();
        encode(&mut self.entry, entry, true);
        self.encoder.field(&self.entry);
    }

    pub fn finish(self) -> ChangeDigest {
        ChangeDigest(self.encoder.finish())
    }
}

/// Appends everything of an entry that counts. Times only if `times`.
pub(crate) fn encode(buffer: &mut Vec<u8>, entry: &Entry, times: bool) {
    field(buffer, &entry.path);
    // a whiteout has a path and nothing else
    if entry.kind == Kind::Whiteout {
        field(buffer, b"whiteout");
    } else {
        match &entry.kind {
            Kind::Whiteout | Kind::Dir { opaque: false } => field(buffer, b"dir"),
            Kind::Dir { opaque: true } => field(buffer, b"opaque dir"),
            Kind::File {
                size,
                content,
                link,
            } => {
                field(buffer, b"file");
                number(buffer, *size);
                field(buffer, &content.0);
                field(buffer, link.as_deref().unwrap_or_default());
            }
            Kind::Symlink { target } => {
                field(buffer, b"symlink");
                field(buffer, target);
            }
            Kind::CharDevice { major, minor } => {
                field(buffer, b"char device");
                number(buffer, u64::from(*major));
                number(buffer, u64::from(*minor));
            }
            Kind::BlockDevice { major, minor } => {
                field(buffer, b"block device");
                number(buffer, u64::from(*major));
                number(buffer, u64::from(*minor));
            }
            Kind::Fifo => field(buffer, b"fifo"),
        }
        // a symbolic link has no permissions
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            number(buffer, u64::from(entry.mode));
        }
        number(buffer, u64::from(entry.uid));
        number(buffer, u64::from(entry.gid));
        number(buffer, entry.xattrs.len() as u64);
        for (name, value) in &entry.xattrs {
            field(buffer, name.as_bytes());
            field(buffer, value);
        }
        match entry.time {
            _ if !times => {}
            TimeRule::Exact => {
                field(buffer, b"at");
                number(buffer, entry.mtime.seconds as u64);
                number(buffer, u64::from(entry.mtime.nanos));
            }
            TimeRule::Now => field(buffer, b"now"),
            TimeRule::Ignored => field(buffer, b"any time"),
        }
    }
}

fn field(buffer: &mut Vec<u8>, bytes: &[u8]) {
    number(buffer, bytes.len() as u64);
    buffer.extend_from_slice(bytes);
}

fn number(buffer: &mut Vec<u8>, value: u64) {
    buffer.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use solver::ContentDigest;

    use super::super::{LayerIndex, Timestamp};
    use super::*;

    fn digest(entry: &Entry) -> ChangeDigest {
        LayerIndex::new(vec![entry.clone()])
            .unwrap()
            .change_digest()
    }

    #[test]
    fn everything_that_counts_counts() {
        let mtime = Timestamp {
            seconds: 7,
            nanos: 1,
        };
        let file = Entry {
            mtime,
            ..Entry::file("f", 0o644, 1, ContentDigest::of(b"x"))
        };
        let cap = vec![("security.capability".to_owned(), vec![1])];
        let others = [
            file.clone(),
            Entry {
                path: b"g".to_vec(),
                ..file.clone()
            },
            Entry {
                mode: 0o600,
                ..file.clone()
            },
            Entry {
                uid: 1,
                ..file.clone()
            },
            Entry {
                gid: 1,
                ..file.clone()
            },
            Entry {
                mtime: Timestamp::seconds(7),
                ..file.clone()
            },
            Entry {
                time: TimeRule::Now,
                ..file.clone()
            },
            Entry {
                time: TimeRule::Ignored,
                ..file.clone()
            },
            Entry {
                xattrs: cap,
                ..file.clone()
            },
            Entry {
                kind: Entry::file("", 0, 1, ContentDigest::of(b"y")).kind,
                ..file.clone()
            },
            Entry {
                kind: Entry::file("", 0, 2, ContentDigest::of(b"x")).kind,
                ..file.clone()
            },
            Entry {
                kind: Kind::Fifo,
                ..file.clone()
            },
            Entry {
                kind: Kind::Dir { opaque: false },
                ..file.clone()
            },
            Entry {
                kind: Kind::Dir { opaque: true },
                ..file.clone()
            },
            Entry {
                kind: Kind::CharDevice { major: 1, minor: 2 },
                ..file.clone()
            },
            Entry {
                kind: Kind::CharDevice { major: 2, minor: 1 },
                ..file.clone()
            },
            Entry {
                kind: Kind::BlockDevice { major: 1, minor: 2 },
                ..file.clone()
            },
            Entry {
                kind: Kind::Symlink {
                    target: b"x".to_vec(),
                },
                ..file.clone()
            },
            Entry {
                kind: Kind::Symlink {
                    target: b"y".to_vec(),
                },
                ..file.clone()
            },
            Entry::whiteout("f"),
        ];
        for (i, a) in others.iter().enumerate() {
            for (j, b) in others.iter().enumerate() {
                assert_eq!(digest(a) == digest(b), i == j, "{a:?}\n{b:?}");
            }
        }
    }

    #[test]
    fn what_does_not_count_does_not() {
        let file = Entry::file("f", 0o644, 1, ContentDigest::of(b"x"));
        for time in [TimeRule::Now, TimeRule::Ignored] {
            let at = |seconds| Entry {
                time,
                mtime: Timestamp::seconds(seconds),
                ..file.clone()
            };
            assert_eq!(digest(&at(1)), digest(&at(2)));
        }
        assert_eq!(
            digest(&file),
            digest(&Entry {
                placeholder: true,
                ..file.clone()
            })
        );
        let link = Entry::symlink("l", "x");
        assert_eq!(
            digest(&link),
            digest(&Entry {
                mode: 0o700,
                ..link.clone()
            })
        );
    }

    #[test]
    fn the_format_does_not_drift() {
        // a change here means that no cache made before is of use: raise the version in the domain
        let index = LayerIndex::new(super::super::samples::entries()).unwrap();
        assert_eq!(
            index.change_digest().hex(),
            "3056461e7c171ef4e871402356e9373ba30e158b4c0bc0863d9dd021ce737127"
        );
    }
}
