//! `serviceaccounts`.

use super::value::annotation;
use crate::row::{Column, Resource, Subresource};

pub(super) static SERVICE_ACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Subresource::Token],
    columns: &[Column::NAME, Column::AGE],
    warnings: |account, old| {
        let key = "kubernetes.io/enforce-mountable-secrets";
        if annotation(account, key).is_some() && old.is_none_or(|old| annotation(old, key).is_none()) {
            vec![format!(
                "metadata.annotations[{key}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
            )]
        } else {
            Vec::new()
        }
    },
    storage: "/registry/serviceaccounts",
    ..Resource::BASE
};
