//! JSON patch with the rules of `evanphx/json-patch` v4, which upstream uses: negative array indexes count from the end, `-` appends, a `test` of an
//! absent member against null holds.

use serde_json::Value;

use crate::status::Status;

/// One operation.
pub(super) struct Operation {
    op: String,
    path: String,
    from: Option<String>,
    value: Option<Value>,
}

/// Reads the operations. What each lacks is found only when it is applied, as upstream does.
pub(super) fn parse(patch: &[u8]) -> Result<Vec<Operation>, Status> {
    let value: Value =
        serde_json::from_slice(patch).map_err(|e| Status::bad_request(crate::check::json_syntax_error(patch, &e)))?;
    let Value::Array(list) = value else {
        let found = match value {
            Value::Object(_) => "object",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Null => return Ok(Vec::new()),
            _ => "bool",
        };
        return Err(Status::bad_request(format!(
            "json: cannot unmarshal {found} into Go value of type jsonpatch.Patch"
        )));
    };
    list.into_iter()
        .map(|item| {
            let Value::Object(mut item) = item else {
                return Err(Status::bad_request(
                    "json: cannot unmarshal value into Go value of type jsonpatch.Operation",
                ));
            };
            let text = |item: &serde_json::Map<String, Value>, key: &str| {
                item.get(key).and_then(Value::as_str).map(str::to_owned)
            };
            Ok(Operation {
                op: text(&item, "op").unwrap_or_else(|| "unknown".to_owned()),
                path: text(&item, "path").unwrap_or_else(|| "\u{0}".to_owned()),
                from: text(&item, "from"),
                value: item.remove("value"),
            })
        })
        .collect()
}

/// What all copies of a patch may add to the object, in bytes of JSON (upstream: `JSONPatchMaxCopyBytes`): each could double it.
const MOST_COPIED: usize = 3 << 20;

/// Counts what is written to it.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The length of a value as JSON.
fn size(value: &Value) -> usize {
    let mut counter = Counter(0);
    // A counter takes everything.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// Applies one operation, with what was copied by those before it; the error is upstream's text, which it logs but does not send.
pub(super) fn apply(document: &mut Value, operation: &Operation, copied: &mut usize) -> Result<(), String> {
    let Operation { op, path, from, value } = operation;
    if path == "\u{0}" {
        return Err(format!("{op} operation failed to decode path: operation missing path field: missing value"));
    }
    let from = || {
        from.as_deref()
            .ok_or_else(|| format!("{op} operation failed to decode from: operation missing from field: missing value"))
    };
    match op.as_str() {
        "add" => add(document, path, value.clone().unwrap_or(Value::Null), "add"),
        "remove" => remove(document, path, "remove").map(drop),
        "replace" => {
            if path.is_empty() {
                *document = value.clone().unwrap_or(Value::Null);
                return Ok(());
            }
            let slot = find(document, path).ok_or_else(|| {
                format!("replace operation does not apply: doc is missing key: {path}: missing value")
            })?;
            *slot = value.clone().unwrap_or(Value::Null);
            Ok(())
        }
        "move" => {
            let moved = remove(document, from()?, "move")?;
            add(document, path, moved, "move")
        }
        "copy" => {
            let from = from()?;
            let found = find(document, from).ok_or_else(|| {
                format!("copy operation does not apply: doc is missing from path: {from}: missing value")
            })?;
            *copied += size(found);
            if *copied > MOST_COPIED {
                return Err(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MOST_COPIED}"
                ));
            }
            let value = found.clone();
            add(document, path, value, "copy")
        }
        "test" => {
            let found = if path.is_empty() { Some(&*document) } else { find(document, path).map(|v| &*v) };
            let wanted = value.as_ref().unwrap_or(&Value::Null);
            if equal(found.unwrap_or(&Value::Null), wanted) {
                Ok(())
            } else {
                Err(format!("testing value {path} failed: test failed"))
            }
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

/// Equal as JSON: `1` and `1.0` are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The container that a path's last token names a member of, and that token.
fn parent<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (head, last) = path.rsplit_once('/')?;
    let mut current = document;
    for token in head.split('/').skip(1) {
        current = member(current, &unescape(token))?;
    }
    (current.is_object() || current.is_array()).then(|| (current, unescape(last)))
}

fn member<'a>(container: &'a mut Value, token: &str) -> Option<&'a mut Value> {
    match container {
        Value::Object(object) => object.get_mut(token),
        Value::Array(list) => {
            let index = position(token, list.len()).filter(|i| *i < list.len())?;
            list.get_mut(index)
        }
        _ => None,
    }
}

fn find<'a>(document: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let (container, token) = parent(document, path)?;
    member(container, &token)
}

/// An index; negative ones count from the end.
fn position(token: &str, len: usize) -> Option<usize> {
    let index: i64 = token.parse().ok()?;
    if index < 0 { usize::try_from(index + i64::try_from(len).ok()?).ok() } else { usize::try_from(index).ok() }
}

fn add(document: &mut Value, path: &str, value: Value, op: &str) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let missing = || format!("{op} operation does not apply: doc is missing path: \"{path}\": missing value");
    let (container, token) = parent(document, path).ok_or_else(missing)?;
    match container {
        Value::Object(object) => {
            object.insert(token, value);
        }
        Value::Array(list) if token == "-" => list.push(value),
        Value::Array(list) => {
            // Adding allows one place past the end, and -1 is that place.
            let index = position(&token, list.len() + 1).filter(|i| *i <= list.len());
            let index = index.ok_or_else(|| format!("error in {op} for path: '{path}': Unable to access invalid index: {token}: invalid index referenced"))?;
            list.insert(index, value);
        }
        _ => return Err(missing()),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str, op: &str) -> Result<Value, String> {
    let missing = || format!("{op} operation does not apply: doc is missing path: \"{path}\": missing value");
    let (container, token) = parent(document, path).ok_or_else(missing)?;
    match container {
        Value::Object(object) => object.remove(&token).ok_or_else(|| {
            format!("error in {op} for path: '{path}': Unable to remove nonexistent key: {token}: missing value")
        }),
        Value::Array(list) => {
            let index = position(&token, list.len()).filter(|i| *i < list.len());
            let index = index.ok_or_else(|| format!("error in {op} for path: '{path}': Unable to access invalid index: {token}: invalid index referenced"))?;
            Ok(list.remove(index))
        }
        _ => Err(missing()),
    }
}
