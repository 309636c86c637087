//! The pod as the kubelet reads it: the fields that change what it does, and no others.

mod container;
mod status;
mod volume;

use std::collections::BTreeMap;

use drydock_api::meta::ObjectMeta;
use drydock_api::quantity::Quantity;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use container::*;
pub(crate) use status::*;
pub(crate) use volume::*;

/// Where a pod's definition came from.
pub(crate) const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
pub(crate) const CONFIG_SEEN: &str = "kubernetes.io/config.seen";
pub(crate) const CONFIG_HASH: &str = "kubernetes.io/config.hash";
pub(crate) const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";

/// A pod. Nulls anywhere in its JSON count as absent, as they do in Go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Pod {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: PodSpec,
    pub(crate) status: PodStatus,
}

drydock_client::object!(Pod, "", "v1", "Pod", "pods", namespaced);

impl TryFrom<Value> for Pod {
    type Error = serde_json::Error;

    fn try_from(mut value: Value) -> Result<Self, Self::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Raw {
            metadata: ObjectMeta,
            spec: PodSpec,
            status: PodStatus,
        }
        strip_nulls(&mut value);
        let raw: Raw = serde_json::from_value(value)?;
        Ok(Self { metadata: raw.metadata, spec: raw.spec, status: raw.status })
    }
}

/// Removes null fields at every depth.
pub(crate) fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) node_name: String,
    pub(crate) containers: Vec<Container>,
    pub(crate) init_containers: Vec<Container>,
    pub(crate) ephemeral_containers: Vec<Container>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) image_pull_secrets: Vec<LocalReference>,
    pub(crate) restart_policy: String,
    pub(crate) termination_grace_period_seconds: Option<i64>,
    pub(crate) active_deadline_seconds: Option<i64>,
    pub(crate) dns_policy: String,
    pub(crate) dns_config: Option<DnsConfig>,
    pub(crate) host_network: bool,
    #[serde(rename = "hostPID")]
    pub(crate) host_pid: bool,
    #[serde(rename = "hostIPC")]
    pub(crate) host_ipc: bool,
    pub(crate) host_users: Option<bool>,
    pub(crate) share_process_namespace: bool,
    pub(crate) hostname: String,
    pub(crate) hostname_override: Option<String>,
    pub(crate) subdomain: String,
    #[serde(rename = "setHostnameAsFQDN")]
    pub(crate) set_hostname_as_fqdn: bool,
    pub(crate) host_aliases: Vec<HostAlias>,
    pub(crate) security_context: PodSecurityContext,
    pub(crate) service_account_name: String,
    pub(crate) enable_service_links: Option<bool>,
    pub(crate) runtime_class_name: Option<String>,
    pub(crate) readiness_gates: Vec<ReadinessGate>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) priority: Option<i32>,
    pub(crate) priority_class_name: String,
    pub(crate) overhead: BTreeMap<String, Quantity>,
    pub(crate) resources: Option<Resources>,
}

/// An object of the pod's namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LocalReference {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Affinity {
    pub(crate) node_affinity: Option<NodeAffinity>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeAffinity {
    pub(crate) required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeSelector {
    pub(crate) node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeSelectorTerm {
    pub(crate) match_expressions: Vec<NodeSelectorRequirement>,
    pub(crate) match_fields: Vec<NodeSelectorRequirement>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeSelectorRequirement {
    pub(crate) key: String,
    pub(crate) operator: String,
    pub(crate) values: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Toleration {
    pub(crate) key: String,
    pub(crate) operator: String,
    pub(crate) value: String,
    pub(crate) effect: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DnsConfig {
    pub(crate) nameservers: Vec<String>,
    pub(crate) searches: Vec<String>,
    pub(crate) options: Vec<DnsOption>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DnsOption {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HostAlias {
    pub(crate) ip: String,
    pub(crate) hostnames: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReadinessGate {
    pub(crate) condition_type: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSecurityContext {
    pub(crate) run_as_user: Option<i64>,
    pub(crate) run_as_group: Option<i64>,
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) supplemental_groups: Vec<i64>,
    pub(crate) supplemental_groups_policy: Option<String>,
    pub(crate) fs_group: Option<i64>,
    pub(crate) seccomp_profile: Option<SeccompProfile>,
    pub(crate) sysctls: Vec<Sysctl>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SeccompProfile {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) localhost_profile: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Sysctl {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Requests and limits by resource name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resources {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) limits: BTreeMap<String, Quantity>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) requests: BTreeMap<String, Quantity>,
}

/// Quality of service, as upstream decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

impl Pod {
    /// `name_namespace(uid)`, the form of upstream's messages.
    pub(crate) fn format(&self) -> String {
        format!("{}_{}({})", self.metadata.name, self.metadata.namespace, self.metadata.uid)
    }

    /// `namespace/name`
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    pub(crate) fn is_static(&self) -> bool {
        self.metadata.annotations.get(CONFIG_SOURCE).is_some_and(|source| source != "api")
    }

    pub(crate) fn is_mirror(&self) -> bool {
        self.metadata.annotations.contains_key(CONFIG_MIRROR)
    }

    /// The learner's pods live in a user namespace of their own; the node's own parts do not.
    pub(crate) fn has_user_namespace(&self) -> bool {
        let spec = &self.spec;
        !(self.is_static() || spec.host_network || spec.host_pid || spec.host_ipc)
    }

    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy::parse(&self.spec.restart_policy)
    }

    /// All containers with their kind, in the order of the specification: init, main, ephemeral.
    pub(crate) fn all_containers(&self) -> impl Iterator<Item = (Kind, &Container)> {
        let init = self
            .spec
            .init_containers
            .iter()
            .map(|container| (if container.is_sidecar() { Kind::Sidecar } else { Kind::Init }, container));
        let main = self.spec.containers.iter().map(|container| (Kind::Main, container));
        let ephemeral = self.spec.ephemeral_containers.iter().map(|container| (Kind::Ephemeral, container));
        init.chain(main).chain(ephemeral)
    }

    pub(crate) fn container(&self, name: &str) -> Option<(Kind, &Container)> {
        self.all_containers().find(|(_, container)| container.name == name)
    }

    /// Where the container stands in the pod, as events name it.
    pub(crate) fn field_path(&self, name: &str) -> String {
        let list = match self.container(name) {
            Some((Kind::Init | Kind::Sidecar, _)) => "initContainers",
            Some((Kind::Ephemeral, _)) => "ephemeralContainers",
            _ => "containers",
        };
        format!("spec.{list}{{{name}}}")
    }

    /// upstream: `qos.GetPodQOS`.
    pub(crate) fn qos(&self) -> Qos {
        let mut any = false;
        let mut guaranteed = true;
        let containers = || self.spec.init_containers.iter().chain(&self.spec.containers).map(|c| &c.resources);
        let pod_level = self.spec.resources.iter();
        let parts: Vec<&Resources> =
            if self.spec.resources.is_some() { pod_level.collect() } else { containers().collect() };
        for resources in parts {
            for name in ["cpu", "memory"] {
                let limit = resources.limits.get(name).filter(|quantity| !quantity.is_zero());
                let request = resources.requests.get(name).filter(|quantity| !quantity.is_zero());
                any |= limit.is_some() || request.is_some();
                guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
            }
        }
        match (any, guaranteed) {
            (false, _) => Qos::BestEffort,
            (true, true) => Qos::Guaranteed,
            (true, false) => Qos::Burstable,
        }
    }

    pub(crate) fn grace_period(&self) -> i64 {
        let own = self.spec.termination_grace_period_seconds.unwrap_or(30);
        self.metadata.deletion_grace_period_seconds.unwrap_or(own)
    }

    /// What the pod asks of a resource: upstream's `PodRequests` (sidecars and the largest init container counted).
    pub(crate) fn request(&self, resource: &str) -> Quantity {
        self.total(resource, |resources| &resources.requests)
    }

    /// The limit of the whole pod, if every container has one.
    pub(crate) fn limit(&self, resource: &str) -> Option<Quantity> {
        let bounded = |container: &Container| {
            container.resources.limits.get(resource).is_some_and(|quantity| !quantity.is_zero())
        };
        if let Some(limit) = self.spec.resources.as_ref().and_then(|resources| resources.limits.get(resource)) {
            return Some(*limit);
        }
        let mut long_lived = self.spec.containers.iter().chain(self.spec.init_containers.iter());
        long_lived.all(bounded).then(|| self.total(resource, |resources| &resources.limits))
    }

    fn total(&self, resource: &str, part: impl Fn(&Resources) -> &BTreeMap<String, Quantity>) -> Quantity {
        if let Some(quantity) = self.spec.resources.as_ref().and_then(|own| part(own).get(resource)) {
            return *quantity;
        }
        let of = |container: &Container| part(&container.resources).get(resource).copied().unwrap_or_default();
        let mut total = self.spec.containers.iter().map(of).fold(Quantity::ZERO, Quantity::add);
        let (mut sidecars, mut peak) = (Quantity::ZERO, Quantity::ZERO);
        for container in &self.spec.init_containers {
            if container.is_sidecar() {
                sidecars = sidecars.add(of(container));
                peak = peak.max(sidecars);
            } else {
                peak = peak.max(sidecars.add(of(container)));
            }
        }
        total = total.add(sidecars).max(peak);
        total.add(self.spec.overhead.get(resource).copied().unwrap_or_default())
    }

    /// Whether a container that ended so is started again: by its own rules, its own policy, or the pod's.
    pub(crate) fn wants_restart(&self, container: &Container, exit_code: i32) -> bool {
        let own = container.restart_policy.as_deref();
        if own.is_some() && container.restart_policy_rules.iter().any(|rule| rule.matches(exit_code)) {
            return true;
        }
        match own.map_or_else(|| self.restart_policy(), RestartPolicy::parse) {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        }
    }

    /// The name inside the pod's UTS namespace: the fully qualified one if the pod asks for it.
    ///
    /// # Errors
    /// Upstream's text for a name that the kernel does not take.
    pub(crate) fn kernel_name(&self, cluster_domain: &str) -> Result<String, String> {
        let name = self.host_name();
        let spec = &self.spec;
        if !spec.set_hostname_as_fqdn || spec.subdomain.is_empty() || spec.hostname_override.is_some() {
            return Ok(name);
        }
        let name = format!("{name}.{}.{}.svc.{cluster_domain}", spec.subdomain, self.metadata.namespace);
        if name.len() > 64 {
            return Err(format!(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long (64 characters is the max, {} characters requested)",
                name.len()
            ));
        }
        Ok(name)
    }

    /// The pod's host name: `hostnameOverride`, `hostname`, else its name, cut to what the kernel takes.
    pub(crate) fn host_name(&self) -> String {
        if let Some(name) = &self.spec.hostname_override {
            return name.clone();
        }
        let name = if self.spec.hostname.is_empty() { &self.metadata.name } else { &self.spec.hostname };
        let mut name = name.clone();
        name.truncate(63);
        name.trim_end_matches(['-', '.']).to_owned()
    }

    /// Path of the pod's cgroup below the node's root.
    pub(crate) fn cgroup(&self) -> String {
        let uid = &self.metadata.uid;
        match self.qos() {
            Qos::Guaranteed => format!("kubepods/pod{uid}"),
            Qos::Burstable => format!("kubepods/burstable/pod{uid}"),
            Qos::BestEffort => format!("kubepods/besteffort/pod{uid}"),
        }
    }
}

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Init,
    /// An init container with `restartPolicy: Always`.
    Sidecar,
    Main,
    Ephemeral,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    fn parse(text: &str) -> Self {
        match text {
            "Never" => Self::Never,
            "OnFailure" => Self::OnFailure,
            _ => Self::Always,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pod from YAML, for tests.
    pub(crate) fn pod(yaml: &str) -> Pod {
        serde_saphyr::from_str::<Value>(yaml).unwrap().try_into().unwrap()
    }

    #[track_caller]
    fn check_qos(containers: &str, expected: Qos) {
        assert_eq!(pod(&format!("spec: {{containers: [{containers}]}}")).qos(), expected);
    }

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        check_qos("{name: a}", Qos::BestEffort);
        check_qos("{name: a, resources: {requests: {cpu: 1}}}", Qos::Burstable);
        check_qos("{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}", Qos::Guaranteed);
        let equal = "{name: a, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1000m, memory: 1Gi}}}";
        check_qos(equal, Qos::Guaranteed);
        check_qos(&format!("{equal}, {{name: b}}"), Qos::Burstable);
        check_qos("{name: a, resources: {limits: {ephemeral-storage: 1Gi}}}", Qos::BestEffort);
    }

    #[test]
    fn containers_have_restart_policies_of_their_own() {
        let check = |container: &str, code: i32, expected: bool| {
            let pod = pod(&format!("spec: {{restartPolicy: OnFailure, containers: [{{name: a, {container}}}]}}"));
            assert_eq!(pod.wants_restart(&pod.spec.containers[0], code), expected, "{container} {code}");
        };
        let rule = |operator: &str| {
            format!(
                "restartPolicy: Never, restartPolicyRules: [{{action: Restart, exitCodes: {{operator: {operator}, values: [42]}}}}]"
            )
        };
        check("tty: false", 1, true);
        check("tty: false", 0, false);
        check("restartPolicy: Never", 1, false);
        check("restartPolicy: Always", 0, true);
        check(&rule("In"), 42, true);
        check(&rule("In"), 1, false);
        check(&rule("NotIn"), 1, true);
        check(&rule("NotIn"), 42, false);
    }

    #[test]
    fn names_in_the_kernel() {
        let check = |spec: &str, expected: Result<&str, usize>| {
            let pod = pod(&format!("{{metadata: {{name: p, namespace: ns}}, spec: {{{spec}}}}}"));
            let found = pod.kernel_name("cluster.local").map_err(|text| text.len());
            assert_eq!(found, expected.map(str::to_owned), "{spec}");
        };
        check("hostname: h", Ok("h"));
        check("hostname: h, subdomain: s", Ok("h"));
        check("hostname: h, subdomain: s, setHostnameAsFQDN: true", Ok("h.s.ns.svc.cluster.local"));
        check("hostnameOverride: a.b.c", Ok("a.b.c"));
        let long = "x".repeat(60);
        let text = format!(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN {long}.s.ns.svc.cluster.local is too long (64 characters is the max, 83 characters requested)"
        );
        check(&format!("hostname: {long}, subdomain: s, setHostnameAsFQDN: true"), Err(text.len()));
    }

    #[test]
    fn requests_count_sidecars_and_the_largest_init_container() {
        let pod = pod("spec:
  initContainers:
  - {name: side, restartPolicy: Always, resources: {requests: {cpu: 100m}}}
  - {name: big, resources: {requests: {cpu: 900m}}}
  containers:
  - {name: a, resources: {requests: {cpu: 200m}}}
  - {name: b, resources: {requests: {cpu: '0.3'}}}");
        assert_eq!(pod.request("cpu").milli_value(), 1000);
        assert!(pod.limit("cpu").is_none());
    }

    #[test]
    fn nulls_are_absent() {
        let pod = pod(
            "{metadata: {name: a, creationTimestamp: null}, spec: {volumes: null, containers: [{name: a, env: null}]}}",
        );
        assert!(pod.spec.volumes.is_empty());
        assert_eq!(pod.spec.containers.len(), 1);
    }
}
