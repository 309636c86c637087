//! Command line: upstream's flag names, and the configuration file that they point to.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;

/// The node agent: registers the node, runs the pods assigned to it and reports on both.
#[derive(Clone, Debug, Parser)]
#[command(name = "kubelet", version = drydock_api::KUBERNETES_VERSION)]
pub struct Options {
    /// File with the kubelet's configuration (KubeletConfiguration, kubelet.config.k8s.io/v1beta1).
    #[arg(long, default_value = "/var/lib/kubelet/config.yaml")]
    pub config: PathBuf,
    /// Kubeconfig file that says how to reach the API server. Without it the kubelet runs static pods only.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// The node's address; by default the one of the interface with the default route, else the first that is not loopback.
    #[arg(long)]
    pub node_ip: Option<Ipv4Addr>,
    /// Name of the node; by default its host name.
    #[arg(long)]
    pub hostname_override: Option<String>,
    /// Taints to register the node with, `key=value:effect`, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = parse_taint)]
    pub register_with_taints: Vec<Taint>,
    /// Labels to register the node with, `key=value`, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = parse_label)]
    pub node_labels: Vec<(String, String)>,
    /// Directory of the kubelet's own files.
    #[arg(long, default_value = "/var/lib/kubelet")]
    pub root_dir: PathBuf,
    /// Directory of the static pods' manifests; overrides the configuration file's `staticPodPath`.
    #[arg(long)]
    pub pod_manifest_path: Option<PathBuf>,
    /// Directory of the machine's images.
    #[arg(long, default_value = "/var/lib/images")]
    pub image_dir: PathBuf,
    /// Socket of the image service, which fetches images for the node.
    #[arg(long, default_value = drydock_images::service::SOCKET)]
    pub image_service: PathBuf,
    /// Directory of the pods' logs.
    #[arg(long, default_value = "/var/log/pods")]
    pub pod_logs_dir: PathBuf,
    /// Kubeconfig file of the pod network's part, which must know all nodes: the API server shows a kubelet its own node
    /// only, but kube-proxy all of them. Without the file the kubelet's own is used.
    #[arg(long, default_value = "/etc/kubernetes/kube-proxy.conf")]
    pub pod_network_kubeconfig: PathBuf,
    /// All pods' network; traffic inside it is not masqueraded.
    #[arg(long, default_value = "10.244.0.0/16")]
    pub cluster_cidr: String,
    /// The services' network.
    #[arg(long, default_value = "10.96.0.0/12")]
    pub service_cluster_ip_range: String,
    /// Log level, 0 to 10; the level itself is set by `DRYDOCK_LOG`.
    #[arg(short = 'v', long = "v", default_value_t = 2, hide = true)]
    pub verbosity: u8,
}

/// A taint given on the command line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// The taint's key.
    pub key: String,
    /// The taint's value, often empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Options {
    /// The labels given, the last of a key winning.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.node_labels.iter().cloned().collect()
    }
}

fn parse_taint(text: &str) -> Result<Taint, String> {
    let (rest, effect) = text.rsplit_once(':').ok_or_else(|| format!("invalid taint spec: {text}"))?;
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    if key.is_empty() || !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(format!("invalid taint spec: {text}"));
    }
    Ok(Taint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() })
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("invalid label: {text}"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_and_labels_are_read_as_upstream_does() {
        let parse = |arguments: &[&str]| Options::try_parse_from([&["kubelet"], arguments].concat());
        let options = parse(&["--register-with-taints=node-role.kubernetes.io/control-plane:NoSchedule,a=b:NoExecute"]);
        let taints = options.unwrap().register_with_taints;
        assert_eq!(taints[0].key, "node-role.kubernetes.io/control-plane");
        assert_eq!((taints[0].value.as_str(), taints[0].effect.as_str()), ("", "NoSchedule"));
        assert_eq!((taints[1].value.as_str(), taints[1].effect.as_str()), ("b", "NoExecute"));
        assert!(parse(&["--register-with-taints=a=b:Never"]).is_err());
        let options = parse(&["--node-labels=node-role.kubernetes.io/control-plane=,x=y"]).unwrap();
        assert_eq!(options.labels()["node-role.kubernetes.io/control-plane"], "");
        assert!(parse(&["--no-such-flag"]).is_err());
    }
}
