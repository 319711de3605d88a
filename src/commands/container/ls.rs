//! `ps`, `container ls`: lists containers, newest first.

use crate::cli::container::ListArgs;
use crate::columns::{Columns, custom};
use crate::containers::filter::Filter;
use crate::containers::list::{FIELDS, Listed};
use crate::home::{Home, store_failure};
use crate::output::print;

/// Lists containers.
pub fn run(args: &ListArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let filter = Filter::new(&store, &args.filters)?;
    let last = match args.last {
        number @ 1.. => usize::try_from(number).ok(),
        _ if args.latest => Some(1),
        _ => None,
    };
    let all = args.all || last.is_some() || filter.implies_all();
    let rows = store.containers().map_err(|error| store_failure(&error))?;
    let mut shown = Vec::new();
    for row in rows {
        if last.is_some_and(|last| shown.len() >= last) {
            break;
        }
        let Some(listed) = Listed::read(&store, row)? else {
            continue;
        };
        if (all || listed.is_live()) && filter.takes(&listed) {
            shown.push(listed);
        }
    }
    let format = custom(args.format.as_deref());
    if args.quiet && format.is_none() {
        let ids: String = shown
            .iter()
            .flat_map(|listed| {
                let id = if args.no_trunc {
                    &listed.row.id
                } else {
                    listed.row.short_id()
                };
                [id, "\n"]
            })
            .collect();
        print(&ids)?;
        return Ok(0);
    }
    let asked = |name: &str| format.is_some_and(|text| text.contains(name));
    let sizes = args.size || asked(".Size") || asked("json");
    let lines = shown
        .iter()
        .map(|listed| listed.line(&store, args.no_trunc, sizes))
        .collect::<Result<Vec<_>, _>>()?;
    let labels: Vec<_> = shown
        .iter()
        .map(|listed| listed.document.config.labels.clone())
        .collect();
    let mut columns = vec![
        "ID",
        "Image",
        "Command",
        "RunningFor",
        "Status",
        "Ports",
        "Names",
    ];
    if args.size {
        columns.push("Size");
    }
    Columns {
        fields: FIELDS,
        shown: columns,
    }
    .print_labelled_or_refuse(format, &lines, &labels)?;
    Ok(0)
}
