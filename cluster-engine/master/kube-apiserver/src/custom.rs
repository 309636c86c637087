//! Custom resources: rows made at run time from CustomResourceDefinitions.
//!
//! A definition becomes a row like any other (`definition.rs`); what a built-in kind does with functions, a custom kind does
//! with its structural schema: pruning and defaults (`structural.rs`), validation (`validate.rs`), columns (`path.rs`).
//! Rows are leaked: they are a few hundred bytes and as many as definitions were ever changed.

pub(crate) mod controller;
pub(crate) mod conversion;
pub(crate) mod definition;
mod formats;
mod path;
pub(crate) mod rules;
mod structural;
mod validate;

use std::sync::OnceLock;

use drydock_api::field::{ErrorKind, FieldError, Path};
use serde_json::{Value, json};

use crate::encode::table::Cells;
use crate::row::human_duration;

/// The finalizer that holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What a row of a custom kind has instead of functions.
#[derive(Default)]
pub(crate) struct CustomKind {
    /// Kind of lists.
    pub(crate) list_kind: String,
    /// `openAPIV3Schema`.
    pub(crate) schema: Value,
    /// The same as types, for field ownership.
    pub(crate) types: Option<drydock_api::schema::Schema>,
    /// Nothing is pruned (`spec.preserveUnknownFields`).
    pub(crate) preserve: bool,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<PrinterColumn>,
    /// `selectableFields`: name and path.
    pub(crate) selectable: Vec<(String, path::Path)>,
    /// Stored objects may lack defaults or have fields that the schema no longer knows.
    pub(crate) on_read: bool,
    /// Who converts objects of other versions.
    pub(crate) webhook: Option<conversion::Webhook>,
    /// What users of this version are told.
    pub(crate) deprecation: Option<String>,
    /// CEL rules, compiled when the first object is written.
    pub(crate) rules: OnceLock<Option<rules::Rules>>,
}

/// One additional printer column.
#[derive(Debug)]
pub(crate) struct PrinterColumn {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: path::Path,
}

impl CustomKind {
    /// Fills in defaults.
    pub(crate) fn default(&self, object: &mut Value) {
        structural::default(object, &self.schema);
    }

    /// Takes out what the schema does not know; gives the strict errors of those fields.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        if !self.preserve {
            structural::prune(object, &self.schema, &mut unknown);
        }
        unknown.into_iter().map(|path| format!("unknown field \"{path}\"")).collect()
    }

    /// What is wrong with an object, or with what an update makes of `old`.
    pub(crate) fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = validate::validate(object, old, &self.schema);
        if let Some(rules) = self.rules.get_or_init(|| rules::Rules::compile(&self.schema)) {
            let blocks = |error: &FieldError| {
                use ErrorKind as K;
                matches!(error.kind, K::NotSupported | K::Required | K::TooLong | K::TooMany | K::TypeInvalid)
            };
            if errors.iter().any(blocks) {
                let text = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
                errors.push(FieldError::invalid(&Path::root(), Value::Null, text));
            } else {
                errors.extend(rules.check(object, old, &self.schema));
            }
        }
        errors
    }

    /// Brings a stored object to what the schema says now.
    pub(crate) fn read(&self, object: &mut Value) {
        if self.on_read {
            if !self.preserve {
                structural::prune(object, &self.schema, &mut Vec::new());
            }
            structural::default(object, &self.schema);
        }
    }

    /// Values of the selectable fields.
    pub(crate) fn selected(&self, object: &Value) -> impl Iterator<Item = Box<str>> {
        let text = |value: &&Value| match value {
            Value::String(text) => text.as_str().into(),
            Value::Null => "".into(),
            other => other.to_string().into_boxed_str(),
        };
        self.selectable.iter().map(move |(_, path)| path.find(object).first().map(text).unwrap_or_default())
    }
}

impl Cells for CustomKind {
    fn definitions(&self) -> Vec<Value> {
        let name = json!({"name": "Name", "type": "string", "format": "name", "description": "Name must be unique within a namespace.", "priority": 0});
        let age = json!({"name": "Age", "type": "date", "format": "", "description": "CreationTimestamp is a timestamp representing the server time when this object was created.", "priority": 0});
        let own = self.columns.iter().map(|column| {
            json!({"name": column.name, "type": column.kind, "format": column.format, "description": column.description, "priority": column.priority})
        });
        let rest: Vec<Value> = if self.columns.is_empty() { vec![age] } else { own.collect() };
        std::iter::once(name).chain(rest).collect()
    }

    fn cells(&self, object: &Value, now: jiff::Timestamp) -> Vec<Value> {
        let mut cells = vec![object.pointer("/metadata/name").cloned().unwrap_or_default()];
        if self.columns.is_empty() {
            cells.push(crate::row::age_cell(object, now));
        }
        cells.extend(self.columns.iter().map(|column| column.cell(object, now)));
        cells
    }
}

impl PrinterColumn {
    fn cell(&self, object: &Value, now: jiff::Timestamp) -> Value {
        let found = self.path.find(object);
        let Some(first) = found.first() else { return Value::Null };
        match (self.kind.as_str(), first) {
            ("integer", Value::Number(number)) => number.as_i64().map_or(Value::Null, Value::from),
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => (*first).clone(),
            ("integer" | "number" | "boolean", _) => Value::Null,
            ("date", Value::String(text)) => match text.parse::<jiff::Timestamp>() {
                Ok(then) => human_duration(now.as_second() - then.as_second()).into(),
                Err(_) => "<invalid>".into(),
            },
            ("date", _) => "<unknown>".into(),
            _ => {
                let texts: Vec<String> =
                    found.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
                texts.join(" ").into()
            }
        }
    }
}

/// The deletion of a definition begins: its objects go first.
pub(crate) fn begin_delete(definition: &mut Value) {
    let finalizers = &mut definition["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|name| name == CLEANUP)
    {
        list.push(CLEANUP.into());
    }
}
