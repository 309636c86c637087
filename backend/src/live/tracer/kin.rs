//! Which objects belong together.

use super::{AuditEvent, Chain, GRACE_MICROS, Kin, Known, ObjectRef, PAUSE_MICROS};

impl Chain {
    /// Remembers what an event of the chain is about, and whose pods are made anew when one goes.
    pub(super) fn take_in(&mut self, event: &AuditEvent, object: &ObjectRef, kin: &dyn Kin) {
        self.objects.insert(known(&object.resource, &object.namespace, &object.name));
        let goes = event.verb == "delete" || object.subresource == "eviction";
        if object.resource != "pods" || !goes {
            return;
        }
        self.leaving.insert((object.namespace.clone(), object.name.clone()));
        let parent = kin.owner("pods", &object.namespace, &object.name).or_else(|| {
            // A pod that is gone already: a ReplicaSet's pods end in five letters of their own.
            let (parent, suffix) = object.name.rsplit_once('-')?;
            (suffix.len() == 5).then(|| ("replicasets".to_owned(), parent.to_owned()))
        });
        if let Some((resource, name)) = parent {
            self.objects.insert(known(&resource, &object.namespace, &name));
        }
    }

    /// How long after the last stage something about `object` may come.
    pub(super) fn patience(&self, object: &ObjectRef) -> u64 {
        let leaves =
            object.resource == "pods" && self.leaving.contains(&(object.namespace.clone(), object.name.clone()));
        if leaves { GRACE_MICROS } else { PAUSE_MICROS }
    }

    /// Whether `object` belongs to the chain.
    pub(super) fn holds(&self, object: &ObjectRef, kin: &dyn Kin) -> bool {
        let has = |resource: &str, name: &str| self.objects.contains(&known(resource, &object.namespace, name));
        if has(&object.resource, &object.name) || self.has_namespace(&object.namespace) {
            return true;
        }
        // A Service's slices follow the pods behind it.
        if matches!(object.resource.as_str(), "endpointslices" | "endpoints")
            && kin.has_backend(&object.resource, &object.namespace, &object.name, &|pod| has("pods", pod))
        {
            return true;
        }
        if let Some((resource, name)) = kin.owner(&object.resource, &object.namespace, &object.name) {
            return has(&resource, &name);
        }
        let parents: &[&str] = match object.resource.as_str() {
            "replicasets" => &["deployments"],
            "pods" => &["replicasets", "statefulsets", "daemonsets", "jobs", "replicationcontrollers"],
            "endpointslices" | "endpoints" => &["services"],
            "jobs" => &["cronjobs"],
            "controllerrevisions" => &["statefulsets", "daemonsets"],
            "persistentvolumeclaims" => {
                // `<template>-<statefulset>-<number>`
                return self.objects.iter().any(|(resource, namespace, name)| {
                    resource == "statefulsets"
                        && *namespace == object.namespace
                        && object.name.contains(&format!("-{name}-"))
                });
            }
            _ => &[],
        };
        self.objects.iter().any(|(resource, namespace, name)| {
            parents.contains(&resource.as_str())
                && *namespace == object.namespace
                && (object.name == *name
                    || object.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-')))
        })
    }

    /// Whether the chain is about a whole namespace.
    fn has_namespace(&self, namespace: &str) -> bool {
        !namespace.is_empty()
            && (self.objects.contains(&known("namespaces", namespace, namespace))
                || self.objects.contains(&known("namespaces", "", namespace)))
    }
}

fn known(resource: &str, namespace: &str, name: &str) -> Known {
    (resource.to_owned(), namespace.to_owned(), name.to_owned())
}
