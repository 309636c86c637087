//! How a trace is told: its stages grouped for the time line, what lights up, and which sentence explains it.

use drydock_protocol::{Stage, Trace};

/// Neighbouring stages of one component, one bar of the time line.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Component that asked.
    pub component: String,
    /// First of its stages.
    pub first: usize,
    /// Number of its stages.
    pub count: usize,
    /// Microseconds from the bar's begin to the next one's.
    pub micros: u64,
    /// Share of the time line. Long stages get more room, but far less than in proportion, so that short ones stay
    /// legible.
    pub weight: f64,
}

/// What a stage did, as far as a sentence of its own explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The learner asked for something.
    Asked,
    /// deployment-controller made or changed a ReplicaSet.
    ReplicaSet,
    /// A controller made a pod.
    PodMade,
    /// The scheduler chose a node.
    Bound,
    /// The kubelet told how a pod is.
    PodStatus,
    /// A controller wrote down which pods are behind a Service.
    Endpoints,
    /// An object went.
    Removed,
    /// A controller wrote the state of what it looks after.
    Status,
    /// An event was written.
    Event,
    /// Anything else.
    Other,
}

/// Groups the stages of a trace.
#[must_use]
pub fn bars(trace: &Trace) -> Vec<Bar> {
    let mut out: Vec<Bar> = Vec::new();
    for (index, stage) in trace.stages.iter().enumerate() {
        match out.last_mut() {
            Some(bar) if bar.component == stage.component => bar.count += 1,
            _ => out.push(Bar { component: stage.component.clone(), first: index, count: 1, micros: 0, weight: 0.0 }),
        }
    }
    for index in 0..out.len() {
        let begin = trace.stages[out[index].first].start_micros;
        let end = out.get(index + 1).map_or(trace.duration_micros, |next| trace.stages[next.first].start_micros);
        out[index].micros = end.saturating_sub(begin);
        out[index].weight = (out[index].micros as f64).max(1.0).powf(0.35);
    }
    out
}

/// What a stage did.
#[must_use]
pub fn deed(stage: &Stage) -> Deed {
    let resource = stage.resource.as_str();
    match (stage.component.as_str(), stage.verb.as_str(), resource) {
        (_, _, "events") => Deed::Event,
        ("kubectl", ..) => Deed::Asked,
        (_, "delete" | "deletecollection", _) => Deed::Removed,
        (_, _, "pods/binding") => Deed::Bound,
        (_, "create", "pods") => Deed::PodMade,
        (_, "create" | "update" | "patch", "replicasets") => Deed::ReplicaSet,
        (_, _, "endpointslices" | "endpoints") => Deed::Endpoints,
        ("kubelet", _, "pods/status") => Deed::PodStatus,
        (_, _, resource) if resource.ends_with("/status") => Deed::Status,
        _ => Deed::Other,
    }
}

/// A component that lights up, with its node where it is one of many.
pub type Lit = (Option<String>, String);

/// What lights up during a stage: who asked, the API server, and etcd when something was written.
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

/// Different components that took part.
#[must_use]
pub fn components(trace: &Trace) -> usize {
    let mut names: Vec<&str> = trace.stages.iter().map(|it| it.component.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// A component's name without its `kube-`.
#[must_use]
pub fn short_name(component: &str) -> &str {
    component.strip_prefix("kube-").filter(|it| *it != "proxy").unwrap_or(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(component: &str, verb: &str, resource: &str, start: u64) -> Stage {
        Stage {
            component: component.into(),
            node: (component == "kubelet").then(|| "worker-1".into()),
            actor: String::new(),
            verb: verb.into(),
            resource: resource.into(),
            namespace: "default".into(),
            name: "web".into(),
            code: 200,
            start_micros: start,
            duration_micros: 500,
        }
    }

    fn trace() -> Trace {
        let stages = vec![
            stage("kubectl", "create", "deployments", 0),
            stage("kube-controller-manager", "create", "replicasets", 2_000),
            stage("kube-controller-manager", "create", "pods", 3_000),
            stage("kube-scheduler", "create", "pods/binding", 6_000),
            stage("kubelet", "patch", "pods/status", 8_000),
        ];
        Trace { id: 1, title: "create deployments web".into(), start_millis: 0, duration_micros: 20_000, stages }
    }

    #[test]
    fn neighbours_share_a_bar() {
        let bars: Vec<(String, usize, usize, u64)> =
            bars(&trace()).into_iter().map(|it| (it.component, it.first, it.count, it.micros)).collect();
        let bar = |name: &str, first, count, micros| (name.to_owned(), first, count, micros);
        assert_eq!(
            bars,
            [
                bar("kubectl", 0, 1, 2_000),
                bar("kube-controller-manager", 1, 2, 4_000),
                bar("kube-scheduler", 3, 1, 2_000),
                bar("kubelet", 4, 1, 12_000),
            ]
        );
        assert_eq!(components(&trace()), 4);
    }

    #[test]
    fn deeds() {
        let deeds: Vec<Deed> = trace().stages.iter().map(deed).collect();
        assert_eq!(deeds, [Deed::Asked, Deed::ReplicaSet, Deed::PodMade, Deed::Bound, Deed::PodStatus]);
        assert_eq!(deed(&stage("kube-controller-manager", "update", "endpointslices", 0)), Deed::Endpoints);
        assert_eq!(deed(&stage("kubelet", "create", "events", 0)), Deed::Event);
        assert_eq!(deed(&stage("kube-controller-manager", "update", "deployments/status", 0)), Deed::Status);
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
