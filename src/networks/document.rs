//! Everything that is known of a network, as docker's `network inspect` says it.

use cache::networks::{Endpoint, StoredNetwork};
use serde_json::{Map, Value as Json, json};

use crate::template::{Shape, Value};

/// A network's JSON; `endpoints` are the containers on it.
pub fn document(network: &StoredNetwork, endpoints: &[Endpoint]) -> Json {
    let containers: Map<String, Json> = endpoints
        .iter()
        .map(|endpoint| {
            let prefix = network.subnet.map_or(0, |subnet| subnet.prefix());
            let one = json!({
                "Name": endpoint.name,
                "EndpointID": endpoint.id,
                "MacAddress": mac(endpoint.mac),
                "IPv4Address": format!("{}/{prefix}", endpoint.address),
                "IPv6Address": "",
            });
            (endpoint.container.clone(), one)
        })
        .collect();
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": created(network),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": false,
        "IPAM": {
            "Driver": "default",
            "Options": if network.is_predefined() { Json::Null } else { json!({}) },
            "Config": addresses(network),
        },
        "Internal": network.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": options(network),
        "Labels": network.labels,
    })
}

/// A network's JSON for templates.
pub fn value(document: &Json) -> Value {
    let shape = |name: &str| match name {
        "Labels" | "Options" | "Containers" => Some(Shape::Map),
        "Config" => Some(Shape::List),
        _ => None,
    };
    Value::of(document, &shape)
}

/// When it was made, RFC 3339 with nanoseconds.
pub fn created(network: &StoredNetwork) -> String {
    let seconds = network.created.div_euclid(1_000_000_000);
    let rest = network.created.rem_euclid(1_000_000_000) as u32;
    image::time::rfc3339(seconds, rest).unwrap_or_default()
}

fn addresses(network: &StoredNetwork) -> Json {
    let Some(subnet) = network.subnet else {
        return json!([]);
    };
    let mut one = Map::new();
    one.insert("Subnet".to_owned(), json!(subnet.to_string()));
    if let Some(pool) = network.pool {
        one.insert("IPRange".to_owned(), json!(pool.to_string()));
    }
    if let Some(gateway) = network.gateway {
        one.insert("Gateway".to_owned(), json!(gateway.to_string()));
    }
    json!([one])
}

/// Those that were given; of the default network those that docker says of it.
fn options(network: &StoredNetwork) -> Json {
    if network.name != "bridge" {
        return json!(network.options);
    }
    json!({
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": network.bridge(),
        "com.docker.network.driver.mtu": "1500",
    })
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_network_is_said_in_dockers_words() {
        let network = StoredNetwork {
            id: "a".repeat(64),
            name: "net".to_owned(),
            driver: "bridge".to_owned(),
            subnet: "10.99.7.0/24".parse().ok(),
            gateway: "10.99.7.1".parse().ok(),
            pool: None,
            given: true,
            internal: false,
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            options: BTreeMap::new(),
            created: 1_600_000_000_000_000_001,
        };
        let endpoint = Endpoint {
            container: "c".repeat(64),
            name: "box".to_owned(),
            id: "e".repeat(64),
            address: "10.99.7.2".parse().unwrap(),
            mac: [2, 0x42, 10, 99, 7, 2],
            aliases: Vec::new(),
        };
        let said = document(&network, &[endpoint]);
        assert_eq!(said["IPAM"]["Config"][0]["Gateway"], "10.99.7.1");
        assert_eq!(said["Created"], "2020-09-13T12:26:40.000000001Z");
        let one = &said["Containers"]["c".repeat(64)];
        assert_eq!(one["MacAddress"], "02:42:0a:63:07:02");
        assert_eq!(one["IPv4Address"], "10.99.7.2/24");
        let template =
            "{{range .Containers}}{{.Name}}{{end}} {{.Labels.a}} {{index .Options \"x\"}}";
        let template = crate::template::Template::parse(template).unwrap();
        assert_eq!(template.render(&value(&said)).unwrap(), "box b ");
    }
}
