//! MutatingAdmissionPolicy: patches written in CEL, as apply configurations or JSON patches.

use std::cell::RefCell;

use drydock_api::apply::{self, Writer};
use drydock_api::{Status, meta, patch};
use serde_json::Value;

use super::super::{Attempt, Operation};
use super::{Case, each, holds, programs, refusal};
use crate::registry::Read as _;
use crate::verbs;

const POLICIES: &str = "/registry/mutatingadmissionpolicies";
const BINDINGS: &str = "/registry/mutatingadmissionpolicybindings";

/// Lets the mutating policies change the object; those that ask for it see it again when a later one changed it.
///
/// # Errors
/// A failure of a policy that fails closed, in upstream's words.
pub(in crate::admission) fn mutate(attempt: &Attempt<'_>, object: Option<&mut Value>) -> Result<(), Status> {
    let Some(object) = object.filter(|_| matches!(attempt.operation, Operation::Create | Operation::Update)) else {
        return Ok(());
    };
    if !attempt.on("MutatingAdmissionPolicy") {
        return Ok(());
    }
    let last = RefCell::new(String::new());
    let mut asked: Vec<String> = Vec::new();
    // Which policies and bindings there are does not change while they run; what each sees does.
    let before = object.clone();
    let mut steps: Vec<(String, bool)> = Vec::new();
    each(attempt, (POLICIES, BINDINGS), Some(&before), &mut |policy, binding, _| {
        let key = format!("{}/{}", meta::name(policy), meta::name(binding));
        if !steps.iter().any(|(own, _)| *own == key) {
            steps.push((key, policy.text("spec.reinvocationPolicy") == "IfNeeded"));
        }
        Ok(())
    })?;
    for (key, again) in &steps {
        if run(attempt, object, key)? {
            last.replace(key.clone());
        }
        if *again {
            asked.push(key.clone());
        }
    }
    let last = last.into_inner();
    for key in asked.iter().take_while(|key| **key != last && !last.is_empty()) {
        run(attempt, object, key)?;
    }
    Ok(())
}

/// Runs one policy through one binding; whether the object changed.
fn run(attempt: &Attempt<'_>, object: &mut Value, key: &str) -> Result<bool, Status> {
    let before = object.clone();
    each(attempt, (POLICIES, BINDINGS), Some(&before), &mut |policy, binding, found| {
        let (name, bound) = (meta::name(policy), meta::name(binding));
        if format!("{name}/{bound}") != key {
            return Ok(());
        }
        match found.and_then(|case| patched(attempt, case, object)) {
            Ok(Some(new)) => *object = new,
            Ok(None) => {}
            Err(why) if policy.text("spec.failurePolicy") == "Ignore" => {
                tracing::debug!(policy = name, %why, "a mutating policy failed, failing open");
            }
            Err(why) => {
                let text = format!("MutatingAdmissionPolicy '{name}' with binding '{bound}' denied request: {why}");
                return Err(refusal(attempt, Some(&before), text, ""));
            }
        }
        Ok(())
    })?;
    Ok(*object != before)
}

/// The object after a policy's mutations; none when its conditions do not hold.
fn patched(attempt: &Attempt<'_>, mut case: Case<'_>, object: &Value) -> Result<Option<Value>, String> {
    let spec = case.policy.at("spec");
    if !holds(spec.items("matchConditions"), &case.scope, case.variables)? {
        return Ok(None);
    }
    let mut object = object.clone();
    for mutation in spec.items("mutations") {
        let whole = mutation.text("patchType") == "ApplyConfiguration";
        let key = if whole { "applyConfiguration.expression" } else { "jsonPatch.expression" };
        let program = programs::change(mutation.text(key), case.variables);
        let program = program.as_ref().as_ref().map_err(ToString::to_string)?;
        case.scope.json("object", &object);
        let wanted = program
            .evaluate(&case.scope)
            .map_err(|error| format!("expression '{}' resulted in error: {error}", mutation.text(key)))?;
        object = if whole {
            applied(attempt, &object, wanted)?
        } else {
            patch::json_patch(&object, wanted.to_string().as_bytes()).map_err(|status| status.message)?
        };
    }
    verbs::default(attempt.row, &mut object);
    Ok(Some(object))
}

/// Merges an apply configuration into the object, as server-side apply does, but with nobody owning anything.
fn applied(attempt: &Attempt<'_>, object: &Value, mut wanted: Value) -> Result<Value, String> {
    let ty = verbs::types_of(attempt.row).ok_or("the kind has no schema")?;
    let api_version = attempt.row.api_version();
    wanted["apiVersion"] = api_version.clone().into();
    wanted["kind"] = attempt.row.kind.into();
    let live = apply::without_managed_fields(object);
    let writer = Writer {
        manager: "mutating-admission-policy",
        subresource: "",
        api_version: &api_version,
        now: &attempt.exchange.now,
        reset_fields: &[],
    };
    let mut new = apply::apply(&live, &wanted, writer, true, ty).map_err(|status| status.message)?;
    let kept = object.at("metadata.managedFields").clone();
    if let Some(metadata) = meta::metadata_mut(&mut new) {
        metadata.remove("managedFields");
        if !kept.is_null() {
            metadata.insert("managedFields".to_owned(), kept);
        }
    }
    Ok(new)
}
