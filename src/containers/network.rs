//! Which network a container gets when it is started, and the three files that say so inside.

use std::fmt::Write as _;
use std::path::Path;

use cache::{Store, StoredContainer};
use executor::container::hosts::resolv_conf;
use executor::container::spec::Network;
use executor::network::{PASTA_ADDRESS, PASTA_GATEWAY, Plan};

use super::document::{Document, Endpoint};
use super::ports;
use crate::export::unwritable;
use crate::networks::plan::{self as networks, Asked, Given, Joining, in_order};
use crate::report::Failure;

/// Files in a container's folder that are mounted into its /etc.
pub const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// The network of a container about to start.
pub struct Wanted {
    /// What its monitor sets up.
    pub plan: Plan,
    /// Its addresses: to be held until the container lives.
    pub given: Option<Given>,
}

/// The network that the document asks for.
pub fn wanted(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
) -> Result<Wanted, Failure> {
    let host = &document.host_config;
    let mode = host.network_mode.as_str();
    let plan = match mode {
        "host" => Plan::Host,
        "none" => Plan::None,
        mode => match mode.strip_prefix("container:") {
            Some(id) => Plan::Of {
                container: super::find::row(store, id)?.id,
            },
            None => {
                let (plan, given) = networks::plan(store, asked(row, document)?)?;
                return Ok(Wanted {
                    plan,
                    given: Some(given),
                });
            }
        },
    };
    Ok(Wanted { plan, given: None })
}

fn asked<'d>(row: &'d StoredContainer, document: &'d Document) -> Result<Asked<'d>, Failure> {
    let host = &document.host_config;
    let all: Vec<String> = if host.publish_all_ports {
        document.config.exposed_ports.keys().cloned().collect()
    } else {
        Vec::new()
    };
    let networks = in_order(&host.network_mode, &document.networks);
    let networks: Result<Vec<_>, Failure> = networks
        .into_iter()
        .map(|(name, endpoint)| {
            let mut joining = joining(endpoint)?;
            // A host name that somebody chose is known on networks with names.
            let chosen = &document.config.hostname;
            if name != "bridge" && chosen != document.short_id() && !chosen.is_empty() {
                joining.aliases.push(chosen.clone());
            }
            Ok((name, joining))
        })
        .collect();
    Ok(Asked {
        container: &row.id,
        name: &row.name,
        by_default: host.network_mode == "default",
        networks: networks?,
        publish: ports::published(&host.port_bindings, &all),
        servers: host
            .dns
            .iter()
            .filter_map(|server| server.parse().ok())
            .collect(),
    })
}

/// What is asked of one network, as the network has it.
pub fn joining(endpoint: &Endpoint) -> Result<Joining, Failure> {
    let parsed = |what: &str, text: &str| {
        Failure::new(super::ENGINE, format!("invalid {what} address: {text}"))
    };
    let address = endpoint.ipv4.as_deref().filter(|text| !text.is_empty());
    let mac = endpoint.mac.as_deref().filter(|text| !text.is_empty());
    Ok(Joining {
        address: address
            .map(|text| text.parse().map_err(|_| parsed("IPv4", text)))
            .transpose()?,
        mac: mac
            .map(|text| hardware(text).ok_or_else(|| parsed("MAC", text)))
            .transpose()?,
        aliases: endpoint.aliases.clone(),
    })
}

/// `02:42:ac:11:00:02`.
fn hardware(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|part| u8::from_str_radix(part, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

/// Writes hosts, hostname and resolv.conf into the container's folder.
pub fn write_files(folder: &Path, document: &Document, network: &Wanted) -> Result<(), Failure> {
    if matches!(network.plan, Plan::Of { .. }) {
        // it sees the other's
        return Ok(());
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let kind = match network.plan {
        Plan::Host => Network::Host,
        _ => Network::None,
    };
    let addresses = match &network.plan {
        Plan::Bridge(bridged) => bridged
            .interfaces
            .iter()
            .map(|interface| interface.address.to_string())
            .collect(),
        Plan::Pasta(_) => vec![PASTA_ADDRESS.to_string()],
        _ => Vec::new(),
    };
    let gateway = match &network.plan {
        Plan::Host => "127.0.0.1".to_owned(),
        Plan::Bridge(bridged) => bridged
            .interfaces
            .first()
            .map(|interface| interface.gateway.to_string())
            .unwrap_or_default(),
        Plan::Pasta(_) => PASTA_GATEWAY.to_string(),
        _ => String::new(),
    };
    let hosts = match network.plan {
        Plan::Host => read("/etc/hosts") + &extra(document, &gateway),
        _ => hosts(document, &addresses, &gateway),
    };
    let resolver = match &network.plan {
        Plan::Bridge(bridged) => bridged.resolver.is_some(),
        _ => false,
    };
    let texts = [
        hosts,
        format!("{}\n", document.config.hostname),
        servers(document, resolv_conf(kind, read), resolver),
    ];
    for (name, text) in FILES.iter().zip(texts) {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

/// /etc/hosts of a container with a network of its own.
fn hosts(document: &Document, addresses: &[String], gateway: &str) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n\
         ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    text.push_str(&extra(document, gateway));
    let config = &document.config;
    let mut names = config.hostname.clone();
    if !config.domainname.is_empty() {
        names = format!("{names}.{} {names}", config.domainname);
    } else if let Some((short, _)) = config.hostname.split_once('.') {
        names = format!("{names} {short}");
    }
    for address in addresses {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{address}\t{names}");
    }
    text
}

fn extra(document: &Document, gateway: &str) -> String {
    let mut text = String::new();
    for entry in document.host_config.extra_hosts.iter().flatten() {
        if let Some((host, address)) = entry.split_once(':') {
            let address = match address {
                "host-gateway" => gateway,
                address => address,
            };
            let _ = writeln!(text, "{address}\t{host}");
        }
    }
    text
}

/// The /etc/resolv.conf of a container that is on a network with names from now on.
pub fn resolved(document: &Document, text: String) -> String {
    servers(document, text, true)
}

/// /etc/resolv.conf: the host's, or what `--dns` and its like say.
fn servers(document: &Document, usual: String, resolver: bool) -> String {
    let host = &document.host_config;
    if host.dns.is_empty() && host.dns_search.is_empty() && host.dns_options.is_empty() && !resolver
    {
        return usual;
    }
    let kept = |words: &str| -> Vec<String> {
        let lines = usual.lines();
        lines
            .filter(|line| line.split_whitespace().next() == Some(words))
            .map(str::to_owned)
            .collect()
    };
    let mut lines = Vec::new();
    match host.dns_search.as_slice() {
        [] => lines.extend(kept("search")),
        // Docker's word for none.
        [only] if only == "." => {}
        domains => lines.push(format!("search {}", domains.join(" "))),
    }
    if resolver {
        lines.push("nameserver 127.0.0.11".to_owned());
    } else if host.dns.is_empty() {
        lines.extend(kept("nameserver"));
    } else {
        lines.extend(host.dns.iter().map(|server| format!("nameserver {server}")));
    }
    match host.dns_options.as_slice() {
        [] if resolver => lines.push("options ndots:0".to_owned()),
        [] => lines.extend(kept("options")),
        options => lines.push(format!("options {}", options.join(" "))),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_say_what_was_asked() {
        let mut document = Document::default();
        document.config.hostname = "one.example".to_owned();
        document.host_config.extra_hosts =
            Some(vec!["db:10.0.0.7".into(), "up:host-gateway".into()]);
        let text = hosts(&document, &["172.17.0.2".into()], "172.17.0.1");
        assert!(text.contains("10.0.0.7\tdb\n172.17.0.1\tup\n"), "{text}");
        assert!(text.ends_with("172.17.0.2\tone.example one\n"), "{text}");
        let usual = "nameserver 1.1.1.1\nsearch x\noptions a\n";
        assert_eq!(servers(&document, usual.to_owned(), false), usual);
        assert!(
            hosts(&document, &[], "").ends_with("up\n"),
            "its name is nobody's without an address"
        );
        document.host_config.dns = vec!["9.9.9.9".into()];
        document.host_config.dns_search = vec![".".into()];
        assert_eq!(
            servers(&document, usual.to_owned(), false),
            "nameserver 9.9.9.9\noptions a\n"
        );
        assert_eq!(
            servers(&document, usual.to_owned(), true),
            "nameserver 127.0.0.11\noptions ndots:0\n"
        );
        document.host_config.dns_search = vec!["b.c".into(), "d".into()];
        assert_eq!(
            servers(&document, usual.to_owned(), false),
            "search b.c d\nnameserver 9.9.9.9\noptions a\n"
        );
    }
}
