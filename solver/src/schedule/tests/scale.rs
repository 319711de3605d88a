//! Thousands of vertices.

use std::time::Duration;

use super::plan::Plan;
use super::world::World;
use crate::VertexId;

/// The processor's time that this thread has had, which decides: on a machine that others use too a
/// clock says nothing. Zero where the kernel keeps no account of it.
fn used() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = account.split(' ').next().and_then(|time| time.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}

/// So many stages of five steps.
fn stages(plan: &mut Plan, number: usize) -> Vec<VertexId> {
    let (image, context) = (plan.image(5), plan.context("context"));
    let stage = |stage| {
        let a = plan.run(image, &format!("a{stage}"), 1 << 40);
        let b = plan.copy(a, context, &format!("{}", 10 + stage % 50));
        let c = plan.run(b, &format!("c{stage}"), 1 << 40);
        let d = plan.workdir(c, &format!("/{stage}"), false);
        plan.run(d, &format!("e{stage}"), 1 << 40)
    };
    (0..number).map(stage).collect()
}

#[test]
fn five_thousand_cached_vertices_resolve_at_once() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 7);
    let tops = stages(&mut plan, 1000);
    assert!(plan.graph.len() > 5000);
    let before = world.try_solve(&plan, &tops).unwrap().outputs;
    assert_eq!(world.hands.ran().len(), plan.graph.len() - 1);
    world.hands.selected();
    let best = (0..3)
        .map(|_| {
            let start = used();
            let solution = world.try_solve(&plan, &tops).unwrap();
            let used = used().saturating_sub(start);
            assert_eq!(solution.outputs, before);
            used
        })
        .min();
    assert_eq!(world.hands.ran(), Vec::<String>::new());
    assert_eq!(
        world.hands.selected(),
        3 * 50,
        "equal selections are made once"
    );
    // Unoptimised; the bench measures.
    assert!(best.unwrap() < Duration::from_secs(1), "{best:?}");
}

#[test]
fn a_deep_chain_needs_no_stack() {
    let (world, mut plan) = (World::default(), Plan::default());
    let mut top = plan.scratch();
    for number in 0..400 {
        top = plan.run(top, &format!("{number}"), 100);
    }
    for _ in 0..5000 {
        top = plan.merge(&[top]);
    }
    let stack = world.solve(&plan, top);
    assert_eq!(stack.0.len(), 400);
}
