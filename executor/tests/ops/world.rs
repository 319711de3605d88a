//! A store, a context and an executor for one test, and trees as short texts.

use std::cell::RefCell;
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cache::context::NoFilter;
use cache::{Context, ContextOptions, Entry, Kind, Snapshot, Store, StoreOptions};
use executor::ops::{Executor, ExecutorOptions, OpError};
use solver::op::{ContextOp, CopyOp, CopySource, ExecOp, MakeDirOp, Op, Unpack};
use solver::selector::Purpose;
use solver::traits::Selection;
use solver::{
    Cancel, Event, Job, Output, Selector, TreeDigest, Vertex, VertexId, VertexMeta, Worker,
};

static CONTAINERS: AtomicBool = AtomicBool::new(true);

/// Notes that no container can be started here.
pub fn without_containers() {
    CONTAINERS.store(false, Ordering::Relaxed);
}

/// What one test works with.
pub struct World {
    pub dir: tempfile::TempDir,
    pub store: Store,
    /// None when the context has changed: a build scans it once.
    executor: RefCell<Option<Rc<Executor>>>,
    change: Box<dyn Fn(&mut ExecutorOptions)>,
    pub cancel: Cancel,
    pub events: Arc<Mutex<Vec<Event>>>,
}

/// An input of a step.
#[derive(Clone)]
pub enum Input {
    Context,
    Scratch,
    Stack(Snapshot),
}

impl World {
    /// An empty store and an empty context.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// As [`new`](Self::new), with other options.
    pub fn with(change: impl Fn(&mut ExecutorOptions) + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        let store = Store::open(StoreOptions::new(dir.path().join("store"))).unwrap();
        Self {
            executor: RefCell::default(),
            change: Box::new(change),
            dir,
            store,
            cancel: Cancel::new(),
            events: Arc::default(),
        }
    }

    /// The executor of the build that is going on.
    pub fn executor(&self) -> Rc<Executor> {
        Rc::clone(
            self.executor
                .borrow_mut()
                .get_or_insert_with(|| Rc::new(self.new_executor())),
        )
    }

    /// Ends the build that is going on, so that another begins.
    pub fn next_build(&self) {
        self.executor.replace(None);
    }

    fn new_executor(&self) -> Executor {
        let mut options = ExecutorOptions::new(self.store.clone());
        let context = Context::open(
            &self.store,
            ContextOptions {
                name: "context".to_owned(),
                dir: self.dir.path().join("context"),
                filter: Arc::new(NoFilter::default()),
                asked: None,
            },
        );
        let context = Arc::new(context.unwrap());
        options.contexts.insert("context".to_owned(), context);
        (self.change)(&mut options);
        Executor::new(options)
    }

    /// A path of the context.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("context").join(name)
    }

    /// Writes a file of the context, with its directories.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        set_mode(&path, 0o644);
        self.next_build();
    }

    /// Runs an op.
    pub fn run(&self, op: Op, inputs: &[Input]) -> Result<Snapshot, OpError> {
        self.run_as(op, inputs, false)
    }

    /// Runs an op, forced or not.
    pub fn run_as(&self, op: Op, inputs: &[Input], forced: bool) -> Result<Snapshot, OpError> {
        let vertex = |op| Vertex {
            op,
            inputs: Vec::new(),
            meta: VertexMeta::default(),
        };
        let vertices: Vec<Vertex> = inputs
            .iter()
            .map(|input| {
                vertex(match input {
                    Input::Context => Op::Context(ContextOp {
                        name: "context".to_owned(),
                    }),
                    // Anything that is not the empty root will do.
                    Input::Stack(_) => Op::Merge,
                    Input::Scratch => Op::Scratch,
                })
            })
            .collect();
        let outputs: Vec<Option<Snapshot>> = inputs
            .iter()
            .map(|input| match input {
                Input::Context => None,
                Input::Scratch => Some(Snapshot::empty()),
                Input::Stack(stack) => Some(stack.clone()),
            })
            .collect();
        let vertex = vertex(op);
        let executor = self.executor();
        let selections = vertex
            .op
            .selections()
            .iter()
            .map(|(position, selector)| {
                executor.select(&Selection {
                    vertex: &vertex,
                    source: &vertices[*position],
                    output: outputs[*position].as_ref(),
                    selector,
                })
            })
            .collect::<Result<Vec<TreeDigest>, OpError>>()?;
        let events = Arc::clone(&self.events);
        let sink = move |event| events.lock().unwrap().push(event);
        let job = Job {
            id: VertexId([0; 32]),
            vertex: &vertex,
            inputs: &outputs,
            input_vertices: &vertices.iter().collect::<Vec<_>>(),
            selections: &selections,
            forced,
            cancel: &self.cancel,
            events: &sink,
        };
        executor.run(&job, &self.lease())
    }

    /// The right to make some key that nobody else makes.
    fn lease(&self) -> cache::Lease {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut key = solver::CacheKey([0; 32]);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        key.0[..8].copy_from_slice(&(number << 8).to_le_bytes());
        let purpose = cache::Purpose {
            text: "a test",
            log: None,
        };
        match self.store.claim(&key, purpose).unwrap() {
            solver::Claim::Ours(lease) => lease,
            solver::Claim::Theirs(owner) => panic!("{owner:?}"),
        }
    }

    /// COPY from the context onto `below`.
    pub fn copy(&self, below: &Input, sources: &[&str], dest: &str) -> Result<Snapshot, OpError> {
        self.copy_with(below, copy(sources, dest))
    }

    /// Runs a COPY whose input 1 is the context.
    pub fn copy_with(&self, below: &Input, op: CopyOp) -> Result<Snapshot, OpError> {
        self.run(Op::Copy(op), &[below.clone(), Input::Context])
    }

    /// WORKDIR.
    pub fn make_dir(&self, below: &Input, path: &str, owner: &str) -> Result<Snapshot, OpError> {
        let op = MakeDirOp {
            path: path.to_owned(),
            mode: 0o755,
            owner: owner.to_owned(),
            epoch: None,
        };
        self.run(Op::MakeDir(op), std::slice::from_ref(below))
    }

    /// All that a snapshot shows, one line each: `path mode uid:gid what`.
    pub fn tree(&self, snapshot: &Snapshot) -> Vec<String> {
        let view = self.store.view(snapshot).unwrap();
        let mut lines = Vec::new();
        let mut open = vec![Vec::new()];
        while let Some(dir) = open.pop() {
            for entry in view.list(&dir) {
                let mut content = String::new();
                if let Kind::File {
                    content: digest,
                    size,
                    ..
                } = &entry.kind
                {
                    let mut file = view.open(&entry.path).unwrap().unwrap();
                    let mut bytes = Vec::new();
                    file.read_to_end(&mut bytes).unwrap();
                    assert_eq!(*digest, solver::ContentDigest::of(&bytes), "{entry:?}");
                    assert_eq!(*size, bytes.len() as u64);
                    content = String::from_utf8_lossy(&bytes).into_owned();
                }
                lines.push(line(&entry, &content));
                if entry.is_dir() {
                    open.push(entry.path.clone());
                }
            }
        }
        lines.sort();
        lines
    }

    /// The lines of [`tree`](Self::tree) without those of `below`.
    pub fn added(&self, below: &Input, snapshot: &Snapshot) -> Vec<String> {
        let known = match below {
            Input::Stack(stack) => self.tree(stack),
            _ => Vec::new(),
        };
        let mut lines = self.tree(snapshot);
        lines.retain(|line| !known.contains(line));
        lines
    }

    /// The entry at a path of a snapshot.
    pub fn entry(&self, snapshot: &Snapshot, path: &str) -> Option<Entry> {
        self.store.view(snapshot).unwrap().get(path.as_bytes())
    }

    /// What the steps wrote so far.
    pub fn log(&self) -> String {
        let events = self.events.lock().unwrap();
        let data = events.iter().filter_map(|event| match event {
            Event::Log { data, .. } => Some(String::from_utf8_lossy(data).into_owned()),
            _ => None,
        });
        data.collect()
    }

    /// A root with busybox and its usual names; none where there is no static busybox or no
    /// container can be started.
    pub fn busybox(&self) -> Option<Input> {
        if !CONTAINERS.load(Ordering::Relaxed) {
            return None;
        }
        let Some(program) = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|path| std::fs::read(path).is_ok_and(|bytes| is_static(&bytes)))
        else {
            eprintln!("SKIPPED: containers: no static busybox on this machine");
            return None;
        };
        self.write(".root/bin/busybox", std::fs::read(program).unwrap());
        set_mode(&self.path(".root/bin/busybox"), 0o755);
        for name in [
            "sh", "cat", "ls", "echo", "rm", "mkdir", "stat", "id", "sleep", "touch", "env", "ln",
            "test", "chmod", "nc", "head", "cp",
        ] {
            std::os::unix::fs::symlink("busybox", self.path(&format!(".root/bin/{name}"))).unwrap();
        }
        self.write(
            ".root/etc/passwd",
            "root:x:0:0::/root:/bin/sh\ngames:x:5:60::/:/bin/sh\n",
        );
        self.write(
            ".root/etc/group",
            "root:x:0:\ngames:x:60:\nstaff:x:50:games\n",
        );
        for name in ["dev", "proc", "sys"] {
            std::fs::create_dir(self.path(&format!(".root/{name}"))).unwrap();
        }
        let root = self.copy(&Input::Scratch, &[".root"], "/").unwrap();
        Some(Input::Stack(root))
    }
}

/// Whether a 64-bit ELF program asks for no interpreter (PT_INTERP, elf(5)).
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, bytes: usize| -> usize {
        let field = program.get(at..at + bytes).unwrap_or_default();
        field
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    program.starts_with(b"\x7fELF\x02")
        && (0..count).all(|at| number(table + at * size, 4) as u32 != PT_INTERP)
}

fn line(entry: &Entry, content: &str) -> String {
    let what = match &entry.kind {
        Kind::Dir { .. } => "dir".to_owned(),
        Kind::File { link: None, .. } => format!("= {content}"),
        Kind::File {
            link: Some(first), ..
        } => {
            format!("= {content} [{}]", String::from_utf8_lossy(first))
        }
        Kind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
        Kind::CharDevice { major, minor } => format!("char {major}:{minor}"),
        Kind::BlockDevice { major, minor } => format!("block {major}:{minor}"),
        Kind::Fifo => "fifo".to_owned(),
        Kind::Whiteout => "whiteout".to_owned(),
    };
    let path = String::from_utf8_lossy(&entry.path).into_owned();
    if matches!(entry.kind, Kind::Symlink { .. }) {
        return format!("{path} {}:{} {what}", entry.uid, entry.gid);
    }
    format!("{path} {:o} {}:{} {what}", entry.mode, entry.uid, entry.gid)
}

/// A selection of one path; one with a wildcard is a pattern.
pub fn selector(path: &str) -> Selector {
    Selector {
        path: path.to_owned(),
        pattern: path.contains('*'),
        parents: false,
        excludes: Vec::new(),
        purpose: Purpose::Copy,
    }
}

/// A COPY from input 1 without options.
pub fn copy(sources: &[&str], dest: &str) -> CopyOp {
    CopyOp {
        sources: sources
            .iter()
            .map(|path| CopySource::Files {
                input: 1,
                selector: selector(path),
                unpack: Unpack::Never,
            })
            .collect(),
        dest: dest.to_owned(),
        owner: None,
        mode: None,
        link: false,
        epoch: None,
    }
}

/// A RUN of a shell script, without options.
pub fn shell(script: &str) -> ExecOp {
    ExecOp {
        args: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: Vec::new(),
        proxy_env: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        hostname: "box".to_owned(),
        network: solver::op::NetworkMode::Default,
        security: solver::op::SecurityMode::Sandbox,
        mounts: Vec::new(),
        scripts: Vec::new(),
        extra_hosts: Vec::new(),
        ulimits: Vec::new(),
        shm_size: None,
        cgroup_parent: None,
        devices: Vec::new(),
        platform: image::Platform::host(),
    }
}

/// Sets permission bits.
pub fn set_mode(path: &std::path::Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode).unwrap();
}
