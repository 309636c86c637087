//! Sets of fields as managedFields write them (`fieldsV1`): a tree whose edges are path elements.
//!
//! An element is kept in its written form: `f:name` a field or map key, `k:{"name":"a"}` an item of a keyed list, `v:"a"` an item of a set,
//! `i:0` a position.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// The path that leads here is in the set.
    pub(super) member: bool,
    /// What lies below.
    pub(super) children: BTreeMap<String, Set>,
}

impl Set {
    /// Adds a path.
    pub(super) fn insert(&mut self, path: &[String]) {
        let mut node = self;
        for element in path {
            node = node.children.entry(element.clone()).or_default();
        }
        node.member = true;
    }

    /// Holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Paths of either.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.add(other);
        out
    }

    fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, child) in &other.children {
            self.children.entry(element.clone()).or_default().add(child);
        }
    }

    /// Paths of this that are not in `other`. What lies below a removed path stays.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combine(Some(other), &|mine, theirs| mine && !theirs)
    }

    /// Paths of both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combine(Some(other), &|mine, theirs| mine && theirs)
    }

    fn combine(&self, other: Option<&Self>, keep: &dyn Fn(bool, bool) -> bool) -> Self {
        let mut out = Self { member: keep(self.member, other.is_some_and(|o| o.member)), children: BTreeMap::new() };
        for (element, child) in &self.children {
            let child = child.combine(other.and_then(|o| o.children.get(element)), keep);
            if !child.is_empty() {
                out.children.insert(element.clone(), child);
            }
        }
        out
    }

    /// Removes a dotted path of fields and all below it.
    pub(super) fn remove_below(&mut self, path: &str) {
        let mut node = self;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let element = format!("f:{part}");
            if parts.peek().is_none() {
                node.children.remove(&element);
                return;
            }
            match node.children.get_mut(&element) {
                Some(child) => node = child,
                None => return,
            }
        }
    }

    /// Every path, printed as upstream prints paths: `.spec.containers[name="a"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.print(&mut String::new(), &mut out);
        out
    }

    fn print(&self, path: &mut String, out: &mut Vec<String>) {
        if self.member {
            out.push(path.clone());
        }
        for (element, child) in &self.children {
            let len = path.len();
            path.push_str(&print_element(element));
            child.print(path, out);
            path.truncate(len);
        }
    }

    /// Reads `fieldsV1`.
    pub(super) fn from_fields(fields: &Value) -> Self {
        let mut out = Self::default();
        if let Value::Object(object) = fields {
            for (element, below) in object {
                if element == "." {
                    out.member = true;
                    continue;
                }
                let mut child = Self::from_fields(below);
                child.member |= below.as_object().is_none_or(Map::is_empty);
                out.children.insert(element.clone(), child);
            }
        }
        out
    }

    /// Writes `fieldsV1`.
    pub(super) fn to_fields(&self) -> Value {
        let mut object = Map::new();
        for (element, child) in &self.children {
            let Value::Object(mut below) = child.to_fields() else { continue };
            if child.member && !below.is_empty() {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            object.insert(element.clone(), Value::Object(below));
        }
        Value::Object(object)
    }
}

/// An element as upstream prints it in paths.
pub(super) fn print_element(element: &str) -> String {
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", value)) => format!("[={value}]"),
        Some(("i:", index)) => format!("[{index}]"),
        Some(("k:", keys)) => match serde_json::from_str::<Map<String, Value>>(keys) {
            Ok(keys) => format!("[{}]", keys.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")),
            Err(_) => format!("[{keys}]"),
        },
        _ => element.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_writes_and_combines() {
        let a = Set::from_fields(
            &json!({"f:spec": {"f:a": {}, "f:list": {".": {}, "k:{\"name\":\"x\"}": {".": {}, "f:y": {}}}}}),
        );
        let b = Set::from_fields(&json!({"f:spec": {"f:a": {}, "f:b": {}}}));
        assert_eq!(Set::from_fields(&a.to_fields()), a);
        assert_eq!(a.intersection(&b).to_fields(), json!({"f:spec": {"f:a": {}}}));
        assert_eq!(b.difference(&a).to_fields(), json!({"f:spec": {"f:b": {}}}));
        assert_eq!(
            a.union(&b).to_fields(),
            json!({"f:spec": {"f:a": {}, "f:b": {}, "f:list": {".": {}, "k:{\"name\":\"x\"}": {".": {}, "f:y": {}}}}})
        );
        assert_eq!(a.paths(), [".spec.a", ".spec.list", ".spec.list[name=\"x\"]", ".spec.list[name=\"x\"].y"]);
        let mut c = a.clone();
        c.remove_below("spec.list");
        assert_eq!(c.to_fields(), json!({"f:spec": {"f:a": {}}}));
        assert!(a.difference(&a).is_empty());
    }
}
