//! Strategic merge: the rules of `k8s.io/apimachinery/pkg/util/strategicpatch` with patch metadata from the schema table.

use serde_json::{Map, Value};

use crate::schema::{Kind, Shape, Type};
use crate::status::Status;

type Object = Map<String, Value>;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("unknown patch type: {directive} in map: {map}")]
    BadPatchType { directive: String, map: String },
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey { map: String, key: String },
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    #[error("merging lists cannot yet be specified in the patch")]
    MergeLists,
    #[error("lists of lists are not supported")]
    ListOfLists,
    #[error("The order in patch list:\n{patch}\n doesn't match {SET_ORDER} list:\n{order}\n")]
    Order { patch: String, order: String },
    #[error("cannot merge lists without merge key for {name}")]
    NoKeyDeclared { name: String },
    #[error("expected a list, got {found}")]
    NotAList { found: String },
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::RetainKeys | Error::SetElementOrder => Self::bad_request(error.to_string()),
            Error::ListOfLists => Self::unprocessable(error),
            // Upstream does not classify the others.
            other => Self::failure(500, "", other.to_string()),
        }
    }
}

/// Where in the schema a value stands.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Type(Type<'a>),
    Values(Shape<'a>),
    Free,
}

/// How a member merges.
#[derive(Clone, Copy)]
struct Rule<'a> {
    scope: Scope<'a>,
    merges: bool,
    replaces: bool,
    key: &'a str,
}

impl<'a> Scope<'a> {
    fn of(shape: Shape<'a>) -> Self {
        match (shape.kind(), shape.ty(), shape.items()) {
            (Kind::Object, Some(ty), _) => Self::Type(ty),
            (Kind::Map, _, Some(items)) => Self::Values(items),
            (Kind::List, _, Some(items)) => Self::of(items),
            (Kind::SchemaOrBool | Kind::SchemaOrArray | Kind::SchemaOrStrings, ..) => Self::Free,
            _ => Self::Free,
        }
    }

    fn rule(self, name: &str) -> Rule<'a> {
        match self {
            Self::Type(ty) => match ty.field(name) {
                Some(field) => Rule {
                    scope: Self::of(field.shape()),
                    merges: field.merges(),
                    replaces: field.patch_strategy() == Some("replace"),
                    key: field.merge_key(),
                },
                None => Rule { scope: Self::Free, merges: false, replaces: false, key: "" },
            },
            Self::Values(shape) => Rule { scope: Self::of(shape), merges: false, replaces: false, key: "" },
            Self::Free => Rule { scope: Self::Free, merges: false, replaces: false, key: "" },
        }
    }

    fn name(self) -> String {
        match self {
            Self::Type(ty) => ty.go_name().to_owned(),
            _ => String::new(),
        }
    }
}

/// Merges a patch into an object of a type.
pub(super) fn merge(original: Object, patch: Object, ty: Type<'_>) -> Result<Object, Error> {
    merge_map(original, patch, Scope::Type(ty))
}

fn merge_map(mut original: Object, mut patch: Object, scope: Scope<'_>) -> Result<Object, Error> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Object::new()),
            _ => Err(Error::BadPatchType { directive: text(&directive), map: Value::Object(patch).to_string() }),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    set_element_order(&mut original, &mut patch, scope)?;
    for (key, change) in patch {
        let (key, deletes) = match key.strip_prefix(DELETE_FROM) {
            Some(name) => (name.to_owned(), true),
            None => (key, false),
        };
        if change.is_null() {
            original.remove(&key);
            continue;
        }
        let Some(current) = original.get_mut(&key) else {
            if !deletes {
                original.insert(key, clean(change));
            }
            continue;
        };
        let rule = scope.rule(&key);
        let merged = match (std::mem::take(current), change) {
            (Value::Object(old), Value::Object(new)) => {
                Value::Object(if rule.replaces { new } else { merge_map(old, new, rule.scope)? })
            }
            (Value::Array(old), Value::Array(new)) => {
                Value::Array(if rule.merges || deletes { merge_list(old, new, rule, deletes)? } else { new })
            }
            (old, _) if deletes => old,
            (_, new) => clean(new),
        };
        *current = merged;
    }
    Ok(original)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A patch's value that meets no original: without nulls and directives.
fn clean(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .filter(|(key, value)| {
                    !value.is_null()
                        && key != DIRECTIVE
                        && key != RETAIN_KEYS
                        && !key.starts_with(SET_ORDER)
                        && !key.starts_with(DELETE_FROM)
                })
                .map(|(key, value)| (key, clean(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(
            list.into_iter()
                .filter(|item| item.get(DIRECTIVE).is_none_or(|d| d != "delete" && d != "replace"))
                .map(clean)
                .collect(),
        ),
        other => other,
    }
}

/// Drops what `$retainKeys` does not name.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Error> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keys) = directive else { return Err(Error::RetainKeys) };
    let named = |key: &str| keys.iter().any(|k| k == key);
    let exempt =
        |key: &str, value: &Value| value.is_null() || key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
    if patch.iter().any(|(key, value)| !exempt(key, value) && !named(key)) {
        return Err(Error::RetainKeys);
    }
    original.retain(|key, _| named(key));
    Ok(())
}

/// Merges every list that `$setElementOrder/…` names and puts it in that order; what the order does not name keeps its place as well as it can.
fn set_element_order(original: &mut Object, patch: &mut Object, scope: Scope<'_>) -> Result<(), Error> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let Some(Value::Array(order)) = patch.remove(&directive) else { return Err(Error::SetElementOrder) };
        let name = &directive[SET_ORDER.len()..];
        let rule = scope.rule(name);
        let list = |value: Option<Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(Error::NotAList { found: other.to_string() }),
        };
        let old = list(original.get(name).cloned())?;
        if patch.get(name).is_some_and(Value::is_null) {
            // The list is being removed: the ordinary pass does it.
            continue;
        }
        let new = list(patch.remove(name))?;
        validate_order(new.as_deref().unwrap_or_default(), &order, rule.key)?;
        let server_order = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => match clean(Value::Array(new)) {
                Value::Array(list) => list,
                _ => Vec::new(),
            },
            (Some(old), Some(new)) if rule.merges => merge_list(old, new, rule, false)?,
            (Some(_), Some(new)) => new,
        };
        let (listed, rest): (Vec<Value>, Vec<Value>) =
            merged.into_iter().partition(|item| place(&order, item, rule.key).is_some());
        original.insert(name.to_owned(), Value::Array(arrange(listed, rest, &order, &server_order, rule.key)));
    }
    Ok(())
}

/// Every item of the patch stands in the order list, in the same order.
fn validate_order(patch: &[Value], order: &[Value], key: &str) -> Result<(), Error> {
    let mut at = 0;
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        match order[at..].iter().position(|o| same(o, item, key)) {
            Some(n) => at += n + 1,
            None => {
                return Err(Error::Order {
                    patch: Value::from(patch).to_string(),
                    order: Value::from(order).to_string(),
                });
            }
        }
    }
    Ok(())
}

/// Equal scalars, or maps with the same merge key.
fn same(a: &Value, b: &Value, key: &str) -> bool {
    if key.is_empty() || !a.is_object() || !b.is_object() {
        a == b
    } else {
        a.get(key).is_some() && a.get(key) == b.get(key)
    }
}

fn place(order: &[Value], item: &Value, key: &str) -> Option<usize> {
    order.iter().position(|o| same(o, item, key))
}

/// Both lists sorted, then the server's items put between the patch's where the live order says so.
fn arrange(
    mut listed: Vec<Value>,
    mut rest: Vec<Value>,
    order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Vec<Value> {
    listed.sort_by_key(|item| place(order, item, key).unwrap_or(usize::MAX));
    rest.sort_by_key(|item| place(server_order, item, key).unwrap_or(usize::MAX));
    let (mut left, mut right) = (rest.into_iter().peekable(), listed.into_iter().peekable());
    let mut out = Vec::new();
    loop {
        let take_left = match (left.peek(), right.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(l), Some(r)) => match (place(server_order, l, key), place(server_order, r, key)) {
                (Some(l), Some(r)) => l < r,
                _ => false,
            },
        };
        out.extend(if take_left { left.next() } else { right.next() });
    }
}

fn merge_list(original: Vec<Value>, patch: Vec<Value>, rule: Rule<'_>, deletes: bool) -> Result<Vec<Value>, Error> {
    if original.iter().chain(&patch).any(Value::is_array) {
        return Err(Error::ListOfLists);
    }
    if !original.iter().chain(&patch).any(Value::is_object) {
        if deletes {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let mut merged: Vec<Value> = Vec::new();
        for item in original.iter().chain(&patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        let (listed, rest): (Vec<Value>, Vec<Value>) = merged.into_iter().partition(|item| patch.contains(item));
        return Ok(arrange(listed, rest, &patch, &original, ""));
    }
    if rule.key.is_empty() {
        return Err(Error::NoKeyDeclared { name: rule.scope.name() });
    }
    let Some((mut kept, changes)) = special_elements(original, patch, rule.key)? else { return Ok(Vec::new()) };
    let Some(changes) = changes else { return Ok(kept) };
    let server_order = kept.clone();
    for change in &changes {
        let Value::Object(change) = change else { continue };
        let Some(value) = change.get(rule.key) else { return Err(no_key(change, rule.key)) };
        match kept.iter_mut().find(|item| item.get(rule.key) == Some(value)) {
            Some(Value::Object(item)) => *item = merge_map(std::mem::take(item), change.clone(), rule.scope)?,
            _ => kept.push(clean(Value::Object(change.clone()))),
        }
    }
    let (listed, rest): (Vec<Value>, Vec<Value>) =
        kept.into_iter().partition(|item| place(&changes, item, rule.key).is_some());
    Ok(arrange(listed, rest, &changes, &server_order, rule.key))
}

fn no_key(map: &Object, key: &str) -> Error {
    Error::NoMergeKey { map: Value::Object(map.clone()).to_string(), key: key.to_owned() }
}

/// What is left of the original, and the changes still to merge (`None` after a replace).
type Parted = Option<(Vec<Value>, Option<Vec<Value>>)>;

/// Carries out `$patch: delete` and `$patch: replace` items.
fn special_elements(mut original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Parted, Error> {
    let (mut changes, mut replace) = (Vec::new(), false);
    for item in patch {
        let Value::Object(map) = &item else {
            changes.push(item);
            continue;
        };
        match map.get(DIRECTIVE).map(text).as_deref() {
            None => changes.push(item),
            Some("delete") => {
                let value = map.get(key).ok_or_else(|| no_key(map, key))?;
                original.retain(|o| o.get(key) != Some(value));
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(Error::MergeLists),
            Some(other) => return Err(Error::BadPatchType { directive: other.to_owned(), map: item.to_string() }),
        }
    }
    Ok(Some(if replace { (changes, None) } else { (original, Some(changes)) }))
}
