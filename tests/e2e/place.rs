//! A place for one test: a store, a project, and the binary.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

/// The base image's name.
pub const BASE: &str = "base:1";

/// What must happen at once is given this long: a machine may be busy with thirty other things, and
/// what does not happen has to fail all the same.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Programs that the base image has, all of them busybox.
const APPLETS: &[&str] = &[
    "[",
    "awk",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "id",
    "ip",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mount",
    "mv",
    "od",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "tail",
    "tar",
    "test",
    "touch",
    "tr",
    "true",
    "tty",
    "uname",
    "wc",
    "xargs",
];

/// Where a test keeps its things.
pub struct Place {
    dir: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; 128 + n for a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Fails the test unless the command ended with `code` and said `text`.
    #[track_caller]
    pub fn fails(self, code: i32, text: &str) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.out, self.err
        );
        assert!(self.err.contains(text), "`{text}` is not in:\n{}", self.err);
        self
    }

    /// Names of the steps that ran, in the order in which they were announced.
    pub fn ran(&self) -> Vec<&str> {
        self.steps(" runs: ")
    }

    /// Names of the steps that came from the cache.
    pub fn cached(&self) -> Vec<&str> {
        self.steps(" CACHED")
    }

    /// The reason given for the step whose name holds `text`.
    #[track_caller]
    pub fn reason(&self, text: &str) -> &str {
        let number = self.number(text);
        let mark = format!("#{number} runs: ");
        self.err
            .lines()
            .find_map(|line| line.strip_prefix(&mark))
            .unwrap_or_else(|| panic!("`{text}` did not run:\n{}", self.err))
    }

    fn number(&self, text: &str) -> &str {
        self.err
            .lines()
            .find(|line| line.starts_with('#') && line.contains('[') && line.contains(text))
            .and_then(|line| line[1..].split(' ').next())
            .unwrap_or_else(|| panic!("there is no step `{text}`:\n{}", self.err))
    }

    fn steps(&self, mark: &str) -> Vec<&str> {
        let numbers: Vec<&str> = self
            .err
            .lines()
            .filter(|line| line.starts_with('#') && line.contains(mark))
            .filter_map(|line| line.split(' ').next())
            .collect();
        numbers
            .iter()
            .filter_map(|number| {
                self.err.lines().find_map(|line| {
                    line.strip_prefix(number)?
                        .strip_prefix(' ')
                        .filter(|name| name.starts_with('['))
                })
            })
            .collect()
    }
}

impl Place {
    /// An empty place for what needs no containers.
    pub fn anywhere() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// An empty place; none (and a loud line) when this machine cannot run containers.
    pub fn new() -> Option<Self> {
        let place = Self::anywhere();
        let can = doctor(&place);
        if can["containers"] == true {
            return Some(place);
        }
        assert!(
            std::env::var_os("RBUILD_CI").is_none(),
            "CI must be able to run containers: {can}"
        );
        eprintln!("SKIPPED: this machine cannot run containers: {can}");
        None
    }

    /// A place whose store has the base image: the same image, id included, in every place.
    pub fn with_base() -> Option<Self> {
        let place = Self::new()?;
        let import = place
            .command(&["import", base_tar().to_str().unwrap(), BASE])
            .env("SOURCE_DATE_EPOCH", "1500000000")
            .output();
        said(import.unwrap()).ok();
        Some(place)
    }

    /// A place whose store has the base image and where containers have more than one user.
    pub fn with_users() -> Option<Self> {
        let place = Self::with_base()?;
        if doctor(&place)["tier"] == "single id" {
            eprintln!("SKIPPED: this user has one id");
            return None;
        }
        Some(place)
    }

    /// A path in the place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a directory of the place.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// Writes a file of the project, with its parents.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path("project").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The project directory.
    pub fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// Runs rbuild with the place's store.
    pub fn rbuild(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// rbuild with the place's store, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env("RBUILD_ROOT", self.path("store"))
            .env_remove("SOURCE_DATE_EPOCH")
            .current_dir(self.dir.path());
        command
    }

    /// Builds the project with this Dockerfile, as `app`.
    pub fn build(&self, dockerfile: &str, arguments: &[&str]) -> Said {
        self.write("Dockerfile", dockerfile);
        self.build_again(arguments)
    }

    /// Builds the project as it is, as `app`.
    pub fn build_again(&self, arguments: &[&str]) -> Said {
        let project = self.project();
        let mut all = vec!["--progress=plain", "-t", "app"];
        all.extend(arguments);
        all.push(project.to_str().unwrap());
        self.rbuild(&all)
    }

    /// Runs a shell command in `app` and gives what it wrote.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.rbuild(&[
            "run",
            "--rm",
            "--entrypoint",
            "/bin/sh",
            "app",
            "-c",
            script,
        ])
        .ok()
        .out
    }
}

/// What `doctor` says of the place's machine.
pub fn doctor(place: &Place) -> serde_json::Value {
    let probe = place.rbuild(&["doctor", "--format=json"]).ok();
    serde_json::from_str(&probe.out).unwrap()
}

/// Whether containers get networks of their own; says so loudly when not.
pub fn has_networks(place: &Place) -> bool {
    let can = doctor(place);
    let found = can["findings"].as_array().into_iter().flatten();
    let networks = { found }.find(|finding| finding["what"] == "networks");
    let good = networks.is_some_and(|finding| finding["good"] == true);
    if !good {
        eprintln!("SKIPPED: no network of one's own: {networks:?}");
    }
    good
}

/// Other OCI runtimes that start containers here, which only root can have; says loudly what is missing.
pub fn other_runtimes(place: &Place) -> Vec<&'static str> {
    if doctor(place)["tier"] != "root" {
        eprintln!("SKIPPED: only root can have another runtime");
        return Vec::new();
    }
    let works = |name: &&str| {
        let runtime = ["run", "--rm", "--network", "none", "--runtime", name];
        let tried = place.rbuild(&[&runtime[..], &[BASE, "true"]].concat());
        let missing = tried.err.contains("Unknown runtime") || tried.err.contains("hybrid mode");
        if missing {
            eprintln!("SKIPPED: no other runtime: {}", tried.err);
        } else {
            tried.ok();
        }
        !missing
    };
    let mut found = vec!["crun"];
    found.retain(works);
    // its name alone would be rbuild where there is none
    found.extend(["/usr/sbin/runc", "/usr/bin/runc"].into_iter().find(works));
    found
}

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("RBUILD_TEST_BINARY").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_rbuild")),
        PathBuf::from,
    )
}

/// What a command says that gets `bytes` on standard input.
pub fn fed(mut command: Command, bytes: &[u8]) -> Said {
    let pipe = Stdio::piped;
    let command = command.stdin(pipe()).stdout(pipe()).stderr(pipe());
    let mut child = command.spawn().unwrap();
    // Who is refused before reading misses the rest.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    said(child.wait_with_output().unwrap())
}

/// Whether this machine has a program; says so loudly when not.
pub fn has_program(name: &str) -> bool {
    let has = Command::new(name).arg("--version").output().is_ok();
    if !has {
        eprintln!("SKIPPED: there is no {name}");
    }
    has
}

/// A finished command's words.
pub fn said(output: Output) -> Said {
    use std::os::unix::process::ExitStatusExt;
    let code = output
        .status
        .code()
        .or_else(|| output.status.signal().map(|signal| 128 + signal));
    Said {
        code: code.unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A tar of a root file system with busybox in it, made once for all tests.
pub fn base_tar() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &MADE
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("root");
            for name in ["bin", "etc", "root", "tmp", "home/user"] {
                fs::create_dir_all(root.join(name)).unwrap();
            }
            let busybox = ["/bin/busybox", "/usr/bin/busybox"]
                .into_iter()
                .find(|path| Path::new(path).exists())
                .expect("busybox-static is installed by scripts/setup");
            fs::copy(busybox, root.join("bin/busybox")).unwrap();
            fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))
                .unwrap();
            for applet in APPLETS {
                symlink("busybox", root.join("bin").join(applet)).unwrap();
            }
            fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
            let mut passwd =
                "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n".to_owned();
            writeln!(passwd, "other:x:1001:1002::/nowhere:/bin/sh").unwrap();
            fs::write(root.join("etc/passwd"), passwd).unwrap();
            fs::write(
                root.join("etc/group"),
                "root:x:0:\nuser:x:1000:\nother:x:1002:\nextra:x:1500:user\n",
            )
            .unwrap();
            let tar = dir.path().join("base.tar");
            let status = Command::new("tar")
                .args([
                    "--numeric-owner",
                    "--owner=0",
                    "--group=0",
                    "--sort=name",
                    "-C",
                ])
                .arg(&root)
                .arg("-cf")
                .arg(&tar)
                .arg(".")
                .status()
                .unwrap();
            assert!(status.success());
            (dir, tar)
        })
        .1
}

/// Whether the long tests are asked for.
pub fn is_long() -> bool {
    std::env::var_os("RBUILD_TEST_LONG").is_some_and(|value| value == "1")
}

/// How often something is tried, in the ordinary run and in the long one.
pub fn rounds(ordinary: usize, long: usize) -> usize {
    if is_long() { long } else { ordinary }
}

/// A place whose containers are removed before it goes, whatever became of the test.
pub struct Cleared(pub Place);

impl std::ops::Deref for Cleared {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.0
    }
}

impl Drop for Cleared {
    fn drop(&mut self) {
        let ids = self.0.rbuild(&["ps", "-aq"]).out;
        let ids: Vec<&str> = ids.lines().collect();
        if !ids.is_empty() {
            self.0
                .rbuild(&[&["rm", "-f", "-v"], ids.as_slice()].concat());
        }
    }
}
