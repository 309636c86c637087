//! managedFields: who owns which field, kept up with every write.

use drydock_api::Status;
use drydock_api::apply::{self, Writer};
use serde_json::Value;

use crate::row::{Resource, Subresource};

/// Fields that a write through this endpoint cannot change, so nobody comes to own them by it.
pub(crate) fn reset_fields(row: &Resource, subresource: Option<Subresource>) -> &'static [&'static str] {
    match subresource {
        Some(Subresource::Status | Subresource::Approval) => &["spec"],
        Some(_) => &[],
        None if row.has_status() => &["status"],
        None => &[],
    }
}

/// Records what an ordinary write changed.
pub(crate) fn update(
    row: &Resource,
    subresource: Option<Subresource>,
    manager: &str,
    now: &str,
    live: Option<&Value>,
    new: &mut Value,
) -> Result<(), Status> {
    let Some(ty) = super::types_of(row) else { return Ok(()) };
    let api_version = row.api_version();
    let writer = Writer {
        manager: if manager.is_empty() { "unknown" } else { manager },
        subresource: subresource.map_or("", Subresource::name),
        api_version: &api_version,
        now,
        reset_fields: reset_fields(row, subresource),
    };
    apply::update(live, new, writer, ty)?;
    if let Some(live) = live {
        keep_times(live, new);
    }
    Ok(())
}

/// Whether the kind's schema knows everything that an applied configuration says.
pub(crate) fn check(row: &Resource, patch: &Value) -> Result<(), Status> {
    super::types_of(row).map_or(Ok(()), |ty| apply::check(patch, ty))
}

/// Merges a server-side apply into `live`.
pub(crate) fn apply(
    row: &Resource,
    subresource: Option<Subresource>,
    manager: &str,
    now: &str,
    live: &Value,
    patch: &Value,
    force: bool,
) -> Result<Value, Status> {
    let ty = super::types_of(row).ok_or_else(|| {
        Status::unsupported_media_type(&["application/json-patch+json", "application/merge-patch+json"])
    })?;
    let api_version = row.api_version();
    let writer = Writer {
        manager,
        subresource: subresource.map_or("", Subresource::name),
        api_version: &api_version,
        now,
        reset_fields: reset_fields(row, subresource),
    };
    let mut new = apply::apply(live, patch, writer, force, ty)?;
    keep_times(live, &mut new);
    Ok(new)
}

/// A write that changes nothing but the times in managedFields changes nothing at all.
fn keep_times(live: &Value, new: &mut Value) {
    let (before, after) = (managed(live), managed(new));
    if before == after || untimed(before) != untimed(after) {
        return;
    }
    if apply::without_managed_fields(live) == apply::without_managed_fields(new) {
        let before = before.cloned();
        if let (Some(before), Some(metadata)) = (before, drydock_api::meta::metadata_mut(new)) {
            metadata.insert("managedFields".to_owned(), before);
        }
    }
}

fn managed(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/managedFields")
}

fn untimed(entries: Option<&Value>) -> Vec<Value> {
    let mut entries = entries.and_then(Value::as_array).cloned().unwrap_or_default();
    for entry in &mut entries {
        entry.as_object_mut().map(|fields| fields.remove("time"));
    }
    entries
}
