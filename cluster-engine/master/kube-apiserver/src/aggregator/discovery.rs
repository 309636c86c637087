//! The groups of others in our discovery documents. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Remote;

fn group_version(group: &str, version: &str) -> Value {
    json!({"groupVersion": format!("{group}/{version}"), "version": version})
}

/// Adds them to an APIGroupList (`/apis`).
pub(crate) fn add_to_list(list: &mut Value, remotes: &[Arc<Remote>]) {
    let Some(groups) = list["groups"].as_array_mut() else { return };
    for remote in remotes {
        let own = group_version(&remote.group, &remote.version);
        match groups.iter_mut().find(|group| group["name"] == remote.group.as_str()) {
            Some(group) => add_version(group, own),
            None => groups.push(json!({"name": remote.group, "versions": [own], "preferredVersion": own})),
        }
    }
}

fn add_version(group: &mut Value, own: Value) {
    if let Some(versions) = group["versions"].as_array_mut()
        && !versions.contains(&own)
    {
        versions.push(own);
    }
}

/// The APIGroup of one group (`/apis/<group>`), which we may have versions of ourselves.
pub(crate) fn group(found: Option<Value>, name: &str, remotes: &[Arc<Remote>]) -> Option<Value> {
    let mut out = found;
    for remote in remotes.iter().filter(|remote| remote.group == name) {
        let own = group_version(&remote.group, &remote.version);
        match &mut out {
            Some(group) => add_version(group, own),
            None => {
                out = Some(
                    json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [own], "preferredVersion": own}),
                );
            }
        }
    }
    out
}

/// Adds them to an aggregated document.
pub(crate) fn add_to_aggregated(document: &mut Value, remotes: &[Arc<Remote>]) {
    let Some(items) = document["items"].as_array_mut() else { return };
    for remote in remotes {
        let resources = remote.resources.as_ref().map(resources).unwrap_or_default();
        let freshness = if remote.available { "Current" } else { "Stale" };
        let own = json!({"version": remote.version, "resources": resources, "freshness": freshness});
        match items.iter_mut().find(|item| item["metadata"]["name"] == remote.group.as_str()) {
            Some(item) => {
                if let Some(versions) = item["versions"].as_array_mut() {
                    versions.push(own);
                }
            }
            None => {
                items.push(json!({"metadata": {"name": remote.group, "creationTimestamp": null}, "versions": [own]}))
            }
        }
    }
}

/// An APIResourceList's entries in the aggregated form: subresources below their resources.
fn resources(list: &Value) -> Vec<Value> {
    let (group, version) = list["groupVersion"].as_str().unwrap_or("").split_once('/').unwrap_or(("", ""));
    let entries: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
    let kind = |entry: &Value| {
        let text =
            |key: &str, other: &str| entry[key].as_str().filter(|text| !text.is_empty()).unwrap_or(other).to_owned();
        json!({"group": text("group", group), "version": text("version", version), "kind": entry["kind"]})
    };
    let mut out: Vec<Value> = Vec::new();
    for entry in &entries {
        let name = entry["name"].as_str().unwrap_or("");
        match name.split_once('/') {
            None => {
                let scope = if entry["namespaced"] == true { "Namespaced" } else { "Cluster" };
                let mut own = json!({"resource": name, "responseKind": kind(entry), "scope": scope,
                    "singularResource": entry["singularName"].as_str().unwrap_or(""), "verbs": entry["verbs"]});
                for key in ["shortNames", "categories"] {
                    if entry[key].is_array() {
                        own[key] = entry[key].clone();
                    }
                }
                out.push(own);
            }
            Some((owner, subresource)) => {
                let own = json!({"subresource": subresource, "responseKind": kind(entry), "verbs": entry["verbs"]});
                if let Some(owner) = out.iter_mut().find(|other| other["resource"] == owner) {
                    match owner["subresources"].as_array_mut() {
                        Some(list) => list.push(own),
                        None => owner["subresources"] = json!([own]),
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Vec<Arc<Remote>> {
        let list = json!({"groupVersion": "g.io/v1", "resources": [
            {"name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing", "verbs": ["get"], "shortNames": ["th"]},
            {"name": "things/status", "singularName": "", "namespaced": true, "kind": "Thing", "verbs": ["get"]}]});
        vec![Arc::new(Remote {
            group: "g.io".to_owned(),
            version: "v1".to_owned(),
            service: (String::new(), String::new(), 443),
            ca: None,
            insecure: true,
            available: true,
            resources: Some(list),
            openapi: None,
            swagger: None,
        })]
    }

    #[test]
    fn groups_of_others_are_listed() {
        let mut list = json!({"groups": [{"name": "apps", "versions": []}]});
        add_to_list(&mut list, &remote());
        assert_eq!(list["groups"][1]["preferredVersion"]["groupVersion"], "g.io/v1");
        assert_eq!(
            group(None, "g.io", &remote()).map(|group| group["versions"][0]["version"].clone()),
            Some(json!("v1"))
        );
        assert_eq!(group(None, "h.io", &remote()), None);
        let mut document = json!({"items": []});
        add_to_aggregated(&mut document, &remote());
        let thing = &document["items"][0]["versions"][0]["resources"][0];
        assert_eq!((&thing["scope"], &thing["shortNames"]), (&json!("Namespaced"), &json!(["th"])));
        assert_eq!(thing["subresources"][0]["subresource"], "status");
        assert_eq!(thing["responseKind"], json!({"group": "g.io", "version": "v1", "kind": "Thing"}));
    }
}
