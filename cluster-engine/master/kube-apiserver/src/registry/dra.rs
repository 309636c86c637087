//! `resource.k8s.io`: dynamic resource allocation.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::check::{self, Errors};
use super::print::text;
use super::value::{Read as _, at_mut, default_int, default_text, items_mut};
use crate::row::{Column, Context, Resource, Subresource};

const BASE: Resource = Resource { group: "resource.k8s.io", ..Resource::BASE };

pub(super) static DEVICE_CLASSES: Resource = Resource {
    kind: "DeviceClass",
    plural: "deviceclasses",
    singular: "deviceclass",
    namespaced: false,
    columns: &[Column::NAME, Column::AGE],
    generation: true,
    storage: "/registry/deviceclasses",
    ..BASE
};

pub(super) static RESOURCE_CLAIMS: Resource = Resource {
    kind: "ResourceClaim",
    plural: "resourceclaims",
    singular: "resourceclaim",
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("State", |claim, _| Value::String(state(claim)))
            .describe("A summary of the current state (allocated, pending, reserved, etc.)."),
        Column::AGE,
    ],
    default: |claim| default_requests(claim, "spec.devices.requests"),
    validate: |claim, _| requests(claim.at("spec"), &Path::new("spec")),
    validate_update: fixed_spec,
    storage: "/registry/resourceclaims",
    ..BASE
};

pub(super) static RESOURCE_CLAIM_TEMPLATES: Resource = Resource {
    kind: "ResourceClaimTemplate",
    plural: "resourceclaimtemplates",
    singular: "resourceclaimtemplate",
    columns: &[Column::NAME, Column::AGE],
    default: |template| default_requests(template, "spec.spec.devices.requests"),
    validate: |template, _| requests(template.at("spec.spec"), &Path::new("spec.spec")),
    validate_update: fixed_spec,
    storage: "/registry/resourceclaimtemplates",
    ..BASE
};

pub(super) static RESOURCE_SLICES: Resource = Resource {
    kind: "ResourceSlice",
    plural: "resourceslices",
    singular: "resourceslice",
    namespaced: false,
    columns: &[
        Column::NAME,
        Column::string("Node", |slice, _| text(slice, "spec.nodeName")),
        Column::string("Driver", |slice, _| text(slice, "spec.driver")),
        Column::string("Pool", |slice, _| text(slice, "spec.pool.name")),
        Column::AGE,
    ],
    fields: &[
        ("spec.nodeName", |slice| slice.text("spec.nodeName").to_owned()),
        ("spec.driver", |slice| slice.text("spec.driver").to_owned()),
    ],
    generation: true,
    storage: "/registry/resourceslices",
    ..BASE
};

fn state(claim: &Value) -> String {
    let deleted = claim.has("metadata.deletionTimestamp");
    let allocated = claim.has("status.allocation");
    [
        ("deleted", deleted),
        ("pending", !allocated && !deleted),
        ("allocated", allocated),
        ("reserved", allocated && !claim.items("status.reservedFor").is_empty()),
    ]
    .iter()
    .filter(|(_, is)| *is)
    .map(|(name, _)| *name)
    .collect::<Vec<_>>()
    .join(",")
}

/// SetDefaults of device requests: one device of exactly that number.
fn default_requests(object: &mut Value, path: &str) {
    let one = |request: &mut Value| {
        default_text(request, "allocationMode", "ExactCount");
        if request.text("allocationMode") == "ExactCount" {
            default_int(request, "count", 1);
        }
        for toleration in items_mut(request, "tolerations") {
            default_text(toleration, "operator", "Equal");
        }
    };
    for request in items_mut(object, path) {
        if let Some(exactly) = at_mut(request, "exactly") {
            one(exactly);
        }
        for alternative in items_mut(request, "firstAvailable") {
            one(alternative);
        }
    }
}

/// ValidateResourceClaimSpec, as far as names go.
fn requests(spec: &Value, path: &Path) -> Errors {
    let mut errors = Errors::new();
    let path = path.child("devices.requests");
    let list = spec.items("devices.requests");
    if list.len() > 32 {
        errors.push(FieldError::too_many(&path, list.len(), 32));
    }
    let mut seen = Vec::new();
    for (index, request) in list.iter().enumerate() {
        let path = path.index(index);
        let name = request.text("name");
        if check::required(&mut errors, request, &path, "name") {
            check::dns_label(&mut errors, &path.child("name"), name);
        }
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        seen.push(name);
        match (request.has("exactly"), !request.items("firstAvailable").is_empty()) {
            (true, true) => errors.push(FieldError::invalid(
                &path,
                Value::Null,
                "exactly one of `exactly` or `firstAvailable` is required",
            )),
            (false, false) => {
                errors.push(FieldError::required(&path, "exactly one of `exactly` or `firstAvailable` is required"))
            }
            (true, false) => {
                check::required(&mut errors, request.at("exactly"), &path.child("exactly"), "deviceClassName");
            }
            (false, true) => {}
        }
    }
    errors
}

/// The spec of a claim is fixed.
fn fixed_spec(new: &Value, old: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    check::immutable(&mut errors, new.at("spec"), old.at("spec"), &Path::new("spec"));
    errors
}
