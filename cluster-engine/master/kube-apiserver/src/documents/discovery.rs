//! Discovery documents: aggregated (v2, v2beta1) and the older one per group and version.

use serde_json::{Value, json};

use super::verbs_of;
use crate::row::{Resource, Subresource};
use crate::server::Server;

/// The aggregated form that the client prefers, if it names one before plain JSON.
pub(super) fn aggregated_version(accept: &str) -> Option<&'static str> {
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        if parts.next() != Some("application/json") {
            continue;
        }
        let parts: Vec<&str> = parts.collect();
        if !parts.iter().any(|part| part.starts_with("as=")) {
            return None;
        }
        if !parts.contains(&"as=APIGroupDiscoveryList") || !parts.contains(&"g=apidiscovery.k8s.io") {
            continue;
        }
        if parts.contains(&"v=v2") {
            return Some("v2");
        }
        if parts.contains(&"v=v2beta1") {
            return Some("v2beta1");
        }
    }
    None
}

/// The content type of an aggregated answer.
pub(super) fn media_type(version: &str) -> &'static str {
    if version == "v2" {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    }
}

/// Groups in order, each with its versions in order of preference.
pub(super) fn groups(rows: &[&'static Resource]) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(group, _)| *group == row.group) {
            Some((_, versions)) if versions.contains(&row.version) => {}
            Some((_, versions)) => versions.push(row.version),
            None => groups.push((row.group, vec![row.version])),
        }
    }
    for (_, versions) in &mut groups {
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
    }
    groups
}

/// Upstream's order of versions: `v2` over `v1` over `v1beta1` over `v1alpha1`.
pub(crate) fn priority(version: &str) -> (u32, u32, u32) {
    let rest = version.strip_prefix('v').unwrap_or("");
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..digits].parse().unwrap_or(0);
    let (level, minor) = match &rest[digits..] {
        "" => (3, 0),
        tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor.parse().unwrap_or(0)),
            (_, Some(minor)) => (1, minor.parse().unwrap_or(0)),
            _ => (0, 0),
        },
    };
    (level, major, minor)
}

/// The aggregated document of the core group (`/api`) or of all others (`/apis`).
pub(super) fn aggregated(rows: &[&'static Resource], core: bool, version: &str) -> Value {
    let items: Vec<Value> = groups(rows)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> = rows
                        .iter()
                        .filter(|row| row.group == group && row.version == version)
                        .map(|row| resource(row))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group, "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items})
}

fn resource(row: &Resource) -> Value {
    let mut out = json!({
        "resource": row.plural,
        "responseKind": {"group": row.group, "version": row.version, "kind": row.kind},
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular,
        "verbs": row.verbs.names(),
    });
    if !row.short_names.is_empty() {
        out["shortNames"] = json!(row.short_names);
    }
    if !row.categories.is_empty() {
        out["categories"] = json!(row.categories);
    }
    let mut subresources: Vec<Subresource> = row.subresources.to_vec();
    subresources.sort_by_key(|subresource| subresource.name());
    if !subresources.is_empty() {
        let list: Vec<Value> = subresources
            .iter()
            .map(|subresource| {
                let (group, version, kind) = kind_of(row, *subresource);
                json!({"subresource": subresource.name(), "responseKind": {"group": group, "version": version, "kind": kind}, "verbs": verbs_of(*subresource)})
            })
            .collect();
        out["subresources"] = json!(list);
    }
    out
}

/// Group, version and kind of a subresource's body.
pub(super) fn kind_of(row: &Resource, subresource: Subresource) -> (&'static str, &'static str, &'static str) {
    match subresource {
        Subresource::Scale { .. } => ("autoscaling", "v1", "Scale"),
        Subresource::Eviction => ("policy", "v1", "Eviction"),
        Subresource::Token => ("authentication.k8s.io", "v1", "TokenRequest"),
        Subresource::Binding => ("", "v1", "Binding"),
        Subresource::Exec => ("", "v1", "PodExecOptions"),
        Subresource::Attach => ("", "v1", "PodAttachOptions"),
        Subresource::PortForward => ("", "v1", "PodPortForwardOptions"),
        Subresource::Proxy => match row.plural {
            "pods" => ("", "v1", "PodProxyOptions"),
            "services" => ("", "v1", "ServiceProxyOptions"),
            _ => ("", "v1", "NodeProxyOptions"),
        },
        _ => (row.group, row.version, row.kind),
    }
}

/// The document of `/api`, `/apis`, `/apis/<group>`, `/api/v1` or `/apis/<group>/<version>`.
pub(super) fn legacy(rows: &[&'static Resource], path: &str, server: &Server) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["api"] => {
            let address = server
                .options
                .advertise_address
                .map_or_else(String::new, |address| format!("{address}:{}", server.options.secure_port));
            Some(
                json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]}),
            )
        }
        ["api", version] => list(rows, "", version),
        ["apis"] => {
            let groups: Vec<Value> = groups(rows)
                .iter()
                .filter(|(group, _)| !group.is_empty())
                .map(|(group, versions)| group_value(group, versions))
                .collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", group] => {
            let groups = groups(rows);
            let (group, versions) = groups.iter().find(|(own, _)| *own == group && !own.is_empty())?;
            let mut value = group_value(group, versions);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            Some(value)
        }
        ["apis", group, version] => list(rows, group, version),
        _ => None,
    }
}

fn group_value(group: &str, versions: &[&str]) -> Value {
    let version = |version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": versions.iter().map(|each| version(each)).collect::<Vec<_>>(), "preferredVersion": version(versions.first().copied().unwrap_or(""))})
}

fn list(rows: &[&'static Resource], group: &str, version: &str) -> Option<Value> {
    let rows: Vec<_> = rows.iter().filter(|row| row.group == group && row.version == version).collect();
    if rows.is_empty() {
        return None;
    }
    let mut resources = Vec::new();
    for row in rows {
        let mut value = json!({"name": row.plural, "singularName": row.singular, "namespaced": row.namespaced, "kind": row.kind, "verbs": row.verbs.names()});
        if !row.short_names.is_empty() {
            value["shortNames"] = json!(row.short_names);
        }
        if !row.categories.is_empty() {
            value["categories"] = json!(row.categories);
        }
        if row.stored() {
            value["storageVersionHash"] = storage_hash(row).into();
        }
        resources.push(value);
        let mut subresources: Vec<Subresource> = row.subresources.to_vec();
        subresources.sort_by_key(|subresource| subresource.name());
        for subresource in subresources {
            let (group, version, kind) = kind_of(row, subresource);
            let mut value = json!({"name": format!("{}/{}", row.plural, subresource.name()), "singularName": "", "namespaced": row.namespaced, "kind": kind, "verbs": verbs_of(subresource)});
            if (group, version) != (row.group, row.version) {
                value["group"] = group.into();
                value["version"] = version.into();
            }
            resources.push(value);
        }
    }
    let group_version = drydock_api::meta::api_version(group, version);
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}

/// Upstream's StorageVersionHash: the first eight bytes of SHA-256 of `group/version/kind`, in base64.
fn storage_hash(row: &Resource) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let (group, version) =
        if row.storage_version.1.is_empty() { (row.group, row.version) } else { row.storage_version };
    let digest = sha2::Sha256::digest(format!("{group}/{version}/{}", row.kind));
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_choose_their_form() {
        let modern = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(aggregated_version(modern), Some("v2"));
        assert_eq!(
            aggregated_version(
                "application/json;as=APIGroupDiscoveryList;v=v2beta1;g=apidiscovery.k8s.io,application/json"
            ),
            Some("v2beta1")
        );
        assert_eq!(aggregated_version("application/json"), None);
    }

    #[test]
    fn stable_versions_come_first() {
        let mut versions = ["v1alpha1", "v1", "v2beta1", "v2", "v1beta2"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v2", "v1", "v2beta1", "v1beta2", "v1alpha1"]);
    }
}
