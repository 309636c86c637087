//! A part of an object that is carried along as it is written.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON text, compact and cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw(Arc<str>);

impl Default for Raw {
    fn default() -> Self {
        Raw("{}".into())
    }
}

impl Raw {
    /// The text as a tree.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// The text read as `T`, or its default.
    pub(crate) fn read<T: Default + for<'de> Deserialize<'de>>(&self) -> T {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&Value> for Raw {
    fn from(value: &Value) -> Raw {
        Raw(value.to_string().into())
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Raw(text.get().into()))
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?;
        text.serialize(serializer)
    }
}
