//! `system prune`: removes all that nothing uses.

use std::fmt::Write as _;

use cache::PruneOptions;

use crate::cli::system::SystemPruneArgs;
use crate::columns::size;
use crate::commands::{container, image_prune, network, volume};
use crate::home::{Home, store_failure};
use crate::output::print;
use crate::report::{Class, Failure};
use crate::volumes::Filter as Volumes;

/// Removes containers that do not run, then what that left alone.
pub fn run(args: &SystemPruneArgs, home: &Home) -> anyhow::Result<u8> {
    let is_timed = args.filters.iter().any(|filter| filter.name == "until");
    if args.volumes && is_timed {
        return Err(Failure::new(
            Class::Refused,
            "The \"until\" filter is not supported with \"--volumes\"",
        )
        .into());
    }
    let images = image_prune::Filter::new(&args.filters)?;
    let volumes = args
        .volumes
        .then(|| Volumes::of_prune(&args.filters))
        .transpose()?;
    let mut cache = PruneOptions {
        all: args.all,
        ..PruneOptions::default()
    };
    for filter in args.filters.iter().filter(|filter| filter.name == "until") {
        cache
            .filter(&format!("until={}", filter.value))
            .map_err(|error| Failure::from_error(Class::Refused, &error))?;
    }
    let store = home.enter_and_open()?;
    if !args.force && !container::confirmed(&warning(args))? {
        return Ok(0);
    }
    let mut text = String::new();
    let mut list = |title: &str, names: &[String]| {
        if !names.is_empty() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{title}\n{}\n", names.join("\n"));
        }
    };
    let (names, mut freed) = container::prune::prune(&store, &args.filters)?;
    list("Deleted Containers:", &names);
    list("Deleted Networks:", &network::prune(&store, &args.filters)?);
    if let Some(filter) = &volumes {
        let (names, bytes) = volume::prune(&store, filter)?;
        list("Deleted Volumes:", &names);
        freed += bytes;
    }
    let (said, bytes) = image_prune::prune(&store, args.all, &images)?;
    freed += bytes;
    let has_labels = args.filters.iter().any(|filter| filter.name != "until");
    let mut records = Vec::new();
    if !has_labels {
        let pruned = store.prune(&cache).map_err(|error| store_failure(&error))?;
        records = pruned.items.into_iter().map(|item| item.id).collect();
        freed += pruned.freed;
    }
    text.push_str(&said);
    if !records.is_empty() {
        let _ = writeln!(
            text,
            "Deleted build cache objects:\n{}\n",
            records.join("\n")
        );
    }
    let _ = writeln!(text, "Total reclaimed space: {}", size(freed));
    print(&text)?;
    Ok(0)
}

fn warning(args: &SystemPruneArgs) -> String {
    let mut text = "This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n".to_owned();
    if args.volumes {
        text.push_str("  - all volumes not used by at least one container\n");
    }
    text.push_str(if args.all {
        "  - all images without at least one container associated to them\n  - all build cache\n"
    } else {
        "  - all dangling images\n  - all dangling build cache\n"
    });
    text
}
