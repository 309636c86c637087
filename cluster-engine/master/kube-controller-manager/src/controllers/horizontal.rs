//! Horizontal pod autoscalers: as many replicas as the measured use asks for.

mod limits;
mod replicas;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drydock_api::quantity::Quantity;
use drydock_api::selector::Selector;
use drydock_api::time::{now_rfc3339, unix_now};
use drydock_client::types::{Condition, Pod};
use drydock_client::{
    Api, Client, Error, Event, EventRecorder, ListOptions, Object, ObjectReference, PartialObject, Reflector, Resource,
    WorkQueue,
};
use serde_json::Value;

use self::limits::Memory;
use self::replicas::{Target, Tolerance, replicas, samples};
use crate::context::Context;
use crate::discovery::Kinds;
use crate::kinds::{
    Autoscaler, AutoscalerStatus, MetricSpec, MetricStatus, MetricValue, PodMetrics, ResourceMetric,
    ResourceMetricStatus, ScalingRules,
};
use crate::work::{Key, Next, Reconcile, key, unless_gone, with_status, work};

/// A use this near its target changes nothing (upstream: `--horizontal-pod-autoscaler-tolerance`).
const TOLERANCE: f64 = 0.1;

struct Controller {
    client: Client,
    recorder: EventRecorder,
    scalers: Reflector<Autoscaler>,
    pods: Reflector<Pod>,
    kinds: Kinds,
    memory: Mutex<HashMap<String, Memory>>,
    /// The pods of each autoscaler's target, as last seen.
    selectors: Mutex<BTreeMap<Key, Selector>>,
    period: Duration,
}

pub(super) async fn run(context: Arc<Context>) {
    let scalers = context.watch::<Autoscaler>();
    let pods = context.watch::<Pod>();
    let client = context.client("horizontal-pod-autoscaler").await;
    scalers.synced().await;
    pods.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    scalers.handle(move |event| {
        let matters = match event {
            // The status is our own writing.
            Event::Applied(new, Some(old)) => new.spec != old.spec,
            _ => true,
        };
        if matters {
            add.add(key(&**event.object()));
        }
    });
    let recorder = context.recorder(&client, "horizontal-pod-autoscaler");
    let controller = Controller {
        client,
        recorder,
        scalers,
        pods,
        kinds: Kinds::new(context.own_client()),
        memory: Mutex::default(),
        selectors: Mutex::default(),
        period: context.options.horizontal_pod_autoscaler_sync_period,
    };
    work(Arc::new(controller), queue, 2).await;
}

/// What is being said and changed in one round.
struct Round<'a> {
    scaler: &'a Autoscaler,
    about: ObjectReference,
    status: AutoscalerStatus,
    now: i64,
}

impl Round<'_> {
    fn say(&mut self, kind: &str, value: &str, reason: &str, message: impl Into<String>) {
        let since = self.status.conditions.iter().find(|c| c.kind == kind && c.status == value);
        let since = since.and_then(|condition| condition.last_transition_time.clone());
        let new = Condition {
            kind: kind.to_owned(),
            status: value.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            last_transition_time: Some(since.unwrap_or_else(now_rfc3339)),
            ..Condition::default()
        };
        match self.status.conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(old) => *old = new,
            None => self.status.conditions.push(new),
        }
    }
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "horizontal-pod-autoscaler";

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let Some(scaler) = self.scalers.get(&key.0, &key.1) else {
            self.selectors.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let live = self.scalers.list();
            memory.retain(|uid, _| live.iter().any(|scaler| scaler.uid() == uid));
            return Ok(Next::Change);
        };
        let mut round = Round {
            scaler: &scaler,
            about: ObjectReference::of(&*scaler),
            status: AutoscalerStatus { observed_generation: scaler.metadata.generation, ..scaler.status.clone() },
            now: unix_now(),
        };
        if let Err(error) = self.scale(&mut round).await {
            tracing::debug!(?key, error, "not scaled");
        }
        if round.status != scaler.status {
            let api = Api::<Autoscaler>::namespaced(self.client.clone(), &key.0);
            unless_gone(api.replace_status(&key.1, &with_status(&*scaler, &round.status)).await)?;
        }
        Ok(Next::After(self.period))
    }
}

impl Controller {
    fn remember<T>(&self, uid: &str, act: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        act(memory.entry(uid.to_owned()).or_default())
    }

    /// One round (upstream: `reconcileAutoscaler`); the error is for the log, all else stands in the status.
    async fn scale(&self, round: &mut Round<'_>) -> Result<(), String> {
        let scaler = round.scaler;
        let (resource, mut scale) = match self.target(scaler).await {
            Ok(found) => found,
            Err(why) => {
                self.recorder.warning(&round.about, "FailedGetScale", why.clone());
                let message = format!("the HPA controller was unable to get the target's current scale: {why}");
                round.say("AbleToScale", "False", "FailedGetScale", message);
                return Err(why);
            }
        };
        let message = "the HPA controller was able to get the target's current scale";
        round.say("AbleToScale", "True", "SucceededGetScale", message);
        let number = |path: &str| {
            scale.pointer(path).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok()).unwrap_or_default()
        };
        let current = number("/spec/replicas");
        let (least, most) = (scaler.spec.min_replicas.unwrap_or(1), scaler.spec.max_replicas);
        round.status.current_replicas = current;
        self.remember(scaler.uid(), |memory| memory.begin(current, round.now));

        let desired;
        let mut why = String::new();
        if current == 0 && least != 0 {
            desired = 0;
            let message = "scaling is disabled since the replica count of the target is zero";
            round.say("ScalingActive", "False", "ScalingDisabled", message);
        } else if current > most {
            desired = most;
            "Current number of replicas above Spec.MaxReplicas".clone_into(&mut why);
        } else if current < least {
            desired = least;
            "Current number of replicas below Spec.MinReplicas".clone_into(&mut why);
        } else {
            let selector = scale.pointer("/status/selector").and_then(Value::as_str).unwrap_or_default().to_owned();
            let (wanted, metric) = match self.by_metrics(round, current, &selector).await {
                Ok(found) => found,
                Err(error) => {
                    self.recorder.warning(&round.about, "FailedComputeMetricsReplicas", error.clone());
                    return Err(error);
                }
            };
            if wanted > current {
                why = format!("{metric} above target");
            } else if wanted < current {
                "All metrics below target".clone_into(&mut why);
            }
            let (limited, said) =
                self.remember(scaler.uid(), |memory| memory.limit(scaler, current, wanted, round.now));
            for (kind, value, reason, message) in said {
                round.say(kind, value, reason, message);
            }
            desired = limited;
        }
        round.status.desired_replicas = desired;
        if desired == current {
            return Ok(());
        }
        scale["spec"]["replicas"] = desired.into();
        let api = Api::<PartialObject>::of(self.client.clone(), resource, scaler.namespace());
        let name = &scaler.spec.scale_target_ref.name;
        if let Err(error) = api.replace_subresource::<Value>(name, "scale", &scale).await {
            let message = format!("New size: {desired}; reason: {why}; error: {error}");
            self.recorder.warning(&round.about, "FailedRescale", message);
            let message = format!("the HPA controller was unable to update the target scale: {error}");
            round.say("AbleToScale", "False", "FailedUpdateScale", message);
            round.status.desired_replicas = current;
            return Err(error.to_string());
        }
        let message = format!("the HPA controller was able to update the target scale to {desired}");
        round.say("AbleToScale", "True", "SucceededRescale", message);
        self.recorder.normal(&round.about, "SuccessfulRescale", format!("New size: {desired}; reason: {why}"));
        let behavior = scaler.spec.behavior.as_ref();
        self.remember(scaler.uid(), |memory| memory.scaled(behavior, current, desired, round.now));
        round.status.last_scale_time = Some(now_rfc3339());
        Ok(())
    }

    /// What is scaled, and its scale as it is now.
    async fn target(&self, scaler: &Autoscaler) -> Result<(Resource, Value), String> {
        let target = &scaler.spec.scale_target_ref;
        let found = self.kinds.scalable(&target.api_version, &target.kind).await.map_err(|error| error.to_string())?;
        let Some((resource, _)) = found else {
            let kind = &target.kind;
            return Err(format!("no matches for kind {kind:?} in group {:?}", group_of(&target.api_version)));
        };
        let api = Api::<PartialObject>::of(self.client.clone(), resource.clone(), scaler.namespace());
        let scale = api.get_subresource::<Value>(&target.name, "scale").await.map_err(|error| error.to_string())?;
        Ok((resource, scale))
    }

    /// The largest number that a metric asks for, and that metric's name.
    async fn by_metrics(&self, round: &mut Round<'_>, current: i32, selector: &str) -> Result<(i32, String), String> {
        if selector.is_empty() {
            self.recorder.warning(&round.about, "SelectorRequired", "selector is required");
            let message = "the HPA target's scale is missing a selector";
            round.say("ScalingActive", "False", "InvalidSelector", message);
            return Err("selector is required".to_owned());
        }
        let parsed = match Selector::parse(selector) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message =
                    format!("couldn't convert selector into a corresponding internal selector object: {error}");
                self.recorder.warning(&round.about, "InvalidSelector", message.clone());
                round.say("ScalingActive", "False", "InvalidSelector", message.clone());
                return Err(message);
            }
        };
        let mut pods = self.pods.list_in(round.scaler.namespace());
        pods.retain(|pod| parsed.matches_map(&pod.metadata.labels));
        let rivals = {
            let mut selectors = self.selectors.lock().unwrap_or_else(PoisonError::into_inner);
            selectors.insert(key(round.scaler), parsed);
            rivals(&selectors, round.scaler.namespace(), &pods)
        };
        if rivals.len() > 1 {
            let listed: Vec<String> =
                rivals.iter().map(|(namespace, name)| format!("{{{name} {namespace}}}")).collect();
            let message =
                format!("pods by selector {selector} are controlled by multiple HPAs: [{}]", listed.join(" "));
            self.recorder.warning(&round.about, "AmbiguousSelector", message.clone());
            round.say("ScalingActive", "False", "AmbiguousSelector", message.clone());
            return Err(message);
        }

        let metrics = &round.scaler.spec.metrics;
        let mut best: Option<(i32, String)> = None;
        let mut first_failure: Option<(&'static str, String, String)> = None;
        let mut failures = 0;
        let mut statuses = Vec::new();
        for metric in metrics {
            match self.by_metric(round, metric, current, selector, &pods).await {
                Ok((wanted, name, status)) => {
                    statuses.push(status);
                    if best.as_ref().is_none_or(|(best, _)| wanted > *best) {
                        best = Some((wanted, name));
                    }
                }
                Err((reason, inner, error)) => {
                    self.recorder.warning(&round.about, reason, inner.clone());
                    failures += 1;
                    first_failure = first_failure.or(Some((reason, inner, error)));
                }
            }
        }
        round.status.current_metrics = statuses;
        if let Some((reason, inner, error)) = first_failure
            && (best.is_none() || best.as_ref().is_some_and(|(wanted, _)| *wanted < current))
        {
            let message = format!("the HPA was unable to compute the replica count: {inner}");
            round.say("ScalingActive", "False", reason, message);
            return Err(format!(
                "invalid metrics ({failures} invalid out of {}), first error is: {error}",
                metrics.len()
            ));
        }
        let Some((wanted, name)) = best else { return Ok((current, String::new())) };
        let message = format!("the HPA was able to successfully calculate a replica count from {name}");
        round.say("ScalingActive", "True", "ValidMetricFound", message);
        Ok((wanted, name))
    }

    /// What one metric asks for. The error: reason of the condition, why, and why as the whole says it.
    async fn by_metric(
        &self,
        round: &Round<'_>,
        metric: &MetricSpec,
        current: i32,
        selector: &str,
        pods: &[Arc<Pod>],
    ) -> Result<(i32, String, MetricStatus), (&'static str, String, String)> {
        let (source, reason, is_container) = match (metric.kind.as_str(), &metric.resource, &metric.container_resource)
        {
            ("Resource", Some(source), _) => (source, "FailedGetResourceMetric", false),
            ("ContainerResource", _, Some(source)) => (source, "FailedGetContainerResourceMetric", true),
            (kind, ..) => return Err(unserved(kind)),
        };
        let what = if is_container { "container metric" } else { "resource metric" };
        let failed = |why: String| (reason, why.clone(), format!("failed to get {} {what} value: {why}", source.name));
        let target = match (source.target.average_value, source.target.average_utilization) {
            (Some(value), _) => Target::Average(value.milli_value()),
            (None, Some(percent)) => Target::Utilization(percent),
            (None, None) => {
                let why = "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set";
                return Err(failed(why.to_owned()));
            }
        };
        let measure = match target {
            Target::Average(_) => "usage",
            Target::Utilization(_) => "utilization",
        };
        let wrapped = |why: String| failed(format!("failed to get {} {measure}: {why}", source.name));
        let unread = |why: String| wrapped(format!("unable to get metrics for resource {}: {why}", source.name));
        let api = Api::<PodMetrics>::namespaced(self.client.clone(), round.scaler.namespace());
        let listed = api
            .list(&ListOptions::labels(selector))
            .await
            .map_err(|error| unread(format!("unable to fetch metrics from resource metrics API: {error}")))?;
        let samples =
            samples(&listed.items, &source.name, &source.container).map_err(|error| unread(error.to_string()))?;
        let tolerance = tolerance(round.scaler);
        let found = replicas(current, pods, samples, &source.name, &source.container, target, tolerance, round.now)
            .map_err(|error| wrapped(error.to_string()))?;
        let name = match target {
            Target::Average(_) if is_container => format!("{} container resource", source.name),
            Target::Average(_) => format!("{} resource", source.name),
            Target::Utilization(_) if is_container => {
                format!("{} container resource utilization (percentage of request)", source.name)
            }
            Target::Utilization(_) => format!("{} resource utilization (percentage of request)", source.name),
        };
        let status = told(metric, source, is_container, found.average, found.utilization);
        Ok((found.replicas, name, status))
    }
}

/// The autoscalers of the namespace that have one of these pods.
fn rivals(selectors: &BTreeMap<Key, Selector>, namespace: &str, pods: &[Arc<Pod>]) -> Vec<Key> {
    let of_namespace = selectors.iter().filter(|((of, _), _)| of == namespace);
    let have_one =
        of_namespace.filter(|(_, selector)| pods.iter().any(|pod| selector.matches_map(&pod.metadata.labels)));
    have_one.map(|(key, _)| key.clone()).collect()
}

fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Metrics of other kinds come from APIs that this cluster does not serve.
fn unserved(kind: &str) -> (&'static str, String, String) {
    let (reason, what, api) = match kind {
        "Object" => ("FailedGetObjectMetric", "object", "custom.metrics.k8s.io"),
        "Pods" => ("FailedGetPodsMetric", "pods", "custom.metrics.k8s.io"),
        "External" => ("FailedGetExternalMetric", "external", "external.metrics.k8s.io"),
        other => {
            let why = format!("unknown metric source type {other:?}");
            return ("InvalidMetricSourceType", why.clone(), why);
        }
    };
    let why = format!("no {api} API is registered in this cluster");
    (reason, why.clone(), format!("failed to get {what} metric value: {why}"))
}

fn tolerance(scaler: &Autoscaler) -> Tolerance {
    let of = |rules: Option<&ScalingRules>| {
        rules.and_then(|rules| rules.tolerance).map_or(TOLERANCE, |tolerance| tolerance.as_f64())
    };
    let behavior = scaler.spec.behavior.as_ref();
    Tolerance {
        up: of(behavior.and_then(|behavior| behavior.scale_up.as_ref())),
        down: of(behavior.and_then(|behavior| behavior.scale_down.as_ref())),
    }
}

fn told(
    metric: &MetricSpec,
    source: &ResourceMetric,
    is_container: bool,
    average: i64,
    utilization: Option<i32>,
) -> MetricStatus {
    let status = ResourceMetricStatus {
        name: source.name.clone(),
        container: source.container.clone(),
        current: MetricValue { average_value: Some(Quantity::from_milli(average)), average_utilization: utilization },
    };
    let (resource, container_resource) = if is_container { (None, Some(status)) } else { (Some(status), None) };
    MetricStatus { kind: metric.kind.clone(), resource, container_resource }
}
