//! Containers that other runtimes start.

use std::path::{Path, PathBuf};

use executor::monitor::{Attach, State, Waiting, start};

use crate::Case;
use crate::exec::sh;
use crate::place::{Place, World, hear, hear_until};

pub const CASES: &[Case] = &[
    ("foreign::output_and_code", output_and_code),
    ("foreign::same_as_ours", same),
    ("foreign::not_started", not_started),
    ("foreign::terminal_and_more_processes", terminal),
    ("foreign::stopped_and_started_again", stopped),
];

/// Those that are here and may be used.
fn runtimes(world: &World) -> Vec<PathBuf> {
    if !executor::namespace::is_initial() {
        eprintln!("SKIPPED: only root can start other runtimes here");
        return Vec::new();
    }
    let found: Vec<PathBuf> = ["crun", "runc"]
        .into_iter()
        .filter_map(|name| {
            let places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
            let mut files = places.iter().map(|place| Path::new(place).join(name));
            files.find(|file| file.exists())
        })
        .filter(|runtime| match by(world, runtime, "true").start() {
            // crun wants control groups of one version
            Err(error) if error.to_string().contains("hybrid mode") => {
                eprintln!("SKIPPED: {error}");
                false
            }
            _ => true,
        })
        .collect();
    if found.is_empty() {
        eprintln!("SKIPPED: neither crun nor runc");
    }
    found
}

fn by(world: &World, runtime: &Path, script: &str) -> Place {
    let mut place = world.place(script);
    place.life.runtime = Some(runtime.to_owned());
    place
}

fn output_and_code(world: &World) {
    for runtime in &runtimes(world) {
        let place = by(world, runtime, "echo out; echo err >&2; exit 3");
        let heard = hear(&mut place.attached(false));
        let said = (heard.out.as_str(), heard.err.as_str(), heard.code);
        assert_eq!(said, ("out\n", "err\n", Some(3)), "{}", runtime.display());
        assert_eq!(place.over().exit_code, 3);
        let config = std::fs::read(place.folder.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["root"]["path"], "rootfs");
        assert!(
            std::fs::read_dir(place.folder.join("rootfs"))
                .unwrap()
                .next()
                .is_none()
        );
    }
}

fn same(world: &World) {
    let script = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Uid|Gid)' /proc/self/status; ulimit -n; hostname; pwd; \
                  env | grep -E '^(HOME|PATH)' ; cat /proc/self/oom_score_adj; ls /dev/pts /dev/shm; echo $$";
    let ours = hear(&mut world.place(script).attached(false)).out;
    for runtime in &runtimes(world) {
        let place = by(world, runtime, script);
        assert_eq!(
            hear(&mut place.attached(false)).out,
            ours,
            "{}",
            runtime.display()
        );
    }
}

fn not_started(world: &World) {
    for runtime in &runtimes(world) {
        for (program, code) in [("nosuch", 127), ("/bin/data", 126)] {
            let mut place = by(world, runtime, "");
            place.life.spec.process.args = vec![program.to_owned()];
            let error = place.start().unwrap_err();
            // a runtime may find out after it has started it
            assert!(
                error.exit_status().is_none_or(|told| told == code),
                "{}: {error}",
                runtime.display()
            );
            place.over();
        }
    }
    if executor::namespace::is_initial() {
        let error = by(world, Path::new("/no-such-runtime"), "")
            .start()
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-runtime"), "{error}");
    }
}

fn terminal(world: &World) {
    for runtime in &runtimes(world) {
        let mut place = by(world, runtime, "stty size; read a; echo \"got $a\"; exit 5");
        place.life.spec.process.terminal = true;
        place.life.keep_stdin = true;
        let attach = Attach {
            stdin: true,
            size: Some((31, 99)),
        };
        let mut attached = start(Waiting::new().unwrap(), &place.life, &[], Some(attach))
            .unwrap()
            .attached
            .unwrap();
        hear_until(&mut attached, "31 99");
        assert_eq!(
            sh(&place, "echo more; exit 4").unwrap(),
            ("more\n".to_owned(), 4)
        );
        attached.input().write(b"word\r").unwrap();
        let heard = hear(&mut attached);
        assert!(heard.out.contains("got word"), "{heard:?}");
        assert_eq!(heard.code, Some(5), "{}", runtime.display());
    }
}

fn stopped(world: &World) {
    for runtime in &runtimes(world) {
        let place = by(
            world,
            runtime,
            "trap 'exit 7' TERM; echo x >> /tmp/x; cat /tmp/x; while :; do sleep .1; done",
        );
        let mut attached = place.attached(false);
        hear_until(&mut attached, "x\n");
        place.control().pause().unwrap();
        place.control().unpause().unwrap();
        assert!(!place.control().processes().unwrap().is_empty());
        place.control().stop(None, None).unwrap();
        assert_eq!(hear(&mut attached).code, Some(7), "{}", runtime.display());
        let mut attached = place.attached(false);
        hear_until(&mut attached, "x\nx\n");
        place.control().stop(None, Some(0)).unwrap();
        assert_eq!(place.status().state, State::Exited);
    }
}
