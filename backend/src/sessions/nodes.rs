//! Nodes of a running session: one more, one less, off and on.

use std::sync::Arc;

use drydock_engine::host::NodeRole;
use drydock_engine::{EngineError, NodeFault};
use drydock_protocol::{FaultKind, Session, SessionState};

use super::{Hub, Sessions};
use crate::error::{Error, chain};

impl Sessions {
    /// A session whose cluster runs.
    pub(super) async fn ready_hub(&self, id: &str) -> Result<Arc<Hub>, Error> {
        let hub = self.hub(id).await?;
        if hub.session().state == SessionState::Ready {
            return Ok(hub);
        }
        Err(Error::Conflict("The cluster is not running yet. Wait until the session is ready.".to_owned()))
    }

    /// Adds a worker and returns when it is Ready. It goes on when the page that asked is gone.
    ///
    /// # Errors
    /// When the session is not ready, it has all the workers that it may have, or the host fails.
    pub(crate) async fn add_node(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let hub = self.ready_hub(id).await?;
        let sessions = self.clone();
        let task = tokio::spawn(async move {
            let turn = hub.nodes_turn().await;
            let added = sessions.engine.add_node(hub.name()).await.map_err(refused);
            sessions.count_workers(&hub).await?;
            drop(turn);
            added.map(|_| hub.session())
        });
        task.await.map_err(|_| Error::Conflict("The node could not be added.".to_owned()))?
    }

    /// Removes a worker with its disk.
    ///
    /// # Errors
    /// When the session is not ready, the node is no worker or not there, or the host fails.
    pub(crate) async fn remove_node(self: &Arc<Self>, id: &str, node: &str) -> Result<Session, Error> {
        let hub = self.ready_hub(id).await?;
        let (sessions, node) = (self.clone(), node.to_owned());
        let task = tokio::spawn(async move {
            let turn = hub.nodes_turn().await;
            let removed = sessions.engine.remove_node(hub.name(), &node).await.map_err(refused);
            if removed.is_ok() {
                sessions.forget_faults(&hub, |fault| fault.node == node).await?;
            }
            sessions.count_workers(&hub).await?;
            drop(turn);
            removed.map(|()| hub.session())
        });
        task.await.map_err(|_| Error::Conflict("The node could not be removed.".to_owned()))?
    }

    /// Stops or starts a node, as an accident would.
    ///
    /// # Errors
    /// When there is no such Kubernetes node, or the host fails.
    pub(crate) async fn switch_node(self: &Arc<Self>, id: &str, node: &str, on: bool) -> Result<Session, Error> {
        let hub = self.ready_hub(id).await?;
        self.known_node(&hub, node).await?;
        let _turn = hub.nodes_turn().await;
        if on {
            self.engine.host().start_node(hub.name(), node).await?;
            self.forget_faults(&hub, |fault| fault.node == node && ends_with_start(fault.kind)).await?;
        } else {
            self.engine.fault_node(hub.name(), node, NodeFault::Stop).await?;
        }
        hub.wake();
        Ok(hub.session())
    }

    /// Fails unless the session has a Kubernetes node of that name.
    pub(super) async fn known_node(&self, hub: &Hub, node: &str) -> Result<(), Error> {
        let session = self.engine.host().session(hub.name()).await?;
        let known = session.nodes.iter().any(|it| it.name == node && it.role != NodeRole::Workstation);
        if known { Ok(()) } else { Err(Error::NotFound(format!("This session has no node named {node:?}."))) }
    }

    /// Takes over how many workers there are now.
    async fn count_workers(&self, hub: &Hub) -> Result<(), Error> {
        let session = self.engine.host().session(hub.name()).await?;
        let workers = session.nodes.iter().filter(|node| node.role == NodeRole::Worker).count();
        hub.set_workers(u16::try_from(workers).unwrap_or(u16::MAX));
        hub.wake();
        hub.save().await
    }
}

/// Whether a node that starts does not have the fault any more: its processes and its network are new.
pub(super) const fn ends_with_start(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::StopNode | FaultKind::FreezeNode | FaultKind::PauseComponent | FaultKind::Loss)
}

/// What the learner asked for and cannot have is no failure of the server.
pub(super) fn refused(error: EngineError) -> Error {
    match error {
        EngineError::Spec(_) | EngineError::NotAWorker { .. } | EngineError::KubeletIsTheNode => {
            Error::Conflict(sentence(&error))
        }
        EngineError::NoComponent { .. } => Error::NotFound(sentence(&error)),
        EngineError::Timeout { .. } => {
            tracing::warn!(error = chain(&error), "a node did not come up");
            Error::Conflict("The node did not become Ready in time, so it was removed again.".to_owned())
        }
        EngineError::Host(error) => Error::Host(error),
        error => Error::Engine(error),
    }
}

/// An error as a sentence.
fn sentence(error: &EngineError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sentences() {
        let error = EngineError::NoComponent { node: "worker-1".to_owned(), component: "etcd".to_owned() };
        let Error::NotFound(text) = refused(error) else { panic!("another kind") };
        assert_eq!(text, "No process named \"etcd\" runs on worker-1.");
        assert!(matches!(refused(EngineError::KubeletIsTheNode), Error::Conflict(_)));
    }
}
