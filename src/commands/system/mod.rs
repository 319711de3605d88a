//! `system`, `info` and `version`: the whole, as docker's commands show it.

mod df;
mod info;
mod prune;
mod reset;
mod version;

use crate::cli::system::{SystemArgs, SystemCommand};
use crate::home::Home;

pub use info::run as info;
pub use version::run as version;

/// Does what the arguments ask for.
pub fn command(args: &SystemArgs, home: &Home) -> anyhow::Result<u8> {
    match &args.command {
        SystemCommand::Df(args) => df::run(args, home),
        SystemCommand::Info(args) => info::run(args, home),
        SystemCommand::Prune(args) => prune::run(args, home),
        SystemCommand::Reset => reset::run(home),
    }
}

/// A document as docker's templates see it, or as the text that people read.
fn print(
    document: &serde_json::Value,
    format: Option<&str>,
    text: impl FnOnce() -> String,
) -> Result<(), crate::report::Failure> {
    use crate::template::{Template, Value};
    let Some(format) = format else {
        return crate::output::print(&text());
    };
    let format = if format == "json" {
        "{{json .}}"
    } else {
        format
    };
    let malformed = |error| crate::columns::malformed(&error);
    let template = Template::parse(format).map_err(crate::columns::unreadable)?;
    let shown = template.render(&Value::of(document, &|_| None));
    crate::output::print(&format!("{}\n", shown.map_err(malformed)?))
}
