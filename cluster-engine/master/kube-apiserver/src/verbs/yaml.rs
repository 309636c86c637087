//! Bodies of server-side apply: YAML, in which a key may be there twice unless the client asked to be strict.

use drydock_api::Status;
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Options};

/// Reads a body; of a key that is there twice the last value counts.
///
/// # Errors
/// 400 for what is no YAML.
pub(super) fn read(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body).map_err(|_| Status::bad_request("error decoding YAML: invalid UTF-8"))?;
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))
}

/// The first key that is there twice, in the words of Go's YAML.
pub(super) fn duplicate(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let error = serde_saphyr::from_str_with_options::<Value>(text, Options::default()).err()?;
    match error.without_snippet() {
        Error::DuplicateMappingKey { key, location } => Some(format!(
            "error converting YAML to JSON: yaml: unmarshal errors:\n  line {}: key {:?} already set in map",
            location.line(),
            key.as_deref().unwrap_or("")
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_value_counts_and_the_place_of_the_second_is_told() {
        let text = b"\nkind: A\nspec:\n  foo: 1\n  foo: 2\n";
        assert_eq!(read(text).expect("is YAML"), json!({"kind": "A", "spec": {"foo": 2}}));
        let told = duplicate(text).expect("foo is there twice");
        assert!(told.ends_with("  line 5: key \"foo\" already set in map"), "{told}");
        assert_eq!(duplicate(b"a: 1\nb: {a: 1}\n"), None);
        assert!(read(b"a: [").is_err());
        assert_eq!(duplicate(b"a: ["), None);
    }
}
