//! Builds that are killed wherever they are: 20 of them in the ordinary run, 200 in the long one, on
//! one store. The next build succeeds and has the right files, and nothing is left of the dead.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::heard::Build;
use crate::place::{Place, rounds, said};
use crate::still;

const DOCKERFILE: &str = "\
FROM base:1 AS one
ARG ROUND
RUN for i in $(seq 100); do echo $ROUND > /f$i; done
RUN --mount=type=cache,target=/cache echo $ROUND > /cache/last && cat /cache/last > /seen
FROM base:1 AS two
ARG ROUND
COPY many /many
RUN --network=none cat /many/*/* | wc -c > /count && echo $ROUND >> /count
FROM base:1
COPY --from=one /f1 /f100 /seen /from/
COPY --from=two /count /many /from/
WORKDIR /from
RUN ls | wc -l > /number
";

/// The ordinary run has the same numbers each time, so that it says of a change whether the change
/// is wrong, and not whether it had luck. Who looks for what nobody has foreseen sets
/// `RBUILD_TEST_SEED`, or `RBUILD_TEST_LONG` for everything.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers that come again with the same seed, others for each purpose.
pub struct Dice(u64);

impl Dice {
    /// Dice for `what`, with the seed in `RBUILD_TEST_SEED` when it is set.
    pub fn new(what: &str) -> Self {
        let seed = std::env::var("RBUILD_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(SEED);
        let mixed = what.bytes().fold(seed, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut dice = Self(mixed | 1);
        // near seeds give near numbers at first
        for _ in 0..8 {
            dice.below(1);
        }
        dice
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

/// A place with a project that does everything which can be cut short.
pub fn project() -> Option<Place> {
    let place = Place::with_base()?;
    for number in 0..300 {
        place.write(
            &format!("many/{}/{number}", number % 7),
            &format!("{number}\n"),
        );
    }
    place.write("Dockerfile", DOCKERFILE);
    Some(place)
}

/// Words of a build that does all of its work in this round.
pub fn words(place: &Place, round: &str) -> Vec<String> {
    // Another file each round, so that contexts are copied too.
    place.write("many/0/round", &format!("{round:>12}\n"));
    vec![
        "build".into(),
        "--progress=plain".into(),
        "-t".into(),
        "app".into(),
        format!("--build-arg=ROUND={round}"),
        format!("--output=type=oci,dest={}", place.path("out.tar").display()),
        place.project().display().to_string(),
    ]
}

/// Builds the round to its end and looks at every file that it makes.
pub fn builds_right(place: &Place, round: &str) {
    let words = words(place, round);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = place.rbuild(&words).ok();
    let dest = place.path("tree");
    let _ = fs::remove_dir_all(&dest);
    let output = format!("--output=type=local,dest={}", dest.display());
    let mut again = words.clone();
    again[5] = &output;
    let second = place.rbuild(&again).ok();
    assert_eq!(
        second.ran(),
        Vec::<&str>::new(),
        "{}\n{}",
        said.err,
        second.err
    );
    let read = |name: &str| fs::read_to_string(dest.join(name)).unwrap();
    for name in ["from/f1", "from/f100", "from/seen"] {
        assert_eq!(read(name), format!("{round}\n"), "{name}");
    }
    let many: usize = (0..300)
        .map(|number: usize| number.to_string().len() + 1)
        .sum();
    assert_eq!(read("from/count"), format!("{}\n{round}\n", many + 13));
    assert_eq!(read("number"), "11\n");
    for number in 0..300 {
        assert_eq!(
            read(&format!("from/{}/{number}", number % 7)),
            format!("{number}\n")
        );
    }
}

/// Leaves the store with its base image alone, and gives its files.
pub fn emptied(place: &Place) -> BTreeSet<String> {
    let images = place.rbuild(&["images", "--quiet", "--no-trunc"]).ok().out;
    let base = place
        .rbuild(&["images", "--quiet", "--no-trunc", "base:1"])
        .ok()
        .out;
    for image in images.lines().filter(|line| *line != base.trim()) {
        place.rbuild(&["rmi", "--force", image]).ok();
    }
    place.rbuild(&["prune", "--all"]).ok();
    still::files(place)
}

fn start(place: &Place, round: &str) -> Build {
    let words = words(place, round);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Build::of(place.command(&words))
}

/// Children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task"))
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

fn kill(pid: u32) {
    // One that has ended meanwhile is as good as killed.
    let _ = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

#[test]
fn builds_that_are_killed_leave_nothing_and_the_next_one_is_right() {
    let Some(place) = project() else { return };
    let mut dice = Dice::new("kills");
    builds_right(&place, "warm");
    let before = emptied(&place);
    let begun = Instant::now();
    let mut timed = start(&place, "timed");
    assert!(timed.end().success(), "{}", timed.heard);
    let whole = begun.elapsed().as_micros() as u64;
    let lines = timed.heard.lines().count() as u64;
    assert!(lines > 10, "{}", timed.heard);
    let mut caught = 0;
    let rounds = rounds(20, 200);
    for round in 0..rounds {
        let mut build = start(&place, &round.to_string());
        // By the clock it may be any point, and on a busy machine one before or after everything;
        // right after a line of the first half it is in the middle, however busy that is.
        let when = if round % 2 == 0 {
            let pause = Duration::from_micros(dice.below(whole * 11 / 10));
            std::thread::sleep(pause);
            format!("after {pause:?}")
        } else {
            let count = 1 + dice.below(lines / 2);
            build.hear_lines(count);
            format!("after {count} lines")
        };
        // Every fourth time it is the launcher that dies: the build then ends by itself.
        let launcher = children(build.child.id())
            .first()
            .and_then(|outer| children(*outer).first().copied());
        match launcher {
            Some(launcher) if round % 4 == 3 => kill(launcher),
            _ => build.child.kill().unwrap(),
        }
        let status = build.end();
        caught += usize::from(!status.success());
        assert!(
            status.code().is_none_or(|code| matches!(code, 0 | 1 | 3)),
            "round {round}, {when}: {status}: {}",
            build.heard
        );
        still::nothing_runs(&place);
        if round % 5 == 4 {
            builds_right(&place, &format!("r{round}"));
        }
    }
    eprintln!("kills: {caught} of {rounds} builds had not ended");
    assert!(
        caught * 3 >= rounds,
        "only {caught} of {rounds} were caught"
    );
    builds_right(&place, "last");
    still::nothing_runs(&place);
    let after = emptied(&place);
    let more: Vec<_> = after.difference(&before).collect();
    assert_eq!(more, Vec::<&String>::new());
    assert_eq!(after, before);
    let said = said(place.command(&["du"]).output().unwrap()).ok();
    assert!(said.err.is_empty(), "{}", said.err);
}
