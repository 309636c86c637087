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
}
