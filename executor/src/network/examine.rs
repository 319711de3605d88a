//! Whether this machine gives containers networks, found out by making some.

use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::error::NetworkError;
use super::filter::{Chain, Expression, Hook, Side, Table};
use super::link::Links;
use super::namespace::within;
use super::pasta;

/// Makes a bridge and a rule where nobody sees them. For root.
///
/// # Errors
/// What is missing, and the cure.
pub fn examine_bridges() -> Result<(), NetworkError> {
    let namespace = super::new_namespace()?;
    within(&namespace, || {
        Links::open()?.add_bridge("rb-examined", [2; 6], None)
    })
    .map_err(super::bridge::lacking("a bridge", "bridge"))?;
    let chain = Chain {
        hook: Hook::Exit,
        rules: vec![vec![
            Expression::Address(Side::From, pasta::ADDRESS, 32),
            Expression::Masquerade,
        ]],
    };
    within(&namespace, || Table::open("rbuild-examined")?.set(&[chain]))
        .map_err(super::up::lacking_filter)
}

/// Whether the program of an ordinary user's networks is there, and may use what it needs.
///
/// # Errors
/// What is missing, and the cure.
pub fn examine_pasta() -> Result<(), NetworkError> {
    if !pasta::PATH
        .split(':')
        .any(|folder| Path::new(folder).join(pasta::PROGRAM).exists())
    {
        return Err(pasta::missing());
    }
    rustix::fs::open(
        "/dev/net/tun",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map(drop)
    .map_err(|cause| pasta::without_tun(cause, ""))
}
