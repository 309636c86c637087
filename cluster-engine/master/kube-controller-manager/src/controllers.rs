//! The controllers, one room each, and which of them run.

mod addon_activation;
mod certificates;
mod cluster_role_aggregation;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoint_slice;
mod endpoints;
mod ephemeral_volume;
mod garbage_collector;
mod horizontal;
mod job;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod owned;
mod persistent_volume;
mod pod_control;
mod pod_gc;
mod protection;
mod replica_set;
mod resource_quota;
mod revisions;
mod root_ca;
mod service_account;
mod service_cidr;
mod service_lb;
mod stateful_set;
mod taint_eviction;
mod tokens;
mod ttl;
mod ttl_after_finished;

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::context::Context;
use crate::kinds::{ReplicaSet, ReplicationController};
use crate::{Error, Options};

/// What the flags say, read and checked once.
pub(crate) struct Settings {
    root_ca: Option<String>,
    node_ranges: Option<node_ipam::Ranges>,
    load_balancers: Option<service_lb::Range>,
    signing: Option<certificates::Signing>,
}

impl Settings {
    pub(crate) fn from_options(options: &Options) -> Result<Settings, Error> {
        let root_ca = match &options.root_ca_file {
            None => None,
            Some(path) => {
                Some(std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?)
            }
        };
        let node_ranges = if options.allocate_node_cidrs {
            let cidr = options.cluster_cidr.as_deref().unwrap_or_default();
            Some(
                node_ipam::Ranges::new(cidr, options.node_cidr_mask_size, options.service_cluster_ip_range.as_deref())
                    .map_err(Error::Flag)?,
            )
        } else {
            None
        };
        let load_balancers = options.load_balancer_cidr.as_deref().map(service_lb::range).transpose();
        let load_balancers = load_balancers.map_err(Error::Flag)?;
        let signing = match (&options.cluster_signing_cert_file, &options.cluster_signing_key_file) {
            (Some(certificate), Some(key)) => {
                let read = |path: &std::path::PathBuf| {
                    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })
                };
                let signing =
                    certificates::authority(&read(certificate)?, &read(key)?, options.cluster_signing_duration);
                Some(signing.map_err(|why| Error::Flag(format!("--cluster-signing-cert-file cannot sign: {why}")))?)
            }
            _ => None,
        };
        Ok(Settings { root_ca, node_ranges, load_balancers, signing })
    }
}

/// Starts every controller that the flags ask for.
pub(crate) fn start(context: &Arc<Context>, settings: Settings) -> JoinSet<()> {
    let mut tasks = Tasks { context: context.clone(), set: JoinSet::new() };
    // First what everything else waits for.
    tasks.start("serviceaccount-controller", service_account::run);
    let ca = settings.root_ca.clone().unwrap_or_default();
    if let Some(bundle) = settings.root_ca {
        tasks.start("root-ca-certificate-publisher-controller", |context| root_ca::run(context, bundle));
    }
    if let Some(ranges) = settings.node_ranges {
        tasks.start("node-ipam-controller", |context| node_ipam::run(context, ranges));
    }
    tasks.start("deployment-controller", deployment::run);
    tasks.start("replicaset-controller", replica_set::run::<ReplicaSet>);
    tasks.start("replicationcontroller-controller", replica_set::run::<ReplicationController>);
    tasks.start("daemonset-controller", daemon_set::run);
    tasks.start("statefulset-controller", stateful_set::run);
    tasks.start("job-controller", job::run);
    tasks.start("cronjob-controller", cron_job::run);
    tasks.start("ttl-after-finished-controller", ttl_after_finished::run);
    tasks.start("clusterrole-aggregation-controller", cluster_role_aggregation::run);
    tasks.start("endpointslice-controller", endpoint_slice::run);
    tasks.start("endpoints-controller", endpoints::run);
    tasks.start("endpointslice-mirroring-controller", endpoint_slice::run_mirroring);
    tasks.start("resourcequota-controller", resource_quota::run);
    tasks.start("disruption-controller", disruption::run);
    tasks.start("horizontal-pod-autoscaler-controller", horizontal::run);
    tasks.start("persistentvolume-binder-controller", persistent_volume::run);
    tasks.start("persistentvolumeclaim-protection-controller", protection::run_claims);
    tasks.start("persistentvolume-protection-controller", protection::run_volumes);
    tasks.start("ephemeral-volume-controller", ephemeral_volume::run);
    if let Some(range) = settings.load_balancers {
        tasks.start("service-lb-controller", |context| service_lb::run(context, range));
    }
    tasks.start("service-cidr-controller", service_cidr::run);
    tasks.start("addon-activation-controller", addon_activation::run);
    tasks.start("certificatesigningrequest-approving-controller", certificates::run_approving);
    tasks.start("certificatesigningrequest-cleaner-controller", certificates::run_cleaning);
    if let Some(signing) = settings.signing {
        tasks.start("certificatesigningrequest-signing-controller", |context| {
            certificates::run_signing(context, signing)
        });
    }
    tasks.start("node-lifecycle-controller", node_lifecycle::run);
    tasks.start("taint-eviction-controller", taint_eviction::run);
    tasks.start("ttl-controller", ttl::run);
    tasks.start("serviceaccount-token-controller", |context| tokens::run(context, ca));
    tasks.start("namespace-controller", namespace::run);
    tasks.start("pod-garbage-collector-controller", pod_gc::run);
    tasks.start("garbage-collector-controller", garbage_collector::run);
    tasks.set
}

struct Tasks {
    context: Arc<Context>,
    set: JoinSet<()>,
}

impl Tasks {
    fn start<F: Future<Output = ()> + Send + 'static>(&mut self, name: &str, run: impl FnOnce(Arc<Context>) -> F) {
        if self.context.options.enables(name) {
            self.set.spawn(run(self.context.clone()));
        }
    }
}
