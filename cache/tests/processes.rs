//! Many processes on one store: this test program starts itself again, as a child that does one
//! thing and says what it did.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use cache::mounts::{MountAnswer, MountRequest};
use cache::prune::PruneOptions;
use cache::records::Records;
use cache::{Made, Snapshot, Store, StoreOptions, View};
use solver::op::{MakeDirOp, Sharing};
use solver::traits::{Claim, NewRecord};
use solver::{
    CacheKey, Component, DefinitionKey, KeyPreimage, LayerDigest, Op, ResultCache, Vertex,
    VertexMeta,
};

/// What the child does, and on which store.
const DEED: &str = "STORE_TEST_DEED";
const ROOT: &str = "STORE_TEST_ROOT";

/// A child, and the lines it says.
struct Other {
    child: Child,
    ask: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Other {
    fn start(deed: &str, root: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_other_process",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(DEED, deed)
            .env(ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let ask = child.stdin.take().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, ask, says }
    }

    /// The next line that is ours and not the test harness's; none at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    fn go_on(&mut self) {
        self.ask.write_all(b"\n").unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) {
        drop(self.ask);
        assert!(self.child.wait().unwrap().success());
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {line}").unwrap();
    out.flush().unwrap();
}

/// Waits until the parent says so.
fn wait() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn open(root: &Path) -> Store {
    Store::open(StoreOptions::new(root)).unwrap()
}

fn preimage(name: &str) -> KeyPreimage {
    KeyPreimage {
        kind: "workdir".into(),
        behaviour: 1,
        components: vec![Component {
            name: "path".into(),
            value: name.into(),
        }],
    }
}

/// Makes a layer and the record of it.
fn produce(store: &Store, name: &str) -> Snapshot {
    let new = store.new_layer().unwrap();
    std::fs::write(new.fs.join(name), name).unwrap();
    let layer = new
        .commit_scanned(&View::new(Vec::new()), &Made::default())
        .unwrap();
    let output = Snapshot::new([(layer.id, LayerDigest::Change(layer.change))]);
    let preimage = preimage(name);
    Records::new(store, "p")
        .store(&NewRecord {
            key: preimage.key(),
            preimage: &preimage,
            definition: DefinitionKey(preimage.key().0),
            inputs: &[],
            vertex: &Vertex {
                op: Op::MakeDir(MakeDirOp {
                    path: "/x".into(),
                    mode: 0o755,
                    owner: String::new(),
                    epoch: None,
                }),
                inputs: Vec::new(),
                meta: VertexMeta::default(),
            },
            output: &output,
            elapsed: Duration::ZERO,
        })
        .unwrap();
    output
}

fn mount(sharing: Sharing) -> MountRequest {
    MountRequest {
        identity: "m".into(),
        sharing,
        fresh: false,
    }
}

/// The child's side; as a test of its own it does nothing.
#[test]
fn the_other_process() {
    let (Ok(deed), Some(root)) = (std::env::var(DEED), std::env::var_os(ROOT)) else {
        return;
    };
    let store = open(Path::new(&root));
    match deed.as_str() {
        "lease" => {
            let claim = store
                .claim(&CacheKey([1; 32]), purpose("building elsewhere"))
                .unwrap();
            say(if matches!(claim, Claim::Ours(_)) {
                "ours"
            } else {
                "theirs"
            });
            wait();
        }
        "pin" => {
            let output = produce(&store, "pinned");
            say(&output.layers[0].0);
            wait();
        }
        "mount" => {
            let answer = store.cache_mount(&mount(Sharing::Locked)).unwrap();
            let MountAnswer::New(new) = answer else {
                panic!("{answer:?}");
            };
            let ready = new.ready().unwrap();
            say(ready.id());
            wait();
        }
        // Produces and prunes without end, and says when a round is done.
        "churn" => {
            for round in 0.. {
                produce(&store, &format!("{}-{round}", std::process::id()));
                if round % 4 == 3 {
                    store.prune(&everything()).unwrap();
                }
                say(&round.to_string());
            }
        }
        // Makes the same twenty records as everybody else, each once among all.
        "share" => {
            let records = Records::new(&store, "p");
            let mut made = 0;
            for number in 0..20 {
                let name = format!("shared-{number}");
                let key = preimage(&name).key();
                loop {
                    if records.find(&key).unwrap().is_some() {
                        break;
                    }
                    if let Claim::Ours(_lease) = records
                        .claim(&key, solver::VertexId([0; 32]), &name)
                        .unwrap()
                    {
                        // Somebody may have finished between the look and the claim.
                        if records.find(&key).unwrap().is_none() {
                            produce(&store, &name);
                            made += 1;
                        }
                        break;
                    }
                    std::thread::yield_now();
                }
            }
            say(&made.to_string());
        }
        other => panic!("{other}"),
    }
}

fn purpose(text: &str) -> cache::Purpose<'_> {
    cache::Purpose { text, log: None }
}

fn everything() -> PruneOptions {
    PruneOptions {
        all: true,
        ..PruneOptions::default()
    }
}

fn store_dir() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    drop(open(&root));
    (dir, root)
}

#[test]
fn a_lease_ends_with_its_owner_however_it_ends() {
    let (_dir, root) = store_dir();
    let store = open(&root);
    let key = CacheKey([1; 32]);
    let mut other = Other::start("lease", &root);
    assert_eq!(other.line().unwrap(), "ours");
    let Claim::Theirs(owner) = store.claim(&key, purpose("")).unwrap() else {
        panic!("two have it");
    };
    let pid = other.child.id();
    assert_eq!(owner.text, format!("rbuild {pid} (building elsewhere)"));
    other.kill();
    assert!(matches!(
        store.claim(&key, purpose("")).unwrap(),
        Claim::Ours(_)
    ));
}

#[test]
fn a_stopped_owner_is_said_to_be_stopped() {
    let (_dir, root) = store_dir();
    let store = open(&root);
    let mut other = Other::start("lease", &root);
    other.line().unwrap();
    let pid = rustix::process::Pid::from_child(&other.child);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let options = rustix::process::WaitIdOptions::STOPPED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
    let Claim::Theirs(owner) = store.claim(&CacheKey([1; 32]), purpose("")).unwrap() else {
        panic!("two have it");
    };
    let raw = other.child.id();
    assert!(
        owner.text.ends_with(&format!(
            "which is stopped: `kill -CONT {raw}` lets it go on"
        )),
        "{owner:?}"
    );
    other.kill();
}

#[test]
fn a_pin_ends_with_its_owner_however_it_ends() {
    for end in [Other::end, Other::kill] {
        let (_dir, root) = store_dir();
        let store = open(&root);
        let mut other = Other::start("pin", &root);
        let id = cache::LayerId(other.line().unwrap());
        assert_eq!(store.prune(&everything()).unwrap().layers, 0);
        let fs = root.join(&store.layer_dirs(&[id]).unwrap()[0]);
        assert!(fs.is_dir());
        end(other);
        assert_eq!(store.prune(&everything()).unwrap().layers, 1);
        assert!(!fs.exists());
    }
}

#[test]
fn a_locked_mount_is_free_when_its_owner_was_killed() {
    let (_dir, root) = store_dir();
    let store = open(&root);
    let mut other = Other::start("mount", &root);
    let id = other.line().unwrap();
    let ask = || store.cache_mount(&mount(Sharing::Locked)).unwrap();
    assert!(matches!(ask(), MountAnswer::Busy));
    other.kill();
    let MountAnswer::Ready(ready) = ask() else {
        panic!("it is still busy");
    };
    assert_eq!(ready.id(), id);
}

#[test]
fn many_processes_make_each_shared_thing_once() {
    let (_dir, root) = store_dir();
    let mut others: Vec<Other> = (0..6).map(|_| Other::start("share", &root)).collect();
    let made: u32 = others
        .iter_mut()
        .map(|other| other.line().unwrap().parse::<u32>().unwrap())
        .sum();
    others.into_iter().for_each(Other::end);
    assert_eq!(made, 20);
    let layers = std::fs::read_dir(root.join("layers/v1")).unwrap().count();
    assert_eq!(layers, 20);
}

#[test]
fn a_kill_at_any_point_leaves_a_store_that_works_and_can_be_emptied() {
    let (_dir, root) = store_dir();
    for round in 0..12 {
        let mut others: Vec<Other> = (0..2).map(|_| Other::start("churn", &root)).collect();
        for other in &mut others {
            for _ in 0..round % 5 {
                other.line().unwrap();
            }
        }
        others.into_iter().for_each(Other::kill);
        let store = open(&root);
        // Whatever is recorded can be read.
        for item in store.usage().unwrap().items {
            let key = CacheKey::from_hex(&item.id).unwrap();
            let records = Records::new(&store, "p");
            if let Some(found) = records.find(&key).unwrap() {
                let pin = records.pin(&key, &found.output).unwrap();
                assert!(pin.is_some(), "round {round}: a record without its layer");
                store.view(&found.output).unwrap();
            }
        }
    }
    let store = open(&root);
    store.prune(&everything()).unwrap();
    for dir in ["layers/v1", "mounts/v1"] {
        assert_eq!(
            std::fs::read_dir(root.join(dir)).unwrap().count(),
            0,
            "{dir}"
        );
    }
    drop(store);
    assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
}

#[test]
fn many_processes_make_one_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new/store");
    let mut others: Vec<Other> = (0..6).map(|_| Other::start("lease", &root)).collect();
    let ours = others
        .iter_mut()
        .filter_map(Other::line)
        .filter(|line| line == "ours")
        .count();
    assert_eq!(ours, 1);
    others.iter_mut().for_each(Other::go_on);
    others.into_iter().for_each(Other::end);
}
