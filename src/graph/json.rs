//! A plan for programs: every vertex, with its inputs by position, and what would become of it.

use serde_json::{Value, json};

use frontend::BuildPlan;

use super::Picture;

/// The plan as one JSON document. `verdict` is `cached`, `runs`, `unknown`, `fails`, `skipped`, or
/// null where there is nothing to say: of what needs no work, and of all if nothing could be told.
pub fn draw(picture: &Picture, plan: &BuildPlan) -> String {
    let vertices = plan.graph.iter().map(|(id, vertex)| {
        let step = picture.steps.iter().find(|step| step.vertex == id);
        let group = picture.groups.iter().find(|group| {
            let mut steps = group.steps.iter();
            steps.any(|&step| picture.steps[step].vertex == id)
        });
        let inputs: Vec<Value> = vertex.inputs.iter().map(|id| json!(id.hex())).collect();
        json!({
            "id": id.hex(),
            "kind": vertex.op.kind(),
            "name": vertex.meta.name,
            "group": group.map(|group| &group.name),
            "span": vertex.meta.span.map(|span| [span.start, span.end]),
            "inputs": inputs,
            "verdict": step.and_then(|step| step.verdict.word()),
            "reason": step.and_then(|step| step.verdict.reason()),
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
