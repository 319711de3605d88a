//! Which rules a container's network needs, as a value. Knows how none of them is loaded.

use std::net::{IpAddr, Ipv4Addr};

use super::filter::{Chain, Expression, Hook, Rule, Side};
use super::plan::{Interface, Publish};

/// What the names of all our bridges begin with.
pub(super) const BRIDGES: &str = "rb-";

/// The table's name on the host, by the container's id.
pub(super) fn table(container: &str) -> String {
    format!("rbuild-{}", container.get(..12).unwrap_or(container))
}

/// The chains of a container with these interfaces and published ports, `out` being the interface by
/// which it reaches what is not on its networks.
pub(super) fn chains(
    interfaces: &[Interface],
    out: Option<&Interface>,
    published: &[Publish],
) -> Vec<Chain> {
    let redirects: Vec<Rule> = out
        .map(|out| {
            published
                .iter()
                .filter_map(|publish| redirect(publish, out))
                .collect()
        })
        .unwrap_or_default();
    let mut exit = Vec::new();
    let mut passage = Vec::new();
    for interface in interfaces {
        let own = interface.address;
        if !interface.internal {
            exit.push(vec![
                Expression::Address(Side::From, own, 32),
                Expression::OtherLink(Side::To, interface.bridge.clone()),
                Expression::Masquerade,
            ]);
        }
        passage.extend(apart(interface, own));
    }
    if let Some(out) = out
        && !redirects.is_empty()
    {
        // from a neighbour, or from itself: the answer must come back through this host too
        exit.push(vec![
            Expression::Address(Side::To, out.address, 32),
            Expression::Address(Side::From, out.address, out.prefix),
            Expression::Redirected,
            Expression::Masquerade,
        ]);
    }
    let mut chains = Vec::new();
    let mut add = |hook, rules: Vec<Rule>| {
        if !rules.is_empty() {
            chains.push(Chain { hook, rules });
        }
    };
    add(Hook::Arrival, redirects.clone());
    add(Hook::Departure, redirects);
    add(Hook::Exit, exit);
    add(Hook::Passage, passage);
    chains
}

/// What keeps a network apart: from our others, and when it is internal from all.
fn apart(interface: &Interface, own: Ipv4Addr) -> Vec<Rule> {
    let rule = |address, link| {
        let mut rule = vec![
            Expression::Address(address, own, 32),
            Expression::OtherLink(link, interface.bridge.clone()),
        ];
        if !interface.internal {
            rule.push(Expression::LinkPrefix(link, BRIDGES.to_owned()));
        }
        rule.push(Expression::Drop);
        rule
    };
    vec![rule(Side::From, Side::To), rule(Side::To, Side::From)]
}

/// The rule that leads a port of the host to the container, where the kernel can: addresses of
/// loopback and of IPv6 are left to the proxy.
fn redirect(publish: &Publish, out: &Interface) -> Option<Rule> {
    let IpAddr::V4(host) = publish.host else {
        return None;
    };
    if host.is_loopback() {
        return None;
    }
    let mut rule = if host.is_unspecified() {
        vec![
            Expression::OtherAddress(Side::To, Ipv4Addr::new(127, 0, 0, 0), 8),
            Expression::Ours,
        ]
    } else {
        vec![Expression::Address(Side::To, host, 32)]
    };
    rule.push(Expression::Port(publish.protocol, publish.host_port));
    rule.push(Expression::Redirect(out.address, publish.port));
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::plan::Protocol;

    fn interface(internal: bool) -> Interface {
        Interface {
            network: "net".to_owned(),
            network_id: "1".repeat(64),
            bridge: "rb-111111111111".to_owned(),
            endpoint: "2".repeat(64),
            address: Ipv4Addr::new(10, 0, 0, 2),
            prefix: 24,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            mac: [2; 6],
            mtu: None,
            internal,
            aliases: Vec::new(),
        }
    }

    fn publish(host: &str) -> Publish {
        Publish {
            port: 80,
            protocol: Protocol::Tcp,
            host: host.parse().unwrap(),
            host_port: 8080,
            host_last: 0,
        }
    }

    fn hooks(chains: &[Chain]) -> Vec<(Hook, usize)> {
        chains
            .iter()
            .map(|chain| (chain.hook, chain.rules.len()))
            .collect()
    }

    #[test]
    fn a_container_without_ports_goes_out_and_stays_apart() {
        let one = interface(false);
        let chains = chains(std::slice::from_ref(&one), Some(&one), &[]);
        assert_eq!(hooks(&chains), [(Hook::Exit, 1), (Hook::Passage, 2)]);
    }

    #[test]
    fn an_internal_network_has_no_way_out() {
        let one = interface(true);
        let chains = chains(std::slice::from_ref(&one), None, &[publish("0.0.0.0")]);
        assert_eq!(hooks(&chains), [(Hook::Passage, 2)]);
        assert!(
            !chains[0].rules[0]
                .iter()
                .any(|rule| matches!(rule, Expression::LinkPrefix(..)))
        );
    }

    #[test]
    fn the_kernel_redirects_what_is_not_loopback() {
        let one = interface(false);
        for (host, want) in [("0.0.0.0", 4), ("10.1.1.1", 4), ("127.0.0.1", 2), ("::", 2)] {
            let chains = chains(std::slice::from_ref(&one), Some(&one), &[publish(host)]);
            assert_eq!(chains.len(), want, "{host}");
        }
    }
}
