//! The rows of all built-in kinds, one file per kind or small family of kinds.
//!
//! A row says how a kind is called, printed, defaulted, prepared and validated; all with upstream's texts. What kinds share stands
//! in `template` (pod templates), `check` (labels, selectors, quantities, ports …) and `print` (cells of tables).

#![allow(clippy::collapsible_match, reason = "one arm per kind or key reads better with its condition inside the arm")]

mod check;
mod diff;
mod print;
mod quota_math;
mod template;
pub(crate) mod value;
mod workload;

mod admission;
mod apiextensions;
mod autoscaling;
mod batch;
mod certificates;
mod config;
mod coordination;
mod daemonset;
mod deployment;
mod discovery;
mod dra;
mod endpoints;
mod event;
mod flowcontrol;
mod namespace;
mod networking;
mod node;
mod persistent;
mod pod;
mod policy;
mod priority;
mod quota;
mod rbac;
mod replication;
mod reviews;
mod service;
mod serviceaccount;
mod statefulset;
mod storage;

use crate::row::Resource;

pub(crate) use quota_math::qos_class;
pub(crate) use value::Read;

/// Every built-in row, in the order of discovery: core first, then the groups as upstream orders them.
pub(crate) fn all() -> &'static [&'static Resource] {
    ALL
}

static ALL: &[&Resource] = &[
    // core
    &reviews::BINDINGS,
    &reviews::COMPONENT_STATUSES,
    &config::CONFIG_MAPS,
    &endpoints::ENDPOINTS,
    &event::CORE,
    &quota::LIMIT_RANGES,
    &namespace::NAMESPACES,
    &node::NODES,
    &persistent::CLAIMS,
    &persistent::VOLUMES,
    &pod::PODS,
    &pod::TEMPLATES,
    &replication::CONTROLLERS,
    &quota::RESOURCE_QUOTAS,
    &config::SECRETS,
    &serviceaccount::SERVICE_ACCOUNTS,
    &service::SERVICES,
    // groups
    &apiextensions::API_SERVICES,
    &deployment::CONTROLLER_REVISIONS,
    &daemonset::DAEMON_SETS,
    &deployment::DEPLOYMENTS,
    &replication::REPLICA_SETS,
    &statefulset::STATEFUL_SETS,
    &event::EVENTS,
    &reviews::SELF_SUBJECT_REVIEWS,
    &reviews::TOKEN_REVIEWS,
    &reviews::LOCAL_SUBJECT_ACCESS_REVIEWS,
    &reviews::SELF_SUBJECT_ACCESS_REVIEWS,
    &reviews::SELF_SUBJECT_RULES_REVIEWS,
    &reviews::SUBJECT_ACCESS_REVIEWS,
    &autoscaling::V2,
    &autoscaling::V1,
    &batch::CRON_JOBS,
    &batch::JOBS,
    &certificates::REQUESTS,
    &networking::INGRESS_CLASSES,
    &networking::INGRESSES,
    &networking::IP_ADDRESSES,
    &networking::NETWORK_POLICIES,
    &networking::SERVICE_CIDRS,
    &policy::DISRUPTION_BUDGETS,
    &rbac::CLUSTER_ROLE_BINDINGS,
    &rbac::CLUSTER_ROLES,
    &rbac::ROLE_BINDINGS,
    &rbac::ROLES,
    &storage::CSI_DRIVERS,
    &storage::CSI_NODES,
    &storage::CSI_STORAGE_CAPACITIES,
    &storage::STORAGE_CLASSES,
    &storage::VOLUME_ATTACHMENTS,
    &storage::VOLUME_ATTRIBUTES_CLASSES,
    &admission::MUTATING_POLICIES,
    &admission::MUTATING_POLICY_BINDINGS,
    &admission::MUTATING_WEBHOOKS,
    &admission::VALIDATING_POLICIES,
    &admission::VALIDATING_POLICY_BINDINGS,
    &admission::VALIDATING_WEBHOOKS,
    &apiextensions::CUSTOM_RESOURCE_DEFINITIONS,
    &priority::PRIORITY_CLASSES,
    &coordination::LEASES,
    &node::RUNTIME_CLASSES,
    &discovery::ENDPOINT_SLICES,
    &flowcontrol::FLOW_SCHEMAS,
    &flowcontrol::PRIORITY_LEVELS,
    &dra::DEVICE_CLASSES,
    &dra::RESOURCE_CLAIMS,
    &dra::RESOURCE_CLAIM_TEMPLATES,
    &dra::RESOURCE_SLICES,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_distinct_and_complete() {
        let mut seen = HashSet::new();
        let mut short = HashSet::new();
        for row in all() {
            assert!(seen.insert((row.group, row.version, row.plural)), "{} twice", row.plural);
            assert!(!row.kind.is_empty() && !row.plural.is_empty() && !row.singular.is_empty(), "{}", row.plural);
            assert_eq!(row.singular, row.kind.to_lowercase(), "{}", row.plural);
            assert!(
                !row.stored() || row.storage.starts_with("/registry/") && !row.storage.ends_with('/'),
                "{}",
                row.plural
            );
            for name in row.short_names {
                assert!(short.insert((*name, row.group, row.version)), "{name} twice");
            }
        }
    }

    #[test]
    fn schema_knows_every_row() {
        for row in all() {
            let gvk = drydock_api::meta::Gvk::new(row.group, row.version, row.kind);
            assert!(drydock_api::schema::table().by_gvk(&gvk).is_some(), "{gvk:?}");
        }
    }
}
