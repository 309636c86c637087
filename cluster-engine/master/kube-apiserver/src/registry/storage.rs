//! `storage.k8s.io`.

mod validate;

use serde_json::Value;

use super::print::{amount, count, list, text};
use super::value::{Read as _, annotation, child, default};
use crate::row::{Column, Resource, Subresource};

const BASE: Resource = Resource { group: "storage.k8s.io", namespaced: false, ..Resource::BASE };

const fn boolean(name: &'static str, cell: fn(&Value, jiff::Timestamp) -> Value) -> Column {
    Column { kind: "boolean", ..Column::string(name, cell) }
}

pub(super) static STORAGE_CLASSES: Resource = Resource {
    kind: "StorageClass",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    columns: &[
        Column { cell: |class, _| Value::String(class_name(class)), ..Column::NAME },
        Column::string("Provisioner", |class, _| text(class, "provisioner")),
        Column::string("ReclaimPolicy", |class, _| super::print::text_or(class, "reclaimPolicy", "Delete")),
        Column::string("VolumeBindingMode", |class, _| super::print::text_or(class, "volumeBindingMode", "Immediate")),
        Column::string("AllowVolumeExpansion", |class, _| Value::Bool(class.flag("allowVolumeExpansion"))),
        Column::AGE,
    ],
    default: |class| {
        default(class, "reclaimPolicy", "Delete");
        default(class, "volumeBindingMode", "Immediate");
    },
    validate: validate::class,
    validate_update: validate::class_update,
    storage: "/registry/storageclasses",
    ..BASE
};

pub(super) static VOLUME_ATTRIBUTES_CLASSES: Resource = Resource {
    kind: "VolumeAttributesClass",
    plural: "volumeattributesclasses",
    singular: "volumeattributesclass",
    short_names: &["vac"],
    columns: &[Column::NAME, Column::string("DriverName", |class, _| text(class, "driverName")), Column::AGE],
    validate: validate::attributes,
    validate_update: validate::attributes_update,
    storage: "/registry/volumeattributesclasses",
    ..BASE
};

pub(super) static CSI_NODES: Resource = Resource {
    kind: "CSINode",
    plural: "csinodes",
    singular: "csinode",
    columns: &[
        Column::NAME,
        Column::integer("Drivers", |node, _| count(node, "spec.drivers"))
            .describe("Drivers indicates the number of CSI drivers registered on the node"),
        Column::AGE,
    ],
    unconditional_update: false,
    validate: validate::node,
    validate_update: validate::node_update,
    storage: "/registry/csinodes",
    ..BASE
};

pub(super) static CSI_DRIVERS: Resource = Resource {
    kind: "CSIDriver",
    plural: "csidrivers",
    singular: "csidriver",
    columns: &[
        Column::NAME,
        boolean("AttachRequired", |driver, _| Value::Bool(driver.at("spec.attachRequired").as_bool().unwrap_or(true))),
        boolean("PodInfoOnMount", |driver, _| Value::Bool(driver.flag("spec.podInfoOnMount"))),
        boolean("StorageCapacity", |driver, _| Value::Bool(driver.flag("spec.storageCapacity"))),
        Column::string("TokenRequests", |driver, _| Value::String(token_requests(driver))),
        boolean("RequiresRepublish", |driver, _| Value::Bool(driver.flag("spec.requiresRepublish"))),
        Column::string("Modes", |driver, _| super::print::or_none(list(driver, "spec.volumeLifecycleModes"))),
        Column::AGE,
    ],
    unconditional_update: false,
    default: default_driver,
    validate: validate::driver,
    validate_update: validate::driver_update,
    storage: "/registry/csidrivers",
    ..BASE
};

pub(super) static CSI_STORAGE_CAPACITIES: Resource = Resource {
    kind: "CSIStorageCapacity",
    plural: "csistoragecapacities",
    singular: "csistoragecapacity",
    namespaced: true,
    columns: &[
        Column::NAME,
        Column::string("StorageClassName", |object, _| text(object, "storageClassName")),
        Column::string("Capacity", |object, _| {
            Value::String(if object.has("capacity") { amount(object, "capacity") } else { "<unset>".to_owned() })
        }),
    ],
    unconditional_update: false,
    validate: validate::capacity,
    validate_update: validate::capacity_update,
    storage: "/registry/csistoragecapacities",
    ..BASE
};

pub(super) static VOLUME_ATTACHMENTS: Resource = Resource {
    kind: "VolumeAttachment",
    plural: "volumeattachments",
    singular: "volumeattachment",
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column { format: "name", ..Column::string("Attacher", |object, _| text(object, "spec.attacher")) },
        Column::string("PV", |object, _| text(object, "spec.source.persistentVolumeName")),
        Column::string("Node", |object, _| text(object, "spec.nodeName")),
        boolean("Attached", |object, _| Value::Bool(object.flag("status.attached"))),
        Column::AGE,
    ],
    unconditional_update: false,
    default: fill_attachment,
    prepare_create: |attachment, _| fill_attachment(attachment),
    validate: validate::attachment,
    validate_update: validate::attachment_update,
    storage: "/registry/volumeattachments",
    ..BASE
};

fn fill_attachment(attachment: &mut Value) {
    if let Some(status) = child(attachment, "status") {
        default(status, "attached", false);
    }
}

/// SetDefaults_CSIDriver.
fn default_driver(driver: &mut Value) {
    if let Some(spec) = child(driver, "spec") {
        default(spec, "attachRequired", true);
        default(spec, "podInfoOnMount", false);
        default(spec, "storageCapacity", false);
        default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec.items("volumeLifecycleModes").is_empty() {
            spec["volumeLifecycleModes"] = serde_json::json!(["Persistent"]);
        }
        default(spec, "requiresRepublish", false);
        default(spec, "seLinuxMount", false);
    }
}

fn class_name(class: &Value) -> String {
    let is_default =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|key| annotation(class, key) == Some("true"));
    let name = class.text("metadata.name");
    if is_default { format!("{name} (default)") } else { name.to_owned() }
}

fn token_requests(driver: &Value) -> String {
    if driver.has("spec.tokenRequests") {
        driver.items("spec.tokenRequests").iter().map(|request| request.text("audience")).collect::<Vec<_>>().join(",")
    } else {
        "<unset>".to_owned()
    }
}
