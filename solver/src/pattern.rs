//! Path patterns: Go's `filepath.Match`, and the ignore file's lists in which the last match wins.
