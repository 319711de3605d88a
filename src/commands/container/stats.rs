//! `stats`: shows what containers use.

use std::time::{Duration, Instant};

use cache::{Store, StoredContainer};
use executor::container::obstacle;

use crate::cli::container::StatsArgs;
use crate::columns::{Columns, binary_size};
use crate::containers::usage::{Reading, memory_of_machine, read};
use crate::containers::{find, limits};
use crate::home::{Home, store_failure};
use crate::report::Failure;

/// From one reading to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// The time over which the first reading looks at the processors.
const FIRST: Duration = Duration::from_millis(200);

const FIELDS: &[(&str, &str)] = &[
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Name", "NAME"),
    ("NetIO", "NET I/O"),
    ("PIDs", "PIDS"),
];

/// Shows readings until it is stopped, or one.
pub fn run(args: &StatsArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let named = args
        .containers
        .iter()
        .map(|text| Ok((text.clone(), find::row(&store, text)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut before = look(&store, args, &named)?;
    let mut pause = FIRST;
    loop {
        std::thread::sleep(pause);
        let now = look(&store, args, &named)?;
        show(args, &before, &now)?;
        if args.no_stream {
            return Ok(0);
        }
        before = now;
        pause = INTERVAL;
    }
}

/// A container that was looked at.
struct Look {
    /// How it was called.
    text: String,
    row: StoredContainer,
    /// What it uses, and how much memory it may; none of one that does not run.
    used: Option<(Reading, u64)>,
    at: Instant,
}

fn look(
    store: &Store,
    args: &StatsArgs,
    named: &[(String, StoredContainer)],
) -> Result<Vec<Look>, Failure> {
    let all = if named.is_empty() {
        let rows = store.containers().map_err(|error| store_failure(&error))?;
        rows.into_iter()
            .map(|row| (row.short_id().to_owned(), row))
            .collect()
    } else {
        named.to_vec()
    };
    let mut looks = Vec::new();
    for (text, row) in all {
        let used = match find::control(store, &row)? {
            // One that ends meanwhile does not run.
            Some(mut control) => match control.processes() {
                Ok(pids) => Some((read(&row.id, &pids), memory_limit(store, &row)?)),
                Err(_) => None,
            },
            None => None,
        };
        if used.is_some() || args.all || !named.is_empty() {
            looks.push(Look {
                text,
                row,
                used,
                at: Instant::now(),
            });
        }
    }
    Ok(looks)
}

/// Bytes of memory that a container may use: its limit where one holds, else all that there is.
fn memory_limit(store: &Store, row: &StoredContainer) -> Result<u64, Failure> {
    let resources = limits::resources(&find::document(store, row)?.host_config);
    let all = memory_of_machine();
    Ok(match resources.memory {
        Some(limit) if obstacle(&resources).is_none() => limit.min(all),
        _ => all,
    })
}

fn show(args: &StatsArgs, before: &[Look], now: &[Look]) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = now
        .iter()
        .map(|look| {
            let (text, row) = (&look.text, &look.row);
            let earlier = before.iter().find(|look| look.row.id == row.id);
            let id = if args.no_trunc {
                row.id.clone()
            } else {
                row.short_id().to_owned()
            };
            let share = |part: f64| format!("{part:.2}%");
            let Some((reading, limit)) = &look.used else {
                let pair = || "0B / 0B".to_owned();
                return vec![
                    pair(),
                    share(0.0),
                    text.clone(),
                    id,
                    share(0.0),
                    pair(),
                    row.name.clone(),
                    pair(),
                    "0".to_owned(),
                ];
            };
            let busy = earlier
                .and_then(|earlier| {
                    let passed = look.at.duration_since(earlier.at).as_secs_f64();
                    let used = reading.cpu_seconds - earlier.used.as_ref()?.0.cpu_seconds;
                    (passed > 0.0).then(|| 100.0 * used.max(0.0) / passed)
                })
                .unwrap_or_default();
            let size = crate::columns::size;
            vec![
                format!(
                    "{} / {}",
                    size(reading.block_read),
                    size(reading.block_written)
                ),
                share(busy),
                text.clone(),
                id,
                share(100.0 * reading.memory as f64 / (*limit).max(1) as f64),
                format!("{} / {}", binary_size(reading.memory), binary_size(*limit)),
                row.name.clone(),
                format!(
                    "{} / {}",
                    size(reading.net_received),
                    size(reading.net_sent)
                ),
                reading.pids.to_string(),
            ]
        })
        .collect();
    if !args.no_stream && args.format.is_none() {
        // The screen from its beginning.
        crate::output::print("\x1b[2J\x1b[H")?;
    }
    Columns {
        fields: FIELDS,
        shown: vec![
            "ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs",
        ],
    }
    .print(args.format.as_deref(), &rows)
}
