//! What other servers add to the v2 document: cut out of their documents, merged into ours as kube-aggregator merges.
//!
//! A definition that two servers describe alike is one, with the kinds of both; another server's definition of the same name that is different
//! is renamed (`…ObjectMeta_v2`), and with it every reference that the server's own paths and definitions make to it. A path that we have is ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const KINDS: &str = "x-kubernetes-group-version-kind";

/// Another server's document before anything is read that is not wanted.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    paths: BTreeMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    definitions: BTreeMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    parameters: BTreeMap<String, &'a RawValue>,
}

#[derive(Serialize)]
struct Cut<'a> {
    paths: BTreeMap<&'a str, &'a RawValue>,
    definitions: BTreeMap<&'a str, &'a RawValue>,
    parameters: BTreeMap<&'a str, &'a RawValue>,
}

/// One server's part of the v2 document.
#[derive(Debug, Default, Deserialize)]
pub struct Part {
    paths: Map<String, Value>,
    definitions: Map<String, Value>,
    parameters: Map<String, Value>,
}

/// Cuts the paths of one group version, and all that they refer to, out of a server's v2 document. What comes out is for [`Part::read`].
///
/// # Errors
/// When the document is none.
pub fn cut(document: &[u8], group: &str, version: &str) -> Result<Vec<u8>, serde_json::Error> {
    let document: Document<'_> = serde_json::from_slice(document)?;
    let root = format!("/apis/{group}/{version}");
    let own = |path: &str| path.strip_prefix(&root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut cut = Cut { paths: BTreeMap::new(), definitions: BTreeMap::new(), parameters: BTreeMap::new() };
    let mut open = Vec::new();
    for (path, item) in document.paths.iter().filter(|(path, _)| own(path)) {
        cut.paths.insert(path, item);
        references(item, &mut open)?;
    }
    while let Some(reference) = open.pop() {
        let (from, to, name) = match Section::of(&reference) {
            Some((Section::Definitions, name)) => (&document.definitions, &mut cut.definitions, name),
            Some((Section::Parameters, name)) => (&document.parameters, &mut cut.parameters, name),
            None => continue,
        };
        if let Some((name, item)) = from.get_key_value(name)
            && to.insert(name, item).is_none()
        {
            references(item, &mut open)?;
        }
    }
    serde_json::to_vec(&cut)
}

/// Where a reference leads to.
#[derive(Clone, Copy)]
enum Section {
    Definitions,
    Parameters,
}

impl Section {
    fn prefix(self) -> &'static str {
        match self {
            Self::Definitions => "#/definitions/",
            Self::Parameters => "#/parameters/",
        }
    }

    fn of(reference: &str) -> Option<(Self, &str)> {
        [Self::Definitions, Self::Parameters]
            .into_iter()
            .find_map(|section| Some((section, reference.strip_prefix(section.prefix())?)))
    }
}

fn references(item: &RawValue, out: &mut Vec<String>) -> Result<(), serde_json::Error> {
    let mut item: Value = serde_json::from_str(item.get())?;
    each_reference(&mut item, &mut |reference| {
        out.push(reference.to_owned());
        None
    });
    Ok(())
}

/// Every reference, to be told another.
fn each_reference(value: &mut Value, told: &mut dyn FnMut(&str) -> Option<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(other) = told(reference) {
                            *reference = other;
                        }
                    }
                    value => each_reference(value, told),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_reference(item, told)),
        _ => {}
    }
}

impl Part {
    /// Reads what [`cut`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Renames definitions and parameters, and the references to them.
    fn rename(&mut self, definitions: &BTreeMap<String, String>, parameters: &BTreeMap<String, String>) {
        for (map, names) in [(&mut self.definitions, definitions), (&mut self.parameters, parameters)] {
            for (old, new) in names {
                if let Some(value) = map.remove(old) {
                    map.insert(new.clone(), value);
                }
            }
        }
        let mut told = |reference: &str| {
            let (section, name) = Section::of(reference)?;
            let names = match section {
                Section::Definitions => definitions,
                Section::Parameters => parameters,
            };
            Some(format!("{}{}", section.prefix(), names.get(name)?))
        };
        for map in [&mut self.paths, &mut self.definitions, &mut self.parameters] {
            map.values_mut().for_each(|value| each_reference(value, &mut told));
        }
    }
}

/// Merges while our own document is written: first all of our definitions go through [`Merge::own`], then [`Merge::rest`] is what is added.
pub(super) struct Merge {
    parts: Vec<Part>,
    /// Names of our definitions.
    taken: BTreeSet<String>,
    /// Of each part, the definitions that are others than ours of the same name.
    clashes: Vec<BTreeSet<String>>,
}

impl Merge {
    pub(super) fn new(parts: Vec<Part>) -> Self {
        let clashes = parts.iter().map(|_| BTreeSet::new()).collect();
        Self { parts, taken: BTreeSet::new(), clashes }
    }

    /// Takes note of a definition of ours; the one to write instead, if that is another.
    pub(super) fn own(&mut self, name: &str, schema: &Value) -> Option<Value> {
        if self.parts.is_empty() {
            return None;
        }
        self.taken.insert(name.to_owned());
        let mut merged = None;
        for (part, clashes) in self.parts.iter_mut().zip(&mut self.clashes) {
            match part.definitions.get(name) {
                Some(other) if equal_but_for_kinds(schema, other) => {
                    let mut schema = merged.take().unwrap_or_else(|| schema.clone());
                    add_kinds(&mut schema, other);
                    merged = Some(schema);
                    part.definitions.remove(name);
                }
                Some(_) => {
                    clashes.insert(name.to_owned());
                }
                None => {}
            }
        }
        merged
    }

    /// All that the others add.
    pub(super) fn rest(self) -> Rest {
        let mut rest = Part::default();
        for (mut part, clashes) in self.parts.into_iter().zip(self.clashes) {
            let is_taken = |name: &str| self.taken.contains(name);
            let definitions =
                names(&mut part.definitions, &mut rest.definitions, &|name| clashes.contains(name), &is_taken);
            let parameters = names(&mut part.parameters, &mut rest.parameters, &|_| false, &|_| false);
            part.rename(&definitions, &parameters);
            rest.definitions.extend(part.definitions);
            rest.parameters.extend(part.parameters);
            for (path, item) in part.paths {
                rest.paths.entry(path).or_insert(item);
            }
        }
        Rest(rest)
    }
}

/// The new names of those entries of `own` that cannot keep theirs. Entries that `rest` has already are taken out of `own`.
fn names(
    own: &mut Map<String, Value>,
    rest: &mut Map<String, Value>,
    clashes: &dyn Fn(&str) -> bool,
    taken: &dyn Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut renamed = BTreeMap::new();
    for name in own.keys().cloned().collect::<Vec<_>>() {
        let Some(value) = own.get(&name) else { continue };
        let mut candidate = name.clone();
        let mut number = 1;
        let known = loop {
            let free = match rest.get_mut(&candidate) {
                Some(other) if equal_but_for_kinds(other, value) => {
                    add_kinds(other, value);
                    break true;
                }
                Some(_) => false,
                None if number == 1 => !clashes(&candidate),
                None => !taken(&candidate) && !own.contains_key(&candidate),
            };
            if free {
                break false;
            }
            number += 1;
            candidate = format!("{name}_v{number}");
        };
        if known {
            own.remove(&name);
        }
        if candidate != name {
            renamed.insert(name, candidate);
        }
    }
    renamed
}

fn equal_but_for_kinds(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else { return one == other };
    let count = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(KINDS));
    count(one) == count(other) && one.iter().all(|(key, value)| key == KINDS || other.get(key) == Some(value))
}

/// Adds the kinds of `other` that `schema` has not.
fn add_kinds(schema: &mut Value, other: &Value) {
    let Some(kinds) = other.get(KINDS).and_then(Value::as_array) else { return };
    let Some(own) = schema.as_object_mut() else { return };
    let own = own.entry(KINDS).or_insert_with(|| Value::Array(Vec::new()));
    if let Some(own) = own.as_array_mut() {
        for kind in kinds {
            if !own.contains(kind) {
                own.push(kind.clone());
            }
        }
    }
}

/// What is added to our own definitions and paths.
pub(super) struct Rest(Part);

impl Rest {
    /// A path that is ours is not the others'.
    pub(super) fn own_path(&mut self, path: &str) {
        self.0.paths.remove(path);
    }

    pub(super) fn definitions(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.definitions.iter()
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.parameters.iter()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.paths.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const META: &str = "meta.ObjectMeta";

    /// A server's part with one kind; `meta` is how it describes metadata.
    fn part(group: &str, meta: &Value) -> Part {
        let document = json!({"swagger": "2.0",
            "paths": {
                format!("/apis/{group}/v1/"): {"get": {}},
                format!("/apis/{group}/v1/things"): {"post": {
                    "parameters": [{"$ref": "#/parameters/body"}],
                    "responses": {"200": {"schema": {"$ref": format!("#/definitions/{group}.Thing")}}}}},
                format!("/apis/{group}/v10/things"): {"get": {}},
                "/apis/apps/v1/deployments": {"get": {"schema": {"$ref": "#/definitions/Deployment"}}}},
            "parameters": {"body": {"name": "body", "in": "body", "schema": {"$ref": format!("#/definitions/{group}.Thing")}}, "other": {}},
            "definitions": {
                format!("{group}.Thing"): {"type": "object", "properties": {"metadata": {"$ref": format!("#/definitions/{META}")}}},
                META: meta, "Deployment": {}}});
        Part::read(&cut(document.to_string().as_bytes(), group, "v1").expect("cut")).expect("part")
    }

    fn keys(map: &Map<String, Value>) -> Vec<&str> {
        map.keys().map(String::as_str).collect()
    }

    #[test]
    fn only_what_the_group_version_refers_to_is_cut_out() {
        let part = part("a.io", &json!({}));
        assert_eq!(keys(&part.paths), ["/apis/a.io/v1/", "/apis/a.io/v1/things"]);
        assert_eq!(keys(&part.definitions), ["a.io.Thing", META]);
        assert_eq!(keys(&part.parameters), ["body"]);
        assert!(cut(b"<html>", "a.io", "v1").is_err());
        let empty = Part::read(&cut(b"{\"swagger\": \"2.0\"}", "a.io", "v1").expect("cut")).expect("part");
        assert!(empty.paths.is_empty() && empty.definitions.is_empty());
    }

    /// Merges parts with our own description of metadata: what is written instead of ours, and the names of what is added.
    #[track_caller]
    fn check(own: &Value, parts: Vec<Part>, written: Option<Value>, definitions: &[&str]) -> Rest {
        let mut merge = Merge::new(parts);
        assert_eq!(merge.own(META, own), written);
        let rest = merge.rest();
        assert_eq!(keys(&rest.0.definitions), definitions);
        // Whatever is referred to is there.
        let mut all = json!([rest.0.paths, rest.0.definitions, rest.0.parameters]);
        each_reference(&mut all, &mut |reference| {
            let found = match Section::of(reference) {
                Some((Section::Definitions, name)) => name == META || rest.0.definitions.contains_key(name),
                Some((Section::Parameters, name)) => rest.0.parameters.contains_key(name),
                None => false,
            };
            assert!(found, "{reference} leads nowhere");
            None
        });
        rest
    }

    #[test]
    fn equal_definitions_are_one() {
        let kind = |group: &str| json!([{"group": group, "kind": "ObjectMeta", "version": "v1"}]);
        let meta = |group: &str| json!({"type": "object", KINDS: kind(group)});
        let both = json!({"type": "object", KINDS: [kind("")[0], kind("a.io")[0]]});
        check(&meta(""), vec![part("a.io", &meta("a.io"))], Some(both), &["a.io.Thing"]);
        check(&meta(""), vec![], None, &[]);
    }

    #[test]
    fn other_definitions_get_another_name() {
        let (ours, theirs, yet_others) =
            (json!({"type": "object"}), json!({"type": "array"}), json!({"type": "string"}));
        let parts = vec![part("a.io", &theirs), part("b.io", &theirs), part("c.io", &yet_others)];
        let names = ["a.io.Thing", "b.io.Thing", "c.io.Thing", "meta.ObjectMeta_v2", "meta.ObjectMeta_v3"];
        let mut rest = check(&ours, parts, None, &names);
        let reference = |thing: &str| rest.0.definitions[thing]["properties"]["metadata"]["$ref"].clone();
        assert_eq!(reference("a.io.Thing"), "#/definitions/meta.ObjectMeta_v2");
        assert_eq!(reference("b.io.Thing"), "#/definitions/meta.ObjectMeta_v2");
        assert_eq!(reference("c.io.Thing"), "#/definitions/meta.ObjectMeta_v3");
        // Parameters of the same name are others, too.
        assert_eq!(keys(&rest.0.parameters), ["body", "body_v2", "body_v3"]);
        assert_eq!(rest.0.paths["/apis/b.io/v1/things"]["post"]["parameters"][0]["$ref"], "#/parameters/body_v2");
        rest.own_path("/apis/b.io/v1/things");
        assert_eq!(rest.paths().count(), 5);
    }
}
