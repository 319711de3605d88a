//! Lowering, end to end: Dockerfiles in, graphs and configurations out.
