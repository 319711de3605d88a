//! Failures, cancellations, and what is kept of what was done.

use std::sync::atomic::{AtomicBool, Ordering};

use super::plan::Plan;
use super::world::{Order, World};
use crate::{SolveError, Verdict, Worker};

#[test]
fn the_first_failure_stops_the_rest_and_keeps_what_was_done() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let done = plan.run(image, "done", 100);
    let bad = plan.run(done, "bad", 100);
    let above = plan.run(bad, "above", 100);
    let hangs = plan.run(image, "hangs", 100);
    world.hands.order("bad", Order::Fail);
    world.hands.order("hangs", Order::Hang);
    let error = world.try_solve(&plan, &[above, hangs]).unwrap_err();
    assert_eq!(error.vertex(), Some(bad));
    assert!(matches!(
        error,
        SolveError::Step { name, source, others, .. }
            if name == "bad" && source.text == "told to fail" && others.is_empty()
    ));
    assert_eq!(world.memory.names(), ["done", "image5"]);
    assert_eq!(world.memory.pinned(), 0);
    let said = world.said(&plan);
    assert!(said.contains(&"bad: failed: told to fail".to_owned()));
    assert!(said.contains(&"hangs: cancelled".to_owned()));

    world.hands.ran();
    world.hands.obey_no_more("bad");
    world.solve(&plan, above);
    assert_eq!(world.hands.ran(), ["above", "bad"]);
}

#[test]
fn what_else_fails_meanwhile_is_listed() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    // Both are there before either goes on; both then fail on their own account.
    let (a, b) = (plan.run(image, "a", 0), plan.run(image, "b", 0));
    let error = std::panic::catch_unwind(|| world.try_solve(&plan, &[a, b]));
    assert!(
        error.is_err(),
        "a remainder by nothing panics, and the panic arrives"
    );

    let world = World::default();
    let mut plan = Plan::default();
    world.hands.set("context", 1);
    let (scratch, context) = (plan.scratch(), plan.context("context"));
    let (a, b) = (
        plan.copy(scratch, context, "1"),
        plan.copy(scratch, context, "2"),
    );
    world.hands.order("1", Order::Fail);
    world.hands.order("2", Order::Fail);
    let error = world.try_solve(&plan, &[a, b]).unwrap_err();
    assert!(matches!(error, SolveError::Step { .. }));
    assert_eq!(
        world.hands.ran(),
        Vec::<String>::new(),
        "a missing file stops before any step"
    );
}

#[test]
fn a_cancellation_from_outside_stops_all() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let done = plan.run(image, "done", 100);
    let hangs = plan.run(done, "hangs", 100);
    let above = plan.run(hangs, "above", 100);
    world.hands.order("hangs", Order::Hang);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            world.hands.wait_for_name("hangs");
            world.cancel.cancel();
        });
        let error = world.try_solve(&plan, &[above]).unwrap_err();
        assert!(matches!(error, SolveError::Cancelled));
    });
    assert_eq!(world.memory.names(), ["done", "image5"]);
    assert_eq!(world.said(&plan).last().unwrap(), "hangs: cancelled");
    assert!(matches!(
        world.try_solve(&plan, &[above]).unwrap_err(),
        SolveError::Cancelled
    ));
}

#[test]
fn a_context_that_changes_is_looked_at_once_more() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 1);
    let (scratch, context) = (plan.scratch(), plan.context("context"));
    let copied = plan.copy(scratch, context, "100");
    let top = plan.run(copied, "top", 100);
    world.hands.order("copy 100", Order::Change(1));
    let changed = world.solve(&plan, top);
    assert_eq!(world.hands.ran(), ["copy 100", "copy 100", "top"]);
    // What was stored is of the second look: another build finds all of it.
    assert_eq!(world.solve(&plan, top), changed);
    assert_eq!(world.hands.ran(), Vec::<String>::new());

    world.hands.set("context", 50);
    world.hands.order("copy 100", Order::Change(2));
    let error = world.try_solve(&plan, &[top]).unwrap_err();
    let SolveError::Step { source, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(world.hands.verdict(&source), Verdict::Changed);
    assert_eq!(
        world.memory.names(),
        ["copy 100", "top"],
        "nothing under a digest that is not true"
    );
}

#[test]
fn a_broken_cache_stops_the_build() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    world.memory.break_down();
    let error = world.try_solve(&plan, &[image]).unwrap_err();
    assert!(matches!(error, SolveError::Cache { vertex: None, .. }));
}

#[test]
fn a_panic_arrives_when_all_others_have_stopped() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let (bad, hangs) = (plan.run(image, "bad", 100), plan.run(image, "hangs", 100));
    world.hands.order("bad", Order::Panic);
    world.hands.order("hangs", Order::Hang);
    let arrived = AtomicBool::new(false);
    let caught = std::panic::catch_unwind(|| {
        let _ = world.try_solve(&plan, &[bad, hangs]);
        arrived.store(true, Ordering::Relaxed);
    });
    assert!(caught.is_err() && !arrived.load(Ordering::Relaxed));
}

#[test]
fn what_cannot_be_a_target_is_refused() {
    let (world, mut plan) = (World::default(), Plan::default());
    let context = plan.context("context");
    let image = plan.image(5);
    let error = world.try_solve(&plan, &[context]).unwrap_err();
    assert!(matches!(error, SolveError::ContextTarget(id) if id == context));
    let error = world.try_solve(&Plan::default(), &[image]).unwrap_err();
    assert!(matches!(error, SolveError::UnknownTarget(id) if id == image));
}
