//! How a vertex gets on, one level after the other, and what that means for its users.

use std::sync::Arc;
use std::time::Instant;

use super::decision::{Decision, Done, Failure};
use super::node::{Kind, Node, Phase, Want};
use super::work::{Keyed, Step};
use crate::{HitOrigin, Output, ResultCache, Selection, StateDigest, TreeDigest, Worker, identity};

impl<'scope, 'env, W, C> Decision<'scope, 'env, W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
    'env: 'scope,
{
    pub(super) fn want(&mut self, index: usize, level: Want) {
        if self.nodes[index].want < level {
            self.nodes[index].want = level;
            self.open(index);
        }
    }

    pub(super) fn open(&mut self, index: usize) {
        if !std::mem::replace(&mut self.nodes[index].open, true) {
            self.open.push(index);
        }
    }

    /// A vertex has more, less, or something else than before.
    pub(super) fn changed(&mut self, index: usize) {
        for position in 0..self.nodes[index].users.len() {
            let user = self.nodes[index].users[position];
            if self.is_outdated(user) {
                self.ask_again(user);
            }
            // A concatenation is looked at even if nobody needs it: others may stand on it.
            if self.nodes[user].want > Want::Nothing || self.nodes[user].kind == Kind::Merge {
                self.open(user);
            }
        }
    }

    /// Whether what is known of a vertex stands on a state that an input no longer has.
    pub(super) fn is_outdated(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let used: &[Option<StateDigest>] = match &node.hit {
            Some(hit) => &hit.inputs,
            None => &node.used,
        };
        !matches!(node.phase, Phase::Running | Phase::Produced | Phase::Failed)
            && node.inputs.iter().zip(used).any(|(&input, used)| {
                match (used, self.nodes[input].state) {
                    (Some(used), Some(state)) => *used != state,
                    _ => false,
                }
            })
    }

    /// Forgets what is known of a vertex, and of those above that were taken on trust in it.
    pub(super) fn ask_again(&mut self, index: usize) {
        let mut again = vec![index];
        while let Some(index) = again.pop() {
            let node = &mut self.nodes[index];
            node.epoch += 1;
            node.hit = None;
            node.origin = None;
            node.used = vec![None; node.inputs.len()].into();
            if node.kind != Kind::Source {
                node.state = None;
            }
            node.output = None;
            node.pinned = false;
            if node.phase != Phase::Unknown {
                node.phase = Phase::Keying;
            }
            if node.want > Want::Nothing {
                self.open(index);
            }
            for &user in &self.nodes[index].users {
                let user_node = &self.nodes[user];
                let trusting = user_node.kind == Kind::Merge
                    || user_node.hit.is_some()
                    || (matches!(
                        user_node.phase,
                        Phase::Known | Phase::Pinning | Phase::Pinned
                    ) && user_node.origin == Some(HitOrigin::Definition));
                if trusting {
                    again.push(user);
                }
            }
        }
    }

    pub(super) fn advance_open(&mut self) {
        while let Some(index) = self.open.pop() {
            self.nodes[index].open = false;
            match self.nodes[index].kind {
                Kind::Scratch | Kind::Context => {}
                Kind::Merge => self.advance_merge(index),
                Kind::Source | Kind::Step => self.advance(index),
            }
        }
    }

    fn advance_merge(&mut self, index: usize) {
        let want = self.nodes[index].want;
        let inputs = self.nodes[index].inputs.clone();
        if want > Want::Nothing {
            for (position, &input) in inputs.iter().enumerate() {
                // The lowest part's state is enough to go on from; of the others, layers are needed.
                let lowest = position == 0;
                self.want(input, if lowest { want } else { want.max(Want::Output) });
            }
        }
        let (state, output) = self.concatenation(&inputs);
        let mut parts = inputs.iter().map(|&input| &self.nodes[input]);
        let pinned = output.is_some() && parts.all(|part| part.has() == Want::Tree);
        let node = &mut self.nodes[index];
        let before = (node.state, node.has());
        (node.state, node.output, node.pinned) = (state, output, pinned);
        if before != (state, node.has()) {
            self.changed(index);
        }
    }

    /// What is known of `inputs` one on the other: their state, and their result.
    pub(super) fn concatenation(
        &self,
        inputs: &[usize],
    ) -> (Option<StateDigest>, Option<W::Output>) {
        let parts = || inputs.iter().map(|&input| &self.nodes[input]);
        let outputs = || parts().map(Node::known_output);
        let output = outputs().collect::<Option<Vec<_>>>().map(|parts| {
            let empty = W::Output::empty();
            parts.iter().fold(empty, |below, part| part.on(&below))
        });
        let state = match (&output, parts().next()) {
            (Some(output), _) => Some(Some(output.state())),
            (None, None) => None,
            (None, Some(lowest)) => outputs().skip(1).try_fold(lowest.state, |below, part| {
                Some(below.zip(part).map(|(below, part)| part.state_on(below)))
            }),
        };
        (state.flatten(), output)
    }

    fn advance(&mut self, index: usize) {
        loop {
            let node = &mut self.nodes[index];
            match node.phase {
                Phase::Unknown => {
                    if let Some(hit) = node.hit.take() {
                        let origin = node.origin.unwrap_or(HitOrigin::Definition);
                        let used = hit.inputs.clone().into();
                        self.settle(index, hit, used, origin);
                        return;
                    }
                    if node.has() >= node.want {
                        return;
                    }
                    node.phase = Phase::Keying;
                }
                Phase::Keying => {
                    if !self.make_key(index) {
                        return;
                    }
                }
                Phase::Missed => {
                    if !self.gather(index) {
                        return;
                    }
                }
                Phase::Known => {
                    if node.want == Want::Tree
                        && let (Some(key), Some(output)) = (node.key, node.output.clone())
                    {
                        node.phase = Phase::Pinning;
                        let place = self.place;
                        self.ask(index, move || place.pin(&key, &output));
                    }
                    return;
                }
                _ => return,
            }
        }
    }

    /// Makes a vertex's key once all it is made of is known, and asks for it. Whether to go on.
    fn make_key(&mut self, index: usize) -> bool {
        let mut complete = true;
        if let Some(root) = self.nodes[index].root() {
            self.want(root, Want::State);
            complete = self.nodes[root].has() >= Want::State;
        }
        for position in 0..self.nodes[index].selections.len() {
            complete &= self.select(index, position);
        }
        if !complete {
            return false;
        }
        let node = &self.nodes[index];
        let used: Arc<[Option<StateDigest>]> = node
            .inputs
            .iter()
            .map(|&input| self.nodes[input].state)
            .collect();
        let preimage = identity::preimage(
            &node.vertex.op,
            &used,
            &self.selected(index),
            node.source.as_ref(),
            self.place.sandbox,
        );
        let node = &mut self.nodes[index];
        node.key = Some(preimage.key());
        node.preimage = Some(Arc::new(preimage));
        node.used = used;
        if node.hard || node.vanished > 0 {
            node.phase = Phase::Missed;
            return true;
        }
        node.phase = Phase::Asking;
        if let Some(keyed) = self.keyed(index) {
            let place = self.place;
            self.ask(index, move || place.ask(&keyed));
        }
        false
    }

    /// Sees to it that a selection is made from what its source is now; whether it is.
    fn select(&mut self, index: usize, position: usize) -> bool {
        let source = self.nodes[index].selections[position].source;
        let context = self.nodes[source].kind == Kind::Context;
        if !context {
            self.want(source, Want::Tree);
            if self.nodes[source].has() < Want::Tree {
                return false;
            }
        }
        let state = self.nodes[source].state;
        let output = self.nodes[source].output.clone();
        let source = self.nodes[source].vertex;
        let vertex = self.nodes[index].vertex;
        let selecting = &mut self.nodes[index].selections[position];
        if selecting.under_way || (selecting.digest.is_some() && selecting.of == state) {
            return !selecting.under_way;
        }
        selecting.under_way = true;
        selecting.digest = None;
        selecting.of = state;
        let (place, selector) = (self.place, selecting.selector.clone());
        self.ask(index, move || {
            place.select(
                position,
                &Selection {
                    vertex,
                    source,
                    output: output.as_ref(),
                    selector: &selector,
                },
            )
        });
        false
    }

    pub(super) fn selected(&self, index: usize) -> Vec<TreeDigest> {
        let selections = self.nodes[index].selections.iter();
        selections
            .filter_map(|selecting| selecting.digest)
            .collect()
    }

    pub(super) fn keyed(&self, index: usize) -> Option<Keyed<'env>> {
        let node = &self.nodes[index];
        Some(Keyed {
            id: node.id,
            vertex: node.vertex,
            key: node.key?,
            preimage: node.preimage.clone()?,
            definition: node.definition?,
            used: node.used.clone(),
        })
    }

    /// Gets the trees of all inputs of a vertex that has to run. Whether to go on.
    fn gather(&mut self, index: usize) -> bool {
        let mut complete = true;
        for position in 0..self.nodes[index].inputs.len() {
            let input = self.nodes[index].inputs[position];
            if self.nodes[input].kind != Kind::Context {
                self.want(input, Want::Tree);
                complete &= self.nodes[input].has() == Want::Tree;
            }
        }
        if complete {
            self.nodes[index].phase = Phase::Ready;
            self.ready.push_back(index);
        }
        false
    }

    pub(super) fn start_ready(&mut self) {
        while self.running < self.jobs
            && let Some(index) = self.ready.pop_front()
        {
            if self.nodes[index].phase != Phase::Ready {
                continue;
            }
            let trees = self.nodes[index].inputs.iter().all(|&input| {
                self.nodes[input].kind == Kind::Context || self.nodes[input].has() == Want::Tree
            });
            match self.keyed(index) {
                Some(keyed) if trees => self.start(index, keyed),
                _ => {
                    self.nodes[index].phase = Phase::Missed;
                    self.open(index);
                    self.advance_open();
                }
            }
        }
    }

    fn start(&mut self, index: usize, keyed: Keyed<'env>) {
        let node = &self.nodes[index];
        let inputs = || node.inputs.iter().map(|&input| &self.nodes[input]);
        let step = Step {
            keyed,
            inputs: inputs().map(|input| input.output.clone()).collect(),
            input_vertices: inputs().map(|input| input.vertex).collect(),
            selections: self.selected(index),
            forced: node.forced,
            unasked: node.unasked(),
        };
        let (epoch, place) = (node.epoch, self.place);
        let task = move || Done {
            node: index,
            epoch,
            step: true,
            report: place.step(&step),
        };
        match self.steppers.submit(self.running, task) {
            Ok(()) => {
                self.running += 1;
                self.nodes[index].phase = Phase::Running;
            }
            Err(error) => self.give_up(Failure::Threads(error)),
        }
    }

    pub(super) fn fire_timers(&mut self) {
        let now = Instant::now();
        while !self.stopped()
            && let Some(&(at, index)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            let node = &mut self.nodes[index];
            if node.phase != Phase::Waiting(at) {
                continue;
            }
            // The winner's result is taken without a job slot.
            if node.hard || node.vanished > 1 {
                node.phase = Phase::Missed;
                self.open(index);
            } else if let Some(keyed) = self.keyed(index) {
                self.nodes[index].phase = Phase::Asking;
                let place = self.place;
                self.ask(index, move || place.ask(&keyed));
            }
        }
    }
}
