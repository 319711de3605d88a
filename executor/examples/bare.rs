//! The least that a container can cost, isolated as `rbuild run --network=host` isolates one, by the
//! kernel's own calls: directories for its changes, a clone into new namespaces, an overlay, the same
//! file systems, devices, masks and read-only places, another root, a filter of as many instructions,
//! the same capabilities, `true`, and all of it gone again. No store, no log, no monitor.
//! Prints milliseconds a container.
//!
//! `bare BASE DIRECTORY [COUNT]`: BASE is a root file system, DIRECTORY is empty or not there, on
//! the file system to be measured. Needs root. It is a measure, not a way to run anything.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program"
)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use executor::container::plan;
use executor::sys::filter::{Instruction, load_seccomp};
use executor::sys::process::{Cloned, clone_process, exit_now, wait};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, execve, pivot_root};
use rustix::thread::CapabilitySet;

const COUNT: usize = 50;
const NOTHING: Option<&str> = None;
/// Instructions of Docker's default profile as rbuild loads it.
const FILTER: usize = 412;
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];
const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [base, directory, rest @ ..] = args.as_slice() else {
        eprintln!("bare BASE DIRECTORY [COUNT]");
        std::process::exit(2);
    };
    let count = rest.first().map_or(Ok(COUNT), |count| count.parse())?;
    let base = fs::canonicalize(base)?;
    fs::create_dir_all(directory)?;
    chdir(Path::new(directory))?;
    fs::create_dir_all("m")?;
    for file in FILES {
        fs::write(file, "127.0.0.1 localhost\n")?;
    }
    let began = Instant::now();
    for _ in 0..count {
        one(&base)?;
    }
    let millis = began.elapsed().as_secs_f64() * 1e3;
    println!("{:.3} ms per container", millis / count as f64);
    Ok(())
}

fn one(base: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir("u")?;
    fs::create_dir("w")?;
    let flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    match clone_process(flags as u64, None)? {
        Cloned::Child => {
            // comes back only with an error
            if let Err(error) = inside(base) {
                eprintln!("{error}");
            }
            exit_now(1)
        }
        Cloned::Parent { pid, .. } => {
            let waited = wait(Some(pid), true)?;
            if waited.and_then(|waited| waited.code) != Some(0) {
                return Err("a container failed".into());
            }
        }
    }
    fs::remove_dir_all("u")?;
    fs::remove_dir_all("w")?;
    Ok(())
}

fn inside(base: &Path) -> Result<(), Box<dyn Error>> {
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    let bind = |from: &str, to: &str| mount(Some(from), to, NOTHING, MsFlags::MS_BIND, NOTHING);
    let fresh = |kind: &str, to: &str, options: Option<&str>| {
        mount(Some(kind), to, Some(kind), hidden, options)
    };
    mount(NOTHING, "/", NOTHING, private, NOTHING)?;
    let options = format!("lowerdir={},upperdir=u,workdir=w", base.display());
    let nodev = MsFlags::MS_NODEV;
    mount(
        Some("overlay"),
        "m",
        Some("overlay"),
        nodev,
        Some(options.as_str()),
    )?;
    fresh("proc", "m/proc", None)?;
    fresh("tmpfs", "m/dev", Some("mode=755,size=64m"))?;
    for name in DEVICES {
        let to = format!("m/dev/{name}");
        fs::write(&to, "")?;
        bind(&format!("/dev/{name}"), &to)?;
    }
    for (to, name) in LINKS {
        std::os::unix::fs::symlink(to, format!("m/dev/{name}"))?;
    }
    for (kind, name, options) in [
        ("devpts", "pts", Some("newinstance,ptmxmode=0666,mode=0620")),
        ("tmpfs", "shm", Some("mode=1777,size=64m")),
        ("mqueue", "mqueue", None),
    ] {
        let to = format!("m/dev/{name}");
        fs::create_dir(&to)?;
        fresh(kind, &to, options)?;
    }
    fresh("sysfs", "m/sys", None)?;
    for name in FILES {
        let to = format!("m/etc/{name}");
        if !Path::new(&to).exists() {
            fs::write(&to, "")?;
        }
        bind(name, &to)?;
    }
    for path in plan::masked() {
        let to = format!("m{path}");
        if Path::new(&to).is_file() {
            bind("/dev/null", &to)?;
        }
    }
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for path in plan::protected() {
        let to = format!("m{path}");
        if Path::new(&to).exists() {
            bind(&to, &to)?;
            mount(NOTHING, to.as_str(), NOTHING, read_only, NOTHING)?;
        }
    }
    chdir("m")?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    confine()?;
    execve(c"/bin/true", &[c"true"], &[c"PATH=/bin"])?;
    Ok(())
}

/// Docker's fourteen capabilities, and a filter of the length of its profile.
fn confine() -> Result<(), Box<dyn Error>> {
    let kept = CapabilitySet::from_bits_retain(0xa804_25fb);
    load_seccomp(&filter())?;
    for capability in (0..=40).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        if !kept.contains(capability) {
            rustix::thread::remove_capability_from_bounding_set(capability)?;
        }
    }
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

/// Allows everything, after as many comparisons as there may be: the kernel checks and compiles it.
fn filter() -> Vec<Instruction> {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    let instruction = |code, operand| Instruction {
        code,
        yes: 0,
        no: 0,
        operand,
    };
    let mut program = vec![instruction(LOAD, 0)];
    program.resize(FILTER - 1, instruction(EQUAL, u32::MAX));
    program.push(instruction(RETURN, ALLOW));
    program
}
