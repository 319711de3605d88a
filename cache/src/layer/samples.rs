//! Entries for tests.

use proptest::prelude::*;
use solver::ContentDigest;

use super::{Entry, Kind, TimeRule, Timestamp};

/// One of each kind.
pub(crate) fn entries() -> Vec<Entry> {
    let linked = |path: &str| Entry {
        kind: Kind::File {
            size: 3,
            content: ContentDigest::of(b"abc"),
            link: Some(b"d/one".to_vec()),
        },
        xattrs: vec![("security.capability".to_owned(), vec![1, 0, 0, 2, 0])],
        ..Entry::dir(path, 0o4755)
    };
    vec![
        Entry::dir("d", 0o1777),
        Entry::new("d/opaque", Kind::Dir { opaque: true }, 0o700),
        linked("d/one"),
        linked("d/two"),
        Entry {
            uid: 5,
            gid: 60,
            time: TimeRule::Now,
            ..Entry::file("f", 0o600, 1, ContentDigest::of(b"x"))
        },
        Entry::symlink("l", "../d"),
        Entry {
            placeholder: true,
            ..Entry::new("n", Kind::CharDevice { major: 1, minor: 3 }, 0o666)
        },
        Entry::new("p", Kind::Fifo, 0o620),
        Entry {
            mtime: Timestamp {
                seconds: -5,
                nanos: 17,
            },
            ..Entry::new(
                "q",
                Kind::BlockDevice {
                    major: 8,
                    minor: 17,
                },
                0o660,
            )
        },
        Entry::whiteout("w"),
    ]
}

/// Lists of entries; not all can stand together.
pub(crate) fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(any_entry(), 0..40)
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let name = prop::sample::select(vec!["a", "b", "a-", "a0", "\u{e9}", "z"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/").into_bytes());
    let link = prop::option::of(prop::sample::select(vec![b"x".to_vec(), b"y".to_vec()]));
    let kind = prop_oneof![
        1 => Just(Kind::Whiteout),
        8 => any::<bool>().prop_map(|opaque| Kind::Dir { opaque }),
        1 => (any::<u64>(), any::<[u8; 32]>(), link).prop_map(|(size, content, link)| Kind::File {
            size,
            content: ContentDigest(content),
            link
        }),
        1 => prop::collection::vec(1u8.., 0..9).prop_map(|target| Kind::Symlink { target }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
        1 => Just(Kind::Fifo),
    ];
    let time = prop::sample::select(vec![TimeRule::Exact, TimeRule::Now, TimeRule::Ignored]);
    let xattrs = prop::collection::btree_map(
        "[a-z.]{1,9}",
        prop::collection::vec(any::<u8>(), 0..9),
        0..3,
    );
    (
        (path, kind, 0u32..0o10000, any::<(u32, u32)>()),
        (
            any::<i64>(),
            0u32..1_000_000_000,
            time,
            xattrs,
            any::<bool>(),
        ),
    )
        .prop_map(
            |((path, kind, mode, (uid, gid)), (seconds, nanos, time, xattrs, placeholder))| Entry {
                path,
                kind,
                mode,
                uid,
                gid,
                mtime: Timestamp { seconds, nanos },
                time,
                xattrs: xattrs.into_iter().collect(),
                placeholder,
            },
        )
}
