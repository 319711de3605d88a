//! A plan for programs: every vertex, with its inputs by position, and what would become of it.

use std::collections::HashMap;

use frontend::BuildPlan;
use serde_json::{Value, json};

use super::Picture;

/// The plan as one JSON document. `verdict` is `cached`, `runs`, `unknown`, `fails`, `skipped`, or
/// null where there is nothing to say: of what needs no work, and of all if nothing could be told.
pub fn draw(picture: &Picture, plan: &BuildPlan) -> String {
    let groups = picture.groups_of_steps();
    let steps = picture.steps.iter().zip(groups);
    let steps: HashMap<_, _> = steps
        .map(|(step, group)| (step.vertex, (step, &picture.groups[group].name)))
        .collect();
    let vertices = plan.graph.iter().map(|(id, vertex)| {
        let step = steps.get(&id);
        let inputs: Vec<Value> = vertex.inputs.iter().map(|id| json!(id.hex())).collect();
        json!({
            "id": id.hex(),
            "kind": vertex.op.kind(),
            "name": vertex.meta.name,
            "group": step.map(|(_, group)| group),
            "span": vertex.meta.span.map(|span| [span.start, span.end]),
            "inputs": inputs,
            "verdict": step.and_then(|(step, _)| step.verdict.word()),
            "reason": step.and_then(|(step, _)| step.verdict.reason()),
        })
    });
    let vertices: Vec<Value> = vertices.collect();
    let targets = plan.targets.iter().map(|target| {
        json!({
            "platform": target.platform.to_string(),
            "vertex": target.root.hex(),
        })
    });
    let targets: Vec<Value> = targets.collect();
    let all = json!({
        "targets": targets,
        "foretold": picture.is_foretold,
        "vertices": vertices,
    });
    format!("{all:#}\n")
}
