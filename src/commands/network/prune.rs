//! `network prune`.

use std::io::{BufRead, Write};

use cache::Store;
use cache::networks::{NetworkRowError, StoredNetwork};

use crate::cli::network::NetworkPruneArgs;
use crate::cli::value::Pair;
use crate::home::Home;
use crate::networks::{alive, row_failure, sweep};
use crate::output::print;
use crate::report::{Class, Failure};

const QUESTION: &str = "WARNING! This will remove all custom networks not used by at least one container.\n\
                        Are you sure you want to continue? [y/N] ";

/// Removes the networks that nobody is on.
pub fn run(args: &NetworkPruneArgs, home: &Home) -> anyhow::Result<u8> {
    filters(&args.filters)?;
    if !args.force && !agreed()? {
        return Ok(0);
    }
    let store = home.enter_and_open()?;
    let gone = prune(&store, &args.filters)?;
    if !gone.is_empty() {
        print(&format!("Deleted Networks:\n{}\n\n", gone.join("\n")))?;
    }
    Ok(0)
}

/// Removes them, and gives their names.
pub fn prune(store: &Store, pairs: &[Pair]) -> Result<Vec<String>, Failure> {
    let filters = filters(pairs)?;
    sweep(store)?;
    let mut gone = Vec::new();
    for network in store.networks().map_err(|error| row_failure(&error))? {
        if network.is_predefined() || !filters.iter().all(|filter| filter(&network)) {
            continue;
        }
        match store.remove_network(&network, &alive(store)) {
            Ok(()) => gone.push(network.name),
            Err(NetworkRowError::Used { .. }) => {}
            Err(error) => return Err(row_failure(&error)),
        }
    }
    Ok(gone)
}

fn agreed() -> Result<bool, Failure> {
    print(QUESTION)?;
    // Nobody may read it, and the answer counts all the same.
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(matches!(answer.trim(), "y" | "Y"))
}

type Filter = Box<dyn Fn(&StoredNetwork) -> bool>;

fn filters(pairs: &[Pair]) -> Result<Vec<Filter>, Failure> {
    pairs
        .iter()
        .map(|pair| -> Result<Filter, Failure> {
            let value = pair.value.clone();
            match pair.name.as_str() {
                "label" => Ok(Box::new(move |network| {
                    super::ls::labelled(network, &value)
                })),
                "label!" => Ok(Box::new(move |network| {
                    !super::ls::labelled(network, &value)
                })),
                "until" => {
                    let moment = moment(&value)?;
                    Ok(Box::new(move |network| network.created < moment))
                }
                name => Err(Failure::new(
                    Class::Refused,
                    format!("Invalid filter '{name}'"),
                )),
            }
        })
        .collect()
}

/// Nanoseconds since 1970 of `24h` ago, or of a number of seconds since then.
fn moment(text: &str) -> Result<i64, Failure> {
    const SECOND: i64 = 1_000_000_000;
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds.saturating_mul(SECOND));
    }
    let passed = crate::cli::value::duration(text).map_err(|why| {
        Failure::new(
            Class::Refused,
            format!("invalid value {text:?} of until: {why}"),
        )
    })?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok((now.as_nanos() as i64).saturating_sub(passed))
}
