//! One file for each kind of op.
