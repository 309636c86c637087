//! The IPAddress objects that stand for Services' cluster addresses, as upstream's allocator keeps them.
//!
//! They are written after their Service, in the same request; what a crash in between leaves behind is put right at the next
//! start. What is taken is decided by Services and by these objects together.

use std::collections::BTreeSet;

use drydock_api::meta;
use serde_json::{Value, json};

use crate::bootstrap;
use crate::server::Server;
use crate::storage::{StorageError, Written};

pub(super) const STORAGE: &str = "/registry/ipaddresses";
pub(super) const SERVICES: &str = "/registry/services/specs";
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const ALLOCATOR: &str = "ipallocator.k8s.io";

/// The object of a Service's address.
pub(crate) fn object(address: &str, namespace: &str, service: &str) -> Value {
    let family = if address.contains(':') { "IPv6" } else { "IPv4" };
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": address, "labels": {"ipaddress.kubernetes.io/ip-family": family, MANAGED_BY: ALLOCATOR}},
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": service}}})
}

/// Whether an IPAddress is that of this Service.
pub(super) fn is_of(address: &Value, namespace: &str, service: &str) -> bool {
    let parent = &address["spec"]["parentRef"];
    parent["group"].as_str().unwrap_or("").is_empty()
        && parent["resource"] == "services"
        && parent["namespace"] == namespace
        && parent["name"] == service
}

/// The addresses that a Service holds.
fn held(service: Option<&Value>) -> BTreeSet<&str> {
    let Some(spec) = service.map(|service| &service["spec"]) else { return BTreeSet::new() };
    let all = spec["clusterIPs"].as_array().into_iter().flatten().chain([&spec["clusterIP"]]);
    all.filter_map(Value::as_str).filter(|address| !matches!(*address, "" | "None")).collect()
}

/// Brings the objects in line with a Service that was written at `revision`; none stands for one that is not there.
pub(crate) async fn settle(server: &Server, before: Option<&Value>, after: Option<&Value>, revision: i64) {
    let Some(service) = after.or(before) else { return };
    let (namespace, name) = (meta::namespace(service), meta::name(service));
    let (old, new) = (held(before), held(after));
    for address in new.difference(&old) {
        if let Err(error) = bootstrap::create(server, object(address, namespace, name)).await {
            tracing::warn!(%error, address, "cannot write the IPAddress of a Service; it is written at the next start");
        }
    }
    let mut gone = false;
    for address in old.difference(&new) {
        gone = true;
        if let Err(error) = remove(server, address, namespace, name).await {
            tracing::warn!(%error, address, "cannot remove the IPAddress of a Service; it is removed at the next start");
        }
    }
    if gone && let Some(cache) = server.caches.get(SERVICES) {
        // Whoever asks for this address next gets it.
        let _ = cache.wait(revision).await;
    }
}

async fn remove(server: &Server, address: &str, namespace: &str, service: &str) -> Result<(), StorageError> {
    let key = format!("{STORAGE}/{address}");
    let Some(present) = server.etcd.get(&key).await? else { return Ok(()) };
    let cache = server.caches.get(STORAGE);
    if let Some(cache) = &cache {
        let _ = cache.wait(present.revision).await;
    }
    // One that somebody made by hand stays.
    if !server.object(STORAGE, "", address).is_some_and(|object| is_of(&object, namespace, service)) {
        return Ok(());
    }
    if let (Written::Done(revision), Some(cache)) = (server.etcd.delete(&key, present.revision).await?, cache) {
        let _ = cache.wait(revision).await;
    }
    Ok(())
}

/// Writes what is missing and removes what stands for nothing.
///
/// # Errors
/// When etcd fails.
pub(crate) async fn repair(server: &Server) -> Result<(), StorageError> {
    let (services, addresses) = (server.objects(SERVICES, ""), server.objects(STORAGE, ""));
    for service in &services {
        for address in held(Some(service)) {
            if !addresses.iter().any(|object| meta::name(object) == address) {
                let object = object(address, meta::namespace(service), meta::name(service));
                bootstrap::create(server, object).await?;
            }
        }
    }
    for address in addresses.iter().filter(|address| address["metadata"]["labels"][MANAGED_BY] == ALLOCATOR) {
        let parent = &address["spec"]["parentRef"];
        let (namespace, name) = (parent["namespace"].as_str().unwrap_or(""), parent["name"].as_str().unwrap_or(""));
        let service = services.iter().find(|it| meta::namespace(it) == namespace && meta::name(it) == name);
        let is_known = service.is_some() || server.etcd.get(&format!("{SERVICES}/{namespace}/{name}")).await?.is_some();
        let is_right = service.map_or(is_known, |service| held(Some(service)).contains(meta::name(address)));
        if !is_right {
            remove(server, meta::name(address), namespace, name).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_hold_addresses() {
        for (spec, expected) in [
            (json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"]}), vec!["10.96.0.1"]),
            (json!({"clusterIP": "None", "clusterIPs": ["None"]}), vec![]),
            (json!({"type": "ExternalName", "externalName": "a"}), vec![]),
            (json!({"clusterIPs": ["10.96.0.1", "fd00::1"]}), vec!["10.96.0.1", "fd00::1"]),
        ] {
            assert_eq!(held(Some(&json!({ "spec": spec }))).into_iter().collect::<Vec<_>>(), expected);
        }
        assert!(held(None).is_empty());
    }

    #[test]
    fn an_address_knows_its_service() {
        let address = object("10.96.0.1", "default", "kubernetes");
        assert!(is_of(&address, "default", "kubernetes") && !is_of(&address, "default", "other"));
        assert_eq!(address["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"], "IPv4");
        let other = json!({"spec": {"parentRef": {"group": "g", "resource": "services", "namespace": "default", "name": "kubernetes"}}});
        assert!(!is_of(&other, "default", "kubernetes"));
    }
}
