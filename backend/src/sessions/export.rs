//! What the learner made in a cluster, as YAML that can be applied to another: read before the cluster goes, and kept for some
//! days.

mod clean;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use drydock_client::Client;
use drydock_protocol::SessionState;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::Value;

use super::{Hub, Sessions, now_millis};
use crate::error::{Error, chain};
use crate::routes::yaml;

/// A cluster that does not answer must not hold off its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Objects of one kind that are looked at.
const MOST: usize = 500;
/// More text than this is not kept.
const LIMIT: usize = 4 << 20;

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    preferred_version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    group_version: String,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
}

/// Everything in the cluster that is the learner's own; empty when there is nothing.
///
/// # Errors
/// When the cluster does not answer.
async fn read(client: &Client) -> Result<String, drydock_client::Error> {
    let mut groups = vec![("v1".to_owned(), "/api/v1".to_owned())];
    let named: Groups = client.get("/apis").await?;
    for group in named.groups.into_iter().filter(|group| !clean::IS_OF_MACHINES.contains(&group.name.as_str())) {
        let version = group.preferred_version.group_version;
        groups.push((version.clone(), format!("/apis/{version}")));
    }
    // All at once: one connection carries them.
    let lists = join_all(groups.iter().map(|(version, path)| lists(client, version, path))).await;
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for (version, kind, objects) in lists.into_iter().flatten() {
        for mut object in objects {
            let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
            // The same objects may be served by several groups.
            if clean::is_own(&kind, &object) && seen.insert(uid) {
                object["apiVersion"] = version.clone().into();
                object["kind"] = kind.clone().into();
                clean::clean(&mut object);
                found.push(object);
            }
        }
    }
    found.sort_by_key(clean::order);
    let mut text = String::new();
    for object in &found {
        let document = yaml::text(object);
        if text.len() + document.len() > LIMIT {
            text.push_str("# There is more than is kept.\n");
            break;
        }
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&document);
    }
    Ok(text)
}

/// Version, kind and objects of everything in a group that may be the learner's. A group whose server does not answer (an
/// APIService of the learner's) is left out.
async fn lists(client: &Client, version: &str, path: &str) -> Vec<(String, String, Vec<Value>)> {
    let Ok(resources) = client.get::<Resources>(path).await else { return Vec::new() };
    let wanted = resources.resources.into_iter().filter(|resource| {
        let listed = resource.verbs.iter().any(|verb| verb == "list") && !resource.name.contains('/');
        listed && !clean::IS_MADE_BY_CONTROLLERS.contains(&resource.kind.as_str())
    });
    let lists = join_all(wanted.map(|resource| async move {
        let list = client.get::<List>(&format!("{path}/{}?limit={MOST}", resource.name)).await.ok()?;
        Some((version.to_owned(), resource.kind, list.items))
    }));
    lists.await.into_iter().flatten().collect()
}

impl Sessions {
    /// What the learner made: as it is now, or as it was when the session ended.
    ///
    /// # Errors
    /// When there is no such session, or nothing of it is kept any more.
    pub(crate) async fn manifests(&self, id: &str) -> Result<String, Error> {
        if self.lock().contains_key(id) {
            let hub = self.ready_hub(id).await?;
            return self.read_manifests(&hub).await;
        }
        self.session(id).await?;
        let kept = self.store.manifests(id).await?;
        kept.ok_or_else(|| Error::NotFound("Nothing is kept of this session's cluster.".to_owned()))
    }

    async fn read_manifests(&self, hub: &Hub) -> Result<String, Error> {
        let silent = || Error::Conflict("The cluster does not answer.".to_owned());
        let cluster = self.engine.get(hub.name()).await?;
        let client = cluster.client().map_err(|_| silent())?;
        let text = tokio::time::timeout(PATIENCE, read(&client)).await.map_err(|_| {
            tracing::debug!(session.name = hub.name(), "it takes too long to read what the learner made");
            silent()
        })?;
        text.map_err(|error| {
            tracing::debug!(session.name = hub.name(), %error, "cannot read what the learner made");
            silent()
        })
    }

    /// Keeps what the learner made, before the cluster goes.
    pub(super) async fn keep_manifests(&self, hub: &Arc<Hub>, before: SessionState) {
        let keep = async {
            if before == SessionState::Suspended {
                let _turn = hub.nodes_turn().await;
                self.engine.host().freeze_session(hub.name(), false).await?;
            }
            let text = self.read_manifests(hub).await?;
            if !text.is_empty() {
                self.store.put_manifests(hub.id(), &text, now_millis()).await?;
                hub.set_manifests();
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = keep.await {
            tracing::warn!(session.name = hub.name(), error = chain(&error), "nothing is kept of a cluster");
        }
    }
}
