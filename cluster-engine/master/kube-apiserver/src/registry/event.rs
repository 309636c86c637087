//! Events, in `core` and in `events.k8s.io`, over one storage in the form of `core`.

mod validate;

use jiff::Timestamp;
use serde_json::Value;

use super::print::text;
use super::value::{Read as _, child, default, remove};
use crate::row::{Column, Resource, age};

/// Events are forgotten after an hour, as upstream's `--event-ttl` has it.
const TIME_TO_LIVE: i64 = 3600;

pub(super) static CORE: Resource = Resource {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    columns: COLUMNS,
    fields: &[
        ("involvedObject.kind", |event| event.text("involvedObject.kind").to_owned()),
        ("involvedObject.namespace", |event| event.text("involvedObject.namespace").to_owned()),
        ("involvedObject.name", |event| event.text("involvedObject.name").to_owned()),
        ("involvedObject.uid", |event| event.text("involvedObject.uid").to_owned()),
        ("involvedObject.apiVersion", |event| event.text("involvedObject.apiVersion").to_owned()),
        ("involvedObject.resourceVersion", |event| event.text("involvedObject.resourceVersion").to_owned()),
        ("involvedObject.fieldPath", |event| event.text("involvedObject.fieldPath").to_owned()),
        ("reason", |event| event.text("reason").to_owned()),
        ("reportingComponent", |event| event.text("reportingComponent").to_owned()),
        ("source", |event| source_component(event).to_owned()),
        ("type", |event| event.text("type").to_owned()),
    ],
    default: |event| fill(event, "reportingComponent", "involvedObject", "source"),
    validate: validate::core,
    validate_update: validate::core_update,
    create_on_update: true,
    storage: "/registry/events",
    time_to_live: TIME_TO_LIVE,
    ..Resource::BASE
};

pub(super) static EVENTS: Resource = Resource {
    group: "events.k8s.io",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    columns: COLUMNS,
    fields: &[
        ("regarding.kind", |event| event.text("regarding.kind").to_owned()),
        ("regarding.namespace", |event| event.text("regarding.namespace").to_owned()),
        ("regarding.name", |event| event.text("regarding.name").to_owned()),
        ("regarding.uid", |event| event.text("regarding.uid").to_owned()),
        ("regarding.apiVersion", |event| event.text("regarding.apiVersion").to_owned()),
        ("regarding.resourceVersion", |event| event.text("regarding.resourceVersion").to_owned()),
        ("regarding.fieldPath", |event| event.text("regarding.fieldPath").to_owned()),
        ("reason", |event| event.text("reason").to_owned()),
        ("reportingController", |event| event.text("reportingController").to_owned()),
        ("type", |event| event.text("type").to_owned()),
    ],
    default: |event| fill(event, "reportingController", "regarding", "deprecatedSource"),
    validate: validate::v1,
    validate_update: validate::v1_update,
    create_on_update: true,
    storage: "/registry/events",
    storage_version: ("", "v1"),
    from_storage: Some(from_core),
    to_storage: Some(to_core),
    time_to_live: TIME_TO_LIVE,
    ..Resource::BASE
};

const COLUMNS: &[Column] = &[
    Column::string("Last Seen", |event, now| Value::String(seen(event, now).1)),
    Column::string("Type", |event, _| text(event, "type")),
    Column::string("Reason", |event, _| text(event, "reason")),
    Column::string("Object", |event, _| Value::String(target(event))),
    Column::string("Subobject", |event, _| Value::from(about(event).text("fieldPath"))).wide(),
    Column::string("Source", |event, _| Value::String(source(event))).wide(),
    Column::string("Message", |event, _| Value::from(either(event, "message", "note").trim())),
    Column::string("First Seen", |event, now| Value::String(seen(event, now).0)).wide(),
    Column::string("Count", |event, _| Value::from(times(event))).wide(),
    Column { priority: 1, ..Column::NAME },
];

/// Fields that the two versions call differently: `core`'s name first.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Fields that are no pointers upstream are always written.
fn fill(event: &mut Value, reporting: &str, about: &str, source: &str) {
    for key in [reporting, "reportingInstance"] {
        default(event, key, "");
    }
    for key in [about, source] {
        child(event, key);
    }
}

fn from_core(event: &mut Value) {
    rename(event, RENAMED.iter().map(|(core, new)| (*core, *new)));
    fill(event, "reportingController", "regarding", "deprecatedSource");
}

fn to_core(event: &mut Value) {
    rename(event, RENAMED.iter().map(|(core, new)| (*new, *core)));
}

fn rename<'a>(event: &mut Value, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    if let Some(map) = event.as_object_mut() {
        for (from, to) in pairs {
            if let Some(value) = map.remove(from) {
                map.insert(to.to_owned(), value);
            }
        }
    }
    if event.at("series").is_null() {
        remove(event, "series");
    }
}

fn either<'a>(event: &'a Value, core: &str, new: &str) -> &'a str {
    let text = event.text(core);
    if text.is_empty() { event.text(new) } else { text }
}

fn about(event: &Value) -> &Value {
    if event.has("involvedObject") { event.at("involvedObject") } else { event.at("regarding") }
}

fn source_component(event: &Value) -> &str {
    let component = event.text("source.component");
    if component.is_empty() { event.text("reportingComponent") } else { component }
}

/// Upstream's formatEventSource: `kubelet, node-1`.
fn source(event: &Value) -> String {
    let component = match either(event, "source.component", "deprecatedSource.component") {
        "" => either(event, "reportingComponent", "reportingController"),
        component => component,
    };
    let host = match either(event, "source.host", "deprecatedSource.host") {
        "" => event.text("reportingInstance"),
        host => host,
    };
    if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }
}

/// `pod/name`.
fn target(event: &Value) -> String {
    let about = about(event);
    let kind = about.text("kind").to_lowercase();
    match about.text("name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

/// First and last seen.
fn seen(event: &Value, now: Timestamp) -> (String, String) {
    let first = match either(event, "firstTimestamp", "deprecatedFirstTimestamp") {
        "" => age(event.text("eventTime"), now),
        first => age(first, now),
    };
    let last = if event.has("series") {
        age(event.text("series.lastObservedTime"), now)
    } else {
        match either(event, "lastTimestamp", "deprecatedLastTimestamp") {
            "" => first.clone(),
            last => age(last, now),
        }
    };
    (first, last)
}

fn times(event: &Value) -> i64 {
    if event.has("series") {
        return event.int("series.count").unwrap_or(0);
    }
    let count = event.int("count").or_else(|| event.int("deprecatedCount")).unwrap_or(0);
    if count == 0 { 1 } else { count }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_two_versions_convert_both_ways() {
        let core = json!({"involvedObject": {"kind": "Pod", "name": "a"}, "message": "m", "source": {"component": "kubelet", "host": "n"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 2,
            "reportingComponent": "kubelet", "reportingInstance": "", "reason": "R", "type": "Normal"});
        let mut new = core.clone();
        from_core(&mut new);
        assert_eq!(new["regarding"]["name"], "a");
        assert_eq!(new["note"], "m");
        assert_eq!(new["deprecatedCount"], 2);
        assert_eq!(new["reportingController"], "kubelet");
        let mut back = new;
        to_core(&mut back);
        assert_eq!(back, core);
    }

    #[test]
    fn cells() {
        let now: Timestamp = "2026-01-01T00:02:00Z".parse().unwrap();
        let row = |event: &Value| COLUMNS.iter().map(|column| (column.cell)(event, now)).collect::<Vec<_>>();
        let event = json!({"metadata": {"name": "a.1"}, "involvedObject": {"kind": "Pod", "name": "a", "fieldPath": "spec.containers{c}"},
            "message": "Pulled \n", "source": {"component": "kubelet", "host": "n"}, "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:01:00Z", "count": 2, "reason": "Pulled", "type": "Normal"});
        assert_eq!(
            row(&event),
            vec![
                json!("60s"),
                json!("Normal"),
                json!("Pulled"),
                json!("pod/a"),
                json!("spec.containers{c}"),
                json!("kubelet, n"),
                json!("Pulled"),
                json!("2m"),
                json!(2),
                json!("a.1")
            ]
        );
        let single =
            json!({"eventTime": "2026-01-01T00:01:50.000000Z", "reportingComponent": "s", "reportingInstance": "i"});
        assert_eq!(
            (row(&single)[0].clone(), row(&single)[8].clone(), row(&single)[5].clone()),
            (json!("10s"), json!(1), json!("s, i"))
        );
    }
}
