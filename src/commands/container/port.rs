//! `port`: shows which ports of the host lead to a container.

use std::fmt::Write as _;

use executor::network::Publish;

use crate::cli::container::PortArgs;
use crate::containers::list::Listed;
use crate::containers::{find, ports};
use crate::home::Home;
use crate::output::print;
use crate::report::{Class, Failure};

/// Shows all of them, or those of one port.
pub fn run(args: &PortArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open_alone()?;
    let row = find::row(&store, &args.container)?;
    let name = row.name.clone();
    let published = Listed::read(&store, row)?.map(|listed| listed.settings.published);
    let mut published = published.unwrap_or_default();
    published.sort_by_key(|one| (one.port, one.protocol, one.host, one.host_port));
    let mut text = String::new();
    // Writing to a text cannot fail.
    match &args.port {
        None => {
            for one in &published {
                let _ = writeln!(text, "{}/{} -> {}", one.port, one.protocol, host(one));
            }
        }
        Some(asked) => {
            let (port, protocol) = ports::inner(asked).ok_or_else(|| {
                Failure::new(
                    Class::Refused,
                    format!("No public port '{asked}' published for {name}"),
                )
                .help("a port is written NUMBER or NUMBER/PROTOCOL")
            })?;
            let own = |one: &&Publish| one.port == port && one.protocol == protocol;
            for one in published.iter().filter(own) {
                let _ = writeln!(text, "{}", host(one));
            }
            if text.is_empty() {
                return Err(Failure::new(
                    Class::Refused,
                    format!("No public port '{port}/{protocol}' published for {name}"),
                )
                .into());
            }
        }
    }
    print(&text)?;
    Ok(0)
}

fn host(one: &Publish) -> String {
    std::net::SocketAddr::new(one.host, one.host_port).to_string()
}
