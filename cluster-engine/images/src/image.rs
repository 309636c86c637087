//! An image as the kubelet needs it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The part of an OCI image configuration that decides how a container of it runs. Field names as in the OCI image
/// specification's `config` object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `""`, `name`, `1000`, `name:group` or `1000:1000`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// First words of the command.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The command's further words, or the whole command without an entry point.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `/` when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// `80/tcp`; the values are empty objects.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// Free text by name.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Signal to stop the container with, e.g. `SIGQUIT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
}

/// The tools that write images put `null` for "none".
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Normalised name with tag, e.g. `docker.io/library/busybox:latest`.
    pub name: String,
    /// All names of the same image, this one included.
    pub names: Vec<String>,
    /// `sha256:…` of the image configuration: the image id.
    pub digest: String,
    /// Directories of the unpacked layers, lowest first, top last.
    pub layers: Vec<PathBuf>,
    /// How to run it.
    pub config: ImageConfig,
    /// Bytes: of a pulled image as its registry counts, compressed; of another one those of its layers, unpacked.
    pub size: u64,
    /// `registry/repository@sha256:…` by which registries know it; none when it was imported or built here.
    pub repo_digests: Vec<String>,
}

impl Image {
    /// The id that a container's status shows: the registry's when there is one, else the image's own.
    #[must_use]
    pub fn id(&self) -> &str {
        let own = self.name.rsplit_once(['@', ':']).map_or("", |(name, _)| name);
        let same = |id: &&String| id.split_once('@').is_some_and(|(name, _)| own.starts_with(name));
        self.repo_digests.iter().find(same).or(self.repo_digests.first()).map_or(&self.digest, String::as_str)
    }

    /// Whether it came from a registry.
    #[must_use]
    pub fn is_pulled(&self) -> bool {
        !self.repo_digests.is_empty()
    }
}
