//! Volumes of a pod.

use drydock_api::field::{FieldError, Path};
use serde_json::Value;

use super::env;
use super::spec::PodName;
use crate::registry::check::{self, Errors};
use crate::registry::persistent;
use crate::registry::value::{Read as _, quantity};

const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// Sources in upstream's order, with the name that its "more than one" error uses and the name in paths.
const SOURCES: &[(&str, &str)] = &[
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "persistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephfs"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwardAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

/// `spec.volumes`; gives the volumes that are all right, by name.
pub(super) fn volumes<'a>(
    errors: &mut Errors,
    spec: &'a Value,
    path: &Path,
    pod: PodName<'_>,
) -> Vec<(&'a str, &'a Value)> {
    let mut good: Vec<(&str, &Value)> = Vec::new();
    let pod_name = if let PodName::Pod(name) = pod { name } else { "" };
    for (index, volume) in spec.items("volumes").iter().enumerate() {
        let path = path.child("volumes").index(index);
        let name = volume.text("name");
        let before = errors.len();
        source(errors, volume, &path, pod_name);
        if check::required(errors, volume, &path, "name") {
            check::dns_label(errors, &path.child("name"), name);
        }
        if good.iter().any(|(known, _)| *known == name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        if errors.len() == before {
            good.push((name, volume));
        }
        let claim = volume.text("persistentVolumeClaim.claimName");
        let created = !pod_name.is_empty()
            && !claim.is_empty()
            && spec
                .items("volumes")
                .iter()
                .any(|other| other.has("ephemeral") && claim == format!("{pod_name}-{}", other.text("name")));
        if created {
            errors.push(FieldError::invalid(
                &path.child("persistentVolumeClaim.claimName"),
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            ));
        }
    }
    good
}

fn source(errors: &mut Errors, volume: &Value, path: &Path, pod_name: &str) {
    let mut count = 0;
    if volume.has("emptyDir") {
        count += 1;
        if quantity(volume.at("emptyDir.sizeLimit")).is_some_and(|limit| limit.signum() < 0) {
            errors.push(FieldError::forbidden(
                &path.child("emptyDir.sizeLimit"),
                "SizeLimit field must be a valid resource quantity",
            ));
        }
    }
    for (key, name) in SOURCES {
        if !volume.has(key) {
            continue;
        }
        count += 1;
        if count > 1 {
            errors.push(FieldError::forbidden(&path.child(key), "may not specify more than 1 volume type"));
            continue;
        }
        one_source(errors, key, volume.at(key), &path.child(name));
        if *key == "ephemeral" && !pod_name.is_empty() && !volume.text("name").is_empty() {
            let claim = format!("{pod_name}-{}", volume.text("name"));
            for message in drydock_api::names::is_dns1123_subdomain(&claim) {
                errors.push(FieldError::invalid(
                    &path.child("name"),
                    volume.text("name"),
                    format!("PVC name {}: {message}", drydock_api::go_quote(&claim)),
                ));
            }
        }
    }
    if count == 0 {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

/// One source; the ones that PersistentVolumes share are checked alike there.
pub(in crate::registry) fn one_source(errors: &mut Errors, kind: &str, source: &Value, path: &Path) {
    let need = |errors: &mut Errors, keys: &[&str]| {
        for key in keys {
            check::required(errors, source, path, key);
        }
    };
    match kind {
        "hostPath" => {
            if check::required(errors, source, path, "path") {
                check::no_backsteps(errors, &path.child("path"), source.text("path"));
                const TYPES: &[&str] = &[
                    "",
                    "BlockDevice",
                    "CharDevice",
                    "Directory",
                    "DirectoryOrCreate",
                    "File",
                    "FileOrCreate",
                    "Socket",
                ];
                check::maybe_one_of(errors, source, path, "type", TYPES);
            }
        }
        "gitRepo" => {
            need(errors, &["repository"]);
            check::descending_path(errors, &path.child("directory"), source.text("directory"));
        }
        "gcePersistentDisk" | "awsElasticBlockStore" => {
            need(errors, &[if kind == "gcePersistentDisk" { "pdName" } else { "volumeID" }]);
            let partition = source.int("partition").unwrap_or(0);
            if !(0..=255).contains(&partition) {
                let message = "must be between 1 and 255, inclusive";
                errors.push(FieldError::invalid(&path.child("partition"), partition, message));
            }
        }
        "secret" => {
            need(errors, &["secretName"]);
            items(errors, source, path);
        }
        "configMap" => {
            need(errors, &["name"]);
            items(errors, source, path);
        }
        "nfs" => {
            need(errors, &["server", "path"]);
            if !source.text("path").starts_with('/') {
                errors.push(FieldError::invalid(&path.child("path"), source.text("path"), "must be an absolute path"));
            }
        }
        "persistentVolumeClaim" => need(errors, &["claimName"]),
        "glusterfs" => need(errors, &["endpoints", "path"]),
        "rbd" => {
            if source.items("monitors").is_empty() {
                errors.push(FieldError::required(&path.child("monitors"), ""));
            }
            need(errors, &["image"]);
        }
        "cephfs" => {
            if source.items("monitors").is_empty() {
                errors.push(FieldError::required(&path.child("monitors"), ""));
            }
        }
        "cinder" | "portworxVolume" => need(errors, &["volumeID"]),
        "photonPersistentDisk" => need(errors, &["pdID"]),
        "vsphereVolume" => need(errors, &["volumePath"]),
        "azureFile" => need(errors, &["secretName", "shareName"]),
        "azureDisk" => need(errors, &["diskName", "diskURI"]),
        "scaleIO" => need(errors, &["gateway", "system", "volumeName"]),
        "storageos" => need(errors, &["volumeName"]),
        "flexVolume" => need(errors, &["driver"]),
        "iscsi" => need(errors, &["targetPortal", "iqn"]),
        "quobyte" => {
            if source.text("registry").is_empty() {
                errors.push(FieldError::required(
                    &path.child("registry"),
                    "must be a host:port pair or multiple pairs separated by commas",
                ));
            }
            need(errors, &["volume"]);
        }
        "flocker" => {
            if source.text("datasetName").is_empty() && source.text("datasetUUID").is_empty() {
                errors.push(FieldError::required(path, "one of datasetName and datasetUUID is required"));
            }
        }
        "fc" => {
            if source.items("targetWWNs").is_empty() && source.items("wwids").is_empty() {
                errors.push(FieldError::required(
                    &path.child("targetWWNs"),
                    "must specify either targetWWNs or wwids, but not both",
                ));
            }
        }
        "downwardAPI" => {
            mode(errors, source, path, "defaultMode");
            for file in source.items("items") {
                downward_file(errors, file, path);
            }
        }
        "projected" => projected(errors, source, path),
        "csi" => {
            csi_driver(errors, source.text("driver"), &path.child("driver"));
            let secret = source.at("nodePublishSecretRef");
            if !secret.is_null() {
                check::required(errors, secret, &path.child("nodePublishSecretRef"), "name");
            }
        }
        "ephemeral" => {
            let template = source.at("volumeClaimTemplate");
            let path = path.child("volumeClaimTemplate");
            if template.is_null() {
                errors.push(FieldError::required(&path, ""));
            } else {
                persistent::claim_spec(errors, template.at("spec"), &path.child("spec"));
            }
        }
        "image" => {
            need(errors, &["reference"]);
            check::one_of(errors, source, path, "pullPolicy", &["Always", "IfNotPresent", "Never"]);
        }
        _ => {}
    }
}

/// Name of a CSI driver.
pub(in crate::registry) fn csi_driver(errors: &mut Errors, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    if name.len() > 63 {
        errors.push(FieldError::too_long(path, 63));
    }
    check::each(errors, path, name, drydock_api::names::is_dns1123_subdomain(&name.to_lowercase()));
}

fn mode(errors: &mut Errors, holder: &Value, path: &Path, key: &str) {
    if let Some(mode) = holder.int(key)
        && !(0..=0o777).contains(&mode)
    {
        errors.push(FieldError::invalid(&path.child(key), mode, FILE_MODE));
    }
}

fn items(errors: &mut Errors, source: &Value, path: &Path) {
    mode(errors, source, path, "defaultMode");
    for (index, item) in source.items("items").iter().enumerate() {
        key_to_path(errors, item, &path.child("items").index(index));
    }
}

fn key_to_path(errors: &mut Errors, item: &Value, path: &Path) {
    check::required(errors, item, path, "key");
    check::required(errors, item, path, "path");
    check::local_path(errors, &path.child("path"), item.text("path"));
    mode(errors, item, path, "mode");
}

fn downward_file(errors: &mut Errors, file: &Value, path: &Path) {
    check::required(errors, file, path, "path");
    check::local_path(errors, &path.child("path"), file.text("path"));
    if file.has("fieldRef") {
        env::field_ref(errors, file.at("fieldRef"), &path.child("fieldRef"), env::FILE_FIELDS);
        if file.has("resourceFieldRef") {
            errors.push(FieldError::invalid(
                path,
                "resource",
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            ));
        }
    } else if file.has("resourceFieldRef") {
        env::resource_ref(errors, file.at("resourceFieldRef"), &path.child("resourceFieldRef"), true);
    } else {
        errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
    }
    mode(errors, file, path, "mode");
}

fn projected(errors: &mut Errors, volume: &Value, path: &Path) {
    const CONFLICT: &str = "conflicting duplicate paths";
    mode(errors, volume, path, "defaultMode");
    let mut seen: Vec<&str> = Vec::new();
    for (index, source) in volume.items("sources").iter().enumerate() {
        let own = path.child("sources").index(index);
        let mut count = 0;
        for key in ["secret", "configMap"] {
            let projection = source.at(key);
            if projection.is_null() {
                continue;
            }
            count += 1;
            let own = own.child(key);
            check::required(errors, projection, &own, "name");
            for (index, item) in projection.items("items").iter().enumerate() {
                key_to_path(errors, item, &own.child("items").index(index));
                let target = item.text("path");
                if !target.is_empty() {
                    if seen.contains(&target) {
                        errors.push(FieldError::invalid(path, projection.text("name"), CONFLICT));
                    }
                    seen.push(target);
                }
            }
        }
        if source.has("downwardAPI") {
            count += 1;
            for file in source.items("downwardAPI.items") {
                downward_file(errors, file, &own.child("downwardAPI"));
                let target = file.text("path");
                if !target.is_empty() {
                    if seen.contains(&target) {
                        errors.push(FieldError::invalid(path, target, CONFLICT));
                    }
                    seen.push(target);
                }
            }
        }
        if source.has("serviceAccountToken") {
            count += 1;
            let token = source.at("serviceAccountToken");
            let seconds = token.int("expirationSeconds").unwrap_or(0);
            let expiry = own.child("serviceAccountToken.expirationSeconds");
            if seconds < 600 {
                errors.push(FieldError::invalid(&expiry, seconds, "may not specify a duration less than 10 minutes"));
            }
            if seconds > 1 << 32 {
                errors.push(FieldError::invalid(
                    &expiry,
                    seconds,
                    "may not specify a duration larger than 2^32 seconds",
                ));
            }
            if check::required(errors, token, path, "path") {
                check::local_path(errors, &path.child("path"), token.text("path"));
            }
        }
        if source.has("clusterTrustBundle") {
            count += 1;
            let bundle = source.at("clusterTrustBundle");
            let own = own.child("clusterTrustBundle");
            match (bundle.has("name"), bundle.has("signerName")) {
                (true, true) => {
                    errors.push(FieldError::invalid(
                        &own,
                        bundle.clone(),
                        "only one of name and signerName may be used",
                    ));
                }
                (false, false) => {
                    errors.push(FieldError::required(&own, "either name or signerName must be specified"))
                }
                _ => {}
            }
            check::required(errors, bundle, &own, "path");
            check::local_path(errors, &own.child("path"), bundle.text("path"));
        }
        if source.has("podCertificate") {
            count += 1;
            let certificate = source.at("podCertificate");
            check::required(errors, certificate, &own.child("podCertificate"), "signerName");
        }
        if count > 1 {
            errors.push(FieldError::forbidden(&own, "may not specify more than 1 volume type per source"));
        }
    }
}
