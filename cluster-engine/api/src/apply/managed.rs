//! The entries of `metadata.managedFields`: reading, writing, order and cap.

use serde_json::{Map, Value, json};

use super::set::Set;

/// More update entries than this are folded together.
const MAX_UPDATE_MANAGERS: usize = 10;
/// The manager that folded entries go to.
const ANCIENT: &str = "ancient-changes";

/// One manager's fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) applied: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) fields: Set,
}

impl Entry {
    /// The same manager in upstream's sense: for updates the version tells entries apart too.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.api_version == other.api_version)
    }

    /// The manager as conflict messages name it.
    pub(super) fn describe(&self) -> String {
        let mut text = crate::go_quote(&self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {}", crate::go_quote(&self.subresource)));
        }
        if !self.applied {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

fn list(object: &Value) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The object says `managedFields: [{}]`: forget all owners.
pub(super) fn is_reset(object: &Value) -> bool {
    matches!(list(object), [Value::Object(entry)] if entry.is_empty())
}

/// Reads the entries; `None` if one is malformed.
pub(super) fn decode(object: &Value) -> Option<Vec<Entry>> {
    list(object)
        .iter()
        .map(|entry| {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let applied = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            };
            let fields_type = text("fieldsType");
            if !fields_type.is_empty() && fields_type != "FieldsV1" {
                return None;
            }
            Some(Entry {
                manager: text("manager"),
                applied,
                api_version: text("apiVersion"),
                subresource: text("subresource"),
                time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
                fields: entry.get("fieldsV1").map(Set::from_fields).unwrap_or_default(),
            })
        })
        .collect()
}

/// Writes the entries into the object, sorted; none removes the list.
pub(super) fn encode(object: &mut Value, mut entries: Vec<Entry>) {
    entries.sort_by(|a, b| {
        (!a.applied, seconds(a), &a.manager, &a.api_version, &a.subresource).cmp(&(
            !b.applied,
            seconds(b),
            &b.manager,
            &b.api_version,
            &b.subresource,
        ))
    });
    let list: Vec<Value> = entries.iter().map(write).collect();
    crate::meta::set_meta(object, "managedFields", if list.is_empty() { Value::Null } else { Value::Array(list) });
}

fn seconds(entry: &Entry) -> i64 {
    entry.time.as_deref().and_then(crate::time::parse_seconds).unwrap_or_default()
}

fn write(entry: &Entry) -> Value {
    let mut out = Map::new();
    out.insert("manager".to_owned(), entry.manager.clone().into());
    out.insert("operation".to_owned(), if entry.applied { "Apply" } else { "Update" }.into());
    out.insert("apiVersion".to_owned(), entry.api_version.clone().into());
    out.insert("fieldsType".to_owned(), "FieldsV1".into());
    out.insert("fieldsV1".to_owned(), entry.fields.to_fields());
    if let Some(time) = &entry.time {
        out.insert("time".to_owned(), time.clone().into());
    }
    if !entry.subresource.is_empty() {
        out.insert("subresource".to_owned(), json!(entry.subresource));
    }
    Value::Object(out)
}

/// Folds the oldest update entries of a version into one until there are at most ten.
pub(super) fn cap(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut updates, mut out): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| !entry.applied);
    updates.sort_by_key(|entry| (seconds(entry), entry.manager.clone()));
    let mut excess = updates.len().saturating_sub(MAX_UPDATE_MANAGERS);
    let mut kept: Vec<Entry> = Vec::new();
    for entry in updates {
        let first = kept.iter_mut().find(|k| k.api_version == entry.api_version).filter(|_| excess > 0);
        match first {
            Some(bucket) => {
                bucket.fields = bucket.fields.union(&entry.fields);
                ANCIENT.clone_into(&mut bucket.manager);
                bucket.subresource.clear();
                bucket.time = entry.time;
                excess -= 1;
            }
            None => kept.push(entry),
        }
    }
    out.extend(kept);
    out
}
