//! `scale`: the `autoscaling/v1` Scale of any row that names its three paths.

use bytes::Bytes;
use drydock_api::field::{FieldError, Path};
use drydock_api::meta::{self, Gvk};
use drydock_api::selector::Selector;
use drydock_api::{Status, patch, schema};
use drydock_component::serve::Body;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::body;
use crate::encode;
use crate::exchange::Exchange;
use crate::row::{Resource, Subresource};
use crate::server::Server;
use crate::verbs::patch::Patch;
use crate::verbs::update::{Change, change_object};
use crate::verbs::{get, wire_value};

/// Answers a GET.
pub(super) async fn get(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    paths: Subresource,
) -> Result<Response<Body>, Status> {
    let object = wire_value(row, &get::find(server, exchange, row).await?)?;
    answer(exchange, &scale_of(&object, paths))
}

/// Answers a PUT or PATCH.
pub(super) async fn change(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    paths: Subresource,
    bytes: &[u8],
) -> Result<Response<Body>, Status> {
    let Subresource::Scale { spec, .. } = paths else { return Err(Status::unknown_path()) };
    let gvk = Gvk::new("autoscaling", "v1", "Scale");
    let updating = exchange.info.verb == "update";
    let options = exchange.write_options(if updating { "UpdateOptions" } else { "PatchOptions" })?;
    let (put, wanted) = if updating {
        (Some(body::decode(exchange, bytes, &gvk, options.field_validation)?), None)
    } else {
        (None, Some(Patch::read(exchange, bytes)?))
    };
    let name = exchange.info.name.as_str();
    let change = Change { row, name, subresource: Some(paths), options: &options, managed: false };
    let make = |old: &Value| {
        let before = scale_of(old, paths);
        let scale = match (&put, &wanted) {
            (Some(scale), _) => scale.clone(),
            (_, Some(Patch::Strategic(value))) => {
                let ty = schema::table().by_gvk(&gvk).ok_or_else(|| Status::internal("Scale is not in the schema"))?;
                patch::strategic_merge(&before, value, ty)?
            }
            (_, Some(Patch::Apply(value))) => patch::merge_patch(&before, value)?,
            (_, Some(other)) => other.apply_to(&before, row)?,
            _ => before,
        };
        if updating && meta::name(&scale) != name {
            return Err(Status::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                meta::name(&scale)
            )));
        }
        let replicas = match scale.pointer("/spec/replicas") {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_i64().ok_or_else(|| {
                Status::bad_request("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32")
            })?,
        };
        if replicas < 0 {
            let error =
                FieldError::invalid(&Path::new("spec.replicas"), replicas, "must be greater than or equal to 0");
            return Err(Status::invalid("autoscaling", "Scale", name, vec![error]));
        }
        let mut new = old.clone();
        set_path(&mut new, spec, replicas.into());
        if let Some(metadata) = meta::metadata_mut(&mut new) {
            metadata.insert("resourceVersion".to_owned(), meta::resource_version(&scale).into());
        }
        if !meta::uid(&scale).is_empty() {
            meta::set_meta(&mut new, "uid", meta::uid(&scale).to_owned());
        }
        Ok(new)
    };
    let changed = change_object(server, exchange, &change, make).await?;
    answer(exchange, &scale_of(&wire_value(row, &changed)?, paths))
}

fn answer(exchange: &Exchange, scale: &Value) -> Result<Response<Body>, Status> {
    static ROW: Resource = Resource { group: "autoscaling", kind: "Scale", plural: "scales", ..Resource::BASE };
    encode::object(exchange, &ROW, StatusCode::OK, Bytes::from(serde_json::to_vec(scale).map_err(Status::internal)?))
}

/// Writes the number that a Scale wants into its object.
pub(crate) fn set_replicas(object: &mut Value, paths: Subresource, scale: &Value) {
    let Subresource::Scale { spec, .. } = paths else { return };
    set_path(object, spec, scale.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0).into());
}

/// The Scale of an object.
pub(crate) fn scale_of(object: &Value, paths: Subresource) -> Value {
    let Subresource::Scale { spec, status, selector } = paths else { return Value::Null };
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta::metadata(object).and_then(|metadata| metadata.get(key)) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let number = |path: &str| at(object, path).and_then(Value::as_i64);
    let mut wanted = Map::new();
    if let Some(replicas) = number(spec).filter(|replicas| *replicas != 0) {
        wanted.insert("replicas".to_owned(), replicas.into());
    }
    let mut observed = Map::new();
    observed.insert("replicas".to_owned(), number(status).unwrap_or(0).into());
    let text = at(object, selector).map(selector_text).unwrap_or_default();
    if !text.is_empty() {
        observed.insert("selector".to_owned(), text.into());
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": wanted, "status": observed})
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(object, |value, part| value.get(part))
        .filter(|_| !path.is_empty())
}

fn set_path(object: &mut Value, path: &str, value: Value) {
    let mut here = object;
    for part in path.split('.') {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = &mut here[part];
    }
    *here = value;
}

/// A selector of any of the three forms as text.
fn selector_text(selector: &Value) -> String {
    match selector {
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.contains_key("matchLabels") || fields.contains_key("matchExpressions") => {
            let labels = fields.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
            let mut requirements =
                Selector::from_pairs(labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or(""))))
                    .requirements()
                    .to_vec();
            let rest = json!({"matchExpressions": fields.get("matchExpressions")});
            requirements.extend(
                Selector::from_label_selector(&rest).map(|rest| rest.requirements().to_vec()).unwrap_or_default(),
            );
            Selector::from_requirements(requirements).to_string()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
            .collect::<Vec<_>>()
            .join(","),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: Subresource =
        Subresource::Scale { spec: "spec.replicas", status: "status.replicas", selector: "spec.selector" };

    #[test]
    fn a_scale_is_read_from_three_paths() {
        let object = json!({"metadata": {"name": "a", "labels": {}}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}}, "status": {"replicas": 2}});
        let scale = scale_of(&object, PATHS);
        assert_eq!(
            (&scale["spec"]["replicas"], &scale["status"]),
            (&json!(3), &json!({"replicas": 2, "selector": "a=b"}))
        );
        let mut object = json!({});
        set_path(&mut object, "spec.replicas", json!(5));
        assert_eq!(object, json!({"spec": {"replicas": 5}}));
    }
}
