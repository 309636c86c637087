//! NamespaceLifecycle: nothing is made in a namespace that is not there or going, and some namespaces stay.

use drydock_api::status::StatusCause;
use drydock_api::{Status, meta};
use serde_json::Value;

use super::{Attempt, Operation};
use crate::verbs::get;

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) async fn admit(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let (row, info) = (attempt.row, &attempt.exchange.info);
    if row.group.is_empty() && row.plural == "namespaces" {
        let own = attempt.operation == Operation::Delete && attempt.subresource.is_none();
        if own && IMMORTAL.contains(&attempt.name) {
            return Err(attempt.forbidden(attempt.name, "this namespace may not be deleted"));
        }
        return Ok(());
    }
    if attempt.operation != Operation::Create || !row.namespaced {
        return Ok(());
    }
    let Some(namespaces) = attempt.server.rows.find("", "v1", "namespaces") else { return Ok(()) };
    let name = info.namespace.as_str();
    let namespace = match attempt.server.cache(namespaces)?.get(name) {
        Some(entry) => entry.value(),
        None => {
            // It may be younger than the cache; those who look into it next must find it there.
            let found = get::newest_value(attempt.server, namespaces, "", name).await?;
            let revision = meta::resource_version(&found).parse().unwrap_or(0);
            attempt.server.cache(namespaces)?.wait(revision).await?;
            found
        }
    };
    if meta::deletion_timestamp(&namespace).is_none()
        && namespace.pointer("/status/phase").and_then(Value::as_str) != Some("Terminating")
    {
        return Ok(());
    }
    let text = format!("unable to create new content in namespace {name} because it is being terminated");
    let cause = StatusCause {
        reason: "NamespaceTerminating".to_owned(),
        message: format!("namespace {name} is being terminated"),
        field: "metadata.namespace".to_owned(),
    };
    Err(attempt.forbidden(attempt.shown_name(object), text).with_causes(vec![cause]))
}
