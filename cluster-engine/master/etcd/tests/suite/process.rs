//! Starts servers, ours and Debian's, and waits until they answer.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drydock_etcd_proto::etcdserverpb as pb;
use pb::kv_client::KvClient;
use pb::lease_client::LeaseClient;
use pb::maintenance_client::MaintenanceClient;
use pb::watch_client::WatchClient;
use tonic::transport::{Channel, Endpoint};

/// Longest time anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; killed with its owner.
pub(crate) struct Process {
    child: Child,
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

impl Process {
    /// Our server on `data` with further flags.
    pub(crate) fn ours(data: &Path, flags: &[&str]) -> Process {
        Process::start(Path::new(env!("CARGO_BIN_EXE_drydock-etcd")), data, flags)
    }

    /// Debian's etcd-server.
    pub(crate) fn genuine(data: &Path) -> Process {
        let program = Path::new("/usr/bin/etcd");
        assert!(program.exists(), "{} is missing: apt-get install etcd-server", program.display());
        let peer = format!("http://127.0.0.1:{}", free_port());
        let flags = [
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--log-level=error".to_owned(),
            "--logger=zap".to_owned(),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Process::start(program, data, &flags)
    }

    fn start(program: &Path, data: &Path, flags: &[&str]) -> Process {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let log = data.with_extension("log");
        let output = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(program)
            .arg(format!("--data-dir={}", data.display()))
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .args(flags)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Process { child, data: data.to_owned(), port, log }
    }

    /// SIGKILL, and the end of the process.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A connection, once the server answers.
    pub(crate) async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap();
        let begun = Instant::now();
        loop {
            if let Ok(channel) = endpoint.connect().await {
                let mut client = Client::new(channel);
                // A genuine etcd listens before it has elected itself.
                match client.kv.range(pb::RangeRequest { key: "health".into(), ..Default::default() }).await {
                    Ok(_) => return client,
                    Err(status) => assert!(begun.elapsed() < PATIENCE, "server does not answer: {status}"),
                }
            }
            assert!(begun.elapsed() < PATIENCE, "server does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The services of one server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) kv: KvClient<Channel>,
    pub(crate) watch: WatchClient<Channel>,
    pub(crate) lease: LeaseClient<Channel>,
    pub(crate) maintenance: MaintenanceClient<Channel>,
}

impl Client {
    fn new(channel: Channel) -> Client {
        Client {
            kv: KvClient::new(channel.clone()),
            watch: WatchClient::new(channel.clone()),
            lease: LeaseClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel),
        }
    }

    pub(crate) async fn put(&mut self, key: &str, value: &str) -> i64 {
        let request =
            pb::PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() };
        self.kv.put(request).await.unwrap().into_inner().header.unwrap().revision
    }

    pub(crate) async fn all(&mut self) -> pb::RangeResponse {
        let request = pb::RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
        self.kv.range(request).await.unwrap().into_inner()
    }
}
