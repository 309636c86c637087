//! Audit events to chains: what a person did, and all that followed from it. Pure.
//!
//! A chain begins with a write by a person. A later write belongs to it when it is about an object of the chain, or
//! about one that an object of the chain owns: owner references say so for objects that are still there, and upstream's
//! naming (`<deployment>-<hash>`, `<service>-<suffix>`) for those that are only a line in the log.

use std::collections::{BTreeSet, VecDeque};

use drydock_protocol::{Stage, Trace};

use super::audit::{AuditEvent, ObjectRef};

/// A chain takes in nothing that comes later than this after its last stage.
const PAUSE_MICROS: u64 = 4_000_000;
/// Chains kept.
const CHAINS: usize = 20;
/// Stages kept of one chain.
const STAGES: usize = 200;

/// Joins events to chains, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    chains: VecDeque<Chain>,
    next_id: u64,
}

#[derive(Debug)]
struct Chain {
    trace: Trace,
    begin_micros: u64,
    last_micros: u64,
    objects: BTreeSet<(String, String, String)>,
}

/// Finds the owner of an object: (resource, namespace, name) → (resource, name).
pub(super) type Owner<'a> = dyn Fn(&str, &str, &str) -> Option<(String, String)> + 'a;

impl Tracer {
    /// Takes one event in; returns the chain that it began or made longer.
    pub(super) fn take(&mut self, event: &AuditEvent, owner: &Owner<'_>) -> Option<Trace> {
        let object = event.object_ref.as_ref()?;
        let (begin, duration) = event.times()?;
        let writes = ["create", "update", "patch", "delete", "deletecollection"].contains(&event.verb.as_str());
        if event.stage != "ResponseComplete" || !writes || is_noise(event, object) {
            return None;
        }
        let code = event.response_status.as_ref().map_or(0, |status| status.code);
        if is_person(event) {
            while self.chains.len() >= CHAINS {
                self.chains.pop_front();
            }
            self.next_id += 1;
            self.chains.push_back(Chain {
                trace: Trace {
                    id: self.next_id,
                    title: title(event, object),
                    start_millis: begin / 1000,
                    duration_micros: duration,
                    stages: Vec::new(),
                },
                begin_micros: begin,
                last_micros: begin,
                objects: BTreeSet::new(),
            });
        }
        let chain = if is_person(event) {
            self.chains.back_mut()
        } else {
            self.chains.iter_mut().rev().find(|chain| {
                begin + 1_000 >= chain.begin_micros
                    && begin.saturating_sub(chain.last_micros) < PAUSE_MICROS
                    && chain.trace.stages.len() < STAGES
                    && chain.holds(object, owner)
            })
        }?;
        chain.objects.insert((object.resource.clone(), object.namespace.clone(), object.name.clone()));
        chain.last_micros = chain.last_micros.max(begin + duration);
        let (component, node) = component(event);
        chain.trace.stages.push(Stage {
            component,
            node,
            actor: event.user.username.clone(),
            verb: event.verb.clone(),
            resource: match object.subresource.as_str() {
                "" => object.resource.clone(),
                subresource => format!("{}/{subresource}", object.resource),
            },
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            code,
            start_micros: begin.saturating_sub(chain.begin_micros),
            duration_micros: duration,
        });
        chain.trace.stages.sort_by_key(|stage| stage.start_micros);
        chain.trace.duration_micros = chain.last_micros - chain.begin_micros;
        Some(chain.trace.clone())
    }
}

impl Chain {
    fn holds(&self, object: &ObjectRef, owner: &Owner<'_>) -> bool {
        let has = |resource: &str, name: &str| {
            self.objects.contains(&(resource.to_owned(), object.namespace.clone(), name.to_owned()))
        };
        if has(&object.resource, &object.name) {
            return true;
        }
        if let Some((resource, name)) = owner(&object.resource, &object.namespace, &object.name) {
            return has(&resource, &name);
        }
        let parents: &[&str] = match object.resource.as_str() {
            "replicasets" => &["deployments"],
            "pods" => &["replicasets", "statefulsets", "daemonsets", "jobs", "replicationcontrollers"],
            "endpointslices" | "endpoints" => &["services"],
            "jobs" => &["cronjobs"],
            _ => &[],
        };
        self.objects.iter().any(|(resource, namespace, name)| {
            parents.contains(&resource.as_str())
                && *namespace == object.namespace
                && (object.name == *name
                    || object.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-')))
        })
    }
}

/// A person, as opposed to a component: users of the cluster that are not `system:`.
fn is_person(event: &AuditEvent) -> bool {
    !event.user.username.starts_with("system:") && !event.user_agent.contains("drydock")
}

/// Heartbeats and bookkeeping that no action sets off.
fn is_noise(event: &AuditEvent, object: &ObjectRef) -> bool {
    match object.resource.as_str() {
        "leases" | "events" | "tokenreviews" | "subjectaccessreviews" | "selfsubjectaccessreviews" => true,
        "serviceaccounts" => object.subresource == "token",
        "nodes" => object.subresource == "status" || event.user.username.starts_with("system:node:"),
        _ => false,
    }
}

fn title(event: &AuditEvent, object: &ObjectRef) -> String {
    let mut title = format!("{} {}", event.verb, object.resource);
    if !object.subresource.is_empty() {
        title.push('/');
        title.push_str(&object.subresource);
    }
    if !object.name.is_empty() {
        title.push(' ');
        title.push_str(&object.name);
    }
    title
}

/// The component behind a user name, and its node where it is one of many.
fn component(event: &AuditEvent) -> (String, Option<String>) {
    let user = event.user.username.as_str();
    let program = || event.user_agent.split('/').next().unwrap_or_default().to_owned();
    if let Some(node) = user.strip_prefix("system:node:") {
        return ("kubelet".to_owned(), Some(node.to_owned()));
    }
    match user {
        "system:kube-scheduler" => ("kube-scheduler".to_owned(), None),
        "system:kube-proxy" => ("kube-proxy".to_owned(), None),
        "system:apiserver" => ("kube-apiserver".to_owned(), None),
        "system:kube-controller-manager" => ("kube-controller-manager".to_owned(), None),
        _ if user.starts_with("system:serviceaccount:kube-system:") && user.ends_with("-controller") => {
            ("kube-controller-manager".to_owned(), None)
        }
        _ => (program(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, user: &str, verb: &str, resource: &str, name: &str) -> AuditEvent {
        let stamp = |micros: u64| format!("2026-11-21T01:00:{:02}.{:06}Z", micros / 1_000_000, micros % 1_000_000);
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        serde_json::from_value(serde_json::json!({
            "stage": "ResponseComplete", "verb": verb, "user": {"username": user}, "userAgent": "kubectl/v1.36",
            "objectRef": {"resource": resource, "subresource": subresource, "namespace": "default", "name": name},
            "responseStatus": {"code": 201},
            "requestReceivedTimestamp": stamp(at), "stageTimestamp": stamp(at + 500),
        }))
        .expect("event")
    }

    const RS: &str = "system:serviceaccount:kube-system:replicaset-controller";
    const DEPLOYMENT: &str = "system:serviceaccount:kube-system:deployment-controller";

    fn run(events: &[AuditEvent]) -> Vec<Trace> {
        let mut tracer = Tracer::default();
        for event in events {
            tracer.take(event, &|_, _, _| None);
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
        assert_eq!(traces[0].title, "create deployments web");
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
            event(10_000_000, "system:node:worker-1", "patch", "pods/status", "hello"),
        ]);
        assert_eq!(traces[0].stages.len(), 1);
    }

    #[test]
    fn owners_win_over_names() {
        let mut tracer = Tracer::default();
        tracer.take(&event(0, "kubernetes-admin", "create", "deployments", "web"), &|_, _, _| None);
        let stranger = event(10, RS, "create", "replicasets", "web-1");
        let grown = tracer.take(&stranger, &|_, _, _| Some(("deployments".to_owned(), "web-app".to_owned())));
        assert_eq!(grown, None);
    }
}
