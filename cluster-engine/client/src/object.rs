//! What the typed calls need to know about a type: where it lives and its metadata.

use std::borrow::Cow;

use drydock_api::meta::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A resource as the API server serves it; the run-time form of [`Object`]'s constants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for core.
    pub group: Cow<'static, str>,
    /// API version, such as `v1`.
    pub version: Cow<'static, str>,
    /// Kind, such as `Pod`.
    pub kind: Cow<'static, str>,
    /// Plural as in URLs, such as `pods`.
    pub plural: Cow<'static, str>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The URL path of the collection (in `namespace` unless that is empty), of one object or of
    /// one of its subresources.
    pub fn path(&self, namespace: &str, name: &str, subresource: &str) -> String {
        let mut path = String::with_capacity(96);
        if self.group.is_empty() {
            path.push_str("/api/");
        } else {
            path.push_str("/apis/");
            path.push_str(&self.group);
            path.push('/');
        }
        path.push_str(&self.version);
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            push_segment(&mut path, namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        for part in [name, subresource] {
            if !part.is_empty() {
                path.push('/');
                push_segment(&mut path, part);
            }
        }
        path
    }
}

/// Percent-encodes what may not stand in a path segment; RBAC names hold colons, which may.
fn push_segment(path: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,;=/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// A type that can be read from the API server. [`crate::object!`] implements it.
///
/// Implementors list only the fields that their user reads; serde drops the rest.
pub trait Object: DeserializeOwned + Clone + Send + Sync + 'static {
    /// API group, empty for core.
    const GROUP: &'static str;
    /// API version.
    const VERSION: &'static str;
    /// Kind.
    const KIND: &'static str;
    /// Plural as in URLs.
    const PLURAL: &'static str;
    /// Whether objects live in namespaces.
    const NAMESPACED: bool;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;

    /// The object's metadata, to change.
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// Drops what the cache need not hold; called by reflectors before storing.
    fn trim(&mut self) {}

    /// The object's name.
    fn name(&self) -> &str {
        &self.meta().name
    }

    /// The object's namespace, empty if it has none.
    fn namespace(&self) -> &str {
        &self.meta().namespace
    }

    /// The object's uid.
    fn uid(&self) -> &str {
        &self.meta().uid
    }

    /// The type's constants as a value.
    fn resource() -> Resource {
        Resource {
            group: Cow::Borrowed(Self::GROUP),
            version: Cow::Borrowed(Self::VERSION),
            kind: Cow::Borrowed(Self::KIND),
            plural: Cow::Borrowed(Self::PLURAL),
            namespaced: Self::NAMESPACED,
        }
    }
}

/// Implements [`Object`] for a type with a field `metadata: ObjectMeta`:
/// `object!(Pod, "", "v1", "Pod", "pods", namespaced);` (or `cluster`).
#[macro_export]
macro_rules! object {
    ($type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal, namespaced $(, $trim:path)?) => {
        $crate::object!(@ $type, $group, $version, $kind, $plural, true $(, $trim)?);
    };
    ($type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal, cluster $(, $trim:path)?) => {
        $crate::object!(@ $type, $group, $version, $kind, $plural, false $(, $trim)?);
    };
    (@ $type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal, $namespaced:literal $(, $trim:path)?) => {
        impl $crate::Object for $type {
            const GROUP: &'static str = $group;
            const VERSION: &'static str = $version;
            const KIND: &'static str = $kind;
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = $namespaced;
            fn meta(&self) -> &drydock_api::meta::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut drydock_api::meta::ObjectMeta {
                &mut self.metadata
            }
            $(fn trim(&mut self) {
                $trim(self);
            })?
        }
    };
}

/// Any object's metadata and nothing else; what metadata-only lists and watches give.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PartialObject {
    /// The metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
}

object!(PartialObject, "meta.k8s.io", "v1", "PartialObjectMetadata", "", namespaced);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let pods = Resource {
            group: "".into(),
            version: "v1".into(),
            kind: "Pod".into(),
            plural: "pods".into(),
            namespaced: true,
        };
        let roles = Resource {
            group: "rbac.authorization.k8s.io".into(),
            kind: "ClusterRole".into(),
            plural: "clusterroles".into(),
            namespaced: false,
            ..pods.clone()
        };
        assert_eq!(pods.path("", "", ""), "/api/v1/pods");
        assert_eq!(pods.path("a", "b", "status"), "/api/v1/namespaces/a/pods/b/status");
        assert_eq!(roles.path("x", "system:a b", ""), "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%20b");
    }
}
