//! Validation of the CEL expressions of webhooks and policies.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use crate::admission::{OF_POLICIES, OF_WEBHOOKS, WITH_PARAMS};
use crate::cel;
use crate::registry::check::{self, Errors};
use crate::registry::value::Read as _;

/// Upstream allows no more match conditions than this.
const CONDITIONS_AT_MOST: usize = 64;
const AUDIT_ANNOTATIONS_AT_MOST: usize = 20;
const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];

/// What the expressions are about.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Webhook,
    Policy { with_params: bool },
}

impl Of {
    fn variables(self) -> Vec<&'static str> {
        match self {
            Self::Webhook => OF_WEBHOOKS.to_vec(),
            Self::Policy { with_params: false } => OF_POLICIES.to_vec(),
            Self::Policy { with_params: true } => WITH_PARAMS.to_vec(),
        }
    }
}

/// An expression that must compile.
fn expression(errors: &mut Errors, source: &str, path: &Path, of: Of) {
    if source.trim().is_empty() {
        errors.push(FieldError::required(path, "expression is not specified"));
    } else if let Err(error) = cel::compile(source, &of.variables()) {
        errors.push(FieldError::invalid(path, source, error.to_string()));
    }
}

/// Match conditions of a webhook or policy.
pub(super) fn conditions(errors: &mut Errors, holder: &Value, path: &Path, of: Of) {
    let (list, path) = (holder.items("matchConditions"), path.child("matchConditions"));
    if list.len() > CONDITIONS_AT_MOST {
        errors.push(FieldError::too_many(&path, list.len(), CONDITIONS_AT_MOST));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in list.iter().enumerate() {
        let path = path.index(index);
        let (name, source) = (condition.text("name"), condition.text("expression"));
        if source.trim().is_empty() {
            errors.push(FieldError::required(&path.child("expression"), ""));
        } else {
            expression(errors, source, &path.child("expression"), of);
        }
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else {
            check::each(errors, &path.child("name"), name, names::is_qualified_name(name));
            if seen.contains(&name) {
                errors.push(FieldError::duplicate(&path.child("name"), name));
            }
            seen.push(name);
        }
    }
}

/// Variables, validations, audit annotations and mutations of a policy.
pub(super) fn policy(errors: &mut Errors, spec: &Value, path: &Path) {
    let of = Of::Policy { with_params: spec.has("paramKind") };
    conditions(errors, spec, path, of);
    let mut seen: Vec<&str> = Vec::new();
    for (index, variable) in spec.items("variables").iter().enumerate() {
        let path = path.child("variables").index(index);
        let name = variable.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), "name is not specified"));
        } else if !names::is_c_identifier(name).is_empty() {
            errors.push(FieldError::invalid(&path.child("name"), name, "name is not a valid CEL identifier"));
        } else if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        seen.push(name);
        expression(errors, variable.text("expression"), &path.child("expression"), of);
    }
    for (index, validation) in spec.items("validations").iter().enumerate() {
        validation_rule(errors, validation, &path.child("validations").index(index), of);
    }
    audit_annotations(errors, spec.items("auditAnnotations"), &path.child("auditAnnotations"), of);
    for (index, mutation) in spec.items("mutations").iter().enumerate() {
        mutation_rule(errors, mutation, &path.child("mutations").index(index), of);
    }
}

fn validation_rule(errors: &mut Errors, validation: &Value, path: &Path, of: Of) {
    let (source, message) = (validation.text("expression"), validation.text("message"));
    expression(errors, source, &path.child("expression"), of);
    if !validation.text("messageExpression").is_empty() {
        expression(errors, validation.text("messageExpression"), &path.child("messageExpression"), of);
    }
    if !message.is_empty() && message.trim().is_empty() {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must be non-empty if specified"));
    } else if message.trim().contains('\n') {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must not contain line breaks"));
    } else if source.contains('\n') && message.trim().is_empty() {
        errors.push(FieldError::required(
            &path.child("message"),
            "message must be specified if expression contains line breaks",
        ));
    }
    check::maybe_one_of(errors, validation, path, "reason", REASONS);
}

fn audit_annotations(errors: &mut Errors, list: &[Value], path: &Path, of: Of) {
    if list.len() > AUDIT_ANNOTATIONS_AT_MOST {
        errors.push(FieldError::invalid(
            path,
            Value::Null,
            format!("must not have more than {AUDIT_ANNOTATIONS_AT_MOST} auditAnnotations"),
        ));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, annotation) in list.iter().enumerate() {
        let path = path.index(index);
        let (key, source) = (annotation.text("key"), annotation.text("valueExpression"));
        if key.is_empty() {
            errors.push(FieldError::required(&path.child("key"), ""));
        } else {
            check::each(errors, &path.child("key"), key, names::is_qualified_name(key));
            if seen.contains(&key) {
                errors.push(FieldError::duplicate(&path.child("key"), key));
            }
        }
        seen.push(key);
        let path = path.child("valueExpression");
        if source.trim().is_empty() {
            errors.push(FieldError::required(&path, "valueExpression is not specified"));
        } else if source.len() > 5 * 1024 {
            errors.push(FieldError::required(&path, "must not exceed 5120 bytes in length"));
        } else {
            expression(errors, source, &path, of);
        }
    }
}

fn mutation_rule(errors: &mut Errors, mutation: &Value, path: &Path, of: Of) {
    const KINDS: &[&str] = &["ApplyConfiguration", "JSONPatch"];
    let kind = mutation.text("patchType");
    let (own, other) = match kind {
        "" => return errors.push(FieldError::required(&path.child("patchType"), "")),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        _ => return errors.push(FieldError::not_supported(&path.child("patchType"), kind, KINDS)),
    };
    if mutation.has(other) {
        let why = format!("must be not specified when patchType is {kind}");
        errors.push(FieldError::invalid(&path.child(other), mutation.at(other).clone(), why));
    }
    if !mutation.has(own) {
        let why = format!("must be specified when patchType is {kind}");
        errors.push(FieldError::required(&path.child(own), why));
        return;
    }
    let (source, path) = (mutation.at(own).text("expression"), path.child(own).child("expression"));
    if source.trim().is_empty() {
        errors.push(FieldError::required(&path, "expression is not specified"));
    } else if let Err(error) = cel::patch::compile(source, &of.variables()) {
        errors.push(FieldError::invalid(&path, source, error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_must_compile() {
        let mut errors = Errors::new();
        let holder = json!({"matchConditions": [{"name": "a", "expression": "... [] bad expression"}, {"name": "a", "expression": "object.metadata.name == 'x'"}, {"expression": "nobody == 1"}]});
        conditions(&mut errors, &holder, &Path::new("webhooks").index(0), Of::Webhook);
        let texts = check::texts(&errors);
        assert!(texts[0].starts_with("webhooks[0].matchConditions[0].expression: Invalid value: \"... [] bad expression\": compilation failed: ERROR: <input>:1:"), "{}", texts[0]);
        assert_eq!(texts[1], "webhooks[0].matchConditions[1].name: Duplicate value: \"a\"");
        assert!(texts[2].contains("undeclared reference to 'nobody' (in container '')"), "{}", texts[2]);
        assert_eq!(texts[3], "webhooks[0].matchConditions[2].name: Required value");
    }

    #[test]
    fn parameters_need_a_kind() {
        let check = |spec: Value| {
            let mut errors = Errors::new();
            policy(&mut errors, &spec, &Path::new("spec"));
            errors.len()
        };
        let rule = json!([{"expression": "object.spec.replicas <= params.max && variables.a > 1"}]);
        assert_eq!(check(json!({"validations": rule, "paramKind": {"kind": "ConfigMap"}})), 0);
        assert_eq!(check(json!({"validations": rule})), 1);
        let mutation = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: 1}}"}});
        assert_eq!(check(json!({"mutations": [mutation]})), 0);
        assert_eq!(check(json!({"mutations": [{"patchType": "JSONPatch"}]})), 1);
    }
}
