//! Flags, with upstream's names.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;

/// Flags of `kube-apiserver`.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-apiserver", about = "The Kubernetes API server of a Drydock session", version)]
pub struct Options {
    /// Address that is advertised to members of the cluster (the `kubernetes` Service's endpoint).
    #[arg(long)]
    pub advertise_address: Option<IpAddr>,
    /// Address to listen on.
    #[arg(long, default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Port to serve HTTPS on; 0 takes a free one.
    #[arg(long, default_value_t = 6443)]
    pub secure_port: u16,
    /// etcd endpoints, comma separated.
    #[arg(long, value_delimiter = ',', required = true)]
    pub etcd_servers: Vec<String>,
    /// CA that etcd's certificate is checked against.
    #[arg(long)]
    pub etcd_cafile: Option<PathBuf>,
    /// Client certificate for etcd.
    #[arg(long)]
    pub etcd_certfile: Option<PathBuf>,
    /// Key of the client certificate for etcd.
    #[arg(long)]
    pub etcd_keyfile: Option<PathBuf>,
    /// Time between compactions of etcd's history; 0s switches them off.
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub etcd_compaction_interval: std::time::Duration,
    /// How long Events are kept.
    #[arg(long, default_value = "1h0m0s", value_parser = duration)]
    pub event_ttl: std::time::Duration,
    /// CA whose client certificates are accepted.
    #[arg(long)]
    pub client_ca_file: Option<PathBuf>,
    /// Serving certificate.
    #[arg(long)]
    pub tls_cert_file: PathBuf,
    /// Key of the serving certificate.
    #[arg(long)]
    pub tls_private_key_file: PathBuf,
    /// Keys (public, or private ones whose public half is meant) that ServiceAccount tokens are verified with.
    #[arg(long)]
    pub service_account_key_file: Vec<PathBuf>,
    /// Private key that ServiceAccount tokens are signed with.
    #[arg(long)]
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Issuer of ServiceAccount tokens; the first signs, all are accepted.
    #[arg(long, default_value = "https://kubernetes.default.svc.cluster.local")]
    pub service_account_issuer: Vec<String>,
    /// Audiences that tokens may be for; default: the issuer.
    #[arg(long, value_delimiter = ',')]
    pub api_audiences: Vec<String>,
    /// Longest life of a requested token.
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub service_account_max_token_expiration: std::time::Duration,
    /// Tokens that pods ask for with 3607 s live a year, so that old clients survive a missed renewal.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub service_account_extend_token_expiration: bool,
    /// JWKS address announced by OIDC discovery.
    #[arg(long)]
    pub service_account_jwks_uri: Option<String>,
    /// Addresses for Services.
    #[arg(long, default_value = "10.96.0.0/12")]
    pub service_cluster_ip_range: String,
    /// Ports for NodePort Services.
    #[arg(long, default_value = "30000-32767")]
    pub service_node_port_range: String,
    /// Authorizers, in order: Node, RBAC, AlwaysAllow, AlwaysDeny.
    #[arg(long, value_delimiter = ',', default_value = "Node,RBAC")]
    pub authorization_mode: Vec<String>,
    /// Whether requests without credentials are let through to authorization.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub anonymous_auth: bool,
    /// Admission plugins to add to the default ones.
    #[arg(long, value_delimiter = ',')]
    pub enable_admission_plugins: Vec<String>,
    /// Admission plugins to leave out.
    #[arg(long, value_delimiter = ',')]
    pub disable_admission_plugins: Vec<String>,
    /// Client certificate for the kubelets.
    #[arg(long)]
    pub kubelet_client_certificate: Option<PathBuf>,
    /// Key of the client certificate for the kubelets.
    #[arg(long)]
    pub kubelet_client_key: Option<PathBuf>,
    /// CA that kubelets' serving certificates are checked against; without it they are not checked.
    #[arg(long)]
    pub kubelet_certificate_authority: Option<PathBuf>,
    /// Node address types for reaching kubelets, in order of preference.
    #[arg(long, value_delimiter = ',', default_value = "InternalIP,ExternalIP,Hostname,InternalDNS,ExternalDNS")]
    pub kubelet_preferred_address_types: Vec<String>,
    /// File for audit events as JSON lines; `-` is stdout.
    #[arg(long)]
    pub audit_log_path: Option<PathBuf>,
    /// Size in MB at which the audit log is rotated; 0: never.
    #[arg(long, default_value_t = 0)]
    pub audit_log_maxsize: u64,
    /// How many rotated audit logs are kept; 0: all.
    #[arg(long, default_value_t = 0)]
    pub audit_log_maxbackup: usize,
    /// Days after which a rotated audit log is removed; 0: never.
    #[arg(long, default_value_t = 0)]
    pub audit_log_maxage: u64,
    /// Whether privileged containers are allowed.
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub allow_privileged: bool,
    /// tolerationSeconds given to pods for node.kubernetes.io/not-ready.
    #[arg(long, default_value_t = 300)]
    pub default_not_ready_toleration_seconds: i64,
    /// tolerationSeconds given to pods for node.kubernetes.io/unreachable.
    #[arg(long, default_value_t = 300)]
    pub default_unreachable_toleration_seconds: i64,
    /// CA of the front proxy's client certificate.
    #[arg(long)]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Common names that the front proxy may have; empty: any.
    #[arg(long, value_delimiter = ',')]
    pub requestheader_allowed_names: Vec<String>,
    /// Headers with the user's name.
    #[arg(long, value_delimiter = ',', default_value = "X-Remote-User")]
    pub requestheader_username_headers: Vec<String>,
    /// Headers with the user's groups.
    #[arg(long, value_delimiter = ',', default_value = "X-Remote-Group")]
    pub requestheader_group_headers: Vec<String>,
    /// Prefixes of headers with more about the user.
    #[arg(long, value_delimiter = ',', default_value = "X-Remote-Extra-")]
    pub requestheader_extra_headers_prefix: Vec<String>,
    /// Client certificate with which aggregated API servers know us.
    #[arg(long)]
    pub proxy_client_cert_file: Option<PathBuf>,
    /// Key of that certificate.
    #[arg(long)]
    pub proxy_client_key_file: Option<PathBuf>,
}

/// Reads Go's duration texts: `300ms`, `5m`, `1h0m0s`.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("time: invalid duration {text:?}");
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(std::time::Duration::from_secs_f64(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        assert_eq!(duration("1h0m0s").map(|d| d.as_secs()), Ok(3600));
        assert_eq!(duration("300ms").map(|d| d.as_millis()), Ok(300));
        assert!(duration("5").is_err());
        assert!(duration("").is_err());
    }

    #[test]
    fn what_the_engine_passes_is_understood() {
        let flags = "kube-apiserver --advertise-address=10.20.0.2 --secure-port=6443 --etcd-servers=https://127.0.0.1:2379 --etcd-cafile=a --etcd-certfile=b --etcd-keyfile=c --client-ca-file=d --tls-cert-file=e --tls-private-key-file=f --service-account-key-file=g --service-account-signing-key-file=h --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-cluster-ip-range=10.96.0.0/12 --authorization-mode=Node,RBAC --kubelet-client-certificate=i --kubelet-client-key=j --audit-log-path=k --allow-privileged=true --default-not-ready-toleration-seconds=10 --default-unreachable-toleration-seconds=10 --requestheader-client-ca-file=l --proxy-client-cert-file=m --proxy-client-key-file=n";
        let options = Options::try_parse_from(flags.split(' ')).expect("flags");
        assert!(options.allow_privileged);
        assert_eq!(options.authorization_mode, ["Node", "RBAC"]);
        assert!(Options::try_parse_from(["kube-apiserver", "--no-such-flag"]).is_err());
    }
}
