//! The solve on integers: a layer is a number, a step computes one, and every call is counted.

mod caching;
mod failing;
mod forcing;
mod foretelling;
mod memory;
mod plan;
mod random;
mod scale;
mod sharing;
mod world;
