//! `rename`: gives a container another name.

use crate::cli::container::RenameArgs;
use crate::containers::find;
use crate::home::Home;
use crate::report::{Class, Failure};

/// Gives a container another name.
pub fn run(args: &RenameArgs, home: &Home) -> anyhow::Result<u8> {
    if args.container.is_empty() || args.name.is_empty() {
        return Err(Failure::new(Class::Refused, "Neither old nor new names may be empty").into());
    }
    let store = home.enter_and_open_alone()?;
    let row = find::row(&store, &args.container)?;
    let name = args.name.strip_prefix('/').unwrap_or(&args.name);
    if name == row.name {
        return Err(Failure::new(
            Class::Refused,
            "Renaming a container with the same name as its current name",
        )
        .into());
    }
    store
        .rename_container(&row.id, name)
        .map_err(|error| find::failure(&error))?;
    crate::networks::rename(&store, &row.id, name)?;
    Ok(0)
}
