//! Which claims get a volume, and which volumes go.

use drydock_client::Object;
use drydock_client::types::Node;
use serde_json::{Value, json};

pub use crate::objects::{Claim, Helper, HostPath, StorageClass, Volume};
use crate::{Options, PROVISIONER};

/// Who is to make a claim's volume, in two spellings.
const ASKED: [&str; 2] = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// The node that the scheduler chose.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Who made a volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On which node a volume is.
pub const NODE: &str = "drydock.dev/node";
/// Keeps a volume until its directory is removed.
pub const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";
/// Helper pods have this label; its value is the volume's name.
pub const HELPER_LABEL: &str = "local-path.drydock.dev/volume";

/// What is to be done about a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum ForClaim {
    /// Nothing: it is not ours, has a volume, or waits.
    Nothing,
    /// A volume on this node.
    Provision(String),
    /// The chosen node is gone: the scheduler is to choose again.
    Reschedule,
    /// It cannot be had.
    Refuse(String),
}

/// What is to be done about a claim; `nodes` are those there are.
pub fn for_claim(claim: &Claim, class: Option<&StorageClass>, nodes: &[std::sync::Arc<Node>]) -> ForClaim {
    let annotations = &claim.metadata.annotations;
    let is_asked = ASKED.iter().any(|key| annotations.get(*key).is_some_and(|value| value == PROVISIONER));
    let Some(class) = class.filter(|class| class.provisioner == PROVISIONER) else { return ForClaim::Nothing };
    if !is_asked || !claim.spec.volume_name.is_empty() || claim.metadata.is_deleting() {
        return ForClaim::Nothing;
    }
    let refuse = |why: &str| {
        ForClaim::Refuse(format!("failed to provision volume with StorageClass {:?}: {why}", class.metadata.name))
    };
    if claim.spec.selector.is_some() {
        return refuse("claim Selector is not supported");
    }
    if claim.spec.volume_mode.as_deref() == Some("Block") {
        return refuse("block volumes are not supported");
    }
    if claim.spec.access_modes.iter().any(|mode| mode == "ReadWriteMany" || mode == "ReadOnlyMany") {
        return refuse("only support ReadWriteOnce access mode");
    }
    let waits = class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer");
    match annotations.get(SELECTED_NODE) {
        Some(node) if nodes.iter().any(|known| known.name() == *node) => ForClaim::Provision(node.clone()),
        Some(_) => ForClaim::Reschedule,
        None if waits => ForClaim::Nothing,
        None => {
            let is_usable = |node: &&std::sync::Arc<Node>| {
                let repels = |taint: &drydock_client::types::Taint| taint.effect != "PreferNoSchedule";
                node.is_ready() && !node.spec.unschedulable && !node.spec.taints.iter().any(repels)
            };
            match nodes.iter().find(is_usable) {
                Some(node) => ForClaim::Provision(node.name().to_owned()),
                None => refuse("no node is ready to hold it"),
            }
        }
    }
}

/// The name of a claim's volume.
pub fn volume_name(claim: &Claim) -> String {
    format!("pvc-{}", claim.metadata.uid)
}

/// A claim's volume on a node.
pub fn volume_for(claim: &Claim, class: &StorageClass, node: &Node, options: &Options) -> Value {
    let (namespace, name) = (claim.namespace(), claim.name());
    let path = options.base.join(format!("{}_{namespace}_{name}", volume_name(claim)));
    // The name stands in a label, which the kubelet may have made different from the node's name.
    let host = node.metadata.labels.get("kubernetes.io/hostname").map_or(node.name(), String::as_str);
    let term = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [host]});
    let mut body = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": volume_name(claim),
            "annotations": {PROVISIONED_BY: PROVISIONER, NODE: node.name()},
            "finalizers": [FINALIZER],
        },
        "spec": {
            "accessModes": claim.spec.access_modes,
            "capacity": {"storage": claim.spec.resources.requests.get("storage")},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": namespace, "name": name,
                "uid": claim.uid(), "resourceVersion": claim.metadata.resource_version,
            },
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
            "persistentVolumeReclaimPolicy": class.reclaim_policy.as_deref().unwrap_or("Delete"),
            "storageClassName": class.name(),
            "volumeMode": "Filesystem",
        },
    });
    if !class.mount_options.is_empty() {
        body["spec"]["mountOptions"] = json!(class.mount_options);
    }
    body
}

/// What is to be done about a volume.
#[derive(Clone, Debug, PartialEq)]
pub enum ForVolume {
    /// Nothing.
    Nothing,
    /// It is kept, so nothing has to happen before it may go.
    LetGo,
    /// A helper pod on this node removes the directory of this name.
    StartHelper {
        /// The node.
        node: String,
        /// The directory's name below the base.
        directory: String,
    },
    /// The helper failed and is to be made anew.
    DropHelper,
    /// The directory is gone: so may be the volume, and the helper.
    Finish,
}

/// What is to be done about a volume; `helper` is the pod that removes its directory.
pub fn for_volume(
    volume: &Volume,
    helper: Option<&Helper>,
    has_node: impl FnOnce(&str) -> bool,
    options: &Options,
) -> ForVolume {
    let is_ours = volume.metadata.annotations.get(PROVISIONED_BY).is_some_and(|by| by == PROVISIONER);
    let is_held = volume.metadata.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    if !is_ours {
        return ForVolume::Nothing;
    }
    if volume.spec.persistent_volume_reclaim_policy != "Delete" {
        return if is_held && volume.metadata.is_deleting() { ForVolume::LetGo } else { ForVolume::Nothing };
    }
    let is_over =
        volume.status.phase == "Released" || (volume.metadata.is_deleting() && volume.status.phase != "Bound");
    if !is_over || (volume.metadata.is_deleting() && !is_held) {
        return ForVolume::Nothing;
    }
    match helper.map(|helper| helper.status.phase.as_str()) {
        Some("Succeeded") => ForVolume::Finish,
        Some("Failed") => ForVolume::DropHelper,
        Some(_) => ForVolume::Nothing,
        None => {
            let node = volume.metadata.annotations.get(NODE).filter(|node| has_node(node));
            let path = volume.spec.host_path.as_ref().map(|at| std::path::Path::new(&at.path));
            let directory = path.filter(|path| path.parent() == Some(&options.base)).and_then(|path| path.file_name());
            match (node, directory.and_then(|name| name.to_str())) {
                (Some(node), Some(name)) => ForVolume::StartHelper { node: node.clone(), directory: name.to_owned() },
                // With the node its directories are gone; what is not below the base is not ours to remove.
                _ => ForVolume::Finish,
            }
        }
    }
}

/// The pod that removes a directory. It uses the node's network, and so the node's user ids: files belong to
/// whatever user the pods that wrote them ran as.
pub fn helper_for(volume: &Volume, node: &str, directory: &str, options: &Options) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("helper-pod-delete-{}", volume.name()),
            "namespace": options.namespace,
            "labels": {HELPER_LABEL: volume.name()},
        },
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "hostNetwork": true,
            "automountServiceAccountToken": false,
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "helper-pod",
                "image": options.helper_image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["drydock-node", "local-path", "--base=/data", format!("--remove={directory}")],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "hostPath": {"path": options.base, "type": "DirectoryOrCreate"}}],
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use drydock_client::types::{Condition, Taint};

    use super::*;

    fn options() -> Options {
        Options::parse_from(["local-path"])
    }

    fn claim(node: Option<&str>) -> Claim {
        let mut claim = Claim::default();
        claim.metadata.name = "data".into();
        claim.metadata.namespace = "x".into();
        claim.metadata.uid = "u".into();
        claim.metadata.annotations.insert(ASKED[0].into(), PROVISIONER.into());
        claim.metadata.annotations.extend(node.map(|node| (SELECTED_NODE.to_owned(), node.to_owned())));
        claim.spec.access_modes = vec!["ReadWriteOnce".into()];
        claim.spec.resources.requests.insert("storage".into(), "1Gi".into());
        claim
    }

    fn class(mode: &str) -> StorageClass {
        let mut class = StorageClass { provisioner: PROVISIONER.into(), ..StorageClass::default() };
        class.metadata.name = "local-path".into();
        class.volume_binding_mode = Some(mode.into());
        class
    }

    fn node(name: &str) -> Arc<Node> {
        let mut node = Node::default();
        node.metadata.name = name.into();
        node.metadata.labels.insert("kubernetes.io/hostname".into(), format!("{name}.lab"));
        node.status.conditions.push(Condition { kind: "Ready".into(), status: "True".into(), ..Condition::default() });
        if name == "master" {
            node.spec.taints.push(Taint { effect: "NoSchedule".into(), ..Taint::default() });
        }
        Arc::new(node)
    }

    #[test]
    fn claims_get_a_volume_where_their_pod_goes() {
        let nodes = [node("master"), node("w1")];
        let check = |claim: &Claim, mode: &str| for_claim(claim, Some(&class(mode)), &nodes);
        assert_eq!(check(&claim(None), "WaitForFirstConsumer"), ForClaim::Nothing);
        assert_eq!(check(&claim(Some("w1")), "WaitForFirstConsumer"), ForClaim::Provision("w1".into()));
        assert_eq!(check(&claim(Some("gone")), "WaitForFirstConsumer"), ForClaim::Reschedule);
        assert_eq!(check(&claim(None), "Immediate"), ForClaim::Provision("w1".into()));
        let mut shared = claim(Some("w1"));
        shared.spec.access_modes.push("ReadWriteMany".into());
        assert_eq!(
            check(&shared, "Immediate"),
            ForClaim::Refuse(
                "failed to provision volume with StorageClass \"local-path\": only support ReadWriteOnce access mode"
                    .into()
            )
        );
        let mut bound = claim(Some("w1"));
        bound.spec.volume_name = "v".into();
        assert_eq!(check(&bound, "Immediate"), ForClaim::Nothing);
        assert_eq!(for_claim(&claim(Some("w1")), None, &nodes), ForClaim::Nothing);
        let foreign = StorageClass { provisioner: "other".into(), ..class("Immediate") };
        assert_eq!(for_claim(&claim(Some("w1")), Some(&foreign), &nodes), ForClaim::Nothing);
    }

    #[test]
    fn the_volume_follows_the_node() {
        let body = volume_for(&claim(Some("w1")), &class("Immediate"), &node("w1"), &options());
        assert_eq!(body["spec"]["hostPath"]["path"], "/opt/local-path-provisioner/pvc-u_x_data");
        let terms = &body["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"];
        assert_eq!(terms[0]["matchExpressions"][0]["values"], json!(["w1.lab"]));
        assert_eq!(body["spec"]["persistentVolumeReclaimPolicy"], "Delete");
        assert_eq!(body["spec"]["claimRef"]["uid"], "u");
        let volume: Volume = serde_json::from_value(body).unwrap();
        assert_eq!(volume.metadata.annotations[NODE], "w1");
    }

    #[test]
    fn released_volumes_are_removed_step_by_step() {
        let options = options();
        let body = volume_for(&claim(Some("w1")), &class("Immediate"), &node("w1"), &options);
        let mut volume: Volume = serde_json::from_value(body).unwrap();
        let check = |volume: &Volume, helper: Option<&str>| {
            let helper = helper.map(|phase| {
                let mut helper = Helper::default();
                helper.status.phase = phase.into();
                helper
            });
            for_volume(volume, helper.as_ref(), |node| node == "w1", &options)
        };
        volume.status.phase = "Bound".into();
        assert_eq!(check(&volume, None), ForVolume::Nothing);
        volume.status.phase = "Released".into();
        let start = ForVolume::StartHelper { node: "w1".into(), directory: "pvc-u_x_data".into() };
        assert_eq!(check(&volume, None), start);
        assert_eq!(check(&volume, Some("Running")), ForVolume::Nothing);
        assert_eq!(check(&volume, Some("Failed")), ForVolume::DropHelper);
        assert_eq!(check(&volume, Some("Succeeded")), ForVolume::Finish);
        let mut strange = volume.clone();
        strange.spec.host_path = Some(HostPath { path: "/etc/kubernetes".into() });
        assert_eq!(check(&strange, None), ForVolume::Finish, "nothing is removed elsewhere");
        let mut gone = volume.clone();
        gone.metadata.annotations.insert(NODE.into(), "w9".into());
        assert_eq!(check(&gone, None), ForVolume::Finish);
        volume.spec.persistent_volume_reclaim_policy = "Retain".into();
        assert_eq!(check(&volume, None), ForVolume::Nothing);
        volume.metadata.deletion_timestamp = Some("T".into());
        assert_eq!(check(&volume, None), ForVolume::LetGo);
        volume.metadata.annotations.clear();
        assert_eq!(check(&volume, None), ForVolume::Nothing, "not ours");
    }
}
