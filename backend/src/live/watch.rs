//! The thin loop: watches a cluster and publishes what changed to the session's page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_client::object::Resource;
use drydock_client::{Client, ListOptions, Object as _, Reflector};
use drydock_engine::host::NodeHost;
use drydock_engine::native::{AUDIT_LOG, MASTER};
use drydock_protocol::{CheckStatus, Object, ObjectKey, SessionEvent};
use serde_json::Value;
use tokio::sync::mpsc;

use super::audit;
use super::raw::{Observed, Raw, controller, list, text};
use super::topology::{self, Usage};
use super::tracer::{Kin, Tracer};
use crate::lessons::{Definition, Program, ResourceName};
use crate::sessions::Hub;

/// Changes are gathered for this long before the picture is drawn anew.
const GATHER: Duration = Duration::from_millis(25);
/// How often memory and CPU are read while somebody looks.
const USAGE_EVERY: Duration = Duration::from_secs(3);
/// How often the audit log is read while somebody looks.
const AUDIT_EVERY: Duration = Duration::from_millis(250);
/// At most this much of the audit log is read at once.
const AUDIT_CHUNK: usize = 256 * 1024;

/// Watches until the hub is closed.
pub(crate) async fn watch(hub: Arc<Hub>, host: Arc<dyn NodeHost>, client: Client, lesson: Option<Definition>) {
    let (wake, mut woken) = mpsc::channel::<()>(1);
    let core = [
        ("", "v1", "nodes"),
        ("", "v1", "namespaces"),
        ("apps", "v1", "deployments"),
        ("apps", "v1", "replicasets"),
        ("", "v1", "pods"),
        ("apps", "v1", "statefulsets"),
        ("apps", "v1", "daemonsets"),
        ("batch", "v1", "jobs"),
        ("", "v1", "services"),
        ("networking.k8s.io", "v1", "ingresses"),
        ("discovery.k8s.io", "v1", "endpointslices"),
    ];
    let mut reflectors: BTreeMap<ResourceName, Reflector<Raw>> = BTreeMap::new();
    let wanted = core.into_iter().map(|(group, version, plural)| ResourceName {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
    });
    let checks = compile(lesson.as_ref());
    for name in wanted.chain(checks.iter().map(|check| check.resource.clone())) {
        reflectors.entry(name.clone()).or_insert_with(|| start(&client, &name, wake.clone()));
    }
    let mut loop_state = Watch {
        hub: hub.clone(),
        host,
        reflectors,
        checks,
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
            () = hub.closed() => return,
            Some(()) = woken.recv() => {
                tokio::time::sleep(GATHER).await;
                let _ = woken.try_recv();
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

struct CompiledCheck {
    step: String,
    id: String,
    resource: ResourceName,
    namespace: Option<String>,
    program: Program,
}

fn compile(lesson: Option<&Definition>) -> Vec<CompiledCheck> {
    let mut compiled = Vec::new();
    for step in lesson.into_iter().flat_map(|lesson| &lesson.steps) {
        for check in &step.checks {
            match Program::compile(check) {
                Ok(program) => compiled.push(CompiledCheck {
                    step: step.id.clone(),
                    id: check.id.clone(),
                    resource: check.resource.clone(),
                    namespace: check.namespace.clone(),
                    program,
                }),
                // The import compiled it already: only damaged stored data can come here.
                Err(reason) => tracing::error!(check.id, reason, "left out a check"),
            }
        }
    }
    compiled
}

fn start(client: &Client, name: &ResourceName, wake: mpsc::Sender<()>) -> Reflector<Raw> {
    let resource = Resource {
        group: name.group.clone().into(),
        version: name.version.clone().into(),
        kind: String::new().into(),
        plural: name.plural.clone().into(),
        namespaced: false,
    };
    let reflector = Reflector::start_of(client.clone(), resource, ListOptions::default());
    reflector.handle(move |_| {
        // A full channel means that a wake-up is under way already.
        let _ = wake.try_send(());
    });
    reflector
}

struct Watch {
    hub: Arc<Hub>,
    host: Arc<dyn NodeHost>,
    reflectors: BTreeMap<ResourceName, Reflector<Raw>>,
    checks: Vec<CompiledCheck>,
    objects: BTreeMap<ObjectKey, Object>,
    usage: BTreeMap<String, Usage>,
    cpu: BTreeMap<String, (u64, Instant)>,
    tracer: Tracer,
    audit_offset: u64,
    audit_rest: Vec<u8>,
}

impl Watch {
    fn of(&self, plural: &str) -> Vec<Arc<Raw>> {
        let found = self.reflectors.iter().find(|(name, _)| name.plural == plural);
        found.map(|(_, reflector)| reflector.list()).unwrap_or_default()
    }

    fn observed(&self) -> Observed {
        Observed {
            nodes: self.of("nodes"),
            namespaces: self.of("namespaces"),
            deployments: self.of("deployments"),
            replica_sets: self.of("replicasets"),
            pods: self.of("pods"),
            stateful_sets: self.of("statefulsets"),
            daemon_sets: self.of("daemonsets"),
            jobs: self.of("jobs"),
            services: self.of("services"),
            ingresses: self.of("ingresses"),
            slices: self.of("endpointslices"),
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
        self.judge().await;
    }

    async fn judge(&mut self) {
        let synced = self.reflectors.values().all(Reflector::is_synced);
        if self.checks.is_empty() || !synced {
            return;
        }
        let verdicts: Vec<_> = self
            .checks
            .iter()
            .map(|check| {
                let objects: Vec<Value> = self
                    .reflectors
                    .get(&check.resource)
                    .map(Reflector::list)
                    .unwrap_or_default()
                    .iter()
                    .filter(|object| check.namespace.as_deref().is_none_or(|namespace| namespace == object.namespace()))
                    .map(|object| object.value.clone())
                    .collect();
                let verdict = check.program.evaluate(&objects);
                CheckStatus {
                    step: check.step.clone(),
                    check: check.id.clone(),
                    state: verdict.state,
                    detail: verdict.detail,
                }
            })
            .collect();
        let steps: BTreeSet<_> = self.checks.iter().map(|check| check.step.as_str()).collect();
        let done = steps.into_iter().filter(|step| {
            verdicts.iter().filter(|it| it.step == *step).all(|it| it.state == drydock_protocol::CheckState::Met)
        });
        let done: Vec<_> = done.map(str::to_owned).collect();
        self.hub.publish_checks(verdicts, &done).await;
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
