//! From a CustomResourceDefinition to rows, and to its own status: pure.

use drydock_api::meta::Gvk;
use drydock_api::schema::from_structural;
use serde_json::{Value, json};

use super::{CustomKind, PrinterColumn, path};
use crate::documents::discovery::priority;
use crate::row::{Hook, Resource, Subresource, Verbs};

/// A definition's names, as far as others may not have them too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    plural: String,
    singular: String,
    kind: String,
    list_kind: String,
    short: Vec<String>,
}

impl Names {
    fn read(names: &Value) -> Self {
        let text = |key: &str| names[key].as_str().unwrap_or("").to_owned();
        let short =
            names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            plural: text("plural"),
            singular: text("singular"),
            kind: text("kind"),
            list_kind: text("listKind"),
            short,
        }
    }

    /// The first name that the other has already: `(reason, name)`.
    fn clash(&self, other: &Self) -> Option<(&'static str, String)> {
        let resources =
            |own: &str| own == other.plural || own == other.singular || other.short.iter().any(|short| short == own);
        let kinds = |own: &str| own == other.kind || own == other.list_kind;
        if resources(&self.plural) {
            return Some(("PluralConflict", self.plural.clone()));
        }
        if !self.singular.is_empty() && resources(&self.singular) {
            return Some(("SingularConflict", self.singular.clone()));
        }
        if let Some(short) = self.short.iter().find(|short| resources(short)) {
            return Some(("ShortNamesConflict", short.clone()));
        }
        if kinds(&self.kind) {
            return Some(("KindConflict", self.kind.clone()));
        }
        kinds(&self.list_kind).then(|| ("ListKindConflict", self.list_kind.clone()))
    }
}

fn group(definition: &Value) -> &str {
    definition["spec"]["group"].as_str().unwrap_or("")
}

fn name(definition: &Value) -> &str {
    drydock_api::meta::name(definition)
}

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    definition["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether the definition's objects are served.
pub(crate) fn is_established(definition: &Value) -> bool {
    condition(definition, "Established").is_some_and(|condition| condition["status"] == "True")
}

/// The definition with the status it should have, if that is another.
pub(crate) fn with_status(definition: &Value, all: &[Value], now: &str) -> Option<Value> {
    let names = Names::read(&definition["spec"]["names"]);
    let accepted = Names::read(&definition["status"]["acceptedNames"]);
    let others = all.iter().filter(|other| name(other) != name(definition) && group(other) == group(definition));
    let clash = if names == accepted {
        None
    } else {
        others.filter_map(|other| names.clash(&Names::read(&other["status"]["acceptedNames"]))).next()
    };
    let mut new = definition.clone();
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    let status = &mut new["status"];
    match clash {
        Some((reason, taken)) => set(
            status,
            "NamesAccepted",
            "False",
            reason,
            &format!("{} is already in use", drydock_api::go_quote(&taken)),
            now,
        ),
        None => {
            status["acceptedNames"] = definition["spec"]["names"].clone();
            set(status, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now);
        }
    }
    let good = status["acceptedNames"]["plural"].as_str().is_some_and(|plural| !plural.is_empty());
    if good {
        set(status, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now);
    } else {
        set(status, "Established", "False", "NotAccepted", "not all names are accepted", now);
        status["acceptedNames"] = json!({"plural": "", "kind": ""});
    }
    let storage = storage_version(definition);
    if !status["storedVersions"].is_array() {
        status["storedVersions"] = json!([]);
    }
    if let Some(list) = status["storedVersions"].as_array_mut()
        && !list.iter().any(|version| version == storage)
    {
        list.push(storage.into());
    }
    (new != *definition).then_some(new)
}

/// What everybody is told who still uses a version that is deprecated.
fn deprecation(definition: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(text) = version["deprecationWarning"].as_str() {
        return Some(text.to_owned());
    }
    let name = |version: &Value| version["name"].as_str().unwrap_or("").to_owned();
    let shown = |version: &str| {
        format!("{}/{version} {}", group(definition), definition["spec"]["names"]["kind"].as_str().unwrap_or(""))
    };
    let own = name(version);
    let newer = versions(definition)
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .map(name)
        .filter(|other| priority(other) > priority(&own))
        .max_by_key(|other| priority(other));
    let text = format!("{} is deprecated", shown(&own));
    Some(newer.map_or_else(|| text.clone(), |newer| format!("{text}; use {}", shown(&newer))))
}

/// A definition that is being deleted, with the condition that says so, if it does not say so yet.
pub(crate) fn terminating(definition: &Value, now: &str) -> Option<Value> {
    if condition(definition, "Terminating").is_some_and(|condition| condition["status"] == "True") {
        return None;
    }
    let mut new = definition.clone();
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    let text = "CustomResource deletion is in progress";
    set(&mut new["status"], "Terminating", "True", "InstanceDeletionInProgress", text, now);
    Some(new)
}

/// Sets a condition; its transition time moves only when its status does.
pub(crate) fn set(status: &mut Value, kind: &str, value: &str, reason: &str, message: &str, now: &str) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let mut condition =
        json!({"type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": now});
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        None => conditions.push(condition),
        Some(old) => {
            if old["status"] == value {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            if let Some(generation) = old.get("observedGeneration") {
                condition["observedGeneration"] = generation.clone();
            }
            *old = condition;
        }
    }
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().into_iter().flatten()
}

fn storage_version(definition: &Value) -> &str {
    versions(definition)
        .find(|version| version["storage"] == true)
        .and_then(|version| version["name"].as_str())
        .unwrap_or("")
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_list(list: &Value) -> &'static [&'static str] {
    let list: Vec<&'static str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).map(leak).collect();
    Box::leak(list.into_boxed_slice())
}

/// The rows of a definition, the one of the stored version first.
pub(crate) fn rows(definition: &Value) -> Vec<&'static Resource> {
    let (spec, names) = (&definition["spec"], &definition["status"]["acceptedNames"]);
    let text = |value: &Value| leak(value.as_str().unwrap_or(""));
    let (group, plural, kind) = (leak(group(definition)), text(&names["plural"]), text(&names["kind"]));
    let stored = leak(storage_version(definition));
    let singular = match names["singular"].as_str() {
        Some(singular) if !singular.is_empty() => leak(singular),
        _ => leak(&kind.to_lowercase()),
    };
    let list_kind =
        names["listKind"].as_str().filter(|kind| !kind.is_empty()).map_or_else(|| format!("{kind}List"), str::to_owned);
    let (short_names, categories) = (leak_list(&names["shortNames"]), leak_list(&names["categories"]));
    let storage = leak(&format!("/registry/{group}/{plural}"));
    let several = versions(definition).count() > 1
        || definition["status"]["storedVersions"].as_array().is_some_and(|list| list.len() > 1);
    // An object may have been stored under another schema.
    let changed = definition["metadata"]["generation"].as_i64().unwrap_or(1) > 1;
    let mut rows: Vec<&'static Resource> = Vec::new();
    for version in versions(definition).filter(|version| version["served"] == true || version["name"] == stored) {
        let own = text(&version["name"]);
        let schema = version["schema"]["openAPIV3Schema"].clone();
        let custom = CustomKind {
            list_kind: list_kind.clone(),
            types: from_structural(&Gvk::new(group, own, kind), &schema).ok(),
            schema,
            preserve: spec["preserveUnknownFields"] == true,
            columns: columns(version),
            selectable: selectable(version),
            on_read: changed || has_default(&version["schema"]["openAPIV3Schema"]),
            webhook: super::conversion::Webhook::read(&spec["conversion"]),
            rules: std::sync::OnceLock::new(),
            deprecation: deprecation(definition, version),
        };
        let row = Resource {
            group,
            version: own,
            kind,
            plural,
            singular,
            short_names,
            categories,
            namespaced: spec["scope"] != "Cluster",
            // A version that is stored but no longer served has no verbs.
            verbs: if version["served"] == true { Verbs::ALL } else { Verbs::NONE },
            subresources: subresources(version),
            generation: true,
            unconditional_update: false,
            storage,
            storage_version: (group, stored),
            from_storage: if several { Some(|_| {}) } else { None },
            to_storage: if several { Some(|_| {}) } else { None },
            hook: Hook::None,
            custom: Some(Box::leak(Box::new(custom))),
            ..Resource::BASE
        };
        rows.push(Box::leak(Box::new(row)));
    }
    rows.sort_by_key(|row| row.version != stored);
    rows
}

fn subresources(version: &Value) -> &'static [Subresource] {
    let mut list = Vec::new();
    if version["subresources"]["status"].is_object() {
        list.push(Subresource::Status);
    }
    let scale = &version["subresources"]["scale"];
    if scale.is_object() {
        let path = |key: &str| leak(scale[key].as_str().unwrap_or("").trim_start_matches('.'));
        list.push(Subresource::Scale {
            spec: path("specReplicasPath"),
            status: path("statusReplicasPath"),
            selector: path("labelSelectorPath"),
        });
    }
    Box::leak(list.into_boxed_slice())
}

fn columns(version: &Value) -> Vec<PrinterColumn> {
    let list = version["additionalPrinterColumns"].as_array();
    let text = |column: &Value, key: &str| column[key].as_str().unwrap_or("").to_owned();
    let read = |column: &Value| PrinterColumn {
        name: text(column, "name"),
        kind: text(column, "type"),
        format: text(column, "format"),
        description: column["description"].as_str().map_or_else(
            || format!("Custom resource definition column (in JSONPath format): {}", text(column, "jsonPath")),
            str::to_owned,
        ),
        priority: column["priority"].as_i64().unwrap_or(0),
        path: path::Path::parse(&text(column, "jsonPath")).unwrap_or_default(),
    };
    list.into_iter().flatten().map(read).collect()
}

/// Whether a schema fills anything in.
fn has_default(schema: &Value) -> bool {
    match schema {
        Value::Object(own) => {
            own.contains_key("default")
                || own.get("properties").and_then(Value::as_object).is_some_and(|all| all.values().any(has_default))
                || ["items", "additionalProperties"].iter().any(|key| own.get(*key).is_some_and(has_default))
        }
        _ => false,
    }
}

fn selectable(version: &Value) -> Vec<(String, path::Path)> {
    let paths = version["selectableFields"].as_array().into_iter().flatten();
    paths
        .filter_map(|field| field["jsonPath"].as_str())
        .map(|text| (text.trim_start_matches('.').to_owned(), path::Path::parse(text).unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &str, kind: &str) -> Value {
        json!({"metadata": {"name": format!("{name}.g.io")}, "spec": {"group": "g.io", "scope": "Namespaced",
            "names": {"plural": name, "kind": kind, "listKind": format!("{kind}List"), "singular": format!("one-{name}")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}, "subresources": {"status": {}}}]}})
    }

    #[test]
    fn a_definition_is_established_and_settles() {
        let first = with_status(&definition("things", "Thing"), &[], "now").expect("changed");
        assert!(is_established(&first));
        assert_eq!(first["status"]["storedVersions"], json!(["v1"]));
        assert_eq!(with_status(&first, &[], "later"), None, "twice changes nothing");
        let ending = terminating(&first, "now").expect("changed");
        assert_eq!(
            condition(&ending, "Terminating").map(|own| own["reason"].clone()),
            Some(json!("InstanceDeletionInProgress"))
        );
        assert_eq!(terminating(&ending, "later"), None);
        let rows = rows(&first);
        assert_eq!((rows.len(), rows[0].plural, rows[0].storage), (1, "things", "/registry/g.io/things"));
        let second = with_status(&definition("others", "Thing"), &[first], "now").expect("changed");
        assert!(!is_established(&second));
        assert_eq!(
            condition(&second, "NamesAccepted").map(|condition| condition["reason"].clone()),
            Some(json!("KindConflict"))
        );
    }
}
