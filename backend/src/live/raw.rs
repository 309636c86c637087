//! Any object, whole: checks look at fields that nobody knows beforehand.

use std::sync::Arc;

use drydock_api::meta::ObjectMeta;
use drydock_client::Object;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// An object with its parsed metadata.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    metadata: ObjectMeta,
    /// The object, without managed fields.
    pub(crate) value: Value,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let metadata = value.get_mut("metadata").ok_or_else(|| de::Error::missing_field("metadata"))?;
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("managedFields");
        }
        let metadata = ObjectMeta::deserialize(&*metadata).map_err(de::Error::custom)?;
        Ok(Raw { metadata, value })
    }
}

impl Object for Raw {
    // A reflector of raw objects is told its resource when it starts.
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "";
    const PLURAL: &'static str = "";
    const NAMESPACED: bool = true;

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Everything that is watched of a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// Nodes.
    pub(crate) nodes: Vec<Arc<Raw>>,
    /// Namespaces.
    pub(crate) namespaces: Vec<Arc<Raw>>,
    /// Deployments.
    pub(crate) deployments: Vec<Arc<Raw>>,
    /// ReplicaSets.
    pub(crate) replica_sets: Vec<Arc<Raw>>,
    /// Pods.
    pub(crate) pods: Vec<Arc<Raw>>,
    /// Services.
    pub(crate) services: Vec<Arc<Raw>>,
    /// StatefulSets.
    pub(crate) stateful_sets: Vec<Arc<Raw>>,
    /// DaemonSets.
    pub(crate) daemon_sets: Vec<Arc<Raw>>,
    /// Jobs.
    pub(crate) jobs: Vec<Arc<Raw>>,
    /// Ingresses.
    pub(crate) ingresses: Vec<Arc<Raw>>,
    /// EndpointSlices.
    pub(crate) slices: Vec<Arc<Raw>>,
}

/// The text at a JSON pointer, empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a JSON pointer, 0 if there is none or it does not fit.
pub(crate) fn number(value: &Value, pointer: &str) -> u32 {
    value.pointer(pointer).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

/// The list at a JSON pointer, empty if there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The controller among the owner references: kind and name.
pub(crate) fn controller(value: &Value) -> Option<(&str, &str)> {
    list(value, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.get("controller").and_then(Value::as_bool).unwrap_or(false))
        .map(|owner| (text(owner, "/kind"), text(owner, "/name")))
}
