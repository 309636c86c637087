//! etcd's flags, as far as a cluster of one member has them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use drydock_component::duration;

/// A single-member etcd: v3 gRPC API over an in-memory store with an append-only log.
///
/// Every flag can also be set by the environment variable etcd reads for it (`--data-dir`: `ETCD_DATA_DIR`).
#[derive(Clone, Debug, Parser)]
#[command(name = "etcd", version = crate::VERSION)]
pub struct Options {
    /// Human-readable name of this member.
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    pub name: String,
    /// Directory of the log. Default: `<name>.etcd`.
    #[arg(long, env = "ETCD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Start an empty data directory from this file of `etcdctl snapshot save`.
    #[arg(long, value_name = "FILE")]
    pub restore: Option<PathBuf>,

    /// URLs to listen on for clients; port 0 takes a free port.
    #[arg(long, env = "ETCD_LISTEN_CLIENT_URLS", value_delimiter = ',', default_value = "http://localhost:2379")]
    pub listen_client_urls: Vec<String>,
    /// Client URLs to tell in the member list.
    #[arg(long, env = "ETCD_ADVERTISE_CLIENT_URLS", value_delimiter = ',', default_value = "http://localhost:2379")]
    pub advertise_client_urls: Vec<String>,
    /// URLs to listen on for /metrics, /health, /livez and /readyz.
    #[arg(long, env = "ETCD_LISTEN_METRICS_URLS", value_delimiter = ',')]
    pub listen_metrics_urls: Vec<String>,
    /// Peer URLs; nothing listens on them, for the cluster has one member.
    #[arg(long, env = "ETCD_LISTEN_PEER_URLS", value_delimiter = ',', default_value = "http://localhost:2380")]
    pub listen_peer_urls: Vec<String>,
    /// Peer URLs to tell in the member list.
    #[arg(
        long,
        env = "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        value_delimiter = ',',
        default_value = "http://localhost:2380"
    )]
    pub initial_advertise_peer_urls: Vec<String>,
    /// Members of the cluster, `name=url`: at most this one. Default: `<name>=<peer URL>`.
    #[arg(long, env = "ETCD_INITIAL_CLUSTER")]
    pub initial_cluster: Option<String>,
    /// Whether the cluster is begun or joined; only a new one is possible.
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_STATE", value_parser = ["new"], default_value = "new")]
    pub initial_cluster_state: String,
    /// Tells clusters apart: part of the cluster's id.
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_TOKEN", default_value = "etcd-cluster")]
    pub initial_cluster_token: String,

    /// The server's certificate (PEM), for https client URLs.
    #[arg(long, env = "ETCD_CERT_FILE")]
    pub cert_file: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, env = "ETCD_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// The CA that signed the clients' certificates (PEM).
    #[arg(long, env = "ETCD_TRUSTED_CA_FILE")]
    pub trusted_ca_file: Option<PathBuf>,
    /// Refuse clients without a certificate of the trusted CA.
    #[arg(long, env = "ETCD_CLIENT_CERT_AUTH", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub client_cert_auth: bool,

    /// Acknowledge writes when the kernel has them, not the disk: a power cut may lose the last ones, the
    /// end of the process does not.
    #[arg(long, env = "ETCD_UNSAFE_NO_FSYNC", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub unsafe_no_fsync: bool,
    /// Bytes kept, history included, before writes are refused; 0 for etcd's default of 2 GiB, negative for
    /// no limit.
    #[arg(long, env = "ETCD_QUOTA_BACKEND_BYTES", default_value_t = 0, allow_negative_numbers = true)]
    pub quota_backend_bytes: i64,
    /// Operations in one transaction.
    #[arg(long, env = "ETCD_MAX_TXN_OPS", default_value_t = 128)]
    pub max_txn_ops: usize,
    /// Bytes in one request.
    #[arg(long, env = "ETCD_MAX_REQUEST_BYTES", default_value_t = 1_572_864)]
    pub max_request_bytes: usize,
    /// How auto-compaction counts: `periodic` (time) or `revision`.
    #[arg(long, env = "ETCD_AUTO_COMPACTION_MODE", value_parser = ["periodic", "revision"], default_value = "periodic")]
    pub auto_compaction_mode: String,
    /// History to keep: a duration (`30m`; a bare number means hours) or a number of revisions; 0 compacts
    /// only on request.
    #[arg(long, env = "ETCD_AUTO_COMPACTION_RETENTION", default_value = "0")]
    pub auto_compaction_retention: String,
    /// Time between progress notifications to idle watches that want them.
    #[arg(long, alias = "experimental-watch-progress-notify-interval", env = "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL", value_parser = duration, default_value = "10m")]
    pub watch_progress_notify_interval: Duration,
}

/// A span of time that is not nothing.
///
/// # Errors
/// A sentence that says what was wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    let found = duration::flag(text)?;
    if found.is_zero() { Err(format!("{text:?} is no time at all")) } else { Ok(found) }
}

/// What auto-compaction keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Everything.
    All,
    /// This much time.
    Time(Duration),
    /// This many revisions.
    Revisions(i64),
}

impl Options {
    /// The directory of the log.
    pub fn directory(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from(format!("{}.etcd", self.name)))
    }

    /// What auto-compaction keeps.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the flag.
    pub fn retention(&self) -> Result<Retention, String> {
        let text = self.auto_compaction_retention.as_str();
        if text == "0" {
            return Ok(Retention::All);
        }
        let number = text.parse::<u32>();
        match (self.auto_compaction_mode.as_str(), number) {
            ("revision", Ok(revisions)) => Ok(Retention::Revisions(revisions.into())),
            ("revision", Err(_)) => Err(format!("--auto-compaction-retention: {text:?} is not a number of revisions")),
            (_, Ok(hours)) => Ok(Retention::Time(Duration::from_secs(3600 * u64::from(hours)))),
            (_, Err(_)) => duration(text).map(Retention::Time).map_err(|e| format!("--auto-compaction-retention: {e}")),
        }
    }

    /// The quota in bytes; 0 for none.
    pub fn quota(&self) -> u64 {
        match self.quota_backend_bytes {
            0 => 2 << 30,
            bytes => u64::try_from(bytes).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_as_kubeadm_writes_them() {
        let options = Options::parse_from([
            "etcd",
            "--advertise-client-urls=https://10.20.0.2:2379",
            "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
            "--client-cert-auth=true",
            "--data-dir=/var/lib/etcd",
            "--initial-advertise-peer-urls=https://10.20.0.2:2380",
            "--initial-cluster=master=https://10.20.0.2:2380",
            "--key-file=/etc/kubernetes/pki/etcd/server.key",
            "--listen-client-urls=https://127.0.0.1:2379,https://10.20.0.2:2379",
            "--listen-metrics-urls=http://127.0.0.1:2381",
            "--name=master",
            "--experimental-watch-progress-notify-interval=5s",
            "--unsafe-no-fsync",
        ]);
        assert!(options.client_cert_auth && options.unsafe_no_fsync);
        assert_eq!(options.listen_client_urls.len(), 2);
        assert_eq!(options.watch_progress_notify_interval, Duration::from_secs(5));
        assert_eq!(options.quota(), 2 << 30);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "5", "m", "1x", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn retention() {
        let with = |mode: &str, retention: &str| {
            Options::parse_from([
                "etcd".to_owned(),
                format!("--auto-compaction-mode={mode}"),
                format!("--auto-compaction-retention={retention}"),
            ])
            .retention()
        };
        assert_eq!(with("periodic", "0"), Ok(Retention::All));
        assert_eq!(with("periodic", "2"), Ok(Retention::Time(Duration::from_secs(7200))));
        assert_eq!(with("periodic", "30m"), Ok(Retention::Time(Duration::from_secs(1800))));
        assert_eq!(with("revision", "1000"), Ok(Retention::Revisions(1000)));
        assert!(with("revision", "30m").is_err());
    }
}
