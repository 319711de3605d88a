//! What a container costs: a number of trivial steps, each on the layers of those before it, one
//! after the other. Prints milliseconds a step.
//!
//! `steps BASE DIRECTORY [COUNT]`: BASE is a root file system with a shell, DIRECTORY must not exist.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use executor::container::spec::{
    Mount, MountSource, Network, Process, Propagation, Resources, RootFs, Security, Upper,
};
use executor::container::{
    Attachments, ContainerError, ContainerSpec, LAUNCHER_ARGUMENT, LaunchOptions, Launcher, Stdio,
    launcher_main,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == LAUNCHER_ARGUMENT) {
        std::process::exit(launcher_main());
    }
    let [_, base, store, rest @ ..] = args.as_slice() else {
        eprintln!("steps BASE DIRECTORY [COUNT]");
        std::process::exit(2);
    };
    executor::namespace::enter()?;
    let count: usize = rest.first().map_or(Ok(50), |count| count.parse())?;
    let store = Path::new(store);
    std::fs::create_dir(store)?;
    let store = std::fs::canonicalize(store)?;
    copy(Path::new(base), &store.join("base"))?;

    let began = Instant::now();
    let launcher = Launcher::start(&LaunchOptions {
        store_root: store.clone(),
        host_sources: Vec::new(),
    })?;
    println!("{:.3} ms to start the launcher", millis(began));

    let mut lower = vec![PathBuf::from("base")];
    let began = Instant::now();
    for number in 0..count {
        lower.push(step(&launcher, &store, &lower, number)?);
    }
    println!("{:.3} ms per step", millis(began) / count as f64);
    Ok(())
}

fn millis(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// Runs one step; gives its layer.
fn step(
    launcher: &Launcher,
    store: &Path,
    lower: &[PathBuf],
    number: usize,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let upper = Upper {
        fs: format!("u{number}").into(),
        work: format!("w{number}").into(),
    };
    std::fs::create_dir(store.join(&upper.fs))?;
    std::fs::create_dir(store.join(&upper.work))?;
    let layer = upper.fs.clone();
    let script = format!("echo {number} > /f{number}");
    let file = |target: &str, index| Mount {
        target: target.to_owned(),
        source: MountSource::Content {
            index,
            uid: 0,
            gid: 0,
            mode: 0o644,
        },
        readonly: true,
        nosuid: true,
        noexec: true,
        propagation: Propagation::Private,
    };
    let spec = ContainerSpec {
        root: RootFs {
            lower: lower.to_vec(),
            upper: Some(upper),
            volatile: true,
            readonly: false,
        },
        mounts: vec![file("/etc/hosts", 0), file("/etc/resolv.conf", 1)],
        process: Process {
            args: ["/bin/sh", "-c", &script].map(str::to_owned).into(),
            cwd: "/".to_owned(),
            ..Process::default()
        },
        hostname: "buildkitsandbox".to_owned(),
        network: Network::Host,
        security: Security::default(),
        resources: Resources::default(),
        cgroup_parent: None,
        shm_size: 64 << 20,
        ..ContainerSpec::default()
    };
    let attachments = Attachments {
        contents: vec![b"127.0.0.1 localhost\n".to_vec(), Vec::new()],
        ..Attachments::default()
    };
    let exit =
        launcher
            .run(&spec, attachments, Stdio::Pipes)?
            .wait(&|| false, &mut |_, bytes| {
                eprint!("{}", String::from_utf8_lossy(bytes));
            })?;
    if exit.status.code() != 0 {
        return Err(Box::new(ContainerError::Invalid {
            why: format!("step {number} ended with {:?}", exit.status),
        }));
    }
    Ok(layer)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
