//! Policies as rules, in the words of nft.

use std::sync::Arc;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::evaluate::{Packet, passes};
use super::*;

pub(super) fn namespaces() -> BTreeMap<String, Labels> {
    ["red", "blue"]
        .into_iter()
        .map(|name| (name.to_owned(), Labels::from([("team".to_owned(), name.to_owned())])))
        .collect()
}

pub(super) fn policy(name: &str, mut value: Value) -> Arc<NetworkPolicy> {
    value["metadata"]["name"] = json!(name);
    Arc::new(serde_json::from_value(value).unwrap())
}

pub(super) fn pod(value: Value) -> Arc<Pod> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn red(spec: Value) -> Arc<NetworkPolicy> {
    policy("it", json!({"metadata": {"namespace": "red"}, "spec": spec}))
}

fn running(namespace: &str, name: &str, node: &str, ip: &str) -> Arc<Pod> {
    pod(json!({
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]},
        "status": {"podIP": ip, "phase": "Running"},
    }))
}

fn pods() -> Vec<Arc<Pod>> {
    vec![
        running("red", "web", "n1", "10.244.1.2"),
        running("red", "db", "n1", "10.244.1.3"),
        running("red", "far", "n2", "10.244.2.2"),
        running("blue", "web", "n2", "10.244.2.3"),
    ]
}

/// The rules that the policies of namespace red add to those that are always there.
#[track_caller]
fn check(spec: Value, expected: &Expect) {
    let mut ruleset = plan(&[red(spec)], &pods(), &namespaces(), "n1").unwrap();
    ruleset.chains.remove("forward");
    let mut text = ruleset.to_string();
    // The names are hashes.
    for (index, name) in ruleset.chains.keys().chain(ruleset.sets.keys()).enumerate() {
        if name.len() > 20 {
            let short: String = name.split('-').next().unwrap_or_default().to_owned();
            text = text.replace(name.as_str(), &format!("{short}#{index}"));
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn default_deny() {
    check(
        json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
        &expect![[r#"
            AddressVerdicts egress-pods
            AddressVerdicts ingress-pods
                10.244.1.2 : jump ingress#0
                10.244.1.3 : jump ingress#0
            AddressPairs itself
                10.244.1.2 . 10.244.1.2
                10.244.1.3 . 10.244.1.3
            chain ingress#0
                drop
        "#]],
    );
}

#[test]
fn peers_and_ports() {
    check(
        json!({
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{
                "from": [
                    {"podSelector": {"matchLabels": {"app": "db"}}},
                    {"namespaceSelector": {"matchLabels": {"team": "blue"}}, "podSelector": {}},
                    {"ipBlock": {"cidr": "10.20.0.0/24", "except": ["10.20.0.9/32"]}},
                ],
                "ports": [{"port": "http"}, {"protocol": "UDP", "port": 5000, "endPort": 5010}],
            }],
            "egress": [
                {"to": [{"namespaceSelector": {}}], "ports": [{"port": "http", "protocol": "TCP"}]},
                {"ports": [{"port": 53, "protocol": "UDP"}]},
            ],
        }),
        &expect![[r#"
            AddressVerdicts egress-pods
                10.244.1.2 : jump egress#0
            AddressVerdicts ingress-pods
                10.244.1.2 : jump ingress#1
            AddressPairs itself
                10.244.1.2 . 10.244.1.2
            Addresses pods#5
                10.244.2.3
            Addresses pods#6
                10.244.1.3
            Endpoints ports#7
                10.244.1.2 . tcp . 8080
                10.244.1.3 . tcp . 8080
                10.244.2.2 . tcp . 8080
                10.244.2.3 . tcp . 8080
            chain egress#0
                ip daddr . meta l4proto . th dport @ports#7 return
                meta l4proto udp th dport 53 return
                drop
            chain ingress#1
                ip saddr @pods#6 meta l4proto tcp th dport 8080 return
                ip saddr @pods#6 meta l4proto udp th dport 5000-5010 return
                ip saddr @pods#5 meta l4proto tcp th dport 8080 return
                ip saddr @pods#5 meta l4proto udp th dport 5000-5010 return
                ip saddr 10.20.0.0/24 ip saddr != 10.20.0.9/32 meta l4proto tcp th dport 8080 return
                ip saddr 10.20.0.0/24 ip saddr != 10.20.0.9/32 meta l4proto udp th dport 5000-5010 return
                drop
        "#]],
    );
}

#[test]
fn pods_that_are_allowed_the_same_share_a_chain() {
    let spec = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]});
    let ruleset = plan(&[red(spec)], &pods(), &namespaces(), "n1").unwrap();
    assert_eq!(ruleset.chains.len(), 2, "{ruleset}");
    assert_eq!(ruleset.sets["ingress-pods"].members.len(), 2);
}

#[test]
fn a_node_without_isolated_pods_has_no_table() {
    let spec = json!({"podSelector": {"matchLabels": {"app": "far"}}, "policyTypes": ["Ingress"]});
    assert_eq!(plan(&[red(spec.clone())], &pods(), &namespaces(), "n1"), None);
    assert!(plan(&[red(spec)], &pods(), &namespaces(), "n2").is_some());
    assert_eq!(plan::<Arc<NetworkPolicy>, _>(&[], &pods(), &namespaces(), "n1"), None);
}

#[test]
fn without_types_a_policy_is_for_ingress_and_for_egress_if_it_has_such_rules() {
    let ingress = plan(&[red(json!({"podSelector": {}}))], &pods(), &namespaces(), "n1").unwrap();
    assert_eq!((ingress.sets["ingress-pods"].members.len(), ingress.sets["egress-pods"].members.len()), (2, 0));
    let both = plan(&[red(json!({"egress": [{}]}))], &pods(), &namespaces(), "n1").unwrap();
    assert_eq!((both.sets["ingress-pods"].members.len(), both.sets["egress-pods"].members.len()), (2, 2));
}

#[test]
fn policies_add_up() {
    let deny = red(json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
    let allow = policy(
        "allow",
        json!({"metadata": {"namespace": "red"}, "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "db"}}}]}],
        }}),
    );
    let ruleset = plan(&[deny, allow], &pods(), &namespaces(), "n1").unwrap();
    let packet = |source: [u8; 4], destination: [u8; 4]| Packet {
        source: source.into(),
        destination: destination.into(),
        port: Some((Protocol::Tcp, 80)),
    };
    let (web, db, far) = ([10, 244, 1, 2], [10, 244, 1, 3], [10, 244, 2, 2]);
    assert!(passes(&ruleset, packet(db, web)));
    assert!(!passes(&ruleset, packet(web, db)));
    assert!(!passes(&ruleset, packet(far, web)));
    assert!(passes(&ruleset, packet(web, far)), "the other node's affair");
    assert!(passes(&ruleset, packet(web, web)), "itself");
    // ICMP is a protocol like others where no port is named.
    assert!(passes(&ruleset, Packet { port: None, ..packet(db, web) }));
}

#[test]
fn the_address_of_a_pod_that_is_going_is_its_successors() {
    let mut old = (*running("red", "web", "n1", "10.244.1.9")).clone();
    old.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".to_owned());
    let new = running("red", "db", "n1", "10.244.1.9");
    let only_db = red(json!({
        "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": 80}]}],
    }));
    let deny = policy(
        "zz",
        json!({"metadata": {"namespace": "red"}, "spec": {
        "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}}),
    );
    let ruleset = plan(&[only_db, deny], &[Arc::new(old), new], &namespaces(), "n1").unwrap();
    let packet = Packet {
        source: Ipv4Addr::new(10, 20, 0, 9),
        destination: Ipv4Addr::new(10, 244, 1, 9),
        port: Some((Protocol::Tcp, 80)),
    };
    assert!(passes(&ruleset, packet), "{ruleset}");
}
