//! What the learner lets go wrong in a session's cluster, and what of it holds.

use std::sync::Arc;
use std::time::Duration;

use drydock_engine::native::MASTER;
use drydock_protocol::{Fault, FaultKind, Session};

use super::nodes::{ends_with_start, refused};
use super::{Hub, Sessions};
use crate::error::Error;
use crate::faults;

/// A node that hangs answers no command.
const PATIENCE: Duration = Duration::from_secs(15);
/// Components that can be killed or paused: each runs as a process of its own, the kubelet is the node itself.
const COMPONENTS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"];

impl Sessions {
    /// Lets something go wrong.
    ///
    /// # Errors
    /// When the session is not ready or does not offer that, the node or component is not there, or the host fails.
    pub(crate) async fn cause(self: &Arc<Self>, id: &str, fault: &Fault) -> Result<Session, Error> {
        let hub = self.ready_hub(id).await?;
        let session = hub.session();
        if !session.may_break.contains(&fault.kind) {
            return Err(Error::Conflict("This lesson does not offer that fault.".to_owned()));
        }
        well_formed(fault)?;
        self.known_node(&hub, &fault.node).await?;
        let _turn = hub.nodes_turn().await;
        let mut faults = hub.session().faults;
        can_befall(fault, &faults)?;
        self.perform(hub.name(), fault, true).await?;
        befall(&mut faults, fault);
        self.keep(&hub, faults).await?;
        Ok(hub.session())
    }

    /// Ends a fault.
    ///
    /// # Errors
    /// When the session is not ready or the host fails.
    pub(crate) async fn heal(self: &Arc<Self>, id: &str, fault: &Fault) -> Result<Session, Error> {
        let hub = self.ready_hub(id).await?;
        well_formed(fault)?;
        self.known_node(&hub, &fault.node).await?;
        let _turn = hub.nodes_turn().await;
        self.perform(hub.name(), fault, false).await?;
        let mut faults = hub.session().faults;
        recover(&mut faults, fault);
        self.keep(&hub, faults).await?;
        Ok(hub.session())
    }

    async fn perform(&self, cluster: &str, fault: &Fault, on: bool) -> Result<(), Error> {
        let work = faults::perform(&self.engine, cluster, fault, on);
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(outcome) => outcome.map_err(refused),
            Err(_) => Err(Error::Conflict(format!("{} does not answer. Heal its other faults first.", fault.node))),
        }
    }

    /// Remembers which faults hold, for the page and for the server's next start.
    async fn keep(&self, hub: &Hub, faults: Vec<Fault>) -> Result<(), Error> {
        self.store.put_faults(hub.id(), &faults).await?;
        hub.set_faults(faults);
        hub.wake();
        Ok(())
    }

    /// Forgets faults that are over by themselves.
    pub(super) async fn forget_faults(&self, hub: &Hub, over: impl Fn(&Fault) -> bool) -> Result<(), Error> {
        let mut faults = hub.session().faults;
        faults.retain(|fault| !over(fault));
        self.keep(hub, faults).await
    }

    /// What an earlier run of the server left, and what the lesson offers.
    pub(super) async fn remember_faults(&self, hub: &Hub) -> Result<(), Error> {
        hub.set_faults(self.store.faults(hub.id()).await?);
        let offered = match hub.session().lesson {
            None => FaultKind::ALL.to_vec(),
            Some(slug) => self.library.find(&slug).await.map(|lesson| lesson.definition.faults).unwrap_or_default(),
        };
        hub.set_may_break(offered);
        Ok(())
    }
}

/// Fails unless a component is named where one is meant, and only there.
fn well_formed(fault: &Fault) -> Result<(), Error> {
    let wrong = |text: &str| Err(Error::Invalid(text.to_owned()));
    match (fault.kind.is_of_component(), fault.component.as_deref()) {
        (true, Some(component)) if COMPONENTS.contains(&component) => Ok(()),
        (true, Some("kubelet")) => {
            wrong("The kubelet is its node's first process: stop, freeze or cut off the node instead.")
        }
        (true, _) => wrong(
            "This fault befalls one of etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kube-proxy.",
        ),
        (false, Some(_)) => wrong("This fault befalls a whole node; leave the component out."),
        (false, None) if fault.kind == FaultKind::SlowWrites && fault.node != MASTER => {
            wrong("etcd runs on the master only.")
        }
        (false, None) => Ok(()),
    }
}

/// Fails when the node cannot do that to itself, being off or frozen.
fn can_befall(fault: &Fault, holding: &[Fault]) -> Result<(), Error> {
    let has = |kind| holding.iter().any(|it| it.node == fault.node && it.kind == kind);
    let (off, frozen) = (has(FaultKind::StopNode), has(FaultKind::FreezeNode));
    let refuse = |state: &str| Err(Error::Conflict(format!("{} is {state}. Heal that first.", fault.node)));
    match fault.kind {
        FaultKind::StopNode | FaultKind::CutNode => Ok(()),
        _ if off => refuse("stopped"),
        FaultKind::FreezeNode => Ok(()),
        _ if frozen => refuse("frozen"),
        _ => Ok(()),
    }
}

/// What holds after a fault.
fn befall(holding: &mut Vec<Fault>, fault: &Fault) {
    match fault.kind {
        // The process that comes instead is not paused.
        FaultKind::KillComponent => holding.retain(|it| {
            it.kind != FaultKind::PauseComponent || it.node != fault.node || it.component != fault.component
        }),
        FaultKind::StopNode => holding.retain(|it| it.node != fault.node || !ends_with_start(it.kind)),
        _ => {}
    }
    if fault.kind.lasts() && !holding.contains(fault) {
        holding.push(fault.clone());
    }
}

/// What holds after a fault was healed.
fn recover(holding: &mut Vec<Fault>, fault: &Fault) {
    holding.retain(|it| it != fault);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind, node: &str, component: &str) -> Fault {
        Fault { kind, node: node.to_owned(), component: (!component.is_empty()).then(|| component.to_owned()) }
    }

    #[track_caller]
    fn check(holding: &[&Fault], new: &Fault, after: &[&Fault]) {
        let mut faults: Vec<Fault> = holding.iter().copied().cloned().collect();
        befall(&mut faults, new);
        assert_eq!(faults.iter().collect::<Vec<_>>(), after, "{new:?}");
    }

    #[test]
    fn what_holds_after_a_fault() {
        let cut = fault(FaultKind::CutNode, "worker-1", "");
        let loss = fault(FaultKind::Loss, "worker-1", "");
        let paused = fault(FaultKind::PauseComponent, "worker-1", "kube-proxy");
        let stopped = fault(FaultKind::StopNode, "worker-1", "");
        check(&[], &cut, &[&cut]);
        check(&[&cut], &cut, &[&cut]);
        check(&[&paused], &fault(FaultKind::KillComponent, "worker-1", "kube-proxy"), &[]);
        check(&[&paused], &fault(FaultKind::KillComponent, "worker-2", "kube-proxy"), &[&paused]);
        // A node that is off has no processes and no rules, but its cable stays where it is.
        check(&[&cut, &loss, &paused], &stopped, &[&cut, &stopped]);
    }

    #[test]
    fn who_is_off_or_frozen_cannot_do_anything() {
        let frozen = [fault(FaultKind::FreezeNode, "worker-1", "")];
        assert!(can_befall(&fault(FaultKind::Loss, "worker-1", ""), &frozen).is_err());
        assert!(can_befall(&fault(FaultKind::Loss, "worker-2", ""), &frozen).is_ok());
        assert!(can_befall(&fault(FaultKind::StopNode, "worker-1", ""), &frozen).is_ok());
        let stopped = [fault(FaultKind::StopNode, "worker-1", "")];
        assert!(can_befall(&fault(FaultKind::FreezeNode, "worker-1", ""), &stopped).is_err());
        assert!(can_befall(&fault(FaultKind::KillComponent, "worker-1", "kube-proxy"), &stopped).is_err());
    }

    #[test]
    fn components_are_named_where_they_are_meant() {
        for (kind, node, component, good) in [
            (FaultKind::KillComponent, "master", "etcd", true),
            (FaultKind::KillComponent, "master", "kubelet", false),
            (FaultKind::PauseComponent, "master", "-9", false),
            (FaultKind::KillComponent, "master", "", false),
            (FaultKind::CutNode, "worker-1", "", true),
            (FaultKind::CutNode, "worker-1", "kube-proxy", false),
            (FaultKind::SlowWrites, "master", "", true),
            (FaultKind::SlowWrites, "worker-1", "", false),
        ] {
            assert_eq!(well_formed(&fault(kind, node, component)).is_ok(), good, "{kind:?} {node} {component}");
        }
    }
}
