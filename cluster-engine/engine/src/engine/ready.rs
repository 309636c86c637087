//! Waits until a new cluster answers, and gives it what kubeadm would: role labels and the cluster DNS.

use std::time::{Duration, Instant};

use drydock_client::{Client, Error};
use futures_util::future::try_join_all;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{EngineError, Stage, api_error};
use crate::native::addons::Addon;
use crate::native::{self, MASTER};

/// How often the state of a starting cluster is read; it lasts well under a second.
const STEP: Duration = Duration::from_millis(10);
/// What one request may take before it is tried again.
const REQUEST_TIME: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct NodeList {
    items: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
struct NodeStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Node {
    fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }
}

/// Returns when every node in `names` is Ready and the addons are created.
pub(super) async fn wait(
    client: &Client,
    names: &[&str],
    deadline: Instant,
    progress: &(dyn Fn(Stage) + Send + Sync),
) -> Result<(), EngineError> {
    until(deadline, "kube-apiserver does not answer", || async {
        ok(client.get::<serde_json::Value>("/api/v1/namespaces/kube-system").await)
    })
    .await?;
    progress(Stage::Controllers);
    let addons = [
        native::addons::pod_network(),
        native::addons::activation(),
        native::addons::cluster_dns(),
        native::addons::local_path(),
        native::addons::metrics_server(),
        native::addons::ingress_controller(),
    ];
    // Workloads last: their pods need the accounts.
    let (workloads, rest): (Vec<_>, Vec<_>) =
        addons.into_iter().flatten().partition(|addon| addon.object["kind"] == "Deployment");
    for together in [rest, workloads] {
        try_join_all(together.iter().map(|addon| place(client, addon, deadline))).await?;
    }
    until(deadline, "the default ServiceAccount is not there", || async {
        ok(client.get::<serde_json::Value>("/api/v1/namespaces/default/serviceaccounts/default").await)
    })
    .await?;
    progress(Stage::Nodes);
    nodes(client, names, deadline, true).await?;
    progress(Stage::Ready);
    Ok(())
}

/// Returns when every node in `names` is Ready; and the master has its labels, if those are wanted.
pub(super) async fn nodes(
    client: &Client,
    names: &[&str],
    deadline: Instant,
    with_labels: bool,
) -> Result<(), EngineError> {
    let mut labelled = !with_labels;
    loop {
        let nodes = match call(client.get::<NodeList>("/api/v1/nodes")).await {
            Ok(list) => list.items,
            Err(error) if is_passing(&error) => Vec::new(),
            Err(error) => return Err(api_error("list nodes", error)),
        };
        if !labelled && nodes.iter().any(|node| node.metadata.name == MASTER) {
            labelled = label_master(client).await?;
        }
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !nodes.iter().any(|node| node.metadata.name == **name && node.is_ready()))
            .copied()
            .collect();
        if missing.is_empty() && labelled {
            return Ok(());
        }
        pause(deadline, || format!("not Ready: {}", missing.join(", "))).await?;
    }
}

async fn place(client: &Client, addon: &Addon, deadline: Instant) -> Result<(), EngineError> {
    let kind = addon.object["kind"].as_str().unwrap_or("object");
    let waiting = format!("kube-apiserver does not take the {kind} of an add-on");
    until(deadline, &waiting, || create(client, addon.collection, &addon.object)).await
}

/// kubeadm's labels of a control-plane node, which a kubelet may not give itself.
async fn label_master(client: &Client) -> Result<bool, EngineError> {
    let patch = json!({"metadata": {"labels": {
        "node-role.kubernetes.io/control-plane": "",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
    }}});
    let path = format!("/api/v1/nodes/{MASTER}");
    let body = patch.to_string();
    match call(client.request(Method::PATCH, &path, "application/merge-patch+json", body)).await {
        Ok(_) => Ok(true),
        Err(error) if is_passing(&error) || error.is_conflict() => Ok(false),
        Err(error) => Err(api_error("label the master node", error)),
    }
}

async fn create(client: &Client, collection: &str, object: &serde_json::Value) -> Result<Option<()>, Error> {
    let body = object.to_string();
    match client.request(Method::POST, collection, "application/json", body).await {
        Ok(_) => Ok(Some(())),
        Err(error) if error.is_already_exists() => Ok(Some(())),
        Err(error) if is_passing(&error) || error.is_not_found() || error.is_forbidden() => Ok(None),
        Err(Error::Status(status)) if status.code == 422 => {
            // A Service that was taken while its answer got lost: its own address is in use then, which is said first.
            let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
            match client.get::<serde_json::Value>(&path).await {
                Ok(_) => Ok(Some(())),
                Err(error) if error.is_not_found() => Err(Error::Status(status)),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Repeats `step` until it says so, fails for good or the time is over.
async fn until<F, Fut>(deadline: Instant, waiting_for: &str, step: F) -> Result<(), EngineError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Option<()>, Error>>,
{
    loop {
        match call(step()).await {
            Ok(Some(())) => return Ok(()),
            Ok(None) => {}
            Err(error) if is_passing(&error) => {}
            Err(source) => return Err(api_error(waiting_for, source)),
        }
        pause(deadline, || waiting_for.to_owned()).await?;
    }
}

async fn pause(deadline: Instant, waiting_for: impl FnOnce() -> String) -> Result<(), EngineError> {
    if Instant::now() >= deadline {
        let waiting_for = waiting_for();
        return Err(EngineError::Timeout { seconds: super::READY_TIME.as_secs(), waiting_for });
    }
    tokio::time::sleep(STEP).await;
    Ok(())
}

async fn call<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(REQUEST_TIME, request).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Timeout { method: Method::GET, path: "(a starting API server)".to_owned() }),
    }
}

/// Not there or not allowed *yet*: the server writes its first objects while it already answers.
fn ok<T>(outcome: Result<T, Error>) -> Result<Option<()>, Error> {
    match outcome {
        Ok(_) => Ok(Some(())),
        Err(error) if error.is_not_found() || error.is_forbidden() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether trying again may help.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Status(status) => status.code >= 500 || status.code == 429,
        Error::Connect { .. } | Error::Transport(_) | Error::Timeout { .. } => true,
        _ => false,
    }
}
