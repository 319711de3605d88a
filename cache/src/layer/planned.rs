//! A layer whose entries are known before its files are written: what of them has to be written at
//! all, and how it is committed.
//!
//! What equals the tree below is left out from the start, and what an earlier layer of the same step
//! has is not written again if that is nearly everything (`delta`).

use std::sync::Arc;

use image::DiffId;

use super::against::{Raw, Times, add_parents, against};
use super::delta::{self, Delta, Limits};
use super::entry::path_cmp;
use super::{Entry, Kind, Layer, LayerIndex, NewLayer, index};
use crate::pins::Pin;
use crate::snapshot::View;
use crate::store::{Form, StoreError};

/// How many earlier layers of a step are looked at.
const EARLIER: usize = 3;

/// Names what writes a layer, whatever it writes this time: the step without its inputs' contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(pub [u8; 32]);

/// A layer's entries, and which of them have to be written.
#[derive(Debug)]
pub struct Planned {
    entries: Vec<Entry>,
    origin: Option<Origin>,
    amended: Option<Amended>,
}

#[derive(Debug)]
struct Amended {
    layer: Arc<Layer>,
    own: Vec<Entry>,
    /// Until the new layer is there.
    _pin: Pin,
}

impl Planned {
    /// What has to be written into the layer's empty directory, sorted as an index is: parents
    /// first. Whiteouts too. Who writes says of an entry whether the disk holds a placeholder, and
    /// changes nothing else.
    pub fn to_write(&mut self) -> &mut [Entry] {
        match &mut self.amended {
            Some(amended) => &mut amended.own,
            None => &mut self.entries,
        }
    }

    /// Whether only a difference is written.
    pub const fn is_delta(&self) -> bool {
        self.amended.is_some()
    }
}

impl NewLayer {
    /// Decides what is to be written for a layer of `entries` (in any order; of equal paths the
    /// last wins) on top of `below`: not what equals it, and if `origin` made a layer before that
    /// differs in little, only the difference. Parents that are not listed are added as they are
    /// below.
    pub fn plan(
        &self,
        below: &View,
        entries: Vec<Entry>,
        origin: Option<Origin>,
    ) -> Result<Planned, StoreError> {
        self.plan_within(Limits::USUAL, below, entries, origin)
    }

    /// As [`plan`](Self::plan), with other limits of what is worth a delta.
    pub(super) fn plan_within(
        &self,
        limits: Limits,
        below: &View,
        mut entries: Vec<Entry>,
        origin: Option<Origin>,
    ) -> Result<Planned, StoreError> {
        index::sort(&mut entries);
        index::regroup(&mut entries);
        add_parents(below, &mut entries);
        let raw = entries
            .into_iter()
            .map(|entry| Raw { entry, stub: false })
            .collect();
        let mut entries = against(below, raw, Times::Listed).entries;
        index::regroup(&mut entries);
        let origin = origin.filter(|_| limits.allow(&entries));
        let amended = match &origin {
            Some(origin) => self.amended(limits, below, &mut entries, origin)?,
            None => None,
        };
        Ok(Planned {
            entries,
            origin,
            amended,
        })
    }

    /// An earlier layer that the one of `entries` can amend.
    fn amended(
        &self,
        limits: Limits,
        below: &View,
        entries: &mut [Entry],
        origin: &Origin,
    ) -> Result<Option<Amended>, StoreError> {
        let store = self.store();
        for id in store.layers_of(origin, EARLIER)? {
            let Some(pin) = store.pin(std::slice::from_ref(&id))? else {
                continue;
            };
            let layer = store.layer(&id)?;
            if let Some(Delta { own }) = delta::delta(&layer.index, entries, below, limits) {
                return Ok(Some(Amended {
                    layer,
                    own,
                    _pin: pin,
                }));
            }
        }
        Ok(None)
    }

    /// Commits what was planned, and written as [`Planned::to_write`] says.
    pub fn commit_planned(self, planned: Planned) -> Result<Layer, StoreError> {
        let Planned {
            mut entries,
            origin,
            amended,
        } = planned;
        let diff_id = None::<DiffId>;
        let Some(amended) = amended else {
            let form = Form::Whole { origin };
            return self.finish_as(LayerIndex::new(entries)?, diff_id, form);
        };
        for written in &amended.own {
            if written.kind == Kind::Whiteout {
                continue;
            }
            if let Ok(at) = entries.binary_search_by(|e| path_cmp(&e.path, &written.path)) {
                entries[at].placeholder = written.placeholder;
            }
        }
        let form = Form::Delta {
            layer: amended.layer.id.clone(),
            own: LayerIndex::new(amended.own)?,
        };
        self.finish_as(LayerIndex::new(entries)?, diff_id, form)
    }
}
