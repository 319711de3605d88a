//! A merged tree in the order of an index: all layers' entries side by side.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::View;
use crate::layer::entry::{is_within, path_cmp};
use crate::layer::record::tag;
use crate::layer::{Entry, Kind, LayerIndex};

/// The entries of a subtree, parents first, its own entry included. Whiteouts are not in it.
pub(crate) struct Walk<'v> {
    view: &'v View,
    /// Next entry of each layer that has one in the subtree.
    heap: BinaryHeap<Reverse<Cursor<'v>>>,
    /// Directories around the last entry, and the lowest layer that is seen in each.
    around: Vec<(Vec<u8>, usize)>,
}

/// A place in a layer's index.
struct Cursor<'v> {
    index: &'v LayerIndex,
    layer: usize,
    at: usize,
    end: usize,
}

impl Cursor<'_> {
    fn path(&self) -> &[u8] {
        self.index.path(self.at)
    }
}

impl Ord for Cursor<'_> {
    /// By path; of equal ones the topmost layer first.
    fn cmp(&self, other: &Self) -> Ordering {
        path_cmp(self.path(), other.path()).then(other.layer.cmp(&self.layer))
    }
}

impl PartialOrd for Cursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor<'_> {}

impl<'v> Walk<'v> {
    /// Walks what is at `path`, which has no links in it.
    pub fn new(view: &'v View, path: &[u8]) -> Self {
        let mut heap = BinaryHeap::new();
        if let Some(floor) = view.floor(path) {
            for (layer, l) in view.layers().iter().enumerate().skip(floor) {
                let index = &*l.index;
                let (at, end) = match index.find(path) {
                    Ok(at) => (at, index.end_of(at)),
                    Err(at) if path.is_empty() => (at, index.len()),
                    // parents are in an index whenever what is in them is
                    Err(_) => continue,
                };
                if at < end {
                    heap.push(Reverse(Cursor {
                        index,
                        layer,
                        at,
                        end,
                    }));
                }
            }
        }
        Self {
            view,
            heap,
            around: Vec::new(),
        }
    }

    /// Takes the next entry of the topmost layer that has one, and moves on in that layer.
    fn pop(&mut self) -> Option<(usize, &'v LayerIndex, usize)> {
        let mut top = self.heap.peek_mut()?;
        let cursor = &mut top.0;
        let found = (cursor.layer, cursor.index, cursor.at);
        cursor.at += 1;
        if cursor.at == cursor.end {
            std::collections::binary_heap::PeekMut::pop(top);
        }
        Some(found)
    }
}

impl Iterator for Walk<'_> {
    /// The layer that an entry is in, and the entry.
    type Item = (usize, Entry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (layer, index, at) = self.pop()?;
            let path = index.path(at);
            while self
                .around
                .last()
                .is_some_and(|(dir, _)| !is_within(path, dir))
            {
                self.around.pop();
            }
            let mut floor = self.around.last().map_or(0, |(_, floor)| *floor);
            // of the layers below that have the same path, a directory's contents are seen down to
            // the first that ends it
            let mut ended = false;
            let mut see = |layer: usize, index: &LayerIndex, at: usize| {
                if ended || layer < floor {
                    return;
                }
                if index.tag(at) != tag::DIR {
                    floor = layer + 1;
                    ended = true;
                } else if index.is_opaque(at) {
                    floor = layer;
                    ended = true;
                }
            };
            let visible = layer >= self.around.last().map_or(0, |(_, floor)| *floor);
            see(layer, index, at);
            while self.heap.peek().is_some_and(|next| next.0.path() == path) {
                let Some((layer, index, at)) = self.pop() else {
                    break;
                };
                see(layer, index, at);
            }
            if !visible {
                continue;
            }
            self.around.push((path.to_vec(), floor));
            if index.tag(at) == tag::WHITEOUT {
                continue;
            }
            debug_assert!(self.view.layers().len() > layer);
            let mut entry = index.entry(at);
            if let Kind::Dir { opaque } = &mut entry.kind {
                *opaque = false;
            }
            return Some((layer, entry));
        }
    }
}
