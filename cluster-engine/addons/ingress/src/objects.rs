//! Ingresses, their classes and Secrets, as far as they are read here.

use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_client::object;
use drydock_client::types::{LoadBalancerStatus, StringMap};
use serde::Deserialize;

/// An Ingress.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: IngressSpec,
    /// Where it is reached.
    pub status: IngressStatus,
}

object!(Ingress, "networking.k8s.io", "v1", "Ingress", "ingresses", namespaced);

/// An Ingress's wanted state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// Its class.
    pub ingress_class_name: Option<String>,
    /// Who gets what no rule matches.
    pub default_backend: Option<IngressBackend>,
    /// Hosts and paths.
    #[serde(deserialize_with = "null_as_default")]
    pub rules: Vec<IngressRule>,
    /// Certificates.
    #[serde(deserialize_with = "null_as_default")]
    pub tls: Vec<IngressTls>,
}

/// One host's paths.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// The host, `*.example.com`, or empty for all.
    pub host: String,
    /// Paths; none means that the default backend serves the host.
    pub http: Option<HttpRule>,
}

/// Paths.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HttpRule {
    /// The paths.
    #[serde(deserialize_with = "null_as_default")]
    pub paths: Vec<HttpPath>,
}

/// A path and who serves it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpPath {
    /// The path.
    pub path: String,
    /// `Exact`, `Prefix` or `ImplementationSpecific`.
    pub path_type: String,
    /// Who serves it.
    pub backend: IngressBackend,
}

/// Who serves requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IngressBackend {
    /// A service; other resources cannot serve here.
    pub service: Option<ServiceBackend>,
}

/// A service's port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceBackend {
    /// The service, in the Ingress's namespace.
    pub name: String,
    /// Its port.
    pub port: BackendPort,
}

/// A port by name or number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BackendPort {
    /// Its name, or empty.
    pub name: String,
    /// Its number, or 0.
    pub number: i32,
}

/// A certificate for hosts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// The hosts; none means those of the rules.
    #[serde(deserialize_with = "null_as_default")]
    pub hosts: Vec<String>,
    /// The Secret, or empty for the controller's own certificate.
    pub secret_name: String,
}

/// An Ingress's state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressStatus {
    /// Its addresses.
    pub load_balancer: LoadBalancerStatus,
}

/// A class of Ingresses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressClass {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Who serves it.
    pub spec: IngressClassSpec,
}

object!(IngressClass, "networking.k8s.io", "v1", "IngressClass", "ingressclasses", cluster);

/// A class's controller.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IngressClassSpec {
    /// Its name.
    pub controller: String,
}

/// A Secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Secret {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Base64 texts by name.
    #[serde(deserialize_with = "null_as_default")]
    pub data: StringMap,
}

object!(Secret, "", "v1", "Secret", "secrets", namespaced, trim);

fn trim(secret: &mut Secret) {
    secret.data.retain(|name, _| name == "tls.crt" || name == "tls.key");
    secret.metadata.annotations.clear();
}
