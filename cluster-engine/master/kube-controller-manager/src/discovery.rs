//! Which resources the API server serves now, in their preferred versions.

use drydock_client::{Client, Error, Resource};
use http::{Method, header};
use serde::Deserialize;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource and what can be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) resource: Resource,
    pub(crate) verbs: Vec<String>,
}

impl Served {
    /// Whether all the verbs can be done.
    pub(crate) fn can(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|served| served == verb))
    }
}

#[derive(Deserialize)]
struct GroupList {
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupMeta,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupMeta {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Discovered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    resource: String,
    #[serde(default)]
    response_kind: ResponseKind,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    subresources: Vec<Subresource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subresource {
    subresource: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseKind {
    kind: String,
}

/// All resources; of several versions of one the server's first.
pub(crate) async fn served(client: &Client) -> Result<Vec<Served>, Error> {
    let mut all: Vec<Served> = Vec::new();
    for path in ["/api", "/apis"] {
        let headers = [(header::ACCEPT, AGGREGATED)];
        let response = client.request_with(Method::GET, path, None, &headers, Default::default()).await?;
        add(&mut all, response.json()?);
    }
    Ok(all)
}

fn add(all: &mut Vec<Served>, list: GroupList) {
    for group in list.items {
        let mut seen: Vec<String> = Vec::new();
        for version in group.versions {
            for found in version.resources {
                if found.verbs.is_empty() || seen.contains(&found.resource) {
                    continue;
                }
                seen.push(found.resource.clone());
                all.push(Served {
                    resource: Resource {
                        group: group.metadata.name.clone().into(),
                        version: version.version.clone().into(),
                        kind: found.response_kind.kind.into(),
                        plural: found.resource.into(),
                        namespaced: found.scope == "Namespaced",
                    },
                    verbs: found.verbs,
                });
            }
        }
    }
}

/// How long an answer about what is served is believed when a kind is not in it.
const STALE: std::time::Duration = std::time::Duration::from_secs(10);

/// Finds the resource of a kind; asks the API server when it must, and remembers the answer.
pub(crate) struct Kinds {
    client: Client,
    known: tokio::sync::Mutex<Option<(tokio::time::Instant, Vec<Known>)>>,
}

struct Known {
    resource: Resource,
    has_scale: bool,
}

impl Kinds {
    /// Asks through `client`, when it is first needed.
    pub(crate) fn new(client: Client) -> Kinds {
        Kinds { client, known: tokio::sync::Mutex::default() }
    }

    /// The resource of a kind and whether it has a scale; `None` if no such kind is served.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn scalable(&self, api_version: &str, kind: &str) -> Result<Option<(Resource, bool)>, Error> {
        let find = |known: &[Known]| {
            let found = known
                .iter()
                .find(|known| known.resource.kind == kind && known.resource.api_version() == api_version)?;
            Some((found.resource.clone(), found.has_scale))
        };
        let mut known = self.known.lock().await;
        if let Some((since, list)) = known.as_ref() {
            let found = find(list);
            if found.is_some() || since.elapsed() < STALE {
                return Ok(found);
            }
        }
        let mut list = Vec::new();
        for path in ["/api", "/apis"] {
            let headers = [(header::ACCEPT, AGGREGATED)];
            let response = self.client.request_with(Method::GET, path, None, &headers, Default::default()).await?;
            scalable(&mut list, response.json()?);
        }
        let found = find(&list);
        *known = Some((tokio::time::Instant::now(), list));
        Ok(found)
    }
}

fn scalable(all: &mut Vec<Known>, list: GroupList) {
    for group in list.items {
        for version in group.versions {
            for found in version.resources {
                all.push(Known {
                    resource: Resource {
                        group: group.metadata.name.clone().into(),
                        version: version.version.clone().into(),
                        kind: found.response_kind.kind.into(),
                        plural: found.resource.into(),
                        namespaced: found.scope == "Namespaced",
                    },
                    has_scale: found.subresources.iter().any(|subresource| subresource.subresource == "scale"),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_of_a_resource_counts() {
        let list: GroupList = serde_json::from_value(serde_json::json!({"items": [{
            "metadata": {"name": "autoscaling"},
            "versions": [
                {"version": "v2", "resources": [
                    {"resource": "hpas", "responseKind": {"kind": "HPA"}, "scope": "Namespaced", "verbs": ["get", "list"]},
                ]},
                {"version": "v1", "resources": [
                    {"resource": "hpas", "responseKind": {"kind": "HPA"}, "scope": "Namespaced", "verbs": ["get"]},
                    {"resource": "others", "responseKind": {"kind": "Other"}, "scope": "Cluster", "verbs": ["get"]},
                    {"resource": "groupings"},
                ]},
            ],
        }]}))
        .unwrap();
        let mut all = Vec::new();
        add(&mut all, list);
        let short: Vec<_> = all
            .iter()
            .map(|served| {
                (served.resource.api_version(), served.resource.plural.to_string(), served.resource.namespaced)
            })
            .collect();
        assert_eq!(
            short,
            [
                ("autoscaling/v2".to_owned(), "hpas".to_owned(), true),
                ("autoscaling/v1".to_owned(), "others".to_owned(), false)
            ]
        );
        assert!(all[0].can(&["get", "list"]) && !all[1].can(&["list"]));
    }

    #[test]
    fn scales_are_seen() {
        let list: GroupList = serde_json::from_value(serde_json::json!({"items": [{
            "metadata": {"name": "apps"},
            "versions": [{"version": "v1", "resources": [
                {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced",
                 "subresources": [{"subresource": "scale"}, {"subresource": "status"}]},
                {"resource": "daemonsets", "responseKind": {"kind": "DaemonSet"}, "scope": "Namespaced"},
            ]}],
        }]}))
        .unwrap();
        let mut all = Vec::new();
        scalable(&mut all, list);
        let told: Vec<_> = all.iter().map(|known| (known.resource.plural.as_ref(), known.has_scale)).collect();
        assert_eq!(told, [("deployments", true), ("daemonsets", false)]);
    }
}
