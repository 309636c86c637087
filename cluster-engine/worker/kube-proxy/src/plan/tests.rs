//! Services as rules, in the words of nft.

use drydock_client::types::{EndpointSlice, Service};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;
use crate::ruleset::{Step, steps};

fn node() -> NodeInfo {
    NodeInfo {
        name: "n1".to_owned(),
        zone: Some("z1".to_owned()),
        cluster_cidr: Prefix::parse("10.244.0.0/16"),
        masquerade_all: false,
        addresses: Vec::new(),
    }
}

fn service(spec: Value) -> Box<Service> {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.5", "ports": [{"name": "http", "protocol": "TCP", "port": 80}]},
    });
    let into = service["spec"].as_object_mut().unwrap();
    for (key, value) in spec.as_object().unwrap() {
        into.insert(key.clone(), value.clone());
    }
    Box::new(serde_json::from_value(service).unwrap())
}

fn slice(endpoints: Value) -> Box<EndpointSlice> {
    let slice = json!({
        "metadata": {"name": "web-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}, {"name": "dns", "protocol": "UDP", "port": 53}],
    });
    Box::new(serde_json::from_value(slice).unwrap())
}

fn two() -> Box<EndpointSlice> {
    slice(json!([
        {"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": true}},
        {"addresses": ["10.244.2.2"], "nodeName": "n2"},
    ]))
}

/// The rules that a service adds to those that are always there.
#[track_caller]
fn check(service: Box<Service>, slices: &[Box<EndpointSlice>], expected: &Expect) {
    let mut ruleset = plan(&[service], slices, &node()).ruleset;
    let frame = frame(&[]);
    ruleset.chains.retain(|name, _| !frame.chains.contains_key(name));
    ruleset.sets.retain(|_, set| !set.members.is_empty() || set.kind == SetKind::Remembered);
    expected.assert_eq(&ruleset.to_string());
}

#[test]
fn a_cluster_ip_with_two_endpoints() {
    check(
        service(json!({})),
        &[two()],
        &expect![[r#"
            Addresses cluster-ips
                10.96.0.5
            Services service-ips
                10.96.0.5 . tcp . 80 : goto cluster-ip-ns/web/tcp/http
            chain cluster-ip-ns/web/tcp/http
                ip saddr != 10.244.0.0/16 jump mark-for-masquerade
                goto service-ns/web/tcp/http
            chain endpoint-ns/web/tcp/http__10.244.1.2/8080
                ip saddr 10.244.1.2/32 jump mark-for-masquerade
                dnat to 10.244.1.2:8080
            chain endpoint-ns/web/tcp/http__10.244.2.2/8080
                ip saddr 10.244.2.2/32 jump mark-for-masquerade
                dnat to 10.244.2.2:8080
            chain service-ns/web/tcp/http
                numgen random mod 2 0 goto endpoint-ns/web/tcp/http__10.244.1.2/8080
                goto endpoint-ns/web/tcp/http__10.244.2.2/8080
        "#]],
    );
}

#[test]
fn a_node_port_with_local_traffic_and_affinity() {
    check(
        service(json!({
            "type": "NodePort", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}],
        })),
        &[two()],
        &expect![[r#"
            Remembered affinity-ns/web/tcp/http__10.244.1.2/8080
            Remembered affinity-ns/web/tcp/http__10.244.2.2/8080
            Addresses cluster-ips
                10.96.0.5
            Services service-ips
                10.96.0.5 . tcp . 80 : goto cluster-ip-ns/web/tcp/http
            Ports service-nodeports
                tcp . 30080 : goto external-ns/web/tcp/http
            chain cluster-ip-ns/web/tcp/http
                ip saddr != 10.244.0.0/16 jump mark-for-masquerade
                goto service-ns/web/tcp/http
            chain endpoint-ns/web/tcp/http__10.244.1.2/8080
                ip saddr 10.244.1.2/32 jump mark-for-masquerade
                update @affinity-ns/web/tcp/http__10.244.1.2/8080 { ip saddr timeout 60s }
                dnat to 10.244.1.2:8080
            chain endpoint-ns/web/tcp/http__10.244.2.2/8080
                ip saddr 10.244.2.2/32 jump mark-for-masquerade
                update @affinity-ns/web/tcp/http__10.244.2.2/8080 { ip saddr timeout 60s }
                dnat to 10.244.2.2:8080
            chain external-ns/web/tcp/http
                ip saddr 10.244.0.0/16 goto service-ns/web/tcp/http
                fib saddr type local jump mark-for-masquerade
                fib saddr type local goto service-ns/web/tcp/http
                goto local-ns/web/tcp/http
            chain local-ns/web/tcp/http
                ip saddr @affinity-ns/web/tcp/http__10.244.1.2/8080 goto endpoint-ns/web/tcp/http__10.244.1.2/8080
                goto endpoint-ns/web/tcp/http__10.244.1.2/8080
            chain service-ns/web/tcp/http
                ip saddr @affinity-ns/web/tcp/http__10.244.1.2/8080 goto endpoint-ns/web/tcp/http__10.244.1.2/8080
                ip saddr @affinity-ns/web/tcp/http__10.244.2.2/8080 goto endpoint-ns/web/tcp/http__10.244.2.2/8080
                numgen random mod 2 0 goto endpoint-ns/web/tcp/http__10.244.1.2/8080
                goto endpoint-ns/web/tcp/http__10.244.2.2/8080
        "#]],
    );
}

#[test]
fn no_endpoints() {
    check(
        service(json!({
            "type": "NodePort", "externalIPs": ["203.0.113.1"],
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}],
        })),
        &[],
        &expect![[r#"
            Addresses cluster-ips
                10.96.0.5
            Ports no-endpoint-nodeports
                tcp . 30080 : goto reject-chain
            Services no-endpoint-services
                10.96.0.5 . tcp . 80 : goto reject-chain
                203.0.113.1 . tcp . 80 : goto reject-chain
        "#]],
    );
}

#[test]
fn internal_local_without_a_local_endpoint_drops() {
    let elsewhere = slice(json!([{"addresses": ["10.244.2.2"], "nodeName": "n2"}]));
    check(
        service(json!({"internalTrafficPolicy": "Local"})),
        &[elsewhere],
        &expect![[r#"
            Addresses cluster-ips
                10.96.0.5
            Services no-endpoint-services
                10.96.0.5 . tcp . 80 : drop
        "#]],
    );
}

#[test]
fn services_without_an_address_have_no_rules() {
    for spec in [
        json!({"clusterIP": "None"}),
        json!({"type": "ExternalName", "clusterIP": ""}),
        json!({"clusterIP": "fd00::1"}),
    ] {
        let planned = plan(&[service(spec)], &[two()], &node());
        assert_eq!(planned, Plan { ruleset: frame(&[]), ..Plan::default() });
    }
}

#[track_caller]
fn chosen(endpoints: Value, cluster: &[&str], local: &[&str]) {
    let slice = slice(endpoints);
    let choice = choose(&[&slice], "http", Protocol::Tcp, &node());
    let addresses = |backends: &[Backend]| backends.iter().map(|b| b.address.to_string()).collect::<Vec<_>>();
    assert_eq!(addresses(&choice.cluster), cluster, "cluster");
    assert_eq!(addresses(&choice.local), local, "local");
}

#[test]
fn unready_endpoints_are_not_used() {
    chosen(
        json!([
            {"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": false}},
            {"addresses": ["10.244.2.2"], "nodeName": "n2", "conditions": {"ready": true}},
        ]),
        &["10.244.2.2"],
        &[],
    );
}

#[test]
fn ending_endpoints_are_used_when_no_ready_one_is_left() {
    let ending = json!({"ready": false, "serving": true, "terminating": true});
    chosen(
        json!([
            {"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": ending},
            {"addresses": ["10.244.2.2"], "nodeName": "n2"},
        ]),
        &["10.244.2.2"],
        &["10.244.1.2"],
    );
    chosen(
        json!([
            {"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": ending},
            {"addresses": ["10.244.2.2"], "nodeName": "n2", "conditions": {"ready": false, "serving": false, "terminating": true}},
        ]),
        &["10.244.1.2"],
        &["10.244.1.2"],
    );
}

#[test]
fn hints_are_followed_when_all_endpoints_have_them() {
    let zone = |zone: &str| json!({"forZones": [{"name": zone}]});
    chosen(
        json!([
            {"addresses": ["10.244.1.2"], "nodeName": "n3", "hints": zone("z1")},
            {"addresses": ["10.244.2.2"], "nodeName": "n2", "hints": zone("z2")},
        ]),
        &["10.244.1.2"],
        &[],
    );
    chosen(
        json!([
            {"addresses": ["10.244.1.2"], "nodeName": "n3", "hints": zone("z1")},
            {"addresses": ["10.244.2.2"], "nodeName": "n2"},
        ]),
        &["10.244.1.2", "10.244.2.2"],
        &[],
    );
    chosen(
        json!([
            {"addresses": ["10.244.1.2"], "nodeName": "n3", "hints": zone("z3")},
            {"addresses": ["10.244.2.2"], "nodeName": "n2", "hints": {"forZones": [{"name": "z2"}], "forNodes": [{"name": "n1"}]}},
        ]),
        &["10.244.1.2", "10.244.2.2"],
        &[],
    );
}

#[test]
fn ports_are_found_by_name_and_protocol() {
    let mut of_port = service(json!({"ports": [{"name": "dns", "protocol": "UDP", "port": 53}]}));
    let planned = plan(&[of_port.clone()], &[two()], &node());
    let endpoints = &planned.udp.addresses[&("10.96.0.5".parse().unwrap(), 53)];
    assert_eq!(endpoints.iter().map(|(_, port)| *port).collect::<Vec<_>>(), [53, 53]);
    of_port.spec.ports[0].protocol = "TCP".to_owned();
    let planned = plan(&[of_port], &[two()], &node());
    assert_eq!(planned.ruleset.sets[NO_ENDPOINT_SERVICES].members.len(), 1);
}

#[test]
fn load_balancers_are_told_of_local_endpoints() {
    let balanced =
        service(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}));
    let planned = plan(&[balanced], &[two()], &node());
    assert_eq!(planned.health_ports[&31000].local_endpoints, 1);
}

#[test]
fn one_node_answers_for_a_load_balancer() {
    let mut balanced = service(json!({"type": "LoadBalancer"}));
    balanced.status = serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "10.20.0.130"}]}})).unwrap();
    let announced = |service: &Service| plan(&[service], &[two()], &node()).announced;
    balanced.metadata.annotations.insert(Service::ANNOUNCING_NODE.to_owned(), "n2".to_owned());
    assert!(announced(&balanced).is_empty());
    balanced.metadata.annotations.insert(Service::ANNOUNCING_NODE.to_owned(), "n1".to_owned());
    assert_eq!(announced(&balanced), [Ipv4Addr::new(10, 20, 0, 130)].into());
    balanced.spec.kind = "NodePort".to_owned();
    assert!(announced(&balanced).is_empty());
}

#[test]
fn node_ports_answer_on_the_nodes_own_addresses() {
    let address = Ipv4Addr::new(10, 20, 0, 3);
    let planned = plan::<Box<Service>, Box<EndpointSlice>>(&[], &[], &NodeInfo { addresses: vec![address], ..node() });
    assert_eq!(planned.ruleset.sets[NODEPORT_IPS].members.keys().collect::<Vec<_>>(), [&Key::address(address)]);
    let rules: Vec<_> = planned.ruleset.chains["services"].rules[1].iter().map(ToString::to_string).collect();
    assert_eq!(rules.join(" "), "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports");
}

#[test]
fn what_is_there_already_is_not_written_again() {
    let before = plan(&[service(json!({}))], &[two()], &node()).ruleset;
    assert_eq!(steps(Some(&before), &before), []);
    let one = slice(json!([{"addresses": ["10.244.2.2"], "nodeName": "n2"}]));
    let after = plan(&[service(json!({}))], &[one], &node()).ruleset;
    let gone = "endpoint-ns/web/tcp/http__10.244.1.2/8080";
    let chain = "service-ns/web/tcp/http";
    assert_eq!(
        steps(Some(&before), &after),
        [
            Step::Flush(gone),
            Step::Flush(chain),
            Step::AddRule(chain, &vec![goto("endpoint-ns/web/tcp/http__10.244.2.2/8080")]),
            Step::RemoveChain(gone),
        ]
    );
}

/// Applying the steps to a model of the kernel's table gives the new rules, whatever was there before.
#[test]
fn steps_lead_from_any_rules_to_any_others() {
    let variants: Vec<Ruleset> = [
        (json!({}), vec![two()]),
        (json!({}), vec![]),
        (json!({"sessionAffinity": "ClientIP"}), vec![two()]),
        (json!({"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}), vec![two()]),
        (json!({"clusterIP": "None"}), vec![two()]),
    ]
    .into_iter()
    .map(|(spec, slices)| plan(&[service(spec)], &slices, &node()).ruleset)
    .collect();
    for before in &variants {
        for after in &variants {
            for known in [true, false] {
                let mut table = before.clone();
                for step in steps(known.then_some(before), after) {
                    perform(&mut table, &step);
                }
                assert_eq!(&table, after);
            }
        }
    }
}

fn perform(table: &mut Ruleset, step: &Step<'_>) {
    match *step {
        Step::Reset => *table = Ruleset::default(),
        Step::AddChain(name, hook) => {
            assert!(table.chains.insert(name.to_owned(), Chain { hook, rules: Vec::new() }).is_none());
        }
        Step::AddSet(name, kind) => {
            assert!(table.sets.insert(name.to_owned(), Set { kind, members: BTreeMap::new() }).is_none());
        }
        Step::RemoveMember(set, _, key) => {
            assert!(table.sets.get_mut(set).unwrap().members.remove(key).is_some());
        }
        Step::Flush(chain) => table.chains.get_mut(chain).unwrap().rules.clear(),
        Step::AddRule(chain, rule) => {
            for statement in rule {
                if let Statement::Verdict(Verdict::Goto(to) | Verdict::Jump(to)) = statement {
                    assert!(table.chains.contains_key(to), "{to} is not there yet");
                }
            }
            table.chains.get_mut(chain).unwrap().rules.push(rule.clone());
        }
        Step::AddMember(set, _, key, verdict) => {
            assert!(table.sets.get_mut(set).unwrap().members.insert(*key, verdict.cloned()).is_none());
        }
        Step::RemoveChain(name) => {
            assert!(table.chains.remove(name).unwrap().rules.is_empty());
            let used = |verdict: &Verdict| matches!(verdict, Verdict::Goto(to) | Verdict::Jump(to) if to == name);
            let in_rules = table.chains.values().flat_map(|chain| chain.rules.iter().flatten());
            assert!(!in_rules.into_iter().any(|s| matches!(s, Statement::Verdict(verdict) if used(verdict))));
            assert!(!table.sets.values().flat_map(|set| set.members.values().flatten()).any(used));
        }
        Step::RemoveSet(name) => {
            assert!(table.sets.remove(name).is_some());
        }
    }
}
