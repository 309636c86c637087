//! For any policies, the rules let pass exactly what somebody would who reads the policies one by one.

use drydock_nftables::ruleset::steps;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::evaluate::{Packet, passes};
use super::tests::{namespaces, pod, policy};
use super::*;

const NODES: [&str; 2] = ["n1", "n2"];
const NAMESPACES: [&str; 2] = ["red", "blue"];

fn selector() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"matchLabels": {"app": "web"}})),
        Just(json!({"matchLabels": {"app": "db"}})),
        Just(json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]})),
        Just(json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]})),
    ]
}

fn namespace_selector() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"matchLabels": {"team": "red"}})),
        Just(json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]})),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    let block = prop_oneof![
        Just(json!({"cidr": "10.244.0.0/16"})),
        Just(json!({"cidr": "0.0.0.0/0", "except": ["10.244.1.0/24", "192.0.2.7/32"]})),
        Just(json!({"cidr": "192.0.2.0/24"})),
        Just(json!({"cidr": "fd00::/8"})),
    ];
    prop_oneof![
        selector().prop_map(|pods| json!({"podSelector": pods})),
        namespace_selector().prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        (selector(), namespace_selector())
            .prop_map(|(pods, namespaces)| json!({"podSelector": pods, "namespaceSelector": namespaces})),
        block.prop_map(|block| json!({"ipBlock": block})),
    ]
}

fn port() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"port": 80})),
        Just(json!({"protocol": "UDP"})),
        Just(json!({"protocol": "TCP", "port": 79, "endPort": 81})),
        Just(json!({"protocol": "TCP", "port": "http"})),
        Just(json!({"protocol": "UDP", "port": "http"})),
    ]
}

fn rule(peers: &'static str) -> impl Strategy<Value = Value> {
    (vec(peer(), 0..3), vec(port(), 0..3)).prop_map(move |(some, ports)| json!({peers: some, "ports": ports}))
}

fn any_policy() -> impl Strategy<Value = Value> {
    let types = prop_oneof![Just(json!(["Ingress"])), Just(json!(["Egress"])), Just(json!(["Ingress", "Egress"]))];
    (0..2_usize, selector(), types, vec(rule("from"), 0..3), vec(rule("to"), 0..3)).prop_map(
        |(namespace, pods, types, ingress, egress)| {
            json!({
                "metadata": {"namespace": NAMESPACES[namespace]},
                "spec": {"podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress},
            })
        },
    )
}

fn any_pod(index: usize) -> impl Strategy<Value = Value> {
    let labels = prop_oneof![Just(json!({"app": "web"})), Just(json!({"app": "db"})), Just(json!({}))];
    let ports = prop_oneof![
        Just(json!([])),
        Just(json!([{"name": "http", "containerPort": 80, "protocol": "TCP"}])),
        Just(json!([{"name": "http", "containerPort": 81, "protocol": "UDP"}, {"name": "http", "containerPort": 81}])),
    ];
    (0..2_usize, 0..2_usize, labels, ports, 0..8_u8).prop_map(move |(namespace, node, labels, ports, kind)| {
        json!({
            "metadata": {"name": format!("p{index}"), "namespace": NAMESPACES[namespace], "labels": labels},
            "spec": {"nodeName": NODES[node], "hostNetwork": kind == 0, "containers": [{"ports": ports}]},
            "status": {
                "podIP": format!("10.244.{}.{}", node + 1, index + 2),
                "phase": if kind == 1 { "Succeeded" } else { "Running" },
            },
        })
    })
}

fn pods() -> impl Strategy<Value = Vec<Value>> {
    (any_pod(0), any_pod(1), any_pod(2), any_pod(3), any_pod(4)).prop_map(|(a, b, c, d, e)| vec![a, b, c, d, e])
}

/// Reads the objects as they are written, one packet at a time.
struct Reader<'a> {
    policies: &'a [Value],
    pods: &'a [Value],
}

impl Reader<'_> {
    fn at(&self, address: Ipv4Addr) -> Option<&Value> {
        self.pods.iter().find(|pod| {
            pod["status"]["podIP"] == address.to_string()
                && pod["status"]["phase"] != "Succeeded"
                && pod["spec"]["hostNetwork"] == false
        })
    }

    fn allows(&self, node: &str, packet: Packet) -> bool {
        if packet.source == packet.destination {
            return true;
        }
        [("Egress", packet.source), ("Ingress", packet.destination)].into_iter().all(|(kind, own)| {
            let Some(pod) = self.at(own).filter(|pod| pod["spec"]["nodeName"] == node) else { return true };
            let mut isolating = self
                .policies
                .iter()
                .filter(|policy| {
                    policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
                        && selects(&policy["spec"]["podSelector"], &pod["metadata"]["labels"])
                        && policy["spec"]["policyTypes"].as_array().unwrap().contains(&json!(kind))
                })
                .peekable();
            isolating.peek().is_none() || isolating.any(|policy| self.policy_allows(policy, kind, packet))
        })
    }

    fn policy_allows(&self, policy: &Value, kind: &str, packet: Packet) -> bool {
        let (rules, peers, other) = match kind {
            "Ingress" => ("ingress", "from", packet.source),
            _ => ("egress", "to", packet.destination),
        };
        policy["spec"][rules].as_array().unwrap().iter().any(|rule| {
            let (peers, ports) = (rule[peers].as_array().unwrap(), rule["ports"].as_array().unwrap());
            let namespace = &policy["metadata"]["namespace"];
            let by_port = |port: &Value, block: bool| self.port_allows(port, packet, kind == "Egress" && block);
            let ports_allow = |block| ports.is_empty() || ports.iter().any(|port| by_port(port, block));
            if peers.is_empty() {
                return ports_allow(false);
            }
            peers.iter().any(|peer| self.is_peer(peer, namespace, other) && ports_allow(peer.get("ipBlock").is_some()))
        })
    }

    fn is_peer(&self, peer: &Value, namespace: &Value, address: Ipv4Addr) -> bool {
        if let Some(block) = peer.get("ipBlock") {
            let within = |cidr: &Value| match cidr.as_str().unwrap().split_once('/').unwrap() {
                (network, bits) if !network.contains(':') => {
                    let shift = 32 - bits.parse::<u32>().unwrap();
                    let network: Ipv4Addr = network.parse().unwrap();
                    (u64::from(address.to_bits()) >> shift) == (u64::from(network.to_bits()) >> shift)
                }
                _ => false,
            };
            return within(&block["cidr"])
                && !block["except"].as_array().is_some_and(|except| except.iter().any(within));
        }
        let Some(pod) = self.at(address) else { return false };
        let in_namespace = match peer.get("namespaceSelector") {
            None => pod["metadata"]["namespace"] == *namespace,
            Some(selector) => selects(selector, &json!({"team": pod["metadata"]["namespace"]})),
        };
        in_namespace && peer.get("podSelector").is_none_or(|selector| selects(selector, &pod["metadata"]["labels"]))
    }

    fn port_allows(&self, port: &Value, packet: Packet, block: bool) -> bool {
        let Some((protocol, number)) = packet.port else { return false };
        let wanted = port["protocol"].as_str().unwrap_or("TCP");
        if wanted != protocol.to_string().to_uppercase() {
            return false;
        }
        match &port["port"] {
            Value::Null => true,
            Value::String(name) => {
                let Some(pod) = self.at(packet.destination).filter(|_| !block) else { return false };
                pod["spec"]["containers"][0]["ports"].as_array().unwrap().iter().any(|port| {
                    port["name"] == **name
                        && port["containerPort"] == number
                        && port["protocol"].as_str().unwrap_or("TCP") == wanted
                })
            }
            first => {
                let first = first.as_u64().unwrap();
                (first..=port["endPort"].as_u64().unwrap_or(first)).contains(&u64::from(number))
            }
        }
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let all = |key: &str| selector.get(key).cloned().unwrap_or_default();
    all("matchLabels").as_object().is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
        && all("matchExpressions").as_array().is_none_or(|wanted| {
            wanted.iter().all(|wanted| {
                let value = labels.get(wanted["key"].as_str().unwrap());
                match wanted["operator"].as_str().unwrap() {
                    "Exists" => value.is_some(),
                    _ => !value.is_some_and(|value| wanted["values"].as_array().unwrap().contains(value)),
                }
            })
        })
}

fn packets() -> Vec<Packet> {
    let mut addresses: Vec<Ipv4Addr> =
        (1..=2).flat_map(|node| (2..=6).map(move |pod| Ipv4Addr::new(10, 244, node, pod))).collect();
    addresses.extend([Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 8)]);
    let ports = [
        None,
        Some((Protocol::Tcp, 80)),
        Some((Protocol::Tcp, 81)),
        Some((Protocol::Tcp, 443)),
        Some((Protocol::Udp, 80)),
        Some((Protocol::Udp, 81)),
    ];
    let pairs = addresses.iter().flat_map(|source| addresses.iter().map(move |destination| (*source, *destination)));
    pairs
        .flat_map(|(source, destination)| ports.into_iter().map(move |port| Packet { source, destination, port }))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn rules_allow_what_the_policies_say(policies in vec(any_policy(), 0..5), pods in pods()) {
        let objects: Vec<_> = policies.iter().enumerate().map(|(index, value)| policy(&format!("p{index}"), value.clone())).collect();
        let all: Vec<_> = pods.iter().map(|value| pod(value.clone())).collect();
        let reader = Reader { policies: &policies, pods: &pods };
        for node in NODES {
            let planned = plan(&objects, &all, &namespaces(), node);
            for packet in packets() {
                let passed = planned.as_ref().is_none_or(|ruleset| passes(ruleset, packet));
                prop_assert_eq!(passed, reader.allows(node, packet), "{:?} on {}", packet, node);
            }
            // The same world again changes nothing.
            let again = plan(&objects, &all, &namespaces(), node);
            prop_assert_eq!(&planned, &again);
            if let Some(planned) = &planned {
                prop_assert!(steps(again.as_ref(), planned).is_empty());
            }
        }
    }
}
