//! `network ls`.

use cache::Store;
use cache::networks::StoredNetwork;

use crate::cli::network::NetworkListArgs;
use crate::cli::value::Pair;
use crate::columns::{Columns, custom};
use crate::home::{Home, store_failure};
use crate::networks::{alive, document, endpoints, row_failure};
use crate::output::print;
use crate::report::{Class, Failure};

const SHORT_ID: usize = 12;

/// Lists networks.
pub fn run(args: &NetworkListArgs, home: &Home) -> anyhow::Result<u8> {
    let columns = Columns {
        fields: &[
            ("CreatedAt", "CREATED AT"),
            ("Driver", "DRIVER"),
            ("ID", "NETWORK ID"),
            ("IPv6", "IPV6"),
            ("Internal", "INTERNAL"),
            ("Labels", "LABELS"),
            ("Name", "NAME"),
            ("Scope", "SCOPE"),
        ],
        shown: vec!["ID", "Name", "Driver", "Scope"],
    };
    let store = home.enter_and_open()?;
    let mut networks = store.networks().map_err(|error| row_failure(&error))?;
    let mut taken = Vec::new();
    for network in networks.drain(..) {
        if matches(&store, &network, &args.filters)? {
            taken.push(network);
        }
    }
    let id = |network: &StoredNetwork| {
        let length = if args.no_trunc {
            network.id.len()
        } else {
            SHORT_ID
        };
        network.id.get(..length).unwrap_or(&network.id).to_owned()
    };
    let format = custom(args.format.as_deref());
    if args.quiet && format.is_none() {
        let ids: String = taken.iter().map(|network| id(network) + "\n").collect();
        print(&ids)?;
        return Ok(0);
    }
    let rows: Vec<_> = taken
        .iter()
        .map(|network| {
            let labels = network
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            vec![
                document::created(network),
                network.driver.clone(),
                id(network),
                "false".to_owned(),
                network.internal.to_string(),
                labels.collect::<Vec<_>>().join(","),
                network.name.clone(),
                "local".to_owned(),
            ]
        })
        .collect();
    let labels: Vec<_> = taken.iter().map(|network| network.labels.clone()).collect();
    columns.print_labelled(format, &rows, &labels)?;
    Ok(0)
}

/// Whether every kind of filter lets it pass: of one kind, one that fits is enough, but of labels all
/// must.
fn matches(store: &Store, network: &StoredNetwork, filters: &[Pair]) -> Result<bool, Failure> {
    let mut kinds: Vec<(&str, bool)> = Vec::new();
    for filter in filters {
        let value = filter.value.as_str();
        let invalid = || {
            let name = &filter.name;
            Failure::new(Class::Refused, format!("Invalid filter '{name}={value}'"))
        };
        let fits = match filter.name.as_str() {
            "name" => crate::containers::pattern::fits(value, &network.name),
            "id" => network.id.starts_with(value),
            "driver" => network.driver == value,
            "scope" => value == "local",
            "label" => labelled(network, value),
            "type" => match value {
                "custom" => !network.is_predefined(),
                "builtin" => network.is_predefined(),
                _ => return Err(invalid()),
            },
            "dangling" => {
                let wanted = match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(invalid()),
                };
                dangles(store, network)? == wanted
            }
            name => {
                return Err(Failure::new(
                    Class::Refused,
                    format!("Invalid filter '{name}'"),
                ));
            }
        };
        match kinds.iter_mut().find(|(name, _)| *name == filter.name) {
            Some((name, passes)) if *name == "label" => *passes &= fits,
            Some((_, passes)) => *passes |= fits,
            None => kinds.push((&filter.name, fits)),
        }
    }
    Ok(kinds.iter().all(|(_, passes)| *passes))
}

/// Whether it has the label, with that value if one is said.
pub(super) fn labelled(network: &StoredNetwork, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => network.labels.get(name).is_some_and(|found| found == value),
        None => network.labels.contains_key(wanted),
    }
}

/// Whether it may go and nobody is on it.
fn dangles(store: &Store, network: &StoredNetwork) -> Result<bool, Failure> {
    let there = endpoints(store, network).all(&alive(store));
    let there = there.map_err(|error| store_failure(&error))?;
    Ok(!network.is_predefined() && there.is_empty())
}
