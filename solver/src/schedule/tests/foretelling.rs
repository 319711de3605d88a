//! What would happen, told without anything happening.

use std::collections::HashMap;

use proptest::prelude::*;

use super::plan::Plan;
use super::random::{Blow, blows, build, picks, strike};
use super::world::{Order, World};
use crate::schedule::{Outcome, Prospect};
use crate::{HitOrigin, VertexId};

/// What is told of each vertex, in a word.
fn told(world: &World, plan: &Plan, target: VertexId) -> Vec<String> {
    let forecast = world.forecast(plan, &[target]).into_iter();
    let word = |prospect| match prospect {
        Prospect::Cached(HitOrigin::Definition) => "cached".to_owned(),
        Prospect::Cached(_) => "cached by content".to_owned(),
        Prospect::Runs(reason) => format!("runs: {reason}"),
        Prospect::Depends(on) => {
            format!("depends on {}", plan.graph.get(&on).unwrap().meta.name)
        }
        Prospect::Fails(why) => format!("fails: {why}"),
        Prospect::Free => "free".to_owned(),
        Prospect::Skipped => "skipped".to_owned(),
    };
    forecast
        .map(|(name, prospect)| format!("{name} {}", word(prospect)))
        .collect()
}

#[test]
fn above_what_would_run_nothing_is_certain() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 7);
    let (image, context) = (plan.image(5), plan.context("context"));
    let a = plan.run(image, "a", 100);
    let b = plan.copy(a, context, "10");
    let c = plan.run(b, "c", 100);
    assert_eq!(
        told(&world, &plan, c),
        [
            "image5 runs: no record of image5",
            "context free",
            "a runs: no record of a",
            "copy 10 depends on a",
            "c depends on a",
        ]
    );
    world.solve(&plan, c);
    let all = [
        "image5 cached",
        "context free",
        "a cached",
        "copy 10 cached",
        "c cached",
    ];
    assert_eq!(told(&world, &plan, c), all);

    world.hands.set("context", 8);
    assert_eq!(
        told(&world, &plan, c)[3..],
        ["copy 10 runs: no record of copy 10", "c depends on copy 10"]
    );
    world.hands.set("context", 7);
    world.memory.forget_aliases();
    assert_eq!(
        told(&world, &plan, c),
        [
            "image5 cached by content",
            "context free",
            "a cached by content",
            "copy 10 cached by content",
            "c cached by content",
        ]
    );
}

#[test]
fn a_stage_is_read_where_its_files_are_here() {
    let (world, mut plan) = (World::default(), Plan::default());
    let (image, scratch) = (plan.image(5), plan.scratch());
    let made = plan.run(image, "make", 1);
    let copied = plan.copy(scratch, made, "10");
    world.solve(&plan, made);
    assert_eq!(
        told(&world, &plan, copied),
        [
            "image5 cached",
            "scratch free",
            "make cached",
            "copy 10 runs: no record of copy 10"
        ]
    );
    world.memory.vanish("make");
    assert_eq!(told(&world, &plan, copied)[3], "copy 10 depends on make");
    let direct = plan.copy(scratch, image, "7");
    world.memory.forget("image5");
    assert_eq!(
        told(&world, &plan, direct),
        [
            "image5 runs: no record of image5",
            "scratch free",
            "copy 7 depends on image5"
        ]
    );
}

#[test]
fn a_source_is_not_asked() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("http", 1);
    let (scratch, http) = (plan.scratch(), plan.http("http"));
    let copied = plan.copy(scratch, http, "10");
    let run = plan.run(copied, "a", 10);
    world.solve(&plan, run);
    world.hands.sourced();
    assert_eq!(
        told(&world, &plan, run),
        [
            "scratch free",
            "http depends on http",
            "copy 10 depends on http",
            "a depends on http"
        ]
    );
    assert_eq!(world.hands.sourced(), 0);
}

#[test]
fn what_cannot_be_read_fails_and_stops_nothing() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 1);
    world.hands.order("10", Order::Fail);
    let (scratch, context) = (plan.scratch(), plan.context("context"));
    let copied = plan.copy(scratch, context, "10");
    let above = plan.run(copied, "a", 10);
    assert_eq!(
        told(&world, &plan, above),
        [
            "scratch free",
            "context free",
            "copy 10 fails: no such file",
            "a depends on copy 10"
        ]
    );
}

#[test]
fn forced_steps_run_whatever_there_is() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let a = plan.run(image, "a", 1);
    let b = plan.forced(a, "b", 1);
    let c = plan.run(b, "c", 1);
    world.solve(&plan, c);
    assert_eq!(
        told(&world, &plan, c),
        [
            "image5 cached",
            "a cached",
            "b runs: asked not to use the cache",
            "c runs: on a step that was not to use the cache",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_comes_true(
        picks in picks(),
        forced in 0..30_usize,
        targets in proptest::collection::vec(any::<usize>(), 1..4),
        builds in blows(),
    ) {
        let (plan, vertices) = build(&picks, forced);
        let world = World::default();
        world.hands.set("context", 0);
        world.hands.set("http", 0);
        for blows in builds {
            // That a record goes while it is read is nothing that can be told.
            for blow in blows.iter().filter(|blow| !matches!(blow, Blow::Vanish(_))) {
                strike(&world, blow);
            }
            let targets: Vec<_> = targets.iter().map(|at| vertices[at % vertices.len()]).collect();
            let (names, ran) = (world.memory.names(), world.hands.ran().len());
            prop_assert_eq!(ran, 0);
            world.hands.sourced();
            let told = world.forecast(&plan, &targets);
            prop_assert_eq!(world.hands.ran().len() + world.hands.sourced(), 0);
            prop_assert_eq!(names, world.memory.names());
            let solution = world.try_solve(&plan, &targets).unwrap();
            world.hands.ran();
            let how: HashMap<_, _> = solution.vertices.iter().map(|it| (it.vertex, it.how)).collect();
            prop_assert_eq!(told.len(), solution.vertices.len());
            for ((name, prospect), resolution) in told.iter().zip(&solution.vertices) {
                let how = how[&resolution.vertex];
                let is_true = match prospect {
                    // An image that is here may turn out not to be needed.
                    Prospect::Cached(_) => matches!(how, Outcome::Cached(_) | Outcome::Skipped),
                    // Of equal steps one runs, whichever is the first.
                    Prospect::Runs(_) => solution
                        .vertices
                        .iter()
                        .any(|other| other.key == resolution.key && other.how == Outcome::Ran),
                    Prospect::Depends(_) => true,
                    Prospect::Fails(_) => false,
                    Prospect::Free => how == Outcome::Free,
                    Prospect::Skipped => how != Outcome::Ran,
                };
                prop_assert!(is_true, "{name}: {prospect:?} came to {how:?}");
            }
        }
    }
}
