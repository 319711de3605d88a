//! `rbuild doctor`: what of this machine rbuild can use, and the one command that brings each
//! thing that is missing.

use std::io::Write;
use std::path::Path;

use executor::namespace::{Report, Tier, examine};
use serde_json::json;

use crate::cli::store::DoctorArgs;
use crate::home::Home;
use crate::report::{Class, Failure};

/// One finding.
struct Finding {
    what: &'static str,
    good: bool,
    text: String,
    cure: Option<String>,
}

/// Examines the machine and prints what was found.
pub fn run(args: &DoctorArgs, home: &Home) -> anyhow::Result<u8> {
    let report = examine().map_err(|error| Failure::from_error(Class::System, &error))?;
    let containers = !matches!(report.tier, Tier::None { .. });
    let findings = findings(&report);
    let mut out = std::io::stdout().lock();
    if args.format.is_some() {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "what": finding.what, "good": finding.good, "text": finding.text, "cure": finding.cure }))
            .collect();
        let all = json!({ "containers": containers, "tier": tier(&report.tier).0, "store": home.root(), "findings": list });
        writeln!(out, "{all}")?;
        return Ok(0);
    }
    writeln!(out, "store           {}", home.root().display())?;
    for finding in &findings {
        let mark = if finding.good { "ok" } else { "--" };
        writeln!(out, "{:<15} {mark}  {}", finding.what, finding.text)?;
        if let Some(cure) = finding.cure.as_ref().filter(|_| !finding.good) {
            writeln!(out, "{:<15}     {cure}", "")?;
        }
    }
    Ok(u8::from(!containers) * Class::System.exit_code())
}

/// Whether containers get networks of their own: found by making one.
fn networks(tier: &Tier) -> Finding {
    let (text, found) = match tier {
        Tier::Root => (
            "bridges, with names, published ports and a way out",
            executor::network::examine_bridges(),
        ),
        _ => (
            "a way out and published ports through pasta",
            executor::network::examine_pasta(),
        ),
    };
    Finding {
        what: "networks",
        good: found.is_ok(),
        text: match &found {
            Ok(()) => text.to_owned(),
            Err(error) => error.to_string(),
        },
        // the error says its own cure
        cure: None,
    }
}

/// What is missing here, and the cure, a line for each.
pub fn warnings(report: &Report) -> Vec<String> {
    let missing = findings(report).into_iter().filter(|finding| !finding.good);
    missing
        .map(|finding| match finding.cure {
            Some(cure) => format!("{}: {} (cure: {cure})", finding.what, finding.text),
            None => format!("{}: {}", finding.what, finding.text),
        })
        .collect()
}

fn findings(report: &Report) -> Vec<Finding> {
    let (name, text, cure) = tier(&report.tier);
    let good = matches!(
        report.tier,
        Tier::Root | Tier::Inside | Tier::ManyIds { .. }
    );
    let mut findings = vec![
        Finding {
            what: "tier",
            good,
            text: format!("{name}: {text}"),
            cure,
        },
        Finding {
            what: "kernel",
            good: true,
            text: report.kernel.clone(),
            cure: None,
        },
        Finding {
            what: "overlay",
            good: report.layer_by_layer,
            text: if report.layer_by_layer {
                "layers are mounted one by one, up to 500".to_owned()
            } else {
                "layers are mounted by names in one page, about 370".to_owned()
            },
            cure: Some("a kernel from 6.5 on mounts layers one by one".to_owned()),
        },
        Finding {
            what: "cgroups",
            good: report.unified_cgroups,
            text: if report.unified_cgroups {
                "version 2"
            } else {
                "no tree of version 2: nothing can be limited"
            }
            .to_owned(),
            cure: Some("boot with systemd.unified_cgroup_hierarchy=1".to_owned()),
        },
        Finding {
            what: "host sockets",
            good: report.shuts_abstract_sockets,
            text: if report.shuts_abstract_sockets {
                "abstract sockets of the host are shut for RUN"
            } else {
                "RUN shares the host's network and can reach its abstract sockets"
            }
            .to_owned(),
            cure: Some(
                "a kernel from 6.12 on shuts them; --network=none isolates a build".to_owned(),
            ),
        },
    ];
    findings.push(networks(&report.tier));
    for (program, why, package) in [
        ("git", "ADD of repositories", "git"),
        (
            "newuidmap",
            "rootless builds with more than one user",
            "uidmap",
        ),
    ] {
        let found = on_path(program);
        findings.push(Finding {
            what: program,
            good: found,
            text: if found {
                format!("there: {why}")
            } else {
                format!("missing: no {why}")
            },
            cure: Some(format!("apt-get install {package}")),
        });
    }
    findings
}

fn tier(tier: &Tier) -> (&'static str, String, Option<String>) {
    match tier {
        Tier::Root => ("root", "everything".to_owned(), None),
        Tier::Inside => ("inside", "a user namespace that was there already".to_owned(), None),
        Tier::ManyIds { users, groups } => {
            let count = |ranges: &[executor::namespace::Range]| ranges.iter().map(|range| u64::from(range.count)).sum::<u64>();
            ("user", format!("rootless with {} users and {} groups", count(users) + 1, count(groups) + 1), None)
        }
        Tier::OneId { why } => (
            "single id",
            format!("rootless with one user: {why}"),
            Some("apt-get install uidmap, and usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER".to_owned()),
        ),
        Tier::None { cause, cure } => ("none", format!("no containers: {cause}"), Some(cure.clone())),
    }
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .any(|dir| dir.is_absolute() && Path::new(&dir).join(program).is_file())
    })
}
