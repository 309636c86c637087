//! Audit events to chains: what a person did, and all that followed from it. Pure.
//!
//! A chain begins with a write by a person. A later write belongs to it when it is about an object of the chain, or
//! about one that an object of the chain owns: owner references say so for objects that are still there, and upstream's
//! naming (`<deployment>-<hash>`, `<service>-<suffix>`) for those that are only a line in the log.

mod kin;
#[cfg(test)]
mod tests;
mod title;

use std::collections::{BTreeSet, VecDeque};

use drydock_protocol::{Stage, Trace};

use super::audit::{AuditEvent, ObjectRef};
use title::{command, title};

/// A chain takes in nothing that comes later than this after its last stage.
const PAUSE_MICROS: u64 = 10_000_000;
/// A pod that was told to end may take longer: its grace period is 30 s unless it says otherwise.
const GRACE_MICROS: u64 = 40_000_000;
/// Requests of one kubectl follow each other faster than this; another one needs longer to start.
const TOGETHER_MICROS: u64 = 40_000;
/// Chains kept.
const CHAINS: usize = 20;
/// Stages kept of one chain.
const STAGES: usize = 400;
/// A request is in the log when it is answered: what it set off may be there before it, by less than this.
const EARLY_MICROS: u64 = 1_000_000;
/// Writes kept that came before what set them off.
const EARLY: usize = 32;

/// Joins events to chains, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    chains: VecDeque<Chain>,
    /// Writes of components that belong to no chain yet.
    early: VecDeque<AuditEvent>,
    next_id: u64,
}

#[derive(Debug)]
struct Chain {
    trace: Trace,
    command: String,
    /// Requests of the person beyond the first.
    more: usize,
    begin_micros: u64,
    /// When the person's last request was answered.
    asked_micros: u64,
    last_micros: u64,
    objects: BTreeSet<Known>,
    /// Pods that were told to end.
    leaving: BTreeSet<(String, String)>,
}

/// Resource, namespace, name.
type Known = (String, String, String);

/// What is known of objects that are still there.
pub(super) trait Kin {
    /// The owner of an object: resource and name.
    fn owner(&self, resource: &str, namespace: &str, name: &str) -> Option<(String, String)>;

    /// Whether one of the pods that `is_member` knows by name is behind an EndpointSlice or Endpoints.
    fn has_backend(&self, resource: &str, namespace: &str, name: &str, is_member: &dyn Fn(&str) -> bool) -> bool;
}

impl Tracer {
    /// A chain as it is now.
    pub(super) fn trace(&self, id: u64) -> Option<Trace> {
        self.chains.iter().find(|chain| chain.trace.id == id).map(|chain| chain.trace.clone())
    }

    /// Takes one event in; returns the number of the chain that it began or made longer.
    pub(super) fn take(&mut self, event: &AuditEvent, kin: &dyn Kin) -> Option<u64> {
        let object = event.object_ref.as_ref()?;
        let (begin, _) = event.times()?;
        let writes = ["create", "update", "patch", "delete", "deletecollection"].contains(&event.verb.as_str());
        if event.stage != "ResponseComplete"
            || !writes
            || event.parameter("dryRun").is_some()
            || is_noise(event, object)
        {
            return None;
        }
        let id = self.join(event, kin);
        if id.is_some() {
            self.settle(begin, kin);
        } else {
            self.keep(event, begin);
        }
        id
    }

    /// Keeps a write that no chain holds, in case what set it off is only late.
    fn keep(&mut self, event: &AuditEvent, begin: u64) {
        self.early.retain(|it| it.times().is_some_and(|(then, _)| begin < then + EARLY_MICROS));
        while self.early.len() >= EARLY {
            self.early.pop_front();
        }
        self.early.push_back(event.clone());
    }

    /// Takes in what was in the log before a write that began at `cause`, and began after it, and what follows from that.
    fn settle(&mut self, cause: u64, kin: &dyn Kin) {
        let mut causes = vec![cause];
        while let Some(cause) = causes.pop() {
            for early in std::mem::take(&mut self.early) {
                match early.times() {
                    Some((begin, _)) if begin >= cause && self.join(&early, kin).is_some() => causes.push(begin),
                    _ => self.early.push_back(early),
                }
            }
        }
    }

    /// Adds a write to the chain that it belongs to; a person's begins one.
    fn join(&mut self, event: &AuditEvent, kin: &dyn Kin) -> Option<u64> {
        let object = event.object_ref.as_ref()?;
        let (begin, duration) = event.times()?;
        let person = is_person(event);
        let chain = if person {
            self.of_person(event, object, begin)
        } else {
            self.chains.iter_mut().rev().find(|chain| {
                begin + 1_000 >= chain.begin_micros
                    && chain.trace.stages.len() < STAGES
                    && begin.saturating_sub(chain.last_micros) < chain.patience(object)
                    && chain.holds(object, kin)
            })?
        };
        chain.take_in(event, object, kin);
        chain.last_micros = chain.last_micros.max(begin + duration);
        if person {
            chain.asked_micros = begin + duration;
        }
        let (component, node) = component(event);
        chain.trace.stages.push(Stage {
            component,
            node,
            actor: event.user.username.clone(),
            verb: event.verb.clone(),
            resource: match object.subresource.as_str() {
                "" => object.resource.clone(),
                subresource => format!("{}/{subresource}", object.resource),
            },
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            code: event.response_status.as_ref().map_or(0, |status| status.code),
            start_micros: begin.saturating_sub(chain.begin_micros),
            duration_micros: duration,
            etcd_micros: event.etcd_micros(),
        });
        chain.trace.stages.sort_by_key(|stage| stage.start_micros);
        chain.trace.duration_micros = chain.last_micros - chain.begin_micros;
        Some(chain.trace.id)
    }

    /// The chain of a person's request: the newest if the same command goes on, else a new one.
    fn of_person(&mut self, event: &AuditEvent, object: &ObjectRef, begin: u64) -> &mut Chain {
        let command = command(event, object);
        let goes_on = self.chains.back().is_some_and(|chain| {
            chain.command == command
                && begin.saturating_sub(chain.asked_micros) < TOGETHER_MICROS
                && chain.trace.stages.len() < STAGES
        });
        if goes_on {
            if let Some(chain) = self.chains.back_mut() {
                chain.more += 1;
                let first = chain.trace.title.split(" +").next().unwrap_or_default();
                chain.trace.title = format!("{first} +{}", chain.more);
            }
        } else {
            while self.chains.len() >= CHAINS {
                self.chains.pop_front();
            }
            self.next_id += 1;
            let trace = Trace {
                id: self.next_id,
                title: title(&command, object),
                start_millis: begin / 1000,
                duration_micros: 0,
                stages: Vec::new(),
            };
            self.chains.push_back(Chain {
                trace,
                command,
                more: 0,
                begin_micros: begin,
                asked_micros: begin,
                last_micros: begin,
                objects: BTreeSet::new(),
                leaving: BTreeSet::new(),
            });
        }
        let newest = self.chains.len() - 1;
        &mut self.chains[newest]
    }
}

/// A person, as opposed to a component: users of the cluster that are not `system:`.
fn is_person(event: &AuditEvent) -> bool {
    !event.user.username.starts_with("system:") && !event.user_agent.contains("drydock")
}

/// Heartbeats and bookkeeping that no action sets off, and questions that are asked by creating something.
fn is_noise(event: &AuditEvent, object: &ObjectRef) -> bool {
    match object.resource.as_str() {
        "leases" | "events" => true,
        resource if resource.ends_with("reviews") => true,
        "serviceaccounts" => object.subresource == "token",
        "pods" => matches!(object.subresource.as_str(), "exec" | "attach" | "portforward" | "proxy"),
        "nodes" => object.subresource == "status" || event.user.username.starts_with("system:node:"),
        _ => false,
    }
}

/// The component behind a user name, and its node where it is one of many.
fn component(event: &AuditEvent) -> (String, Option<String>) {
    let user = event.user.username.as_str();
    let program = || event.user_agent.split('/').next().unwrap_or_default().to_owned();
    if let Some(node) = user.strip_prefix("system:node:") {
        return ("kubelet".to_owned(), Some(node.to_owned()));
    }
    match user {
        "system:kube-scheduler" => ("kube-scheduler".to_owned(), None),
        "system:kube-proxy" => ("kube-proxy".to_owned(), None),
        "system:apiserver" => ("kube-apiserver".to_owned(), None),
        "system:kube-controller-manager" => ("kube-controller-manager".to_owned(), None),
        // Controllers with an account of their own, such as `replicaset-controller`, run in the controller manager.
        _ if user.starts_with("system:serviceaccount:kube-system:")
            && event.user_agent.starts_with("kube-controller-manager/") =>
        {
            ("kube-controller-manager".to_owned(), None)
        }
        _ => (program(), None),
    }
}
