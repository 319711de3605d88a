//! `rbuild graph`.

use clap::{Args, ValueEnum};

use super::plan::PlanArgs;

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// What would be built.
    #[command(flatten)]
    pub plan: PlanArgs,

    /// How the plan is drawn
    #[arg(long, value_enum, default_value = "text")]
    pub format: GraphFormat,
}

/// How a plan is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Stages one below the other, with lines between them
    Text,
    /// For graphviz: `rbuild graph --format=dot | dot -Tpng`
    Dot,
    /// Every vertex with its inputs
    Json,
    /// A picture for browsers
    Svg,
}
