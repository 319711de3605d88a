//! The history of an image in the making. A stage's history is shared with the stages built on it.

use std::sync::Arc;

use image::History;

/// What the reference writes into `comment`, so that images of both compare equal.
const COMMENT: &str = "buildkit.dockerfile.v0";
/// The same, for layers that no instruction accounts for.
const EXPORTER_COMMENT: &str = "buildkit.exporter.image.v0";

/// Entries on top of those of another stage.
#[derive(Debug, Clone, Default)]
pub(super) struct HistoryList {
    below: Option<Arc<HistoryList>>,
    entries: Vec<History>,
}

impl HistoryList {
    /// The history of a base image with `layers` layers, made to agree with them.
    pub(super) fn of_base(mut entries: Vec<History>, layers: usize) -> Self {
        let mut left = entries.iter().filter(|entry| !entry.empty_layer).count();
        for entry in entries.iter_mut().rev() {
            if left <= layers {
                break;
            }
            if !entry.empty_layer {
                entry.empty_layer = true;
                left -= 1;
            }
        }
        entries.extend((left..layers).map(|_| History {
            comment: EXPORTER_COMMENT.to_owned(),
            ..History::default()
        }));
        Self {
            below: None,
            entries,
        }
    }

    /// Adds what an instruction did.
    pub(super) fn push(&mut self, created: &str, created_by: String, empty_layer: bool) {
        self.entries.push(History {
            created: Some(created.to_owned()),
            created_by,
            comment: COMMENT.to_owned(),
            empty_layer,
            ..History::default()
        });
    }

    /// Adds a layer that no instruction made.
    pub(super) fn push_unaccounted(&mut self, created: &str, created_by: &str) {
        self.entries.push(History {
            created: Some(created.to_owned()),
            created_by: created_by.to_owned(),
            comment: EXPORTER_COMMENT.to_owned(),
            ..History::default()
        });
    }

    /// A list that begins with all of this one, which it shares from now on.
    pub(super) fn on_top(&mut self) -> Self {
        if !self.entries.is_empty() || self.below.is_none() {
            let whole = std::mem::take(self);
            self.below = Some(Arc::new(whole));
        }
        self.clone()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.parts().map(|list| list.entries.len()).sum()
    }

    /// All entries, oldest first.
    pub(super) fn into_vec(mut self) -> Vec<History> {
        if self.below.is_none() {
            return std::mem::take(&mut self.entries);
        }
        let mut parts: Vec<&[History]> = self.parts().map(|list| list.entries.as_slice()).collect();
        parts.reverse();
        parts.concat()
    }

    /// This list and those below it.
    fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |list| list.below.as_deref())
    }
}

impl Drop for HistoryList {
    /// Thousands of stages may stand on each other; freeing them must not need as many frames.
    fn drop(&mut self) {
        let mut next = self.below.take();
        while let Some(mut list) = next.and_then(Arc::into_inner) {
            next = list.below.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, empty_layer: bool) -> History {
        History {
            created_by: name.to_owned(),
            empty_layer,
            ..History::default()
        }
    }

    #[test]
    fn a_base_agrees_with_its_layers() {
        let base = vec![entry("a", false), entry("b", true), entry("c", false)];
        let filled = |layers| {
            let list = HistoryList::of_base(base.clone(), layers).into_vec();
            list.iter().map(|e| !e.empty_layer).collect::<Vec<_>>()
        };
        assert_eq!(filled(2), [true, false, true]);
        assert_eq!(filled(1), [true, false, false]);
        assert_eq!(filled(3), [true, false, true, true]);
    }

    #[test]
    fn stages_share_what_they_stand_on() {
        let mut list = HistoryList::default();
        for number in 0..100_000 {
            if number % 2 == 0 {
                list.push("now", number.to_string(), true);
            }
            list = list.on_top();
        }
        let other = list.on_top();
        list.push("now", "last".to_owned(), false);
        assert_eq!((other.len(), list.len()), (50_000, 50_001));
        let all = list.into_vec();
        assert_eq!(all.len(), 50_001);
        assert_eq!(
            (all[0].created_by.as_str(), all[1].created_by.as_str()),
            ("0", "2")
        );
    }
}
