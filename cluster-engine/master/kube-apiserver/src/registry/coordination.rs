//! `leases`.

use super::print::text;
use crate::row::{Column, Resource};

pub(super) static LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    columns: &[Column::NAME, Column::string("Holder", |lease, _| text(lease, "spec.holderIdentity")), Column::AGE],
    create_on_update: true,
    unconditional_update: false,
    storage: "/registry/leases",
    ..Resource::BASE
};
