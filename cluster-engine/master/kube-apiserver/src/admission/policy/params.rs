//! The parameters that a binding gives to its policy.

use drydock_api::meta::Gvk;
use drydock_api::selector::Selector;
use serde_json::Value;

use super::super::Attempt;
use crate::registry::Read as _;
use crate::verbs;

/// The parameter objects of a binding; one `None` when the policy has none.
///
/// # Errors
/// Upstream's words for a reference that cannot be followed.
pub(super) fn of(attempt: &Attempt<'_>, policy: &Value, binding: &Value) -> Result<Vec<Option<Value>>, String> {
    let kind = policy.at("spec.paramKind");
    let reference = binding.at("spec.paramRef");
    if kind.is_null() || reference.is_null() {
        return Ok(vec![None]);
    }
    let gvk = Gvk::from_api_version(kind.text("apiVersion"), kind.text("kind"));
    let rows = attempt.server.rows.all();
    let row = rows
        .iter()
        .find(|row| row.group == gvk.group && row.version == gvk.version && row.kind == gvk.kind && row.stored())
        .ok_or_else(|| {
            format!("failed to find resource referenced by paramKind: '{}, Kind={}'", kind.text("apiVersion"), gvk.kind)
        })?;
    let namespace = match (row.namespaced, reference.text("namespace")) {
        (false, "") => "",
        (false, _) => return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned()),
        (true, "") if attempt.namespace.is_empty() => {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned()
            );
        }
        (true, "") => attempt.namespace,
        (true, given) => given,
    };
    let Some(cache) = attempt.server.caches.get(row.storage) else { return Ok(vec![None]) };
    let mut found = Vec::new();
    if reference.text("name").is_empty() {
        let selector = Selector::from_label_selector(reference.at("selector"))?;
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        for entry in cache.list(&prefix, "").0 {
            let object = verbs::wire_value(row, &entry.bytes).map_err(|status| status.message)?;
            if selector.matches_object(&object) {
                found.push(Some(object));
            }
        }
    } else {
        let key = crate::storage::relative_key(namespace, reference.text("name"));
        if let Some(entry) = cache.get(&key) {
            found.push(Some(verbs::wire_value(row, &entry.bytes).map_err(|status| status.message)?));
        }
    }
    if found.is_empty() && reference.text("parameterNotFoundAction") == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found)
}
