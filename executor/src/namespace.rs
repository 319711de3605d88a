//! User namespaces: which of them this machine allows, and how to enter one. Knows no container.

/// Whether this process is in the first user namespace.
pub fn is_initial() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// What to change when the kernel refuses namespaces.
pub fn cure() -> &'static str {
    "`rbuild doctor` says what this machine allows"
}
