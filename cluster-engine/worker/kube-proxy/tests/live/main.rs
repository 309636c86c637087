//! The rules in a real kernel: a node, two pods and a client outside, each a network namespace of its own, and
//! real connections between them. Needs root and iproute2; everything is made and removed by the test.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking and shows the rules")]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use drydock_kube_proxy::TABLE;
use drydock_nftables::ruleset::{Ruleset, steps};
use drydock_nftables::{Socket, apply, table_exists};
use serde_json::{Value, json};
use world::{A, B, CLIENT, CLUSTER_IP, EXTERNAL_IP, NODE, World};

const LOCAL: &str = "node-1";

fn service(changes: Value) -> Value {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": CLUSTER_IP,
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        },
    });
    merge(&mut service, changes);
    service
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value,
    }
}

fn slice(name: &str, endpoints: &[Value]) -> Value {
    json!({
        "metadata": {
            "name": format!("{name}-1"), "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [
            {"name": "http", "protocol": "TCP", "port": 8080},
            {"name": "echo", "protocol": "UDP", "port": 8080},
        ],
    })
}

fn endpoint(address: &str, node: &str) -> Value {
    json!({"addresses": [address], "conditions": {"ready": true}, "nodeName": node})
}

fn both() -> Value {
    slice("web", &[endpoint(A, LOCAL), endpoint(B, "node-2")])
}

fn node_port() -> Value {
    json!({"spec": {"type": "NodePort", "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}})
}

/// Who answered in so many connections.
fn answers(world: &World, from: &str, to: &str, connections: usize) -> BTreeSet<String> {
    (0..connections).map(|_| world.connect(from, to).unwrap().server).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_service_is_balanced_over_its_endpoints() {
    let world = World::new();
    world.apply(None, &[service(json!({}))], &[both()]);
    let to = format!("{CLUSTER_IP}:80");
    for from in ["client", "a", "node"] {
        assert_eq!(answers(&world, from, &to, 40), names(&["a", "b"]), "from {from}");
    }
    // Pods are seen as themselves, everybody else as the node.
    let seen = (0..40).map(|_| world.connect("a", &to).unwrap()).find(|answer| answer.server == "b").unwrap();
    assert_eq!(seen.client, A);
    assert_ne!(world.connect("client", &to).unwrap().client, CLIENT);
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let world = World::new();
    world.apply(None, &[service(json!({}))], &[slice("web", &[endpoint(A, LOCAL)])]);
    let answer = world.connect("a", &format!("{CLUSTER_IP}:80")).unwrap();
    assert_eq!(answer.server, "a");
    assert_ne!(answer.client, A);
}

#[test]
fn node_ports_lead_to_the_service() {
    let world = World::new();
    world.apply(None, &[service(node_port())], &[both()]);
    let to = format!("{NODE}:30080");
    for from in ["client", "a", "node"] {
        assert_eq!(answers(&world, from, &to, 40), names(&["a", "b"]), "from {from}");
    }
    assert_ne!(world.connect("client", &to).unwrap().client, CLIENT);
}

#[test]
fn external_addresses_lead_to_the_service() {
    let world = World::new();
    let external = json!({"spec": {"externalIPs": [EXTERNAL_IP]}});
    world.apply(None, &[service(external)], &[both()]);
    assert_eq!(answers(&world, "client", &format!("{EXTERNAL_IP}:80"), 40), names(&["a", "b"]));
}

#[test]
fn policy_local_keeps_the_source_and_the_node() {
    let world = World::new();
    let mut local = node_port();
    merge(&mut local, json!({"spec": {"externalTrafficPolicy": "Local"}}));
    world.apply(None, &[service(local.clone())], &[both()]);
    let to = format!("{NODE}:30080");
    assert_eq!(answers(&world, "client", &to, 20), names(&["a"]));
    assert_eq!(world.connect("client", &to).unwrap().client, CLIENT);
    // From inside, all endpoints count.
    assert_eq!(answers(&world, "a", &to, 40), names(&["a", "b"]));
    assert_eq!(answers(&world, "client", &format!("{CLUSTER_IP}:80"), 40), names(&["a", "b"]));

    // Without an endpoint here, outsiders' packets are dropped; the node itself still gets through.
    let elsewhere = slice("web", &[endpoint(B, "node-2")]);
    world.apply(None, &[service(local)], &[elsewhere]);
    assert_eq!(world.connect("client", &to).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(answers(&world, "node", &to, 5), names(&["b"]));
}

#[test]
fn internal_policy_local_stays_on_the_node() {
    let world = World::new();
    let local = service(json!({"spec": {"internalTrafficPolicy": "Local"}}));
    world.apply(None, std::slice::from_ref(&local), &[both()]);
    let to = format!("{CLUSTER_IP}:80");
    assert_eq!(answers(&world, "a", &to, 20), names(&["a"]));
    world.apply(None, &[local], &[slice("web", &[endpoint(B, "node-2")])]);
    assert_eq!(world.connect("a", &to).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn without_endpoints_connections_are_refused() {
    let world = World::new();
    world.apply(None, &[service(node_port())], &[]);
    for from in ["client", "a", "node"] {
        for to in [format!("{CLUSTER_IP}:80"), format!("{NODE}:30080")] {
            let error = world.connect(from, &to).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "from {from} to {to}");
        }
    }
}

#[test]
fn a_port_that_a_service_does_not_have_is_refused() {
    let world = World::new();
    world.apply(None, &[service(json!({}))], &[both()]);
    for from in ["client", "a", "node"] {
        let error = world.connect(from, &format!("{CLUSTER_IP}:81")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "from {from}");
    }
}

#[test]
fn endpoints_that_end_serve_when_no_others_are_left() {
    let world = World::new();
    let ending = |address: &str| {
        json!({"addresses": [address], "nodeName": LOCAL,
            "conditions": {"ready": false, "serving": true, "terminating": true}})
    };
    let to = format!("{CLUSTER_IP}:80");
    world.apply(None, &[service(json!({}))], &[slice("web", &[ending(A), endpoint(B, LOCAL)])]);
    assert_eq!(answers(&world, "client", &to, 20), names(&["b"]));
    world.apply(None, &[service(json!({}))], &[slice("web", &[ending(A)])]);
    assert_eq!(answers(&world, "client", &to, 5), names(&["a"]));
}

#[test]
fn a_client_stays_with_its_endpoint() {
    let world = World::new();
    let sticky = service(json!({"spec": {"sessionAffinity": "ClientIP"}}));
    let to = format!("{CLUSTER_IP}:80");
    let first = world.apply(None, std::slice::from_ref(&sticky), &[both()]);
    let before = answers(&world, "client", &to, 20);
    assert_eq!(before.len(), 1, "{before:?}");

    // What changes elsewhere does not make the node forget.
    let mut other = service(json!({"metadata": {"name": "other"}, "spec": {"clusterIP": "10.96.7.7"}}));
    merge(&mut other, node_port());
    let slices = [both(), slice("other", &[endpoint(B, LOCAL)])];
    let second = world.apply(Some(&first), &[sticky.clone(), other], &slices);
    assert_eq!(answers(&world, "client", &to, 20), before);
    assert_eq!(answers(&world, "client", "10.96.7.7:80", 1), names(&["b"]));

    // When its endpoint goes, it moves.
    let (left, left_address) = if before.contains("a") { ("b", B) } else { ("a", A) };
    let third = world.apply(Some(&second), &[sticky], &[slice("web", &[endpoint(left_address, LOCAL)])]);
    assert_eq!(answers(&world, "client", &to, 5), names(&[left]));
    assert!(!third.chains.keys().any(|name| name.contains("other")));
    assert_eq!(world.connect("client", "10.96.7.7:80").unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn load_balancers_admit_only_their_source_ranges() {
    let world = World::new();
    let balanced = |range: &str| {
        service(json!({
            "spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": [range]},
            "status": {"loadBalancer": {"ingress": [{"ip": EXTERNAL_IP}]}},
        }))
    };
    let to = format!("{EXTERNAL_IP}:80");
    world.apply(None, &[balanced("10.20.0.0/24")], &[both()]);
    assert_eq!(answers(&world, "client", &to, 40), names(&["a", "b"]));
    world.apply(None, &[balanced("192.0.2.0/24")], &[both()]);
    assert_eq!(world.connect("client", &to).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn udp_follows_the_endpoints() {
    let world = World::new();
    let udp = service(json!({"spec": {"ports": [{"name": "echo", "protocol": "UDP", "port": 53}]}}));
    let first = world.apply(None, std::slice::from_ref(&udp), &[slice("web", &[endpoint(A, LOCAL)])]);
    let to = format!("{CLUSTER_IP}:53");
    let client = world.udp("client");
    assert_eq!(client.ask(&to).unwrap(), "a");
    // The same socket, so the same connection to the kernel, which remembers endpoint a.
    world.apply(Some(&first), &[udp], &[slice("web", &[endpoint(B, LOCAL)])]);
    assert_eq!(client.ask(&to).unwrap(), "b");
}

#[test]
fn a_table_that_somebody_removed_is_noticed_and_made_again() {
    let world = World::new();
    let web = [service(json!({}))];
    world.apply(None, &web, &[both()]);
    let exists = || world.on_node(|| table_exists(&Socket::open().unwrap(), TABLE).unwrap());
    assert!(exists());
    world.run("node", &["nft", "flush", "ruleset"]);
    assert!(!exists());
    world.apply(None, &web, &[both()]);
    // Over an existing table as well.
    world.apply(None, &web, &[both()]);
    assert_eq!(answers(&world, "client", &format!("{CLUSTER_IP}:80"), 40), names(&["a", "b"]));
}

#[test]
fn a_change_that_the_kernel_refuses_changes_nothing() {
    let world = World::new();
    let before = world.apply(None, &[service(json!({}))], &[both()]);
    // Rules that lead to a chain that is not there.
    let mut wrong: Ruleset = before.clone();
    wrong.chains.retain(|name, _| !name.starts_with("endpoint-"));
    let error = world.on_node(|| {
        let steps = steps(None, &wrong);
        apply(&Socket::open().unwrap(), TABLE, &steps).unwrap_err()
    });
    assert!(error.to_string().starts_with("the kernel refused AddRule"), "{error}");
    assert_eq!(answers(&world, "client", &format!("{CLUSTER_IP}:80"), 40), names(&["a", "b"]));
}

#[test]
fn hundreds_of_services_are_written_in_pieces() {
    let world = World::new();
    let number = 300;
    let services: Vec<Value> = (0..number)
        .map(|index| {
            let name = format!("web-{index}");
            service(json!({
                "metadata": {"name": name},
                "spec": {"clusterIP": format!("10.97.{}.{}", index / 200, index % 200 + 1), "sessionAffinity": "ClientIP"},
            }))
        })
        .collect();
    let slices: Vec<Value> =
        (0..number).map(|index| slice(&format!("web-{index}"), &[endpoint(A, LOCAL), endpoint(B, LOCAL)])).collect();
    let begun = std::time::Instant::now();
    let rules = world.apply(None, &services, &slices);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(rules.chains.len() > 4 * number);
    assert_eq!(answers(&world, "client", "10.97.1.100:80", 1).len(), 1);
    world.apply(Some(&rules), &[], &[]);
    let error = world.connect("client", "10.97.1.100:80").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
