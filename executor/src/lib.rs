//! Containers and the ops that fill layers.
//!
//! This room knows no Dockerfile; and within it, [`container`] knows no solver.
//!
//! - [`cdi`]: devices by name, as the Container Device Interface describes them
//! - [`container`]: everything needed to start one as plain data, the launcher that starts it, and what it reports
//! - [`monitor`]: one process a running container, that outlives the command that started it
//! - [`namespace`]: how an ordinary user gets the rights that containers need
//! - [`network`]: networks of containers: what is wanted as plain data, and what makes and unmakes it
//! - [`ops`]: one file for each kind of op: what a step's container or copy is
//! - [`sys`]: the only `unsafe` code of the project: system calls that no crate has

mod archive;
pub mod cdi;
pub mod container;
mod kernel;
pub mod monitor;
pub mod namespace;
pub mod network;
pub mod ops;
pub mod sys;
