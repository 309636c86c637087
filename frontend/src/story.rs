//! How a trace is told: as acts, each one component doing one kind of thing, in the order in which they began.
//!
//! What the audit log says of each request is all that is known: who asked, when, for how long the API server was busy
//! with it and how long of that etcd took. The proxies read what changed over watches, which the log does not time;
//! their act says so ([`Act::micros`] is `None`).

use std::collections::BTreeSet;

use drydock_protocol::{Stage, Trace};

/// What was done, as far as a sentence of its own explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deed {
    /// A person asked for something to be made.
    AskedCreate,
    /// A person asked for something to be changed.
    AskedChange,
    /// A person asked for something to go.
    AskedDelete,
    /// The API server checked the request.
    Checked,
    /// The API server said no.
    Refused,
    /// etcd kept it.
    Stored,
    /// The deployment controller made or changed a ReplicaSet.
    ReplicaSet,
    /// A controller made a pod.
    PodMade,
    /// A controller told a pod to end.
    PodEnds,
    /// The scheduler chose a node.
    Bound,
    /// The kubelet told how a pod is.
    PodStatus,
    /// The kubelet has ended a pod and removes it.
    PodGone,
    /// A controller wrote down which pods are behind a Service.
    Endpoints,
    /// The proxies read that.
    Proxied,
    /// A claim got its volume.
    Claim,
    /// What an object owned goes after it.
    Removed,
    /// Somebody wrote the state of what they look after.
    Status,
    /// Anything else.
    Other,
}

/// One component doing one kind of thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Who: `kubectl`, `kube-apiserver`, `etcd`, `kube-controller-manager` …
    pub component: String,
    /// What.
    pub deed: Deed,
    /// The requests, by their place among the trace's stages.
    pub stages: Vec<usize>,
    /// Nodes on which it happened, where the component is one of many.
    pub nodes: BTreeSet<String>,
    /// Begin, counted from the trace's.
    pub start_micros: u64,
    /// How long; `None` where nobody wrote that down.
    pub micros: Option<u64>,
    /// Share of the time line. Long acts get more room, but far less than in proportion, so that short ones stay legible.
    pub weight: f64,
}

impl Act {
    fn new(component: &str, deed: Deed, start_micros: u64) -> Self {
        Self {
            component: component.to_owned(),
            deed,
            stages: Vec::new(),
            nodes: BTreeSet::new(),
            start_micros,
            micros: None,
            weight: 1.0,
        }
    }
}

/// The acts of a trace.
#[must_use]
pub fn acts(trace: &Trace) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    for (index, stage) in trace.stages.iter().enumerate() {
        for (component, deed, start, micros) in steps(stage) {
            let position = acts.iter().position(|it| it.component == component && it.deed == deed);
            let act = match position {
                Some(position) => &mut acts[position],
                None => {
                    acts.push(Act::new(&component, deed, start));
                    let last = acts.len() - 1;
                    &mut acts[last]
                }
            };
            act.stages.push(index);
            act.nodes.extend(stage.node.clone());
            if let Some(micros) = micros {
                // From its first begin to its last end; for what the API server and etcd spent, the sum.
                act.micros = Some(match deed {
                    Deed::Checked | Deed::Refused | Deed::Stored => act.micros.unwrap_or_default() + micros,
                    _ => act.micros.unwrap_or_default().max((start + micros).saturating_sub(act.start_micros)),
                });
            }
        }
    }
    // States are written all along; they are told when all else has been.
    let (told_last, mut acts): (Vec<Act>, Vec<Act>) = acts.into_iter().partition(|it| it.deed == Deed::Status);
    let is_about_services = |it: &Act| {
        it.deed == Deed::Endpoints
            || it.deed == Deed::Stored
                && it.stages.iter().any(|it| trace.stages[*it].resource.split('/').next() == Some("services"))
    };
    if let Some(last) = acts.iter().rposition(is_about_services) {
        let mut act = Act::new("kube-proxy", Deed::Proxied, acts[last].start_micros);
        act.stages.clone_from(&acts[last].stages);
        acts.insert(last + 1, act);
    }
    acts.extend(told_last);
    for act in &mut acts {
        act.weight = act.micros.map_or(4.0, |it| (it as f64).max(50.0).powf(0.3));
    }
    acts
}

/// A request as steps: who, what, begin and length.
fn steps(stage: &Stage) -> Vec<(String, Deed, u64, Option<u64>)> {
    let (start, length) = (stage.start_micros, stage.duration_micros);
    if !is_asked(stage) {
        return vec![(stage.component.clone(), deed(stage), start, Some(length))];
    }
    let asked = match stage.verb.as_str() {
        "create" if stage.resource == "pods/eviction" => Deed::AskedDelete,
        "create" => Deed::AskedCreate,
        "delete" | "deletecollection" => Deed::AskedDelete,
        _ => Deed::AskedChange,
    };
    let mut out = vec![(stage.component.clone(), asked, start, None)];
    if stage.code >= 400 {
        out.push(("kube-apiserver".to_owned(), Deed::Refused, start, Some(length)));
        return out;
    }
    let etcd = stage.etcd_micros.map(|it| it.min(length));
    out.push(("kube-apiserver".to_owned(), Deed::Checked, start, Some(length - etcd.unwrap_or_default())));
    out.push(("etcd".to_owned(), Deed::Stored, start, etcd));
    out
}

/// Whether a person asked, and not a part of the cluster.
fn is_asked(stage: &Stage) -> bool {
    !stage.actor.starts_with("system:")
}

/// What a component did with a request.
#[must_use]
pub fn deed(stage: &Stage) -> Deed {
    match (stage.component.as_str(), stage.verb.as_str(), stage.resource.as_str()) {
        ("kubelet", "delete", "pods") => Deed::PodGone,
        ("kubelet", _, "pods/status") => Deed::PodStatus,
        (_, "delete" | "deletecollection", "pods") => Deed::PodEnds,
        (_, _, "endpointslices" | "endpoints") => Deed::Endpoints,
        (_, "delete" | "deletecollection", _) => Deed::Removed,
        (_, _, "pods/binding") => Deed::Bound,
        (_, "create", "pods") => Deed::PodMade,
        (_, "create" | "update" | "patch", "replicasets") => Deed::ReplicaSet,
        (_, _, "persistentvolumeclaims" | "persistentvolumes") => Deed::Claim,
        (_, _, resource) if resource.ends_with("/status") => Deed::Status,
        _ => Deed::Other,
    }
}

/// A component that lights up, with its node where it is one of many.
pub type Lit = (Option<String>, String);

/// What lights up during a request: who asked, the API server, and etcd when something was written.
#[must_use]
pub fn lit(stage: &Stage) -> Vec<Lit> {
    let mut out = vec![(None, "kube-apiserver".to_owned())];
    if !matches!(stage.verb.as_str(), "get" | "list" | "watch") && stage.code < 400 {
        out.push((None, "etcd".to_owned()));
    }
    if stage.component != "kubectl" && stage.component != "kube-apiserver" {
        out.push((stage.node.clone(), stage.component.clone()));
    }
    out
}

/// What lights up during an act.
#[must_use]
pub fn lit_by(act: &Act, trace: &Trace) -> Vec<Lit> {
    let own = |name: &str| vec![(None, name.to_owned())];
    match act.deed {
        Deed::AskedCreate | Deed::AskedChange | Deed::AskedDelete | Deed::Checked | Deed::Refused => {
            own("kube-apiserver")
        }
        Deed::Stored => own("etcd").into_iter().chain(own("kube-apiserver")).collect(),
        Deed::Proxied => own("kube-proxy").into_iter().chain(own("kube-apiserver")).collect(),
        _ => {
            let stages = act.stages.iter().filter_map(|it| trace.stages.get(*it));
            let all: BTreeSet<Lit> = stages.flat_map(lit).collect();
            all.into_iter().collect()
        }
    }
}

/// Objects that an act is about, as (resource, namespace, name).
#[must_use]
pub fn touched(act: &Act, trace: &Trace) -> BTreeSet<(String, String, String)> {
    let stages = act.stages.iter().filter_map(|it| trace.stages.get(*it));
    stages
        .map(|it| {
            let resource = it.resource.split('/').next().unwrap_or_default();
            let name = match resource {
                // Slices are named after their Service with an ending of their own.
                "endpointslices" => it.name.rsplit_once('-').map_or(it.name.as_str(), |(service, _)| service),
                _ => it.name.as_str(),
            };
            let resource = if resource.starts_with("endpoint") { "services" } else { resource };
            (resource.to_owned(), it.namespace.clone(), name.to_owned())
        })
        .collect()
}

/// Who acted, more exactly than the component's name says: `deployment-controller`.
#[must_use]
pub fn actors(act: &Act, trace: &Trace) -> Vec<String> {
    let of = |stage: &Stage| {
        let account = stage.actor.strip_prefix("system:serviceaccount:")?;
        (act.component == "kube-controller-manager").then(|| account.rsplit(':').next().map(str::to_owned))?
    };
    let all: BTreeSet<String> = act.stages.iter().filter_map(|it| of(trace.stages.get(*it)?)).collect();
    all.into_iter().collect()
}

/// Different components that took part.
#[must_use]
pub fn components(trace: &Trace) -> usize {
    let names: BTreeSet<&str> = trace.stages.iter().map(|it| it.component.as_str()).collect();
    names.len()
}

/// A component's name without its `kube-`.
#[must_use]
pub fn short_name(component: &str) -> &str {
    component.strip_prefix("kube-").filter(|it| *it != "proxy").unwrap_or(component)
}

/// What stands on an act's bar: the component in as few letters as will do, and how many requests.
#[must_use]
pub fn bar_name(act: &Act) -> String {
    let name = match act.component.as_str() {
        "kube-controller-manager" => "controllers",
        component => short_name(component),
    };
    match act.stages.len() {
        // How often the proxies read is not known.
        2.. if act.deed != Deed::Proxied => format!("{name} ×{}", act.stages.len()),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(component: &str, verb: &str, resource: &str, start: u64) -> Stage {
        let actor = match component {
            "kubectl" => "kubernetes-admin",
            "kube-controller-manager" => "system:serviceaccount:kube-system:replicaset-controller",
            _ => "system:other",
        };
        Stage {
            component: component.into(),
            node: (component == "kubelet").then(|| "worker-1".into()),
            actor: actor.into(),
            verb: verb.into(),
            resource: resource.into(),
            namespace: "default".into(),
            name: "web".into(),
            code: 200,
            start_micros: start,
            duration_micros: 500,
            etcd_micros: Some(300),
        }
    }

    fn trace(stages: Vec<Stage>) -> Trace {
        Trace { id: 1, title: "create deployment web".into(), start_millis: 0, duration_micros: 20_000, stages }
    }

    #[track_caller]
    fn check(stages: Vec<Stage>, want: &[(&str, Deed, usize, Option<u64>)]) {
        let acts = acts(&trace(stages));
        let seen: Vec<_> = acts.iter().map(|it| (it.component.as_str(), it.deed, it.stages.len(), it.micros)).collect();
        assert_eq!(seen, want);
    }

    #[test]
    fn a_deployment_from_request_to_report() {
        check(
            vec![
                stage("kubectl", "create", "deployments", 0),
                stage("kube-controller-manager", "create", "replicasets", 2_000),
                stage("kube-controller-manager", "update", "deployments/status", 2_500),
                stage("kube-controller-manager", "create", "pods", 3_000),
                stage("kube-scheduler", "create", "pods/binding", 4_000),
                stage("kube-controller-manager", "create", "pods", 5_000),
                stage("kube-scheduler", "create", "pods/binding", 6_000),
                stage("kubelet", "patch", "pods/status", 8_000),
            ],
            &[
                ("kubectl", Deed::AskedCreate, 1, None),
                ("kube-apiserver", Deed::Checked, 1, Some(200)),
                ("etcd", Deed::Stored, 1, Some(300)),
                ("kube-controller-manager", Deed::ReplicaSet, 1, Some(500)),
                ("kube-controller-manager", Deed::PodMade, 2, Some(2_500)),
                ("kube-scheduler", Deed::Bound, 2, Some(2_500)),
                ("kubelet", Deed::PodStatus, 1, Some(500)),
                ("kube-controller-manager", Deed::Status, 1, Some(500)),
            ],
        );
    }

    #[test]
    fn proxies_read_after_the_slices_and_nobody_says_when() {
        let slice = stage("kube-controller-manager", "create", "endpointslices", 900);
        check(
            vec![stage("kubectl", "create", "services", 0), slice],
            &[
                ("kubectl", Deed::AskedCreate, 1, None),
                ("kube-apiserver", Deed::Checked, 1, Some(200)),
                ("etcd", Deed::Stored, 1, Some(300)),
                ("kube-controller-manager", Deed::Endpoints, 1, Some(500)),
                ("kube-proxy", Deed::Proxied, 1, None),
            ],
        );
    }

    #[test]
    fn a_refused_request_reaches_no_etcd() {
        let mut refused = stage("kubectl", "create", "deployments", 0);
        refused.code = 403;
        check(
            vec![refused],
            &[("kubectl", Deed::AskedCreate, 1, None), ("kube-apiserver", Deed::Refused, 1, Some(500))],
        );
    }

    #[test]
    fn deeds() {
        for (component, verb, resource, want) in [
            ("kube-controller-manager", "update", "endpointslices", Deed::Endpoints),
            ("kube-controller-manager", "delete", "pods", Deed::PodEnds),
            ("kubelet", "delete", "pods", Deed::PodGone),
            ("kube-controller-manager", "delete", "replicasets", Deed::Removed),
            ("kube-controller-manager", "update", "deployments/status", Deed::Status),
            ("kube-controller-manager", "update", "persistentvolumeclaims/status", Deed::Status),
            ("kube-controller-manager", "update", "persistentvolumeclaims", Deed::Claim),
            ("kube-controller-manager", "create", "serviceaccounts", Deed::Other),
        ] {
            assert_eq!(deed(&stage(component, verb, resource, 0)), want, "{component} {verb} {resource}");
        }
    }

    #[test]
    fn an_act_lights_who_acts_and_what_it_is_about() {
        let mut slice = stage("kube-controller-manager", "create", "endpointslices", 900);
        slice.name = "web-app-x7k2p".into();
        let trace = trace(vec![stage("kubectl", "create", "services", 0), slice]);
        let acts = acts(&trace);
        let lit: Vec<Vec<String>> =
            acts.iter().map(|it| lit_by(it, &trace).into_iter().map(|it| it.1).collect()).collect();
        assert_eq!(
            lit,
            [
                vec!["kube-apiserver"],
                vec!["kube-apiserver"],
                vec!["etcd", "kube-apiserver"],
                vec!["etcd", "kube-apiserver", "kube-controller-manager"],
                vec!["kube-proxy", "kube-apiserver"],
            ]
        );
        let service = ("services".to_owned(), "default".to_owned(), "web-app".to_owned());
        assert!(touched(&acts[3], &trace).contains(&service));
        assert_eq!(actors(&acts[3], &trace), ["replicaset-controller"]);
        assert!(actors(&acts[0], &trace).is_empty());
        assert_eq!(components(&trace), 2);
        assert_eq!(acts.iter().map(bar_name).collect::<Vec<_>>()[2..], ["etcd", "controllers", "kube-proxy"]);
    }

    #[test]
    fn writes_light_etcd_and_reads_do_not() {
        let lit_by = |stage: &Stage| {
            lit(stage).into_iter().map(|(node, name)| format!("{}{name}", node.unwrap_or_default())).collect::<Vec<_>>()
        };
        assert_eq!(lit_by(&stage("kubelet", "patch", "pods/status", 0)), ["kube-apiserver", "etcd", "worker-1kubelet"]);
        assert_eq!(lit_by(&stage("kubectl", "list", "pods", 0)), ["kube-apiserver"]);
    }

    #[test]
    fn short_names() {
        assert_eq!(short_name("kube-controller-manager"), "controller-manager");
        assert_eq!(short_name("kube-proxy"), "kube-proxy");
        assert_eq!(short_name("etcd"), "etcd");
    }
}
