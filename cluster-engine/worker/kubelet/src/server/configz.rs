//! `/configz`: the configuration in force, with upstream's names.

use serde_json::{Value, json};

use crate::kubelet::Kubelet;
use crate::plan::go_duration;

/// The document.
pub(super) fn document(kubelet: &Kubelet) -> Value {
    let config = &kubelet.config;
    let duration = |of: std::time::Duration| match i64::try_from(of.as_millis()) {
        Ok(0) => "0s".to_owned(),
        Ok(millis) => go_duration(millis),
        Err(_) => String::new(),
    };
    let authentication = &config.authentication;
    let mode = if config.authorization.mode.is_empty() { "Webhook" } else { &config.authorization.mode };
    json!({"kubeletconfig": {
        "staticPodPath": kubelet.options.pod_manifest_path.as_ref().or(config.static_pod_path.as_ref()),
        "address": config.address,
        "port": config.port,
        "tlsCertFile": config.tls_cert_file,
        "tlsPrivateKeyFile": config.tls_private_key_file,
        "authentication": {
            "x509": {"clientCAFile": authentication.x509.client_ca_file},
            "webhook": {"enabled": authentication.webhook.enabled, "cacheTTL": "2m0s"},
            "anonymous": {"enabled": authentication.anonymous.enabled},
        },
        "authorization": {
            "mode": mode,
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "clusterDomain": config.cluster_domain,
        "clusterDNS": config.cluster_dns,
        "nodeStatusUpdateFrequency": duration(config.node_status_update_frequency),
        "nodeStatusReportFrequency": duration(config.node_status_report_frequency),
        "nodeLeaseDurationSeconds": config.node_lease_duration_seconds,
        "maxPods": config.max_pods,
        "podPidsLimit": config.pod_pids_limit,
        "resolvConf": config.resolv_conf.as_deref().unwrap_or(std::path::Path::new("/etc/resolv.conf")),
        "evictionHard": config.eviction_hard,
        "evictionPressureTransitionPeriod": "5m0s",
        "systemReserved": config.system_reserved,
        "kubeReserved": config.kube_reserved,
        "containerLogMaxSize": config.container_log_max_size,
        "containerLogMaxFiles": config.container_log_max_files,
        "registerNode": config.register_node,
        "registerWithTaints": config.register_with_taints,
        "cgroupDriver": "cgroupfs",
        "enableServer": true,
        "enableDebuggingHandlers": true,
        "localStorageCapacityIsolation": true,
    }})
}
