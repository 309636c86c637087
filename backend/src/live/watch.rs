//! The thin loop: watches a cluster and publishes what changed to the session's page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_client::Object as _;
use drydock_engine::host::NodeHost;
use drydock_engine::native::{AUDIT_LOG, MASTER};
use drydock_protocol::{Object, ObjectKey, SessionEvent};

use super::audit;
use super::lists::Lists;
use super::raw::{Observed, Raw, controller, list, text};
use super::topology::{self, Usage};
use super::tracer::{Kin, Tracer};
use crate::sessions::Hub;

/// Changes are gathered for this long before the picture is drawn anew.
const GATHER: Duration = Duration::from_millis(25);
/// How often memory and CPU are read while somebody looks.
const USAGE_EVERY: Duration = Duration::from_secs(3);
/// How often the audit log is read while somebody looks.
const AUDIT_EVERY: Duration = Duration::from_millis(250);
/// At most this much of the audit log is read at once.
const AUDIT_CHUNK: usize = 256 * 1024;

/// Watches until dropped.
pub(super) async fn watch(hub: Arc<Hub>, host: Arc<dyn NodeHost>, lists: Arc<Lists>) {
    let mut changes = lists.changes();
    let mut loop_state = Watch {
        hub: hub.clone(),
        host,
        lists,
        objects: BTreeMap::new(),
        usage: BTreeMap::new(),
        cpu: BTreeMap::new(),
        tracer: Tracer::default(),
        audit_offset: 0,
        audit_rest: Vec::new(),
    };
    let mut usage_tick = tokio::time::interval(USAGE_EVERY);
    let mut audit_tick = tokio::time::interval(AUDIT_EVERY);
    loop {
        tokio::select! {
            Ok(()) = changes.changed() => {
                tokio::time::sleep(GATHER).await;
                changes.borrow_and_update();
                loop_state.draw().await;
            }
            () = hub.nodes_changed() => loop_state.draw().await,
            _ = usage_tick.tick() => if hub.is_watched() {
                loop_state.read_usage().await;
                loop_state.draw().await;
            },
            _ = audit_tick.tick() => if hub.is_watched() {
                loop_state.read_audit().await;
            },
        }
    }
}

struct Watch {
    hub: Arc<Hub>,
    host: Arc<dyn NodeHost>,
    lists: Arc<Lists>,
    objects: BTreeMap<ObjectKey, Object>,
    usage: BTreeMap<String, Usage>,
    cpu: BTreeMap<String, (u64, Instant)>,
    tracer: Tracer,
    audit_offset: u64,
    audit_rest: Vec<u8>,
}

impl Watch {
    fn observed(&self) -> Observed {
        Observed {
            nodes: self.lists.core("nodes"),
            namespaces: self.lists.core("namespaces"),
            deployments: self.lists.core("deployments"),
            replica_sets: self.lists.core("replicasets"),
            pods: self.lists.core("pods"),
            stateful_sets: self.lists.core("statefulsets"),
            daemon_sets: self.lists.core("daemonsets"),
            jobs: self.lists.core("jobs"),
            services: self.lists.core("services"),
            ingresses: self.lists.core("ingresses"),
            slices: self.lists.core("endpointslices"),
        }
    }

    async fn draw(&mut self) {
        let host_nodes = match self.host.session(self.hub.name()).await {
            Ok(session) => session.nodes,
            Err(error) => {
                tracing::debug!(session.name = self.hub.name(), %error, "cannot ask the host for nodes");
                return;
            }
        };
        let new = topology::objects(&self.observed(), &host_nodes, &self.usage);
        let (changed, gone) = topology::difference(&self.objects, &new);
        self.objects = new;
        if !gone.is_empty() {
            self.hub.publish(SessionEvent::Remove { keys: gone });
        }
        if !changed.is_empty() {
            self.hub.publish(SessionEvent::Upsert { objects: changed });
        }
        let ready = self.objects.values().filter(|object| is_ready_node(object)).count();
        self.hub.set_nodes_ready(u16::try_from(ready).unwrap_or(u16::MAX));
    }

    async fn read_usage(&mut self) {
        let usage = match self.host.usage(self.hub.name()).await {
            Ok(usage) => usage,
            Err(error) => {
                tracing::debug!(session.name = self.hub.name(), %error, "cannot read usage");
                return;
            }
        };
        let now = Instant::now();
        for node in &usage {
            let before = self.cpu.insert(node.node.clone(), (node.cpu_micros, now));
            let cpu_millis = before.map_or(0, |(micros, then)| {
                let elapsed = now.duration_since(then).as_micros().max(1);
                let used = u128::from(node.cpu_micros.saturating_sub(micros));
                u32::try_from(used * 1000 / elapsed).unwrap_or(u32::MAX)
            });
            self.usage.insert(node.node.clone(), Usage { cpu_millis, memory_bytes: node.memory_bytes });
        }
        self.hub.set_memory(usage.iter().map(|node| node.memory_bytes).sum());
    }

    async fn read_audit(&mut self) {
        let read = self.host.read_file(self.hub.name(), MASTER, AUDIT_LOG, self.audit_offset, AUDIT_CHUNK).await;
        let Ok(bytes) = read else { return };
        if bytes.is_empty() {
            return;
        }
        self.audit_offset += bytes.len() as u64;
        self.audit_rest.extend(bytes);
        let (events, taken) = audit::parse(&self.audit_rest);
        self.audit_rest.drain(..taken);
        if self.audit_rest.len() > AUDIT_CHUNK {
            // No event is this long: somebody wrote into the log.
            self.audit_rest.clear();
        }
        let observed = self.observed();
        // A chain that grew by many requests is told once.
        let mut grown = BTreeSet::new();
        for event in &events {
            grown.extend(self.tracer.take(event, &observed));
        }
        for trace in grown.into_iter().filter_map(|id| self.tracer.trace(id)) {
            self.hub.publish(SessionEvent::Trace { trace });
        }
    }
}

impl Kin for Observed {
    fn owner(&self, resource: &str, namespace: &str, name: &str) -> Option<(String, String)> {
        owner(self, resource, namespace, name)
    }

    fn has_backend(&self, resource: &str, namespace: &str, name: &str, is_member: &dyn Fn(&str) -> bool) -> bool {
        let slices = self.slices.iter().filter(|it| it.namespace() == namespace);
        let of_service = |it: &Raw| controller(&it.value).is_some_and(|(_, service)| service == name);
        slices
            .filter(|it| if resource == "endpoints" { of_service(it) } else { it.name() == name })
            .flat_map(|it| list(&it.value, "/endpoints"))
            .any(|endpoint| is_member(text(endpoint, "/targetRef/name")))
    }
}

fn owner(observed: &Observed, resource: &str, namespace: &str, name: &str) -> Option<(String, String)> {
    let objects = match resource {
        "pods" => &observed.pods,
        "replicasets" => &observed.replica_sets,
        "jobs" => &observed.jobs,
        "endpointslices" => &observed.slices,
        _ => return None,
    };
    let object = objects.iter().find(|it| it.name() == name && it.namespace() == namespace)?;
    let (kind, owner) = controller(&object.value)?;
    Some((format!("{}s", kind.to_lowercase()), owner.to_owned()))
}

fn is_ready_node(object: &Object) -> bool {
    matches!(object, Object::Node(node) if node.state == drydock_protocol::NodeState::Ready)
}

#[cfg(test)]
mod tests {
    use super::super::raw::Raw;
    use super::*;

    #[test]
    fn owners_are_looked_up_by_kind() {
        let slice: Raw = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web-x", "namespace": "default",
                "ownerReferences": [{"kind": "Service", "name": "web", "controller": true, "apiVersion": "v1", "uid": "u"}]},
        }))
        .expect("slice");
        let observed = Observed { slices: vec![Arc::new(slice)], ..Observed::default() };
        let found = owner(&observed, "endpointslices", "default", "web-x");
        assert_eq!(found, Some(("services".to_owned(), "web".to_owned())));
        assert_eq!(owner(&observed, "pods", "default", "web-x"), None);
    }
}
