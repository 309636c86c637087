//! Reading what other clients wrote: one odd object must not keep a component from all others.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::{List, ListMetadata};

/// An object of the wire. `null` is the same as nothing there, whatever the field's type.
pub(crate) fn object<K: DeserializeOwned>(text: &str) -> serde_json::Result<K> {
    serde_json::from_str(text).or_else(|error| {
        let mut value: Value = serde_json::from_str(text)?;
        drop_nulls(&mut value);
        serde_json::from_value(value).map_err(|_| error)
    })
}

/// A list, without those of its objects that cannot be read.
pub(crate) fn list<K: DeserializeOwned>(body: &Bytes) -> serde_json::Result<List<K>> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(default)]
        metadata: ListMetadata,
        #[serde(borrow, default)]
        items: Option<Vec<&'a RawValue>>,
    }
    serde_json::from_slice(body).or_else(|_| {
        let raw: Raw<'_> = serde_json::from_slice(body)?;
        let readable = |item: &RawValue| {
            object(item.get())
                .inspect_err(|error| tracing::warn!(%error, "an object cannot be read and is passed over"))
                .ok()
        };
        Ok(List { metadata: raw.metadata, items: raw.items.into_iter().flatten().filter_map(readable).collect() })
    })
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Thing {
        name: String,
        ports: Vec<u16>,
    }

    fn thing(name: &str, ports: &[u16]) -> Thing {
        Thing { name: name.to_owned(), ports: ports.to_vec() }
    }

    #[test]
    fn null_is_nothing() {
        assert_eq!(object::<Thing>(r#"{"name": "a", "ports": [1]}"#).unwrap(), thing("a", &[1]));
        assert_eq!(object::<Thing>(r#"{"name": null, "ports": null}"#).unwrap(), thing("", &[]));
        assert!(object::<Thing>(r#"{"name": 7}"#).is_err());
    }

    #[test]
    fn an_odd_object_is_passed_over() {
        let body = br#"{"metadata": {"resourceVersion": "5"}, "items": [{"name": "a"}, {"name": 7}, {"ports": null}]}"#;
        let found: List<Thing> = list(&Bytes::from_static(body)).unwrap();
        assert_eq!(
            (found.metadata.resource_version.as_str(), found.items),
            ("5", vec![thing("a", &[]), thing("", &[])])
        );
        assert!(list::<Thing>(&Bytes::from_static(br#"{"items": null}"#)).unwrap().items.is_empty());
        assert!(list::<Thing>(&Bytes::from_static(b"[]]")).is_err());
    }
}
