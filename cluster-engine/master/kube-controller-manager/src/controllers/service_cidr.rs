//! Ranges of Services' addresses: ready once they are protected, gone once no Service needs them.
//!
//! Upstream asks IPAddress objects who needs a range; those of the API server's allocator stand for Services one to one, and
//! Services are watched here anyway.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_api::time;
use drydock_client::types::Service;
use drydock_client::{Api, Client, Error, Object, Patch, Reflector, WorkQueue, object};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::work::{Next, Reconcile, unless_gone, work};

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// So long a range stays after its deletion began: allocators learn of that meanwhile.
const GRACE: Duration = Duration::from_secs(10);
const READY: &str = "Kubernetes Service CIDR is ready";
const NEEDED: &str =
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceCidr {
    metadata: ObjectMeta,
    spec: Spec,
    status: Status,
}

object!(ServiceCidr, "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", cluster);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(deserialize_with = "null_as_default")]
    cidrs: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "null_as_default")]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    r#type: String,
    status: String,
}

struct Controller {
    client: Client,
    ranges: Reflector<ServiceCidr>,
    services: Reflector<Service>,
}

pub(super) async fn run(context: Arc<Context>) {
    let (ranges, services) = (context.watch::<ServiceCidr>(), context.watch::<Service>());
    let client = context.client("service-cidrs-controller").await;
    ranges.synced().await;
    services.synced().await;
    let queue = WorkQueue::new();
    let (add, all) = (queue.clone(), ranges.clone());
    // A new range may hold what another one is kept for.
    ranges.handle(move |_| all.list().iter().for_each(|range| add.add(range.name().to_owned())));
    let (add, all) = (queue.clone(), ranges.clone());
    services.handle(move |_| {
        let going = all.list().into_iter().filter(|range| range.metadata.deletion_timestamp.is_some());
        going.for_each(|range| add.add(range.name().to_owned()));
    });
    work(Arc::new(Controller { client, ranges, services }), queue, 1).await;
}

/// What a range lacks.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Protect,
    Ready,
    /// It is to go and cannot: that is said.
    Keep,
    Wait(Duration),
    Release,
}

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    base: u128,
    bits: u32,
    is_v4: bool,
}

impl Prefix {
    fn parse(text: &str) -> Option<Prefix> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let (base, is_v4) = number(address);
        let bits = if is_v4 { bits.checked_add(96)? } else { bits };
        (bits <= 128).then(|| Prefix { base: base & mask(bits), bits, is_v4 })
    }

    fn contains(&self, other: &Prefix) -> bool {
        self.is_v4 == other.is_v4 && self.bits <= other.bits && other.base & mask(self.bits) == self.base
    }
}

fn number(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), true),
        IpAddr::V6(address) => (u128::from(address), false),
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

fn prefixes(range: &ServiceCidr) -> impl Iterator<Item = Prefix> + '_ {
    range.spec.cidrs.iter().filter_map(|text| Prefix::parse(text))
}

/// Whether Services would have addresses that are of no range any more.
fn is_needed(range: &ServiceCidr, all: &[Arc<ServiceCidr>], addresses: &[IpAddr]) -> bool {
    let others: Vec<Prefix> =
        all.iter().filter(|other| other.name() != range.name()).flat_map(|other| prefixes(other)).collect();
    let inside = |outer: &[Prefix], inner: &Prefix| outer.iter().any(|outer| outer.contains(inner));
    let own: Vec<Prefix> = prefixes(range).collect();
    addresses.iter().any(|address| {
        let (base, is_v4) = number(*address);
        let address = Prefix { base, bits: 128, is_v4 };
        inside(&own, &address) && !inside(&others, &address)
    })
}

fn plan(range: &ServiceCidr, all: &[Arc<ServiceCidr>], addresses: &[IpAddr], now: i64) -> Step {
    let protected = range.metadata.finalizers.iter().any(|name| name == FINALIZER);
    let ready = range.status.conditions.iter().find(|condition| condition.r#type == "Ready");
    let Some(begun) = &range.metadata.deletion_timestamp else {
        return match ready {
            _ if !protected => Step::Protect,
            Some(condition) if condition.status == "True" => Step::Nothing,
            _ => Step::Ready,
        };
    };
    if !protected {
        return Step::Nothing;
    }
    if is_needed(range, all, addresses) {
        return if ready.is_some_and(|it| it.status == "False") { Step::Nothing } else { Step::Keep };
    }
    let passed = now - time::parse_seconds(begun).unwrap_or(now);
    match GRACE.checked_sub(Duration::from_secs(passed.try_into().unwrap_or(0))) {
        Some(rest) if !rest.is_zero() => Step::Wait(rest),
        _ => Step::Release,
    }
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "service-cidrs";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let Some(range) = self.ranges.get("", key) else { return Ok(Next::Change) };
        let services = self.services.list();
        let addresses: Vec<IpAddr> =
            services.iter().filter_map(|service| service.spec.cluster_ip.parse().ok()).collect();
        let api = Api::<ServiceCidr>::all(self.client.clone());
        let finalizers = |names: Vec<&str>| json!({"metadata": {"finalizers": names, "resourceVersion": range.metadata.resource_version}});
        let has = range.metadata.finalizers.iter().map(String::as_str);
        let condition = |status: &str, reason: &str, message: &str| {
            json!({"metadata": {"resourceVersion": range.metadata.resource_version}, "status": {"conditions": [
                {"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": time::now_rfc3339()}]}})
        };
        let outcome = match plan(&range, &self.ranges.list(), &addresses, time::unix_now()) {
            Step::Nothing => return Ok(Next::Change),
            Step::Wait(rest) => return Ok(Next::After(rest)),
            Step::Protect => api.patch(key, Patch::Merge, &finalizers(has.chain([FINALIZER]).collect())).await,
            Step::Release => {
                let rest = has.filter(|name| *name != FINALIZER).collect();
                api.patch(key, Patch::Merge, &finalizers(rest)).await
            }
            Step::Ready => api.patch_status(key, Patch::Merge, &condition("True", "", READY)).await,
            Step::Keep => api.patch_status(key, Patch::Merge, &condition("False", "Terminating", NEEDED)).await,
        };
        unless_gone(outcome.map(|_| ()))?;
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(name: &str, cidr: &str, more: &serde_json::Value) -> Arc<ServiceCidr> {
        let mut object = json!({"metadata": {"name": name}, "spec": {"cidrs": [cidr]}});
        for (key, value) in more.as_object().into_iter().flatten() {
            if key == "metadata" {
                let fields = value.as_object().cloned().unwrap_or_default();
                object["metadata"].as_object_mut().unwrap().extend(fields);
            } else {
                object[key] = value.clone();
            }
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[track_caller]
    fn check(range: &Arc<ServiceCidr>, others: &[Arc<ServiceCidr>], addresses: &[&str], expected: &Step) {
        let all: Vec<_> = others.iter().chain([range]).cloned().collect();
        let addresses: Vec<IpAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        assert_eq!(&plan(range, &all, &addresses, 1_767_225_604), expected);
    }

    #[test]
    fn a_range_lives_until_nobody_needs_it() {
        let protected = json!({"metadata": {"finalizers": [FINALIZER]}});
        let ready = json!({"metadata": {"finalizers": [FINALIZER]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        // 2026-01-01T00:00:00Z is four seconds ago.
        let going = |at: &str, status: &str| json!({"metadata": {"finalizers": [FINALIZER], "deletionTimestamp": at}, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        let cidr = "10.97.0.0/24";
        check(&range("a", cidr, &json!({})), &[], &[], &Step::Protect);
        check(&range("a", cidr, &protected), &[], &[], &Step::Ready);
        check(&range("a", cidr, &ready), &[], &["10.97.0.1"], &Step::Nothing);
        let now = range("a", cidr, &going("2026-01-01T00:00:00Z", "True"));
        check(&now, &[], &["10.97.0.1"], &Step::Keep);
        check(&now, &[], &["10.97.1.1", "10.96.0.1"], &Step::Wait(Duration::from_secs(6)));
        check(&range("a", cidr, &going("2026-01-01T00:00:00Z", "False")), &[], &["10.97.0.1"], &Step::Nothing);
        let wider = range("b", "10.97.0.0/16", &ready);
        check(&now, std::slice::from_ref(&wider), &["10.97.0.1"], &Step::Wait(Duration::from_secs(6)));
        let narrower = range("b", "10.97.0.0/28", &ready);
        check(&now, std::slice::from_ref(&narrower), &["10.97.0.1"], &Step::Wait(Duration::from_secs(6)));
        check(&now, std::slice::from_ref(&narrower), &["10.97.0.100"], &Step::Keep);
        check(&range("a", cidr, &going("2025-12-31T23:59:00Z", "True")), &[], &[], &Step::Release);
        check(&range("six", "fd00::/64", &going("2025-12-31T23:59:00Z", "True")), &[], &["fd00::1"], &Step::Keep);
    }
}
