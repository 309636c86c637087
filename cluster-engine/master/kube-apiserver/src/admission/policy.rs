//! ValidatingAdmissionPolicy and MutatingAdmissionPolicy: rules in CEL, bound to requests by bindings, with parameters.

mod change;
mod params;
mod programs;
mod variables;

use drydock_api::status::StatusCause;
use drydock_api::{Status, meta};
use serde_json::{Value, json};

use self::variables::Variables;
use super::{Attempt, rules};
use crate::cel::{Scope, budget};
use crate::registry::Read as _;
use crate::row::Resource;

pub(super) use change::mutate;
pub(crate) use variables::{OF_POLICIES, OF_WEBHOOKS, WITH_PARAMS};

const POLICIES: &str = "/registry/validatingadmissionpolicies";
const BINDINGS: &str = "/registry/validatingadmissionpolicybindings";
/// Longest text that a messageExpression may give.
const LONGEST_MESSAGE: usize = 5 * 1024;

/// One evaluation of a policy with one of the parameters that a binding gives.
struct Case<'a> {
    policy: &'a Value,
    scope: Scope,
    variables: &'static [&'static str],
}

/// What is done with a policy, a binding and a case, or with why there is none.
type Visit<'v> = dyn FnMut(&Value, &Value, Result<Case<'_>, String>) -> Result<(), Status> + 'v;

/// Why a request is not let through.
struct Decision {
    message: String,
    reason: String,
}

/// Asks the validating policies.
///
/// # Errors
/// The first denial, in upstream's words.
pub(super) fn validate(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let mut denied: Option<(String, Decision)> = None;
    let mut failures = Vec::new();
    each(attempt, (POLICIES, BINDINGS), object, &mut |policy, binding, found| {
        let (name, bound) = (meta::name(policy), meta::name(binding));
        let closed = policy.text("spec.failurePolicy") != "Ignore";
        let decisions = match found {
            Err(message) if closed => vec![(0, Decision { message, reason: String::new() })],
            Err(_) => Vec::new(),
            Ok(case) => decide(attempt, &case, closed),
        };
        for (index, decision) in decisions {
            let actions: Vec<&str> = binding.items("spec.validationActions").iter().filter_map(Value::as_str).collect();
            let text = format!(
                "ValidatingAdmissionPolicy '{name}' with binding '{bound}' denied request: {}",
                decision.message
            );
            if actions.contains(&"Warn") {
                attempt.exchange.warn(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{bound}': {}",
                    decision.message
                ));
            }
            if actions.contains(&"Audit") {
                failures.push(json!({
                    "message": decision.message, "policy": name, "binding": bound,
                    "expressionIndex": index, "validationActions": actions,
                }));
            }
            if denied.is_none() && (actions.contains(&"Deny") || actions.is_empty()) {
                denied = Some((text, decision));
            }
        }
        Ok(())
    })?;
    if !failures.is_empty() {
        let text = Value::Array(failures).to_string();
        attempt.exchange.notes.annotate("validation.policy.admission.k8s.io/validation_failure", text);
    }
    match denied {
        None => Ok(()),
        Some((text, decision)) => Err(refusal(attempt, object, text, &decision.reason)),
    }
}

/// A denial as the client sees it.
fn refusal(attempt: &Attempt<'_>, object: Option<&Value>, text: String, reason: &str) -> Status {
    let mut status = attempt.forbidden(attempt.shown_name(object), &text);
    status.reason = if reason.is_empty() { "Invalid".to_owned() } else { reason.to_owned() };
    status.code = match status.reason.as_str() {
        "Forbidden" => 403,
        "Unauthorized" => 401,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    status.with_causes(vec![StatusCause { message: text, ..StatusCause::default() }])
}

/// Goes through the bindings of policies that are about the request, and the parameters of each.
fn each(
    attempt: &Attempt<'_>,
    (policies, bindings): (&'static str, &'static str),
    object: Option<&Value>,
    visit: &mut Visit<'_>,
) -> Result<(), Status> {
    let is_empty = |storage: &str| attempt.server.caches.get(storage).is_none_or(|cache| cache.len() == 0);
    if rules::is_exempt(attempt) || is_empty(policies) || is_empty(bindings) {
        return Ok(());
    }
    let all = attempt.server.objects(bindings, "");
    for policy in attempt.server.objects(policies, "") {
        let own = all.iter().filter(|binding| binding.text("spec.policyName") == meta::name(&policy));
        let constraints = policy.at("spec.matchConstraints");
        let Some(row) = matching(attempt, constraints, object) else { continue };
        for binding in own {
            let narrower = binding.at("spec.matchResources");
            if !narrower.is_null() && matching(attempt, narrower, object).is_none() {
                continue;
            }
            match params::of(attempt, &policy, binding) {
                Err(why) => visit(&policy, binding, Err(format!("failed to configure binding: {why}")))?,
                Ok(params) => {
                    for param in params {
                        let case = case(attempt, &policy, param.as_ref(), object, row);
                        visit(&policy, binding, case)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The version of the resource that a policy or binding is about, if it is about the request.
fn matching(attempt: &Attempt<'_>, constraints: &Value, object: Option<&Value>) -> Option<&'static Resource> {
    let policy = constraints.text("matchPolicy");
    let rules = constraints.items("resourceRules");
    let row = if rules.is_empty() { attempt.row } else { rules::find(attempt, rules, policy)? };
    if rules::find(attempt, constraints.items("excludeResourceRules"), policy).is_some() {
        return None;
    }
    rules::selected(attempt, constraints, object).unwrap_or(false).then_some(row)
}

fn case<'a>(
    attempt: &Attempt<'_>,
    policy: &'a Value,
    param: Option<&Value>,
    object: Option<&Value>,
    row: &'static Resource,
) -> Result<Case<'a>, String> {
    let seen = |object: Option<&Value>| match object {
        Some(object) if attempt.subresource.is_none() => {
            rules::convert(object, attempt.row, row).map(Some).map_err(|status| status.message)
        }
        other => Ok(other.cloned()),
    };
    let (object, old) = (seen(object)?, seen(attempt.old)?);
    // From here on counts.
    budget::taken();
    let mut scope = variables::scope(attempt, row, object.as_ref(), old.as_ref());
    scope.json("namespaceObject", &variables::namespace(attempt));
    let with_params = policy.has("spec.paramKind");
    let variables = if with_params { WITH_PARAMS } else { OF_POLICIES };
    if with_params {
        scope.json("params", param.unwrap_or(&Value::Null));
    }
    let own = Variables::default();
    scope.val("variables", Box::new(own.clone()));
    for variable in policy.items("spec.variables") {
        let program = programs::rule(variable.text("expression"), variables);
        own.set(
            variable.text("name"),
            program.as_ref().as_ref().map_err(Clone::clone).and_then(|program| program.evaluate_val(&scope)),
        );
    }
    Ok(Case { policy, scope, variables })
}

/// Whether every match condition holds.
///
/// # Errors
/// What went wrong, when none said no.
fn holds(conditions: &[Value], scope: &Scope, variables: &'static [&'static str]) -> Result<bool, String> {
    let mut errors = Vec::new();
    for condition in conditions {
        let program = programs::rule(condition.text("expression"), variables);
        match program.as_ref().as_ref().map_err(Clone::clone).and_then(|program| program.is_true(scope)) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                errors.push(format!("match condition '{}' evaluation error: {error}", condition.text("name")))
            }
        }
    }
    if errors.is_empty() { Ok(true) } else { Err(drydock_api::field::join_errors(errors)) }
}

/// Whether the match conditions of a webhook hold.
///
/// # Errors
/// What went wrong, when none said no.
pub(super) fn conditions(
    attempt: &Attempt<'_>,
    conditions: &[Value],
    object: Option<&Value>,
    row: &'static Resource,
) -> Result<bool, String> {
    let seen = |object: Option<&Value>| match object {
        Some(object) if attempt.subresource.is_none() => rules::convert(object, attempt.row, row).ok(),
        other => other.cloned(),
    };
    let scope = variables::scope(attempt, row, seen(object).as_ref(), seen(attempt.old).as_ref());
    holds(conditions, &scope, OF_WEBHOOKS)
}

/// The validations that do not hold, by index.
fn decide(attempt: &Attempt<'_>, case: &Case<'_>, closed: bool) -> Vec<(usize, Decision)> {
    let spec = case.policy.at("spec");
    match holds(spec.items("matchConditions"), &case.scope, case.variables) {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(message) if closed => return vec![(0, Decision { message, reason: String::new() })],
        Err(_) => return Vec::new(),
    }
    let mut decisions = Vec::new();
    let mut spent = budget::taken();
    for (index, validation) in spec.items("validations").iter().enumerate() {
        let expression = validation.text("expression");
        let program = programs::rule(expression, case.variables);
        let answer = program.as_ref().as_ref().map_err(Clone::clone).and_then(|program| program.is_true(&case.scope));
        spent = spent.saturating_add(budget::taken());
        if spent > budget::TOTAL {
            if closed {
                let message =
                    "validation failed due to running out of cost budget, no further validation rules will be run"
                        .to_owned();
                decisions.push((index, Decision { message, reason: String::new() }));
            }
            break;
        }
        let message = match answer {
            Ok(true) => continue,
            Ok(false) => message(validation, case),
            Err(_) if !closed => continue,
            Err(error) => format!("expression '{expression}' resulted in error: {error}"),
        };
        decisions.push((index, Decision { message, reason: validation.text("reason").to_owned() }));
    }
    annotate(attempt, case);
    decisions
}

fn message(validation: &Value, case: &Case<'_>) -> String {
    let expression = validation.text("messageExpression");
    if !expression.is_empty() {
        let program = programs::rule(expression, case.variables);
        let text = program.as_ref().as_ref().map_err(Clone::clone).and_then(|program| program.text(&case.scope));
        match text.as_deref().map(str::trim) {
            Ok(text) if !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n') => {
                return text.to_owned();
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a messageExpression has no value"),
        }
    }
    match validation.text("message").trim() {
        "" => format!("failed expression: {}", validation.text("expression").trim()),
        text => text.to_owned(),
    }
}

/// Adds the policy's own audit annotations.
fn annotate(attempt: &Attempt<'_>, case: &Case<'_>) {
    for annotation in case.policy.items("spec.auditAnnotations") {
        let program = programs::rule(annotation.text("valueExpression"), case.variables);
        let Ok(program) = program.as_ref() else { continue };
        match program.evaluate(&case.scope) {
            Ok(crate::cel::Value::String(text)) if !text.trim().is_empty() => {
                let key = format!("{}/{}", meta::name(case.policy), annotation.text("key"));
                attempt.exchange.notes.annotate(&key, text.trim());
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "an audit annotation has no value"),
        }
    }
}
