//! The launcher's own process.

/// The launcher's entry point: call it before anything else when the first argument is
/// [`LAUNCHER_ARGUMENT`](super::LAUNCHER_ARGUMENT), in a single-threaded process. Gives the exit code.
pub fn launcher_main(args: &[std::ffi::OsString]) -> i32 {
    let _ = args;
    todo!("the launcher")
}
