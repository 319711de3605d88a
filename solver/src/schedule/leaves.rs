//! Before anything runs: the leaves, all definition keys, one look-up, and which answers count.

use std::collections::HashMap;
use std::time::Instant;

use super::decision::{Decision, Failure};
use super::node::{Doubt, Kind};
use super::work::Report;
use crate::identity::{self, Leaf};
use crate::{
    DefinitionKey, Event, Found, FoundAll, HitOrigin, Op, Output, ResultCache, Selection, Selector,
    StateDigest, StateFold, Worker,
};

/// Selections of contexts that are the same: made once.
struct Group {
    context: usize,
    selector: Selector,
    /// Nodes and positions among their selections.
    members: Vec<(usize, usize)>,
}

/// How far the selections of one context are.
struct Scan {
    started: Instant,
    open: usize,
}

/// What is known of a vertex's state from the look-up alone.
enum Trust<O> {
    /// Nothing: there is no record.
    Unknown,
    /// It has this state; a result too, if there is a record.
    State(StateDigest, Option<O>),
    /// Its record was made on something that its input is no longer.
    Broken,
}

impl<'scope, 'env, W, C> Decision<'scope, 'env, W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
    'env: 'scope,
{
    /// Finds out what the leaves are, and what the cache has for the graph as it is defined.
    pub(super) fn look_up(&mut self, targets: &[usize]) {
        self.know_leaves();
        self.read_leaves();
        if self.stopped() {
            return;
        }
        for index in 0..self.nodes.len() {
            self.define(index);
        }
        self.find_all();
        if self.forecasting {
            return;
        }
        self.shake(targets, &[]);
        for node in self.nodes.iter().filter(|node| node.hit.is_some()) {
            self.place.events.event(Event::CacheHit {
                vertex: node.id,
                origin: node.origin.unwrap_or(HitOrigin::Definition),
            });
        }
    }

    /// What is known of a leaf without looking.
    fn know_leaves(&mut self) {
        for node in &mut self.nodes {
            match &node.vertex.op {
                Op::Scratch => {
                    node.state = Some(StateFold::new().state());
                    node.output = Some(W::Output::empty());
                    node.pinned = true;
                }
                Op::Image(image) => {
                    let fold = image
                        .diff_ids
                        .iter()
                        .fold(StateFold::new(), StateFold::base);
                    node.state = Some(fold.state());
                }
                _ => {}
            }
        }
    }

    /// Makes all selections of contexts, and asks sources for their states.
    fn read_leaves(&mut self) {
        let groups = self.groups();
        let mut scans: HashMap<usize, Scan> = HashMap::new();
        for (number, group) in groups.iter().enumerate() {
            let context = group.context;
            scans
                .entry(context)
                .or_insert_with(|| Scan {
                    started: Instant::now(),
                    open: 0,
                })
                .open += 1;
            if scans[&context].open == 1 {
                let vertex = self.nodes[context].id;
                self.place.events.event(Event::Started { vertex });
            }
            let (selecting, source) = (
                self.nodes[group.members[0].0].vertex,
                self.nodes[context].vertex,
            );
            let (place, selector) = (self.place, group.selector.clone());
            self.ask(group.members[0].0, move || {
                place.select(
                    number,
                    &Selection {
                        vertex: selecting,
                        source,
                        output: None,
                        selector: &selector,
                    },
                )
            });
        }
        for index in 0..self.nodes.len() {
            let (place, vertex) = (self.place, self.nodes[index].vertex);
            if matches!(vertex.op, Op::Http(_) | Op::Git(_)) {
                if self.forecasting {
                    self.nodes[index].doubt = Some(Doubt::Unasked);
                } else {
                    self.ask(index, move || place.source(vertex));
                }
            }
        }
        while let Some(done) = self.receive(None) {
            match done.report {
                Report::Selected(number, Ok(digest)) => {
                    let group = &groups[number];
                    for &(node, position) in &group.members {
                        self.nodes[node].selections[position].digest = Some(digest);
                    }
                    if let Some(scan) = scans.get_mut(&group.context) {
                        scan.open -= 1;
                        if scan.open == 0 {
                            self.place.events.event(Event::Done {
                                vertex: self.nodes[group.context].id,
                                elapsed: scan.started.elapsed(),
                            });
                        }
                    }
                }
                Report::Sourced(Ok(state)) => {
                    self.nodes[done.node].source = Some(state);
                    self.nodes[done.node].state = Some(state);
                }
                Report::Selected(number, Err(error)) if self.forecasting => {
                    for &(node, _) in &groups[number].members {
                        self.nodes[node].doubt = Some(Doubt::Unreadable(error.to_string()));
                    }
                }
                Report::Selected(_, Err(error)) | Report::Sourced(Err(error)) => {
                    self.give_up_on(done.node, error);
                }
                _ => {}
            }
        }
    }

    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut by_selector: HashMap<(usize, &Selector), usize> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for (position, selecting) in node.selections.iter().enumerate() {
                if self.nodes[selecting.source].kind != Kind::Context {
                    continue;
                }
                let group = *by_selector
                    .entry((selecting.source, &selecting.selector))
                    .or_insert_with(|| {
                        groups.push(Group {
                            context: selecting.source,
                            selector: selecting.selector.clone(),
                            members: Vec::new(),
                        });
                        groups.len() - 1
                    });
                groups[group].members.push((index, position));
            }
        }
        groups
    }

    /// Makes a vertex's definition key from its inputs' and its leaves, unless one of them is in doubt.
    fn define(&mut self, index: usize) {
        let node = &self.nodes[index];
        let is_undefined = |&input: &usize| {
            let input = &self.nodes[input];
            input.kind != Kind::Context && input.definition.is_none()
        };
        if node.kind == Kind::Context
            || node.doubt.is_some()
            || node.inputs.iter().any(is_undefined)
        {
            return;
        }
        let inputs: Vec<Leaf<'_>> = node
            .inputs
            .iter()
            .map(|&input| match &self.nodes[input].definition {
                Some(definition) => Leaf::Definition(definition),
                None => Leaf::Selected,
            })
            .collect();
        let selected: Vec<_> = node
            .selections
            .iter()
            .map(|selecting| match self.nodes[selecting.source].kind {
                Kind::Context => selecting.digest,
                _ => None,
            })
            .collect();
        let definition = identity::definition(
            &node.vertex.op,
            &inputs,
            &selected,
            node.source.as_ref(),
            self.place.sandbox,
        );
        self.nodes[index].definition = Some(definition);
    }

    /// Makes the definition keys anew of `changed` and all that stands on it.
    pub(super) fn redefine(&mut self, changed: usize) {
        let mut anew = vec![false; self.nodes.len()];
        anew[changed] = true;
        for index in changed..self.nodes.len() {
            if anew[index] || self.nodes[index].inputs.iter().any(|&input| anew[input]) {
                anew[index] = true;
                self.define(index);
            }
        }
    }

    fn find_all(&mut self) {
        let looked_up: Vec<(usize, DefinitionKey)> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| matches!(node.kind, Kind::Source | Kind::Step) && !node.soft)
            .filter_map(|(index, node)| Some((index, node.definition?)))
            .collect();
        if looked_up.is_empty() {
            return;
        }
        let place = self.place;
        let definitions: Vec<DefinitionKey> = looked_up.iter().map(|(_, key)| *key).collect();
        self.ask(looked_up[0].0, move || place.find_all(&definitions));
        while let Some(done) = self.receive(None) {
            match done.report {
                Report::FoundAll(Ok(found)) => {
                    let mut by_node: FoundAll<W::Output> = Vec::new();
                    by_node.resize_with(self.nodes.len(), || None);
                    for ((index, _), found) in looked_up.iter().zip(found) {
                        by_node[*index] = found;
                    }
                    self.judge(by_node);
                }
                Report::FoundAll(Err(error)) => self.give_up(Failure::Cache(None, error)),
                _ => {}
            }
        }
    }

    /// Keeps what was found where it was made on what is found for its inputs.
    fn judge(&mut self, mut found: FoundAll<W::Output>) {
        let mut trust: Vec<Trust<W::Output>> = Vec::with_capacity(self.nodes.len());
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let judged = match (node.kind, found[index].take()) {
                (Kind::Context, _) => Trust::Unknown,
                (Kind::Merge, _) => merged(&node.inputs, &trust),
                (_, Some(found)) if counts(&found, &node.inputs, &trust) => {
                    let state = node.state.unwrap_or_else(|| found.output.state());
                    let judged = Trust::State(state, Some(found.output.clone()));
                    self.hit(index, found);
                    judged
                }
                (Kind::Step, Some(_)) => Trust::Broken,
                _ => match node.state {
                    Some(state) => Trust::State(state, node.output.clone()),
                    None => Trust::Unknown,
                },
            };
            trust.push(judged);
        }
    }

    fn hit(&mut self, index: usize, found: Found<W::Output>) {
        let origin = if found.remote {
            HitOrigin::Remote
        } else {
            HitOrigin::Definition
        };
        let node = &mut self.nodes[index];
        node.origin = Some(origin);
        node.hit = Some(found);
    }

    /// Drops what was found for vertices above one that has to be made anew: its record is gone,
    /// so that nobody knows what it left when they were made. Their keys will tell. Below a vertex
    /// that is `spared` nothing is taken to be needed.
    pub(super) fn shake(&mut self, targets: &[usize], spared: &[Option<usize>]) {
        let mut needed = vec![false; self.nodes.len()];
        let mut shaken = vec![false; self.nodes.len()];
        let mut open = targets.to_vec();
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut needed[index], true) {
                continue;
            }
            match self.nodes[index].kind {
                _ if matches!(spared.get(index), Some(Some(_))) => {}
                Kind::Merge => open.extend(&self.nodes[index].inputs),
                Kind::Step if self.nodes[index].hit.is_none() => {
                    open.extend(&self.nodes[index].inputs);
                    let mut above = self.nodes[index].users.clone();
                    while let Some(user) = above.pop() {
                        if std::mem::replace(&mut shaken[user], true) {
                            continue;
                        }
                        self.nodes[user].hit = None;
                        self.nodes[user].origin = None;
                        above.extend(&self.nodes[user].users);
                        if needed[user] {
                            open.extend(&self.nodes[user].inputs);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn counts<O>(found: &Found<O>, inputs: &[usize], trust: &[Trust<O>]) -> bool {
    found.inputs.len() == inputs.len()
        && inputs
            .iter()
            .zip(&found.inputs)
            .all(|(&input, noted)| match &trust[input] {
                Trust::Unknown => true,
                Trust::State(state, _) => *noted == Some(*state),
                Trust::Broken => false,
            })
}

/// A concatenation's state is its lowest part's with the others' layers on it.
fn merged<O: Output>(inputs: &[usize], trust: &[Trust<O>]) -> Trust<O> {
    let mut below = Trust::State(StateFold::new().state(), Some(O::empty()));
    for (position, &input) in inputs.iter().enumerate() {
        below = match (&trust[input], below) {
            (Trust::Broken, _) | (_, Trust::Broken) => return Trust::Broken,
            (Trust::State(state, output), _) if position == 0 => {
                Trust::State(*state, output.clone())
            }
            (Trust::State(_, Some(part)), Trust::State(state, output)) => {
                Trust::State(part.state_on(state), output.map(|output| part.on(&output)))
            }
            _ => Trust::Unknown,
        };
    }
    below
}
