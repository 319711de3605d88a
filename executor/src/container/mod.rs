//! The runtime: a spec, a plan of mounts, the launcher, and what a container reports.

pub mod spec;

pub use spec::ContainerSpec;
