//! Tables for claims and volumes.

use serde_json::json;

use super::*;
use crate::kinds::{ClaimRef, VolumePath};

fn claim(class: Option<&str>) -> Claim {
    let mut claim = Claim::default();
    claim.metadata.name = "data".into();
    claim.metadata.namespace = "x".into();
    claim.metadata.uid = "c1".into();
    claim.spec.access_modes = vec!["ReadWriteOnce".into()];
    claim.spec.resources.requests.insert("storage".into(), "1Gi".into());
    claim.spec.storage_class_name = class.map(str::to_owned);
    claim
}

fn volume(name: &str, class: &str, size: &str) -> Volume {
    let mut volume = Volume::default();
    volume.metadata.name = name.into();
    volume.spec.access_modes = vec!["ReadWriteOnce".into(), "ReadOnlyMany".into()];
    volume.spec.capacity.insert("storage".into(), size.into());
    volume.spec.storage_class_name = class.into();
    volume.status.phase = "Available".into();
    volume
}

fn class(name: &str, provisioner: &str, waits: bool, is_default: bool) -> Arc<StorageClass> {
    let mut class = StorageClass::default();
    class.metadata.name = name.into();
    class.provisioner = provisioner.into();
    class.volume_binding_mode = waits.then(|| "WaitForFirstConsumer".into());
    if is_default {
        class.metadata.annotations.insert("storageclass.kubernetes.io/is-default-class".into(), "true".into());
    }
    Arc::new(class)
}

fn held(mut volume: Volume, name: &str, uid: &str) -> Volume {
    volume.spec.claim_ref = Some(ClaimRef { namespace: "x".into(), name: name.into(), uid: uid.into() });
    volume
}

fn told(claim: &Claim, volumes: Vec<Volume>, classes: Vec<Arc<StorageClass>>) -> String {
    let volumes: Vec<_> = volumes.into_iter().map(Arc::new).collect();
    let world = World { volumes: &volumes, classes: &classes, waiting_pods: &[] };
    let (what, event) = for_claim(claim, &world);
    let what = match what {
        ForClaim::Bind(volume) => format!("bind {}", volume.name()),
        other => format!("{other:?}"),
    };
    event.map_or(what.clone(), |(_, reason, message)| format!("{what}: {reason} {message}"))
}

#[track_caller]
fn check(claim: &Claim, volumes: Vec<Volume>, classes: Vec<Arc<StorageClass>>, expected: &str) {
    let told = told(claim, volumes, classes);
    assert!(told.starts_with(expected), "{told:?} is not {expected:?}");
}

#[test]
fn the_smallest_volume_that_does() {
    let slow = claim(Some("slow"));
    let all = || vec![volume("big", "slow", "9Gi"), volume("fit", "slow", "1Gi"), volume("small", "slow", "1Mi")];
    check(&slow, all(), vec![], "bind fit");
    check(
        &slow,
        vec![volume("other", "fast", "1Gi")],
        vec![],
        "Pending: ProvisioningFailed storageclass.storage.k8s.io \"slow\" not found",
    );
    let mut many = claim(Some("slow"));
    many.spec.access_modes.push("ReadWriteMany".into());
    check(
        &many,
        all(),
        vec![class("slow", "kubernetes.io/no-provisioner", false, false)],
        "Pending: ProvisioningFailed no volume plugin matched name: kubernetes.io/no-provisioner",
    );
    check(
        &slow,
        vec![held(volume("theirs", "slow", "1Gi"), "other", "c9"), volume("big", "slow", "2Gi")],
        vec![],
        "bind big",
    );
    check(
        &slow,
        vec![volume("fit", "slow", "1Gi"), held(volume("mine", "fast", "5Gi"), "data", "")],
        vec![],
        "bind mine",
    );
    let mut picky = claim(Some(""));
    picky.spec.selector = serde_json::from_value(json!({"matchLabels": {"disk": "ssd"}})).unwrap();
    let mut ssd = volume("ssd", "", "4Gi");
    ssd.metadata.labels.insert("disk".into(), "ssd".into());
    check(&picky, vec![volume("hdd", "", "1Gi"), ssd], vec![], "bind ssd");
    check(
        &picky,
        vec![volume("hdd", "", "1Gi")],
        vec![],
        "Pending: FailedBinding no persistent volumes available for this claim and no storage class is set",
    );
}

#[test]
fn classes_decide_who_makes_volumes() {
    let local = || vec![class("local", "drydock.dev/local-path", true, true)];
    check(&claim(None), vec![], local(), "SetClass(\"local\")");
    check(&claim(None), vec![], vec![], "Pending: FailedBinding");
    let mut waiting = claim(Some("local"));
    check(
        &waiting,
        vec![volume("free", "local", "1Gi")],
        local(),
        "Pending: WaitForFirstConsumer waiting for first consumer to be created before binding",
    );
    waiting.metadata.annotations.insert(SELECTED_NODE.into(), "n1".into());
    check(
        &waiting,
        vec![],
        local(),
        "AskProvisioner(\"drydock.dev/local-path\"): ExternalProvisioning Waiting for a volume",
    );
    check(&waiting, vec![held(volume("made", "local", "1Gi"), "data", "c1")], local(), "bind made");
}

#[test]
fn pods_that_wait_are_named() {
    let classes = [class("local", "p", true, false)];
    let pods = ["a".to_owned(), "b".to_owned()];
    let message = |pods: &[String]| {
        let world = World { volumes: &[], classes: &classes, waiting_pods: pods };
        for_claim(&claim(Some("local")), &world).1.unwrap().2
    };
    assert_eq!(message(&pods[..1]), "waiting for pod a to be scheduled");
    assert_eq!(message(&pods), "waiting for pods a,b to be scheduled");
}

#[test]
fn a_volume_asked_for_by_name() {
    let mut named = claim(Some("slow"));
    named.spec.volume_name = "v".into();
    check(&named, vec![], vec![], "Pending");
    check(&named, vec![volume("v", "slow", "1Gi")], vec![], "bind v");
    check(
        &named,
        vec![volume("v", "fast", "1Gi")],
        vec![],
        "Pending: VolumeMismatch Cannot bind to requested volume \"v\": storageClassName does not match",
    );
    check(
        &named,
        vec![held(volume("v", "slow", "1Gi"), "other", "c2")],
        vec![],
        "Pending: FailedBinding volume \"v\" already bound to a different claim.",
    );
    named.metadata.annotations.insert(BIND_COMPLETED.into(), "yes".into());
    check(&named, vec![], vec![], "Lost: ClaimLost Bound claim has lost its PersistentVolume.");
    check(&named, vec![held(volume("v", "slow", "1Gi"), "data", "c2")], vec![], "Lost: ClaimMisbound");
    check(&named, vec![held(volume("v", "slow", "1Gi"), "data", "c1")], vec![], "bind v");
}

#[test]
fn binding_twice_changes_nothing() {
    let (claim, volume) = (claim(Some("slow")), volume("v", "slow", "1Gi"));
    let mut body = json!({"metadata": {"name": "v"}, "spec": {}});
    assert!(claim_for(&mut body, &claim));
    assert_eq!(
        (&body["spec"]["claimRef"]["uid"], &body["metadata"]["annotations"][BOUND_BY_CONTROLLER]),
        (&json!("c1"), &json!("yes"))
    );
    assert!(!claim_for(&mut body, &claim));
    let mut by_hand = json!({"metadata": {}, "spec": {"claimRef": {"name": "data", "namespace": "x"}}});
    assert!(claim_for(&mut by_hand, &claim));
    assert!(by_hand["metadata"]["annotations"].is_null());
    let mut body = json!({"metadata": {"name": "data"}, "spec": {}});
    assert!(give_to(&mut body, &volume));
    assert!(!give_to(&mut body, &volume));
    assert_eq!(body["spec"]["volumeName"], "v");
}

#[test]
fn volumes_follow_their_claims() {
    let mine = |name: &str| {
        let mut claim = claim(Some("slow"));
        claim.spec.volume_name = name.into();
        claim
    };
    let v = || held(volume("v", "slow", "1Gi"), "data", "c1");
    assert_eq!(for_volume(&volume("v", "slow", "1Gi"), None), ForVolume::Phase("Available"));
    assert_eq!(for_volume(&held(volume("v", "slow", "1Gi"), "data", ""), None), ForVolume::Phase("Available"));
    assert_eq!(for_volume(&v(), Some(&mine("v"))), ForVolume::Phase("Bound"));
    assert_eq!(for_volume(&v(), Some(&mine(""))), ForVolume::Claim);
    assert_eq!(for_volume(&v(), Some(&mine("w"))), ForVolume::Unbind);
    assert_eq!(for_volume(&v(), None), ForVolume::Reclaim(Reclaim::Leave), "retained");
    let mut again = mine("v");
    again.metadata.uid = "c2".into();
    assert_eq!(for_volume(&v(), Some(&again)), ForVolume::Reclaim(Reclaim::Leave), "another claim of the name");
    let mut deleted = v();
    deleted.spec.persistent_volume_reclaim_policy = "Delete".into();
    assert!(matches!(for_volume(&deleted, None), ForVolume::Reclaim(Reclaim::Fail((_, "VolumeFailedDelete", _)))));
    deleted.spec.host_path = Some(VolumePath { path: "/tmp/x".into() });
    assert_eq!(for_volume(&deleted, None), ForVolume::Reclaim(Reclaim::Delete));
    deleted.metadata.annotations.insert(PROVISIONED_BY.into(), "p".into());
    assert_eq!(for_volume(&deleted, None), ForVolume::Reclaim(Reclaim::Leave), "the provisioner's");
    assert_eq!(for_volume(&deleted, Some(&mine("w"))), ForVolume::Reclaim(Reclaim::Leave), "one too many was made");
}
