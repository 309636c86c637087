//! One session's bad day: writes go on while things go wrong, and in the end everything must be as it should be.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use drydock_client::{Client, Config};
use http::Method;
use serde_json::{Value, json};

use crate::plan::{Fault, Luck};

/// How long a session may take to be well again once everything is healed. What took long is upstream's own waiting:
/// a container that died again and again is started after ever longer pauses.
const RECOVERY: Duration = Duration::from_secs(240);
/// One write or look at the API.
const CALL: Duration = Duration::from_secs(10);
/// Between two writes.
const WRITES: Duration = Duration::from_millis(200);
/// Between two looks at whether all is well.
const LOOK: Duration = Duration::from_millis(250);
/// Replicas of the workload.
const REPLICAS: usize = 3;
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// How to run `drydock`.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) data: PathBuf,
}

impl Program {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// What it printed when it failed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(arguments).env("DRYDOCK_DATA_DIR", &self.data).env_remove("DRYDOCK_HOST");
        let output = command.stdin(Stdio::null()).output().await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        bail!("drydock {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
}

/// What came of a session.
#[derive(Default)]
pub(crate) struct Outcome {
    /// What went wrong, in order.
    pub(crate) faults: Vec<String>,
    /// Writes that were acknowledged.
    pub(crate) writes: usize,
    /// From the last healing until all was well.
    pub(crate) recovery: Duration,
}

/// What the API server acknowledged, and so must know.
#[derive(Default)]
struct Ledger {
    present: BTreeSet<String>,
    absent: BTreeSet<String>,
}

pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) program: Program,
}

impl Session {
    /// Creates the cluster and its workload.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn begin(&self) -> anyhow::Result<()> {
        self.program.run(&["cluster", "create", &self.name, "--workers", "2"]).await?;
        let client = self.client().await?;
        let labels = json!({"app": "web"});
        let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{
            "name": "demo", "image": "drydock/demo:v1", "ports": [{"containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2},
        }]}});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": pod}});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}});
        let json = "application/json";
        let deployments = "/apis/apps/v1/namespaces/default/deployments";
        client.request(Method::POST, deployments, json, deployment.to_string()).await?;
        client.request(Method::POST, "/api/v1/namespaces/default/services", json, service.to_string()).await?;
        Ok(())
    }

    /// Lets things go wrong for so long, heals them, and waits until all is well.
    ///
    /// # Errors
    /// When a write was lost or the session does not become well again.
    pub(crate) async fn suffer(&self, mut luck: Luck, time: Duration) -> anyhow::Result<Outcome> {
        let until = Instant::now() + time;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let writer = tokio::spawn(write(self.client().await?, ledger.clone()));
        let mut faults = Vec::new();
        while Instant::now() < until {
            let fault = luck.next(&self.workers().await?);
            let lasting = luck.span(Duration::from_millis(500), Duration::from_secs(6));
            self.inflict(&fault, lasting).await.with_context(|| format!("{}: {fault:?}", self.name))?;
            faults.push(fault.to_string());
            tokio::time::sleep(luck.span(Duration::from_millis(200), Duration::from_secs(3))).await;
        }
        writer.abort();
        let healed = Instant::now();
        let client = self.client().await?;
        let mut reason = anyhow::anyhow!("nothing was looked at");
        while healed.elapsed() < RECOVERY {
            match self.all_well(&client).await {
                Ok(()) => {
                    let recovery = healed.elapsed();
                    let writes = self.nothing_lost(&client, &ledger).await?;
                    return Ok(Outcome { faults, writes, recovery });
                }
                Err(error) => reason = error,
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(reason.context(format!("{} is not well {} s after {}", self.name, RECOVERY.as_secs(), faults.join(", "))))
    }

    async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = self.program.run(&["cluster", "kubeconfig", &self.name]).await?;
        Ok(Client::new(Config::from_kubeconfig_str(&kubeconfig)?)?)
    }

    /// The workers by the host's own word.
    async fn workers(&self) -> anyhow::Result<Vec<String>> {
        let listed: Value = serde_json::from_str(&self.program.run(&["cluster", "list", "--output", "json"]).await?)?;
        let clusters = listed.as_array().context("a list")?;
        let own = clusters.iter().find(|cluster| cluster["name"] == self.name.as_str()).context("the cluster")?;
        let names = own["nodes"].as_array().context("nodes")?.iter().filter_map(|node| node["name"].as_str());
        Ok(names.filter(|name| name.starts_with("worker-")).map(str::to_owned).collect())
    }

    async fn inflict(&self, fault: &Fault, lasting: Duration) -> anyhow::Result<()> {
        let name = self.name.as_str();
        let run = async |words: &[&str]| self.program.run(words).await.map(drop);
        let component = async |component: &str, what: &str| {
            let outcome = run(&["fault", "component", name, "master", component, what]).await;
            // One that died a moment ago is not back yet.
            outcome.or_else(|error| if error.to_string().contains("no process named") { Ok(()) } else { Err(error) })
        };
        match fault {
            Fault::Node { node, suffering } => {
                run(&["fault", "node", name, node, suffering]).await?;
                tokio::time::sleep(lasting).await;
                run(&["fault", "node", name, node, "heal"]).await
            }
            Fault::KillComponent(which) => component(which, "kill").await,
            Fault::PauseComponent(which) => {
                component(which, "pause").await?;
                tokio::time::sleep(lasting).await;
                component(which, "resume").await
            }
            Fault::Loss { node, percent } => {
                run(&["fault", "loss", name, node, &percent.to_string()]).await?;
                tokio::time::sleep(lasting).await;
                run(&["fault", "loss", name, node, "0"]).await
            }
            Fault::SlowWrites(delay) => {
                run(&["fault", "writes", name, &format!("{}ms", delay.as_millis())]).await?;
                tokio::time::sleep(lasting).await;
                run(&["fault", "writes", name, "0"]).await
            }
            Fault::AddWorker => run(&["node", "add", name]).await,
            Fault::RemoveWorker(node) => run(&["node", "remove", name, node]).await,
            Fault::PowerCut => {
                let folder = self.program.data.join("sessions").join(name);
                ensure!(kill_supervisor(&folder.to_string_lossy())?, "no supervisor in {}", folder.display());
                // Whoever asks next finds it dead and starts it again.
                run(&["cluster", "list"]).await
            }
        }
    }

    /// Whether the session is as it was made.
    async fn all_well(&self, client: &Client) -> anyhow::Result<()> {
        let get = async |path: &str| -> anyhow::Result<Value> {
            Ok(tokio::time::timeout(CALL, client.get(path)).await.with_context(|| format!("GET {path}"))??)
        };
        let expected = self.workers().await?.len() + 1;
        let nodes = get("/api/v1/nodes").await?;
        let ready = items(&nodes).iter().filter(|node| is_ready(node)).count();
        ensure!(ready == expected && items(&nodes).len() == expected, "{ready} of {expected} nodes are Ready");
        for pod in items(&get("/api/v1/pods").await?) {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            ensure!(pod["metadata"]["deletionTimestamp"].is_null(), "{name} still ends");
            ensure!(is_ready(pod), "{name} is not ready");
        }
        let pods = get("/api/v1/namespaces/default/pods?labelSelector=app%3Dweb").await?;
        ensure!(items(&pods).len() == REPLICAS, "{} pods in place of {REPLICAS}", items(&pods).len());
        let deployment = get("/apis/apps/v1/namespaces/default/deployments/web").await?;
        ensure!(deployment["status"]["availableReplicas"] == REPLICAS, "the deployment is not available");
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb";
        let slices = get(slices).await?;
        let endpoints = items(&slices).iter().flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count();
        ensure!(ready == REPLICAS, "{ready} endpoints in place of {REPLICAS}");
        // From the master through the pod network to whichever pod.
        let through = "/api/v1/namespaces/default/services/web/proxy/";
        let call = client.request(Method::GET, through, "text/plain", bytes::Bytes::new());
        tokio::time::timeout(CALL, call).await.context("the service does not answer")??;
        Ok(())
    }

    /// Compares what was acknowledged with what is there.
    async fn nothing_lost(&self, client: &Client, ledger: &Mutex<Ledger>) -> anyhow::Result<usize> {
        let list: Value = client.get(MAPS).await?;
        let found: BTreeSet<&str> = items(&list).iter().filter_map(|map| map["metadata"]["name"].as_str()).collect();
        let ledger = locked(ledger);
        for name in &ledger.present {
            ensure!(found.contains(name.as_str()), "{}: {name} was acknowledged and is lost", self.name);
        }
        for name in &ledger.absent {
            ensure!(!found.contains(name.as_str()), "{}: {name} was removed and is back", self.name);
        }
        Ok(ledger.present.len() + 2 * ledger.absent.len())
    }
}

/// Creates objects, and removes every third again, until it is aborted.
async fn write(client: Client, ledger: Arc<Mutex<Ledger>>) {
    for number in 0_u64.. {
        let name = format!("write-{number}");
        let body = json!({"metadata": {"name": name}, "data": {"number": number.to_string()}}).to_string();
        let json = "application/json";
        let created = tokio::time::timeout(CALL, client.request(Method::POST, MAPS, json, body)).await;
        if matches!(created, Ok(Ok(_))) {
            locked(&ledger).present.insert(name.clone());
            if number % 3 == 0 {
                // From here on nobody knows, unless it is acknowledged.
                locked(&ledger).present.remove(&name);
                let path = format!("{MAPS}/{name}");
                let removed = tokio::time::timeout(CALL, client.request(Method::DELETE, &path, json, "{}")).await;
                if matches!(removed, Ok(Ok(_))) {
                    locked(&ledger).absent.insert(name);
                }
            }
        }
        tokio::time::sleep(WRITES).await;
    }
}

fn locked(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Kills the supervisor of the session in `folder`.
fn kill_supervisor(folder: &str) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if words.first().is_some_and(|word| word.ends_with(b"drydock-supervisor")) && words.contains(&folder.as_bytes())
        {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
            return Ok(true);
        }
    }
    Ok(false)
}
