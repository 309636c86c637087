//! `leases`.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::check::Errors;
use super::print::text;
use super::value::Read as _;
use crate::row::{Column, Context, Resource};

pub(super) static LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    columns: &[Column::NAME, Column::string("Holder", |lease, _| text(lease, "spec.holderIdentity")), Column::AGE],
    validate,
    validate_update: |new, _, context| validate(new, context),
    create_on_update: true,
    unconditional_update: false,
    storage: "/registry/leases",
    ..Resource::BASE
};

/// ValidateLeaseSpec.
fn validate(lease: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    if let Some(seconds) = lease.int("spec.leaseDurationSeconds")
        && seconds <= 0
    {
        errors.push(FieldError::invalid(&Path::new("spec.leaseDurationSeconds"), seconds, "must be greater than 0"));
    }
    if let Some(count) = lease.int("spec.leaseTransitions")
        && count < 0
    {
        errors.push(FieldError::invalid(
            &Path::new("spec.leaseTransitions"),
            count,
            "must be greater than or equal to 0",
        ));
    }
    let preferred = lease.text("spec.preferredHolder");
    if !preferred.is_empty() && lease.text("spec.strategy").is_empty() {
        errors.push(FieldError::forbidden(
            &Path::new("spec.preferredHolder"),
            "may only be specified if `strategy` is defined",
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leases() {
        let context = Context { resource: &LEASES, namespace: "", user: "", groups: &[], subresource: None, now: "" };
        let lease = json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}});
        assert_eq!(
            super::super::check::texts(&validate(&lease, &context)),
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }
}
