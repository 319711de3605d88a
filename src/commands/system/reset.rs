//! `system reset`: removes the whole store.

use anyhow::Context;

use crate::home::Home;
use crate::report::{Class, Failure};

/// Removes it, also what an ordinary rm(1) cannot.
pub fn run(home: &Home) -> anyhow::Result<u8> {
    executor::namespace::enter().context("cannot remove files of other ids")?;
    let root = home.root();
    if !root.exists() {
        return Ok(0);
    }
    // Never removes a directory that somebody named by mistake.
    if !root.join("store.json").exists() && std::fs::read_dir(root)?.next().is_some() {
        return Err(Failure::new(
            Class::Yours,
            format!("{} is not a store of rbuild", root.display()),
        )
        .into());
    }
    std::fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    Ok(0)
}
