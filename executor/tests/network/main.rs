//! Networks in a private network namespace that stands for the host: nothing of this machine's is
//! touched. Each test has its own.

mod fixture;

mod bridges;
mod names;
