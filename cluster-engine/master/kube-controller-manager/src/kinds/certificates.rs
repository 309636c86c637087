//! Certificate signing requests.

use std::collections::BTreeMap;

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::Condition;
use serde::{Deserialize, Serialize};

/// A certificate signing request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SigningRequest {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: SigningRequestSpec,
    pub(crate) status: SigningRequestStatus,
}

object!(
    SigningRequest,
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    cluster
);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SigningRequestSpec {
    /// PEM, in base64.
    pub(crate) request: String,
    pub(crate) signer_name: String,
    pub(crate) expiration_seconds: Option<i64>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) usages: Vec<String>,
    pub(crate) username: String,
    pub(crate) uid: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) groups: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SigningRequestStatus {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) conditions: Vec<Condition>,
    /// PEM, in base64.
    pub(crate) certificate: String,
}

impl SigningRequest {
    /// The condition of this type, whatever its status.
    pub(crate) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }
}
