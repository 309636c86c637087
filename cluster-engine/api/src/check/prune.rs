//! Taking out of a custom resource what its structural schema does not know.

use serde_json::Value;

use crate::schema::{Kind, Shape, Type, table};

/// Removes members that `ty` does not know, except where the schema preserves them. Gives `unknown field "…"` per member, sorted by path.
pub fn prune(value: &mut Value, ty: Type<'_>) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_type(value, ty, "", &mut unknown);
    unknown.into_iter().map(|path| format!("unknown field {}", crate::go_quote(&path))).collect()
}

fn prune_type(value: &mut Value, ty: Type<'_>, path: &str, unknown: &mut Vec<String>) {
    let Value::Object(object) = value else { return };
    if !ty.preserves_unknown() {
        object.retain(|key, _| {
            let known = ty.field(key).is_some();
            if !known {
                unknown.push(join(path, key));
            }
            known
        });
    }
    for (key, member) in object.iter_mut() {
        if let Some(field) = ty.field(key) {
            prune_shape(member, field.shape(), &join(path, key), unknown);
        }
    }
}

fn prune_shape(value: &mut Value, shape: Shape<'_>, path: &str, unknown: &mut Vec<String>) {
    match (shape.kind(), value) {
        (Kind::Object, value @ Value::Object(_)) => {
            let Some(ty) = shape.ty() else { return };
            if shape.embedded_resource() {
                embedded(value, ty, path, unknown);
            } else {
                prune_type(value, ty, path, unknown);
            }
        }
        (Kind::Map, Value::Object(map)) => {
            if let Some(items) = shape.items() {
                map.iter_mut().for_each(|(key, member)| prune_shape(member, items, &join(path, key), unknown));
            }
        }
        (Kind::List, Value::Array(list)) => {
            if let Some(items) = shape.items() {
                list.iter_mut()
                    .enumerate()
                    .for_each(|(i, item)| prune_shape(item, items, &format!("{path}[{i}]"), unknown));
            }
        }
        _ => {}
    }
}

/// An embedded resource keeps apiVersion, kind and metadata whatever its schema says.
fn embedded(value: &mut Value, ty: Type<'_>, path: &str, unknown: &mut Vec<String>) {
    let Value::Object(object) = value else { return };
    let kept: Vec<(&str, Option<Value>)> =
        ["apiVersion", "kind", "metadata"].into_iter().map(|key| (key, object.remove(key))).collect();
    prune_type(value, ty, path, unknown);
    let Value::Object(object) = value else { return };
    for (key, member) in kept {
        let Some(mut member) = member else { continue };
        if key == "metadata"
            && let Some(meta) = table().by_name("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        {
            prune_type(&mut member, meta, &join(path, key), unknown);
        }
        object.insert(key.to_owned(), member);
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
