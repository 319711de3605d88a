//! Vertices, and the DAG in which equal vertices are one.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

use crate::digest::{Encoder, digest};
use crate::op::Op;

digest! {
    /// Hash of an op and its input ids: identity inside one build.
    VertexId
}

/// A byte range of the Dockerfile, in a finding also of the ignore file; travels with a vertex to the
/// error's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start..span.end
    }
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// What it does.
    pub op: Op,
    /// On what; the op says what each position means.
    pub inputs: Vec<VertexId>,
    /// What people are told of it; not part of its identity.
    pub meta: VertexMeta,
}

/// What people are told of a vertex, and how it is to be treated; not part of its identity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VertexMeta {
    /// As shown: `[build 2/5] RUN make`.
    pub name: String,
    /// Where it stands in the Dockerfile.
    pub span: Option<Span>,
    /// The stage's name, or its number as text; empty for what belongs to none.
    pub stage: String,
    /// Position among the stage's steps, from 1; finds the earlier record that explains a miss.
    pub step: u32,
    /// `--no-cache`: never taken from the cache by definition, nor by content through the root
    /// file system.
    pub forced: bool,
}

/// A vertex with its id, which is made once.
#[derive(Debug, Clone)]
struct Node {
    id: VertexId,
    vertex: Vertex,
}

/// A directed acyclic graph of vertices. Adding a vertex that is there already gives its id.
#[derive(Debug, Default, Clone)]
pub struct Graph {
    dag: DiGraph<Node, usize>,
    by_id: HashMap<VertexId, NodeIndex>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vertex whose inputs were added before, and returns its id.
    ///
    /// An equal vertex is there once: it keeps the first one's meta, forced if either is.
    ///
    /// # Panics
    /// If an input was never added; so a graph cannot have a cycle.
    pub fn add(&mut self, vertex: Vertex) -> VertexId {
        self.insert(Node {
            id: vertex_id(&vertex),
            vertex,
        })
    }

    fn insert(&mut self, node: Node) -> VertexId {
        let id = node.id;
        if let Some(&there) = self.by_id.get(&id) {
            self.dag[there].vertex.meta.forced |= node.vertex.meta.forced;
            return id;
        }
        let inputs: Vec<NodeIndex> = node
            .vertex
            .inputs
            .iter()
            .map(|input| {
                *self
                    .by_id
                    .get(input)
                    .expect("inputs are added before their users")
            })
            .collect();
        let user = self.dag.add_node(node);
        for (position, input) in inputs.into_iter().enumerate() {
            self.dag.add_edge(input, user, position);
        }
        self.by_id.insert(id, user);
        id
    }

    /// The vertex with this id.
    pub fn get(&self, id: &VertexId) -> Option<&Vertex> {
        self.by_id.get(id).map(|&node| &self.dag[node].vertex)
    }

    /// Number of vertices.
    pub fn len(&self) -> usize {
        self.dag.node_count()
    }

    /// Whether there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.dag.node_count() == 0
    }

    /// All vertices with their ids, inputs before users.
    pub fn iter(&self) -> impl Iterator<Item = (VertexId, &Vertex)> {
        // Nodes are only ever added after their inputs, so index order is topological.
        self.dag.node_weights().map(|node| (node.id, &node.vertex))
    }

    /// The part of the graph that `targets` need, the targets included.
    #[must_use]
    pub fn reachable(&self, targets: &[VertexId]) -> Self {
        let mut part = Self::new();
        for node in self.needed(targets) {
            part.insert(node.clone());
        }
        part
    }

    /// The vertices that `targets` need, the targets included, inputs before users.
    pub(crate) fn iter_needed(
        &self,
        targets: &[VertexId],
    ) -> impl Iterator<Item = (VertexId, &Vertex)> {
        self.needed(targets).map(|node| (node.id, &node.vertex))
    }

    fn needed(&self, targets: &[VertexId]) -> impl Iterator<Item = &Node> {
        let mut needed = vec![false; self.dag.node_count()];
        let mut open: Vec<NodeIndex> = targets
            .iter()
            .filter_map(|id| self.by_id.get(id).copied())
            .collect();
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut needed[node.index()], true) {
                open.extend(
                    self.dag
                        .neighbors_directed(node, petgraph::Direction::Incoming),
                );
            }
        }
        self.dag
            .node_weights()
            .zip(needed)
            .filter_map(|(node, needed)| needed.then_some(node))
    }
}

fn vertex_id(vertex: &Vertex) -> VertexId {
    let mut op = Fields(Vec::with_capacity(512));
    vertex.op.hash(&mut op);
    let mut encoder = Encoder::new("rbuild vertex v2");
    encoder.field(&op.0);
    for input in &vertex.inputs {
        encoder.field(&input.0);
    }
    VertexId(encoder.finish())
}

/// Gathers what an op is made of, as it is hashed: a variant has its number, a list its length,
/// and a text an end that no text holds, so that no two ops give the same bytes.
struct Fields(Vec<u8>);

impl Hasher for Fields {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        // The bytes are what is asked for.
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::ContextOp;

    fn context(name: &str, forced: bool) -> Vertex {
        Vertex {
            op: Op::Context(ContextOp { name: name.into() }),
            inputs: Vec::new(),
            meta: VertexMeta {
                forced,
                ..VertexMeta::default()
            },
        }
    }

    fn merge(inputs: &[VertexId]) -> Vertex {
        Vertex {
            op: Op::Merge,
            inputs: inputs.to_vec(),
            meta: VertexMeta::default(),
        }
    }

    #[test]
    fn equal_vertices_are_one_and_inputs_come_first() {
        let mut graph = Graph::new();
        let (a, b) = (
            graph.add(context("a", false)),
            graph.add(context("b", false)),
        );
        let top = graph.add(merge(&[a, b]));
        assert_ne!(top, graph.add(merge(&[b, a])));
        assert_eq!(top, graph.add(merge(&[a, b])));
        assert_eq!(a, graph.add(context("a", true)));
        assert!(graph.get(&a).unwrap().meta.forced);
        assert_eq!(graph.len(), 4);
        let part = graph.reachable(&[top]);
        assert_eq!(
            part.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            [a, b, top]
        );
    }

    #[test]
    #[should_panic(expected = "inputs are added before their users")]
    fn an_unknown_input_is_a_bug() {
        Graph::new().add(merge(&[VertexId([0; 32])]));
    }
}
