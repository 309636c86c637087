//! Objects as bytes: how they are stored, and the two changes that never need a parse.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The stored form: `kind`, `apiVersion` and `metadata` first (as Go writes them), `metadata.resourceVersion` left out.
pub(crate) fn encode(object: &Value, api_version: &str, kind: &str) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"kind\":");
    write(&mut out, &Value::String(kind.to_owned()));
    out.extend_from_slice(b",\"apiVersion\":");
    write(&mut out, &Value::String(api_version.to_owned()));
    out.extend_from_slice(b",\"metadata\":{");
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let mut first = true;
    for (key, value) in fields.get("metadata").and_then(Value::as_object).unwrap_or(&empty) {
        if key != "resourceVersion" {
            field(&mut out, key, value, &mut first);
        }
    }
    out.push(b'}');
    first = false;
    for (key, value) in fields {
        if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
            field(&mut out, key, value, &mut first);
        }
    }
    out.push(b'}');
    Bytes::from(out)
}

fn field(out: &mut Vec<u8>, key: &str, value: &Value, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    write(out, &Value::String(key.to_owned()));
    out.push(b':');
    write(out, value);
}

fn write(out: &mut Vec<u8>, value: &Value) {
    // Writing a Value into memory cannot fail: keys are strings and the writer is a Vec.
    let _ = serde_json::to_writer(out, value);
}

/// The wire form of stored bytes: with `metadata.resourceVersion`.
///
/// Bytes in our own form get it spliced in; others (written by somebody else's hand) take the long way.
pub(crate) fn with_version(stored: &[u8], revision: i64) -> Bytes {
    const MARK: &[u8] = b",\"metadata\":{";
    let head = &stored[..stored.len().min(512)];
    if stored.starts_with(b"{\"kind\":\"")
        && let Some(at) = head.windows(MARK.len()).position(|window| window == MARK)
        && !stored[1..at].contains(&b'{')
    {
        let cut = at + MARK.len();
        let comma = if stored.get(cut) == Some(&b'}') { "" } else { "," };
        let version = format!("\"resourceVersion\":\"{revision}\"{comma}");
        let mut out = Vec::with_capacity(stored.len() + version.len());
        out.extend_from_slice(&stored[..cut]);
        out.extend_from_slice(version.as_bytes());
        out.extend_from_slice(&stored[cut..]);
        return Bytes::from(out);
    }
    match serde_json::from_slice::<Value>(stored) {
        Ok(mut object) => {
            set_version(&mut object, revision);
            Bytes::from(serde_json::to_vec(&object).unwrap_or_default())
        }
        Err(_) => Bytes::copy_from_slice(stored),
    }
}

/// Sets `metadata.resourceVersion`.
pub(crate) fn set_version(object: &mut Value, revision: i64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), Value::String(revision.to_string()));
    }
}

#[derive(Deserialize)]
struct OnlyMetadata<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// The `PartialObjectMetadata` of an object in wire form, without a full parse.
pub(crate) fn partial(object: &[u8], api_version: &str) -> Bytes {
    let metadata = serde_json::from_slice::<OnlyMetadata<'_>>(object).map_or("{}", |only| only.metadata.get());
    Bytes::from(format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata}}}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_goes_in_and_stays_out_of_storage() {
        let object = json!({"apiVersion":"v1","kind":"ConfigMap","data":{"metadata":"{x"},"metadata":{"name":"a","resourceVersion":"7"}});
        let stored = encode(&object, "v1", "ConfigMap");
        assert!(stored.starts_with(br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"#), "{stored:?}");
        let back: Value = serde_json::from_slice(&with_version(&stored, 9)).expect("JSON");
        assert_eq!(back["metadata"]["resourceVersion"], "9");
        assert_eq!(back["data"], object["data"]);
    }

    #[test]
    fn bytes_in_another_order_take_the_long_way() {
        let text = br#"{"data":{"x":{"metadata":{}}},"metadata":{},"kind":"X","apiVersion":"v1"}"#;
        let back: Value = serde_json::from_slice(&with_version(text, 3)).expect("JSON");
        assert_eq!(back["metadata"]["resourceVersion"], "3");
        assert_eq!(back["data"]["x"]["metadata"], json!({}));
    }

    #[test]
    fn partial_metadata_keeps_the_metadata_only() {
        let object = br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"x":1}}"#;
        assert_eq!(
            &partial(object, "meta.k8s.io/v1")[..],
            br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}"#
        );
    }
}
