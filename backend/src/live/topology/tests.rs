//! Tables over small clusters.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::live::raw::Raw;

fn raw(value: Value) -> Arc<Raw> {
    Arc::new(serde_json::from_value(value).expect("object"))
}

fn host(name: &str, role: HostRole, state: HostState) -> HostNode {
    HostNode { name: name.to_owned(), role, ip: Ipv4Addr::new(10, 20, 0, 2), state }
}

fn registered(name: &str, ready: &str) -> Arc<Raw> {
    raw(json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
}

#[track_caller]
fn only_node(objects: &BTreeMap<ObjectKey, Object>) -> &Node {
    match objects.values().next() {
        Some(Object::Node(node)) => node,
        other => panic!("no node: {other:?}"),
    }
}

#[test]
fn the_engine_overrules_what_the_cluster_believes() {
    let observed = Observed { nodes: vec![registered("worker-1", "True")], ..Observed::default() };
    let running = objects(&observed, &[host("worker-1", HostRole::Worker, HostState::Running)], &BTreeMap::new());
    assert_eq!(only_node(&running).state, NodeState::Ready);
    let stopped = objects(&observed, &[host("worker-1", HostRole::Worker, HostState::Stopped)], &BTreeMap::new());
    assert_eq!(only_node(&stopped).state, NodeState::Stopped);
}

#[test]
fn components_are_what_their_mirror_pods_say() {
    let etcd = raw(json!({
        "metadata": {"name": "etcd-master", "namespace": "kube-system"},
        "status": {"phase": "Running", "containerStatuses": [{"restartCount": 2, "state": {"running": {}}}]},
    }));
    let observed = Observed { nodes: vec![registered("master", "True")], pods: vec![etcd], ..Observed::default() };
    let objects = objects(&observed, &[host("master", HostRole::ControlPlane, HostState::Running)], &BTreeMap::new());
    let node =
        objects.values().find_map(|it| if let Object::Node(node) = it { Some(node) } else { None }).expect("node");
    let states: Vec<_> = node.components.iter().map(|it| (it.name.as_str(), it.state, it.restarts)).collect();
    assert_eq!(states[0], ("etcd", ComponentState::Running, 2));
    assert_eq!(states[1], ("kube-apiserver", ComponentState::Stopped, 0));
    assert_eq!(states[4], ("kubelet", ComponentState::Running, 0));
}

#[test]
fn a_pod_knows_its_deployment_and_a_service_its_pods() {
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    let observed = Observed {
        replica_sets: vec![raw(
            json!({"metadata": {"name": "web-1", "namespace": "default", "ownerReferences": owner("Deployment", "web")}}),
        )],
        pods: vec![raw(
            json!({"metadata": {"name": "web-1-x", "namespace": "default", "ownerReferences": owner("ReplicaSet", "web-1")}}),
        )],
        services: vec![raw(
            json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {"clusterIP": "None", "ports": [{"port": 80, "targetPort": "http"}]}}),
        )],
        slices: vec![raw(json!({
            "metadata": {"name": "web-abc", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.244.1.2"], "conditions": {"ready": false}, "targetRef": {"name": "web-1-x"}}],
        }))],
        ..Observed::default()
    };
    let objects = objects(&observed, &[], &BTreeMap::new());
    let pod = objects.values().find_map(|it| if let Object::Pod(pod) = it { Some(pod) } else { None }).expect("pod");
    let owners: Vec<_> = pod.owners.iter().map(|owner| owner.name.as_str()).collect();
    assert_eq!(owners, ["web-1", "web"]);
    let service =
        objects.values().find_map(|it| if let Object::Service(it) = it { Some(it) } else { None }).expect("service");
    assert_eq!(service.cluster_ip, None);
    assert_eq!(service.ports[0].target_port, "http");
    assert_eq!((service.endpoints[0].pod.as_deref(), service.endpoints[0].ready), (Some("web-1-x"), false));
}

#[test]
fn an_ingress_names_its_ways() {
    let ingress = ingress(&json!({
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "ingressClassName": "nginx",
            "defaultBackend": {"service": {"name": "rest", "port": {"name": "http"}}},
            "tls": [{"hosts": ["shop.localhost"]}],
            "rules": [
                {"host": "shop.localhost", "http": {"paths": [
                    {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
                    {"path": "/file", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}},
                ]}},
                {"host": "nothing.localhost"},
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "10.20.0.128"}]}},
    }));
    let routes: Vec<_> = ingress
        .routes
        .iter()
        .map(|it| (it.host.as_str(), it.path.as_str(), it.service.as_str(), it.port.as_str()))
        .collect();
    assert_eq!(routes, [("shop.localhost", "/", "web", "80"), ("", "", "rest", "http")]);
    assert_eq!((ingress.tls.len(), ingress.addresses), (1, vec!["10.20.0.128".to_owned()]));
}

#[test]
fn workloads_count_what_they_want() {
    let meta = json!({"name": "it", "namespace": "default"});
    let observed = Observed {
        stateful_sets: vec![raw(json!({"metadata": meta, "spec": {"replicas": 3}, "status": {"readyReplicas": 1}}))],
        daemon_sets: vec![raw(json!({"metadata": meta, "status": {"desiredNumberScheduled": 2, "numberReady": 2}}))],
        jobs: vec![raw(json!({"metadata": meta, "spec": {}, "status": {"succeeded": 1}}))],
        ..Observed::default()
    };
    let objects = objects(&observed, &[], &BTreeMap::new());
    let seen: Vec<_> = objects
        .values()
        .filter_map(|it| match it {
            Object::StatefulSet(it) => Some(("StatefulSet", it.ready, it.replicas)),
            Object::DaemonSet(it) => Some(("DaemonSet", it.ready, it.replicas)),
            Object::Job(it) => Some(("Job", it.ready, it.replicas)),
            _ => None,
        })
        .collect();
    assert_eq!(seen, [("StatefulSet", 1, 3), ("DaemonSet", 2, 2), ("Job", 1, 1)]);
}

#[test]
fn only_what_changed_is_sent() {
    let before = Observed {
        nodes: vec![],
        namespaces: vec![raw(json!({"metadata": {"name": "a"}})), raw(json!({"metadata": {"name": "b"}}))],
        ..Observed::default()
    };
    let after = Observed {
        namespaces: vec![raw(json!({"metadata": {"name": "a"}})), raw(json!({"metadata": {"name": "c"}}))],
        ..Observed::default()
    };
    let of = |observed| objects(observed, &[], &BTreeMap::new());
    let (changed, gone) = difference(&of(&before), &of(&after));
    assert_eq!(changed.len(), 1);
    assert_eq!(gone.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["b"]);
}
