//! Names of resources and the lists of objects that checks and hints look at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Group, version and plural, written as in a URL: `v1/pods`, `apps/v1/deployments`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ResourceName {
    /// API group, empty for core.
    pub(crate) group: String,
    /// API version.
    pub(crate) version: String,
    /// Plural.
    pub(crate) plural: String,
}

/// The objects that an expression sees: `objects`, and further lists by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lists {
    /// Whose objects `objects` holds.
    pub(crate) resource: ResourceName,
    /// Only objects of this namespace, in every list.
    pub(crate) namespace: Option<String>,
    /// Further lists.
    pub(crate) with: BTreeMap<String, ResourceName>,
}

impl Lists {
    /// All resources whose objects are looked at.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &ResourceName> {
        std::iter::once(&self.resource).chain(self.with.values())
    }

    /// The names that an expression may use.
    pub(crate) fn names(&self) -> Vec<&str> {
        std::iter::once("objects").chain(self.with.keys().map(String::as_str)).collect()
    }
}

impl TryFrom<String> for ResourceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
        let (group, version, plural) = match parts.as_slice() {
            [version, plural] => (String::new(), version.clone(), plural.clone()),
            [group, version, plural] => (group.clone(), version.clone(), plural.clone()),
            _ => return Err(format!("{text:?} names no resource: write v1/pods or apps/v1/deployments")),
        };
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_alphabetic())
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
        };
        if !is_word(&version) || !is_word(&plural) || (!group.is_empty() && !is_word(&group)) {
            return Err(format!("{text:?} names no resource: write v1/pods or apps/v1/deployments"));
        }
        Ok(ResourceName { group, version, plural })
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> String {
        match name.group.as_str() {
            "" => format!("{}/{}", name.version, name.plural),
            group => format!("{group}/{}/{}", name.version, name.plural),
        }
    }
}
