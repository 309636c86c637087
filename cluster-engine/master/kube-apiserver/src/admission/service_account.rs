//! ServiceAccount: a pod runs as an account of its namespace and gets the account's token, CA and namespace as files.

use std::time::Duration;

use drydock_api::{Status, meta, names};
use serde_json::{Value, json};

use super::Attempt;
use crate::verbs::get;

const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What the kubelet asks for: an hour and seven seconds, by which upstream knows these tokens.
const TOKEN_SECONDS: i64 = 3607;
/// The default account of a namespace that was just made may be a moment away.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn admit(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    if meta::annotation(pod, "kubernetes.io/config.mirror").is_some() {
        // A static pod's mirror has no identity of its own.
        let named =
            pod.pointer("/spec/serviceAccountName").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        return if named {
            Err(attempt.forbidden(meta::name(pod), "a mirror pod may not reference service accounts"))
        } else {
            Ok(())
        };
    }
    if !pod["spec"].is_object() {
        return Ok(());
    }
    let name = match pod.pointer("/spec/serviceAccountName").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => "default".to_owned(),
    };
    pod["spec"]["serviceAccountName"] = name.clone().into();
    pod["spec"]["serviceAccount"] = name.clone().into();
    let account = account(attempt, pod, &name).await?;
    plan(pod, &account, &names::generate_name("kube-api-access-", rand::random()));
    Ok(())
}

async fn account(attempt: &Attempt<'_>, pod: &Value, name: &str) -> Result<Value, Status> {
    let (server, namespace) = (attempt.server, attempt.exchange.info.namespace.as_str());
    let Some(row) = server.rows.find("", "v1", "serviceaccounts") else { return Ok(Value::Null) };
    let tries = if name == "default" { TRIES } else { 2 };
    for turn in 0..tries {
        if turn > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(entry) = server.cache(row)?.get(&format!("{namespace}/{name}")) {
            return Ok(entry.value());
        }
        if let Ok(account) = get::newest_value(server, row, namespace, name).await {
            return Ok(account);
        }
    }
    let why = format!(
        "error looking up service account {namespace}/{name}: serviceaccount {} not found",
        drydock_api::go_quote(name)
    );
    Err(attempt.forbidden(meta::name(pod), why))
}

/// What the account adds to the pod.
fn plan(pod: &mut Value, account: &Value, volume: &str) {
    let spec = &mut pod["spec"];
    let automount = spec["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    if automount {
        mount(spec, volume);
    }
    if spec["imagePullSecrets"].as_array().is_none_or(Vec::is_empty)
        && let Some(secrets) = account["imagePullSecrets"].as_array().filter(|list| !list.is_empty())
    {
        spec["imagePullSecrets"] = secrets.clone().into();
    }
}

fn mount(spec: &mut Value, volume: &str) {
    // A second round of admission finds the volume of the first.
    let present = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|volume| volume["name"].as_str())
        .find(|name| name.starts_with("kube-api-access-"))
        .map(str::to_owned);
    let volume = present.as_deref().unwrap_or(volume);
    let mut used = false;
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            if !container["volumeMounts"].is_array() {
                container["volumeMounts"] = json!([]);
            }
            let Some(mounts) = container["volumeMounts"].as_array_mut() else { continue };
            if mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH) {
                continue;
            }
            mounts.push(json!({"name": volume, "mountPath": MOUNT_PATH, "readOnly": true}));
            used = true;
        }
        if spec[list].is_null()
            && let Some(fields) = spec.as_object_mut()
        {
            fields.remove(list);
        }
    }
    if !used || present.is_some() {
        return;
    }
    if !spec["volumes"].is_array() {
        spec["volumes"] = json!([]);
    }
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]}}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_mounted_once_and_only_when_wanted() {
        let mut pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "own", "mountPath": MOUNT_PATH}]}]}});
        plan(&mut pod, &json!({"imagePullSecrets": [{"name": "s"}]}), "kube-api-access-abcde");
        assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][0]["name"], "kube-api-access-abcde");
        assert_eq!(pod["spec"]["containers"][1]["volumeMounts"].as_array().map(Vec::len), Some(1));
        assert_eq!(pod["spec"]["volumes"].as_array().map(Vec::len), Some(1));
        assert_eq!(pod["spec"]["imagePullSecrets"][0]["name"], "s");
        assert!(pod["spec"].get("initContainers").is_none());
        let mut pod = json!({"spec": {"automountServiceAccountToken": false, "containers": [{"name": "a"}]}});
        plan(&mut pod, &Value::Null, "v");
        assert!(pod["spec"].get("volumes").is_none());
    }
}
