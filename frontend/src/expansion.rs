//! `$name` and `${name…}` in the words of instructions.
