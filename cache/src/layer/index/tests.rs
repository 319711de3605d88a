//! Indexes that are damaged, hostile or contradict themselves.

use proptest::prelude::*;

use super::super::samples;
use super::*;

#[test]
fn of_equal_paths_the_last_wins_and_a_lone_link_is_none() {
    let content = ContentDigest::of(b"x");
    let linked = |path: &str, first: &str| {
        let mut entry = Entry::file(path, 0o600, 1, content);
        if let Kind::File { link, .. } = &mut entry.kind {
            *link = Some(first.into());
        }
        entry
    };
    let index = LayerIndex::new(vec![
        linked("b", "z"),
        Entry::dir("a", 0o700),
        linked("c", "gone"),
        linked("a", "z"),
    ])
    .unwrap();
    let links: Vec<_> = index
        .iter()
        .map(|e| match e.kind {
            Kind::File { link, .. } => link,
            _ => panic!("{e:?}"),
        })
        .collect();
    assert_eq!(links, [Some(b"a".to_vec()), Some(b"a".to_vec()), None]);
}

#[test]
fn paths_that_cannot_be_are_refused() {
    for path in ["/a", "a/", "a//b", ".", "a/..", "a\0"] {
        assert!(
            LayerIndex::new(vec![Entry::dir(path, 0o755)]).is_err(),
            "{path:?}"
        );
    }
    let inside_a_file = vec![Entry::whiteout("a"), Entry::whiteout("a/b")];
    assert!(LayerIndex::new(inside_a_file).is_err());
}

#[test]
fn every_damaged_byte_is_noticed() {
    let index = LayerIndex::new(samples::entries()).unwrap();
    for at in 0..index.as_bytes().len() {
        let mut bytes = index.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert!(LayerIndex::from_bytes(bytes).is_err(), "byte {at}");
    }
    for len in 0..index.as_bytes().len() {
        assert!(LayerIndex::from_bytes(index.as_bytes()[..len].to_vec()).is_err());
    }
}

#[test]
fn a_hostile_index_with_a_right_checksum_does_no_harm() {
    let index = LayerIndex::new(samples::entries()).unwrap();
    for at in HEADER..index.as_bytes().len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = index.as_bytes().to_vec();
            bytes[at] ^= change;
            let sum = checksum(&bytes);
            bytes[CHECKSUM].copy_from_slice(&sum);
            if let Ok(accepted) = LayerIndex::from_bytes(bytes) {
                // then it is the one encoding of what it says
                let again = LayerIndex::new(accepted.iter().collect()).unwrap();
                assert_eq!(again.bytes[HEADER..], accepted.bytes[HEADER..], "byte {at}");
                assert_eq!(
                    again.change_digest() == index.change_digest(),
                    accepted.verify_change().is_ok()
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_packed_is_read_back(entries in samples::any_entries()) {
        let mut sorted = entries.clone();
        sort(&mut sorted);
        regroup(&mut sorted);
        let Ok(index) = LayerIndex::new(entries) else { return Ok(()) };
        let again = LayerIndex::from_bytes(index.as_bytes().to_vec()).unwrap();
        prop_assert_eq!(&again, &index);
        again.verify_change().unwrap();
        prop_assert_eq!(again.iter().collect::<Vec<_>>(), sorted.clone());
        for (at, entry) in sorted.iter().enumerate() {
            prop_assert_eq!(again.find(&entry.path), Ok(at));
            let end = sorted[at + 1..].iter().take_while(|e| is_within(&e.path, &entry.path)).count();
            prop_assert_eq!(again.end_of(at), at + 1 + end);
        }
    }
}
