//! What the solve itself costs: steps that do nothing, and a cache that is a map.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use criterion::{Criterion, criterion_group, criterion_main};
use image::Platform;
use solver::op::{ExecOp, NetworkMode, SecurityMode};
use solver::{
    CacheKey, Cancel, ChangeDigest, Claim, DefinitionKey, Event, Found, FoundAll, Graph, Job,
    KeyPreimage, NewRecord, Op, Options, Output, ResultCache, Selection, StateDigest, StateFold,
    TreeDigest, Verdict, Vertex, VertexId, VertexMeta, Worker, solve,
};

/// A stack of one layer, which is all that a state needs.
#[derive(Debug, Clone)]
struct Stack(StateDigest);

impl Output for Stack {
    fn empty() -> Self {
        Self(StateFold::new().state())
    }

    fn state(&self) -> StateDigest {
        self.0
    }

    fn state_on(&self, below: StateDigest) -> StateDigest {
        StateFold::on(below).change(&ChangeDigest(self.0.0)).state()
    }

    fn on(&self, below: &Self) -> Self {
        Self(self.state_on(below.0))
    }
}

struct Idle;

impl Worker for Idle {
    type Output = Stack;
    type Error = Infallible;
    type Lease = Lease;

    fn source(&self, _: &Vertex, _: &Cancel) -> Result<StateDigest, Infallible> {
        Ok(StateFold::new().state())
    }

    fn select(&self, _: &Selection<'_, Stack>) -> Result<TreeDigest, Infallible> {
        Ok(TreeDigest([0; 32]))
    }

    fn run(&self, job: &Job<'_, Stack>, _: &Lease) -> Result<Stack, Infallible> {
        let below = job.inputs[0].clone().unwrap_or_else(Stack::empty);
        Ok(Stack(below.state_on(StateDigest(job.id.0))))
    }

    fn verdict(&self, error: &Infallible) -> Verdict {
        match *error {}
    }
}

type Alias = (CacheKey, Vec<Option<StateDigest>>);

#[derive(Default)]
struct Map {
    records: Mutex<HashMap<CacheKey, (KeyPreimage, Stack)>>,
    aliases: Mutex<HashMap<DefinitionKey, Alias>>,
    leases: Arc<Mutex<HashSet<CacheKey>>>,
}

struct Lease(Arc<Mutex<HashSet<CacheKey>>>, CacheKey);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Ok(mut leases) = self.0.lock() {
            leases.remove(&self.1);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

impl Map {
    fn found(&self, key: &CacheKey, inputs: Vec<Option<StateDigest>>) -> Option<Found<Stack>> {
        let records = locked(&self.records);
        let (preimage, output) = records.get(key)?;
        Some(Found {
            key: *key,
            preimage: preimage.clone(),
            output: output.clone(),
            inputs,
            remote: false,
        })
    }
}

impl ResultCache for &Map {
    type Output = Stack;
    type Error = Infallible;
    type Lease = Lease;
    type Pin = ();

    fn find_definitions(&self, asked: &[DefinitionKey]) -> Result<FoundAll<Stack>, Infallible> {
        let aliases = locked(&self.aliases);
        let find = |definition: &DefinitionKey| {
            let (key, inputs) = aliases.get(definition)?;
            self.found(key, inputs.clone())
        };
        Ok(asked.iter().map(find).collect())
    }

    fn find(&self, key: &CacheKey) -> Result<Option<Found<Stack>>, Infallible> {
        Ok(self.found(key, Vec::new()))
    }

    fn alias(
        &self,
        definition: &DefinitionKey,
        key: &CacheKey,
        inputs: &[Option<StateDigest>],
    ) -> Result<(), Infallible> {
        locked(&self.aliases).insert(*definition, (*key, inputs.to_vec()));
        Ok(())
    }

    fn claim(&self, key: &CacheKey, _: VertexId, _: &str) -> Result<Claim<Lease>, Infallible> {
        Ok(if locked(&self.leases).insert(*key) {
            Claim::Ours(Lease(Arc::clone(&self.leases), *key))
        } else {
            Claim::Theirs("another".to_owned())
        })
    }

    fn pin(&self, _: &CacheKey, _: &Stack) -> Result<Option<()>, Infallible> {
        Ok(Some(()))
    }

    fn store(&self, record: &NewRecord<'_, Stack>) -> Result<(), Infallible> {
        let kept = (record.preimage.clone(), record.output.clone());
        locked(&self.records).insert(record.key, kept);
        self.alias(&record.definition, &record.key, record.inputs)
    }

    fn explain(&self, _: &Vertex, _: &KeyPreimage) -> Result<String, Infallible> {
        Ok(String::new())
    }
}

fn step(graph: &mut Graph, root: VertexId, text: String) -> VertexId {
    let variable = |number: usize| solver::op::EnvVar {
        name: format!("VARIABLE_{number}"),
        value: "a value of some length".to_owned(),
        origin: solver::op::EnvOrigin::Env,
    };
    let op = Op::Exec(ExecOp {
        args: vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
        env: (0..8).map(variable).collect(),
        proxy_env: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        hostname: "buildkitsandbox".to_owned(),
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
    });
    graph.add(Vertex {
        op,
        inputs: vec![root],
        meta: VertexMeta {
            name: text,
            ..VertexMeta::default()
        },
    })
}

/// A thousand stages of five steps.
fn build() -> (Graph, Vec<VertexId>) {
    let mut graph = Graph::new();
    let scratch = graph.add(Vertex {
        op: Op::Scratch,
        inputs: Vec::new(),
        meta: VertexMeta::default(),
    });
    let targets = (0..1000).map(|stage| {
        (0..5).fold(scratch, |root, number| {
            step(&mut graph, root, format!("make {stage} {number}"))
        })
    });
    let targets = targets.collect();
    (graph, targets)
}

fn run(graph: &Graph, targets: &[VertexId], map: &Map) {
    let quiet = |_: Event| {};
    let options = Options::default();
    let solved = solve(
        graph,
        targets,
        &Idle,
        &map,
        &options,
        &Cancel::new(),
        &quiet,
    );
    assert!(solved.is_ok());
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("5000 vertices");
    group.sample_size(20);
    group.bench_function("graph", |bencher| bencher.iter(build));
    let (graph, targets) = build();
    group.bench_function("cold", |bencher| {
        bencher.iter(|| run(&graph, &targets, &Map::default()));
    });
    let map = Map::default();
    run(&graph, &targets, &map);
    group.bench_function("cached", |bencher| {
        bencher.iter(|| run(&graph, &targets, &map));
    });
    locked(&map.aliases).clear();
    group.bench_function("cached, by content", |bencher| {
        bencher.iter(|| {
            locked(&map.aliases).clear();
            run(&graph, &targets, &map);
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
