//! Steps that are not to use the cache, and what stands on them.

use super::plan::Plan;
use super::world::{Order, World};

#[test]
fn a_forced_step_and_those_on_its_root_run_again() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let a = plan.run(image, "a", 100);
    let b = plan.forced(a, "b", 100);
    let c = plan.run(b, "c", 100);
    let d = plan.workdir(c, "/d", false);
    world.solve(&plan, d);
    assert_eq!(world.hands.ran(), ["/d", "a", "b", "c", "image5"]);
    assert_eq!(world.hands.forced(), ["b"]);
    world.said(&plan);
    world.solve(&plan, d);
    assert_eq!(world.hands.ran(), ["/d", "b", "c"]);
    assert_eq!(world.hands.forced(), ["b"], "only b gets new cache mounts");
    let said = world.said(&plan);
    assert!(said.contains(&"b: missed: asked not to use the cache".to_owned()));
    assert!(said.contains(&"c: missed: on a step that was not to use the cache".to_owned()));
}

#[test]
fn what_is_copied_from_a_forced_stage_is_looked_up_by_content() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let stage = plan.forced(image, "stage", 100);
    let copied = plan.copy(image, stage, "1000000007");
    let top = plan.run(copied, "top", 100);
    let before = world.solve(&plan, top);
    world.hands.ran();
    world.memory.asked();
    assert_eq!(world.solve(&plan, top), before);
    assert_eq!(world.hands.ran(), ["stage"]);
    let (finds, _) = world.memory.asked();
    assert_eq!(finds, 2, "copy and top, by content");

    world.hands.order("stage", Order::Differ);
    assert_ne!(world.solve(&plan, top), before);
    assert_eq!(world.hands.ran(), ["copy 1000000007", "stage", "top"]);
}

#[test]
fn a_workdir_is_never_forced() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let dir = plan.workdir(image, "/src", true);
    let top = plan.run(dir, "top", 100);
    world.solve(&plan, top);
    world.hands.ran();
    world.solve(&plan, top);
    assert_eq!(world.hands.ran(), Vec::<String>::new());
}

#[test]
fn a_forced_result_is_what_later_builds_take() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.order("a", Order::Differ);
    let image = plan.image(5);
    let a = plan.run(image, "a", 100);
    let old = world.solve(&plan, a);
    let mut again = Plan::default();
    let image = again.image(5);
    let forced = again.forced(image, "a", 100);
    let new = world.solve(&again, forced);
    assert_ne!(old, new);
    assert_eq!(world.solve(&plan, a), new);
}
