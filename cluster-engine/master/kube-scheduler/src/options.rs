//! Command-line flags, named as upstream's.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Flags of kube-scheduler.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-scheduler", about = "Finds a node for each pod that has none")]
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
    /// Elect a leader among several schedulers. There is one, so only `false` is possible.
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub leader_elect: bool,
    /// The address to serve /healthz, /livez and /readyz on.
    #[arg(long, default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// The port to serve them on; 0 serves nothing.
    #[arg(long, default_value_t = 10259)]
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
