//! Certificate signing requests: kubelets' are approved, approved ones are signed, old ones are removed.

mod sign;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drydock_api::time::{now_rfc3339, parse_seconds, unix_now};
use drydock_client::{Api, Client, DeleteOptions, Error, Event, Object, Reflector, WorkQueue};
use http::Method;
use serde_json::{Value, json};

use self::sign::{Authority, KUBELET_CLIENT, common_name, is_kubelet_client, is_ours};
use crate::context::Context;
use crate::kinds::SigningRequest;
use crate::work::{Next, Reconcile, edit, unless_gone, work};

/// How long requests are kept: those that wait, and those that are decided.
const KEPT: (i64, i64) = (24 * 3600, 3600);

/// Reads the CA; the error is one sentence.
pub(super) fn authority(certificate: &str, key: &str, longest: Duration) -> Result<Signing, String> {
    let longest = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX);
    Authority::new(certificate, key, longest).map(Signing)
}

/// The CA that signs.
pub(crate) struct Signing(Authority);

struct Approver {
    client: Client,
    requests: Reflector<SigningRequest>,
}

struct Signer {
    client: Client,
    requests: Reflector<SigningRequest>,
    authority: Authority,
}

struct Cleaner {
    client: Client,
    requests: Reflector<SigningRequest>,
}

async fn begin(context: &Context) -> (Client, Reflector<SigningRequest>, WorkQueue<String>) {
    let requests = context.watch::<SigningRequest>();
    let client = context.client("certificate-controller").await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    requests.handle(move |event| {
        if let Event::Applied(request, _) = event {
            add.add(request.name().to_owned());
        }
    });
    (client, requests, queue)
}

pub(super) async fn run_approving(context: Arc<Context>) {
    let (client, requests, queue) = begin(&context).await;
    work(Arc::new(Approver { client, requests }), queue, 1).await;
}

pub(super) async fn run_signing(context: Arc<Context>, signing: Signing) {
    let (client, requests, queue) = begin(&context).await;
    work(Arc::new(Signer { client, requests, authority: signing.0 }), queue, 1).await;
}

pub(super) async fn run_cleaning(context: Arc<Context>) {
    let (client, requests, queue) = begin(&context).await;
    work(Arc::new(Cleaner { client, requests }), queue, 1).await;
}

/// Adds a condition to a request held as JSON.
fn add_condition(body: &mut Value, kind: &str, reason: &str, message: &str) {
    let now = now_rfc3339();
    let mut conditions = body.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.push(json!({
        "type": kind, "status": "True", "reason": reason, "message": message,
        "lastUpdateTime": now, "lastTransitionTime": now,
    }));
    body["status"]["conditions"] = conditions.into();
}

fn is_undecided(request: &SigningRequest) -> bool {
    request.status.certificate.is_empty()
        && ["Approved", "Denied", "Failed"].iter().all(|kind| request.condition(kind).is_none())
}

/// Whether it was approved, and nothing speaks against it or was done yet.
fn is_to_be_signed(request: &SigningRequest) -> bool {
    is_ours(&request.spec.signer_name)
        && request.status.certificate.is_empty()
        && request.condition("Approved").is_some()
        && request.condition("Denied").is_none()
        && request.condition("Failed").is_none()
}

/// When a request has been there long enough.
fn expires_at(request: &SigningRequest) -> Option<i64> {
    let time = |text: &Option<String>| text.as_deref().and_then(parse_seconds);
    if request.status.conditions.is_empty() {
        return Some(time(&request.metadata.creation_timestamp)? + KEPT.0);
    }
    // One that is approved and waits for its signer is kept as one that waits.
    if request.condition("Approved").is_some()
        && request.status.certificate.is_empty()
        && request.condition("Failed").is_none()
    {
        return Some(time(&request.metadata.creation_timestamp)? + KEPT.0);
    }
    let decided = request.status.conditions.iter().filter_map(|condition| time(&condition.last_update_time)).max();
    Some(decided.or_else(|| time(&request.metadata.creation_timestamp))? + KEPT.1)
}

impl Reconcile for Approver {
    type Key = String;
    const NAME: &'static str = "certificate-approving";

    async fn reconcile(&self, name: &String) -> Result<Next, Error> {
        let Some(request) = self.requests.get("", name) else { return Ok(Next::Change) };
        let is_candidate =
            is_undecided(&request) && request.spec.signer_name == KUBELET_CLIENT && is_kubelet_client(&request);
        if !is_candidate {
            return Ok(Next::Change);
        }
        let is_own = common_name(&request).is_ok_and(|common_name| common_name == request.spec.username);
        let mut ways = Vec::new();
        if is_own {
            let message = "Auto approving self kubelet client certificate after SubjectAccessReview.";
            ways.push(("selfnodeclient", message));
        }
        ways.push(("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."));
        for (subresource, message) in ways {
            if self.may(&request, subresource).await? {
                let approve = |body: &mut Value| {
                    add_condition(body, "Approved", "AutoApproved", message);
                    true
                };
                edit(&self.client, &*request, "approval", approve).await?;
                return Ok(Next::Change);
            }
        }
        Ok(Next::Change)
    }
}

impl Approver {
    async fn may(&self, request: &SigningRequest, subresource: &str) -> Result<bool, Error> {
        let spec = &request.spec;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": spec.username, "uid": spec.uid, "groups": spec.groups, "extra": spec.extra,
                "resourceAttributes": {
                    "group": "certificates.k8s.io", "resource": "certificatesigningrequests",
                    "verb": "create", "subresource": subresource,
                },
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = self.client.request(Method::POST, path, "application/json", review.to_string()).await?;
        Ok(answer.json::<Value>()?["status"]["allowed"] == true)
    }
}

impl Reconcile for Signer {
    type Key = String;
    const NAME: &'static str = "certificate-signing";

    async fn reconcile(&self, name: &String) -> Result<Next, Error> {
        let Some(request) = self.requests.get("", name).filter(|request| is_to_be_signed(request)) else {
            return Ok(Next::Change);
        };
        let signed = self.authority.sign(&request, unix_now(), rand::random());
        let write = |body: &mut Value| {
            match signed {
                Ok(pem) => body["status"]["certificate"] = STANDARD.encode(pem).into(),
                Err(refusal) => add_condition(body, "Failed", "SignerValidationFailure", &refusal.to_string()),
            }
            true
        };
        edit(&self.client, &*request, "status", write).await?;
        Ok(Next::Change)
    }
}

impl Reconcile for Cleaner {
    type Key = String;
    const NAME: &'static str = "certificate-cleaner";

    async fn reconcile(&self, name: &String) -> Result<Next, Error> {
        let Some(request) = self.requests.get("", name) else { return Ok(Next::Change) };
        let Some(at) = expires_at(&request) else { return Ok(Next::Change) };
        if let Ok(left @ 1..) = u64::try_from(at - unix_now()) {
            return Ok(Next::After(Duration::from_secs(left)));
        }
        let api = Api::<SigningRequest>::all(self.client.clone());
        unless_gone(api.delete(name, &DeleteOptions::of_uid(request.uid())).await)?;
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::Condition;

    fn request(conditions: &[&str], certificate: &str) -> SigningRequest {
        let mut request = SigningRequest::default();
        request.spec.signer_name = KUBELET_CLIENT.into();
        request.metadata.creation_timestamp = Some("1970-01-01T00:00:00Z".into());
        request.status.certificate = certificate.into();
        request.status.conditions.extend(conditions.iter().map(|kind| Condition {
            kind: (*kind).into(),
            status: "True".into(),
            last_update_time: Some("1970-01-01T00:10:00Z".into()),
            ..Condition::default()
        }));
        request
    }

    #[test]
    fn only_approved_requests_are_signed_once() {
        assert!(is_to_be_signed(&request(&["Approved"], "")));
        for (conditions, certificate) in
            [(&[][..], ""), (&["Approved", "Denied"], ""), (&["Approved", "Failed"], ""), (&["Approved"], "x")]
        {
            assert!(!is_to_be_signed(&request(conditions, certificate)), "{conditions:?}");
        }
        let mut foreign = request(&["Approved"], "");
        foreign.spec.signer_name = "example.com/ours".into();
        assert!(!is_to_be_signed(&foreign));
        assert!(is_undecided(&request(&[], "")) && !is_undecided(&request(&["Denied"], "")));
    }

    #[test]
    fn old_requests_go() {
        assert_eq!(expires_at(&request(&[], "")), Some(86_400));
        assert_eq!(expires_at(&request(&["Approved"], "")), Some(86_400));
        assert_eq!(expires_at(&request(&["Denied"], "")), Some(600 + 3600));
        assert_eq!(expires_at(&request(&["Approved"], "x")), Some(600 + 3600));
    }

    #[test]
    fn conditions_are_added_to_what_is_there() {
        let mut body = json!({"status": {"conditions": [{"type": "Approved"}]}});
        add_condition(&mut body, "Failed", "R", "m");
        assert_eq!(body["status"]["conditions"].as_array().unwrap().len(), 2);
    }
}
