//! Every stored kind lives its whole life: created, read, listed, watched, patched, updated, its status written, and deleted with others.
//!
//! The table has one row for each resource that discovery names; a resource without a row fails the test.

use std::collections::BTreeMap;

use crate::support::{Client, Cluster};
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use http::StatusCode;
use serde_json::{Value, json};

/// What a kind needs beside its name, and a status that may be written.
struct Sample {
    body: Value,
    /// A change of the object itself beside its labels.
    change: Value,
    status: Value,
}

fn sample(body: Value) -> Sample {
    Sample { body, change: json!({}), status: json!({}) }
}

impl Sample {
    fn change(mut self, change: Value) -> Self {
        self.change = change;
        self
    }

    fn status(mut self, status: Value) -> Self {
        self.status = status;
        self
    }
}

fn pod_template() -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn conditions() -> Value {
    json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Why", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
}

/// The rows, by `group/version/plural`; core has an empty group.
fn samples() -> Result<BTreeMap<&'static str, Sample>> {
    let request = request()?;
    let selector = json!({"matchLabels": {"app": "a"}});
    let workload = || json!({"spec": {"selector": selector, "template": pod_template()}});
    let rule = json!([{"operations": ["CREATE"], "apiGroups": ["none.example.com"], "apiVersions": ["v1"], "resources": ["nothings"]}]);
    let webhooks = json!({"webhooks": [{"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": rule, "clientConfig": {"url": "https://127.0.0.1:1/x"}}]});
    let device = json!([{"name": "r", "exactly": {"deviceClassName": "c.example.com"}}]);
    Ok(BTreeMap::from([
        ("/v1/configmaps", sample(json!({"data": {"a": "b"}})).change(json!({"data": {"a": "c"}}))),
        ("/v1/endpoints", sample(json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}))),
        ("/v1/events", sample(json!({"involvedObject": {"kind": "Pod", "name": "p", "namespace": "life"}, "reason": "R", "type": "Normal"}))),
        ("/v1/limitranges", sample(json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "10"}}]}}))),
        ("/v1/namespaces", sample(json!({})).status(json!({"conditions": [{"type": "StatusPatch", "status": "True"}]}))),
        ("/v1/nodes", sample(json!({"spec": {"podCIDR": "10.9.0.0/24"}})).status(json!({"conditions": [{"type": "Ready", "status": "True"}]}))),
        ("/v1/persistentvolumeclaims", sample(json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("/v1/persistentvolumes", sample(json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/tmp/x"}}})).status(json!({"message": "m", "reason": "R"}))),
        ("/v1/pods", sample(pod_template()).change(json!({"spec": {"containers": [{"name": "c", "image": "j"}]}})).status(json!({"conditions": [{"type": "Own", "status": "True"}]}))),
        ("/v1/podtemplates", sample(json!({"template": pod_template()}))),
        ("/v1/replicationcontrollers", sample(json!({"spec": {"selector": {"app": "a"}, "template": pod_template()}})).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("/v1/resourcequotas", sample(json!({"spec": {"hard": {"secrets": "100"}}})).status(json!({"hard": {"secrets": "100"}}))),
        ("/v1/secrets", sample(json!({"stringData": {"a": "b"}}))),
        ("/v1/serviceaccounts", sample(json!({"automountServiceAccountToken": false}))),
        ("/v1/services", sample(json!({"spec": {"ports": [{"port": 80}], "selector": {"app": "a"}}})).status(json!({"conditions": [{"type": "X", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))),
        ("apiregistration.k8s.io/v1/apiservices", sample(json!({"spec": {"group": "life.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10, "service": {"name": "x", "namespace": "life"}, "insecureSkipTLSVerify": true}})).status(json!({"conditions": [{"type": "Available", "status": "False", "reason": "R", "message": "m"}]}))),
        ("apps/v1/controllerrevisions", sample(json!({"revision": 1, "data": {"a": 1}})).change(json!({"revision": 2}))),
        ("apps/v1/daemonsets", sample(workload()).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("apps/v1/deployments", sample(workload()).change(json!({"spec": {"replicas": 3}})).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("apps/v1/replicasets", sample(workload()).change(json!({"spec": {"replicas": 3}})).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("apps/v1/statefulsets", sample(json!({"spec": {"selector": selector, "serviceName": "s", "template": pod_template()}})).change(json!({"spec": {"replicas": 3}})).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("events.k8s.io/v1/events", sample(json!({"eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "a.example.com/c", "reportingInstance": "i", "action": "A", "reason": "R", "type": "Normal", "regarding": {"kind": "Pod", "name": "p", "namespace": "life"}}))),
        ("autoscaling/v2/horizontalpodautoscalers", sample(json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}})).status(json!({"currentReplicas": 1, "desiredReplicas": 1}))),
        ("autoscaling/v1/horizontalpodautoscalers", sample(json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}})).status(json!({"currentReplicas": 1, "desiredReplicas": 1}))),
        ("batch/v1/cronjobs", sample(json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}}}}})).change(json!({"spec": {"suspend": true}})).status(json!({"lastScheduleTime": "2026-01-01T00:00:00Z"}))),
        ("batch/v1/jobs", sample(json!({"spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}}})).change(json!({"spec": {"parallelism": 2}})).status(json!({"startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "X", "status": "True"}]}))),
        ("certificates.k8s.io/v1/certificatesigningrequests", sample(json!({"spec": {"request": request, "signerName": "example.com/x", "usages": ["client auth"]}})).status(json!({"certificate": null, "conditions": [{"type": "StatusPatch", "status": "True", "reason": "R", "message": "m"}]}))),
        ("coordination.k8s.io/v1/leases", sample(json!({"spec": {"holderIdentity": "a", "leaseDurationSeconds": 30}})).change(json!({"spec": {"holderIdentity": "b"}}))),
        ("discovery.k8s.io/v1/endpointslices", sample(json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": []}))),
        ("flowcontrol.apiserver.k8s.io/v1/flowschemas", sample(json!({"spec": {"matchingPrecedence": 10000, "priorityLevelConfiguration": {"name": "none"}}})).change(json!({"spec": {"matchingPrecedence": 9999}})).status(json!({"conditions": [{"type": "Dangling", "status": "True"}]}))),
        ("flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations", sample(json!({"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}})).status(json!({"conditions": [{"type": "X", "status": "True"}]}))),
        ("networking.k8s.io/v1/ingressclasses", sample(json!({"spec": {"controller": "example.com/c"}}))),
        ("networking.k8s.io/v1/ingresses", sample(json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}})).change(json!({"spec": {"ingressClassName": "c"}})).status(json!({"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}))),
        ("networking.k8s.io/v1/ipaddresses", sample(json!({"spec": {"parentRef": {"group": "", "resource": "services", "namespace": "life", "name": "s"}}}))),
        ("networking.k8s.io/v1/networkpolicies", sample(json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}))),
        ("networking.k8s.io/v1/servicecidrs", sample(json!({"spec": {"cidrs": ["10.251.0.0/24"]}})).status(conditions())),
        ("policy/v1/poddisruptionbudgets", sample(json!({"spec": {"minAvailable": 1, "selector": selector}})).change(json!({"spec": {"minAvailable": 2}})).status(json!({"conditions": [{"type": "DisruptionAllowed", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))),
        ("rbac.authorization.k8s.io/v1/clusterrolebindings", sample(json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}))),
        ("rbac.authorization.k8s.io/v1/clusterroles", sample(json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}))),
        ("rbac.authorization.k8s.io/v1/rolebindings", sample(json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}))),
        ("rbac.authorization.k8s.io/v1/roles", sample(json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}))),
        ("storage.k8s.io/v1/csidrivers", sample(json!({"spec": {"attachRequired": false}}))),
        ("storage.k8s.io/v1/csinodes", sample(json!({"spec": {"drivers": []}}))),
        ("storage.k8s.io/v1/csistoragecapacities", sample(json!({"storageClassName": "c", "capacity": "1Gi"}))),
        ("storage.k8s.io/v1/storageclasses", sample(json!({"provisioner": "example.com/p"}))),
        ("storage.k8s.io/v1/volumeattachments", sample(json!({"spec": {"attacher": "example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}})).status(json!({"attached": true}))),
        ("storage.k8s.io/v1/volumeattributesclasses", sample(json!({"driverName": "example.com", "parameters": {"a": "b"}}))),
        ("admissionregistration.k8s.io/v1/mutatingadmissionpolicies", sample(json!({"spec": {"failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": rule}, "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}]}}))),
        ("admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings", sample(json!({"spec": {"policyName": "nobody"}}))),
        ("admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", sample(webhooks.clone())),
        ("admissionregistration.k8s.io/v1/validatingadmissionpolicies", sample(json!({"spec": {"failurePolicy": "Ignore", "matchConstraints": {"resourceRules": rule}, "validations": [{"expression": "true"}]}})).status(conditions())),
        ("admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", sample(json!({"spec": {"policyName": "nobody", "validationActions": ["Deny"]}}))),
        ("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", sample(webhooks)),
        ("apiextensions.k8s.io/v1/customresourcedefinitions", sample(json!({"spec": {"group": "life.example.com", "scope": "Namespaced", "names": {"plural": "lives", "singular": "life", "kind": "Life", "listKind": "LifeList"}, "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}))),
        ("scheduling.k8s.io/v1/priorityclasses", sample(json!({"value": 10, "description": "d"}))),
        ("node.k8s.io/v1/runtimeclasses", sample(json!({"handler": "h"}))),
        ("resource.k8s.io/v1/deviceclasses", sample(json!({"spec": {}}))),
        ("resource.k8s.io/v1/resourceclaims", sample(json!({"spec": {"devices": {"requests": device}}})).status(json!({}))),
        ("resource.k8s.io/v1/resourceclaimtemplates", sample(json!({"spec": {"spec": {"devices": {"requests": device}}}}))),
        ("resource.k8s.io/v1/resourceslices", sample(json!({"spec": {"driver": "example.com", "nodeName": "n", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": []}}))),
    ]))
}

/// A certificate request in PEM, in base64.
fn request() -> Result<String> {
    let key = rcgen::KeyPair::generate()?;
    let request = rcgen::CertificateParams::new(vec!["life".to_owned()])?.serialize_request(&key)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(request.pem()?))
}

/// One resource as discovery names it.
struct Place {
    key: String,
    api_version: String,
    kind: String,
    namespaced: bool,
    verbs: Vec<String>,
    has_status: bool,
    collection: String,
}

async fn places(admin: &Client) -> Result<Vec<Place>> {
    let mut versions = vec![(String::new(), "v1".to_owned(), "/api/v1".to_owned())];
    let (_, groups) = admin.get("/apis").await?;
    for group in groups["groups"].as_array().into_iter().flatten() {
        for version in group["versions"].as_array().into_iter().flatten() {
            let (name, version) = (group["name"].as_str().unwrap_or(""), version["version"].as_str().unwrap_or(""));
            versions.push((name.to_owned(), version.to_owned(), format!("/apis/{name}/{version}")));
        }
    }
    let mut all = Vec::new();
    for (group, version, path) in versions {
        let (_, list) = admin.get(&path).await?;
        let resources = list["resources"].as_array().cloned().unwrap_or_default();
        for resource in &resources {
            let name = resource["name"].as_str().unwrap_or("");
            let verbs: Vec<String> = resource["verbs"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            if name.contains('/')
                || !verbs.iter().any(|verb| verb == "create")
                || !verbs.iter().any(|verb| verb == "list")
            {
                continue;
            }
            let namespaced = resource["namespaced"] == true;
            let namespace = if namespaced { "/namespaces/life" } else { "" };
            all.push(Place {
                key: format!("{group}/{version}/{name}"),
                api_version: if group.is_empty() { version.clone() } else { format!("{group}/{version}") },
                kind: resource["kind"].as_str().unwrap_or("").to_owned(),
                namespaced,
                has_status: resources.iter().any(|other| other["name"] == format!("{name}/status")),
                verbs,
                collection: format!("{path}{namespace}/{name}"),
            });
        }
    }
    Ok(all)
}

/// A name that the kind accepts.
fn name(place: &Place, number: u32) -> String {
    match place.key.as_str() {
        "apiregistration.k8s.io/v1/apiservices" => "v1.life.example.com".to_owned(),
        "apiextensions.k8s.io/v1/customresourcedefinitions" => "lives.life.example.com".to_owned(),
        "networking.k8s.io/v1/ipaddresses" => format!("10.96.77.{number}"),
        key => {
            let plural = key.rsplit('/').next().unwrap_or("x");
            format!("{plural}-{number}")
        }
    }
}

/// Kinds whose status a controller within the server writes at any time.
fn written_by_server(place: &Place) -> bool {
    matches!(place.kind.as_str(), "APIService" | "CustomResourceDefinition")
}

/// Writes an object as clients do: after a conflict once more, at the version that is there now.
async fn put(admin: &Client, path: &str, one: &str, mut object: Value) -> Result<Value> {
    for _ in 0..20 {
        let (code, answer) = admin.put(path, object.clone()).await?;
        if code == StatusCode::OK {
            return Ok(answer);
        }
        ensure!(code == StatusCode::CONFLICT, "{answer}");
        let (_, now) = admin.get(one).await?;
        object["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
    }
    anyhow::bail!("{path}: always a conflict")
}

async fn live(admin: &Client, place: &Place, sample: &Sample) -> Result<()> {
    let name = name(place, 1);
    let mut object = sample.body.clone();
    object["apiVersion"] = place.api_version.clone().into();
    object["kind"] = place.kind.clone().into();
    let mut metadata = object["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["name"] = name.clone().into();
    metadata["labels"]["life"] = "one".into();
    object["metadata"] = metadata;
    let one = format!("{}/{name}", place.collection);
    let selector = "labelSelector=life%3Done";

    let (code, made) = admin.post(&place.collection, object).await?;
    ensure!(code == StatusCode::CREATED, "create: {made}");
    ensure!(made["metadata"]["uid"].is_string() && made["metadata"]["managedFields"].is_array(), "create: {made}");
    let version = made["metadata"]["resourceVersion"].as_str().unwrap_or("").to_owned();

    let (code, read) = admin.get(&one).await?;
    ensure!(code == StatusCode::OK && read["metadata"]["uid"] == made["metadata"]["uid"], "get: {read}");
    ensure!(read["kind"] == place.kind.as_str() && read["apiVersion"] == place.api_version.as_str(), "get: {read}");
    let (code, list) = admin.get(&format!("{}?{selector}", place.collection)).await?;
    ensure!(code == StatusCode::OK && list["items"].as_array().map(Vec::len) == Some(1), "list: {list}");
    let (code, table) = admin.get_as(&one, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await?;
    ensure!(code == StatusCode::OK && table["rows"][0]["cells"].is_array(), "table: {table}");
    let (cells, columns) = (&table["rows"][0]["cells"], &table["columnDefinitions"]);
    ensure!(cells.as_array().map(Vec::len) == columns.as_array().map(Vec::len), "table: {table}");

    let mut change = sample.change.clone();
    change["metadata"]["annotations"]["patched"] = "yes".into();
    let (code, patched) = admin.patch(&one, "strategic-merge-patch+json", change).await?;
    ensure!(code == StatusCode::OK && patched["metadata"]["annotations"]["patched"] == "yes", "patch: {patched}");
    let (code, strategic) =
        admin.patch(&one, "merge-patch+json", json!({"metadata": {"annotations": {"again": "yes"}}})).await?;
    ensure!(code == StatusCode::OK && strategic["metadata"]["annotations"]["patched"] == "yes", "patch: {strategic}");

    let mut whole = strategic.clone();
    whole["metadata"]["annotations"]["updated"] = "yes".into();
    let updated = put(admin, &one, &one, whole.clone()).await.context("update")?;
    ensure!(updated["metadata"]["annotations"]["updated"] == "yes", "update: {updated}");
    let same = put(admin, &one, &one, updated.clone()).await.context("an update that changes nothing")?;
    ensure!(
        written_by_server(place) || same["metadata"]["resourceVersion"] == updated["metadata"]["resourceVersion"],
        "an update that changes nothing: {same}"
    );
    let (code, stale) = admin.put(&one, whole).await?;
    ensure!(code == StatusCode::CONFLICT, "a stale update: {stale}");

    if place.has_status {
        let path = format!("{one}/status");
        let (code, got) = admin.get(&path).await?;
        ensure!(code == StatusCode::OK && got["metadata"]["uid"] == made["metadata"]["uid"], "get status: {got}");
        let patch = json!({"metadata": {"annotations": {"status": "patched"}}, "status": sample.status});
        let (code, got) = admin.patch(&path, "merge-patch+json", patch).await?;
        ensure!(code == StatusCode::OK && got["metadata"]["annotations"]["status"] == "patched", "patch status: {got}");
        for (key, value) in sample.status.as_object().into_iter().flatten().filter(|(_, value)| value.is_array()) {
            let wanted = &value[0]["type"];
            let has = got["status"][key].as_array().into_iter().flatten().any(|item| item["type"] == *wanted);
            ensure!(has, "patch status: {got}");
        }
        ensure!(got["metadata"]["generation"] == updated["metadata"]["generation"], "a status is no generation: {got}");
        put(admin, &path, &one, got.clone()).await.context("update status")?;
    }

    if place.verbs.iter().any(|verb| verb == "deletecollection") {
        let (code, gone) = admin.delete(&format!("{}?{selector}", place.collection)).await?;
        ensure!(code == StatusCode::OK, "deletecollection: {gone}");
    } else {
        let (code, gone) = admin.delete(&one).await?;
        ensure!(code == StatusCode::OK, "delete: {gone}");
    }
    let (code, rest) = admin.get(&one).await?;
    if code == StatusCode::OK {
        ensure!(rest["metadata"]["deletionTimestamp"].is_string(), "deleted: {rest}");
    }
    // What happened is there to be watched from the beginning.
    let watch = format!("{}?watch=1&resourceVersion={version}&{selector}", place.collection);
    let events = admin.watch(&watch, 2).await?;
    ensure!(events.iter().take(2).all(|event| event["type"] == "MODIFIED"), "watch: {events:?}");
    Ok(())
}

#[tokio::test]
async fn every_kind_lives_its_life() -> Result<()> {
    let Some(cluster) = Cluster::start(&[]).await? else { return Ok(()) };
    let admin = cluster.client("admin");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "life"}});
    ensure!(admin.post("/api/v1/namespaces", namespace).await?.0 == StatusCode::CREATED);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    ensure!(admin.post("/api/v1/namespaces/life/serviceaccounts", account).await?.0 == StatusCode::CREATED);
    let samples = samples()?;
    let mut failures = Vec::new();
    for place in places(&admin).await? {
        let Some(sample) = samples.get(place.key.as_str()) else {
            failures.push(format!("{} (namespaced: {}) has no row", place.key, place.namespaced));
            continue;
        };
        if let Err(error) = live(&admin, &place, sample).await.with_context(|| place.key.clone()) {
            failures.push(format!("{error:#}").chars().take(900).collect());
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
