//! EXPOSE: ports, ranges and protocols.

use super::error::PlanError;
use super::gotext::quoted;

/// What one word of EXPOSE says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    /// `80/tcp`, one for each port.
    pub(super) ports: Vec<String>,
    /// Whether the protocol has capitals.
    pub(super) odd_case: bool,
    /// Whether an address or a host port stands in front.
    pub(super) mapped: bool,
}

/// Reads `[[address:]host port:]port[-port][/protocol]`.
pub(super) fn parse(text: &str) -> Result<Exposed, PlanError> {
    let fail = |message: String| PlanError::new(message);
    let mut parts = text.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or_default();
    let address = parts.next().unwrap_or_default();
    let (range, protocol) = container.split_once('/').unwrap_or((container, ""));
    if range.is_empty() {
        return Err(fail(format!(
            "invalid port: {}: no port specified",
            quoted(text)
        )));
    }
    let lower = protocol.to_lowercase();
    let lower = match lower.as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => {
            return Err(fail(format!(
                "invalid port: {}: invalid proto: {protocol}",
                quoted(text)
            )));
        }
    };
    if !address.is_empty() {
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        if bare.parse::<std::net::IpAddr>().is_err() {
            return Err(fail(format!("invalid IP address: {address}")));
        }
    }
    let Some((first, last)) = parse_range(range) else {
        return Err(fail(format!("invalid containerPort: {range}")));
    };
    if !host.is_empty() {
        let Some((host_first, host_last)) = parse_range(host) else {
            return Err(fail(format!("invalid hostPort: {host}")));
        };
        if first != last && last - first != host_last - host_first {
            return Err(fail(format!(
                "invalid ranges specified for container and host Ports: {range} and {host}"
            )));
        }
    }
    Ok(Exposed {
        ports: (first..=last)
            .map(|port| format!("{port}/{lower}"))
            .collect(),
        odd_case: protocol != protocol.to_lowercase(),
        mapped: !host.is_empty() || !address.is_empty(),
    })
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.strip_prefix('+').unwrap_or(text).parse::<u16>().ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let ports = |text: &str| parse(text).unwrap().ports;
        assert_eq!(ports("80"), ["80/tcp"]);
        assert_eq!(ports("53/UDP"), ["53/udp"]);
        assert_eq!(
            ports("8000-8002/sctp"),
            ["8000/sctp", "8001/sctp", "8002/sctp"]
        );
        assert_eq!(ports("127.0.0.1:8080:80"), ["80/tcp"]);
        assert_eq!(ports("[::1]:8080:80"), ["80/tcp"]);
        assert!(parse("8080:80").unwrap().mapped);
        assert!(parse("80/Tcp").unwrap().odd_case);
        assert_eq!(ports("1-65535").len(), 65_535);
    }

    #[test]
    fn wrong_ones_are_named() {
        for (text, message) in [
            ("http", "invalid containerPort: http"),
            ("70000", "invalid containerPort: 70000"),
            ("9-8", "invalid containerPort: 9-8"),
            ("80/x", "invalid port: \"80/x\": invalid proto: x"),
            ("/tcp", "invalid port: \"/tcp\": no port specified"),
            ("a:1:2", "invalid IP address: a"),
            ("x:2", "invalid hostPort: x"),
            (
                "1-2:3-5",
                "invalid ranges specified for container and host Ports: 3-5 and 1-2",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message, message);
        }
    }
}
