//! Who may do what: the question, the answer, and the chain of authorizers that gives it.

pub(crate) mod chain;
mod node;

use std::collections::BTreeMap;

/// Somebody who asks, as authentication found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// User name, such as `system:node:worker-1`.
    pub name: String,
    /// Stable id; empty when there is none.
    pub uid: String,
    /// Groups, such as `system:authenticated`.
    pub groups: Vec<String>,
    /// More that authentication knows, by key.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// A user of that name and groups.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Whether the user is in the group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// One question to an authorizer.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a UserInfo,
    /// The verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `proxy`, `impersonate`, `bind`, `escalate`, `approve` …
    pub verb: &'a str,
    /// API group, empty for core.
    pub group: &'a str,
    /// Plural resource; empty for a request that is not for a resource.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Name of the object or empty.
    pub name: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// The path of a request that is not for a resource (`/healthz`), else empty.
    pub path: &'a str,
}

/// An authorizer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, and why (goes to the audit annotation `authorization.k8s.io/reason`).
    Allow(String),
    /// This authorizer has nothing to say for it; if no other has, it is forbidden with this reason.
    NoOpinion(String),
}

/// One authorizer of the chain.
pub trait Authorize: Send + Sync {
    /// Answers one question, from memory, without waiting.
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision;
}

/// Read access to the watch caches, for those who decide from cluster state.
pub trait Lookup: Send + Sync {
    /// A number that is different after any object of the storage prefix (`/registry/clusterroles`) changed.
    fn version(&self, storage: &str) -> i64;
    /// The stored JSON of every object of the prefix.
    fn each(&self, storage: &str, visit: &mut dyn FnMut(&[u8]));
    /// The stored JSON of one object; `namespace` is empty for cluster scope.
    fn object(&self, storage: &str, namespace: &str, name: &str) -> Option<bytes::Bytes>;
}
