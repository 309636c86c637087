//! The files of config map, secret, downward and projected volumes: pure functions from objects to bytes.

use std::collections::BTreeMap;

use crate::env::{self, Sources};
use crate::objects::decode;
use crate::pod::{ConfigMapVolume, DownwardVolume, KeyToPath, Pod, ProjectedVolume, SecretVolume, Volume};

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
    /// The only user of the pod, who alone may read a token.
    pub(crate) user: Option<u32>,
}

/// Files by their path below the volume.
pub(crate) type Payload = BTreeMap<String, File>;

const DEFAULT_MODE: u32 = 0o644;

/// The names of the config maps and secrets that the volumes of a pod need.
pub(crate) fn references(volumes: &[Volume]) -> (Vec<&str>, Vec<&str>) {
    let (mut maps, mut secrets) = (Vec::new(), Vec::new());
    for volume in volumes {
        maps.extend(volume.config_map.iter().map(|map| map.name.as_str()));
        secrets.extend(volume.secret.iter().map(|secret| secret.secret_name.as_str()));
        for source in volume.projected.iter().flat_map(|projected| &projected.sources) {
            maps.extend(source.config_map.iter().map(|map| map.name.as_str()));
            secrets.extend(source.secret.iter().map(|secret| secret.name.as_str()));
        }
    }
    (maps, secrets)
}

/// The files of `volume`, or `None` if it has another kind. `tokens` are service account tokens by path.
///
/// # Errors
/// Upstream's text of a missing object or key.
pub(crate) fn payload(
    pod: &Pod,
    volume: &Volume,
    sources: &Sources,
    tokens: &BTreeMap<String, String>,
) -> Result<Option<Payload>, String> {
    if let Some(map) = &volume.config_map {
        return config_map(map, map.default_mode, sources).map(Some);
    }
    if let Some(SecretVolume { secret_name, items, default_mode, optional }) = &volume.secret {
        let name = secret_name.clone();
        let map = ConfigMapVolume { name, items: items.clone(), default_mode: *default_mode, optional: *optional };
        return secret(&map, *default_mode, sources).map(Some);
    }
    if let Some(downward) = &volume.downward_api {
        return self::downward(pod, downward, downward.default_mode, sources).map(Some);
    }
    if let Some(projected) = &volume.projected {
        return self::projected(pod, projected, sources, tokens).map(Some);
    }
    Ok(None)
}

fn config_map(map: &ConfigMapVolume, mode: Option<u32>, sources: &Sources) -> Result<Payload, String> {
    let Some(object) = sources.config_maps.get(&map.name) else {
        return if map.optional { Ok(Payload::new()) } else { Err(format!("configmap \"{}\" not found", map.name)) };
    };
    let data = object.data.iter().map(|(key, value)| (key.as_str(), value.clone().into_bytes()));
    let binary = object.binary_data.iter().filter_map(|(key, value)| Some((key.as_str(), decode(value)?)));
    let missing = |key: &str| format!("configmap references non-existent config key: {key}");
    select(data.chain(binary).collect(), &map.items, mode, map.optional, missing)
}

fn secret(map: &ConfigMapVolume, mode: Option<u32>, sources: &Sources) -> Result<Payload, String> {
    let Some(object) = sources.secrets.get(&map.name) else {
        return if map.optional { Ok(Payload::new()) } else { Err(format!("secret \"{}\" not found", map.name)) };
    };
    let data = object.decoded().map(|(key, value)| (key.as_str(), value)).collect();
    let missing = |key: &str| format!("references non-existent secret key: {key}");
    select(data, &map.items, mode, map.optional, missing)
}

fn select(
    data: BTreeMap<&str, Vec<u8>>,
    items: &[KeyToPath],
    mode: Option<u32>,
    optional: bool,
    missing: impl Fn(&str) -> String,
) -> Result<Payload, String> {
    let mode = mode.unwrap_or(DEFAULT_MODE);
    if items.is_empty() {
        return Ok(data.into_iter().map(|(key, bytes)| (key.to_owned(), File { bytes, mode, user: None })).collect());
    }
    let mut payload = Payload::new();
    for item in items {
        match data.get(item.key.as_str()) {
            Some(bytes) => {
                let file = File { bytes: bytes.clone(), mode: item.mode.unwrap_or(mode), user: None };
                payload.insert(item.path.clone(), file);
            }
            None if optional => {}
            None => return Err(missing(&item.key)),
        }
    }
    Ok(payload)
}

fn downward(pod: &Pod, volume: &DownwardVolume, mode: Option<u32>, sources: &Sources) -> Result<Payload, String> {
    let mut payload = Payload::new();
    for item in &volume.items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(reference), _) => env::field(pod, &reference.field_path, sources)?,
            (None, Some(reference)) => env::resource(pod, None, reference, sources)?,
            (None, None) => continue,
        };
        let mode = item.mode.or(mode).unwrap_or(DEFAULT_MODE);
        payload.insert(item.path.clone(), File { bytes: text.into_bytes(), mode, user: None });
    }
    Ok(payload)
}

fn projected(
    pod: &Pod,
    volume: &ProjectedVolume,
    sources: &Sources,
    tokens: &BTreeMap<String, String>,
) -> Result<Payload, String> {
    let mode = volume.default_mode;
    let mut payload = Payload::new();
    for source in &volume.sources {
        if let Some(map) = &source.config_map {
            payload.extend(config_map(map, mode, sources)?);
        }
        if let Some(map) = &source.secret {
            payload.extend(secret(map, mode, sources)?);
        }
        if let Some(volume) = &source.downward_api {
            payload.extend(downward(pod, volume, mode, sources)?);
        }
        // Neither kind of object is served by the API server of this release: what is optional is empty.
        if let Some(bundle) = &source.cluster_trust_bundle {
            if !bundle.optional {
                return Err(
                    "unable to load trust anchors: ClusterTrustBundles are not served by this cluster".to_owned()
                );
            }
            let file = File { bytes: Vec::new(), mode: mode.unwrap_or(DEFAULT_MODE), user: None };
            payload.insert(bundle.path.clone(), file);
        }
        if let Some(certificate) = &source.pod_certificate {
            return Err(format!(
                "unable to request a certificate of signer \"{}\": PodCertificateRequests are not served by this cluster",
                certificate.signer_name
            ));
        }
        if let Some(token) = &source.service_account_token {
            let text = tokens.get(&token.path).cloned().unwrap_or_default();
            let user = only_user(pod);
            let private = user.is_some() || pod.spec.security_context.fs_group.is_some();
            let mode = if private { 0o600 } else { mode.unwrap_or(DEFAULT_MODE) };
            payload.insert(token.path.clone(), File { bytes: text.into_bytes(), mode, user });
        }
    }
    Ok(payload)
}

/// The user that all containers run as, if the pod says so for every one.
fn only_user(pod: &Pod) -> Option<u32> {
    let shared = pod.spec.security_context.run_as_user;
    let mut users = pod.all_containers().map(|(_, container)| container.security_context.run_as_user.or(shared));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

/// Whether a path of a payload stays inside its volume.
pub(crate) fn is_safe(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && path.split('/').all(|part| !part.is_empty() && part != ".." && part != ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::tests::pod;

    fn show(volume: &str) -> Result<String, String> {
        let pod = pod(&format!(
            "{{metadata: {{name: p, labels: {{b: '2', a: \"x\\\"y\"}}}}, spec: {{volumes: [{{name: v, {volume}}}]}}}}"
        ));
        let map = serde_json::json!({"metadata": {"name": "cm"}, "data": {"k": "v"}, "binaryData": {"b": "AAE="}});
        let secret = serde_json::json!({"metadata": {"name": "s"}, "data": {"p": "cHc="}});
        let sources = Sources {
            config_maps: [("cm".to_owned(), std::sync::Arc::new(serde_json::from_value(map).unwrap()))].into(),
            secrets: [("s".to_owned(), std::sync::Arc::new(serde_json::from_value(secret).unwrap()))].into(),
            ..Sources::default()
        };
        let tokens = [("token".to_owned(), "T".to_owned())].into();
        let files = payload(&pod, &pod.spec.volumes[0], &sources, &tokens)?.unwrap();
        let files: Vec<_> = files
            .iter()
            .map(|(path, file)| format!("{path} {:o} {:?}", file.mode, String::from_utf8_lossy(&file.bytes)))
            .collect();
        Ok(files.join("; "))
    }

    #[test]
    fn payloads() {
        for (volume, expected) in [
            ("configMap: {name: cm}", "b 644 \"\\0\\u{1}\"; k 644 \"v\""),
            ("configMap: {name: cm, defaultMode: 256, items: [{key: k, path: d/f}]}", "d/f 400 \"v\""),
            ("configMap: {name: cm, items: [{key: k, path: f, mode: 384}]}", "f 600 \"v\""),
            ("configMap: {name: nope, optional: true}", ""),
            ("secret: {secretName: s}", "p 644 \"pw\""),
            (
                "downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}",
                "l 644 \"a=\\\"x\\\\\\\"y\\\"\\nb=\\\"2\\\"\"",
            ),
            (
                "projected: {sources: [{configMap: {name: cm, items: [{key: k, path: k}]}}, {secret: {name: s}}, {serviceAccountToken: {path: token}}]}",
                "k 644 \"v\"; p 644 \"pw\"; token 644 \"T\"",
            ),
        ] {
            assert_eq!(show(volume).unwrap(), expected, "{volume}");
        }
        assert_eq!(show("configMap: {name: nope}").unwrap_err(), "configmap \"nope\" not found");
        let missing = show("configMap: {name: cm, items: [{key: x, path: x}]}").unwrap_err();
        assert_eq!(missing, "configmap references non-existent config key: x");
    }

    #[test]
    fn tokens_belong_to_the_only_user() {
        for (spec, expected) in [
            ("securityContext: {runAsUser: 5}, containers: [{name: a}, {name: b}]", Some(5)),
            ("containers: [{name: a, securityContext: {runAsUser: 5}}, {name: b}]", None),
            (
                "containers: [{name: a, securityContext: {runAsUser: 5}}, {name: b, securityContext: {runAsUser: 6}}]",
                None,
            ),
            ("containers: [{name: a, securityContext: {runAsUser: 5}}]", Some(5)),
            ("containers: [{name: a}]", None),
        ] {
            assert_eq!(only_user(&pod(&format!("spec: {{{spec}}}"))), expected, "{spec}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        for (path, safe) in [
            ("a", true),
            ("a/b", true),
            ("../a", false),
            ("a/../b", false),
            ("/a", false),
            ("", false),
            ("a//b", false),
        ] {
            assert_eq!(is_safe(path), safe, "{path}");
        }
    }
}
