//! The configuration file: the fields of upstream's `KubeletConfiguration` that change something here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drydock_component::duration;
use serde::{Deserialize, Deserializer};

/// `kubelet.config.k8s.io/v1beta1`, defaults as upstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct KubeletConfiguration {
    pub(crate) kind: String,
    pub(crate) api_version: String,
    pub(crate) static_pod_path: Option<PathBuf>,
    pub(crate) address: std::net::IpAddr,
    pub(crate) port: u16,
    pub(crate) tls_cert_file: Option<PathBuf>,
    pub(crate) tls_private_key_file: Option<PathBuf>,
    pub(crate) authentication: Authentication,
    pub(crate) authorization: Authorization,
    #[serde(rename = "clusterDNS")]
    pub(crate) cluster_dns: Vec<String>,
    pub(crate) cluster_domain: String,
    #[serde(deserialize_with = "go_duration")]
    pub(crate) node_status_update_frequency: Duration,
    #[serde(deserialize_with = "go_duration")]
    pub(crate) node_status_report_frequency: Duration,
    pub(crate) node_lease_duration_seconds: u32,
    pub(crate) max_pods: u32,
    pub(crate) pod_pids_limit: i64,
    pub(crate) container_log_max_size: String,
    pub(crate) container_log_max_files: u32,
    pub(crate) eviction_hard: BTreeMap<String, String>,
    pub(crate) register_with_taints: Vec<crate::Taint>,
    pub(crate) register_node: bool,
    pub(crate) resolv_conf: Option<PathBuf>,
    pub(crate) system_reserved: BTreeMap<String, String>,
    pub(crate) kube_reserved: BTreeMap<String, String>,
}

/// Who may speak to the kubelet's server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Authentication {
    pub(crate) x509: X509,
    pub(crate) anonymous: Switch,
    pub(crate) webhook: Switch,
}

/// Client certificates.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct X509 {
    #[serde(rename = "clientCAFile")]
    pub(crate) client_ca_file: Option<PathBuf>,
}

/// Something that is on or off.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Switch {
    pub(crate) enabled: bool,
}

/// What a known caller may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Authorization {
    /// `Webhook` (asks the API server) or `AlwaysAllow`.
    pub(crate) mode: String,
}

impl Default for KubeletConfiguration {
    fn default() -> Self {
        Self {
            kind: String::new(),
            api_version: String::new(),
            static_pod_path: None,
            address: std::net::Ipv4Addr::UNSPECIFIED.into(),
            port: 10250,
            tls_cert_file: None,
            tls_private_key_file: None,
            authentication: Authentication::default(),
            authorization: Authorization::default(),
            cluster_dns: Vec::new(),
            cluster_domain: String::new(),
            node_status_update_frequency: Duration::from_secs(10),
            node_status_report_frequency: Duration::from_secs(300),
            node_lease_duration_seconds: 40,
            max_pods: 110,
            pod_pids_limit: -1,
            container_log_max_size: "10Mi".to_owned(),
            container_log_max_files: 5,
            // Upstream's disk thresholds are left out: the disk is the learner's own machine's, and its being full is
            // nothing that a pod's eviction could mend.
            eviction_hard: [("memory.available".to_owned(), "100Mi".to_owned())].into(),
            register_with_taints: Vec::new(),
            register_node: true,
            resolv_conf: None,
            system_reserved: BTreeMap::new(),
            kube_reserved: BTreeMap::new(),
        }
    }
}

impl KubeletConfiguration {
    /// Reads the file; one that does not exist gives the defaults.
    pub(crate) fn load(path: &Path) -> Result<Self, crate::Error> {
        let unusable = |reason: String| crate::Error::Config { path: path.to_owned(), reason };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unusable(error.to_string())),
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let config: Self = serde_saphyr::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        if !config.kind.is_empty() && config.kind != "KubeletConfiguration" {
            return Err(unusable(format!("no kind \"{}\" is known for a kubelet's configuration", config.kind)));
        }
        if !config.api_version.is_empty() && config.api_version != "kubelet.config.k8s.io/v1beta1" {
            return Err(unusable(format!("unknown apiVersion \"{}\"", config.api_version)));
        }
        Ok(config)
    }
}

/// Go's durations: `10s`, `1m30s`, `500ms`; a plain number means nanoseconds as in Go's JSON.
fn go_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse(text.trim()).ok_or_else(|| serde::de::Error::custom(format!("time: invalid duration \"{text}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        let text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodPath: /m\n\
            clusterDNS: [10.96.0.10]\nnodeStatusUpdateFrequency: 2s\nauthentication: {x509: {clientCAFile: /ca}}\n";
        std::fs::write(&path, text).unwrap();
        let config = KubeletConfiguration::load(&path).unwrap();
        assert_eq!(config.static_pod_path.unwrap(), Path::new("/m"));
        assert_eq!(config.cluster_dns, ["10.96.0.10"]);
        assert_eq!(config.node_status_update_frequency, Duration::from_secs(2));
        assert_eq!(config.authentication.x509.client_ca_file.unwrap(), Path::new("/ca"));
        assert_eq!(config.max_pods, 110);
        assert_eq!(KubeletConfiguration::load(&directory.path().join("none")).unwrap().port, 10250);
        std::fs::write(&path, "kind: Other").unwrap();
        assert!(KubeletConfiguration::load(&path).is_err());
    }
}
