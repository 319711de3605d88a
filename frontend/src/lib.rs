//! Dockerfile text to a build plan.
//!
//! This room knows no Linux and no network: it asks for a base image's configuration through
//! [`plan::ImageResolver`]. Read it in this order:
//!
//! - [`instruction`]: the syntax tree
//! - [`parser`]: text to tree; all errors of a file at once
//! - [`expansion`]: `$name` and `${name…}`
//! - [`ignore`]: the ignore file
//! - [`mod@plan`]: tree to graph, configuration and history; checks and parameters without a build
//! - [`rules`]: what checks ask
//! - [`outline`]: the targets of a file and what they ask for

pub mod expansion;
pub mod ignore;
pub mod instruction;
pub mod outline;
pub mod parser;
pub mod plan;
pub mod rules;
pub mod suggest;

pub use instruction::{Dockerfile, Instruction, Stage};
pub use parser::{SyntaxError, decode, parse};
pub use plan::{BuildPlan, Findings, ImageResolver, PlanError, PlanRequest, check, plan};
