//! Slim types of the kinds that several components read: only the fields that one of them uses.
//!
//! They are for reading and for building new objects, never for writing a read object back with
//! PUT: what is not listed here would be lost. Change objects with a patch, or read them as
//! `serde_json::Value` first.

mod core;
mod node_match;
mod pod;
mod service;

pub use self::core::*;
pub use self::pod::*;
pub use self::service::*;

/// Labels or annotations.
pub type StringMap = std::collections::BTreeMap<String, String>;

/// A number or a name; ports and rollout limits are written so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// A name, or a percentage such as `25%`.
    String(String),
}

impl Default for IntOrString {
    fn default() -> Self {
        IntOrString::Int(0)
    }
}

impl IntOrString {
    /// The value, a percentage being taken of `total`; `None` if it is neither.
    /// Upstream: `intstr.GetScaledValueFromIntOrPercent`.
    pub fn scaled(&self, total: i32, round_up: bool) -> Option<i32> {
        match self {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(text) => {
                let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
                let product = percent.checked_mul(i64::from(total))?;
                let value = if round_up {
                    product.div_euclid(100) + i64::from(product.rem_euclid(100) != 0)
                } else {
                    product / 100
                };
                i32::try_from(value).ok()
            }
        }
    }
}

/// A reference to an object, as in `targetRef` and `scaleTargetRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    /// Its API version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Its kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_as_asked() {
        let percent = IntOrString::String("25%".into());
        assert_eq!(percent.scaled(10, true), Some(3));
        assert_eq!(percent.scaled(10, false), Some(2));
        assert_eq!(IntOrString::Int(7).scaled(10, true), Some(7));
        assert_eq!(IntOrString::String("many".into()).scaled(10, true), None);
    }

    #[test]
    fn taints_and_tolerations() {
        let taint = |key: &str, value: &str, effect: &str| Taint {
            key: key.into(),
            value: value.into(),
            effect: effect.into(),
            time_added: None,
        };
        let bears = |key: &str, operator: &str, value: &str, effect: &str| Toleration {
            key: key.into(),
            operator: operator.into(),
            value: value.into(),
            effect: effect.into(),
            toleration_seconds: None,
        };
        for (toleration, borne) in [
            (bears("a", "Equal", "1", "NoSchedule"), true),
            (bears("a", "", "1", ""), true),
            (bears("a", "", "2", ""), false),
            (bears("a", "Exists", "", "NoExecute"), false),
            (bears("", "Exists", "", ""), true),
            (bears("b", "Exists", "", ""), false),
            (bears("a", "Lt", "3", ""), true),
            (bears("a", "Gt", "3", ""), false),
        ] {
            assert_eq!(taint("a", "1", "NoSchedule").is_tolerated_by(&toleration), borne, "{toleration:?}");
        }
    }
}
