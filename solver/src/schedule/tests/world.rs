//! A worker that counts, fails and waits as it is told, and a build with it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use image::{DiffId, Digest};

use super::memory::{Amnesia, Held, Memory, Pinned};
use super::plan::Plan;
use crate::digest::Encoder;
use crate::*;

/// Layers that are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stack(pub(super) Vec<u64>);

impl Output for Stack {
    fn empty() -> Self {
        Self(Vec::new())
    }

    fn state(&self) -> StateDigest {
        self.state_on(StateFold::new().state())
    }

    fn state_on(&self, below: StateDigest) -> StateDigest {
        let fold = StateFold::on(below);
        self.0
            .iter()
            .fold(fold, |fold, layer| fold.layer(&digest(*layer)))
            .state()
    }

    fn on(&self, below: &Self) -> Self {
        Self([below.0.as_slice(), &self.0].concat())
    }
}

/// Layers below 1000 come from images.
fn digest(layer: u64) -> LayerDigest {
    if layer < 1000 {
        LayerDigest::Base(DiffId(Digest::of(&layer.to_le_bytes())))
    } else {
        LayerDigest::Change(ChangeDigest(hash(&[layer])))
    }
}

fn hash(numbers: &[u64]) -> [u8; 32] {
    let mut encoder = Encoder::new("test");
    for number in numbers {
        encoder.number(*number);
    }
    encoder.finish()
}

fn number(bytes: &[u8; 32]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// What a vertex's name is told to do.
#[derive(Clone)]
pub(super) enum Order {
    /// Fails.
    Fail,
    /// Leaves another number each time.
    Differ,
    /// Waits until this many of its kind are there, or is cancelled.
    Meet(usize),
    /// Waits until it is cancelled.
    Hang,
    /// Says so many times that a context changed.
    Change(u32),
    /// Panics.
    Panic,
}

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Trouble {
    pub(super) text: String,
    pub(super) verdict: Verdict,
}

fn trouble(text: &str, verdict: Verdict) -> Trouble {
    Trouble {
        text: text.to_owned(),
        verdict,
    }
}

#[derive(Default)]
struct Told {
    contexts: HashMap<String, u64>,
    orders: HashMap<String, Order>,
    ran: Vec<String>,
    forced: Vec<String>,
    selected: usize,
    sourced: usize,
    met: usize,
    now: usize,
    most: usize,
    generation: u64,
}

/// A worker that does as it is told.
#[derive(Clone, Default)]
pub(super) struct Hands {
    told: Arc<Mutex<Told>>,
    bell: Arc<Condvar>,
}

impl Hands {
    pub(super) fn set(&self, context: &str, value: u64) {
        self.told
            .lock()
            .unwrap()
            .contexts
            .insert(context.into(), value);
    }

    pub(super) fn order(&self, name: &str, order: Order) {
        self.told.lock().unwrap().orders.insert(name.into(), order);
    }

    pub(super) fn obey_no_more(&self, name: &str) {
        self.told.lock().unwrap().orders.remove(name);
    }

    /// What ran since the last time, in order of the alphabet.
    pub(super) fn ran(&self) -> Vec<String> {
        let mut ran = std::mem::take(&mut self.told.lock().unwrap().ran);
        ran.sort();
        ran
    }

    pub(super) fn forced(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().forced)
    }

    pub(super) fn selected(&self) -> usize {
        std::mem::take(&mut self.told.lock().unwrap().selected)
    }

    pub(super) fn sourced(&self) -> usize {
        std::mem::take(&mut self.told.lock().unwrap().sourced)
    }

    /// The most steps that ran at the same time.
    pub(super) fn most(&self) -> usize {
        self.told.lock().unwrap().most
    }

    /// Waits until a step of this name was begun.
    pub(super) fn wait_for_name(&self, name: &str) {
        let told = self.told.lock().unwrap();
        let absent = |told: &mut Told| !told.ran.iter().any(|ran| ran == name);
        drop(self.bell.wait_while(told, absent).unwrap());
    }

    /// Counts as one more that came to [`Order::Meet`].
    pub(super) fn meet(&self) {
        self.told.lock().unwrap().met += 1;
        self.bell.notify_all();
    }

    fn value(&self, source: &Vertex, output: Option<&Stack>) -> u64 {
        match &source.op {
            Op::Context(context) => self.told.lock().unwrap().contexts[&context.name],
            _ => output
                .expect("a result for what is no context")
                .0
                .iter()
                .fold(0, |sum: u64, layer| sum.wrapping_add(*layer)),
        }
    }

    /// What a step leaves, without orders.
    pub(super) fn compute(
        &self,
        vertex: &Vertex,
        inputs: &[Option<Stack>],
        selections: &[TreeDigest],
    ) -> Stack {
        let mut stack = match &vertex.op {
            Op::Image(image) => {
                let layer = image.reference["image".len()..].parse().unwrap();
                return Stack(vec![layer]);
            }
            Op::Http(http) => {
                let told = self.told.lock().unwrap();
                return Stack(vec![1000 + told.contexts[&http.url]]);
            }
            _ => inputs[0].clone().unwrap(),
        };
        let state = number(&stack.state().0);
        let selected = selections.iter().map(|tree| number(&tree.0));
        let layer = match &vertex.op {
            Op::Exec(exec) => {
                let name = number(&ContentDigest::of(exec.args[0].as_bytes()).0);
                let modulus: u64 = exec.args[1].parse().unwrap();
                number(&hash(&[name, state])) % modulus
            }
            Op::Copy(_) => number(&hash(&selected.collect::<Vec<_>>())) % 1_000_000,
            Op::MakeDir(dir) => dir.path.len() as u64,
            other => panic!("{other:?} is no work"),
        };
        stack.0.push(1000 + layer);
        stack
    }

    fn obey(&self, job: &Job<'_, Stack>) -> Result<Option<u64>, Trouble> {
        let name = &job.vertex.meta.name;
        let mut told = self.told.lock().unwrap();
        match told.orders.get(name).cloned() {
            None => Ok(None),
            Some(Order::Fail) => Err(trouble("told to fail", Verdict::Failed)),
            Some(Order::Panic) => {
                drop(told);
                panic!("told to panic")
            }
            Some(Order::Differ) => {
                told.generation += 1;
                Ok(Some(told.generation))
            }
            Some(Order::Change(0)) => Ok(None),
            Some(Order::Change(times)) => {
                told.orders.insert(name.clone(), Order::Change(times - 1));
                *told.contexts.values_mut().next().unwrap() += 1;
                Err(trouble("the context changed", Verdict::Changed))
            }
            Some(Order::Meet(number)) => {
                told.met += 1;
                self.bell.notify_all();
                while told.met < number && !job.cancel.is_cancelled() {
                    let tick = Duration::from_millis(1);
                    told = self.bell.wait_timeout(told, tick).unwrap().0;
                }
                Ok(None)
            }
            Some(Order::Hang) => {
                while !job.cancel.is_cancelled() {
                    let tick = Duration::from_millis(1);
                    told = self.bell.wait_timeout(told, tick).unwrap().0;
                }
                Err(trouble("cancelled", Verdict::Cancelled))
            }
        }
    }
}

impl Worker for Hands {
    type Output = Stack;
    type Error = Trouble;
    type Lease = Held;

    fn source(&self, vertex: &Vertex, _: &Cancel) -> Result<StateDigest, Trouble> {
        let Op::Http(http) = &vertex.op else {
            panic!("no source")
        };
        let mut told = self.told.lock().unwrap();
        told.sourced += 1;
        Ok(Stack(vec![1000 + told.contexts[&http.url]]).state())
    }

    fn select(&self, selection: &Selection<'_, Stack>) -> Result<TreeDigest, Trouble> {
        let sum = self.value(selection.source, selection.output);
        let mut told = self.told.lock().unwrap();
        told.selected += 1;
        if matches!(told.orders.get(&selection.selector.path), Some(Order::Fail)) {
            return Err(trouble("no such file", Verdict::Failed));
        }
        let modulus: u64 = selection.selector.path.parse().unwrap();
        Ok(TreeDigest(hash(&[sum % modulus])))
    }

    fn run(&self, job: &Job<'_, Stack>, lease: &Held) -> Result<Stack, Trouble> {
        assert!(lease.is_held(), "run without the lease");
        {
            let mut told = self.told.lock().unwrap();
            told.ran.push(job.vertex.meta.name.clone());
            if job.forced {
                told.forced.push(job.vertex.meta.name.clone());
            }
            told.now += 1;
            told.most = told.most.max(told.now);
            self.bell.notify_all();
        }
        let order = self.obey(job);
        self.told.lock().unwrap().now -= 1;
        let mut stack = self.compute(job.vertex, job.inputs, job.selections);
        if let (Some(generation), Some(top)) = (order?, stack.0.last_mut()) {
            *top = 2_000_000_000 + generation;
        }
        Ok(stack)
    }

    fn verdict(&self, error: &Trouble) -> Verdict {
        error.verdict
    }
}

/// A worker, a cache, and what was said.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) hands: Hands,
    pub(super) memory: Memory,
    pub(super) cancel: Cancel,
    pub(super) said: Arc<(Mutex<Vec<Event>>, Condvar)>,
    pub(super) jobs: Option<usize>,
}

pub(super) type Solved = Result<Solution<Stack, Pinned>, SolveError<Trouble, Amnesia>>;

impl World {
    /// Another process on the same cache.
    pub(super) fn neighbour(&self) -> Self {
        Self {
            memory: self.memory.clone(),
            ..Self::default()
        }
    }

    pub(super) fn try_solve(&self, plan: &Plan, targets: &[VertexId]) -> Solved {
        let options = Options {
            jobs: self.jobs.unwrap_or(DEFAULT_JOBS),
            lease_poll: (Duration::from_micros(50), Duration::from_micros(400)),
            ..Options::default()
        };
        let said = |event| {
            self.said.0.lock().unwrap().push(event);
            self.said.1.notify_all();
        };
        solve(
            &plan.graph,
            targets,
            &self.hands,
            &self.memory,
            &options,
            &self.cancel,
            &said,
        )
    }

    /// What would become of each vertex, by name.
    pub(super) fn forecast(&self, plan: &Plan, targets: &[VertexId]) -> Vec<(String, Prospect)> {
        let options = Options::default();
        let forecasts = forecast(
            &plan.graph,
            targets,
            &self.hands,
            &self.memory,
            &options,
            &self.cancel,
        );
        let name = |vertex: &VertexId| plan.graph.get(vertex).unwrap().meta.name.clone();
        let forecasts = forecasts.unwrap().into_iter();
        forecasts
            .map(|forecast| (name(&forecast.vertex), forecast.prospect))
            .collect()
    }

    pub(super) fn solve(&self, plan: &Plan, target: VertexId) -> Stack {
        let mut solution = self.try_solve(plan, &[target]).unwrap();
        solution.outputs.remove(0)
    }

    /// Waits until this happened.
    pub(super) fn wait_until_said(&self, plan: &Plan, what: &str) {
        let said = self.said.0.lock().unwrap();
        let unsaid = |said: &mut Vec<Event>| !said.iter().any(|event| text(plan, event) == what);
        drop(self.said.1.wait_while(said, unsaid).unwrap());
    }

    /// What happened since the last time, as `name: what`.
    pub(super) fn said(&self, plan: &Plan) -> Vec<String> {
        let events = std::mem::take(&mut *self.said.0.lock().unwrap());
        events.iter().map(|event| text(plan, event)).collect()
    }

    /// Which vertices were started since the last time.
    pub(super) fn said_started(&self, plan: &Plan) -> Vec<VertexId> {
        let events = std::mem::take(&mut *self.said.0.lock().unwrap());
        let started = events.into_iter().filter_map(|event| match event {
            Event::Started { vertex } => Some(vertex),
            _ => None,
        });
        started
            .filter(|vertex| !matches!(plan.graph.get(vertex).unwrap().op, Op::Context(_)))
            .collect()
    }
}

fn text(plan: &Plan, event: &Event) -> String {
    let (vertex, what) = match event {
        Event::Missed { vertex, reason } => (vertex, format!("missed: {reason}")),
        Event::Waiting { vertex, owner } => (vertex, format!("waiting for {owner}")),
        Event::Started { vertex } => (vertex, "started".into()),
        Event::CacheHit { vertex, origin } => (vertex, format!("{origin:?}")),
        Event::Done { vertex, .. } => (vertex, "done".into()),
        Event::Failed { vertex, message } => (vertex, format!("failed: {message}")),
        Event::Cancelled { vertex } => (vertex, "cancelled".into()),
        Event::Skipped { vertex } => (vertex, "skipped".into()),
        Event::Log { vertex, data, .. } => {
            (vertex, format!("wrote {}", String::from_utf8_lossy(data)))
        }
        other => panic!("{other:?}"),
    };
    format!("{}: {what}", plan.graph.get(vertex).unwrap().meta.name)
}
