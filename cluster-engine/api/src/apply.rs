//! Field ownership: managedFields and server-side apply.
//!
//! Every write is recorded per manager, operation and subresource: an update owns what it changed, an apply owns what it says. Applying removes what the
//! same manager applied before and no longer says, and fails where it would change what another manager owns, unless forced. The rules are those of
//! `structured-merge-diff` and `k8s.io/apimachinery/pkg/util/managedfields`.

mod form;
mod managed;
mod set;
mod validate;
mod walk;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::meta;
use crate::schema::Type;
use crate::status::{Status, StatusCause};
use form::Scope;
use managed::Entry;
use set::Set;

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// The subresource written through, or empty.
    pub subresource: &'a str,
    /// `metadata.managedFields[].apiVersion`.
    pub api_version: &'a str,
    /// Now, RFC 3339.
    pub now: &'a str,
    /// Dotted paths that this endpoint lets nobody change, such as `status` on the main resource.
    pub reset_fields: &'a [&'a str],
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations may be this large together.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// Fields nobody owns.
fn strip(set: &Set, reset_fields: &[&str]) -> Set {
    let mut out = set.clone();
    out.children.remove("f:apiVersion");
    out.children.remove("f:kind");
    if let Some(metadata) = out.children.get_mut("f:metadata") {
        metadata.member = false;
        for name in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ] {
            metadata.children.remove(&format!("f:{name}"));
        }
    }
    for path in reset_fields {
        out.remove_below(path);
    }
    // Drops branches that became empty.
    out.difference(&Set::default())
}

/// Takes managedFields out, for comparing objects.
pub fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    meta::set_meta(&mut object, "managedFields", Value::Null);
    object
}

/// Records in `new.metadata.managedFields` what a create, update or patch changed against `live` (`None` when creating).
///
/// A client may write managedFields itself, and `[{}]` clears them; one that leaves them out keeps the live ones. An existing object without any is
/// not tracked.
pub fn update(live: Option<&Value>, new: &mut Value, writer: Writer<'_>, ty: Type<'_>) -> Result<(), Status> {
    let empty = Value::Object(Map::new());
    let entries = if writer.subresource.is_empty() && managed::is_reset(new) {
        Vec::new()
    } else {
        let own = if writer.subresource.is_empty() {
            managed::decode(new).filter(|entries| !entries.is_empty())
        } else {
            None
        };
        own.or_else(|| live.and_then(managed::decode)).unwrap_or_default()
    };
    if entries.is_empty() && live.is_some() {
        managed::encode(new, entries);
        return Ok(());
    }
    let old = live.map_or(empty, without_managed_fields);
    let entries = track(&old, &without_managed_fields(new), entries, writer, ty);
    managed::encode(new, managed::cap(entries));
    Ok(())
}

/// The entries after a plain write.
fn track(old: &Value, new: &Value, mut entries: Vec<Entry>, writer: Writer<'_>, ty: Type<'_>) -> Vec<Entry> {
    let comparison = walk::compare(old, new, Scope::Type(ty));
    let changed = comparison.modified.union(&comparison.added);
    let gone = changed.union(&comparison.removed);
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&gone);
    }
    let taken = strip(&changed, writer.reset_fields);
    let me = Entry {
        manager: if writer.manager.is_empty() { "unknown" } else { writer.manager }.to_owned(),
        applied: false,
        api_version: writer.api_version.to_owned(),
        subresource: writer.subresource.to_owned(),
        time: Some(writer.now.to_owned()),
        fields: taken,
    };
    if !me.fields.is_empty() {
        match entries.iter_mut().find(|entry| entry.is_same(&me)) {
            Some(entry) => {
                entry.fields = entry.fields.union(&me.fields);
                entry.time = me.time;
            }
            None => entries.push(me),
        }
    }
    entries.retain(|entry| !entry.fields.is_empty());
    entries
}

/// Why an apply did not go through.
enum Failure {
    Conflicts(Vec<(Entry, Set)>),
    Status(Box<Status>),
}

impl Failure {
    fn into_status(self) -> Status {
        match self {
            Self::Status(status) => *status,
            Self::Conflicts(conflicts) => conflict_status(&conflicts),
        }
    }
}

/// Whether the kind's schema knows everything that `patch` says. What it does not know is a failure, whatever field validation was asked for.
///
/// # Errors
/// 500 in upstream's words.
pub fn check(patch: &Value, ty: Type<'_>) -> Result<(), Status> {
    let errors = validate::validate(patch, Scope::Type(ty));
    if errors.is_empty() {
        return Ok(());
    }
    let (namespace, name) = (meta::namespace(patch), meta::name(patch));
    let text = format!(
        "failed to create typed patch object ({namespace}/{name}; {}): {}",
        meta::gvk(patch),
        validate::join(errors)
    );
    Err(Status::failure(500, "", text))
}

/// Applies `patch` to `live` (an empty object of the kind when creating) and gives the merged object with its managedFields.
///
/// Conflicts give 409 with a cause per field unless `force`. Manager `kubectl` takes over, without conflict, what client-side apply recorded in its
/// annotation, and keeps that annotation up to date.
pub fn apply(live: &Value, patch: &Value, writer: Writer<'_>, force: bool, ty: Type<'_>) -> Result<Value, Status> {
    if patch
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| fields.as_array().is_none_or(|list| !list.is_empty()) && !fields.is_null())
    {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let scope = Scope::Type(ty);
    check(patch, ty)?;
    let mut entries = managed::decode(live).unwrap_or_default();
    let plain = without_managed_fields(live);
    if entries.is_empty() {
        // Fields written before anyone tracked them belong to one manager, so that they can conflict.
        let before = Writer { manager: "before-first-apply", subresource: "", ..writer };
        let blank = Value::Object(Map::new());
        entries =
            track(&blank, &plain, entries, before, ty).into_iter().filter(|_| !meta::uid(live).is_empty()).collect();
    }
    let outcome = match apply_once(&plain, patch, entries.clone(), writer, force, scope) {
        Err(Failure::Conflicts(conflicts)) if writer.manager == "kubectl" => {
            let allowed = last_applied(&plain, scope).unwrap_or_default();
            let rest: Vec<(Entry, Set)> = conflicts
                .into_iter()
                .map(|(entry, set)| (entry, set.difference(&allowed)))
                .filter(|(_, set)| !set.is_empty())
                .collect();
            if rest.is_empty() {
                apply_once(&plain, patch, entries, writer, true, scope)
            } else {
                Err(Failure::Conflicts(rest))
            }
        }
        outcome => outcome,
    };
    let (mut merged, entries) = outcome.map_err(Failure::into_status)?;
    if writer.manager == "kubectl" && meta::annotation(&merged, LAST_APPLIED).is_some() {
        record_last_applied(&mut merged, patch);
    }
    managed::encode(&mut merged, managed::cap(entries));
    Ok(merged)
}

fn apply_once(
    live: &Value,
    patch: &Value,
    mut entries: Vec<Entry>,
    writer: Writer<'_>,
    force: bool,
    scope: Scope<'_>,
) -> Result<(Value, Vec<Entry>), Failure> {
    let merged = walk::merge(Some(live), Some(patch), scope).unwrap_or_default();
    let mut me = Entry {
        manager: writer.manager.to_owned(),
        applied: true,
        api_version: writer.api_version.to_owned(),
        subresource: writer.subresource.to_owned(),
        time: Some(writer.now.to_owned()),
        fields: strip(&walk::field_set(patch, scope), writer.reset_fields),
    };
    let last = entries.iter().position(|entry| entry.is_same(&me)).map(|index| entries.remove(index));
    let merged = match &last {
        Some(last) if !last.fields.is_empty() => prune(&merged, last, &entries, &me, scope),
        _ => merged,
    };
    let merged = without_nulls(merged);
    if !merged.is_object() {
        return Err(Failure::Status(Box::new(Status::internal("an applied object came to nothing"))));
    }
    let comparison = walk::compare(live, &merged, scope);
    let changed = comparison.modified.union(&comparison.added);
    let mut conflicts = Vec::new();
    for entry in &mut entries {
        let contested = entry.fields.intersection(&changed);
        if !contested.is_empty() {
            entry.fields = entry.fields.difference(&contested);
            conflicts.push((entry.clone(), contested));
        }
        entry.fields = entry.fields.difference(&comparison.removed);
    }
    if !force && !conflicts.is_empty() {
        return Err(Failure::Conflicts(conflicts));
    }
    // An apply that changes nothing keeps its time.
    if let Some(last) = last.filter(|_| *live == merged) {
        me.time = last.time;
    }
    entries.push(me);
    entries.retain(|entry| !entry.fields.is_empty());
    Ok((merged, entries))
}

/// Removes what the manager applied before and no longer does, unless somebody else owns it.
fn prune(merged: &Value, last: &Entry, others: &[Entry], me: &Entry, scope: Scope<'_>) -> Value {
    let removed = |set: &Set| walk::remove(merged, set, scope).unwrap_or_else(|| Value::Object(Map::new()));
    let named = |set: &Set| walk::with_named_fields(set, scope);
    let fields = |value: &Value| named(&walk::field_set(value, scope));
    let all = fields(merged);
    let last = named(&last.fields);
    let pruned = removed(&last);
    // Add back what anyone owns, the new configuration included.
    let owned = others.iter().fold(me.fields.clone(), |set, entry| set.union(&entry.fields));
    let pruned = removed(&all.difference(&fields(&pruned).union(&named(&owned))));
    // And what was never this manager's.
    removed(&all.difference(&fields(&pruned)).intersection(&last))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn conflict_status(conflicts: &[(Entry, Set)]) -> Status {
    let mut rows: Vec<(String, String)> = conflicts
        .iter()
        .flat_map(|(entry, set)| set.paths().into_iter().map(|path| (entry.describe(), path)))
        .collect();
    rows.sort();
    let causes = rows
        .iter()
        .map(|(manager, path)| StatusCause {
            reason: "FieldManagerConflict".to_owned(),
            message: format!("conflict with {manager}"),
            field: path.clone(),
        })
        .collect();
    let message = match rows.as_slice() {
        [(manager, path)] => format!("Apply failed with 1 conflict: conflict with {manager}: {path}"),
        rows => {
            let mut lines = Vec::new();
            let mut last = "";
            for (manager, path) in rows {
                if manager != last {
                    lines.push(format!("conflicts with {manager}:"));
                    last = manager;
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", rows.len(), lines.join("\n"))
        }
    };
    Status::apply_conflict(message, causes)
}

/// Fields that client-side apply recorded and that still have the recorded value.
fn last_applied(live: &Value, scope: Scope<'_>) -> Option<Set> {
    let recorded: Value = serde_json::from_str(meta::annotation(live, LAST_APPLIED)?).ok()?;
    let comparison = walk::compare(&recorded, live, scope);
    let set = walk::field_set(&recorded, scope);
    Some(set.difference(&comparison.modified).difference(&comparison.added).difference(&comparison.removed))
}

fn record_last_applied(object: &mut Value, patch: &Value) {
    let mut recorded = patch.clone();
    if let Some(annotations) = recorded.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    let Ok(mut text) = serde_json::to_string(&recorded) else { return };
    text.push('\n');
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    annotations.insert(LAST_APPLIED.to_owned(), text.into());
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > ANNOTATIONS_LIMIT {
        annotations.remove(LAST_APPLIED);
    }
}
