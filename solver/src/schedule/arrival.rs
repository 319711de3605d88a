//! What is made of the messages that come back.

use std::sync::Arc;
use std::time::Instant;

use super::decision::{Decision, Done, Failure};
use super::node::{Kind, Phase};
use super::work::{Report, Stepped};
use crate::{Event, Found, HitOrigin, Output, ResultCache, StateDigest, Verdict, Worker};

impl<'scope, 'env, W, C> Decision<'scope, 'env, W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
    'env: 'scope,
{
    pub(super) fn take(&mut self, done: Done<W, C>) {
        let index = done.node;
        let current = self.nodes[index].epoch == done.epoch;
        match done.report {
            Report::Selected(position, selected) => {
                self.nodes[index].selections[position].under_way = false;
                match selected {
                    Ok(digest) => {
                        let selecting = &mut self.nodes[index].selections[position];
                        selecting.digest = Some(digest);
                        let source = selecting.source;
                        if self.nodes[source].kind == Kind::Context {
                            self.redefine(index);
                        }
                        self.open(index);
                    }
                    Err(error) if current => self.failed(index, error),
                    Err(_) => self.open(index),
                }
            }
            Report::Asked(Ok(found)) if current => match found {
                Some(found) => {
                    let used = self.nodes[index].used.clone();
                    let origin = self.nodes[index]
                        .pause
                        .map_or(HitOrigin::Content, |_| HitOrigin::Shared);
                    self.settle(index, found, used, origin);
                }
                None => {
                    self.nodes[index].phase = Phase::Missed;
                    self.open(index);
                }
            },
            Report::Pinned(Ok(Some(pin))) => {
                // Kept even if it no longer counts: a step may be reading it.
                self.pins.push(pin);
                if current {
                    self.nodes[index].phase = Phase::Pinned;
                    self.nodes[index].pinned = true;
                    self.changed(index);
                }
            }
            Report::Pinned(Ok(None)) if current => {
                let vanished = self.nodes[index].vanished + 1;
                self.ask_again_here(index);
                self.nodes[index].vanished = vanished;
                self.changed(index);
            }
            Report::Asked(Err(error)) | Report::Pinned(Err(error)) => {
                self.give_up(Failure::Cache(Some(index), error));
            }
            Report::Stepped(stepped) => self.stepped(index, stepped),
            _ => {}
        }
    }

    /// Forgets a result that is gone. Those that stand on its state may still be right.
    fn ask_again_here(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.epoch += 1;
        node.origin = None;
        node.output = None;
        node.pinned = false;
        if node.kind == Kind::Step {
            node.state = None;
        }
        node.phase = Phase::Keying;
        self.open(index);
    }

    fn stepped(&mut self, index: usize, stepped: Stepped<W, C>) {
        match stepped {
            Stepped::Busy(owner) => {
                let (first, longest) = self.lease_poll;
                let node = &mut self.nodes[index];
                // Said again when there is something new to say: that it was stopped, or another one.
                if node.owner.as_ref() != Some(&owner) {
                    let vertex = node.id;
                    node.owner = Some(owner.clone());
                    self.place.events.event(Event::Waiting { vertex, owner });
                }
                let pause = node.pause.map_or(first, |pause| (pause * 2).min(longest));
                let at = Instant::now() + pause;
                node.pause = Some(pause);
                node.phase = Phase::Waiting(at);
                self.timers.insert((at, index));
                if self.is_outdated(index) {
                    self.ask_again(index);
                }
            }
            Stepped::Hit(found) => {
                let used = self.nodes[index].used.clone();
                self.settle(index, found, used, HitOrigin::Shared);
            }
            Stepped::Ran {
                output,
                pin,
                elapsed,
            } => {
                self.pins.push(pin);
                let node = &mut self.nodes[index];
                let vertex = node.id;
                self.place.events.event(Event::Done { vertex, elapsed });
                if node.kind == Kind::Step {
                    node.state = Some(output.state());
                }
                node.output = Some(output);
                node.pinned = true;
                node.ran = true;
                node.elapsed = elapsed;
                node.phase = Phase::Produced;
                self.changed(index);
            }
            Stepped::Failed(error) => self.failed(index, error),
            Stepped::Broken(error) => {
                self.nodes[index].phase = Phase::Failed;
                self.give_up(Failure::Cache(Some(index), error));
            }
        }
    }

    /// A record answers a vertex.
    pub(super) fn settle(
        &mut self,
        index: usize,
        found: Found<W::Output>,
        used: Arc<[Option<StateDigest>]>,
        origin: HitOrigin,
    ) {
        let origin = if found.remote {
            HitOrigin::Remote
        } else {
            origin
        };
        let node = &mut self.nodes[index];
        if !matches!(node.phase, Phase::Unknown) {
            let vertex = node.id;
            self.place.events.event(Event::CacheHit { vertex, origin });
        }
        if node.kind == Kind::Step {
            node.state = Some(found.output.state());
        }
        node.key = Some(found.key);
        node.preimage = Some(Arc::new(found.preimage));
        node.output = Some(found.output);
        node.origin = Some(origin);
        node.used = used;
        node.phase = Phase::Known;
        if self.is_outdated(index) {
            self.ask_again(index);
            return;
        }
        self.open(index);
        self.changed(index);
    }

    /// A step, or a selection for it, ended in an error.
    fn failed(&mut self, index: usize, error: W::Error) {
        let verdict = self.place.worker.verdict(&error);
        let again = verdict == Verdict::Changed && !self.stopped();
        let node = &mut self.nodes[index];
        if again && !node.changed {
            node.changed = true;
            node.epoch += 1;
            node.phase = Phase::Keying;
            for selecting in &mut node.selections {
                selecting.digest = None;
            }
            self.open(index);
            return;
        }
        node.phase = Phase::Failed;
        self.give_up_on(index, error);
    }
}
