//! Applying deltas to a [`Topology`].

use super::{
    Deployment, Ingress, Namespace, Node, Object, ObjectKey, ObjectKind, Pod, ReplicaSet, Service, Topology, Workload,
};

impl Object {
    /// The key by which [`Topology::remove`] finds it.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Node(it) => it.key(),
            Self::Namespace(it) => it.key(),
            Self::Deployment(it) => it.key(),
            Self::ReplicaSet(it) => it.key(),
            Self::Pod(it) => it.key(),
            Self::StatefulSet(it) => it.key(ObjectKind::StatefulSet),
            Self::DaemonSet(it) => it.key(ObjectKind::DaemonSet),
            Self::Job(it) => it.key(ObjectKind::Job),
            Self::Service(it) => it.key(),
            Self::Ingress(it) => it.key(),
        }
    }
}

impl Workload {
    /// Its key, being of that kind.
    #[must_use]
    pub fn key(&self, kind: ObjectKind) -> ObjectKey {
        ObjectKey { kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

macro_rules! keys {
    ($($type:ident: $namespace:expr),* $(,)?) => { $(
        impl $type {
            /// Its key.
            #[must_use]
            pub fn key(&self) -> ObjectKey {
                let namespace: fn(&Self) -> &str = $namespace;
                ObjectKey { kind: ObjectKind::$type, namespace: namespace(self).to_owned(), name: self.name.clone() }
            }
        }
    )* };
}

keys! {
    Node: |_| "",
    Namespace: |_| "",
    Deployment: |it| &it.namespace,
    ReplicaSet: |it| &it.namespace,
    Pod: |it| &it.namespace,
    Service: |it| &it.namespace,
    Ingress: |it| &it.namespace,
}

impl Topology {
    /// Adds `object`, or replaces the one with the same key. Nodes stay ordered master first, then by name; other
    /// kinds keep the order of their first appearance, which is what gives the diagram stable positions.
    pub fn upsert(&mut self, object: Object) {
        fn put<T>(list: &mut Vec<T>, new: T, same: impl Fn(&T, &T) -> bool) {
            match list.iter_mut().find(|old| same(old, &new)) {
                Some(old) => *old = new,
                None => list.push(new),
            }
        }
        macro_rules! named {
            ($a:ident, $b:ident) => {
                $a.name == $b.name && $a.namespace == $b.namespace
            };
        }
        match object {
            Object::Node(new) => {
                put(&mut self.nodes, new, |a, b| a.name == b.name);
                self.nodes.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
            }
            Object::Namespace(new) => put(&mut self.namespaces, new, |a, b| a.name == b.name),
            Object::Deployment(new) => put(&mut self.deployments, new, |a, b| named!(a, b)),
            Object::ReplicaSet(new) => put(&mut self.replica_sets, new, |a, b| named!(a, b)),
            Object::Pod(new) => put(&mut self.pods, new, |a, b| named!(a, b)),
            Object::StatefulSet(new) => put(&mut self.stateful_sets, new, |a, b| named!(a, b)),
            Object::DaemonSet(new) => put(&mut self.daemon_sets, new, |a, b| named!(a, b)),
            Object::Job(new) => put(&mut self.jobs, new, |a, b| named!(a, b)),
            Object::Service(new) => put(&mut self.services, new, |a, b| named!(a, b)),
            Object::Ingress(new) => put(&mut self.ingresses, new, |a, b| named!(a, b)),
        }
    }

    /// Removes the object with `key`; nothing happens when there is none.
    pub fn remove(&mut self, key: &ObjectKey) {
        let (namespace, name) = (&key.namespace, &key.name);
        match key.kind {
            ObjectKind::Node => self.nodes.retain(|it| it.name != *name),
            ObjectKind::Namespace => self.namespaces.retain(|it| it.name != *name),
            ObjectKind::Deployment => self.deployments.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::ReplicaSet => self.replica_sets.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::Pod => self.pods.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::StatefulSet => self.stateful_sets.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::DaemonSet => self.daemon_sets.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::Job => self.jobs.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::Ingress => self.ingresses.retain(|it| it.name != *name || it.namespace != *namespace),
            ObjectKind::Service => self.services.retain(|it| it.name != *name || it.namespace != *namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeRole;

    fn pod(namespace: &str, name: &str) -> Object {
        Object::Pod(Pod { namespace: namespace.into(), name: name.into(), ..Pod::default() })
    }

    #[test]
    fn upsert_replaces_in_place_and_remove_takes_one() {
        let mut topology = Topology::default();
        for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")] {
            topology.upsert(pod(namespace, name));
        }
        let names = |topology: &Topology| {
            topology.pods.iter().map(|it| format!("{}/{}", it.namespace, it.name)).collect::<Vec<_>>()
        };
        assert_eq!(names(&topology), ["a/x", "a/y", "b/x"]);
        topology.remove(&pod("a", "x").key());
        topology.remove(&pod("a", "gone").key());
        assert_eq!(names(&topology), ["a/y", "b/x"]);
    }

    #[test]
    fn the_master_comes_first() {
        let mut topology = Topology::default();
        for (name, role) in
            [("worker-2", NodeRole::Worker), ("master", NodeRole::Master), ("worker-1", NodeRole::Worker)]
        {
            topology.upsert(Object::Node(Node { name: name.into(), role, ..Node::default() }));
        }
        assert_eq!(
            topology.nodes.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
            ["master", "worker-1", "worker-2"]
        );
    }

    #[test]
    fn the_kind_is_the_tag() {
        let json = serde_json::to_value(pod("default", "web")).unwrap();
        assert_eq!(json["kind"], "Pod");
        assert_eq!(serde_json::from_value::<Object>(json).unwrap(), pod("default", "web"));
    }
}
