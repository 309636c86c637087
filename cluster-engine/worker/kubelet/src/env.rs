//! A container's environment: a pure function of the pod, the objects it refers to and the services it may see.

mod expand;
mod fields;
pub(crate) mod files;
mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::objects::{ConfigMap, Secret, Service};
use crate::pod::{Container, EnvVarSource, Pod};

pub(crate) use expand::expand;
pub(crate) use fields::{field, resource};
pub(crate) use services::service_variables;

/// What the environment (and the downward API) is made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) config_maps: BTreeMap<String, Arc<ConfigMap>>,
    pub(crate) secrets: BTreeMap<String, Arc<Secret>>,
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) host_ip: String,
    pub(crate) pod_ip: String,
    pub(crate) node_name: String,
    /// Environment files of volumes, by volume and path.
    pub(crate) files: BTreeMap<(String, String), files::EnvFile>,
    /// What the node has to give; the limit of a container that has none.
    pub(crate) allocatable: BTreeMap<String, drydock_api::quantity::Quantity>,
}

/// The names of config maps and secrets that a container's environment needs.
pub(crate) fn references(container: &Container) -> (Vec<&str>, Vec<&str>) {
    let from = |pick: fn(&EnvVarSource) -> Option<&str>| {
        container.env.iter().filter_map(move |variable| pick(variable.value_from.as_ref()?))
    };
    let maps = from(|source| source.config_map_key_ref.as_ref().map(|key| key.name.as_str()));
    let maps =
        maps.chain(container.env_from.iter().filter_map(|from| Some(from.config_map_ref.as_ref()?.name.as_str())));
    let secrets = from(|source| source.secret_key_ref.as_ref().map(|key| key.name.as_str()));
    let secrets =
        secrets.chain(container.env_from.iter().filter_map(|from| Some(from.secret_ref.as_ref()?.name.as_str())));
    (maps.collect(), secrets.collect())
}

/// The environment files that a container needs: volume and path.
pub(crate) fn file_references(container: &Container) -> impl Iterator<Item = (&str, &str)> {
    let sources = container.env.iter().filter_map(|variable| variable.value_from.as_ref()?.file_key_ref.as_ref());
    sources.map(|reference| (reference.volume_name.as_str(), reference.path.as_str()))
}

/// Makes the environment, in upstream's order: `envFrom`, `env`, then services that nothing overrides.
///
/// # Errors
/// Upstream's text of a missing object or key.
pub(crate) fn build(pod: &Pod, container: &Container, sources: &Sources) -> Result<Vec<(String, String)>, String> {
    let namespace = &pod.metadata.namespace;
    let links = pod.spec.enable_service_links.unwrap_or(true);
    let services = service_variables(&sources.services, namespace, links);
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut set = |known: &mut BTreeMap<String, String>, name: String, value: String| {
        if known.insert(name.clone(), value).is_none() {
            order.push(name);
        }
    };
    for from in &container.env_from {
        if let Some(reference) = &from.config_map_ref {
            let Some(map) = sources.config_maps.get(&reference.name) else {
                if reference.optional {
                    continue;
                }
                return Err(format!("configmap \"{}\" not found", reference.name));
            };
            for (key, value) in &map.data {
                set(&mut known, format!("{}{key}", from.prefix), value.clone());
            }
        }
        if let Some(reference) = &from.secret_ref {
            let Some(secret) = sources.secrets.get(&reference.name) else {
                if reference.optional {
                    continue;
                }
                return Err(format!("secret \"{}\" not found", reference.name));
            };
            for (key, value) in secret.decoded() {
                set(&mut known, format!("{}{key}", from.prefix), String::from_utf8_lossy(&value).into_owned());
            }
        }
    }
    for variable in &container.env {
        let value = match &variable.value_from {
            None => Some(expand(&variable.value, |name| known.get(name).or_else(|| services.get(name)).cloned())),
            Some(source) => from_source(pod, container, source, sources)?,
        };
        if let Some(value) = value {
            set(&mut known, variable.name.clone(), value);
        }
    }
    let mut result: Vec<_> = order
        .into_iter()
        .map(|name| (known.get(&name).cloned().unwrap_or_default(), name))
        .map(|(value, name)| (name, value))
        .collect();
    result.extend(services.into_iter().filter(|(name, _)| !known.contains_key(name)));
    Ok(result)
}

fn from_source(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    sources: &Sources,
) -> Result<Option<String>, String> {
    let namespace = &pod.metadata.namespace;
    if let Some(reference) = &source.field_ref {
        return field(pod, &reference.field_path, sources).map(Some);
    }
    if let Some(reference) = &source.resource_field_ref {
        return resource(pod, Some(container), reference, sources).map(Some);
    }
    if let Some(key) = &source.config_map_key_ref {
        let Some(map) = sources.config_maps.get(&key.name) else {
            return if key.optional { Ok(None) } else { Err(format!("configmap \"{}\" not found", key.name)) };
        };
        return match map.data.get(&key.key) {
            Some(value) => Ok(Some(value.clone())),
            None if key.optional => Ok(None),
            None => Err(format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name)),
        };
    }
    if let Some(key) = &source.secret_key_ref {
        let Some(secret) = sources.secrets.get(&key.name) else {
            return if key.optional { Ok(None) } else { Err(format!("secret \"{}\" not found", key.name)) };
        };
        return match secret.value(&key.key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            None if key.optional => Ok(None),
            None => Err(format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name)),
        };
    }
    if let Some(reference) = &source.file_key_ref {
        let place = (reference.volume_name.clone(), reference.path.clone());
        let value = match sources.files.get(&place) {
            None => {
                return Err(format!("cannot find the volume \"{}\" referenced by FileKeyRef", reference.volume_name));
            }
            Some(files::EnvFile::Missing) if reference.optional => None,
            Some(files::EnvFile::Missing | files::EnvFile::Unusable) => {
                return Err("couldn't parse env file".to_owned());
            }
            Some(files::EnvFile::Text(text)) => {
                files::value(text, &reference.key).map_err(|_| "couldn't parse env file".to_owned())?
            }
        };
        return match value {
            Some(value) => Ok(Some(value)),
            None if reference.optional => Ok(None),
            None => {
                Err(format!("environment variable key \"{}\" not found in file \"{}\"", reference.key, reference.path))
            }
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
