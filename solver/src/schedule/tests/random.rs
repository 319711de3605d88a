//! Random graphs on random caches against a plain evaluation, one vertex after the other.

use std::collections::HashMap;

use proptest::prelude::*;

use super::plan::Plan;
use super::world::{Order, Stack, World};
use crate::{Op, Output, VertexId, Worker};

/// One vertex; inputs are picked among the earlier ones.
#[derive(Debug, Clone)]
pub(super) enum Pick {
    Run(usize, u64),
    Copy(usize, usize, u64),
    Context(usize, u64),
    Link(usize, u64),
    Merge(usize, usize),
    Workdir(usize),
}

pub(super) fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let pick = prop_oneof![
        3 => (any::<usize>(), 1..4_u64).prop_map(|(root, modulus)| Pick::Run(root, modulus)),
        3 => (any::<usize>(), any::<usize>(), 1..4_u64).prop_map(|(a, b, m)| Pick::Copy(a, b, m)),
        1 => (any::<usize>(), 1..4_u64).prop_map(|(root, modulus)| Pick::Context(root, modulus)),
        1 => (any::<usize>(), 1..4_u64).prop_map(|(from, modulus)| Pick::Link(from, modulus)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Pick::Merge(a, b)),
        1 => any::<usize>().prop_map(Pick::Workdir),
    ];
    proptest::collection::vec(pick, 1..14)
}

/// The graph, and its vertices but for the context.
pub(super) fn build(picks: &[Pick], forced: usize) -> (Plan, Vec<VertexId>) {
    let mut plan = Plan::default();
    let context = plan.context("context");
    let mut vertices = vec![plan.scratch(), plan.image(5), plan.http("http")];
    for (number, pick) in picks.iter().enumerate() {
        let at = |index: &usize| vertices[index % vertices.len()];
        let name = format!("step {number}");
        let vertex = match pick {
            Pick::Run(root, modulus) if number == forced => plan.forced(at(root), &name, *modulus),
            Pick::Run(root, modulus) => plan.run(at(root), &name, *modulus),
            Pick::Copy(root, from, m) => plan.copy(at(root), at(from), &m.to_string()),
            Pick::Context(root, modulus) => plan.copy(at(root), context, &modulus.to_string()),
            Pick::Link(from, modulus) => plan.copy_link(at(from), &modulus.to_string()),
            Pick::Merge(a, b) => plan.merge(&[at(a), at(b)]),
            Pick::Workdir(root) => plan.workdir(at(root), &format!("/{number}"), false),
        };
        vertices.push(vertex);
    }
    (plan, vertices)
}

/// What every vertex leaves when nothing is remembered.
fn evaluate(world: &World, plan: &Plan) -> HashMap<VertexId, Stack> {
    let mut stacks: HashMap<VertexId, Stack> = HashMap::new();
    for (id, vertex) in plan.graph.iter() {
        let inputs: Vec<Option<Stack>> = vertex
            .inputs
            .iter()
            .map(|input| stacks.get(input).cloned())
            .collect();
        let stack = match &vertex.op {
            Op::Context(_) => continue,
            Op::Scratch => Stack::empty(),
            Op::Merge => inputs
                .iter()
                .flatten()
                .fold(Stack::empty(), |below, part| part.on(&below)),
            _ => {
                let trees: Vec<_> = vertex
                    .op
                    .selections()
                    .iter()
                    .map(|(position, selector)| {
                        let selection = crate::Selection {
                            vertex,
                            source: plan.graph.get(&vertex.inputs[*position]).unwrap(),
                            output: inputs[*position].as_ref(),
                            selector,
                        };
                        world.hands.select(&selection).unwrap()
                    })
                    .collect();
                world.hands.compute(vertex, &inputs, &trees)
            }
        };
        stacks.insert(id, stack);
    }
    stacks
}

/// What happens to the cache between two builds.
#[derive(Debug, Clone)]
pub(super) enum Blow {
    Forget(usize),
    Vanish(usize),
    ForgetAliases,
    Context(u64),
    Http(u64),
    Nothing,
}

pub(super) fn blows() -> impl Strategy<Value = Vec<Vec<Blow>>> {
    let blow = prop_oneof![
        any::<usize>().prop_map(Blow::Forget),
        any::<usize>().prop_map(Blow::Vanish),
        Just(Blow::ForgetAliases),
        (0..6_u64).prop_map(Blow::Context),
        (0..3_u64).prop_map(Blow::Http),
        Just(Blow::Nothing),
    ];
    proptest::collection::vec(proptest::collection::vec(blow, 0..5), 1..5)
}

pub(super) fn strike(world: &World, blow: &Blow) {
    let names = world.memory.names();
    match blow {
        Blow::Forget(which) if !names.is_empty() => {
            world.memory.forget(&names[which % names.len()]);
        }
        Blow::Vanish(which) if !names.is_empty() => {
            world.memory.vanish(&names[which % names.len()]);
        }
        Blow::ForgetAliases => world.memory.forget_aliases(),
        Blow::Context(value) => world.hands.set("context", *value),
        Blow::Http(value) => world.hands.set("http", *value),
        _ => {}
    }
}

/// The vertices that ran are all different.
fn each_ran_once(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    let started = world.said_started(plan);
    let mut once = started.clone();
    once.sort();
    once.dedup();
    prop_assert_eq!(once.len(), started.len(), "{} ran twice", plan.graph.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn equals_a_plain_evaluation(
        picks in picks(),
        forced in 0..30_usize,
        targets in proptest::collection::vec(any::<usize>(), 1..4),
        builds in blows(),
        jobs in 1..4_usize,
    ) {
        let (plan, vertices) = build(&picks, forced);
        let world = World { jobs: Some(jobs), ..World::default() };
        world.hands.set("context", 0);
        world.hands.set("http", 0);
        for blows in builds {
            for blow in &blows {
                strike(&world, blow);
            }
            let expected = evaluate(&world, &plan);
            let targets: Vec<_> = targets.iter().map(|at| vertices[at % vertices.len()]).collect();
            let solution = world.try_solve(&plan, &targets).unwrap();
            for (target, output) in targets.iter().zip(&solution.outputs) {
                prop_assert_eq!(output, &expected[target]);
            }
            each_ran_once(&world, &plan)?;
        }
    }

    #[test]
    fn generations_do_not_mix(
        picks in picks(),
        unsure in proptest::collection::vec(any::<bool>(), 14),
        builds in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<usize>()), 2..12),
    ) {
        let (plan, vertices) = build(&picks, usize::MAX);
        let world = World::default();
        world.hands.set("context", 0);
        world.hands.set("http", 0);
        for (number, _) in unsure.iter().enumerate().filter(|(_, unsure)| **unsure) {
            world.hands.order(&format!("step {number}"), Order::Differ);
        }
        for (forget, first, second) in builds {
            strike(&world, &Blow::Forget(forget));
            let pair = (first, second);
            let targets = [pair.0, pair.1].map(|at| vertices[at % vertices.len()]);
            let solution = world.try_solve(&plan, &targets).unwrap();
            each_ran_once(&world, &plan)?;
            let known: HashMap<_, _> = solution.vertices.iter().map(|it| (it.vertex, it)).collect();
            for resolution in &solution.vertices {
                let vertex = plan.graph.get(&resolution.vertex).unwrap();
                let (Some(key), Some(root)) = (resolution.key, vertex.inputs.first()) else {
                    continue;
                };
                if let (Some(stood_on), Some(state)) = (world.memory.root(&key), known[root].state) {
                    prop_assert_eq!(stood_on, state.hex(), "{}", vertex.meta.name);
                }
            }
        }
    }
}
