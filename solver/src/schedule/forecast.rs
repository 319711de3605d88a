//! What a solve would do, as far as that can be told without running anything, asking the other side
//! of a source, or writing to the cache.
//!
//! The leaves and the look-up by definition are the solve's own ([`leaves`](super::leaves)). What that
//! leaves open goes by content, inputs before users: a key is made where all that it stands on is
//! known. Above a step that would run nothing is certain, as it may leave what it left before.

use std::thread;

use super::decision::{Decision, Failure};
use super::node::{Doubt, Kind};
use super::{Options, SolveError, node, work};
use crate::{
    CacheKey, Cancel, Event, EventSink, Graph, HitOrigin, KeyPreimage, Output, ResultCache,
    Selection, StateDigest, TreeDigest, VertexId, Worker, identity,
};

/// What would become of one vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Which.
    pub vertex: VertexId,
    /// What.
    pub prospect: Prospect,
}

/// What would become of a vertex in a solve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// The cache has it.
    Cached(HitOrigin),
    /// It would run, for this reason; an image would be fetched.
    Runs(String),
    /// That is seen when it is known what this vertex leaves; of a download or a repository, what
    /// itself is.
    Depends(VertexId),
    /// Files that it needs cannot be read: it would fail.
    Fails(String),
    /// It needs no work: `Scratch`, `Merge`, a context.
    Free,
    /// Nobody would need it.
    Skipped,
}

/// Foretells what [`solve`](super::solve) would do with `targets` and whatever they need: an entry
/// for each vertex, inputs before users.
///
/// # Errors
/// As a solve's, of the cache and of what is asked for; a step never fails.
///
/// # Panics
/// Goes on with the panic of a worker or cache.
pub fn forecast<W, C>(
    graph: &Graph,
    targets: &[VertexId],
    worker: &W,
    cache: &C,
    options: &Options,
    cancel: &Cancel,
) -> Result<Vec<Forecast>, SolveError<W::Error, C::Error>>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
{
    let (nodes, by_id) = node::nodes(graph, targets);
    let targets = node::positions(&nodes, &by_id, targets)?;
    let stop = Cancel::new();
    let place = work::Place {
        worker,
        cache,
        events: &Unheard,
        cancel: &stop,
        sandbox: &options.sandbox,
    };
    thread::scope(|scope| {
        let mut decision = Decision::new(scope, place, nodes, options, cancel);
        decision.forecasting = true;
        decision.look_up(&targets);
        let forecasts = decision.foretell(&targets);
        match decision.why_stopped() {
            Some(error) => Err(error),
            None => Ok(forecasts),
        }
    })
}

/// Nobody is shown what does not happen.
struct Unheard;

impl EventSink for Unheard {
    fn event(&self, _: Event) {}
}

/// What keeps a vertex's key from being made.
enum Open {
    /// It depends on what this node leaves.
    On(usize),
    /// Files that it selects cannot be read.
    Unreadable(String),
}

impl<'scope, 'env, W, C> Decision<'scope, 'env, W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
    'env: 'scope,
{
    fn foretell(&mut self, targets: &[usize]) -> Vec<Forecast> {
        let unasked = self.on_unasked();
        self.shake(targets, &unasked);
        let certain = self.needed(targets, &unasked);
        // A record may be found after all once the sources are known: then nothing below it runs.
        self.shake(targets, &[]);
        let needed = self.needed(targets, &[]);
        let mut prospects: Vec<Option<Prospect>> = vec![None; self.nodes.len()];
        // Of what an open vertex is open: the lowest that it depends on.
        let mut roots: Vec<usize> = (0..self.nodes.len()).collect();
        for index in (0..self.nodes.len()).filter(|&index| needed[index]) {
            if self.stopped() {
                return Vec::new();
            }
            if self.nodes[index].hit.is_some() {
                continue;
            }
            prospects[index] = match self.nodes[index].kind {
                Kind::Scratch | Kind::Context => Some(Prospect::Free),
                Kind::Merge => {
                    roots[index] = self.foretell_merge(index, &roots);
                    Some(Prospect::Free)
                }
                Kind::Source if self.nodes[index].doubt.is_some() => {
                    Some(Prospect::Depends(self.nodes[index].id))
                }
                // Whether an image that is not here is fetched is seen from its users.
                Kind::Source => self.or_give_up(index, |all| {
                    let key = all.preimage(index, &[], &[]).key();
                    all.find(index, key)
                }),
                Kind::Step => {
                    self.or_give_up(index, |all| all.foretell_step(index, &mut roots).map(Some))
                }
            };
        }
        for index in (0..self.nodes.len()).rev() {
            if prospects[index].is_none() {
                prospects[index] = Some(self.foretell_idle(index, &needed, targets, &prospects));
            }
            if let (Some(Prospect::Runs(_)), false) = (&prospects[index], certain[index])
                && let Some(source) = self.source_above(index, &unasked)
            {
                prospects[index] = Some(Prospect::Depends(self.nodes[source].id));
            }
        }
        let prospects = prospects.into_iter().flatten();
        let named = self.nodes.iter().zip(prospects);
        named
            .map(|(node, prospect)| Forecast {
                vertex: node.id,
                prospect,
            })
            .collect()
    }

    fn or_give_up(
        &mut self,
        index: usize,
        look: impl FnOnce(&mut Self) -> Result<Option<Prospect>, C::Error>,
    ) -> Option<Prospect> {
        look(self).unwrap_or_else(|error| {
            self.give_up(Failure::Cache(Some(index), error));
            None
        })
    }

    /// For each vertex a source below it, or itself, that was not asked and keeps it from being defined.
    fn on_unasked(&self) -> Vec<Option<usize>> {
        let mut unasked = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            unasked.push(match node.doubt {
                Some(Doubt::Unasked) => Some(index),
                _ => node.inputs.iter().find_map(|&input| unasked[input]),
            });
        }
        unasked
    }

    /// What has to be looked at: the targets, and what stands below what has no record by definition,
    /// but for what is `spared`.
    fn needed(&self, targets: &[usize], spared: &[Option<usize>]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open = targets.to_vec();
        while let Some(index) = open.pop() {
            let is_spared = matches!(spared.get(index), Some(Some(_)));
            if !std::mem::replace(&mut needed[index], true)
                && self.nodes[index].hit.is_none()
                && !is_spared
            {
                open.extend(&self.nodes[index].inputs);
            }
        }
        needed
    }

    /// The source on which it depends whether anybody needs a vertex.
    fn source_above(&self, index: usize, unasked: &[Option<usize>]) -> Option<usize> {
        let mut above = vec![index];
        let mut seen = vec![false; self.nodes.len()];
        while let Some(below) = above.pop() {
            if std::mem::replace(&mut seen[below], true) {
                continue;
            }
            if let Some(source) = unasked[below] {
                return Some(source);
            }
            above.extend(&self.nodes[below].users);
        }
        None
    }

    /// Puts the parts together, as far as they are known; of which node it is open.
    fn foretell_merge(&mut self, index: usize, roots: &[usize]) -> usize {
        let inputs = self.nodes[index].inputs.clone();
        let (state, output) = self.concatenation(&inputs);
        self.nodes[index].state = state;
        self.nodes[index].output = output;
        let unknown = inputs.into_iter().find(|&input| {
            let part = &self.nodes[input];
            part.known_state().is_none() || part.known_output().is_none()
        });
        unknown.map_or(index, |input| roots[input])
    }

    /// Asks for a step by what its inputs are, if that is known.
    fn foretell_step(&mut self, index: usize, roots: &mut [usize]) -> Result<Prospect, C::Error> {
        if let Some(Doubt::Unreadable(why)) = &self.nodes[index].doubt {
            return Ok(Prospect::Fails(why.clone()));
        }
        if let Some(reason) = self.nodes[index].unasked() {
            return Ok(Prospect::Runs(reason.to_owned()));
        }
        match self.is_open(index)? {
            Some(Open::On(input)) => {
                roots[index] = roots[input];
                return Ok(Prospect::Depends(self.nodes[roots[index]].id));
            }
            Some(Open::Unreadable(why)) => return Ok(Prospect::Fails(why)),
            None => {}
        }
        let inputs = self.nodes[index].inputs.iter();
        let used: Vec<_> = inputs
            .map(|&input| self.nodes[input].known_state())
            .collect();
        let selected = self.selected(index);
        let preimage = self.preimage(index, &used, &selected);
        let key = preimage.key();
        if let Some(found) = self.find(index, key)? {
            return Ok(found);
        }
        // An equal step of this build makes it, and this one takes it from there.
        let twin = self.nodes[..index]
            .iter()
            .position(|node| node.key == Some(key));
        if let Some(twin) = twin {
            roots[index] = roots[twin];
            return Ok(Prospect::Depends(self.nodes[twin].id));
        }
        self.nodes[index].key = Some(key);
        Ok(self.missing(index, &preimage))
    }

    fn preimage(
        &self,
        index: usize,
        used: &[Option<StateDigest>],
        selected: &[TreeDigest],
    ) -> KeyPreimage {
        let op = &self.nodes[index].vertex.op;
        identity::preimage(op, used, selected, None, self.place.sandbox)
    }

    /// Asks for a vertex by content.
    fn find(&mut self, index: usize, key: CacheKey) -> Result<Option<Prospect>, C::Error> {
        Ok(self.place.cache.find(&key)?.map(|found| {
            let node = &mut self.nodes[index];
            node.key = Some(key);
            node.state = Some(found.output.state());
            node.output = Some(found.output);
            Prospect::Cached(if found.remote {
                HitOrigin::Remote
            } else {
                HitOrigin::Content
            })
        }))
    }

    fn missing(&self, index: usize, preimage: &KeyPreimage) -> Prospect {
        Prospect::Runs(self.place.explain(self.nodes[index].vertex, preimage))
    }

    /// What keeps a step's key from being made, after all selections that could be made were.
    fn is_open(&mut self, index: usize) -> Result<Option<Open>, C::Error> {
        if let Some(root) = self.nodes[index].root()
            && self.nodes[root].known_state().is_none()
        {
            return Ok(Some(Open::On(root)));
        }
        for position in 0..self.nodes[index].selections.len() {
            let selecting = &self.nodes[index].selections[position];
            let source = selecting.source;
            if selecting.digest.is_some() {
                continue;
            }
            let Some(output) = self.nodes[source].known_output() else {
                return Ok(Some(Open::On(source)));
            };
            let key = self.nodes[source].hit.as_ref().map(|hit| hit.key);
            let key = key.or(self.nodes[source].key);
            // A concatenation has no record, and is as pinned as its parts are.
            let pin = match key {
                Some(key) => match self.place.cache.pin(&key, output)? {
                    Some(pin) => Some(pin),
                    None => return Ok(Some(Open::On(source))),
                },
                None => None,
            };
            let selected = self.place.worker.select(&Selection {
                vertex: self.nodes[index].vertex,
                source: self.nodes[source].vertex,
                output: Some(output),
                selector: &selecting.selector,
            });
            drop(pin);
            match selected {
                Ok(digest) => self.nodes[index].selections[position].digest = Some(digest),
                Err(error) => return Ok(Some(Open::Unreadable(error.to_string()))),
            }
        }
        Ok(None)
    }

    /// What becomes of a vertex that was found, that nobody needs, or that only its users need.
    fn foretell_idle(
        &self,
        index: usize,
        needed: &[bool],
        targets: &[usize],
        prospects: &[Option<Prospect>],
    ) -> Prospect {
        let node = &self.nodes[index];
        if node.hit.is_some() {
            return Prospect::Cached(node.origin.unwrap_or(HitOrigin::Definition));
        }
        match node.kind {
            Kind::Scratch | Kind::Context | Kind::Merge => return Prospect::Free,
            _ if !needed[index] => return Prospect::Skipped,
            _ => {}
        }
        let mut open = None;
        let mut above = vec![index];
        let mut seen = vec![false; self.nodes.len()];
        while let Some(below) = above.pop() {
            if std::mem::replace(&mut seen[below], true) {
                continue;
            }
            let users = self.nodes[below].users.iter().filter(|&&user| needed[user]);
            // Who needs a concatenation needs its parts.
            above.extend(
                users
                    .clone()
                    .filter(|&&user| self.nodes[user].kind == Kind::Merge),
            );
            let is_wanted = targets.contains(&below)
                || users.clone().any(|&user| match &prospects[user] {
                    Some(Prospect::Runs(_)) => true,
                    // It is what the user waits for.
                    Some(Prospect::Depends(on)) => *on == node.id,
                    _ => false,
                });
            if is_wanted {
                return self.missing(index, &self.preimage(index, &[], &[]));
            }
            open = open.or_else(|| {
                users
                    .filter_map(|&user| prospects[user].clone())
                    .find(|prospect| matches!(prospect, Prospect::Depends(_)))
            });
        }
        open.unwrap_or(Prospect::Skipped)
    }
}
