//! Admission webhooks: mutating ones in the order of their names, validating ones side by side.

pub(crate) mod call;
mod review;

use std::sync::Arc;

use drydock_api::{Status, go_quote, meta};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Attempt, rules};
use crate::registry::Read as _;
use crate::row::Resource;
use crate::verbs;

const MUTATING: &str = "/registry/mutatingwebhookconfigurations";
const VALIDATING: &str = "/registry/validatingwebhookconfigurations";

/// One webhook of a configuration that is about the request.
struct Hook {
    configuration: Arc<str>,
    webhook: Value,
    /// The version of the resource that it wants to see.
    row: &'static Resource,
}

impl Hook {
    fn name(&self) -> &str {
        self.webhook.text("name")
    }
}

/// Which webhooks want to be asked again because a later one changed the object.
#[derive(Default)]
pub(super) struct Again {
    invoked: Vec<String>,
    wanted: Vec<String>,
}

impl Again {
    /// Whether anybody is to be asked again.
    pub(super) fn is_due(&self) -> bool {
        !self.wanted.is_empty()
    }
}

/// What a webhook answered.
struct Verdict {
    patched: Option<Value>,
}

/// Asks the mutating webhooks; `again` is what a first round left.
///
/// # Errors
/// A denial, or a failure of a webhook whose policy is `Fail`.
pub(super) async fn mutate(
    attempt: &Attempt<'_>,
    mut object: Option<&mut Value>,
    first: Option<&Again>,
) -> Result<Again, Status> {
    let mut again = Again::default();
    let round = u8::from(first.is_some());
    for (index, (configuration, webhook)) in webhooks(attempt, MUTATING).into_iter().enumerate() {
        let id = format!("{configuration}/{index}/{}", webhook.text("name"));
        if first.is_some_and(|first| !first.wanted.contains(&id)) {
            continue;
        }
        let Some(hook) = relevant(attempt, configuration, webhook, object.as_deref())? else { continue };
        let kept = object.as_deref().cloned();
        let note = format!("webhook.admission.k8s.io/round_{round}_index_{index}");
        match ask(attempt, &hook, kept.as_ref(), true).await {
            Ok(verdict) => {
                let mut changed = false;
                if let (Some(patched), Some(object)) = (verdict.patched, object.as_deref_mut()) {
                    changed = patched != *object;
                    *object = patched;
                }
                let text = json!({"configuration": &*hook.configuration, "webhook": hook.name(), "mutated": changed});
                attempt.exchange.notes.annotate(&format!("mutation.{note}"), text.to_string());
                if changed {
                    again.wanted.append(&mut again.invoked);
                }
            }
            Err(refusal) => open_or(attempt, &hook, refusal, &format!("failed-open.mutation.{note}"))?,
        }
        if hook.webhook.text("reinvocationPolicy") == "IfNeeded" {
            again.invoked.push(id);
        }
    }
    Ok(again)
}

/// Asks the validating webhooks.
///
/// # Errors
/// A denial, or a failure of a webhook whose policy is `Fail`.
pub(super) async fn validate(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let mut hooks = Vec::new();
    for (configuration, webhook) in webhooks(attempt, VALIDATING) {
        hooks.extend(relevant(attempt, configuration, webhook, object)?);
    }
    if hooks.is_empty() {
        return Ok(());
    }
    let answers = join_all(hooks.iter().map(|hook| ask(attempt, hook, object, false))).await;
    for (index, (hook, answer)) in hooks.iter().zip(answers).enumerate() {
        if let Err(refusal) = answer {
            let note = format!("failed-open.validating.webhook.admission.k8s.io/round_0_index_{index}");
            open_or(attempt, hook, refusal, &note)?;
        }
    }
    Ok(())
}

/// Every webhook of a storage prefix, in the order of the configurations' names.
fn webhooks(attempt: &Attempt<'_>, storage: &str) -> Vec<(Arc<str>, Value)> {
    if rules::is_exempt(attempt) || attempt.server.caches.get(storage).is_none_or(|cache| cache.len() == 0) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for mut configuration in attempt.server.objects(storage, "") {
        let name: Arc<str> = meta::name(&configuration).into();
        let Some(list) = configuration["webhooks"].as_array_mut() else { continue };
        all.extend(list.drain(..).map(|webhook| (Arc::clone(&name), webhook)));
    }
    all
}

/// The webhook, if it is about this request.
fn relevant(
    attempt: &Attempt<'_>,
    configuration: Arc<str>,
    webhook: Value,
    object: Option<&Value>,
) -> Result<Option<Hook>, Status> {
    let Some(row) = rules::find(attempt, webhook.items("rules"), webhook.text("matchPolicy")) else { return Ok(None) };
    if !rules::selected(attempt, &webhook, object)? {
        return Ok(None);
    }
    Ok(Some(Hook { configuration, webhook, row }))
}

/// A refusal that is the webhook's own, or a failure to ask it.
enum Refusal {
    Denied(Status),
    Failed(String),
    /// The request itself cannot be passed on (dry run); no policy changes that.
    Impossible(Status),
}

/// Lets the request go on when the webhook's failure policy says so.
fn open_or(attempt: &Attempt<'_>, hook: &Hook, refusal: Refusal, note: &str) -> Result<(), Status> {
    match refusal {
        Refusal::Denied(status) | Refusal::Impossible(status) => Err(status),
        Refusal::Failed(why) if hook.webhook.text("failurePolicy") == "Ignore" => {
            tracing::warn!(webhook = hook.name(), %why, "failed calling webhook, failing open");
            attempt.exchange.notes.annotate(note, hook.name());
            Ok(())
        }
        Refusal::Failed(why) => {
            Err(Status::internal(format!("failed calling webhook {}: {why}", go_quote(hook.name()))))
        }
    }
}

async fn ask(attempt: &Attempt<'_>, hook: &Hook, object: Option<&Value>, mutating: bool) -> Result<Verdict, Refusal> {
    let conditions = hook.webhook.items("matchConditions");
    if !conditions.is_empty() {
        let ignore = hook.webhook.text("failurePolicy") == "Ignore";
        match super::policy::conditions(attempt, conditions, object, hook.row) {
            Ok(true) => {}
            Ok(false) => return Ok(Verdict { patched: None }),
            Err(_) if ignore => return Ok(Verdict { patched: None }),
            Err(why) => return Err(Refusal::Denied(attempt.forbidden(attempt.shown_name(object), why))),
        }
    }
    if attempt.dry_run && !matches!(hook.webhook.text("sideEffects"), "None" | "NoneOnDryRun") {
        return Err(Refusal::Impossible(Status::bad_request(format!(
            "admission webhook {} does not support dry run",
            go_quote(hook.name())
        ))));
    }
    let failed = |error: Status| Refusal::Failed(error.message);
    let sub = attempt.subresource.is_some();
    let seen = |object: Option<&Value>| match object {
        Some(object) if !sub => rules::convert(object, attempt.row, hook.row).map(Some),
        other => Ok(other.cloned()),
    };
    let (object_seen, old_seen) = (seen(object).map_err(failed)?, seen(attempt.old).map_err(failed)?);
    let version = review::version(&hook.webhook).map_err(Refusal::Failed)?;
    let uid = crate::meta::new_uid();
    let request = review::request(attempt, hook.row, version, &uid, object_seen.as_ref(), old_seen.as_ref());
    let seconds = hook.webhook.int("timeoutSeconds").and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(10);
    let answer = call::post(attempt.server, hook.webhook.at("clientConfig"), request.to_string().into_bytes(), seconds)
        .await
        .map_err(|failure| Refusal::Failed(format!("failed to call webhook: {failure}")))?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| {
        Refusal::Failed(format!("failed to call webhook: couldn't get version/kind; json parse error: {error}"))
    })?;
    let response = review::response(&answer, version, &uid, mutating)
        .map_err(|why| Refusal::Failed(format!("received invalid webhook response: {why}")))?;
    for (key, value) in response.annotations {
        attempt.exchange.notes.annotate(&format!("{}/{key}", hook.name()), value);
    }
    for warning in response.warnings {
        attempt.exchange.warn(warning);
    }
    if !response.allowed {
        return Err(Refusal::Denied(review::denial(hook.name(), &answer["response"]["status"])));
    }
    let (Some(patch), Some(before)) = (response.patch, object_seen) else { return Ok(Verdict { patched: None }) };
    let patched = drydock_api::patch::json_patch(&before, &patch).map_err(failed)?;
    let whole = if sub { patched } else { settle(attempt, hook.row, patched).map_err(failed)? };
    Ok(Verdict { patched: Some(whole) })
}

/// A patched object, back in the request's version, without what its schema does not know and with defaults.
fn settle(attempt: &Attempt<'_>, row: &'static Resource, patched: Value) -> Result<Value, Status> {
    let mut object = rules::convert(&patched, row, attempt.row)?;
    if let Some(custom) = attempt.row.custom {
        let _ = custom.prune(&mut object);
    } else if let Some(ty) = verbs::schema_of(attempt.row) {
        object = drydock_api::check::check_value(object, ty).map_err(|error| Status::bad_request(error.0))?.value;
    }
    verbs::default(attempt.row, &mut object);
    Ok(object)
}
