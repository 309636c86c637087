//! Command-line flags, named as upstream's.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};

/// Flags of kube-controller-manager.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-controller-manager", about = "The loops that make what is what is wanted")]
pub struct Options {
    /// Kubeconfig with the API server's address and this component's identity.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Kubeconfig for delegated authentication of callers; health needs none.
    #[arg(long, value_name = "FILE")]
    pub authentication_kubeconfig: Option<PathBuf>,
    /// Kubeconfig for delegated authorisation of callers; health needs none.
    #[arg(long, value_name = "FILE")]
    pub authorization_kubeconfig: Option<PathBuf>,
    /// CA of clients of this component; health asks for none.
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// CA of front proxies; health asks for none.
    #[arg(long, value_name = "FILE")]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Elect a leader among several controller managers. There is one, so only `false` is possible.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub leader_elect: bool,
    /// Each controller speaks under its own service account.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub use_service_account_credentials: bool,
    /// Controllers to run: `*` for all, `name` for one, `-name` for all but one.
    #[arg(long, value_delimiter = ',', default_value = "*", allow_hyphen_values = true)]
    pub controllers: Vec<String>,
    /// The cluster's name.
    #[arg(long, default_value = "kubernetes")]
    pub cluster_name: String,
    /// Give each node a range of pod addresses.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allocate_node_cidrs: bool,
    /// Where pod addresses come from.
    #[arg(long, value_name = "CIDR")]
    pub cluster_cidr: Option<String>,
    /// How long the prefix of a node's range is.
    #[arg(long, default_value_t = 24)]
    pub node_cidr_mask_size: u8,
    /// Where service addresses come from; never given to nodes.
    #[arg(long, value_name = "CIDR")]
    pub service_cluster_ip_range: Option<String>,
    /// Where load balancers' addresses come from: a part of the nodes' own network that no machine uses. Without it
    /// services of type LoadBalancer wait for somebody else.
    #[arg(long, value_name = "CIDR")]
    pub load_balancer_cidr: Option<String>,
    /// The CA bundle published in every namespace as `kube-root-ca.crt`.
    #[arg(long, value_name = "FILE")]
    pub root_ca_file: Option<PathBuf>,
    /// Key of service account tokens. Tokens are asked of the API server, so it is only checked to be there.
    #[arg(long, value_name = "FILE")]
    pub service_account_private_key_file: Option<PathBuf>,
    /// CA certificate that signs certificate signing requests.
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE")]
    pub cluster_signing_key_file: Option<PathBuf>,
    /// How long signed certificates are valid.
    #[arg(long, default_value = "8760h", value_parser = go_duration)]
    pub cluster_signing_duration: Duration,
    /// How long a node may be silent before it counts as lost.
    #[arg(long, default_value = "50s", value_parser = go_duration)]
    pub node_monitor_grace_period: Duration,
    /// How long a node may be silent while it starts.
    #[arg(long, default_value = "60s", value_parser = go_duration)]
    pub node_startup_grace_period: Duration,
    /// How often nodes are looked at.
    #[arg(long, default_value = "5s", value_parser = go_duration)]
    pub node_monitor_period: Duration,
    /// How many ended pods are kept.
    #[arg(long, default_value_t = 12500)]
    pub terminated_pod_gc_threshold: usize,
    /// How often horizontal pod autoscalers are looked at.
    #[arg(long, default_value = "15s", value_parser = go_duration)]
    pub horizontal_pod_autoscaler_sync_period: Duration,
    /// The address to serve /healthz, /livez and /readyz on.
    #[arg(long, default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// The port to serve them on; 0 serves nothing.
    #[arg(long, default_value_t = 10257)]
    pub secure_port: u16,
    /// Certificate to serve with; plain HTTP without one.
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_private_key_file: Option<PathBuf>,
    /// How much to log; kept for upstream's manifests, RUST_LOG decides.
    #[arg(short = 'v', long = "v", default_value_t = 0)]
    pub verbosity: u8,
}

impl Options {
    /// Whether a controller is to run.
    pub fn enables(&self, controller: &str) -> bool {
        let named = |entry: &String| entry == controller;
        if self.controllers.iter().any(named) {
            return true;
        }
        let excluded = self.controllers.iter().any(|entry| entry.strip_prefix('-') == Some(controller));
        !excluded && self.controllers.iter().any(|entry| entry == "*")
    }
}

/// `1h30m`, `12s`, `500ms` as Go writes durations.
fn go_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not a duration such as 12s or 1h30m");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(invalid()),
        };
        total += Duration::try_from_secs_f64(number * unit).map_err(|_| invalid())?;
        rest = &rest[end..];
    }
    if text.is_empty() { Err(invalid()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(go_duration("12s"), Ok(Duration::from_secs(12)));
        assert_eq!(go_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(go_duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "12", "s", "1x"] {
            assert!(go_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn controllers_are_chosen() {
        let enabled = |list: &[&str]| {
            let mut options = Options::parse_from(["kcm", "--kubeconfig=x"]);
            options.controllers = list.iter().map(|name| (*name).to_owned()).collect();
            options.enables("job-controller")
        };
        assert!(enabled(&["*"]));
        assert!(enabled(&["job-controller"]));
        assert!(!enabled(&["*", "-job-controller"]));
        assert!(!enabled(&["namespace-controller"]));
    }
}
