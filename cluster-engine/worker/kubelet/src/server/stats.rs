//! What the node and its pods use: `/stats/summary`, `/metrics/resource`, `/metrics` and `/pods`.

use std::fmt::Write;
use std::sync::Arc;

use drydock_api::KUBERNETES_VERSION;
use drydock_api::time::{format_seconds, now_rfc3339};
use drydock_container_runtime::Stats;
use serde_json::{Value, json};

use crate::kubelet::{Kubelet, blocking};
use crate::machine;
use crate::pod::Pod;

/// One container's use.
struct Sample {
    name: String,
    id: String,
    started_at: i64,
    stats: Stats,
}

struct PodSample {
    pod: Arc<Pod>,
    stats: Stats,
    containers: Vec<Sample>,
}

async fn collect(kubelet: &Arc<Kubelet>) -> Vec<PodSample> {
    let kubelet = kubelet.clone();
    blocking(move || {
        let mut samples = Vec::new();
        for handle in kubelet.pods.handles() {
            let (pod, sandbox, containers) = {
                let view = handle.view();
                (view.pod.clone(), view.sandbox.clone(), view.containers.clone())
            };
            let Some(sandbox) = sandbox else { continue };
            let running = containers.into_iter().filter(|(_, container)| container.running);
            let containers = running
                .filter_map(|(name, container)| {
                    let stats = kubelet.runtime.stats(&container.id).ok()?;
                    Some(Sample { name, started_at: container.started_at, stats, id: container.id })
                })
                .collect();
            let stats = kubelet.runtime.sandbox_stats(&sandbox.id).unwrap_or_default();
            samples.push(PodSample { pod, stats, containers });
        }
        samples
    })
    .await
}

/// CPU time and memory of the whole node.
fn node_use(kubelet: &Kubelet) -> (u64, u64) {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let v1 = read("/sys/fs/cgroup/cpuacct/cpuacct.usage").and_then(|text| text.trim().parse::<u64>().ok());
    let v2 = || {
        let text = read("/sys/fs/cgroup/cpu.stat")?;
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        line.parse::<u64>().ok().map(|micros| micros * 1000)
    };
    let capacity = kubelet.machine.memory;
    (v1.or_else(v2).unwrap_or(0), machine::memory_working_set(capacity))
}

fn cpu(now: &str, stats: &Stats) -> Value {
    json!({"time": now, "usageCoreNanoSeconds": stats.cpu_usage_nanos})
}

fn memory(now: &str, stats: &Stats) -> Value {
    json!({
        "time": now,
        "usageBytes": stats.memory_usage_bytes,
        "workingSetBytes": stats.memory_working_set_bytes,
        "rssBytes": stats.memory_rss_bytes,
    })
}

/// `/stats/summary`
pub(super) async fn summary(kubelet: &Arc<Kubelet>) -> Value {
    let now = now_rfc3339();
    let (cpu_nanos, working_set) = node_use(kubelet);
    let (total, free) = machine::disk(&kubelet.options.root_dir);
    let pods: Vec<Value> = collect(kubelet)
        .await
        .iter()
        .map(|sample| {
            let metadata = &sample.pod.metadata;
            let containers: Vec<Value> = sample
                .containers
                .iter()
                .map(|container| {
                    json!({
                        "name": container.name,
                        "startTime": format_seconds(container.started_at / 1000),
                        "cpu": cpu(&now, &container.stats),
                        "memory": memory(&now, &container.stats),
                    })
                })
                .collect();
            json!({
                "podRef": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
                "startTime": metadata.creation_timestamp,
                "containers": containers,
                "cpu": cpu(&now, &sample.stats),
                "memory": memory(&now, &sample.stats),
                "process_stats": {"process_count": sample.stats.pids},
            })
        })
        .collect();
    json!({
        "node": {
            "nodeName": kubelet.node_name,
            "startTime": format_seconds(kubelet.started_at / 1000),
            "cpu": {"time": now, "usageCoreNanoSeconds": cpu_nanos},
            "memory": {
                "time": now,
                "availableBytes": machine::memory_available(kubelet.machine.memory),
                "workingSetBytes": working_set,
            },
            "fs": {"time": now, "availableBytes": free, "capacityBytes": total, "usedBytes": total.saturating_sub(free)},
        },
        "pods": pods,
    })
}

/// `/metrics/resource`: what metrics-server reads.
pub(super) async fn resource_metrics(kubelet: &Arc<Kubelet>) -> String {
    let samples = collect(kubelet).await;
    let (cpu_nanos, working_set) = node_use(kubelet);
    let now = crate::kubelet::now();
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, String)>| {
        let _ = writeln!(out, "# HELP {name} [STABLE] {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(out, "{name}{labels} {value} {now}");
        }
    };
    let pod = |sample: &PodSample| {
        format!("namespace=\"{}\",pod=\"{}\"", sample.pod.metadata.namespace, sample.pod.metadata.name)
    };
    let each = |value: &dyn Fn(&Sample) -> String| -> Vec<(String, String)> {
        let rows = samples.iter().flat_map(|sample| sample.containers.iter().map(move |container| (sample, container)));
        rows.map(|(sample, container)| (format!("container=\"{}\",{}", container.name, pod(sample)), value(container)))
            .collect()
    };
    let whole = |value: &dyn Fn(&Stats) -> String| -> Vec<(String, String)> {
        samples.iter().map(|sample| (pod(sample), value(&sample.stats))).collect()
    };
    family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
        each(&|c| seconds(c.stats.cpu_usage_nanos).to_string()),
    );
    family(
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
        each(&|c| c.stats.memory_working_set_bytes.to_string()),
    );
    family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
        each(&|c| (c.started_at as f64 / 1000.0).to_string()),
    );
    family(
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node in core-seconds",
        vec![(String::new(), seconds(cpu_nanos).to_string())],
    );
    family(
        "node_memory_working_set_bytes",
        "gauge",
        "Current working set of the node in bytes",
        vec![(String::new(), working_set.to_string())],
    );
    family(
        "pod_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the pod in core-seconds",
        whole(&|stats| seconds(stats.cpu_usage_nanos).to_string()),
    );
    family(
        "pod_memory_working_set_bytes",
        "gauge",
        "Current working set of the pod in bytes",
        whole(&|stats| stats.memory_working_set_bytes.to_string()),
    );
    family(
        "resource_scrape_error",
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
        vec![(String::new(), "0".to_owned())],
    );
    out
}

/// `/metrics/cadvisor`: what containers use, under the names that dashboards ask for.
pub(super) async fn cadvisor(kubelet: &Arc<Kubelet>) -> String {
    let samples = collect(kubelet).await;
    let now = crate::kubelet::now();
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Stats) -> String| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in &samples {
            let metadata = &sample.pod.metadata;
            let id = sample.pod.cgroup();
            let place = format!("namespace=\"{}\",pod=\"{}\"", metadata.namespace, metadata.name);
            let _ = writeln!(
                out,
                "{name}{{container=\"\",id=\"/{id}\",image=\"\",name=\"\",{place}}} {} {now}",
                value(&sample.stats)
            );
            for container in &sample.containers {
                let image = sample.pod.container(&container.name).map_or("", |(_, it)| it.image.as_str());
                let _ = writeln!(
                    out,
                    "{name}{{container=\"{}\",id=\"/{id}/{}\",image=\"{image}\",name=\"{}\",{place}}} {} {now}",
                    container.name,
                    container.id,
                    container.id,
                    value(&container.stats)
                );
            }
        }
    };
    family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", &|stats| {
        (stats.cpu_usage_nanos as f64 / 1e9).to_string()
    });
    family("container_memory_rss", "gauge", "Size of RSS in bytes.", &|stats| stats.memory_rss_bytes.to_string());
    family("container_memory_usage_bytes", "gauge", "Current memory usage in bytes.", &|stats| {
        stats.memory_usage_bytes.to_string()
    });
    family("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", &|stats| {
        stats.memory_working_set_bytes.to_string()
    });
    family("container_processes", "gauge", "Number of processes running inside the container.", &|stats| {
        stats.pids.to_string()
    });
    out
}

/// `/metrics`: the kubelet's own.
pub(super) fn metrics(kubelet: &Kubelet) -> String {
    let handles = kubelet.pods.handles();
    let (mut sandboxes, mut running, mut exited, mut desired, mut active, mut fixed) = (0, 0, 0, 0, 0, 0);
    for handle in &handles {
        let view = handle.view();
        let over = matches!(view.status.phase.as_str(), "Succeeded" | "Failed");
        desired += 1;
        active += usize::from(!over);
        fixed += usize::from(view.pod.is_static());
        sandboxes += usize::from(view.sandbox.is_some());
        let runs = view.containers.values().filter(|container| container.running).count();
        running += runs;
        exited += view.containers.len() - runs;
    }
    let (seconds, resident) = machine::own_use();
    let started = kubelet.started_at as f64 / 1000.0;
    let labels = [
        (
            "kubernetes_build_info",
            format!("{{git_version=\"{}\",platform=\"linux\"}}", KUBERNETES_VERSION),
            "1".to_owned(),
        ),
        ("kubelet_node_name", format!("{{node=\"{}\"}}", kubelet.node_name), "1".to_owned()),
        ("kubelet_running_pods", String::new(), sandboxes.to_string()),
        ("kubelet_running_containers", "{container_state=\"running\"}".to_owned(), running.to_string()),
        ("kubelet_running_containers", "{container_state=\"exited\"}".to_owned(), exited.to_string()),
        ("kubelet_desired_pods", "{static=\"\"}".to_owned(), (desired - fixed).to_string()),
        ("kubelet_desired_pods", "{static=\"true\"}".to_owned(), fixed.to_string()),
        ("kubelet_active_pods", String::new(), active.to_string()),
        ("kubelet_mirror_pods", String::new(), fixed.to_string()),
        ("process_cpu_seconds_total", String::new(), seconds.to_string()),
        ("process_resident_memory_bytes", String::new(), resident.to_string()),
        ("process_start_time_seconds", String::new(), started.to_string()),
    ];
    let help = |name: &str| match name {
        "kubernetes_build_info" => "[ALPHA] A metric with a constant '1' value labeled by version and platform.",
        "kubelet_node_name" => "[ALPHA] The node's name. The count is always 1.",
        "kubelet_running_pods" => "[BETA] Number of pods that have a running pod sandbox",
        "kubelet_running_containers" => "[BETA] Number of containers currently running",
        "kubelet_desired_pods" => "[ALPHA] The number of pods the kubelet is being instructed to run.",
        "kubelet_active_pods" => "[ALPHA] The number of pods the kubelet considers active.",
        "kubelet_mirror_pods" => "[ALPHA] The number of mirror pods the kubelet will try to create.",
        "process_cpu_seconds_total" => "Total user and system CPU time spent in seconds.",
        "process_resident_memory_bytes" => "Resident memory size in bytes.",
        _ => "Start time of the process since unix epoch in seconds.",
    };
    let mut out = String::new();
    let mut last = "";
    for (name, labels, value) in &labels {
        if *name != last {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", help(name));
            last = name;
        }
        let _ = writeln!(out, "{name}{labels} {value}");
    }
    out
}

/// `/pods`: what the kubelet runs, with the statuses it knows.
pub(super) fn pods(kubelet: &Kubelet) -> Value {
    let items: Vec<Value> = kubelet
        .pods
        .handles()
        .iter()
        .map(|handle| {
            let view = handle.view();
            let containers: Vec<Value> = view
                .pod
                .spec
                .containers
                .iter()
                .map(|container| json!({"name": container.name, "image": container.image}))
                .collect();
            json!({
                "metadata": view.pod.metadata,
                "spec": {"nodeName": kubelet.node_name, "containers": containers},
                "status": view.status,
            })
        })
        .collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}
