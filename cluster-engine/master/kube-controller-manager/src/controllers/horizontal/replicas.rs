//! How many replicas a measured use asks for (upstream: `replica_calculator.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_api::quantity::Quantity;
use drydock_api::time::parse_seconds;
use drydock_client::Object;
use drydock_client::types::Pod;
use thiserror::Error;

use crate::kinds::PodMetrics;

/// A pod that started less long ago than this may use much just because it starts.
const CPU_INITIALIZATION: i64 = 300;
/// A pod that was unready from its start is not judged by its use.
const INITIAL_READINESS: i64 = 30;

/// Why no number can be said.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Unknown {
    /// No metrics at all.
    #[error("no metrics returned from resource metrics API")]
    NoMetrics,
    /// A pod's metrics lack the container.
    #[error("container {container} not present in metrics for pod {pod}")]
    NoContainer {
        /// The container.
        container: String,
        /// Namespace and name.
        pod: String,
    },
    /// No pods.
    #[error("no pods returned by selector while calculating replica count")]
    NoPods,
    /// None that counts.
    #[error("did not receive metrics for targeted pods (pods might be unready)")]
    NotReady,
    /// A share of nothing.
    #[error("missing request for {resource} in container {container} of Pod {pod}")]
    NoRequest {
        /// `cpu` or `memory`.
        resource: String,
        /// The container.
        container: String,
        /// The pod's name.
        pod: String,
    },
    /// Metrics of other pods.
    #[error("no metrics returned matched known pods")]
    NoMatch,
}

/// What one pod uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// In thousandths of the resource's unit.
    pub(super) milli: i64,
    /// Seconds since 1970.
    pub(super) at: i64,
    /// Over how many seconds.
    pub(super) window: i64,
}

pub(super) type Samples = BTreeMap<String, Sample>;

/// What is wanted of the use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Percent of the requests.
    Utilization(i32),
    /// Thousandths of the unit, on average.
    Average(i64),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) replicas: i32,
    /// Average of the pods, in thousandths.
    pub(super) average: i64,
    /// In percent of the requests, if the target is one.
    pub(super) utilization: Option<i32>,
}

/// How far from its target a use may be before anything happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    pub(super) up: f64,
    pub(super) down: f64,
}

impl Tolerance {
    fn bears(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// One number per pod of what the metrics API said; of all containers, or of one.
pub(super) fn samples(metrics: &[PodMetrics], resource: &str, container: &str) -> Result<Samples, Unknown> {
    if metrics.is_empty() {
        return Err(Unknown::NoMetrics);
    }
    let mut all = Samples::new();
    for pod in metrics {
        let milli = |usage: &drydock_client::types::StringMap| {
            usage.get(resource).and_then(|text| Quantity::parse(text).ok()).map(|quantity| quantity.milli_value())
        };
        let used = if container.is_empty() {
            // A pod with a container that was not measured does not count.
            pod.containers.iter().map(|container| milli(&container.usage)).sum::<Option<i64>>()
        } else {
            let Some(found) = pod.containers.iter().find(|found| found.name == container) else {
                let pod = format!("{}/{}", pod.namespace(), pod.name());
                return Err(Unknown::NoContainer { container: container.to_owned(), pod });
            };
            milli(&found.usage)
        };
        if let Some(milli) = used.filter(|_| !pod.containers.is_empty()) {
            let at = pod.timestamp.as_deref().and_then(parse_seconds).unwrap_or_default();
            all.insert(pod.name().to_owned(), Sample { milli, at, window: seconds(&pod.window) });
        }
    }
    Ok(all)
}

/// `1m30s` or `15.2s` in whole seconds.
fn seconds(duration: &str) -> i64 {
    let mut total = 0.0;
    let mut rest = duration;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit() && c != '.') {
        let number: f64 = rest[..end].parse().unwrap_or_default();
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                _ => 0.0,
            };
        rest = &rest[end..];
    }
    total as i64
}

#[derive(Debug, Default, PartialEq)]
struct Groups {
    ready: i64,
    unready: Vec<String>,
    missing: Vec<String>,
    ignored: Vec<String>,
}

fn group(pods: &[Arc<Pod>], samples: &Samples, resource: &str, now: i64) -> Groups {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.name().to_owned();
        if pod.metadata.is_deleting() || pod.status.phase == "Failed" {
            groups.ignored.push(name);
        } else if pod.status.phase == "Pending" {
            groups.unready.push(name);
        } else {
            match samples.get(pod.name()) {
                None => groups.missing.push(name),
                Some(sample) if resource == "cpu" && is_unready(pod, sample, now) => groups.unready.push(name),
                Some(_) => groups.ready += 1,
            }
        }
    }
    groups
}

fn is_unready(pod: &Pod, sample: &Sample, now: i64) -> bool {
    let started = pod.status.start_time.as_deref().and_then(parse_seconds);
    let (Some(ready), Some(started)) = (pod.condition("Ready"), started) else { return true };
    let changed = ready.last_transition_time.as_deref().and_then(parse_seconds).unwrap_or_default();
    if started + CPU_INITIALIZATION > now {
        ready.status == "False" || sample.at < changed + sample.window
    } else {
        ready.status == "False" && started + INITIAL_READINESS > changed
    }
}

fn requests(pods: &[Arc<Pod>], resource: &str, container: &str) -> Result<BTreeMap<String, i64>, Unknown> {
    let mut all = BTreeMap::new();
    for pod in pods {
        let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        let mut sum = 0_i64;
        for found in pod.spec.containers.iter().chain(sidecars) {
            if !container.is_empty() && found.name != container {
                continue;
            }
            let request = found.resources.requests.get(resource).and_then(|text| Quantity::parse(text).ok());
            let Some(request) = request else {
                return Err(Unknown::NoRequest {
                    resource: resource.to_owned(),
                    container: found.name.clone(),
                    pod: pod.name().to_owned(),
                });
            };
            sum += request.milli_value();
        }
        // Requests of the pod as a whole stand for those of its containers.
        let whole = pod.spec.resources.as_ref().and_then(|whole| whole.requests.get(resource));
        if let Some(whole) = whole.and_then(|text| Quantity::parse(text).ok()).filter(|_| container.is_empty()) {
            sum = whole.milli_value();
        }
        all.insert(pod.name().to_owned(), sum);
    }
    Ok(all)
}

/// How many replicas the use asks for.
#[expect(clippy::too_many_arguments, reason = "each is one input of upstream's formula, and no two belong together")]
pub(super) fn replicas(
    current: i32,
    pods: &[Arc<Pod>],
    mut samples: Samples,
    resource: &str,
    container: &str,
    target: Target,
    tolerance: Tolerance,
    now: i64,
) -> Result<Found, Unknown> {
    if pods.is_empty() {
        return Err(Unknown::NoPods);
    }
    let groups = group(pods, &samples, resource, now);
    samples.retain(|name, _| !groups.ignored.contains(name) && !groups.unready.contains(name));
    if samples.is_empty() {
        return Err(Unknown::NotReady);
    }
    let mut used: BTreeMap<String, i64> = samples.iter().map(|(name, sample)| (name.clone(), sample.milli)).collect();
    let requests = match target {
        Target::Utilization(_) => requests(pods, resource, container)?,
        Target::Average(_) => BTreeMap::new(),
    };
    let (ratio, utilization, average) = ratio(&used, &requests, target)?;
    let found = |replicas: i32| Ok(Found { replicas, average, utilization });

    let grows_with_unready = !groups.unready.is_empty() && ratio > 1.0;
    if !grows_with_unready && groups.missing.is_empty() {
        if tolerance.bears(ratio) {
            return found(current);
        }
        return found((ratio * groups.ready as f64).ceil() as i32);
    }
    // Pods that say nothing are taken to speak against the change.
    for name in &groups.missing {
        if ratio < 1.0 {
            let assumed = match target {
                Target::Utilization(percent) => {
                    requests.get(name).copied().unwrap_or_default() * i64::from(percent.max(100)) / 100
                }
                Target::Average(milli) => milli,
            };
            used.insert(name.clone(), assumed);
        } else if ratio > 1.0 {
            used.insert(name.clone(), 0);
        }
    }
    if grows_with_unready {
        used.extend(groups.unready.iter().map(|name| (name.clone(), 0)));
    }
    let (careful, _, _) = self::ratio(&used, &requests, target)?;
    let turns = (ratio < 1.0 && careful > 1.0) || (ratio > 1.0 && careful < 1.0);
    if tolerance.bears(careful) || turns {
        return found(current);
    }
    let wanted = (careful * used.len() as f64).ceil() as i32;
    let contradicts = (careful < 1.0 && wanted > current) || (careful > 1.0 && wanted < current);
    found(if contradicts { current } else { wanted })
}

/// Use over target; utilization in percent; average use.
fn ratio(
    used: &BTreeMap<String, i64>,
    requests: &BTreeMap<String, i64>,
    target: Target,
) -> Result<(f64, Option<i32>, i64), Unknown> {
    match target {
        Target::Average(milli) => {
            let average = used.values().sum::<i64>() / i64::try_from(used.len().max(1)).unwrap_or(1);
            Ok((average as f64 / milli.max(1) as f64, None, average))
        }
        Target::Utilization(percent) => {
            let (mut total, mut requested, mut count) = (0_i64, 0_i64, 0_i64);
            for (name, milli) in used {
                if let Some(request) = requests.get(name) {
                    total += milli;
                    requested += request;
                    count += 1;
                }
            }
            if requested == 0 {
                return Err(Unknown::NoMatch);
            }
            let utilization = i32::try_from(total.saturating_mul(100) / requested).unwrap_or(i32::MAX);
            Ok((f64::from(utilization) / f64::from(percent.max(1)), Some(utilization), total / count))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ContainerMetrics;
    use drydock_client::types::{Condition, Container};

    const NOW: i64 = 10_000;

    fn pod(name: &str, request: &str, ready: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.name = name.into();
        pod.status.phase = "Running".into();
        pod.status.start_time = Some(drydock_api::time::format_seconds(NOW - 1000));
        pod.status.conditions.push(Condition {
            kind: "Ready".into(),
            status: if ready { "True" } else { "False" }.into(),
            last_transition_time: Some(drydock_api::time::format_seconds(NOW - 990)),
            ..Condition::default()
        });
        let mut container = Container { name: "c".into(), ..Container::default() };
        if !request.is_empty() {
            container.resources.requests.insert("cpu".into(), request.into());
        }
        pod.spec.containers.push(container);
        Arc::new(pod)
    }

    fn used(all: &[(&str, i64)]) -> Samples {
        let sample = |milli| Sample { milli, at: NOW, window: 15 };
        all.iter().map(|(name, milli)| ((*name).to_owned(), sample(*milli))).collect()
    }

    #[track_caller]
    fn check(
        current: i32,
        pods: &[Arc<Pod>],
        samples: &[(&str, i64)],
        target: Target,
        expected: Result<(i32, i64, Option<i32>), Unknown>,
    ) {
        let tolerance = Tolerance { up: 0.1, down: 0.1 };
        let found = replicas(current, pods, used(samples), "cpu", "", target, tolerance, NOW);
        assert_eq!(found.map(|found| (found.replicas, found.average, found.utilization)), expected);
    }

    #[test]
    fn use_beside_its_target() {
        let three = [pod("a", "1", true), pod("b", "1", true), pod("c", "1", true)];
        let percent = Target::Utilization;
        check(3, &three, &[("a", 300), ("b", 500), ("c", 700)], percent(30), Ok((5, 500, Some(50))));
        check(3, &three, &[("a", 100), ("b", 100), ("c", 100)], percent(50), Ok((1, 100, Some(10))));
        check(3, &three, &[("a", 520), ("b", 520), ("c", 520)], percent(50), Ok((3, 520, Some(52))));
        check(3, &three, &[("a", 300), ("b", 300), ("c", 300)], Target::Average(100), Ok((9, 300, None)));
        check(0, &[], &[("a", 1)], percent(50), Err(Unknown::NoPods));
        check(
            1,
            &[pod("a", "", true)],
            &[("a", 1)],
            percent(50),
            Err(Unknown::NoRequest { resource: "cpu".into(), container: "c".into(), pod: "a".into() }),
        );
        check(1, &[pod("a", "1", true)], &[("z", 1)], percent(50), Err(Unknown::NoMatch));
    }

    #[test]
    fn pods_that_say_nothing_hold_back() {
        let two = [pod("a", "1", true), pod("b", "1", true)];
        let percent = Target::Utilization;
        // 200 % on one pod alone would ask for four; the other is taken to use nothing.
        check(2, &two, &[("a", 1000)], percent(50), Ok((2, 1000, Some(100))));
        // Little on one pod would ask for fewer; the other is taken to use all it asks for.
        check(2, &two, &[("a", 100)], percent(50), Ok((2, 100, Some(10))));
    }

    #[test]
    fn pods_that_start_do_not_drive_up() {
        let mut young = (*pod("b", "1", false)).clone();
        young.status.start_time = Some(drydock_api::time::format_seconds(NOW - 10));
        let pods = [pod("a", "1", true), Arc::new(young)];
        check(2, &pods, &[("a", 900), ("b", 3000)], Target::Utilization(30), Ok((3, 900, Some(90))));
        let mut pending = (*pod("b", "1", false)).clone();
        pending.status.phase = "Pending".into();
        check(1, &[Arc::new(pending)], &[("b", 10)], Target::Utilization(30), Err(Unknown::NotReady));
    }

    #[test]
    fn containers_are_summed_or_picked() {
        let container = |name: &str, cpu: &str| ContainerMetrics {
            name: name.into(),
            usage: [("cpu".to_owned(), cpu.to_owned())].into(),
        };
        let mut metrics = PodMetrics { window: "1m15.5s".into(), ..PodMetrics::default() };
        metrics.metadata.name = "a".into();
        metrics.containers = vec![container("x", "100m"), container("y", "50m")];
        let all = [metrics];
        assert_eq!(samples(&all, "cpu", "").unwrap()["a"], Sample { milli: 150, at: 0, window: 75 });
        assert_eq!(samples(&all, "cpu", "y").unwrap()["a"].milli, 50);
        assert!(samples(&all, "memory", "").unwrap().is_empty());
        assert_eq!(samples(&all, "cpu", "z").unwrap_err().to_string(), "container z not present in metrics for pod /a");
        assert_eq!(samples(&[], "cpu", ""), Err(Unknown::NoMetrics));
    }
}
