//! What it costs to read a Dockerfile: instructions to a plan, and any bytes to errors.

use std::collections::HashMap;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use frontend::ignore::IgnoreRules;
use frontend::plan::{ImageName, ImageResolver, ResolveError, ResolvedImage};
use frontend::{PlanRequest, parse, plan};
use image::{Digest, ImageConfig, Platform};
use solver::op::{ImageOrigin, Op};
use solver::pattern::{Matched, PatternList};

/// Knows every image: it is empty.
struct Anything;

impl ImageResolver for Anything {
    fn modified(&self, _: &Op) -> Result<Option<i64>, ResolveError> {
        Ok(None)
    }

    fn resolve(&self, name: &ImageName, _: &Platform) -> Result<ResolvedImage, ResolveError> {
        Ok(ResolvedImage {
            reference: name.text().to_owned(),
            origin: ImageOrigin::Store,
            manifest: Digest::of(name.text().as_bytes()),
            config: ImageConfig {
                architecture: "amd64".to_owned(),
                os: "linux".to_owned(),
                ..ImageConfig::default()
            },
        })
    }
}

fn request() -> PlanRequest {
    PlanRequest {
        now: "2026-01-02T03:04:05Z".to_owned(),
        platforms: vec![Platform::new("linux", "amd64", "")],
        ..PlanRequest::default()
    }
}

fn instructions(kind: impl Fn(usize) -> String) -> String {
    let all = (0..10_000).map(|n| kind(n) + "\n");
    "FROM base\n".to_owned() + &all.collect::<String>()
}

/// The same bytes every time.
fn noise(size: usize) -> String {
    let mut state = 1_u64;
    let mut text = String::with_capacity(size);
    while text.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push(char::from((state >> 33) as u8 & 0x7f));
    }
    text
}

fn benches(criterion: &mut Criterion) {
    let runs = instructions(|n| format!("RUN echo {n} > /f{n}"));
    let labels = instructions(|n| format!("LABEL key{n}=value"));
    for (name, text) in [("10,000 RUN", &runs), ("10,000 LABEL", &labels)] {
        criterion.bench_function(&format!("parse {name}"), |bencher| {
            bencher.iter_with_large_drop(|| parse(text).expect("it is right"));
        });
        let dockerfile = parse(text).expect("it is right");
        criterion.bench_function(&format!("plan {name}"), |bencher| {
            bencher.iter_with_large_drop(|| {
                plan(&dockerfile, &request(), &Anything).expect("it is right")
            });
        });
    }
    let megabyte = 1 << 20;
    for (name, text) in [
        ("noise", noise(megabyte)),
        ("line ends", "\n".repeat(megabyte)),
        ("continuations", "RUN a \\\n".repeat(megabyte / 8)),
        ("one letter", "a".repeat(megabyte)),
        (
            "variables",
            format!("FROM a\nENV A={}", "${A:-".repeat(megabyte / 5)),
        ),
        (
            "flags",
            format!("FROM a\nRUN {}", "--a=b ".repeat(megabyte / 6)),
        ),
        (
            "heredocs",
            format!("FROM a\nRUN {}", "<<E ".repeat(megabyte / 4)),
        ),
        ("brackets", format!("FROM a\nCMD {}", "[".repeat(megabyte))),
        (
            "labels",
            format!("FROM a\nLABEL {}", "a=b ".repeat(megabyte / 4)),
        ),
    ] {
        criterion.bench_function(&format!("parse 1 MiB of {name}"), |bencher| {
            bencher.iter_batched(|| (), |()| parse(&text), BatchSize::PerIteration);
        });
    }
}

/// A Dockerfile of 200 lines on which most checks have something to look at.
fn checked() -> String {
    let mut text = "FROM base AS build\nARG VERSION=1\nWORKDIR /src\n".to_owned();
    for n in 0..98 {
        text += &format!("ENV A{n}=$VERSION\nCOPY --chown=0:0 src/d{n} ./d{n}/\n");
    }
    text + "CMD [\"/src/run\"]\n"
}

/// Rules of every kind, as many as a long ignore file has.
fn ignore_file() -> String {
    let mut text = "*.log\n**/target\n!keep.log\n".to_owned();
    for n in 0..32 {
        text += &format!("d{n}/*.tmp\n**/n{n}/**/*.o\n!**/n{n}/keep.o\n");
    }
    text
}

fn checks(criterion: &mut Criterion) {
    let rules = IgnoreRules::parse(ignore_file().as_bytes()).expect("it is right");
    let text = checked();
    let request = PlanRequest {
        ignored: Some(rules.clone()),
        ..request()
    };
    let paths: Vec<String> = (0..10_000)
        .map(|n| format!("src/d{}/n{}/deep/er/f{n}.o", n % 100, n % 40))
        .collect();
    criterion.bench_function("parse, plan and check 200 lines", |bencher| {
        bencher.iter_with_large_drop(|| {
            let dockerfile = parse(&text).expect("it is right");
            plan(&dockerfile, &request, &Anything).expect("it is right")
        });
    });
    criterion.bench_function(
        "judge 10,000 paths by 99 rules, as a scan does",
        |bencher| {
            bencher.iter(|| scan(rules.patterns(), &paths));
        },
    );
    criterion.bench_function("judge 10,000 paths by 99 rules, each alone", |bencher| {
        bencher.iter(|| paths.iter().filter(|path| rules.excludes(path)).count());
    });
    // One that has to be run over the whole of every path.
    let text = ignore_file() + "**/q*z*\n";
    let rules = IgnoreRules::parse(text.as_bytes()).expect("it is right");
    for depth in [500, 1_000, 2_000] {
        let path = "dir/".repeat(depth) + "f.o";
        criterion.bench_function(&format!("judge a path of {depth} directories"), |bencher| {
            bencher.iter(|| rules.excludes(&path));
        });
    }
}

/// How many of `paths` are left out, each directory being asked about once.
fn scan<'p>(rules: &PatternList, paths: &'p [String]) -> usize {
    let mut told: HashMap<&'p str, Matched> = HashMap::from([("", rules.root())]);
    let mut left_out = 0;
    for path in paths {
        let mut dir = "";
        for (at, _) in path.match_indices('/') {
            let below = &path[..at];
            if !told.contains_key(below) {
                let matched = rules.enter(&told[dir], below);
                told.insert(below, matched);
            }
            dir = below;
        }
        left_out += usize::from(rules.matches_in(&told[dir], path));
    }
    left_out
}

criterion_group! {
    name = reading;
    config = Criterion::default().sample_size(10);
    targets = benches, checks
}
criterion_main!(reading);
