//! A worker and a cache that count, fail, forget and wait as they are told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use image::{DiffId, Digest, Platform};

use crate::digest::Encoder;
use crate::op::{
    ContextOp, CopyOp, CopySource, ExecOp, HttpOp, ImageOp, ImageOrigin, MakeDirOp, NetworkMode,
    SecurityMode, Unpack,
};
use crate::selector::Purpose;
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

/// Builds graphs.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) graph: Graph,
}

impl Plan {
    pub(super) fn add(
        &mut self,
        op: Op,
        inputs: &[VertexId],
        name: &str,
        forced: bool,
    ) -> VertexId {
        self.graph.add(Vertex {
            op,
            inputs: inputs.to_vec(),
            meta: VertexMeta {
                name: name.to_owned(),
                forced,
                ..VertexMeta::default()
            },
        })
    }

    pub(super) fn scratch(&mut self) -> VertexId {
        self.add(Op::Scratch, &[], "scratch", false)
    }

    pub(super) fn image(&mut self, layer: u64) -> VertexId {
        let op = ImageOp {
            reference: format!("image{layer}"),
            origin: ImageOrigin::Store,
            manifest: Digest::of(&layer.to_be_bytes()),
            diff_ids: vec![DiffId(Digest::of(&layer.to_le_bytes()))],
            platform: Platform::new("linux", "amd64", ""),
        };
        self.add(Op::Image(op), &[], &format!("image{layer}"), false)
    }

    pub(super) fn context(&mut self, name: &str) -> VertexId {
        self.add(
            Op::Context(ContextOp { name: name.into() }),
            &[],
            name,
            false,
        )
    }

    pub(super) fn http(&mut self, url: &str) -> VertexId {
        let op = HttpOp {
            url: url.into(),
            checksum: None,
            file_name: "f".into(),
        };
        self.add(Op::Http(op), &[], url, false)
    }

    /// A step that leaves a number below `modulus`: 1 means that it always leaves the same.
    pub(super) fn run(&mut self, root: VertexId, name: &str, modulus: u64) -> VertexId {
        self.add(exec(name, modulus), &[root], name, false)
    }

    pub(super) fn forced(&mut self, root: VertexId, name: &str, modulus: u64) -> VertexId {
        self.add(exec(name, modulus), &[root], name, true)
    }

    /// Copies `path` of `source`: the remainder of its sum by the number that `path` is.
    pub(super) fn copy(&mut self, root: VertexId, source: VertexId, path: &str) -> VertexId {
        self.add(
            copy(path, false),
            &[root, source],
            &format!("copy {path}"),
            false,
        )
    }

    pub(super) fn copy_link(&mut self, source: VertexId, path: &str) -> VertexId {
        let scratch = self.scratch();
        self.add(
            copy(path, true),
            &[scratch, source],
            &format!("link {path}"),
            false,
        )
    }

    pub(super) fn workdir(&mut self, root: VertexId, path: &str, forced: bool) -> VertexId {
        let op = MakeDirOp {
            path: path.into(),
            mode: 0o755,
            owner: String::new(),
            epoch: None,
        };
        self.add(Op::MakeDir(op), &[root], path, forced)
    }

    pub(super) fn merge(&mut self, parts: &[VertexId]) -> VertexId {
        self.add(Op::Merge, parts, "merge", false)
    }
}

pub(super) fn exec(name: &str, modulus: u64) -> Op {
    Op::Exec(ExecOp {
        args: vec![name.into(), modulus.to_string()],
        env: Vec::new(),
        proxy_env: Vec::new(),
        cwd: "/".into(),
        user: String::new(),
        hostname: String::new(),
        network: NetworkMode::Default,
        security: SecurityMode::Sandbox,
        mounts: Vec::new(),
        scripts: Vec::new(),
        extra_hosts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
        cgroup_parent: None,
        devices: Vec::new(),
        platform: Platform::new("linux", "amd64", ""),
    })
}

fn copy(path: &str, link: bool) -> Op {
    Op::Copy(CopyOp {
        sources: vec![CopySource::Files {
            input: 1,
            selector: Selector {
                path: path.into(),
                pattern: false,
                parents: false,
                excludes: Vec::new(),
                purpose: Purpose::Copy,
            },
            unpack: Unpack::Never,
        }],
        dest: "/".into(),
        owner: None,
        mode: None,
        link,
        epoch: None,
    })
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

    fn run(&self, job: &Job<'_, Stack>) -> Result<Stack, Trouble> {
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

#[derive(Debug, thiserror::Error)]
#[error("the memory is gone")]
pub(super) struct Amnesia;

#[derive(Default)]
struct Remembered {
    records: HashMap<CacheKey, (KeyPreimage, Stack)>,
    aliases: HashMap<DefinitionKey, (CacheKey, Vec<Option<StateDigest>>)>,
    names: HashMap<CacheKey, String>,
    leases: HashSet<CacheKey>,
    vanishing: HashSet<CacheKey>,
    broken: bool,
    pinned: usize,
    finds: usize,
    batches: usize,
}

/// A cache that remembers as long as it is let.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

impl Memory {
    fn keys(&self, name: &str) -> Vec<CacheKey> {
        let memory = self.0.lock().unwrap();
        let named = memory.names.iter().filter(|(_, n)| *n == name);
        named.map(|(key, _)| *key).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let memory = self.0.lock().unwrap();
        let mut names: Vec<_> = memory
            .records
            .keys()
            .map(|key| memory.names[key].clone())
            .collect();
        names.sort();
        names
    }

    /// Forgets the records of a step.
    pub(super) fn forget(&self, name: &str) {
        for key in self.keys(name) {
            self.0.lock().unwrap().records.remove(&key);
        }
    }

    /// Forgets what definitions were answered with.
    pub(super) fn forget_aliases(&self) {
        self.0.lock().unwrap().aliases.clear();
    }

    /// Makes a step's records go when they are to be pinned.
    pub(super) fn vanish(&self, name: &str) {
        for key in self.keys(name) {
            self.0.lock().unwrap().vanishing.insert(key);
        }
    }

    pub(super) fn break_down(&self) {
        self.0.lock().unwrap().broken = true;
    }

    /// The root's state in a key.
    pub(super) fn root(&self, key: &CacheKey) -> Option<String> {
        let memory = self.0.lock().unwrap();
        let (preimage, _) = memory.records.get(key)?;
        let root = preimage
            .components
            .iter()
            .find(|component| component.name == "root")?;
        Some(root.value.clone())
    }

    pub(super) fn pinned(&self) -> usize {
        self.0.lock().unwrap().pinned
    }

    /// Look-ups by key since the last time, and look-ups of whole graphs.
    pub(super) fn asked(&self) -> (usize, usize) {
        let mut memory = self.0.lock().unwrap();
        (
            std::mem::take(&mut memory.finds),
            std::mem::take(&mut memory.batches),
        )
    }
}

pub(super) struct Held(Memory, CacheKey);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().leases.remove(&self.1);
    }
}

#[derive(Debug)]
pub(super) struct Pinned(Memory);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().pinned -= 1;
    }
}

impl ResultCache for Memory {
    type Output = Stack;
    type Error = Amnesia;
    type Lease = Held;
    type Pin = Pinned;

    fn find_definitions(&self, definitions: &[DefinitionKey]) -> Result<FoundAll<Stack>, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        memory.batches += 1;
        if memory.broken {
            return Err(Amnesia);
        }
        Ok(definitions
            .iter()
            .map(|definition| {
                let (key, inputs) = memory.aliases.get(definition)?;
                let (preimage, output) = memory.records.get(key)?;
                Some(Found {
                    key: *key,
                    preimage: preimage.clone(),
                    output: output.clone(),
                    inputs: inputs.clone(),
                    remote: false,
                })
            })
            .collect())
    }

    fn find(&self, key: &CacheKey) -> Result<Option<Found<Stack>>, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        memory.finds += 1;
        Ok(memory.records.get(key).map(|(preimage, output)| Found {
            key: *key,
            preimage: preimage.clone(),
            output: output.clone(),
            inputs: Vec::new(),
            remote: false,
        }))
    }

    fn alias(
        &self,
        definition: &DefinitionKey,
        key: &CacheKey,
        inputs: &[Option<StateDigest>],
    ) -> Result<(), Amnesia> {
        let mut memory = self.0.lock().unwrap();
        memory.aliases.insert(*definition, (*key, inputs.to_vec()));
        Ok(())
    }

    fn claim(&self, key: &CacheKey) -> Result<Claim<Held>, Amnesia> {
        if self.0.lock().unwrap().leases.insert(*key) {
            Ok(Claim::Ours(Held(self.clone(), *key)))
        } else {
            Ok(Claim::Theirs("somebody else".into()))
        }
    }

    fn pin(&self, key: &CacheKey, _: &Stack) -> Result<Option<Pinned>, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        if memory.vanishing.remove(key) || !memory.records.contains_key(key) {
            memory.records.remove(key);
            return Ok(None);
        }
        memory.pinned += 1;
        Ok(Some(Pinned(self.clone())))
    }

    fn store(&self, record: &NewRecord<'_, Stack>) -> Result<Pinned, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        assert!(
            memory.leases.contains(&record.key),
            "stored without the lease"
        );
        assert_eq!(record.key, record.preimage.key());
        let kept = (record.preimage.clone(), record.output.clone());
        memory.records.insert(record.key, kept);
        memory
            .names
            .insert(record.key, record.vertex.meta.name.clone());
        memory
            .aliases
            .insert(record.definition, (record.key, record.inputs.to_vec()));
        memory.pinned += 1;
        Ok(Pinned(self.clone()))
    }

    fn explain(&self, vertex: &Vertex, _: &KeyPreimage) -> Result<String, Amnesia> {
        Ok(format!("no record of {}", vertex.meta.name))
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
        other => panic!("{other:?}"),
    };
    format!("{}: {what}", plan.graph.get(vertex).unwrap().meta.name)
}
