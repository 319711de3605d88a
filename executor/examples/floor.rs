//! The least that a step can cost: the system calls that no builder gets around, and nothing else.
//! For each step an overlay with an upper directory of its own over all earlier ones, new namespaces,
//! /proc, another root, and a shell that writes a file. Prints milliseconds a step.
//!
//! `floor BASE DIRECTORY [COUNT]`: BASE is a root file system with a shell, DIRECTORY is empty or
//! not there, on the file system to be measured. Needs root.
//!
//! There is no isolation beyond namespaces here: it is a measure, not a way to run anything.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program"
)]

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};

/// Steps without a count.
const COUNT: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [base, directory, rest @ ..] = args.as_slice() else {
        eprintln!("floor BASE DIRECTORY [COUNT]");
        std::process::exit(2);
    };
    let count = rest.first().map_or(Ok(COUNT), |count| count.parse())?;
    let base = std::fs::canonicalize(base)?;
    std::fs::create_dir_all(directory)?;
    // Short names: mount(2) takes one page of options.
    chdir(Path::new(directory))?;
    std::fs::create_dir_all("m")?;
    let mut lower = base.display().to_string();
    let began = Instant::now();
    for number in 0..count {
        let (upper, work) = (format!("u{number}"), format!("w{number}"));
        std::fs::create_dir(&upper)?;
        std::fs::create_dir(&work)?;
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        // The namespaces are those of the thread that made them, and go with it.
        let step = std::thread::spawn(move || step(&options, number).map_err(|e| e.to_string()));
        step.join().map_err(|_| "a step panicked")??;
        lower = format!("{upper}:{lower}");
    }
    let millis = began.elapsed().as_secs_f64() * 1e3;
    println!("{:.3} ms per step", millis / count as f64);
    Ok(())
}

fn step(options: &str, number: usize) -> Result<(), Box<dyn Error>> {
    const NOTHING: Option<&str> = None;
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP,
    )?;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(NOTHING, "/", NOTHING, private, NOTHING)?;
    mount(
        Some("overlay"),
        "m",
        Some("overlay"),
        MsFlags::empty(),
        Some(options),
    )?;
    chdir("m")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "proc", Some("proc"), flags, NOTHING)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    let script = format!("echo {number} > /f{number}");
    let status = Command::new("/bin/sh").args(["-c", &script]).status()?;
    if !status.success() {
        return Err(format!("step {number} ended with {status}").into());
    }
    Ok(())
}
