//! A table of questions and answers.

use drydock_client::Object;
use serde_json::{Value, json};

use super::*;

/// A cluster that is all in the test.
pub(crate) struct Fixed {
    services: Vec<Arc<Service>>,
    slices: Vec<Arc<EndpointSlice>>,
    ready: bool,
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn service(namespace: &str, name: &str, spec: Value) -> Arc<Service> {
    read(json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec}))
}

fn slice(namespace: &str, service: &str, endpoints: Value, ports: Value) -> Arc<EndpointSlice> {
    read(json!({
        "metadata": {
            "name": format!("{service}-x"), "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
    }))
}

pub(crate) fn cluster() -> Fixed {
    let http = json!([{"name": "http", "protocol": "TCP", "port": 80}]);
    let pods = json!([
        {"addresses": ["10.244.1.2"], "hostname": "db-0", "conditions": {"ready": true}},
        {"addresses": ["10.244.2.3"], "conditions": {}},
        {"addresses": ["10.244.2.4"], "hostname": "db-2", "conditions": {"ready": false}},
    ]);
    let many: Vec<Value> = (0..200).map(|index| json!({"addresses": [format!("10.244.9.{index}")]})).collect();
    Fixed {
        services: vec![
            service(
                "default",
                "kubernetes",
                json!({"clusterIP": "10.96.0.1",
                "ports": [{"name": "https", "protocol": "TCP", "port": 443}]}),
            ),
            service(
                "kube-system",
                "kube-dns",
                json!({"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"],
                "ports": [{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}]}),
            ),
            service(
                "default",
                "dual",
                json!({"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20", "fd00::20"], "ports": http}),
            ),
            service("default", "db", json!({"clusterIP": "None", "ports": http})),
            service("default", "many", json!({"clusterIP": "None", "ports": http})),
            service("default", "empty", json!({"clusterIP": "None", "ports": http})),
            service("default", "out", json!({"type": "ExternalName", "externalName": "example.org"})),
            service(
                "default",
                "in",
                json!({"type": "ExternalName", "externalName": "kubernetes.default.svc.cluster.local"}),
            ),
            service(
                "default",
                "circle",
                json!({"type": "ExternalName", "externalName": "circle.default.svc.cluster.local."}),
            ),
        ],
        slices: vec![
            slice("default", "db", pods, json!([{"name": "http", "protocol": "TCP", "port": 8080}])),
            slice("default", "many", json!(many), json!([{"name": "http", "protocol": "TCP", "port": 8080}])),
            slice(
                "default",
                "kubernetes",
                json!([{"addresses": ["10.20.0.2"]}]),
                json!([{"name": "https", "protocol": "TCP", "port": 6443}]),
            ),
        ],
        ready: true,
    }
}

impl Records for Fixed {
    fn ready(&self) -> bool {
        self.ready
    }

    fn has_namespace(&self, name: &str) -> bool {
        ["default", "kube-system"].contains(&name)
    }

    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.iter().find(|service| service.namespace() == namespace && service.name() == name).cloned()
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        let mut slices = self.slices.clone();
        slices.retain(|slice| slice.namespace() == namespace && slice.service_name() == Some(service));
        slices
    }

    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>> {
        let text = address.to_string();
        self.services.iter().find(|service| cluster_ips(service).any(|ip| ip == text)).cloned()
    }

    fn slices_at(&self, address: IpAddr) -> Vec<Arc<EndpointSlice>> {
        let text = address.to_string();
        let mut slices = self.slices.clone();
        slices.retain(|slice| slice.endpoints.iter().any(|endpoint| endpoint.addresses.contains(&text)));
        slices
    }
}

pub(crate) fn zone(records: Fixed) -> Zone<Fixed> {
    Zone::new(Name::from_ascii("cluster.local.").unwrap(), 30, records)
}

/// An answer as lines: what `dig` prints of it, without owner, class and time.
fn lines(answer: &Answer) -> Vec<String> {
    let line = |record: &Record| format!("{} {}", record.record_type(), record.data);
    match answer {
        Answer::NotOurs => vec!["not ours".to_owned()],
        Answer::NotReady => vec!["not ready".to_owned()],
        Answer::NoSuchName => vec!["no such name".to_owned()],
        Answer::Found { records, additional } => {
            let more = additional.iter().map(|record| format!("+ {} {}", record.name, line(record)));
            records.iter().map(line).chain(more).collect()
        }
        Answer::Alias { record, .. } => vec![line(record)],
    }
}

#[track_caller]
fn check(name: &str, kind: RecordType, expected: &[&str]) {
    let answer = zone(cluster()).answer(&Name::from_ascii(name).unwrap(), kind);
    assert_eq!(lines(&answer), expected, "{name} {kind}");
}

use RecordType::{A, AAAA, CNAME as ALIAS, MX, NS as SERVERS, PTR, SOA as START, SRV, TXT as TEXT};

#[test]
fn services() {
    check("kubernetes.default.svc.cluster.local.", A, &["A 10.96.0.1"]);
    check("KUBERNETES.Default.svc.CLUSTER.local.", A, &["A 10.96.0.1"]);
    check("kubernetes.default.svc.cluster.local.", AAAA, &[]);
    check("kubernetes.default.svc.cluster.local.", MX, &[]);
    check("dual.default.svc.cluster.local.", A, &["A 10.96.0.20"]);
    check("dual.default.svc.cluster.local.", AAAA, &["AAAA fd00::20"]);
    check("nothing.default.svc.cluster.local.", A, &["no such name"]);
    check("kubernetes.elsewhere.svc.cluster.local.", A, &["no such name"]);
}

#[test]
fn headless_services() {
    check("db.default.svc.cluster.local.", A, &["A 10.244.1.2", "A 10.244.2.3"]);
    check("db-0.db.default.svc.cluster.local.", A, &["A 10.244.1.2"]);
    check("10-244-2-3.db.default.svc.cluster.local.", A, &["A 10.244.2.3"]);
    // An endpoint with a host name has no other one, and one that is not ready has none.
    check("10-244-1-2.db.default.svc.cluster.local.", A, &["no such name"]);
    check("db-2.db.default.svc.cluster.local.", A, &["no such name"]);
    check("empty.default.svc.cluster.local.", A, &["no such name"]);
    check("10-20-0-2.kubernetes.default.svc.cluster.local.", A, &["A 10.20.0.2"]);
}

#[test]
fn servers() {
    check(
        "_https._tcp.kubernetes.default.svc.cluster.local.",
        SRV,
        &["SRV 0 100 443 kubernetes.default.svc.cluster.local.", "+ kubernetes.default.svc.cluster.local. A 10.96.0.1"],
    );
    check(
        "_http._tcp.db.default.svc.cluster.local.",
        SRV,
        &[
            "SRV 0 50 8080 db-0.db.default.svc.cluster.local.",
            "SRV 0 50 8080 10-244-2-3.db.default.svc.cluster.local.",
            "+ db-0.db.default.svc.cluster.local. A 10.244.1.2",
            "+ 10-244-2-3.db.default.svc.cluster.local. A 10.244.2.3",
        ],
    );
    check(
        "kube-dns.kube-system.svc.cluster.local.",
        SRV,
        &[
            "SRV 0 100 53 kube-dns.kube-system.svc.cluster.local.",
            "+ kube-dns.kube-system.svc.cluster.local. A 10.96.0.10",
        ],
    );
    check("_http._udp.db.default.svc.cluster.local.", SRV, &["no such name"]);
    check("_http._tcp.db.default.svc.cluster.local.", A, &["A 10.244.1.2", "A 10.244.2.3"]);
    check("http.tcp.db.default.svc.cluster.local.", SRV, &["no such name"]);
    check("a._http._tcp.db.default.svc.cluster.local.", SRV, &["no such name"]);
}

#[test]
fn external_names() {
    check("out.default.svc.cluster.local.", A, &["CNAME example.org."]);
    check("out.default.svc.cluster.local.", ALIAS, &["CNAME example.org."]);
    check("out.default.svc.cluster.local.", TEXT, &[]);
    check("x.out.default.svc.cluster.local.", A, &["no such name"]);
}

#[test]
fn pods() {
    check("10-244-1-5.default.pod.cluster.local.", A, &["A 10.244.1.5"]);
    check("10-244-1-5.default.pod.cluster.local.", AAAA, &[]);
    check("fd00--5.default.pod.cluster.local.", AAAA, &["AAAA fd00::5"]);
    check("10-244-1-5.elsewhere.pod.cluster.local.", A, &["no such name"]);
    check("web.default.pod.cluster.local.", A, &["no such name"]);
    check("a.10-244-1-5.default.pod.cluster.local.", A, &["no such name"]);
}

#[test]
fn the_domain_itself() {
    check("cluster.local.", START, &["SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30"]);
    check("cluster.local.", SERVERS, &["NS ns.dns.cluster.local."]);
    check("cluster.local.", A, &[]);
    check("ns.dns.cluster.local.", A, &["A 10.96.0.10"]);
    check("dns-version.cluster.local.", TEXT, &["TXT 1.1.0"]);
    for empty in ["svc", "pod", "default.svc", "default.pod"] {
        check(&format!("{empty}.cluster.local."), A, &[]);
    }
    check("elsewhere.svc.cluster.local.", A, &["no such name"]);
    check("what.cluster.local.", A, &["no such name"]);
    check("*.cluster.local.", A, &["no such name"]);
}

#[test]
fn names_that_are_not_ours() {
    check("example.org.", A, &["not ours"]);
    check("local.", A, &["not ours"]);
    check("xcluster.local.", A, &["not ours"]);
    check("kubernetes.default.svc.cluster.local.example.org.", A, &["not ours"]);
}

#[test]
fn addresses() {
    check("1.0.96.10.in-addr.arpa.", PTR, &["PTR kubernetes.default.svc.cluster.local."]);
    check("2.1.244.10.in-addr.arpa.", PTR, &["PTR db-0.db.default.svc.cluster.local."]);
    check("3.2.244.10.in-addr.arpa.", PTR, &["PTR 10-244-2-3.db.default.svc.cluster.local."]);
    check("1.0.96.10.in-addr.arpa.", A, &[]);
    check("9.9.9.9.in-addr.arpa.", PTR, &["not ours"]);
    check("96.10.in-addr.arpa.", PTR, &["not ours"]);
}

#[test]
fn nothing_is_denied_before_the_cluster_is_known() {
    let zone = zone(Fixed { ready: false, ..cluster() });
    for name in
        ["kubernetes.default.svc.cluster.local.", "nothing.default.svc.cluster.local.", "1.0.96.10.in-addr.arpa."]
    {
        assert_eq!(zone.answer(&Name::from_ascii(name).unwrap(), A), Answer::NotReady, "{name}");
    }
}
