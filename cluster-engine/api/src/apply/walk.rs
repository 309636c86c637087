//! The walks over typed objects: what fields there are, how two objects differ, their merge, and the removal of a set of fields.
//! The rules are those of `sigs.k8s.io/structured-merge-diff/v6/typed`.

use serde_json::{Map, Value};

use super::form::{Form, Scope, field_element, item_element, member, present};
use super::set::Set;
use crate::schema::{Kind, Shape};

/// Every field of an object.
pub(super) fn field_set(value: &Value, scope: Scope<'_>) -> Set {
    let mut set = Set::default();
    collect(value, scope, &mut set);
    set
}

fn collect(value: &Value, scope: Scope<'_>, set: &mut Set) {
    let child = |set: &mut Set, element: String, value: &Value, scope: Scope<'_>, own: bool| {
        let node = set.children.entry(element).or_default();
        collect(value, scope, node);
        node.member |= own || value.is_null() || value.as_object().is_some_and(Map::is_empty);
    };
    match (scope.form([Some(value), None]), value) {
        (Form::Struct(ty), Value::Object(object)) => {
            for (name, value) in object {
                let (scope, field) = member(ty, name);
                child(set, field_element(name), value, scope, field.is_none());
            }
        }
        (Form::Map(items), Value::Object(object)) => {
            for (name, value) in object {
                child(set, field_element(name), value, items, true);
            }
        }
        (Form::List(list, items), Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                let element = item_element(list, items, value).unwrap_or_else(|| format!("i:{index}"));
                child(set, element, value, Scope::Shape(items), true);
            }
        }
        (Form::Struct(_) | Form::Map(_) | Form::List(..), Value::Null) => {}
        _ => set.member = true,
    }
}

/// How one object differs from another.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: Set,
    pub(super) modified: Set,
    pub(super) added: Set,
}

/// Compares two objects.
pub(super) fn compare(old: &Value, new: &Value, scope: Scope<'_>) -> Comparison {
    let mut walker = Compare { out: Comparison::default(), path: Vec::new() };
    walker.walk(Some(old), Some(new), scope);
    walker.out
}

struct Compare {
    out: Comparison,
    path: Vec<String>,
}

fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None => true,
        Some(Value::Object(object)) => object.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

impl Compare {
    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, Some(_)) => self.out.added.insert(&self.path),
            (Some(_), None) => self.out.removed.insert(&self.path),
            (Some(old), Some(new)) if old != new => self.out.modified.insert(&self.path),
            _ => {}
        }
    }

    fn walk(&mut self, old: Option<&Value>, new: Option<&Value>, scope: Scope<'_>) {
        let (old, new) = (present(old), present(new));
        if old.is_none() && new.is_none() {
            return;
        }
        let form = scope.form([old, new]);
        if matches!(form, Form::Leaf) || (is_blank(old) && is_blank(new)) {
            return self.leaf(old, new);
        }
        match form {
            Form::Struct(ty) => {
                let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                for name in keys(old, new) {
                    let (scope, field) = member(ty, name);
                    // What Go holds by value, and a list it never omits, is there (empty) whenever its owner is.
                    let empty = match field {
                        Some(field) if field.is_value() => Some(Value::Object(Map::new())),
                        Some(field) if field.required() && field.shape().kind() == Kind::List => {
                            Some(Value::Array(Vec::new()))
                        }
                        _ => None,
                    };
                    let of = |object: Option<&'_ Map<String, Value>>| {
                        object.map(|o| present(o.get(name)).cloned().or_else(|| empty.clone()))
                    };
                    let (old, new) = (of(old).flatten(), of(new).flatten());
                    self.descend(field_element(name), old.as_ref(), new.as_ref(), scope);
                }
            }
            Form::Map(items) => {
                let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                for name in keys(old, new) {
                    self.descend(
                        field_element(name),
                        old.and_then(|o| o.get(name)),
                        new.and_then(|o| o.get(name)),
                        items,
                    );
                }
            }
            Form::List(list, items) => self.lists(old, new, list, items),
            Form::Leaf => {}
        }
        match (old, new) {
            (None, Some(_)) => self.out.added.insert(&self.path),
            (Some(_), None) => self.out.removed.insert(&self.path),
            _ => {}
        }
    }

    fn descend(&mut self, element: String, old: Option<&Value>, new: Option<&Value>, scope: Scope<'_>) {
        self.path.push(element);
        self.walk(old, new, scope);
        self.path.pop();
    }

    fn lists(&mut self, old: Option<&Value>, new: Option<&Value>, list: Shape<'_>, items: Shape<'_>) {
        let (old, new) = (grouped(old, list, items), grouped(new, list, items));
        let both = old.iter().chain(new.iter().filter(|(element, _)| !old.iter().any(|(e, _)| e == element)));
        for (element, _) in both {
            match (group(&old, element), group(&new, element)) {
                // Items that occur more than once are compared together, as a whole.
                (o, n) if o.len() > 1 || n.len() > 1 => {
                    self.path.push(element.clone());
                    match (o.is_empty(), n.is_empty()) {
                        (true, false) => self.out.added.insert(&self.path),
                        (false, true) => self.out.removed.insert(&self.path),
                        _ if o != n => self.out.modified.insert(&self.path),
                        _ => {}
                    }
                    self.path.pop();
                }
                (o, n) => self.descend(element.clone(), o.first().copied(), n.first().copied(), Scope::Shape(items)),
            }
        }
    }
}

fn keys<'a>(a: Option<&'a Map<String, Value>>, b: Option<&'a Map<String, Value>>) -> Vec<&'a String> {
    let mut keys: Vec<&String> = a.into_iter().chain(b).flat_map(Map::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn group<'g, 'v>(groups: &'g [(String, Vec<&'v Value>)], element: &str) -> &'g [&'v Value] {
    groups.iter().find(|(e, _)| e == element).map(|(_, items)| items.as_slice()).unwrap_or_default()
}

fn grouped<'v>(value: Option<&'v Value>, list: Shape<'_>, items: Shape<'_>) -> Vec<(String, Vec<&'v Value>)> {
    let mut groups: Vec<(String, Vec<&Value>)> = Vec::new();
    for (index, item) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let element = item_element(list, items, item).unwrap_or_else(|| format!("i:{index}"));
        match groups.iter_mut().find(|(e, _)| *e == element) {
            Some((_, group)) => group.push(item),
            None => groups.push((element, vec![item])),
        }
    }
    groups
}

/// Merges what is applied into the live object; what is applied wins.
pub(super) fn merge(live: Option<&Value>, applied: Option<&Value>, scope: Scope<'_>) -> Option<Value> {
    let (Some(live), Some(applied)) = (live, applied) else { return applied.or(live).cloned() };
    match (scope.form([Some(live), Some(applied)]), live, applied) {
        (Form::Struct(ty), Value::Object(old), Value::Object(new)) => {
            Some(merge_maps(old, new, |name| member(ty, name).0))
        }
        (Form::Map(items), Value::Object(old), Value::Object(new)) => Some(merge_maps(old, new, |_| items)),
        (Form::List(list, items), Value::Array(old), Value::Array(new)) => Some(merge_lists(old, new, list, items)),
        _ => Some(applied.clone()),
    }
}

fn merge_maps<'a>(old: &Map<String, Value>, new: &Map<String, Value>, scope: impl Fn(&str) -> Scope<'a>) -> Value {
    let merged = keys(Some(old), Some(new))
        .into_iter()
        .filter_map(|name| Some((name.clone(), merge(old.get(name), new.get(name), scope(name))?)));
    Value::Object(merged.collect())
}

/// Keeps the applied order, and the live order where the applied one says nothing.
fn merge_lists(old: &[Value], new: &[Value], list: Shape<'_>, items: Shape<'_>) -> Value {
    let elements = |values: &[Value]| -> Vec<String> {
        values
            .iter()
            .enumerate()
            .map(|(i, item)| item_element(list, items, item).unwrap_or_else(|| format!("i:{i}")))
            .collect()
    };
    let (left, right) = (elements(old), elements(new));
    let at = |elements: &[String], element: &str| elements.iter().position(|e| e == element);
    let mut shared = right.iter().filter(|element| left.contains(element)).peekable();
    let mut merged_elements: Vec<&String> = Vec::new();
    let (mut out, mut l, mut r) = (Vec::new(), 0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            if left[l] == right[r] {
                merged_elements.push(&left[l]);
                out.extend(merge(at(&left, &left[l]).map(|i| &old[i]), Some(&new[r]), Scope::Shape(items)));
                l += 1;
                r += 1;
                shared.next();
                continue;
            }
            if right.contains(&left[l]) && shared.peek().is_some_and(|next| **next != left[l]) {
                // In both lists, but its turn comes later.
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            if !right.contains(&left[l]) {
                out.push(old[l].clone());
                l += 1;
                continue;
            }
            if merged_elements.contains(&&left[l]) {
                l += 1;
            }
        }
        if r < right.len() {
            merged_elements.push(&right[r]);
            out.extend(merge(at(&left, &right[r]).map(|i| &old[i]), Some(&new[r]), Scope::Shape(items)));
            if shared.peek().is_some_and(|next| **next == right[r]) {
                shared.next();
            }
            r += 1;
        }
    }
    Value::Array(out)
}

/// Takes a set of fields out of an object. `None` if nothing is left.
pub(super) fn remove(value: &Value, set: &Set, scope: Scope<'_>) -> Option<Value> {
    match (scope.form([Some(value), None]), value) {
        (Form::Struct(ty), Value::Object(object)) => remove_members(object, set, |name| member(ty, name).0),
        (Form::Map(items), Value::Object(object)) => remove_members(object, set, |_| items),
        (Form::List(list, items), Value::Array(values)) => {
            let mut out = Vec::new();
            for (index, item) in values.iter().enumerate() {
                let element = item_element(list, items, item).unwrap_or_else(|| format!("i:{index}"));
                match set.children.get(&element) {
                    Some(child) if child.member => {}
                    Some(child) => out.extend(remove(item, child, Scope::Shape(items))),
                    None => out.push(item.clone()),
                }
            }
            (!out.is_empty()).then_some(Value::Array(out))
        }
        (Form::Leaf, _) => None,
        _ => Some(value.clone()),
    }
}

fn remove_members<'a>(object: &Map<String, Value>, set: &Set, scope: impl Fn(&str) -> Scope<'a>) -> Option<Value> {
    let mut out = Map::new();
    for (name, value) in object {
        match set.children.get(&field_element(name)) {
            Some(child) if child.member => {}
            Some(child) if !child.is_empty() => {
                if let Some(value) = remove(value, child, scope(name)) {
                    out.insert(name.clone(), value);
                }
            }
            _ => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// The set with every struct field on the way to a member made a member itself.
pub(super) fn with_named_fields(set: &Set, scope: Scope<'_>) -> Set {
    let mut out = Set { member: set.member, children: Default::default() };
    let form = match scope {
        Scope::Deduced => Form::Map(Scope::Deduced),
        scope => scope.form([None, None]),
    };
    for (element, child) in &set.children {
        let (inner, named) = match (form, element.strip_prefix("f:")) {
            (Form::Struct(ty), Some(name)) => {
                let (scope, field) = member(ty, name);
                (scope, field.is_some())
            }
            (Form::Map(items), _) => (items, false),
            (Form::List(_, items), _) => (Scope::Shape(items), false),
            _ => (Scope::Deduced, false),
        };
        let mut child = with_named_fields(child, inner);
        child.member |= named;
        out.children.insert(element.clone(), child);
    }
    out
}
