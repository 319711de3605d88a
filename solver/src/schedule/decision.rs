//! The decision thread: owns all state, receives messages, never blocks on anything else.
//!
//! A vertex goes `Unknown → Known → Pinned`, or `Missed → Ready → Running → Produced`, perhaps
//! `Waiting` for another process in between. Its users ask it for a level ([`Want`]); when it
//! reaches one, they are looked at again. When it comes to another state than one that a user's
//! result stands on, that user is asked again, unless it ran: a vertex runs once a build, so this ends.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::thread::Scope;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};

use super::node::{Kind, Node, Phase, Want};
use super::pool::{Letter, Pool};
use super::work::{Place, Report};
use super::{Options, Outcome, Resolution, Solution, SolveError, Solved};
use crate::{Cancel, Event, HitOrigin, Output, ResultCache, Verdict, VertexId, Worker};

/// How many threads at most do what is not a step: look-ups, pins, selections (which use the CPU
/// pool). It is the processor that they need, so there are no more than processors, but two at least.
const ASKERS: usize = 8;

fn askers() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, ASKERS))
}

/// How soon a cancellation from outside is noticed.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// A report with the node it is for.
pub(super) struct Done<W: Worker, C: ResultCache> {
    pub(super) node: usize,
    pub(super) epoch: u32,
    pub(super) step: bool,
    pub(super) report: Report<W, C>,
}

/// Why the build stops.
pub(super) enum Failure<W: Worker, C: ResultCache> {
    Step(usize, W::Error),
    Cache(Option<usize>, C::Error),
    Threads(std::io::Error),
}

/// All state of a solve.
pub(super) struct Decision<'scope, 'env, W: Worker, C: ResultCache> {
    pub(super) place: Place<'env, W, C>,
    pub(super) nodes: Vec<Node<'env, W::Output>>,
    outer: &'env Cancel,
    /// Whether it only looks: nobody is asked, nothing runs, and what cannot be read stops nothing.
    pub(super) forecasting: bool,
    askers: Pool<'scope, 'env, Done<W, C>>,
    pub(super) steppers: Pool<'scope, 'env, Done<W, C>>,
    inbox: Receiver<Letter<Done<W, C>>>,
    /// Pieces of work that have not reported, steps and others.
    pub(super) running: usize,
    asking: usize,
    pub(super) jobs: usize,
    pub(super) lease_poll: (Duration, Duration),
    pub(super) ready: VecDeque<usize>,
    pub(super) timers: BTreeSet<(Instant, usize)>,
    pub(super) open: Vec<usize>,
    pub(super) pins: Vec<C::Pin>,
    failure: Option<Failure<W, C>>,
    others: Vec<(VertexId, String)>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'scope, 'env, W, C> Decision<'scope, 'env, W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
    'env: 'scope,
{
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        place: Place<'env, W, C>,
        nodes: Vec<Node<'env, W::Output>>,
        options: &Options,
        outer: &'env Cancel,
    ) -> Self {
        let (letters, inbox) = unbounded();
        let jobs = options.jobs.max(1);
        Self {
            place,
            nodes,
            outer,
            forecasting: false,
            askers: Pool::new(scope, "ask", askers(), letters.clone()),
            steppers: Pool::new(scope, "step", jobs, letters),
            inbox,
            running: 0,
            asking: 0,
            jobs,
            lease_poll: options.lease_poll,
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            open: Vec::new(),
            pins: Vec::new(),
            failure: None,
            others: Vec::new(),
            panic: None,
        }
    }

    /// Works until every target has a result, or all has stopped.
    pub(super) fn resolve(&mut self, targets: &[usize]) {
        for &target in targets {
            self.want(target, Want::Output);
        }
        loop {
            if !self.stopped() {
                self.advance_open();
                self.start_ready();
            }
            let timer = self.timers.first().map(|(at, _)| *at);
            let idle = self.running + self.asking == 0;
            if idle && (self.stopped() || timer.is_none()) {
                return;
            }
            if let Some(done) = self.receive(timer) {
                self.take(done);
                // What else is there is taken together, so that a user of many is looked at once.
                while let Ok(letter) = self.inbox.try_recv() {
                    if let Some(done) = self.unwrap(letter) {
                        self.take(done);
                    }
                }
            }
            self.fire_timers();
        }
    }

    /// Says what it all came to.
    pub(super) fn finish(mut self, targets: &[usize]) -> Solved<W, C> {
        match self.why_stopped() {
            Some(error) => Err(error),
            None => Ok(self.solution(targets)),
        }
    }

    /// Why there is no result; goes on with the panic of whom it asked.
    pub(super) fn why_stopped(&mut self) -> Option<SolveError<W::Error, C::Error>> {
        if let Some(panic) = self.panic.take() {
            std::panic::resume_unwind(panic);
        }
        if self.stopped() {
            for node in self.nodes.iter().filter(|node| node.pause.is_some()) {
                if matches!(node.phase, Phase::Waiting(_) | Phase::Asking) {
                    let vertex = node.id;
                    self.place.events.event(Event::Cancelled { vertex });
                }
            }
        }
        match self.failure.take() {
            Some(Failure::Step(node, source)) => Some(SolveError::Step {
                vertex: self.nodes[node].id,
                name: self.nodes[node].vertex.meta.name.clone(),
                source,
                others: std::mem::take(&mut self.others),
            }),
            Some(Failure::Cache(node, source)) => Some(SolveError::Cache {
                vertex: node.map(|node| self.nodes[node].id),
                source,
            }),
            Some(Failure::Threads(error)) => Some(SolveError::Threads(error)),
            None => self.stopped().then_some(SolveError::Cancelled),
        }
    }

    fn solution(self, targets: &[usize]) -> Solution<W::Output, C::Pin> {
        let outputs = targets.iter().map(|&target| {
            let output = self.nodes[target].output.clone();
            output.expect("nothing is under way, so every target has a result")
        });
        let outputs = outputs.collect();
        let mut vertices = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let how = match (node.kind, node.phase) {
                (Kind::Scratch | Kind::Context | Kind::Merge, _) => Outcome::Free,
                (_, Phase::Produced) => Outcome::Ran,
                (_, Phase::Known | Phase::Pinning | Phase::Pinned) => {
                    Outcome::Cached(node.origin.unwrap_or(HitOrigin::Content))
                }
                _ if node.hit.is_some() => {
                    Outcome::Cached(node.origin.unwrap_or(HitOrigin::Definition))
                }
                _ => Outcome::Skipped,
            };
            if how == Outcome::Skipped {
                let vertex = node.id;
                self.place.events.event(Event::Skipped { vertex });
            }
            let unread = node.hit.as_ref();
            vertices.push(Resolution {
                vertex: node.id,
                how,
                key: node.key.or(unread.map(|found| found.key)),
                definition: node.definition,
                state: node.state.or(unread.map(|found| found.output.state())),
                elapsed: node.elapsed,
            });
        }
        Solution {
            outputs,
            vertices,
            pins: self.pins,
        }
    }

    /// Whether nothing new is to be begun.
    pub(super) fn stopped(&self) -> bool {
        self.place.cancel.is_cancelled()
    }

    /// Has a thread do something for a vertex.
    pub(super) fn ask(&mut self, node: usize, work: impl FnOnce() -> Report<W, C> + Send + 'scope) {
        let epoch = self.nodes[node].epoch;
        let task = move || Done {
            node,
            epoch,
            step: false,
            report: work(),
        };
        match self.askers.submit(self.asking, task) {
            Ok(()) => self.asking += 1,
            Err(error) => self.give_up(Failure::Threads(error)),
        }
    }

    /// The next report, until `deadline`; none when that is over or there is none to come.
    pub(super) fn receive(&mut self, deadline: Option<Instant>) -> Option<Done<W, C>> {
        loop {
            if self.outer.is_cancelled() {
                self.place.cancel.cancel();
            }
            let stopped = self.stopped();
            if self.running + self.asking == 0 && (stopped || deadline.is_none()) {
                return None;
            }
            let now = Instant::now();
            let deadline = deadline.filter(|_| !stopped);
            if deadline.is_some_and(|at| at <= now) {
                return None;
            }
            let poll = now + CANCEL_POLL;
            match self
                .inbox
                .recv_deadline(deadline.map_or(poll, |at| at.min(poll)))
            {
                Ok(letter) => {
                    if let Some(done) = self.unwrap(letter) {
                        return Some(done);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn unwrap(&mut self, letter: Letter<Done<W, C>>) -> Option<Done<W, C>> {
        match letter {
            Ok(done) => {
                if done.step {
                    self.running -= 1;
                } else {
                    self.asking -= 1;
                }
                Some(done)
            }
            Err(panic) => {
                // Which one it was is not known; with all stopped, it does not matter.
                if self.asking > 0 {
                    self.asking -= 1;
                } else {
                    self.running -= 1;
                }
                self.panic.get_or_insert(panic);
                self.place.cancel.cancel();
                None
            }
        }
    }

    /// Stops the build because of one vertex.
    pub(super) fn give_up_on(&mut self, index: usize, error: W::Error) {
        let vertex = self.nodes[index].id;
        if self.stopped() && self.place.worker.verdict(&error) == Verdict::Cancelled {
            self.place.events.event(Event::Cancelled { vertex });
            return;
        }
        let message = error.to_string();
        self.place.events.event(Event::Failed { vertex, message });
        self.give_up(Failure::Step(index, error));
    }

    /// Stops the build; what else fails from now on is only listed.
    pub(super) fn give_up(&mut self, failure: Failure<W, C>) {
        self.place.cancel.cancel();
        match (&self.failure, failure) {
            (None, failure) => self.failure = Some(failure),
            (Some(_), Failure::Step(index, error)) => {
                self.others.push((self.nodes[index].id, error.to_string()));
            }
            // The first failure is what people need; a cache that breaks twice says nothing new.
            (Some(_), _) => {}
        }
    }
}
