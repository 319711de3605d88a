//! A store with one layer, a launcher on it, and short ways to run a shell in a container.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use executor::container::spec::{
    Mount, MountSource, Network, Process, Propagation, Resources, RootFs, Security, Upper,
};
use executor::container::{
    Attachments, ContainerError, ContainerSpec, Exit, LaunchOptions, Launcher, Stdio, Stream,
};

pub struct Fixture {
    pub store: tempfile::TempDir,
    pub launcher: Launcher,
    next: AtomicUsize,
}

/// What a shell in a container said.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub exit: Exit,
}

impl Fixture {
    /// None, loudly, when there is no static busybox.
    pub fn new() -> Option<Self> {
        let store = tempfile::tempdir().unwrap();
        if !base(&store.path().join("base")) {
            eprintln!("SKIPPED: no static busybox");
            return None;
        }
        std::fs::create_dir(store.path().join("offered")).unwrap();
        std::fs::write(store.path().join("offered/file"), "from the host").unwrap();
        let launcher = launch(store.path()).unwrap();
        Some(Self {
            store,
            launcher,
            next: AtomicUsize::new(0),
        })
    }

    /// A container on the base, with an upper directory of its own.
    pub fn spec(&self, script: &str) -> ContainerSpec {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = PathBuf::from(format!("step{number}"));
        let upper = Upper {
            fs: at.join("fs"),
            work: at.join("work"),
        };
        for directory in [&upper.fs, &upper.work] {
            std::fs::create_dir_all(self.store.path().join(directory)).unwrap();
        }
        spec(Some(upper), script)
    }

    pub fn run(&self, spec: &ContainerSpec) -> Result<Said, ContainerError> {
        self.run_with(spec, Attachments::default())
    }

    pub fn run_with(
        &self,
        spec: &ContainerSpec,
        attachments: Attachments<'_>,
    ) -> Result<Said, ContainerError> {
        let running = self.launcher.run(spec, attachments, Stdio::Pipes)?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = running.wait(&|| false, &mut |stream, bytes| match stream {
            Stream::Out => out.extend_from_slice(bytes),
            Stream::Err => err.extend_from_slice(bytes),
        })?;
        Ok(Said {
            out: String::from_utf8_lossy(&out).into_owned(),
            err: String::from_utf8_lossy(&err).into_owned(),
            exit,
        })
    }

    /// The output of a script that must succeed.
    pub fn sh(&self, script: &str) -> String {
        let said = self.run(&self.spec(script)).unwrap();
        assert_eq!(said.exit.status.code(), 0, "{script}: {said:?}");
        said.out
    }
}

pub fn launch(store: &Path) -> Result<Launcher, ContainerError> {
    Launcher::start(&LaunchOptions {
        store_root: store.to_owned(),
        host_sources: vec![store.join("offered")],
    })
}

/// A shell on the base.
pub fn spec(upper: Option<Upper>, script: &str) -> ContainerSpec {
    ContainerSpec {
        root: RootFs {
            lower: vec!["base".into()],
            upper,
            volatile: true,
            readonly: false,
        },
        mounts: Vec::new(),
        process: Process {
            args: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: vec!["PATH=/bin".to_owned()],
            cwd: "/".to_owned(),
            ..Process::default()
        },
        hostname: "box".to_owned(),
        network: Network::Host,
        security: Security::default(),
        resources: Resources::default(),
        cgroup_parent: None,
        shm_size: 64 << 20,
        ..ContainerSpec::default()
    }
}

pub fn mount(target: &str, source: MountSource) -> Mount {
    Mount {
        target: target.to_owned(),
        source,
        readonly: false,
        nosuid: true,
        noexec: false,
        propagation: Propagation::Private,
    }
}

/// A root file system of busybox alone.
fn base(at: &Path) -> bool {
    let Some(busybox) = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find(|path| is_static(path))
    else {
        return false;
    };
    for directory in ["bin", "etc", "tmp", "var/old"] {
        std::fs::create_dir_all(at.join(directory)).unwrap();
    }
    std::fs::copy(busybox, at.join("bin/busybox")).unwrap();
    for applet in [
        "sh", "cat", "ls", "id", "echo", "grep", "sleep", "mknod", "tty", "stat", "mount", "pwd",
        "hostname", "readlink", "head", "dd", "kill", "awk", "wc", "chmod", "mkdir", "rm", "touch",
        "env", "printf", "unshare", "stty", "true", "ps", "find",
    ] {
        symlink("busybox", at.join("bin").join(applet)).unwrap();
    }
    std::fs::write(at.join("bin/data"), "no program").unwrap();
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
    std::fs::write(at.join("etc/passwd"), passwd).unwrap();
    std::fs::write(
        at.join("etc/group"),
        "root:x:0:\nwheel:x:10:root\nstaff:x:50:app\n",
    )
    .unwrap();
    symlink("/etc/passwd", at.join("tmp/link")).unwrap();
    symlink("../../../../../../../offered", at.join("var/escape")).unwrap();
    true
}

/// Whether an ELF file names no interpreter.
fn is_static(path: &str) -> bool {
    std::fs::read(path).is_ok_and(|bytes| !bytes.windows(8).any(|window| window == b"/ld-linu"))
}
