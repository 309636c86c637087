//! OwnerReferencesPermissionEnforcement: an owner is set, and made to wait, only by those who may delete and finalize it.

use drydock_api::{Status, meta};
use serde_json::Value;

use super::{Attempt, Operation};
use crate::authorize::Attributes;

/// Checks a write that changes owner references.
///
/// # Errors
/// 403 in upstream's words.
pub(super) fn check(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object else { return Ok(()) };
    let exempt = attempt.on_resource("", "pods") && attempt.subresource_name() == "status";
    if exempt || !matches!(attempt.operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    let (now, before) = (meta::owner_references(object), attempt.old.map(meta::owner_references).unwrap_or_default());
    let may = |verb: &str, group: &str, resource: &str, subresource: &str, name: &str, namespace: &str| {
        let question =
            Attributes { user: &attempt.exchange.user, verb, group, resource, subresource, name, namespace, path: "" };
        attempt.server.chain.check(&question).map(|_| ()).map_err(|status| status.message)
    };
    let row = attempt.row;
    let changed = now.len() != before.len() || now.iter().zip(&before).any(|(a, b)| a.uid != b.uid);
    if changed && let Err(why) = may("delete", row.group, row.plural, "", attempt.name, attempt.namespace) {
        let text = format!("cannot set an ownerRef on a resource you can't delete: {why}");
        return Err(attempt.forbidden(meta::name(object), text));
    }
    for owner in now.iter().filter(|owner| owner.block_owner_deletion == Some(true)) {
        if before.iter().any(|old| old.uid == owner.uid && old.block_owner_deletion == Some(true)) {
            continue;
        }
        let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
        let rows = attempt.server.rows.all();
        let kind = rows.iter().find(|row| row.group == group && row.version == version && row.kind == owner.kind);
        let Some(kind) = kind else { continue };
        let namespace = if kind.namespaced { attempt.namespace } else { "" };
        if let Err(why) = may("update", group, kind.plural, "finalizers", &owner.name, namespace) {
            let text = format!(
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: {why}"
            );
            return Err(attempt.forbidden(meta::name(object), text));
        }
    }
    Ok(())
}
