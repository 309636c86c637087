//! `serviceaccounts`.

use crate::row::{Column, Resource, Subresource};

pub(super) static SERVICE_ACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Subresource::Token],
    columns: &[Column::NAME, Column::AGE],
    storage: "/registry/serviceaccounts",
    ..Resource::BASE
};
