//! Tables of Ingresses and requests.

use drydock_client::types::Service;
use serde_json::{Value, json};

use super::*;

struct Fixed {
    services: Vec<Arc<Service>>,
    slices: Vec<Arc<EndpointSlice>>,
}

impl Services for Fixed {
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.iter().find(|service| service.namespace() == namespace && service.name() == name).cloned()
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        let mut slices = self.slices.clone();
        slices.retain(|slice| slice.namespace() == namespace && slice.service_name() == Some(service));
        slices
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn cluster() -> Fixed {
    let service = |name: &str, spec: Value| read(json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}));
    let slice = |name: &str, endpoints: Value| {
        read(json!({
            "metadata": {"name": format!("{name}-1"), "namespace": "ns", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080}, {"name": "grpc", "port": 9090}],
        }))
    };
    let ports = json!([{"name": "http", "port": 80}, {"name": "grpc", "port": 90, "appProtocol": "kubernetes.io/h2c"}]);
    Fixed {
        services: vec![
            service("web", json!({"ports": ports})),
            service("ending", json!({"ports": ports})),
            service("empty", json!({"ports": ports})),
            service("out", json!({"type": "ExternalName", "externalName": "example.org"})),
        ],
        slices: vec![
            slice(
                "web",
                json!([
                    {"addresses": ["10.244.1.2"]},
                    {"addresses": ["10.244.1.3"], "conditions": {"ready": true}},
                    {"addresses": ["10.244.1.4"], "conditions": {"ready": false}},
                ]),
            ),
            slice(
                "ending",
                json!([{"addresses": ["10.244.1.9"], "conditions": {"ready": false, "serving": true, "terminating": true}}]),
            ),
        ],
    }
}

fn ingress(name: &str, created: &str, spec: Value) -> Arc<Ingress> {
    read(json!({"metadata": {"name": name, "namespace": "ns", "creationTimestamp": created}, "spec": spec}))
}

/// A path that leads to a service called as the test likes; services need not exist to be led to.
fn path(path: &str, kind: &str, service: &str) -> Value {
    json!({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}})
}

fn rule(host: &str, paths: &[Value]) -> Value {
    json!({"host": host, "http": {"paths": paths}})
}

#[track_caller]
fn check(table: &Table, url: &str, expected: Option<&str>) {
    let (host, path) = url.find('/').map_or((url, "/"), |slash| url.split_at(slash));
    let found = table.lookup(host, path).map(|backend| backend.name.clone());
    assert_eq!(found, expected.map(|service| format!("ns/{service}:80")), "{url}");
}

#[test]
fn the_most_special_host_has_the_request() {
    let table = plan(
        &[ingress(
            "a",
            "2026-01-01T00:00:00Z",
            json!({"rules": [
                rule("a.example", &[path("/", "Prefix", "exact")]),
                rule("*.example", &[path("/x", "Prefix", "wild")]),
                rule("", &[path("/any", "Prefix", "all")]),
            ]}),
        )],
        &cluster(),
    );
    check(&table, "a.example/x", Some("exact"));
    check(&table, "A.Example.:8080/x", Some("exact"));
    check(&table, "b.example/x", Some("wild"));
    // A star stands for one label.
    check(&table, "c.b.example/x", None);
    check(&table, "example/x", None);
    // A host that has rules is not looked for elsewhere.
    check(&table, "b.example/any", None);
    check(&table, "c.b.example/any", Some("all"));
    check(&table, "10.20.0.3/any", Some("all"));
    check(&table, "/any", Some("all"));
    check(&table, ".example/x", None);
}

#[test]
fn paths_are_matched_by_elements() {
    let table =
        |some: &[Value]| plan(&[ingress("a", "2026-01-01T00:00:00Z", json!({"rules": [rule("h", some)]}))], &cluster());
    // The examples of the Kubernetes documentation.
    for (kind, path_text, url, matches) in [
        ("Prefix", "/", "h/any/thing", true),
        ("Exact", "/foo", "h/foo", true),
        ("Exact", "/foo", "h/bar", false),
        ("Exact", "/foo", "h/foo/", false),
        ("Exact", "/foo/", "h/foo", false),
        ("Prefix", "/foo", "h/foo/", true),
        ("Prefix", "/foo/", "h/foo", true),
        ("Prefix", "/aaa/bb", "h/aaa/bbb", false),
        ("Prefix", "/aaa/bbb", "h/aaa/bbb", true),
        ("Prefix", "/aaa/bbb/", "h/aaa/bbb", true),
        ("Prefix", "/aaa/bbb", "h/aaa/bbb/ccc", true),
        ("Prefix", "/aaa/bbb", "h/aaa/bbbxyz", false),
        ("ImplementationSpecific", "/foo", "h/foo/bar", true),
        ("ImplementationSpecific", "", "h/foo/bar", true),
    ] {
        check(&table(&[path(path_text, kind, "web")]), url, matches.then_some("web"));
    }
    let several = table(&[
        path("/", "Prefix", "root"),
        path("/aaa", "Prefix", "short"),
        path("/aaa/bbb", "Prefix", "long"),
        path("/aaa/bbb", "Exact", "exact"),
    ]);
    check(&several, "h/aaa/bbb", Some("exact"));
    check(&several, "h/aaa/bbb/", Some("long"));
    check(&several, "h/aaa/ccc", Some("short"));
    check(&several, "h/ccc", Some("root"));
}

#[test]
fn what_no_rule_matches_goes_to_a_default() {
    let default = |service: &str| json!({"service": {"name": service, "port": {"number": 80}}});
    let alone = ingress("alone", "2026-01-02T00:00:00Z", json!({"defaultBackend": default("alone")}));
    let with_rules = ingress(
        "with-rules",
        "2026-01-01T00:00:00Z",
        json!({"defaultBackend": default("mine"), "rules": [rule("h", &[path("/x", "Prefix", "web")]), {"host": "bare"}]}),
    );
    let both = plan(&[alone, with_rules.clone()], &cluster());
    check(&both, "h/x", Some("web"));
    check(&both, "h/y", Some("mine"));
    check(&both, "bare/y", Some("mine"));
    check(&both, "elsewhere/y", Some("alone"));
    check(&plan(&[with_rules], &cluster()), "elsewhere/y", Some("mine"));
    check(&plan(&[], &cluster()), "elsewhere/y", None);
}

#[test]
fn the_older_ingress_keeps_what_both_claim() {
    let claim =
        |name: &str, created: &str| ingress(name, created, json!({"rules": [rule("h", &[path("/", "Prefix", name)])]}));
    let table = plan(&[claim("young", "2026-02-01T00:00:00Z"), claim("zz-old", "2026-01-01T00:00:00Z")], &cluster());
    check(&table, "h/", Some("zz-old"));
}

#[test]
fn backends() {
    let backend = |service: Value| {
        let backend = serde_json::from_value(json!({"service": service})).unwrap();
        resolve("ns", &backend, &cluster())
    };
    let addresses = |backend: &Backend| -> Vec<String> {
        let text = |target: &Target| match target {
            Target::Address(address) => address.to_string(),
            Target::Name(name, port) => format!("{name}:{port}"),
        };
        backend.targets.iter().map(text).collect()
    };
    let by_number = backend(json!({"name": "web", "port": {"number": 80}}));
    assert_eq!(addresses(&by_number), ["10.244.1.2:8080", "10.244.1.3:8080"]);
    let by_name = backend(json!({"name": "web", "port": {"name": "grpc"}}));
    assert_eq!((addresses(&by_name), by_name.h2c), (vec!["10.244.1.2:9090".into(), "10.244.1.3:9090".into()], true));
    let ending = backend(json!({"name": "ending", "port": {"number": 80}}));
    assert_eq!(addresses(&ending), ["10.244.1.9:8080"]);
    let outside = backend(json!({"name": "out", "port": {"number": 8000}}));
    assert_eq!(addresses(&outside), ["example.org:8000"]);
    for (service, missing) in [
        (json!({"name": "nobody", "port": {"number": 80}}), "there is no such service"),
        (json!({"name": "web", "port": {"number": 81}}), "the service has no such port"),
        (json!({"name": "empty", "port": {"number": 80}}), "the service has no endpoints"),
    ] {
        let backend = backend(service);
        assert_eq!((backend.targets.len(), backend.missing), (0, missing));
    }
    let resource = resolve("ns", &IngressBackend::default(), &cluster());
    assert_eq!(resource.missing, "only services can serve requests here");
}

#[test]
fn certificates_are_for_the_hosts_they_name_or_those_of_the_rules() {
    let table = plan(
        &[ingress(
            "a",
            "2026-01-01T00:00:00Z",
            json!({"rules": [rule("h", &[])], "tls": [{"hosts": ["x", "*.y"], "secretName": "s1"}, {"secretName": "s2"}, {"hosts": ["z"]}]}),
        )],
        &cluster(),
    );
    let found: Vec<_> = table.secrets.iter().map(|secret| (secret.name.as_str(), secret.hosts.join(" "))).collect();
    assert_eq!(found, [("s1", "x *.y".to_owned()), ("s2", "h".to_owned())]);
}

#[test]
fn http_is_sent_to_https_where_there_is_tls() {
    let of = |name: &str, host: &str, tls: Value, annotations: Value| {
        read::<Ingress>(json!({
            "metadata": {"name": name, "namespace": "ns", "annotations": annotations},
            "spec": {"rules": [rule(host, &[path(&format!("/{name}"), "Prefix", "web")])], "tls": tls},
        }))
    };
    let key = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let table = plan(
        &[
            of("a", "A.example", json!([{"hosts": ["a.example"], "secretName": "s"}]), json!({})),
            of("same-host", "a.example", json!([]), json!({})),
            of("not-me", "a.example", json!([]), json!({key("ssl-redirect"): "false"})),
            of("star", "b.wild.example", json!([{"hosts": ["*.wild.example"]}]), json!({})),
            of("whole", "*.whole.example", json!([{"secretName": "s"}]), json!({})),
            of("forced", "plain.example", json!([]), json!({key("force-ssl-redirect"): "true"})),
            of("plain", "plain.example", json!([]), json!({})),
        ],
        &cluster(),
    );
    for (host, path, expected) in [
        ("a.example", "/a", true),
        ("a.example:8080", "/same-host", true),
        ("a.example", "/not-me", false),
        ("a.example", "/nowhere", false),
        ("a.example", "/.well-known/acme-challenge/a", false),
        ("b.wild.example", "/star", true),
        ("any.whole.example", "/whole", true),
        ("plain.example", "/forced", true),
        ("plain.example", "/plain", false),
    ] {
        assert_eq!(table.is_https_only(host, path), expected, "{host}{path}");
    }
}
