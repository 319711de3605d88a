//! Steps side by side, and several builds on one cache.

use std::thread;

use super::plan::Plan;
use super::world::{Order, World};

#[test]
fn independent_steps_run_at_the_same_time() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let steps: Vec<_> = (0..16)
        .map(|number| {
            let name = format!("step {number}");
            // None of them ends before all of them run.
            world.hands.order(&name, Order::Meet(16));
            plan.run(image, &name, 100)
        })
        .collect();
    world.try_solve(&plan, &steps).unwrap();
    assert_eq!(world.hands.most(), 16);
}

#[test]
fn no_more_steps_run_than_jobs() {
    let (mut world, mut plan) = (World::default(), Plan::default());
    world.jobs = Some(3);
    let image = plan.image(5);
    let steps: Vec<_> = (0..40)
        .map(|number| plan.run(image, &format!("step {number}"), 100))
        .collect();
    world.hands.order("step 0", Order::Meet(1));
    world.try_solve(&plan, &steps).unwrap();
    assert!(world.hands.most() <= 3);
    assert_eq!(world.hands.ran().len(), 41);
}

/// A diamond of some size.
fn diamond(plan: &mut Plan) -> crate::VertexId {
    let image = plan.image(5);
    let base = plan.run(image, "base", 100);
    let mut top = plan.run(base, "top 0", 100);
    for number in 1..8 {
        let side = plan.run(base, &format!("side {number}"), 100);
        top = plan.copy(top, side, &format!("{}", 1000 + number));
        top = plan.run(top, &format!("top {number}"), 100);
    }
    top
}

#[test]
fn builds_on_one_cache_run_each_step_once() {
    let mut plan = Plan::default();
    let top = diamond(&mut plan);
    let shared = World::default();
    let worlds: Vec<World> = (0..6).map(|_| shared.neighbour()).collect();
    let stacks: Vec<_> = thread::scope(|scope| {
        let builds: Vec<_> = worlds
            .iter()
            .map(|world| scope.spawn(|| world.solve(&plan, top)))
            .collect();
        builds
            .into_iter()
            .map(|build| build.join().unwrap())
            .collect()
    });
    assert!(stacks.iter().all(|stack| *stack == stacks[0]));
    let mut ran: Vec<String> = worlds.iter().flat_map(|world| world.hands.ran()).collect();
    ran.sort();
    let mut once = ran.clone();
    once.dedup();
    assert_eq!(ran, once);
    assert_eq!(ran.len(), plan.graph.len());
}

#[test]
fn a_waiter_takes_what_the_other_made_and_says_once_that_it_waits() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let slow = plan.run(image, "slow", 100);
    let mut waiter = world.neighbour();
    // It has one job slot, which waiting does not take.
    waiter.jobs = Some(1);
    let quick = plan.run(image, "quick", 100);
    world.hands.order("slow", Order::Meet(2));
    thread::scope(|scope| {
        let winner = scope.spawn(|| world.solve(&plan, slow));
        world.hands.wait_for_name("slow");
        let follower = scope.spawn(|| waiter.try_solve(&plan, &[slow, quick]).unwrap());
        waiter.hands.wait_for_name("quick");
        waiter.wait_until_said(&plan, "slow: waiting for somebody else");
        world.hands.meet();
        let (won, followed) = (winner.join().unwrap(), follower.join().unwrap());
        assert_eq!(won, followed.outputs[0]);
    });
    assert_eq!(waiter.hands.ran(), ["quick"]);
    let said = waiter.said(&plan);
    assert_eq!(
        said.iter().filter(|said| said.contains("waiting")).count(),
        1
    );
    assert!(said.contains(&"slow: Shared".to_owned()));
    assert!(said.contains(&"slow: wrote a line".to_owned()));
}

#[test]
fn a_waiter_runs_the_step_itself_when_the_other_fails() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let step = plan.run(image, "step", 100);
    let waiter = world.neighbour();
    world.hands.order("step", Order::Hang);
    thread::scope(|scope| {
        let loser = scope.spawn(|| world.try_solve(&plan, &[step]));
        world.hands.wait_for_name("step");
        let follower = scope.spawn(|| waiter.solve(&plan, step));
        waiter.wait_until_said(&plan, "step: waiting for somebody else");
        world.cancel.cancel();
        assert!(loser.join().unwrap().is_err());
        follower.join().unwrap();
    });
    assert_eq!(waiter.hands.ran(), ["step"]);
}

#[test]
fn a_waiter_can_be_cancelled() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let step = plan.run(image, "step", 100);
    let waiter = world.neighbour();
    world.hands.order("step", Order::Hang);
    thread::scope(|scope| {
        let winner = scope.spawn(|| world.try_solve(&plan, &[step]));
        world.hands.wait_for_name("step");
        let follower = scope.spawn(|| waiter.try_solve(&plan, &[step]));
        waiter.wait_until_said(&plan, "step: waiting for somebody else");
        waiter.cancel.cancel();
        assert!(follower.join().unwrap().is_err());
        world.cancel.cancel();
        assert!(winner.join().unwrap().is_err());
    });
    assert_eq!(waiter.said(&plan).last().unwrap(), "step: cancelled");
}

#[test]
fn a_forced_step_never_takes_the_other_ones_result() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let step = plan.run(image, "step", 100);
    let waiter = world.neighbour();
    let mut again = Plan::default();
    let image = again.image(5);
    let forced = again.forced(image, "step", 100);
    world.hands.order("step", Order::Meet(2));
    thread::scope(|scope| {
        let winner = scope.spawn(|| world.solve(&plan, step));
        world.hands.wait_for_name("step");
        let follower = scope.spawn(|| waiter.solve(&again, forced));
        waiter.wait_until_said(&again, "step: waiting for somebody else");
        world.hands.meet();
        winner.join().unwrap();
        follower.join().unwrap();
    });
    assert_eq!(waiter.hands.ran(), ["step"]);
}
