//! Admission over HTTPS: webhooks that a test answers, policies in CEL, quotas, levels of pod security, generated names.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::{Client, Cluster};
use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drydock_component::shutdown::Trigger;
use drydock_component::{Shutdown, serve, tls};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/";

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// A webhook server; what it was asked is kept.
struct Hooks {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    bundle: String,
    _trigger: Trigger,
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self._trigger.shut_down();
    }
}

impl Hooks {
    async fn start(cluster: &Cluster) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let config = tls::server_config(&cluster.path("server.crt"), &cluster.path("server.key"), None)?;
        let (trigger, shutdown) = Shutdown::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let handler = move |request: http::Request<hyper::body::Incoming>, _| {
            let kept = Arc::clone(&kept);
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let review: Value = serde_json::from_slice(&body).unwrap_or_default();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), review["request"].clone()));
                if path == "/slow" {
                    std::future::pending::<()>().await;
                }
                let mut response = json!({"uid": review["request"]["uid"], "allowed": path != "/deny"});
                match path.as_str() {
                    "/deny" => {
                        response["status"] = json!({"message": "the answer is no", "code": 403, "reason": "Forbidden"})
                    }
                    "/add-a" | "/add-b" => {
                        let key = &path[5..];
                        let patch = json!([{"op": "add", "path": format!("/data/{key}"), "value": "yes"}]);
                        response["patchType"] = "JSONPatch".into();
                        response["patch"] = STANDARD.encode(patch.to_string()).into();
                        response["warnings"] = json!(["added something"]);
                    }
                    _ => {}
                }
                let answer =
                    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
                http::Response::new(serve::full(Bytes::from(answer.to_string())))
            }
        };
        tokio::spawn(serve::https(listener, config, handler, shutdown));
        let bundle = STANDARD.encode(std::fs::read(cluster.path("ca.crt"))?);
        Ok(Self { address, seen, bundle, _trigger: trigger })
    }

    /// One webhook about ConfigMaps.
    fn hook(&self, name: &str, path: &str) -> Value {
        json!({
            "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "rules": [{"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
            "objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
            "clientConfig": {"url": format!("https://{}{path}", self.address), "caBundle": self.bundle},
        })
    }

    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).drain(..).map(|(path, _)| path).collect()
    }

    fn last(&self) -> Value {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .map(|(_, request)| request.clone())
            .unwrap_or_default()
    }
}

async fn configure(admin: &Client, kind: &str, name: &str, hooks: Vec<Value>) -> Result<String> {
    let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": hooks});
    let path = format!("{WEBHOOKS}{}s", kind.to_lowercase());
    let (code, made) = admin.post(&path, object).await?;
    ensure!(code == StatusCode::CREATED, "{made}");
    settled(admin, &path, &made).await?;
    Ok(format!("{path}/{name}"))
}

/// Waits until the server's cache has seen an object: a list of the cache at its version.
async fn settled(admin: &Client, path: &str, object: &Value) -> Result<()> {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or("0");
    let (code, list) =
        admin.get(&format!("{path}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")).await?;
    ensure!(code == StatusCode::OK, "{list}");
    Ok(())
}

#[tokio::test]
async fn webhooks_refuse_and_change() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let (admin, hooks) = (cluster.client("admin"), Hooks::start(&cluster).await?);
    let (_, kept) = admin.post(MAPS, map("kept", json!({"x": "1"}))).await?;
    let mut conditional = hooks.hook("deny.example.com", "/deny");
    conditional["matchConditions"] =
        json!([{"name": "not-skipped", "expression": "!(object != null && object.metadata.name == 'skip-me')"}]);
    let denying = configure(&admin, "ValidatingWebhookConfiguration", "deny", vec![conditional]).await?;
    let denied = "admission webhook \"deny.example.com\" denied the request: the answer is no";
    let (code, status) = admin.post(MAPS, map("a", json!({}))).await?;
    assert_eq!((code, status["message"].as_str()), (StatusCode::FORBIDDEN, Some(denied)));
    let request = hooks.last();
    assert_eq!(
        (
            &request["operation"],
            &request["resource"]["resource"],
            &request["object"]["kind"],
            &request["namespace"],
            &request["oldObject"]
        ),
        (&json!("CREATE"), &json!("configmaps"), &json!("ConfigMap"), &json!("default"), &Value::Null)
    );
    let (code, _) = admin.post(MAPS, map("skip-me", json!({}))).await?;
    assert_eq!(code, StatusCode::CREATED);
    let mut skipped = map("b", json!({}));
    skipped["metadata"]["labels"] = json!({"skip": "yes"});
    assert_eq!(admin.post(MAPS, skipped).await?.0, StatusCode::CREATED);
    let (code, status) = admin.patch(&format!("{MAPS}/kept"), "merge-patch+json", json!({"data": {"x": "2"}})).await?;
    assert_eq!((code, status["message"].as_str()), (StatusCode::FORBIDDEN, Some(denied)));
    let (code, status) = admin.delete(&format!("{MAPS}/kept")).await?;
    assert_eq!((code, status["message"].as_str()), (StatusCode::FORBIDDEN, Some(denied)));
    assert_eq!(hooks.last()["oldObject"]["metadata"]["uid"], kept["metadata"]["uid"]);
    // Configurations of webhooks are never asked about, so that this one can go.
    assert_eq!(admin.delete(&denying).await?.0, StatusCode::OK);
    settled(&admin, MAPS, &kept).await?;

    let mut first = hooks.hook("a.example.com", "/add-a");
    first["reinvocationPolicy"] = "IfNeeded".into();
    configure(&admin, "MutatingWebhookConfiguration", "m", vec![first, hooks.hook("b.example.com", "/add-b")]).await?;
    hooks.paths();
    let (code, made) = admin.post(MAPS, map("m", json!({"x": "1"}))).await?;
    assert_eq!((code, &made["data"]), (StatusCode::CREATED, &json!({"x": "1", "a": "yes", "b": "yes"})), "{made}");
    assert_eq!(hooks.paths(), ["/add-a", "/add-b", "/add-a"]);
    let (code, dry) = admin.post(&format!("{MAPS}?dryRun=All"), map("d", json!({"x": "1"}))).await?;
    assert_eq!((code, &hooks.last()["dryRun"], &dry["data"]["b"]), (StatusCode::CREATED, &json!(true), &json!("yes")));
    Ok(())
}

#[tokio::test]
async fn webhooks_that_fail_are_closed_or_open() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let (admin, hooks) = (cluster.client("admin"), Hooks::start(&cluster).await?);
    let mut slow = hooks.hook("slow.example.com", "/slow");
    slow["timeoutSeconds"] = 1.into();
    let path = configure(&admin, "ValidatingWebhookConfiguration", "slow", vec![slow]).await?;
    let (code, status) = admin.post(MAPS, map("a", json!({}))).await?;
    let text = format!(
        "Internal error occurred: failed calling webhook \"slow.example.com\": failed to call webhook: Post \"https://{}/slow?timeout=1s\": context deadline exceeded",
        hooks.address
    );
    assert_eq!((code, status["message"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some(text.as_str())));
    let patch = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
    let (code, made) = admin.patch(&path, "json-patch+json", patch).await?;
    assert_eq!(code, StatusCode::OK, "{made}");
    settled(&admin, &path[..path.len() - 5], &made).await?;
    assert_eq!(admin.post(MAPS, map("a", json!({}))).await?.0, StatusCode::CREATED);
    let patch = json!([
        {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"},
        {"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"service": {"namespace": "default", "name": "none", "port": 443}}},
    ]);
    let (_, made) = admin.patch(&path, "json-patch+json", patch).await?;
    settled(&admin, &path[..path.len() - 5], &made).await?;
    let (code, status) = admin.post(MAPS, map("b", json!({}))).await?;
    assert_eq!(code, StatusCode::INTERNAL_SERVER_ERROR);
    let text = status["message"].as_str().unwrap_or("");
    assert!(
        text.contains("Post \"https://none.default.svc:443/?timeout=1s\": service") && text.contains("not found"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn policies_speak_cel() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let rules = json!([{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]);
    let policy = |kind: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "p"}, "spec": spec});
    let validating = format!("{WEBHOOKS}validatingadmissionpolicies");
    let (code, wrong) = admin
        .post(
            &validating,
            policy(
                "ValidatingAdmissionPolicy",
                json!({"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "nobody"}]}),
            ),
        )
        .await?;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong["message"].as_str().is_some_and(|text| text.contains("undeclared reference to 'nobody'")), "{wrong}");

    admin.post(MAPS, map("limit", json!({"most": "2"}))).await?;
    let spec = json!({
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [{"name": "not-the-limit", "expression": "object.metadata.name != 'limit'"}],
        "variables": [{"name": "size", "expression": "has(object.data) ? object.data.size() : 0"}],
        "validations": [
            {"expression": "variables.size <= int(params.data.most)", "messageExpression": "'at most ' + params.data.most + ' for ' + request.userInfo.username", "reason": "Forbidden"},
            {"expression": "authorizer.group('').resource('configmaps').namespace(request.namespace).check('create').allowed()"},
        ],
    });
    let (code, made) = admin.post(&validating, policy("ValidatingAdmissionPolicy", spec)).await?;
    assert_eq!((code, &made["status"]["observedGeneration"]), (StatusCode::CREATED, &json!(1)), "{made}");
    let bindings = format!("{WEBHOOKS}validatingadmissionpolicybindings");
    let spec = json!({"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}});
    let (code, bound) = admin.post(&bindings, policy("ValidatingAdmissionPolicyBinding", spec)).await?;
    assert_eq!(code, StatusCode::CREATED, "{bound}");
    settled(&admin, &bindings, &bound).await?;
    assert_eq!(admin.post(MAPS, map("small", json!({"a": "1"}))).await?.0, StatusCode::CREATED);
    let (code, status) = admin.post(MAPS, map("large", json!({"a": "1", "b": "2", "c": "3"}))).await?;
    let text = "configmaps \"large\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: at most 2 for kubernetes-admin";
    assert_eq!(
        (code, status["message"].as_str(), status["reason"].as_str()),
        (StatusCode::FORBIDDEN, Some(text), Some("Forbidden"))
    );

    let spec = json!({
        "failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": rules},
        "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{metadata: Object.metadata{labels: {'by': 'policy'}}}"}},
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/data/z', value: object.metadata.labels.by}]"}},
        ],
    });
    let (code, made) =
        admin.post(&format!("{WEBHOOKS}mutatingadmissionpolicies"), policy("MutatingAdmissionPolicy", spec)).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    let bindings = format!("{WEBHOOKS}mutatingadmissionpolicybindings");
    let (_, bound) =
        admin.post(&bindings, policy("MutatingAdmissionPolicyBinding", json!({"policyName": "p"}))).await?;
    settled(&admin, &bindings, &bound).await?;
    let (code, made) = admin.post(MAPS, map("changed", json!({"a": "1"}))).await?;
    assert_eq!(
        (code, &made["metadata"]["labels"], &made["data"]),
        (StatusCode::CREATED, &json!({"by": "policy"}), &json!({"a": "1", "z": "policy"})),
        "{made}"
    );
    Ok(())
}

#[tokio::test]
async fn quotas_are_kept_under_load() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "5", "count/secrets": "1"}}});
    let (code, _) = admin.post(quotas, quota).await?;
    assert_eq!(code, StatusCode::CREATED);
    let status = json!({"status": {"hard": {"configmaps": "5", "count/secrets": "1"}, "used": {"configmaps": "0", "count/secrets": "0"}}});
    let (code, known) = admin.patch(&format!("{quotas}/q/status"), "merge-patch+json", status).await?;
    assert_eq!(code, StatusCode::OK, "{known}");
    settled(&admin, quotas, &known).await?;
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let answers = futures_util::future::join_all(names.iter().map(|name| admin.post(MAPS, map(name, json!({}))))).await;
    let mut made = 0;
    for answer in answers {
        let (code, status) = answer?;
        if code == StatusCode::CREATED {
            made += 1;
        } else {
            let text = status["message"].as_str().unwrap_or("");
            assert!(text.ends_with("is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=5, limited: configmaps=5"), "{text}");
        }
    }
    assert_eq!(made, 5);
    let (_, now) = admin.get(&format!("{quotas}/q")).await?;
    assert_eq!(now["status"]["used"]["configmaps"], "5");
    Ok(())
}

#[tokio::test]
async fn namespaces_say_how_secure_pods_are() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let namespace = |labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "safe-", "labels": labels}});
    let (code, wrong) =
        admin.post("/api/v1/namespaces", namespace(json!({"pod-security.kubernetes.io/enforce": "most"}))).await?;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    let text = "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"most\": must be one of privileged, baseline, restricted";
    assert!(wrong["message"].as_str().is_some_and(|message| message.ends_with(text)), "{wrong}");
    let (code, made) =
        admin.post("/api/v1/namespaces", namespace(json!({"pod-security.kubernetes.io/enforce": "baseline"}))).await?;
    let name = made["metadata"]["name"].as_str().unwrap_or("").to_owned();
    assert_eq!(
        (code, made["metadata"]["labels"]["kubernetes.io/metadata.name"].as_str()),
        (StatusCode::CREATED, Some(name.as_str())),
        "a generated name is known to the label"
    );
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    admin.post(&format!("/api/v1/namespaces/{name}/serviceaccounts"), account).await?;
    let pods = format!("/api/v1/namespaces/{name}/pods");
    let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let (code, status) =
        admin.post(&pods, pod(json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]}))).await?;
    let text = "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)";
    assert_eq!((code, status["message"].as_str()), (StatusCode::FORBIDDEN, Some(text)));
    let (code, made) = admin.post(&pods, pod(json!({"containers": [{"name": "c", "image": "i"}]}))).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    Ok(())
}

#[tokio::test]
async fn generated_jobs_know_their_name() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    let (code, made) = admin.post("/apis/batch/v1/namespaces/default/jobs", job).await?;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    assert_eq!(
        made["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"],
        made["metadata"]["name"]
    );
    Ok(())
}
