//! The OpenAPI documents clients read: v3 per group version, and the v2 (swagger) document of everything.
//!
//! kubectl needs more of them than shapes: PATCH operations with their kind, the `fieldValidation` parameter and the strategic merge content type decide
//! how it validates and applies; `x-kubernetes-patch-merge-key` decides what it removes. Documents are written part by part, because the core group's
//! is large: [`write_v3`] and [`write_v2`] never hold more than one schema as a tree.

mod custom;
mod foreign;
mod operations;
mod protobuf;
mod schemas;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};

pub use foreign::{Part, cut};
pub use protobuf::write_v2_protobuf;

use crate::KUBERNETES_VERSION;
use crate::meta::Gvk;
use crate::schema::{Descriptions, table};

/// A resource (or subresource) with the verbs it answers, from which paths and operations follow.
#[derive(Clone, Debug)]
pub struct PathSpec {
    /// The kind that bodies hold; for a subresource its own kind (`Scale`, `Eviction` …).
    pub gvk: Gvk,
    /// The group of the path.
    pub group: String,
    /// The version of the path.
    pub version: String,
    /// The plural name.
    pub plural: String,
    /// `status`, `scale` …; empty for the resource itself.
    pub subresource: String,
    /// Lives in namespaces.
    pub namespaced: bool,
    /// The verbs served: `create`, `get`, `list`, `watch`, `update`, `patch`, `delete`, `deletecollection`, and for proxies `connect`.
    pub verbs: Vec<String>,
    /// The schema of a custom kind (`openAPIV3Schema`); `None` for built-in kinds.
    pub schema: Option<Value>,
}

/// Which document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

impl Dialect {
    fn reference(self, name: &str) -> Value {
        let base = if self == Self::V2 { "#/definitions/" } else { "#/components/schemas/" };
        json!({"$ref": format!("{base}{name}")})
    }
}

/// The v3 document of one group version as a tree. Prefer [`write_v3`].
pub fn v3(group: &str, version: &str, specs: &[PathSpec]) -> Value {
    let mut out = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_v3(&mut out, group, version, specs);
    serde_json::from_slice(&out).unwrap_or_default()
}

/// The v2 (swagger) document of all specs as a tree. Prefer [`write_v2`].
pub fn v2(specs: &[PathSpec]) -> Value {
    let mut out = Vec::new();
    let _ = write_v2(&mut out, specs, Vec::new());
    serde_json::from_slice(&out).unwrap_or_default()
}

/// Writes the v3 document of one group version. Only the specs of that group version count.
///
/// # Errors
/// Those of the writer.
pub fn write_v3(out: &mut impl Write, group: &str, version: &str, specs: &[PathSpec]) -> io::Result<()> {
    let specs: Vec<&PathSpec> = specs.iter().filter(|spec| spec.group == group && spec.version == version).collect();
    write!(
        out,
        "{{\"openapi\":\"3.0.0\",\"info\":{{\"title\":\"Kubernetes\",\"version\":\"{KUBERNETES_VERSION}\"}},\"paths\":{{"
    )?;
    let mut first = true;
    let (name, item) = operations::discovery(Dialect::V3, group, version);
    write_member(out, &mut first, &name, &item)?;
    each_path(Dialect::V3, &specs, &mut |path, item| write_member(out, &mut first, path, item))?;
    write!(out, "}},\"components\":{{\"schemas\":{{")?;
    first = true;
    each_schema(Dialect::V3, &specs, &mut |name, schema| write_member(out, &mut first, name, schema))?;
    write!(out, "}},\"securitySchemes\":{{\"BearerToken\":{}}}}}}}", security())
}

/// Writes the v2 (swagger) document of all specs and of the groups that other servers answer for.
///
/// # Errors
/// Those of the writer.
pub fn write_v2(out: &mut impl Write, specs: &[PathSpec], others: Vec<Part>) -> io::Result<()> {
    let specs: Vec<&PathSpec> = specs.iter().collect();
    write!(
        out,
        "{{\"swagger\":\"2.0\",\"info\":{{\"title\":\"Kubernetes\",\"version\":\"{KUBERNETES_VERSION}\"}},\"definitions\":{{"
    )?;
    // Definitions come first, because those of others may be renamed, and with them what their paths refer to.
    let (mut first, mut merge) = (true, foreign::Merge::new(others));
    each_schema(Dialect::V2, &specs, &mut |name, schema| {
        let merged = merge.own(name, schema);
        write_member(out, &mut first, name, merged.as_ref().unwrap_or(schema))
    })?;
    let mut rest = merge.rest();
    rest.definitions().try_for_each(|(name, schema)| write_member(out, &mut first, name, schema))?;
    write!(out, "}},\"parameters\":{{")?;
    first = true;
    rest.parameters().try_for_each(|(name, parameter)| write_member(out, &mut first, name, parameter))?;
    write!(out, "}},\"paths\":{{")?;
    first = true;
    let versions: BTreeSet<(&str, &str)> =
        specs.iter().map(|spec| (spec.group.as_str(), spec.version.as_str())).collect();
    for (group, version) in versions {
        let (name, item) = operations::discovery(Dialect::V2, group, version);
        rest.own_path(&name);
        write_member(out, &mut first, &name, &item)?;
    }
    each_path(Dialect::V2, &specs, &mut |path, item| {
        rest.own_path(path);
        write_member(out, &mut first, path, item)
    })?;
    rest.paths().try_for_each(|(path, item)| write_member(out, &mut first, path, item))?;
    write!(out, "}},\"securityDefinitions\":{{\"BearerToken\":{}}},\"security\":[{{\"BearerToken\":[]}}]}}", security())
}

fn security() -> Value {
    json!({"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"})
}

fn write_member(out: &mut impl Write, first: &mut bool, key: &str, value: &Value) -> io::Result<()> {
    if !std::mem::replace(first, false) {
        out.write_all(b",")?;
    }
    serde_json::to_writer(&mut *out, key)?;
    out.write_all(b":")?;
    serde_json::to_writer(&mut *out, value)?;
    Ok(())
}

/// Takes one finished part of a document.
type Sink<'a> = &'a mut dyn FnMut(&str, &Value) -> io::Result<()>;

/// The paths, one after the other: a resource's collection, its items, and each subresource.
fn each_path(dialect: Dialect, specs: &[&PathSpec], sink: Sink<'_>) -> io::Result<()> {
    let mut paths: BTreeMap<String, Vec<(&PathSpec, operations::Place)>> = BTreeMap::new();
    for spec in specs {
        for (path, place) in operations::places(spec) {
            paths.entry(path).or_default().push((spec, place));
        }
    }
    for (path, here) in paths {
        sink(&path, &operations::path_item(dialect, &here))?;
    }
    Ok(())
}

/// Every schema that the paths lead to, one after the other.
fn each_schema(dialect: Dialect, specs: &[&PathSpec], sink: Sink<'_>) -> io::Result<()> {
    let mut wanted: Vec<String> = ["APIResourceList", "DeleteOptions", "Status", "Patch", "WatchEvent"]
        .map(|kind| format!("{}.{kind}", schemas::META))
        .to_vec();
    let mut custom: BTreeMap<String, Value> = BTreeMap::new();
    for spec in specs {
        if let (Some(schema), true) = (&spec.schema, spec.subresource.is_empty()) {
            for (name, schema) in custom::schemas(dialect, spec, schema) {
                custom.insert(name, schema);
            }
            wanted.extend(["ObjectMeta", "ListMeta"].map(|kind| format!("{}.{kind}", schemas::META)));
        } else if let Some(ty) = table().by_gvk(&spec.gvk) {
            wanted.push(ty.name().to_owned());
            let list = Gvk::new(&spec.gvk.group, &spec.gvk.version, format!("{}List", spec.gvk.kind));
            if let (Some(list), true) = (table().by_gvk(&list), spec.verbs.iter().any(|verb| verb == "list")) {
                wanted.push(list.name().to_owned());
            }
        }
    }
    let (mut descriptions, kinds) = (Descriptions::new(), schemas::Kinds::new());
    for name in schemas::reachable(wanted) {
        if let Some(ty) = table().by_name(&name) {
            sink(&name, &schemas::definition(dialect, ty, &mut descriptions, &kinds))?;
        }
    }
    custom.iter().try_for_each(|(name, schema)| sink(name, schema))
}
