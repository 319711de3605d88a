//! What is taken from the cache, and what is not.

use super::plan::Plan;
use super::world::{Order, World};
use crate::HitOrigin;
use crate::schedule::Outcome;

#[test]
fn what_ran_once_is_found_by_definition_and_nothing_is_read() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 7);
    let (image, context) = (plan.image(5), plan.context("context"));
    let a = plan.run(image, "a", 100);
    let b = plan.copy(a, context, "10");
    let c = plan.run(b, "c", 100);

    let first = world.solve(&plan, c);
    assert_eq!(world.hands.ran(), ["a", "c", "copy 10", "image5"]);
    assert_eq!(
        world.said(&plan),
        [
            "context: started",
            "context: done",
            "image5: missed: no record of image5",
            "image5: started",
            "image5: done",
            "a: missed: no record of a",
            "a: started",
            "a: done",
            "copy 10: missed: no record of copy 10",
            "copy 10: started",
            "copy 10: done",
            "c: missed: no record of c",
            "c: started",
            "c: done",
        ]
    );
    assert_eq!(world.memory.pinned(), 0, "pins end with the solution");

    world.memory.asked();
    world.hands.selected();
    assert_eq!(world.solve(&plan, c), first);
    assert_eq!(world.hands.ran(), Vec::<String>::new());
    assert_eq!(world.hands.selected(), 1);
    assert_eq!(world.memory.asked(), (0, 1), "one look-up for all");
    assert_eq!(
        world.said(&plan),
        [
            "context: started",
            "context: done",
            "image5: Definition",
            "a: Definition",
            "copy 10: Definition",
            "c: Definition",
        ]
    );
}

#[test]
fn a_touched_context_is_a_hit_and_a_changed_one_is_not() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 7);
    let (scratch, context) = (plan.scratch(), plan.context("context"));
    let a = plan.copy(scratch, context, "10");
    let b = plan.run(a, "b", 100);
    world.solve(&plan, b);
    world.hands.ran();
    world.hands.set("context", 17);
    world.solve(&plan, b);
    assert_eq!(world.hands.ran(), Vec::<String>::new());
    world.hands.set("context", 18);
    world.solve(&plan, b);
    assert_eq!(world.hands.ran(), ["b", "copy 10"]);
}

#[test]
fn a_step_that_leaves_the_same_again_cuts_off_those_above() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 1);
    let (image, context) = (plan.image(5), plan.context("context"));
    let copied = plan.copy(image, context, "100");
    // Selects nothing that differs, and leaves the same whatever it is on.
    let stage = plan.copy(image, copied, "1");
    let top = plan.run(stage, "top", 1_000);
    let before = world.solve(&plan, top);
    world.hands.ran();
    world.said(&plan);

    world.hands.set("context", 2);
    let solution = world.try_solve(&plan, &[top]).unwrap();
    assert_eq!(solution.outputs[0], before);
    assert_eq!(world.hands.ran(), ["copy 100"]);
    let how = solution
        .vertices
        .iter()
        .find(|it| it.vertex == top)
        .unwrap()
        .how;
    assert_eq!(how, Outcome::Cached(HitOrigin::Content));
    world.said(&plan);

    // The content hit answers the definition from now on.
    world.solve(&plan, top);
    assert_eq!(world.said(&plan).last().unwrap(), "top: Definition");
}

#[test]
fn cutoff_works_from_run_to_run() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let sure = plan.run(image, "sure", 1);
    let unsure = plan.run(sure, "unsure", 100);
    let top = plan.run(unsure, "top", 100);
    world.hands.order("unsure", Order::Differ);
    let stack = world.solve(&plan, top);
    world.hands.ran();

    // It runs again and leaves what it left before: the record above brings its whole stack.
    world.memory.forget("sure");
    world.memory.forget_aliases();
    assert_eq!(world.solve(&plan, top), stack);
    assert_eq!(world.hands.ran(), ["sure"]);

    // It runs again and leaves something else: so do those above.
    world.memory.forget("unsure");
    world.memory.forget_aliases();
    assert_ne!(world.solve(&plan, top), stack);
    assert_eq!(world.hands.ran(), ["top", "unsure"]);
}

#[test]
fn a_record_found_by_content_needs_no_image() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let run = plan.run(image, "run", 100);
    world.solve(&plan, run);
    world.hands.ran();
    world.memory.forget("image5");
    world.memory.forget_aliases();
    world.solve(&plan, run);
    assert_eq!(world.hands.ran(), Vec::<String>::new());
}

#[test]
fn an_evicted_tree_is_made_anew_once() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let a = plan.run(image, "a", 100);
    let b = plan.run(a, "b", 100);
    let c = plan.run(a, "c", 100);
    world.solve(&plan, b);
    world.hands.ran();
    world.memory.vanish("a");
    let solution = world.try_solve(&plan, &[b, c]).unwrap();
    assert_eq!(world.hands.ran(), ["a", "c"]);
    assert_eq!(solution.outputs.len(), 2);
}

#[test]
fn generations_of_an_unsure_step_never_mix() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.order("unsure", Order::Differ);
    let image = plan.image(5);
    let unsure = plan.run(image, "unsure", 100);
    let (b, c) = (
        plan.run(unsure, "b", 100_000),
        plan.run(unsure, "c", 100_000),
    );
    let copied = plan.copy(image, unsure, "1000000007");
    world.try_solve(&plan, &[b, copied]).unwrap();
    world.hands.ran();

    // While the build goes on, the tree of the first generation turns out to be gone: whoever was
    // found on it is asked again.
    world.memory.vanish("unsure");
    let solution = world.try_solve(&plan, &[b, copied, c]).unwrap();
    assert_eq!(world.hands.ran(), ["b", "c", "copy 1000000007", "unsure"]);
    assert_eq!(solution.outputs[0].0[1], solution.outputs[2].0[1]);

    // A generation made by a build that went no further: its alias is of one generation, the ones
    // above of another.
    world.memory.forget("unsure");
    world.solve(&plan, unsure);
    world.hands.ran();
    let solution = world.try_solve(&plan, &[b, copied, unsure]).unwrap();
    assert_eq!(world.hands.ran(), ["b", "copy 1000000007"]);
    assert_eq!(solution.outputs[0].0[1], solution.outputs[2].0[1]);
}

#[test]
fn trust_in_a_generation_ends_with_it() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.order("unsure", Order::Differ);
    let image = plan.image(5);
    let unsure = plan.run(image, "unsure", 100);
    let merged = plan.merge(&[unsure]);
    let middle = plan.run(merged, "middle", 1 << 40);
    let top = plan.run(middle, "top", 1 << 40);
    let other = plan.run(unsure, "other", 1 << 40);
    world.solve(&plan, top);
    world.hands.ran();
    // Nobody asks for the middle: it was found, and so was the top.
    world.memory.vanish("unsure");
    let solution = world.try_solve(&plan, &[top, other]).unwrap();
    assert_eq!(world.hands.ran(), ["middle", "other", "top", "unsure"]);
    assert_eq!(solution.outputs[0].0[1], solution.outputs[1].0[1]);
}

#[test]
fn concatenated_stacks_need_no_trees() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("context", 7);
    let (image, context) = (plan.image(5), plan.context("context"));
    let (a, b) = (
        plan.copy_link(context, "10"),
        plan.copy_link(context, "100"),
    );
    let merged = plan.merge(&[image, a, b]);
    let top = plan.run(merged, "top", 100);
    let stack = world.solve(&plan, top);
    assert_eq!(stack.0.len(), 4);
    assert_eq!(world.hands.ran(), ["image5", "link 10", "link 100", "top"]);

    // By definition, then by content: the image is not fetched for either.
    world.memory.forget("image5");
    assert_eq!(world.solve(&plan, top), stack);
    world.memory.forget_aliases();
    assert_eq!(world.solve(&plan, top), stack);
    assert_eq!(world.hands.ran(), Vec::<String>::new());
    assert_eq!(world.solve(&plan, merged).0, stack.0[..3]);
    assert_eq!(world.hands.ran(), ["image5"]);
}

#[test]
fn a_download_is_revalidated_and_fetched_only_when_needed() {
    let (world, mut plan) = (World::default(), Plan::default());
    world.hands.set("https://a/f", 3);
    let (image, http) = (plan.image(5), plan.http("https://a/f"));
    let copied = plan.copy(image, http, "1000");
    world.solve(&plan, copied);
    assert_eq!(world.hands.ran(), ["copy 1000", "https://a/f", "image5"]);
    world.memory.forget("https://a/f");
    world.solve(&plan, copied);
    assert_eq!(world.hands.ran(), Vec::<String>::new());
    world.hands.set("https://a/f", 4);
    world.solve(&plan, copied);
    assert_eq!(world.hands.ran(), ["copy 1000", "https://a/f"]);
}

#[test]
fn nobody_needs_what_only_a_cached_step_stands_on() {
    let (world, mut plan) = (World::default(), Plan::default());
    let image = plan.image(5);
    let a = plan.run(image, "a", 100);
    let b = plan.run(a, "b", 100);
    world.solve(&plan, b);
    world.memory.forget("a");
    world.said(&plan);
    world.solve(&plan, b);
    assert_eq!(
        world.said(&plan),
        ["image5: Definition", "b: Definition", "a: skipped"]
    );
}
