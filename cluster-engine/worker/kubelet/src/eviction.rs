//! Node-pressure eviction: which signals are beyond their thresholds, and which pod has to go.
//!
//! As upstream's eviction manager: pods that use more than they asked for first, of those the least important, of those
//! the one that exceeds its request most. Volumes and containers beyond a limit of their own are looked at, too.

mod storage;

use std::cmp::Reverse;
use std::sync::Arc;

use drydock_api::quantity::{Format, Quantity};

use crate::config::KubeletConfiguration;
use crate::kubelet::{Kubelet, blocking};
use crate::machine;
use crate::pod::{Pod, Qos};
use crate::state::Failure;
use crate::worker::Message;

/// What the node may run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Memory,
    Disk,
    Inodes,
    Pids,
}

impl Signal {
    const ALL: [Self; 4] = [Self::Memory, Self::Disk, Self::Inodes, Self::Pids];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory.available",
            Self::Disk => "nodefs.available",
            Self::Inodes => "nodefs.inodesFree",
            Self::Pids => "pid.available",
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "ephemeral-storage",
            Self::Inodes => "inodes",
            Self::Pids => "pids",
        }
    }

    pub(crate) fn condition(self) -> &'static str {
        match self {
            Self::Memory => "MemoryPressure",
            Self::Disk | Self::Inodes => "DiskPressure",
            Self::Pids => "PIDPressure",
        }
    }
}

/// How much there is of something, and how much of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Supply {
    pub(crate) capacity: u64,
    pub(crate) available: u64,
}

/// A signal beyond its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) signal: Signal,
    threshold: u64,
    available: u64,
}

/// The signals beyond the thresholds of `evictionHard`.
pub(crate) fn shortages(config: &KubeletConfiguration, supply: impl Fn(Signal) -> Option<Supply>) -> Vec<Shortage> {
    let short = |signal: Signal| {
        let text = config.eviction_hard.get(signal.name())?;
        let supply = supply(signal).filter(|supply| supply.capacity > 0)?;
        let threshold = amount(text, supply.capacity)?;
        (supply.available < threshold).then_some(Shortage { signal, threshold, available: supply.available })
    };
    Signal::ALL.into_iter().filter_map(short).collect()
}

/// A quantity, or a percentage of the capacity.
fn amount(text: &str, capacity: u64) -> Option<u64> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok().map(|percent| (capacity as f64 * percent / 100.0) as u64),
        None => Quantity::parse(text).ok().and_then(|quantity| u64::try_from(quantity.value()).ok()),
    }
}

/// What the machine has left.
pub(crate) fn supply(kubelet: &Kubelet, signal: Signal) -> Option<Supply> {
    match signal {
        Signal::Memory => {
            let capacity = kubelet.machine.memory;
            Some(Supply { capacity, available: machine::memory_available(capacity) })
        }
        Signal::Disk => {
            let (capacity, available) = machine::disk(&kubelet.options.root_dir);
            Some(Supply { capacity, available })
        }
        Signal::Inodes => {
            let stat = rustix::fs::statvfs(&kubelet.options.root_dir).ok()?;
            Some(Supply { capacity: stat.f_files, available: stat.f_favail })
        }
        Signal::Pids => {
            machine::pids().map(|(capacity, used)| Supply { capacity, available: capacity.saturating_sub(used) })
        }
    }
}

/// What a pod uses of the short resource, as a candidate for eviction.
#[derive(Clone, Debug)]
struct Candidate {
    pod: Arc<Pod>,
    usage: i64,
    containers: Vec<(String, i64)>,
}

/// The candidates, the first to go first.
fn ranked(mut candidates: Vec<Candidate>, signal: Signal) -> Vec<Candidate> {
    candidates.retain(|candidate| !is_critical(&candidate.pod));
    candidates.sort_by_key(|candidate| {
        let over = candidate.usage - candidate.pod.request(signal.resource()).value();
        (over <= 0, candidate.pod.spec.priority.unwrap_or(0), Reverse(over))
    });
    candidates
}

fn is_critical(pod: &Pod) -> bool {
    pod.is_static() || pod.is_mirror() || pod.spec.priority.is_some_and(|priority| priority >= 2_000_000_000)
}

/// Why a pod is evicted, in upstream's words.
fn reason(candidate: &Candidate, shortage: &Shortage) -> Failure {
    let resource = shortage.signal.resource();
    let show = |value: u64| {
        let format =
            if matches!(shortage.signal, Signal::Pids | Signal::Inodes) { Format::DecimalSi } else { Format::BinarySi };
        Quantity::new(i64::try_from(value).unwrap_or(i64::MAX), format).to_string()
    };
    let mut message = format!(
        "The node was low on resource: {resource}. Threshold quantity: {}, available: {}. ",
        show(shortage.threshold),
        show(shortage.available)
    );
    for (name, usage) in &candidate.containers {
        let request = candidate.pod.container(name).and_then(|(_, it)| it.resources.requests.get(resource).copied());
        let request = request.unwrap_or(Quantity::ZERO);
        if *usage > request.value() {
            let usage = show(u64::try_from(*usage).unwrap_or(0));
            message.push_str(&format!(
                "Container {name} was using {usage}, request is {request}, has larger consumption of {resource}. "
            ));
        }
    }
    Failure { disruption: true, ..Failure::new("Evicted", message) }
}

/// Why a pod is not let in while the node has pressure.
pub(crate) fn refuses(pod: &Pod, pressures: &[Signal]) -> Option<Failure> {
    if pressures.is_empty() || is_critical(pod) {
        return None;
    }
    let only_memory = pressures.iter().all(|signal| *signal == Signal::Memory);
    let tolerates = pod.spec.tolerations.iter().any(|toleration| {
        let key = toleration.key.is_empty() || toleration.key == "node.kubernetes.io/memory-pressure";
        key && (toleration.effect.is_empty() || toleration.effect == "NoSchedule")
    });
    if only_memory && (pod.qos() != Qos::BestEffort || tolerates) {
        return None;
    }
    let mut names: Vec<&str> = pressures.iter().map(|signal| signal.condition()).collect();
    names.dedup();
    let message = format!("Pod was rejected: The node had condition: [{}]. ", names.join(" "));
    Some(Failure::new("Evicted", message))
}

/// Looks at the node once and evicts one pod at most for each look, as upstream does.
pub(crate) async fn look(kubelet: &Arc<Kubelet>) -> Vec<Signal> {
    for (handle, failure) in storage::offenders(kubelet).await {
        let _ = handle.mail.send(Message::Evict(failure));
    }
    let short = shortages(&kubelet.config, |signal| supply(kubelet, signal));
    if let Some(shortage) = short.first().copied() {
        tracing::warn!(
            signal = shortage.signal.name(),
            available = shortage.available,
            "the node runs out of a resource"
        );
        let text = format!("Attempting to reclaim {}", shortage.signal.resource());
        crate::node::event(kubelet, "EvictionThresholdMet", text);
        let mut candidates = Vec::new();
        for handle in kubelet.pods.handles() {
            let (pod, containers, over) = {
                let view = handle.view();
                let over =
                    matches!(view.status.phase.as_str(), "Succeeded" | "Failed") || view.pod.metadata.is_deleting();
                (view.pod.clone(), view.containers.clone(), over)
            };
            if over {
                continue;
            }
            let runtime = kubelet.runtime.clone();
            let containers: Vec<(String, i64)> = blocking(move || {
                let running = containers.into_iter().filter(|(_, container)| container.running);
                running
                    .filter_map(|(name, container)| {
                        let stats = runtime.stats(&container.id).ok()?;
                        let usage = match shortage.signal {
                            Signal::Memory => stats.memory_working_set_bytes,
                            Signal::Pids => stats.pids,
                            Signal::Disk | Signal::Inodes => 0,
                        };
                        Some((name, i64::try_from(usage).unwrap_or(i64::MAX)))
                    })
                    .collect()
            })
            .await;
            let (usage, containers) = match shortage.signal {
                Signal::Disk | Signal::Inodes => storage::usage(kubelet, &pod).await,
                _ => (containers.iter().map(|(_, usage)| usage).sum(), containers),
            };
            candidates.push(Candidate { pod, usage, containers });
        }
        if let Some(candidate) = ranked(candidates, shortage.signal).into_iter().next() {
            let failure = reason(&candidate, &shortage);
            let metadata = &candidate.pod.metadata;
            if let Some(handle) = kubelet.pods.find(&metadata.namespace, &metadata.name, Some(&metadata.uid)) {
                let _ = handle.mail.send(Message::Evict(failure));
            }
        }
    }
    short.iter().map(|shortage| shortage.signal).collect()
}

#[cfg(test)]
mod tests;
