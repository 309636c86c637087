//! Paths and operations.

use serde_json::{Map, Value, json};

use super::schemas::META;
use super::{Dialect, PathSpec, custom};
use crate::meta::Gvk;
use crate::schema::table;

/// Which of a resource's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// All objects, in one namespace if there are namespaces.
    Collection,
    /// All objects of all namespaces.
    AllNamespaces,
    /// One object, or a subresource of one.
    Item,
    /// Below one object: `proxy/{path}`.
    Below,
}

/// The folder of a group version: `/api/v1` or `/apis/apps/v1`.
fn base(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// The path that lists a group version's resources.
pub(super) fn discovery(dialect: Dialect, group: &str, version: &str) -> (String, Value) {
    let operation = json!({
        "tags": [tag(group, version)], "description": "get available resources", "operationId": format!("get{}{}APIResources", camel(group), upper(version)),
        "responses": responses(dialect, &[200], &dialect.reference(&format!("{META}.APIResourceList"))),
    });
    (format!("{}/", base(group, version)), json!({"get": with_media(dialect, operation)}))
}

/// The paths of a spec.
pub(super) fn places(spec: &PathSpec) -> Vec<(String, Place)> {
    let base = base(&spec.group, &spec.version);
    let all = format!("{base}/{}", spec.plural);
    let collection =
        if spec.namespaced { format!("{base}/namespaces/{{namespace}}/{}", spec.plural) } else { all.clone() };
    let has = |verbs: &[&str]| spec.verbs.iter().any(|verb| verbs.contains(&verb.as_str()));
    let mut out = Vec::new();
    if !spec.subresource.is_empty() {
        let path = format!("{collection}/{{name}}/{}", spec.subresource);
        if spec.subresource == "proxy" {
            out.push((format!("{path}/{{path}}"), Place::Below));
        }
        out.push((path, Place::Item));
        return out;
    }
    if has(&["create", "list", "deletecollection"]) {
        out.push((collection.clone(), Place::Collection));
    }
    if spec.namespaced && has(&["list"]) {
        out.push((all, Place::AllNamespaces));
    }
    if has(&["get", "update", "patch", "delete"]) {
        out.push((format!("{collection}/{{name}}"), Place::Item));
    }
    out
}

/// The operations of one path.
pub(super) fn path_item(dialect: Dialect, here: &[(&PathSpec, Place)]) -> Value {
    let mut item = Map::new();
    for (spec, place) in here {
        for (method, action, verb) in methods(spec, *place) {
            item.insert(method.to_owned(), operation(dialect, spec, *place, method, action, verb));
        }
        let mut parameters = Vec::new();
        if matches!(place, Place::Item | Place::Below) {
            parameters.push(path_parameter(dialect, "name", &format!("name of the {}", spec.gvk.kind)));
        }
        if spec.namespaced && *place != Place::AllNamespaces {
            parameters.push(path_parameter(
                dialect,
                "namespace",
                "object name and auth scope, such as for teams and projects",
            ));
        }
        if *place == Place::Below {
            parameters.push(path_parameter(dialect, "path", "path to the resource"));
        }
        parameters.push(query(dialect, "pretty"));
        item.insert("parameters".to_owned(), Value::Array(parameters));
    }
    Value::Object(item)
}

/// Method, `x-kubernetes-action` and the word that operation ids use.
fn methods(spec: &PathSpec, place: Place) -> Vec<(&'static str, &'static str, &'static str)> {
    let has = |verb: &str| spec.verbs.iter().any(|v| v == verb);
    if has("connect") {
        return ["get", "put", "post", "delete", "options", "head", "patch"]
            .into_iter()
            .filter(|method| spec.subresource == "proxy" || matches!(*method, "get" | "post"))
            .map(|method| (method, "connect", "connect"))
            .collect();
    }
    let rows: &[(&str, &str, &str, &str)] = match (place, spec.subresource.is_empty()) {
        (Place::Collection, _) => &[
            ("list", "get", "list", "list"),
            ("create", "post", "post", "create"),
            ("deletecollection", "delete", "deletecollection", "delete"),
        ],
        (Place::AllNamespaces, _) => &[("list", "get", "list", "list")],
        (_, true) => &[
            ("get", "get", "get", "read"),
            ("update", "put", "put", "replace"),
            ("patch", "patch", "patch", "patch"),
            ("delete", "delete", "delete", "delete"),
        ],
        (_, false) => &[
            ("get", "get", "get", "read"),
            ("update", "put", "put", "replace"),
            ("patch", "patch", "patch", "patch"),
            ("create", "post", "post", "create"),
            ("delete", "delete", "delete", "delete"),
        ],
    };
    rows.iter().filter(|(verb, ..)| has(verb)).map(|(_, method, action, word)| (*method, *action, *word)).collect()
}

fn operation(dialect: Dialect, spec: &PathSpec, place: Place, method: &str, action: &str, word: &str) -> Value {
    let kind = &spec.gvk.kind;
    let body = dialect.reference(&schema_name(spec, &spec.gvk));
    let answer = match action {
        "list" => {
            dialect.reference(&schema_name(spec, &Gvk::new(&spec.gvk.group, &spec.gvk.version, format!("{kind}List"))))
        }
        "delete" | "deletecollection" => dialect.reference(&format!("{META}.Status")),
        "connect" => json!({"type": "string"}),
        _ => body.clone(),
    };
    let codes: &[u16] = match action {
        "post" => &[200, 201, 202],
        "put" | "patch" => &[200, 201],
        "delete" => &[200, 202],
        _ => &[200],
    };
    let mut out = Map::new();
    out.insert("tags".to_owned(), json!([tag(&spec.group, &spec.version)]));
    out.insert("description".to_owned(), describe(spec, action).into());
    out.insert("operationId".to_owned(), operation_id(spec, place, method, action, word).into());
    out.insert("responses".to_owned(), responses(dialect, codes, &answer));
    out.insert("x-kubernetes-action".to_owned(), action.into());
    out.insert(
        "x-kubernetes-group-version-kind".to_owned(),
        json!({"group": spec.gvk.group, "kind": kind, "version": spec.gvk.version}),
    );
    let mut parameters: Vec<Value> = parameters(action).iter().map(|name| query(dialect, name)).collect();
    let strategic = spec.schema.is_none() && table().by_gvk(&spec.gvk).is_some();
    let body = match action {
        "post" | "put" => Some((vec!["*/*"], body)),
        "patch" => Some((patch_types(strategic), dialect.reference(&format!("{META}.Patch")))),
        "delete" | "deletecollection" => Some((vec!["*/*"], dialect.reference(&format!("{META}.DeleteOptions")))),
        _ => None,
    };
    let required = !action.starts_with("delete");
    match (body, dialect) {
        (Some((types, schema)), Dialect::V3) => {
            let content: Map<String, Value> =
                types.into_iter().map(|media| (media.to_owned(), json!({"schema": schema}))).collect();
            let mut body = json!({"content": content});
            if required {
                body["required"] = true.into();
            }
            out.insert("requestBody".to_owned(), body);
        }
        (Some((types, schema)), Dialect::V2) => {
            let mut parameter = json!({"name": "body", "in": "body", "schema": schema});
            if required {
                parameter["required"] = true.into();
            }
            parameters.insert(0, parameter);
            out.insert("consumes".to_owned(), json!(types));
        }
        (None, _) => {}
    }
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), Value::Array(parameters));
    }
    with_media(dialect, Value::Object(out))
}

/// The schema of a kind, custom or built in.
fn schema_name(spec: &PathSpec, gvk: &Gvk) -> String {
    match (table().by_gvk(gvk), &spec.schema) {
        (Some(ty), _) => ty.name().to_owned(),
        (None, Some(_)) => custom::name(&PathSpec { gvk: gvk.clone(), schema: None, ..spec.clone() }),
        (None, None) => format!("{META}.Status"),
    }
}

fn patch_types(strategic: bool) -> Vec<&'static str> {
    let mut types = vec!["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
    if strategic {
        types.insert(2, "application/strategic-merge-patch+json");
    }
    types
}

/// Swagger names the media types per operation.
fn with_media(dialect: Dialect, mut operation: Value) -> Value {
    if let (Dialect::V2, Value::Object(out)) = (dialect, &mut operation) {
        out.insert("produces".to_owned(), json!(["application/json", "application/yaml"]));
        out.insert("schemes".to_owned(), json!(["https"]));
        out.entry("consumes").or_insert_with(|| json!(["*/*"]));
    }
    operation
}

fn responses(dialect: Dialect, codes: &[u16], schema: &Value) -> Value {
    let mut out = Map::new();
    for code in codes {
        let text = match code {
            201 => "Created",
            202 => "Accepted",
            _ => "OK",
        };
        let response = match dialect {
            Dialect::V2 => json!({"description": text, "schema": schema}),
            Dialect::V3 => {
                let media = json!({"schema": schema});
                json!({"description": text, "content": {"application/json": media.clone(), "application/yaml": media}})
            }
        };
        out.insert(code.to_string(), response);
    }
    out.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    Value::Object(out)
}

fn describe(spec: &PathSpec, action: &str) -> String {
    let kind = &spec.gvk.kind;
    let of = if spec.subresource.is_empty() { String::new() } else { format!("{} of ", spec.subresource) };
    match action {
        "list" => format!("list or watch objects of kind {kind}"),
        "get" => format!("read {of}the specified {kind}"),
        "post" => format!("create {of}a {kind}"),
        "put" => format!("replace {of}the specified {kind}"),
        "patch" => format!("partially update {of}the specified {kind}"),
        "delete" => format!("delete a {kind}"),
        "deletecollection" => format!("delete collection of {kind}"),
        _ => format!("connect requests to {} of {}", spec.subresource, spec.plural),
    }
}

fn operation_id(spec: &PathSpec, place: Place, method: &str, action: &str, word: &str) -> String {
    let group = camel(&spec.group);
    let version = upper(&spec.version);
    let method = if action == "connect" { upper(method) } else { String::new() };
    let collection = if action == "deletecollection" { "Collection" } else { "" };
    let scope = if spec.namespaced && place != Place::AllNamespaces { "Namespaced" } else { "" };
    let suffix = match place {
        Place::AllNamespaces => "ForAllNamespaces".to_owned(),
        Place::Below => format!("{}WithPath", upper(&spec.subresource)),
        _ => upper(&spec.subresource),
    };
    let owner = if spec.subresource.is_empty() { spec.gvk.kind.clone() } else { singular(spec) };
    format!("{word}{group}{version}{method}{collection}{scope}{owner}{suffix}")
}

/// A subresource's operations are named after its owner's kind, which the spec does not hold; the plural is close and unique.
fn singular(spec: &PathSpec) -> String {
    let owner = table().gvks().find(|(gvk, _)| {
        gvk.group == spec.group
            && gvk.version == spec.version
            && spec.plural.strip_suffix('s').is_some_and(|name| gvk.kind.eq_ignore_ascii_case(name))
    });
    owner.map_or_else(|| upper(spec.plural.trim_end_matches('s')), |(gvk, _)| gvk.kind)
}

fn camel(group: &str) -> String {
    if group.is_empty() {
        return "Core".to_owned();
    }
    group.strip_suffix(".k8s.io").unwrap_or(group).split(['.', '-']).map(upper).collect()
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn tag(group: &str, version: &str) -> String {
    let mut name = camel(group);
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    format!("{name}_{version}")
}

fn parameters(action: &str) -> &'static [&'static str] {
    match action {
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "list" => &[
            "allowWatchBookmarks",
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "resourceVersion",
            "resourceVersionMatch",
            "sendInitialEvents",
            "timeoutSeconds",
            "watch",
        ],
        "delete" => &[
            "dryRun",
            "gracePeriodSeconds",
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            "orphanDependents",
            "propagationPolicy",
        ],
        "deletecollection" => &[
            "continue",
            "dryRun",
            "fieldSelector",
            "gracePeriodSeconds",
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            "labelSelector",
            "limit",
            "orphanDependents",
            "propagationPolicy",
            "resourceVersion",
            "resourceVersionMatch",
            "sendInitialEvents",
            "timeoutSeconds",
        ],
        _ => &[],
    }
}

fn path_parameter(dialect: Dialect, name: &str, description: &str) -> Value {
    typed(dialect, json!({"name": name, "in": "path", "required": true, "description": description}), "string")
}

fn typed(dialect: Dialect, mut parameter: Value, kind: &str) -> Value {
    match dialect {
        Dialect::V2 => {
            parameter["type"] = kind.into();
            parameter["uniqueItems"] = true.into();
        }
        Dialect::V3 => parameter["schema"] = json!({"type": kind, "uniqueItems": true}),
    }
    parameter
}

fn query(dialect: Dialect, name: &str) -> Value {
    let (kind, description) = match name {
        "pretty" => (
            "string",
            "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget).",
        ),
        "dryRun" => (
            "string",
            "When present, indicates that modifications should not be persisted. An invalid or unrecognized dryRun directive will result in an error response and no further processing of the request. Valid values are: - All: all dry run stages will be processed",
        ),
        "fieldManager" => (
            "string",
            "fieldManager is a name associated with the actor or entity that is making these changes. The value must be less than or 128 characters long, and only contain printable characters, as defined by https://golang.org/pkg/unicode/#IsPrint.",
        ),
        "fieldValidation" => (
            "string",
            "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) containing unknown or duplicate fields. Valid values are: - Ignore, - Warn, - Strict.",
        ),
        "force" => (
            "boolean",
            "Force is going to \"force\" Apply requests. It means user will re-acquire conflicting fields owned by other people. Force flag must be unset for non-apply patch requests.",
        ),
        "allowWatchBookmarks" => ("boolean", "allowWatchBookmarks requests watch events with type \"BOOKMARK\"."),
        "continue" => ("string", "The continue option should be set when retrieving more results from the server."),
        "fieldSelector" => {
            ("string", "A selector to restrict the list of returned objects by their fields. Defaults to everything.")
        }
        "labelSelector" => {
            ("string", "A selector to restrict the list of returned objects by their labels. Defaults to everything.")
        }
        "limit" => ("integer", "limit is a maximum number of responses to return for a list call."),
        "resourceVersion" => {
            ("string", "resourceVersion sets a constraint on what resource versions a request may be served from.")
        }
        "resourceVersionMatch" => {
            ("string", "resourceVersionMatch determines how resourceVersion is applied to list calls.")
        }
        "sendInitialEvents" => (
            "boolean",
            "`sendInitialEvents=true` may be set together with `watch=true`. In that case, the watch stream will begin with synthetic events to produce the current state of objects in the collection.",
        ),
        "timeoutSeconds" => (
            "integer",
            "Timeout for the list/watch call. This limits the duration of the call, regardless of any activity or inactivity.",
        ),
        "watch" => (
            "boolean",
            "Watch for changes to the described resources and return them as a stream of add, update, and remove notifications. Specify resourceVersion.",
        ),
        "gracePeriodSeconds" => (
            "integer",
            "The duration in seconds before the object should be deleted. Value must be non-negative integer. The value zero indicates delete immediately.",
        ),
        "orphanDependents" => (
            "boolean",
            "Deprecated: please use the PropagationPolicy, this field will be deprecated in 1.7. Should the dependent objects be orphaned.",
        ),
        "propagationPolicy" => (
            "string",
            "Whether and how garbage collection will be performed. Acceptable values are: 'Orphan', 'Background', 'Foreground'.",
        ),
        _ => (
            "boolean",
            "if set to true, it will trigger an unsafe deletion of the resource in case the normal deletion flow fails with a corrupt object error.",
        ),
    };
    typed(dialect, json!({"name": name, "in": "query", "description": description}), kind)
}
