//! What a policy's status says of its expressions: where they do not fit the kinds that the policy is about.
//!
//! Upstream's controller manager does this after the fact; the answer follows from the policy alone, so it is given at once.

use drydock_api::meta::Gvk;
use drydock_api::schema::{self, Kind, Shape, Type};
use serde_json::{Map, Value, json};

use crate::admission::WITH_PARAMS;
use crate::cel::{self, check};
use crate::registry::value::Read as _;

/// Upstream looks at no more kinds than this.
const KINDS_AT_MOST: usize = 10;

/// `status.typeChecking` of a policy.
pub(super) fn status(policy: &Value) -> Value {
    let kinds = kinds(policy);
    let mut warnings = Vec::new();
    for (index, validation) in policy.items("spec.validations").iter().enumerate() {
        for key in ["expression", "messageExpression"] {
            let source = validation.text(key);
            let texts: Vec<String> =
                kinds.iter().filter_map(|(name, schema)| looked_at(source, name, schema)).collect();
            if !texts.is_empty() {
                let place = format!("spec.validations[{index}].{key}");
                warnings.push(json!({"fieldRef": place, "warning": texts.join("\n")}));
            }
        }
    }
    if warnings.is_empty() { json!({}) } else { json!({"expressionWarnings": warnings}) }
}

fn looked_at(source: &str, name: &str, schema: &Value) -> Option<String> {
    if source.is_empty() {
        return None;
    }
    let program = cel::compile(source, WITH_PARAMS).ok()?;
    let errors = check::objects(&program, source, schema, WITH_PARAMS);
    (!errors.is_empty()).then(|| format!("{name}: {}", errors.join("\n")))
}

/// The built-in kinds that a policy names without wildcards, with their schemas.
fn kinds(policy: &Value) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for rule in policy.items("spec.matchConstraints.resourceRules") {
        for row in crate::registry::all() {
            let has = |key: &str, wanted: &str| rule.items(key).iter().any(|item| item == wanted);
            if !has("apiGroups", row.group) || !has("apiVersions", row.version) || !has("resources", row.plural) {
                continue;
            }
            let gvk = Gvk::new(row.group, row.version, row.kind);
            let Some(ty) = schema::table().by_gvk(&gvk) else { continue };
            let name = format!("{}, Kind={}", row.api_version(), row.kind);
            if found.len() < KINDS_AT_MOST && !found.iter().any(|(own, _)| *own == name) {
                found.push((name, object(ty, &mut Vec::new())));
            }
        }
    }
    found
}

/// A type of the schema table as an OpenAPI object; a type within itself fits everything.
fn object(ty: Type<'_>, within: &mut Vec<u32>) -> Value {
    if within.contains(&ty.id()) {
        return json!({});
    }
    within.push(ty.id());
    let mut properties = Map::new();
    for field in ty.fields() {
        properties.insert(field.name().to_owned(), shape(field.shape(), within));
    }
    within.pop();
    json!({"type": "object", "properties": properties})
}

fn shape(of: Shape<'_>, within: &mut Vec<u32>) -> Value {
    let mut inner = || of.items().map_or_else(|| json!({}), |items| shape(items, within));
    match of.kind() {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::List => json!({"type": "array", "items": inner()}),
        Kind::Map => json!({"type": "object", "additionalProperties": inner()}),
        Kind::Object => of.ty().map_or_else(|| json!({}), |ty| object(ty, within)),
        Kind::Int32 | Kind::Int64 => json!({"type": "integer"}),
        Kind::String => json!({"type": "string"}),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_not_there_are_told() {
        let policy = |expression: &str| {
            json!({"spec": {
                "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}]},
                "validations": [{"expression": expression}],
            }})
        };
        assert_eq!(status(&policy("object.spec.replicas <= 5 && object.metadata.labels['a'] == 'b'")), json!({}));
        let found = status(&policy("object.spec.maxReplicas <= 5"));
        let warning = &found["expressionWarnings"][0];
        assert_eq!(warning["fieldRef"], "spec.validations[0].expression");
        let text = warning["warning"].as_str().unwrap_or("");
        assert!(
            text.starts_with("apps/v1, Kind=Deployment: ERROR: <input>:1:")
                && text.contains("undefined field 'maxReplicas'"),
            "{text}"
        );
    }
}
