//! Pods and API calls, timed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use drydock_client::{Client, Config};
use http::Method;
use serde_json::{Value, json};

use crate::processes::cpu_micros;

/// Connections that load the server at once.
const CONNECTIONS: usize = 16;
/// How long each kind of call is made.
const LOAD: Duration = Duration::from_secs(4);
/// How often a state is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until the cluster DNS is ready: then the cluster is idle.
pub(crate) async fn wait_for_dns(client: &Client) -> anyhow::Result<()> {
    let path = "/apis/apps/v1/namespaces/kube-system/deployments/cluster-dns";
    for _ in 0..3000 {
        let deployment: Value = client.get(path).await?;
        if deployment["status"]["readyReplicas"] == 1 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the cluster DNS does not come up")
}

fn pod(name: &str) -> String {
    let container = json!({"name": "demo", "image": "drydock/demo:v1"});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}})
        .to_string()
}

const PODS: &str = "/api/v1/namespaces/default/pods";

/// Creates a pod and returns the milliseconds until it is Running; removes it again.
pub(crate) async fn run_pod(client: &Client, name: &str) -> anyhow::Result<f64> {
    let started = Instant::now();
    client.request(Method::POST, PODS, "application/json", pod(name)).await?;
    running(client, name).await?;
    let elapsed = millis(started.elapsed());
    remove(client, name).await?;
    Ok(elapsed)
}

/// Creates pods at once and returns the milliseconds until all are Running; removes them again.
pub(crate) async fn run_pods(client: &Client, count: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    for number in 0..count {
        client.request(Method::POST, PODS, "application/json", pod(&format!("many-{number}"))).await?;
    }
    for number in 0..count {
        running(client, &format!("many-{number}")).await?;
    }
    let elapsed = millis(started.elapsed());
    for number in 0..count {
        remove(client, &format!("many-{number}")).await?;
    }
    Ok(elapsed)
}

async fn running(client: &Client, name: &str) -> anyhow::Result<()> {
    for _ in 0..30_000 {
        let pod: Value = client.get(&format!("{PODS}/{name}")).await?;
        if pod["status"]["phase"] == "Running" {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    anyhow::bail!("{name} is not Running")
}

async fn remove(client: &Client, name: &str) -> anyhow::Result<()> {
    client.request(Method::DELETE, &format!("{PODS}/{name}?gracePeriodSeconds=0"), "application/json", "{}").await?;
    Ok(())
}

/// The outcome of one kind of call.
pub(crate) struct Load {
    /// Which call.
    pub(crate) what: String,
    /// Calls answered per second.
    pub(crate) per_second: f64,
    /// Median, milliseconds.
    pub(crate) p50: f64,
    /// 99th percentile, milliseconds.
    pub(crate) p99: f64,
    /// CPU time of the server for one call, microseconds.
    pub(crate) server_micros: f64,
}

/// Loads the API server with each kind of call over sixteen connections.
pub(crate) async fn load(kubeconfig: &str, server: u32) -> anyhow::Result<Vec<Load>> {
    let config = Config::from_kubeconfig_str(kubeconfig)?;
    let setup = Client::new(config.clone())?;
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |name: &str| json!({"metadata": {"name": name}, "data": {"key": "value"}}).to_string();
    setup.request(Method::POST, maps, "application/json", map("target")).await?;
    for connection in 0..CONNECTIONS {
        // Each patches an object of its own: what a patch costs, not what waiting for each other does.
        setup.request(Method::POST, maps, "application/json", map(&format!("target-{connection}"))).await?;
    }
    let mut results = Vec::new();
    for what in ["GET ConfigMap", "LIST ConfigMaps, limit 500", "CREATE ConfigMap", "PATCH ConfigMap (merge)"] {
        let before = cpu_micros(server)?;
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for connection in 0..CONNECTIONS {
            let client = Client::new(config.clone())?;
            let body = map("target");
            tasks.spawn(async move {
                let mut times = Vec::new();
                let mut number = 0_u64;
                while started.elapsed() < LOAD {
                    let begin = Instant::now();
                    number += 1;
                    let json = "application/json";
                    let answer = match what {
                        "GET ConfigMap" => {
                            client.request(Method::GET, &format!("{maps}/target"), json, Bytes::new()).await
                        }
                        "CREATE ConfigMap" => {
                            let body = body.replace("target", &format!("new-{connection}-{number}"));
                            client.request(Method::POST, maps, json, body).await
                        }
                        "PATCH ConfigMap (merge)" => {
                            let patch = json!({"data": {"key": format!("{connection}-{number}")}}).to_string();
                            client
                                .request(
                                    Method::PATCH,
                                    &format!("{maps}/target-{connection}"),
                                    "application/merge-patch+json",
                                    patch,
                                )
                                .await
                        }
                        _ => client.request(Method::GET, &format!("{maps}?limit=500"), json, Bytes::new()).await,
                    };
                    answer?;
                    times.push(millis(begin.elapsed()));
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = tasks.join_next().await {
            times.extend(done??);
        }
        let elapsed = started.elapsed().as_secs_f64();
        let cpu = (cpu_micros(server)? - before) as f64;
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        let calls = times.len() as f64;
        results.push(Load {
            what: format!("{what}, {CONNECTIONS} connections"),
            per_second: calls / elapsed,
            p50: at(0.5),
            p99: at(0.99),
            server_micros: cpu / calls,
        });
    }
    Ok(results)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
