//! Labels, label selectors and node selectors.

use drydock_api::field::{FieldError, Path};
use drydock_api::names;
use serde_json::Value;

use super::{Errors, dns_subdomain, each};
use crate::registry::value::Read as _;

/// A label's key.
pub(in crate::registry) fn label_name(errors: &mut Errors, path: &Path, name: &str) {
    each(errors, path, name, names::is_qualified_name(name));
}

/// A map of labels.
pub(in crate::registry) fn labels(errors: &mut Errors, map: &Value, path: &Path) {
    for (key, value) in map.strings("") {
        label_name(errors, path, key);
        each(errors, &path.key(key), value, names::is_label_value(value));
    }
}

/// A LabelSelector.
pub(in crate::registry) fn label_selector(errors: &mut Errors, selector: &Value, path: &Path) {
    if selector.is_null() {
        return;
    }
    labels(errors, selector.at("matchLabels"), &path.child("matchLabels"));
    for (index, requirement) in selector.items("matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = requirement.items("values");
        match requirement.text("operator") {
            "In" | "NotIn" => {
                if values.is_empty() {
                    errors.push(FieldError::required(
                        &path.child("values"),
                        "must be specified when `operator` is 'In' or 'NotIn'",
                    ));
                }
            }
            "Exists" | "DoesNotExist" => {
                if !values.is_empty() {
                    errors.push(FieldError::forbidden(
                        &path.child("values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    ));
                }
            }
            operator => {
                errors.push(FieldError::invalid(&path.child("operator"), operator, "not a valid selector operator"));
            }
        }
        label_name(errors, &path.child("key"), requirement.text("key"));
        for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
            each(errors, &path.child("values").index(index), value, names::is_label_value(value));
        }
    }
}

/// `matchLabelKeys` and `mismatchLabelKeys` of a term.
pub(in crate::registry) fn label_keys(errors: &mut Errors, term: &Value, path: &Path, key: &str) {
    let keys = term.items(key);
    if keys.is_empty() {
        return;
    }
    let path = path.child(key);
    if !term.has("labelSelector") {
        errors.push(FieldError::forbidden(&path, "must not be specified when labelSelector is not set"));
        return;
    }
    for (index, key) in keys.iter().filter_map(Value::as_str).enumerate() {
        label_name(errors, &path.index(index), key);
    }
}

/// A NodeSelector: at least one term.
pub(in crate::registry) fn node_selector(errors: &mut Errors, selector: &Value, path: &Path) {
    let path = path.child("nodeSelectorTerms");
    let terms = selector.items("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in terms.iter().enumerate() {
        node_selector_term(errors, term, &path.index(index), true);
    }
}

/// A term of a NodeSelector; preferred terms may hold values that are no label values.
pub(in crate::registry) fn node_selector_term(errors: &mut Errors, term: &Value, path: &Path, check_values: bool) {
    for (index, requirement) in term.items("matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        let values = requirement.items("values");
        match requirement.text("operator") {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "Gt" | "Lt" if values.len() != 1 => errors.push(FieldError::required(
                &path.child("values"),
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            operator => {
                errors.push(FieldError::invalid(&path.child("operator"), operator, "not a valid selector operator"));
            }
        }
        label_name(errors, &path.child("key"), requirement.text("key"));
        if check_values {
            for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
                each(errors, &path.child("values").index(index), value, names::is_label_value(value));
            }
        }
    }
    for (index, requirement) in term.items("matchFields").iter().enumerate() {
        let path = path.child("matchFields").index(index);
        let values = requirement.items("values");
        match requirement.text("operator") {
            "In" | "NotIn" => {
                if values.len() != 1 {
                    errors.push(FieldError::required(
                        &path.child("values"),
                        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
                    ));
                }
            }
            operator => {
                errors.push(FieldError::invalid(&path.child("operator"), operator, "not a valid selector operator"));
            }
        }
        if requirement.text("key") == "metadata.name" {
            for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
                dns_subdomain(errors, &path.child("values").index(index), value);
            }
        } else {
            errors.push(FieldError::invalid(
                &path.child("key"),
                requirement.text("key"),
                "not a valid field selector key",
            ));
        }
    }
}
