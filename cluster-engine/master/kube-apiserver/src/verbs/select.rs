//! Label and field selectors of a request, applied to cache entries.

use drydock_api::Status;
use drydock_api::selector::{FieldSelector, Selector};
use serde_json::Value;

use crate::cache::Entry;
use crate::custom::conversion;
use crate::exchange::Exchange;
use crate::row::Resource;

/// What a list or watch is about.
pub(crate) struct Selection {
    row: &'static Resource,
    /// The row whose selectable fields the entries carry.
    stored: &'static Resource,
    labels: Selector,
    fields: FieldSelector,
}

impl Selection {
    /// Reads the selectors of a request.
    ///
    /// # Errors
    /// 400 for a selector that cannot be read or a field that cannot be selected by.
    pub(crate) fn read(exchange: &Exchange, row: &'static Resource, stored: &'static Resource) -> Result<Self, Status> {
        let labels = exchange.query.text("labelSelector");
        let labels = Selector::parse(labels)
            .map_err(|error| Status::bad_request(format!("unable to parse requirement: {error}")))?;
        let fields = FieldSelector::parse(exchange.query.text("fieldSelector")).map_err(Status::bad_request)?;
        for term in &fields.terms {
            let field = term.field.as_str();
            let known = field == "metadata.name"
                || (field == "metadata.namespace" && row.namespaced)
                || row.fields.iter().any(|(own, _)| *own == field)
                || custom_field(row, field).is_some();
            if !known && row.fields.is_empty() && row.custom.is_none() {
                let text = format!(
                    "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                    drydock_api::go_quote(field)
                );
                return Err(Status::bad_request(text));
            }
            if !known {
                return Err(Status::bad_request(format!("field label not supported: {field}")));
            }
        }
        Ok(Self { row, stored, labels, fields })
    }

    /// The row that is asked for.
    pub(crate) fn row(&self) -> &'static Resource {
        self.row
    }

    /// Whether nothing is filtered out.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether entries have to be in the row's version before they can be matched: a webhook alone knows what their fields are there.
    pub(crate) fn needs_version(&self) -> bool {
        conversion::is_needed(self.row) && self.fields.terms.iter().any(|term| !is_name(&term.field))
    }

    /// Whether the entry is selected.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        if !self.labels.is_everything()
            && !self.labels.matches(entry.labels.iter().map(|(key, value)| (&**key, &**value)))
        {
            return false;
        }
        if self.fields.is_everything() {
            return true;
        }
        let own = (std::ptr::eq(self.row, self.stored) && !conversion::is_needed(self.row)).then_some(&entry.fields);
        let converted = match own {
            Some(_) => None,
            None => Some(self.converted(entry)),
        };
        self.fields.matches(|field| match field {
            "metadata.name" => Some(entry.name()),
            "metadata.namespace" => Some(entry.namespace()),
            _ => {
                let index = self.row.fields.iter().position(|(own, _)| *own == field);
                let index = index.or_else(|| custom_field(self.row, field))?;
                match &converted {
                    None => own?.get(index).map(|value| &**value),
                    Some(values) => values.get(index).map(String::as_str),
                }
            }
        })
    }

    /// The row's fields of an entry that is stored as another version.
    fn converted(&self, entry: &Entry) -> Vec<String> {
        let mut object: Value = entry.value();
        if let Some(convert) = self.row.from_storage {
            convert(&mut object);
        }
        let own = self.row.fields.iter().map(|(_, value)| value(&object));
        own.chain(self.row.custom.into_iter().flat_map(|custom| custom.selected(&object)).map(String::from)).collect()
    }
}

fn is_name(field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace")
}

/// The place of a custom kind's selectable field.
fn custom_field(row: &Resource, field: &str) -> Option<usize> {
    row.custom?.selectable.iter().position(|(own, _)| own == field)
}
