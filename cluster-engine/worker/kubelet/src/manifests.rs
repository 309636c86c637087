//! Static pods from the manifest directory, watched by inotify.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::unix::pipe::Receiver;

use crate::kubelet::Kubelet;
use crate::pod::{CONFIG_HASH, CONFIG_SEEN, CONFIG_SOURCE, Pod, strip_nulls};
use crate::pods::StaticPod;

/// How long to wait for further changes after one: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(20);
/// How often to look when the directory cannot be watched.
const POLL: Duration = Duration::from_secs(20);

/// Reads the manifests and follows their changes for ever.
pub(crate) async fn run(kubelet: Arc<Kubelet>, directory: PathBuf) {
    if let Err(error) = std::fs::create_dir_all(&directory) {
        tracing::warn!(path = %directory.display(), %error, "cannot make the manifest directory");
    }
    let watch = watch(&directory);
    if let Err(error) = &watch {
        tracing::warn!(path = %directory.display(), %error, "cannot watch the manifests, looking now and then");
    }
    let mut last: BTreeMap<String, StaticPod> = BTreeMap::new();
    loop {
        let found = read(&directory, &kubelet.node_name, &last);
        kubelet.pods.set_manifests(&kubelet, found.values().cloned().collect());
        last = found;
        match &watch {
            Ok(watch) => {
                changed(watch).await;
                tokio::time::sleep(QUIET).await;
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn watch(directory: &Path) -> std::io::Result<Receiver> {
    let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let events = WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::DELETE | WatchFlags::CREATE;
    add_watch(&inotify, directory, events)?;
    crate::stream::readable(inotify)
}

/// Waits for a change. What changed does not matter: all manifests are read again.
async fn changed(watch: &Receiver) {
    loop {
        if watch.readable().await.is_err() {
            return;
        }
        match watch.try_read(&mut [0; 4096]) {
            Ok(_) => return,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::warn!(%error, "cannot read changes of the manifests");
                return;
            }
        }
    }
}

/// The pods of all manifests by file name. A file that cannot be read keeps the pod it had.
fn read(directory: &Path, node: &str, last: &BTreeMap<String, StaticPod>) -> BTreeMap<String, StaticPod> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !entry.path().is_file() {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        match parse(&text, node) {
            Ok(pod) => {
                found.insert(name, pod);
            }
            Err(reason) => {
                tracing::error!(path = %entry.path().display(), reason, "cannot use a manifest");
                if let Some(before) = last.get(&name) {
                    found.insert(name, before.clone());
                }
            }
        }
    }
    found
}

/// Makes the static pod of a manifest: named after the node, with a uid that is a hash of its definition.
///
/// # Errors
/// Why the text is no pod.
pub(crate) fn parse(text: &str, node: &str) -> Result<StaticPod, String> {
    let mut object: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    strip_nulls(&mut object);
    if object["kind"] != "Pod" || object["apiVersion"] != "v1" {
        return Err(format!("expected a v1 Pod, have {} {}", object["apiVersion"], object["kind"]));
    }
    let name = object["metadata"]["name"].as_str().filter(|name| !name.is_empty()).ok_or("the pod has no name")?;
    let name = format!("{name}-{node}");
    if object["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
        return Err("the pod has no containers".to_owned());
    }
    let digest = Sha256::digest(format!("{node}\n{object}"));
    let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    object["metadata"]["name"] = name.into();
    if object["metadata"]["namespace"].as_str().is_none_or(str::is_empty) {
        object["metadata"]["namespace"] = "default".into();
    }
    object["metadata"]["uid"] = hash.as_str().into();
    let annotations = &mut object["metadata"]["annotations"];
    annotations[CONFIG_HASH] = hash.as_str().into();
    annotations[CONFIG_SOURCE] = "file".into();
    annotations[CONFIG_SEEN] = drydock_api::time::now_micro().into();
    let spec = &mut object["spec"];
    spec["nodeName"] = node.into();
    if spec["tolerations"].is_null() {
        spec["tolerations"] = json!([]);
    }
    if let Some(tolerations) = spec["tolerations"].as_array_mut() {
        tolerations.push(json!({"effect": "NoExecute", "operator": "Exists"}));
    }
    let json = object.to_string();
    let pod = Pod::try_from(object).map_err(|error| error.to_string())?;
    Ok(StaticPod { pod: Arc::new(pod), json: json.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd, namespace: kube-system, labels: null}\n\
        spec: {hostNetwork: true, containers: [{name: etcd, image: x}]}\n";

    #[test]
    fn a_manifest_becomes_a_static_pod() {
        let found = parse(MANIFEST, "master").unwrap();
        let pod = &found.pod;
        assert_eq!(pod.full_name(), "kube-system/etcd-master");
        assert!(pod.is_static() && !pod.is_mirror());
        assert_eq!(pod.metadata.uid.len(), 32);
        assert_eq!(pod.metadata.uid, parse(MANIFEST, "master").unwrap().pod.metadata.uid, "the uid is stable");
        assert_ne!(pod.metadata.uid, parse(MANIFEST, "other").unwrap().pod.metadata.uid);
        assert_ne!(
            pod.metadata.uid,
            parse(&MANIFEST.replace("image: x", "image: z"), "master").unwrap().pod.metadata.uid
        );
        assert_eq!(pod.spec.tolerations.len(), 1);
    }

    #[test]
    fn unusable_manifests_keep_the_pod_they_had() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etcd.yaml");
        std::fs::write(&path, MANIFEST).unwrap();
        std::fs::write(directory.path().join(".swp"), "x").unwrap();
        let first = read(directory.path(), "master", &BTreeMap::new());
        assert_eq!(first.len(), 1);
        for broken in
            ["kind: [", "apiVersion: v1\nkind: Secret", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}"]
        {
            std::fs::write(&path, broken).unwrap();
            let second = read(directory.path(), "master", &first);
            assert_eq!(second["etcd.yaml"].pod.metadata.uid, first["etcd.yaml"].pod.metadata.uid);
            assert!(read(directory.path(), "master", &BTreeMap::new()).is_empty());
        }
    }
}
