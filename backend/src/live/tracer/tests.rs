//! Logs and the chains in them.

use super::{Kin, Stage, Trace, Tracer};
use crate::live::audit::AuditEvent;

fn event(at: u64, user: &str, verb: &str, resource: &str, name: &str) -> AuditEvent {
    let (resource, uri) = resource
        .split_once('?')
        .map_or((resource, String::new()), |(resource, manager)| (resource, format!("/?fieldManager={manager}")));
    let stamp = |micros: u64| format!("2026-11-21T01:00:{:02}.{:06}Z", micros / 1_000_000, micros % 1_000_000);
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    serde_json::from_value(serde_json::json!({
        "stage": "ResponseComplete", "verb": verb, "user": {"username": user}, "userAgent": if user.starts_with("system:serviceaccount") { "kube-controller-manager/v1.36" } else { "kubectl/v1.36" },
        "objectRef": {"resource": resource, "subresource": subresource, "namespace": "default", "name": name},
        "responseStatus": {"code": 201},
        "requestURI": uri, "annotations": {"apiserver.latency.k8s.io/etcd": "300µs"},
        "requestReceivedTimestamp": stamp(at), "stageTimestamp": stamp(at + 500),
    }))
    .expect("event")
}

/// A cluster of which nothing is known.
struct Nothing;

impl Kin for Nothing {
    fn owner(&self, _: &str, _: &str, _: &str) -> Option<(String, String)> {
        None
    }

    fn has_backend(&self, _: &str, _: &str, _: &str, _: &dyn Fn(&str) -> bool) -> bool {
        false
    }
}

/// A cluster in which every object has this owner and every slice these pods.
struct Known {
    owner: Option<(&'static str, &'static str)>,
    backends: &'static [&'static str],
}

impl Kin for Known {
    fn owner(&self, _: &str, _: &str, _: &str) -> Option<(String, String)> {
        self.owner.map(|(resource, name)| (resource.to_owned(), name.to_owned()))
    }

    fn has_backend(&self, _: &str, _: &str, _: &str, is_member: &dyn Fn(&str) -> bool) -> bool {
        self.backends.iter().any(|pod| is_member(pod))
    }
}

const RS: &str = "system:serviceaccount:kube-system:replicaset-controller";
const DEPLOYMENT: &str = "system:serviceaccount:kube-system:deployment-controller";

fn run(events: &[AuditEvent]) -> Vec<Trace> {
    let mut tracer = Tracer::default();
    for event in events {
        tracer.take(event, &Nothing);
    }
    tracer.chains.into_iter().map(|chain| chain.trace).collect()
}

#[test]
fn a_deployment_and_all_that_follows() {
    let traces = run(&[
        event(0, "kubernetes-admin", "create", "deployments", "web"),
        event(3_000, DEPLOYMENT, "create", "replicasets", "web-5d9"),
        event(6_000, RS, "create", "pods", "web-5d9-abcde"),
        event(7_000, RS, "create", "pods", "other-xyz"),
        event(9_000, "system:kube-scheduler", "create", "pods/binding", "web-5d9-abcde"),
        event(20_000, "system:node:worker-1", "patch", "pods/status", "web-5d9-abcde"),
        event(21_000, "system:node:worker-1", "patch", "nodes/status", "worker-1"),
    ]);
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].title, "create deployment web");
    assert_eq!(traces[0].stages[0].etcd_micros, Some(300));
    assert_eq!(traces[0].duration_micros, 20_500);
    let stages: Vec<_> = traces[0].stages.iter().map(|it| (it.component.as_str(), it.node.as_deref())).collect();
    assert_eq!(
        stages,
        [
            ("kubectl", None),
            ("kube-controller-manager", None),
            ("kube-controller-manager", None),
            ("kube-scheduler", None),
            ("kubelet", Some("worker-1")),
        ]
    );
}

#[test]
fn what_comes_much_later_is_not_part_of_it() {
    let traces = run(&[
        event(0, "kubernetes-admin", "create", "pods", "hello"),
        event(11_000_000, "system:node:worker-1", "patch", "pods/status", "hello"),
    ]);
    assert_eq!(traces[0].stages.len(), 1);
}

#[test]
fn owners_win_over_names() {
    let mut tracer = Tracer::default();
    tracer.take(&event(0, ME, "create", "deployments", "web"), &Nothing);
    let stranger = event(10, RS, "create", "replicasets", "web-1");
    assert_eq!(tracer.take(&stranger, &Known { owner: Some(("deployments", "web-app")), backends: &[] }), None);
}

#[test]
fn slices_follow_the_pods_of_a_chain() {
    let mut tracer = Tracer::default();
    let kin = Known { owner: Some(("services", "shop")), backends: &["web-59c7d88bd4-t86ch"] };
    tracer.take(&event(0, ME, "patch", "deployments/scale", "web"), &Nothing);
    let slice = event(900, EPS, "update", "endpointslices", "shop-x7k2p");
    assert_eq!(tracer.take(&slice, &kin), None, "no pod of the chain is behind it yet");
    tracer.take(&event(1_000, RS, "create", "replicasets", "web-59c7d88bd4"), &Nothing);
    tracer.take(&event(1_100, RS, "create", "pods", "web-59c7d88bd4-t86ch"), &Nothing);
    assert_eq!(tracer.take(&slice, &kin), Some(1));
}

const EPS: &str = "system:serviceaccount:kube-system:endpointslice-controller";
const GC: &str = "system:serviceaccount:kube-system:generic-garbage-collector";
const ME: &str = "kubernetes-admin";

/// Title and `component verb resource` of each stage.
#[track_caller]
fn check(events: &[AuditEvent], want: &[(&str, &[&str])]) {
    let traces = run(events);
    let seen: Vec<(String, Vec<String>)> = traces
        .iter()
        .map(|trace| {
            let stage = |it: &Stage| format!("{} {} {} {}", it.component, it.verb, it.resource, it.name);
            (trace.title.clone(), trace.stages.iter().map(stage).collect())
        })
        .collect();
    let want: Vec<(String, Vec<String>)> = want
        .iter()
        .map(|(title, stages)| ((*title).to_owned(), stages.iter().map(|it| (*it).to_owned()).collect()))
        .collect();
    assert_eq!(seen, want);
}

#[test]
fn an_expose() {
    check(
        &[
            event(0, ME, "create", "services?kubectl-expose", "web"),
            event(900, EPS, "create", "endpointslices", "web-x7k2p"),
        ],
        &[(
            "expose service web",
            &["kubectl create services web", "kube-controller-manager create endpointslices web-x7k2p"],
        )],
    );
}

#[test]
fn what_was_answered_sooner_than_its_cause() {
    // Controllers hear of an object before its maker has the answer, and the log is in the order of answers.
    check(
        &[
            event(900, EPS, "create", "endpointslices", "web-x7k2p"),
            event(700, EPS, "create", "endpointslices", "other-x7k2p"),
            event(0, ME, "create", "services?kubectl-expose", "web"),
        ],
        &[(
            "expose service web",
            &["kubectl create services web", "kube-controller-manager create endpointslices web-x7k2p"],
        )],
    );
    // One after the other.
    check(
        &[
            event(6_000, RS, "create", "pods", "web-5d9-abcde"),
            event(3_000, DEPLOYMENT, "create", "replicasets", "web-5d9"),
            event(0, ME, "create", "deployments", "web"),
        ],
        &[(
            "create deployment web",
            &[
                "kubectl create deployments web",
                "kube-controller-manager create replicasets web-5d9",
                "kube-controller-manager create pods web-5d9-abcde",
            ],
        )],
    );
    // What began before it was not set off by it.
    check(
        &[
            event(0, EPS, "update", "endpointslices", "web-x7k2p"),
            event(5_000, ME, "patch", "services?kubectl-edit", "web"),
        ],
        &[("edit service web", &["kubectl patch services web"])],
    );
}

#[test]
fn a_scale() {
    check(
        &[
            event(0, ME, "patch", "deployments/scale", "web"),
            event(900, DEPLOYMENT, "patch", "replicasets", "web-59c7d88bd4"),
            event(1900, RS, "create", "pods", "web-59c7d88bd4-t86ch"),
            event(2900, "system:kube-scheduler", "create", "pods/binding", "web-59c7d88bd4-t86ch"),
        ],
        &[(
            "scale deployment web",
            &[
                "kubectl patch deployments/scale web",
                "kube-controller-manager patch replicasets web-59c7d88bd4",
                "kube-controller-manager create pods web-59c7d88bd4-t86ch",
                "kube-scheduler create pods/binding web-59c7d88bd4-t86ch",
            ],
        )],
    );
}

#[test]
fn a_deleted_pod_its_successor_and_its_long_farewell() {
    check(
        &[
            event(0, ME, "delete", "pods", "web-59c7d88bd4-dnxkm"),
            event(900, RS, "create", "pods", "web-59c7d88bd4-new12"),
            event(30_000_000, "system:node:worker-1", "delete", "pods", "web-59c7d88bd4-dnxkm"),
            event(30_100_000, RS, "create", "pods", "web-other"),
        ],
        &[(
            "delete pod web-59c7d88bd4-dnxkm",
            &[
                "kubectl delete pods web-59c7d88bd4-dnxkm",
                "kube-controller-manager create pods web-59c7d88bd4-new12",
                "kubelet delete pods web-59c7d88bd4-dnxkm",
            ],
        )],
    );
}

#[test]
fn a_deleted_deployment_takes_all_with_it() {
    check(
        &[
            event(0, ME, "delete", "deployments", "web"),
            event(900, GC, "delete", "replicasets", "web-59c7d88bd4"),
            event(1900, GC, "delete", "pods", "web-59c7d88bd4-t86ch"),
        ],
        &[(
            "delete deployment web",
            &[
                "kubectl delete deployments web",
                "kube-controller-manager delete replicasets web-59c7d88bd4",
                "kube-controller-manager delete pods web-59c7d88bd4-t86ch",
            ],
        )],
    );
}

#[test]
fn one_apply_of_several_objects_is_one_action() {
    let manager = "kubectl-client-side-apply";
    check(
        &[
            event(0, ME, "create", &format!("deployments?{manager}"), "shop"),
            event(900, DEPLOYMENT, "create", "replicasets", "shop-5d9"),
            event(11_000, ME, "create", &format!("services?{manager}"), "shop"),
            event(12_000, EPS, "create", "endpointslices", "shop-x7k2p"),
            event(2_000_000, ME, "patch", &format!("services?{manager}"), "shop"),
        ],
        &[
            (
                "apply deployment shop +1",
                &[
                    "kubectl create deployments shop",
                    "kube-controller-manager create replicasets shop-5d9",
                    "kubectl create services shop",
                    "kube-controller-manager create endpointslices shop-x7k2p",
                ],
            ),
            ("apply service shop", &["kubectl patch services shop"]),
        ],
    );
}

#[test]
fn questions_and_dry_runs_are_no_actions() {
    let mut dry = event(0, ME, "create", "deployments", "web");
    dry.request_uri = "/apis?dryRun=All&fieldManager=kubectl-create".to_owned();
    check(
        &[dry, event(10, ME, "create", "selfsubjectaccessreviews", ""), event(20, ME, "create", "pods/exec", "web")],
        &[],
    );
}

#[test]
fn a_namespace_and_what_is_made_in_it() {
    let mut account = event(
        900,
        "system:serviceaccount:kube-system:service-account-controller",
        "create",
        "serviceaccounts",
        "default",
    );
    let mut namespace = event(0, ME, "create", "namespaces?kubectl-create", "blue");
    if let (Some(account), Some(namespace)) = (&mut account.object_ref, &mut namespace.object_ref) {
        account.namespace = "blue".to_owned();
        namespace.namespace = "blue".to_owned();
    }
    check(
        &[namespace, account],
        &[(
            "create namespace blue",
            &["kubectl create namespaces blue", "kube-controller-manager create serviceaccounts default"],
        )],
    );
}
