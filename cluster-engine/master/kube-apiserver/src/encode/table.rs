//! The server-side Table that `kubectl get` prints.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::row::{Column, Resource};
use crate::storage::bytes_form;

/// Metadata of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListMeta {
    pub(crate) resource_version: String,
    pub(crate) continue_: String,
    pub(crate) remaining: Option<i64>,
}

impl ListMeta {
    /// As JSON, with only what is set.
    pub(crate) fn to_json(&self) -> Value {
        let mut out = Map::new();
        if !self.resource_version.is_empty() {
            out.insert("resourceVersion".to_owned(), self.resource_version.clone().into());
        }
        if !self.continue_.is_empty() {
            out.insert("continue".to_owned(), self.continue_.clone().into());
        }
        if let Some(remaining) = self.remaining {
            out.insert("remainingItemCount".to_owned(), remaining.into());
        }
        Value::Object(out)
    }
}

/// Upstream's columns for resources that have none of their own.
const DEFAULT_COLUMNS: [Column; 2] = [
    Column::NAME,
    Column {
        name: "Created At",
        kind: "date",
        format: "",
        description: "CreationTimestamp is a timestamp representing the server time when this object was created.",
        priority: 0,
        cell: created_at,
    },
];

/// Where columns come from when not from a row's functions.
pub(crate) trait Cells {
    /// Column definitions.
    fn definitions(&self) -> Vec<Value>;
    /// The cells of one object.
    fn cells(&self, object: &Value, now: jiff::Timestamp) -> Vec<Value>;
}

impl Cells for Resource {
    fn definitions(&self) -> Vec<Value> {
        columns(self).iter().map(definition).collect()
    }

    fn cells(&self, object: &Value, now: jiff::Timestamp) -> Vec<Value> {
        columns(self).iter().map(|column| (column.cell)(object, now)).collect()
    }
}

fn columns(row: &Resource) -> &[Column] {
    if row.columns.is_empty() { &DEFAULT_COLUMNS } else { row.columns }
}

/// Makes tables of one row.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    row: &'a Resource,
    version: &'static str,
    include: Include,
}

#[derive(Clone, Copy)]
enum Include {
    Nothing,
    Metadata,
    Object,
}

impl<'a> Table<'a> {
    /// `include` is the query's `includeObject`.
    pub(crate) fn new(row: &'a Resource, version: &'static str, include: &str) -> Self {
        let include = match include {
            "None" => Include::Nothing,
            "Object" => Include::Object,
            _ => Include::Metadata,
        };
        Self { row, version, include }
    }

    /// The table of some objects in wire form.
    pub(crate) fn list<'b>(&self, metadata: &ListMeta, objects: impl Iterator<Item = &'b Bytes>) -> Vec<u8> {
        self.write(metadata, objects, true)
    }

    /// The table of one watch event; only the first carries the column definitions.
    pub(crate) fn event(&self, object: &Bytes, first: bool) -> Vec<u8> {
        let version = serde_json::from_slice::<Value>(object).ok();
        let version = version.as_ref().map_or("", drydock_api::meta::resource_version).to_owned();
        self.write(&ListMeta { resource_version: version, ..ListMeta::default() }, std::iter::once(object), first)
    }

    /// A table without rows, for bookmarks.
    pub(crate) fn bookmark(&self, resource_version: &str) -> Vec<u8> {
        self.write(
            &ListMeta { resource_version: resource_version.to_owned(), ..ListMeta::default() },
            std::iter::empty(),
            false,
        )
    }

    fn write<'b>(&self, metadata: &ListMeta, objects: impl Iterator<Item = &'b Bytes>, definitions: bool) -> Vec<u8> {
        let now = jiff::Timestamp::now();
        let source: &dyn Cells = match self.row.custom {
            Some(custom) => custom,
            None => self.row,
        };
        let definitions = definitions.then(|| source.definitions());
        let head = json!({"columnDefinitions": definitions, "metadata": metadata.to_json()});
        let mut out = format!(
            "{{\"kind\":\"Table\",\"apiVersion\":\"{}\",\"metadata\":{},\"columnDefinitions\":{},\"rows\":[",
            self.version, head["metadata"], head["columnDefinitions"]
        )
        .into_bytes();
        for (index, bytes) in objects.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let object: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let cells = source.cells(&object, now);
            out.extend_from_slice(format!("{{\"cells\":{}", Value::Array(cells)).as_bytes());
            let conditions = self
                .row
                .row_conditions
                .map(|conditions| conditions(&object))
                .filter(|conditions| !conditions.is_null());
            if let Some(conditions) = conditions {
                out.extend_from_slice(format!(",\"conditions\":{conditions}").as_bytes());
            }
            match self.include {
                Include::Nothing => out.extend_from_slice(b",\"object\":null}"),
                Include::Metadata => {
                    out.extend_from_slice(b",\"object\":");
                    out.extend_from_slice(&bytes_form::partial(bytes, self.version));
                    out.push(b'}');
                }
                Include::Object => {
                    out.extend_from_slice(b",\"object\":");
                    out.extend_from_slice(bytes);
                    out.push(b'}');
                }
            }
        }
        out.extend_from_slice(b"]}");
        out
    }
}

fn definition(column: &Column) -> Value {
    json!({"name": column.name, "type": column.kind, "format": column.format, "description": column.description, "priority": column.priority})
}

fn created_at(object: &Value, _: jiff::Timestamp) -> Value {
    drydock_api::meta::creation_timestamp(object).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROW: Resource =
        Resource { kind: "Thing", plural: "things", columns: &[Column::NAME, Column::AGE], ..Resource::BASE };

    #[test]
    fn a_table_has_columns_cells_and_metadata() {
        let object = Bytes::from_static(br#"{"kind":"Thing","apiVersion":"v1","metadata":{"name":"a","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{}}"#);
        let table = Table::new(&ROW, "meta.k8s.io/v1", "");
        let text =
            table.list(&ListMeta { resource_version: "7".to_owned(), ..ListMeta::default() }, [&object].into_iter());
        let value: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(value["columnDefinitions"][0]["format"], "name");
        assert_eq!(value["rows"][0]["cells"][0], "a");
        assert_eq!(value["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert!(value["rows"][0]["object"].get("spec").is_none());
        assert_eq!(value["metadata"], json!({"resourceVersion": "7"}));
        let later: Value = serde_json::from_slice(&table.event(&object, false)).expect("JSON");
        assert!(later["columnDefinitions"].is_null());
    }
}
