//! What watchers see.

use crate::support::{Client, Cluster};
use anyhow::Result;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn make(admin: &Client, name: &str, label: &str) -> Result<Value> {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"l": label}}});
    Ok(admin.post(MAPS, object).await?.1)
}

fn seen(events: &[Value]) -> Vec<String> {
    events
        .iter()
        .map(|event| {
            format!(
                "{} {}",
                event["type"].as_str().unwrap_or(""),
                event["object"]["metadata"]["name"].as_str().unwrap_or("-")
            )
        })
        .collect()
}

#[tokio::test]
async fn a_watch_continues_from_a_version_and_follows_its_selector() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let first = make(&admin, "a", "in").await?;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    make(&admin, "b", "out").await?;
    admin.patch(&format!("{MAPS}/b"), "merge-patch+json", json!({"metadata": {"labels": {"l": "in"}}})).await?;
    admin.patch(&format!("{MAPS}/b"), "merge-patch+json", json!({"data": {"x": "y"}})).await?;
    admin.patch(&format!("{MAPS}/b"), "merge-patch+json", json!({"metadata": {"labels": {"l": "out"}}})).await?;
    admin.delete(&format!("{MAPS}/a")).await?;
    let events = admin.watch(&format!("{MAPS}?watch=1&resourceVersion={version}&labelSelector=l%3Din"), 4).await?;
    assert_eq!(seen(&events), ["ADDED b", "MODIFIED b", "DELETED b", "DELETED a"]);
    assert_ne!(
        events[3]["object"]["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"],
        "the version of the deletion"
    );
    let events = admin.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"), 5).await?;
    assert_eq!(seen(&events), ["ADDED b", "MODIFIED b", "MODIFIED b", "MODIFIED b", "DELETED a"]);
    Ok(())
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    make(&admin, "a", "x").await?;
    make(&admin, "b", "x").await?;
    let path =
        format!("{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let events = admin.watch(&path, 3).await?;
    assert_eq!(seen(&events), ["ADDED a", "ADDED b", "BOOKMARK -"]);
    assert_eq!(events[2]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let (_, list) = admin.get(MAPS).await?;
    assert_eq!(events[2]["object"]["metadata"]["resourceVersion"], list["metadata"]["resourceVersion"]);
    let events = admin.watch(&format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Db"), 1).await?;
    assert_eq!(seen(&events), ["ADDED b"]);
    let events = admin.watch(&format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion=0"), 99).await?;
    assert_eq!(seen(&events), ["ADDED a", "ADDED b"], "and then the stream ends");
    Ok(())
}

#[tokio::test]
async fn a_killed_etcd_loses_nothing_and_watches_go_on() -> Result<()> {
    let Some(mut cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let first = make(&admin, "a", "x").await?;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let watching = admin.clone();
    let watch =
        tokio::spawn(async move { watching.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"), 1).await });
    cluster.restart_etcd()?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while make(&admin, "b", "x").await?["kind"] != "ConfigMap" {
        assert!(std::time::Instant::now() < deadline, "etcd did not come back");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(seen(&watch.await??), ["ADDED b"]);
    assert_eq!(admin.get(&format!("{MAPS}/a")).await?.1["metadata"]["uid"], first["metadata"]["uid"]);
    Ok(())
}

#[tokio::test]
async fn a_watch_over_a_websocket_sends_an_event_a_message() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    make(&admin, "a", "x").await?;
    make(&admin, "b", "x").await?;
    let messages = admin.socket(&format!("{MAPS}?watch=1&resourceVersion=0&labelSelector=l%3Dx"), 2).await?;
    let events: Vec<Value> =
        messages.iter().map(|message| Ok(serde_json::from_str(message.to_text()?)?)).collect::<Result<_>>()?;
    assert_eq!(seen(&events), ["ADDED a", "ADDED b"]);
    Ok(())
}
