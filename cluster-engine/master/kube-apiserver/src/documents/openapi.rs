//! OpenAPI documents, from the schema table and the rows' paths.

use std::io::{self, Write};

use drydock_api::meta::Gvk;
use drydock_api::openapi::{self, Part, PathSpec};
use serde_json::{Map, Value, json};
use sha2::Digest as _;

use super::discovery::{groups, kind_of};
use crate::row::{Resource, Subresource};

/// What discovery says a subresource can do.
pub(crate) fn verbs_of(subresource: Subresource) -> &'static [&'static str] {
    use Subresource::*;
    match subresource {
        Status | Scale { .. } | Approval | EphemeralContainers | Resize => &["get", "patch", "update"],
        Binding | Eviction | Token => &["create"],
        Log => &["get"],
        Exec | Attach | PortForward => &["create", "get"],
        Proxy => &["create", "delete", "get", "patch", "update"],
        Finalize => &["update"],
    }
}

fn specs(rows: &[&'static Resource]) -> Vec<PathSpec> {
    let mut specs = Vec::new();
    for row in rows {
        let spec = |gvk: Gvk, subresource: &str, verbs: Vec<String>| PathSpec {
            gvk,
            group: row.group.to_owned(),
            version: row.version.to_owned(),
            plural: row.plural.to_owned(),
            subresource: subresource.to_owned(),
            namespaced: row.namespaced,
            verbs,
            schema: row.custom.map(published),
        };
        specs.push(spec(
            Gvk::new(row.group, row.version, row.kind),
            "",
            row.verbs.names().into_iter().map(str::to_owned).collect(),
        ));
        for subresource in row.subresources {
            let (group, version, kind) = kind_of(row, *subresource);
            let verbs = match subresource {
                Subresource::Exec | Subresource::Attach | Subresource::PortForward | Subresource::Proxy => {
                    vec!["connect".to_owned()]
                }
                other => verbs_of(*other).iter().map(|verb| (*verb).to_owned()).collect(),
            };
            specs.push(spec(Gvk::new(group, version, kind), subresource.name(), verbs));
        }
    }
    specs
}

/// The schema of a custom kind with what clients can select by.
fn published(custom: &crate::custom::CustomKind) -> Value {
    let mut schema = custom.schema.clone();
    if let Some(own) = schema.as_object_mut().filter(|_| !custom.selectable.is_empty()) {
        let fields = custom.selectable.iter().map(|(name, _)| json!({"fieldPath": name})).collect();
        own.insert("x-kubernetes-selectable-fields".to_owned(), Value::Array(fields));
    }
    schema
}

/// Names of the v3 documents: `api/v1`, `apis/apps/v1` …
pub(super) fn names(rows: &[&'static Resource]) -> Vec<String> {
    groups(rows)
        .into_iter()
        .flat_map(|(group, versions)| versions.into_iter().map(move |version| name(group, version)))
        .collect()
}

fn name(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The hash in a document's address. It stands for the document without making it: the schema is this build's, the paths are the rows'.
pub(super) fn hash(rows: &[&'static Resource], name: &str) -> String {
    let version = (drydock_api::KUBERNETES_VERSION, env!("CARGO_PKG_VERSION"));
    let text = format!("{version:?} {name} {:?}", specs(&of_version(rows, name)));
    sha2::Sha512::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The index: each document with the hash in its address.
pub(super) fn index(rows: &[&'static Resource]) -> Value {
    let paths = names(rows).into_iter().map(|name| {
        let address = format!("/openapi/v3/{name}?hash={}", hash(rows, &name));
        (name, json!({"serverRelativeURL": address}))
    });
    json!({"paths": paths.collect::<Map<_, _>>()})
}

fn group_version(name: &str) -> (&str, &str) {
    let mut parts = name.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some(group), Some(version)) => (group, version),
        (Some(version), None) => ("", version),
        _ => ("", ""),
    }
}

fn of_version(rows: &[&'static Resource], name: &str) -> Vec<&'static Resource> {
    let (group, version) = group_version(name);
    rows.iter().copied().filter(|row| row.group == group && row.version == version).collect()
}

/// Writes one group version's document.
pub(super) fn v3(out: &mut dyn Write, rows: &[&'static Resource], name: &str) -> io::Result<()> {
    let (group, version) = group_version(name);
    let mut out = out;
    openapi::write_v3(&mut out, group, version, &specs(&of_version(rows, name)))
}

/// Writes the v2 document, the parts of other servers included.
pub(super) fn v2(out: &mut dyn Write, rows: &[&'static Resource], others: Vec<Part>, protobuf: bool) -> io::Result<()> {
    let mut out = out;
    if protobuf {
        openapi::write_v2_protobuf(&mut out, &specs(rows), others)
    } else {
        openapi::write_v2(&mut out, &specs(rows), others)
    }
}
