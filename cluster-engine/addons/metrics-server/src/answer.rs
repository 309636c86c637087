//! What is asked and what is answered: paths, lists, discovery.

use std::collections::BTreeMap;

use drydock_api::meta::ObjectMeta;
use drydock_api::quantity::Quantity;
use drydock_api::selector::Selector;
use drydock_api::time::{format_seconds, now_rfc3339};
use serde_json::{Value, json};

use crate::usage::{NodeUsage, Usage};

/// The API served.
pub const GROUP_VERSION: &str = "metrics.k8s.io/v1beta1";
const PREFIX: &str = "/apis/metrics.k8s.io/v1beta1";

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// All nodes, or one.
    Nodes(Option<String>),
    /// Pods: of a namespace or all, one or all.
    Pods {
        /// Empty for all.
        namespace: String,
        /// One of them.
        name: Option<String>,
    },
}

/// What a path of the API asks for; `None` for what is not served.
pub fn question(path: &str) -> Option<Question> {
    let rest = path.strip_prefix(PREFIX)?.trim_matches('/');
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        ["nodes"] => Some(Question::Nodes(None)),
        ["nodes", name] => Some(Question::Nodes(Some((*name).to_owned()))),
        ["pods"] => Some(Question::Pods { namespace: String::new(), name: None }),
        ["namespaces", namespace, "pods"] => Some(Question::Pods { namespace: (*namespace).to_owned(), name: None }),
        ["namespaces", namespace, "pods", name] => {
            Some(Question::Pods { namespace: (*namespace).to_owned(), name: Some((*name).to_owned()) })
        }
        _ => None,
    }
}

/// Documents about the API itself.
pub fn document(path: &str) -> Option<Value> {
    let version = json!({"groupVersion": GROUP_VERSION, "version": "v1beta1"});
    let group = json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": "metrics.k8s.io",
        "versions": [version], "preferredVersion": version,
    });
    match path.trim_end_matches('/') {
        "/apis" => Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]})),
        "/apis/metrics.k8s.io" => Some(group),
        PREFIX => Some(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION,
            "resources": [
                {"name": "nodes", "singularName": "", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get", "list"]},
                {"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]},
            ],
        })),
        "/openapi/v2" => Some(json!({
            "swagger": "2.0", "info": {"title": "Kubernetes metrics-server", "version": "v0.8.0"}, "paths": {},
        })),
        "/openapi/v3" => Some(json!({"paths": {}})),
        _ => None,
    }
}

fn resources(cpu_nanos: u64, memory: u64) -> Value {
    json!({
        "cpu": format!("{cpu_nanos}n"),
        "memory": Quantity::from_bytes(i64::try_from(memory / 1024 * 1024).unwrap_or(i64::MAX)).to_string(),
    })
}

/// As Go prints durations, to the millisecond.
fn window(seconds: f64) -> String {
    let millis = (seconds * 1000.0).round() as u64;
    let (minutes, millis) = (millis / 60_000, millis % 60_000);
    let text = if millis % 1000 == 0 {
        format!("{}s", millis / 1000)
    } else {
        format!("{}s", format!("{}.{:03}", millis / 1000, millis % 1000).trim_end_matches('0'))
    };
    if minutes > 0 { format!("{minutes}m{text}") } else { text }
}

fn metadata(of: &ObjectMeta) -> Value {
    let mut metadata = json!({"name": of.name, "creationTimestamp": now_rfc3339()});
    if !of.namespace.is_empty() {
        metadata["namespace"] = of.namespace.as_str().into();
    }
    if !of.labels.is_empty() {
        metadata["labels"] = json!(of.labels);
    }
    metadata
}

/// NodeMetrics of one node.
pub fn node_metrics(of: &ObjectMeta, usage: &Usage) -> Value {
    json!({
        "kind": "NodeMetrics",
        "apiVersion": GROUP_VERSION,
        "metadata": metadata(of),
        "timestamp": format_seconds(usage.at as i64),
        "window": window(usage.window),
        "usage": resources(usage.cpu_nanos, usage.memory),
    })
}

/// PodMetrics of one pod; `None` if not all of the containers that it should have were measured.
pub fn pod_metrics(of: &ObjectMeta, containers: &[(String, Usage)]) -> Option<Value> {
    // The oldest measurement speaks for the pod.
    let oldest = containers.iter().map(|(_, usage)| usage).min_by(|a, b| a.at.total_cmp(&b.at))?;
    let list: Vec<Value> = containers
        .iter()
        .map(|(name, usage)| json!({"name": name, "usage": resources(usage.cpu_nanos, usage.memory)}))
        .collect();
    Some(json!({
        "kind": "PodMetrics",
        "apiVersion": GROUP_VERSION,
        "metadata": metadata(of),
        "timestamp": format_seconds(oldest.at as i64),
        "window": window(oldest.window),
        "containers": list,
    }))
}

/// The answer's objects, of those among `there` that the selector wants.
pub fn objects(
    question: &Question,
    selector: &Selector,
    there: &[ObjectMeta],
    usage: &BTreeMap<String, NodeUsage>,
) -> Vec<Value> {
    let wanted = there.iter().filter(|meta| selector.matches_map(&meta.labels));
    match question {
        Question::Nodes(name) => wanted
            .filter(|meta| name.as_ref().is_none_or(|name| *name == meta.name))
            .filter_map(|meta| Some(node_metrics(meta, usage.get(&meta.name)?.node.as_ref()?)))
            .collect(),
        Question::Pods { namespace, name } => wanted
            .filter(|meta| namespace.is_empty() || *namespace == meta.namespace)
            .filter(|meta| name.as_ref().is_none_or(|name| *name == meta.name))
            .filter_map(|meta| {
                let key = (meta.namespace.clone(), meta.name.clone());
                pod_metrics(meta, usage.values().find_map(|node| node.pods.get(&key))?)
            })
            .collect(),
    }
}

/// A list of objects.
pub fn list(question: &Question, items: Vec<Value>) -> Value {
    let kind = match question {
        Question::Nodes(_) => "NodeMetricsList",
        Question::Pods { .. } => "PodMetricsList",
    };
    json!({"kind": kind, "apiVersion": GROUP_VERSION, "metadata": {}, "items": items})
}

/// The same as a table, for `kubectl get`.
pub fn table(items: &[Value]) -> Value {
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let of = |resource: &str| -> Quantity {
                let single = item.pointer(&format!("/usage/{resource}"));
                let containers = item["containers"].as_array().into_iter().flatten();
                let each = containers.filter_map(|container| container.pointer(&format!("/usage/{resource}")));
                single
                    .into_iter()
                    .chain(each)
                    .filter_map(|value| Quantity::from_value(value).ok())
                    .fold(Quantity::ZERO, Quantity::add)
            };
            json!({
                "cells": [item["metadata"]["name"], of("cpu").to_string(), of("memory").to_string(), item["window"]],
                "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"],
                },
            })
        })
        .collect();
    let column = |name: &str, format: &str| json!({"name": name, "type": "string", "format": format, "description": name, "priority": 0});
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [column("Name", "name"), column("cpu", "quantity"), column("memory", "quantity"), column("Window", "duration")],
        "rows": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let pods = |namespace: &str, name: Option<&str>| {
            Some(Question::Pods { namespace: namespace.into(), name: name.map(str::to_owned) })
        };
        for (path, expected) in [
            ("/nodes", Some(Question::Nodes(None))),
            ("/nodes/n1", Some(Question::Nodes(Some("n1".into())))),
            ("/pods", pods("", None)),
            ("/namespaces/x/pods", pods("x", None)),
            ("/namespaces/x/pods/p", pods("x", Some("p"))),
            ("/namespaces/x", None),
            ("/other", None),
        ] {
            assert_eq!(question(&format!("{PREFIX}{path}")), expected, "{path}");
        }
        assert_eq!(question("/api/v1/nodes"), None);
        assert_eq!(document("/apis/metrics.k8s.io/v1beta1").unwrap()["resources"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn windows_print_as_go_does() {
        for (seconds, text) in [(15.0, "15s"), (1.2, "1.2s"), (90.25, "1m30.25s"), (0.004, "0.004s")] {
            assert_eq!(window(seconds), text);
        }
    }

    #[test]
    fn only_what_was_measured_is_answered() {
        let meta = |namespace: &str, name: &str, app: &str| ObjectMeta {
            name: name.into(),
            namespace: namespace.into(),
            labels: [("app".to_owned(), app.to_owned())].into(),
            ..ObjectMeta::default()
        };
        let used = Usage { cpu_nanos: 1_500_000, memory: 3 << 20, at: 1_700_000_000.0, window: 15.0 };
        let mut node = NodeUsage { node: Some(used), ..NodeUsage::default() };
        node.pods.insert(("x".into(), "a".into()), vec![("c".into(), used), ("d".into(), used)]);
        let usage = BTreeMap::from([("n1".to_owned(), node)]);
        let there = [meta("x", "a", "web"), meta("x", "b", "web"), meta("y", "a", "db")];
        let all = Question::Pods { namespace: String::new(), name: None };
        let found = objects(&all, &Selector::everything(), &there, &usage);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["containers"][0]["usage"], json!({"cpu": "1500000n", "memory": "3Mi"}));
        assert_eq!(found[0]["window"], "15s");
        assert!(objects(&all, &Selector::parse("app=db").unwrap(), &there, &usage).is_empty());
        assert_eq!(table(&found)["rows"][0]["cells"], json!(["a", "3m", "6Mi", "15s"]));
        let nodes =
            objects(&Question::Nodes(None), &Selector::everything(), &[meta("", "n1", ""), meta("", "n2", "")], &usage);
        assert_eq!((nodes.len(), &nodes[0]["usage"]["memory"]), (1, &json!("3Mi")));
    }
}
