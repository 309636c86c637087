//! Sessions that nobody uses are frozen as they are, and go on at the next use as if nothing had been.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_engine::EngineError;
use drydock_engine::host::HostError;
use drydock_protocol::SessionState;

use super::{Hub, Sessions};
use crate::error::{Error, chain};

/// A page that is open and not used holds off sleep so many times longer than none.
const OPEN_PAGE: u32 = 3;

/// Whether a session is to be frozen: no page for `after` and nobody did anything for as long, or a page at which nobody did
/// anything for much longer.
fn is_idle(after: Duration, no_page: Duration, no_use: Duration) -> bool {
    (no_page >= after && no_use >= after) || no_use >= after * OPEN_PAGE
}

impl Sessions {
    /// Something uses the session (a preview, a call with its kubeconfig): it wakes if it sleeps, and does not fall asleep for a
    /// while.
    ///
    /// # Errors
    /// When there is none of that identifier, it is over, or it does not wake.
    pub(crate) async fn touch(&self, id: &str) -> Result<(), Error> {
        self.hub(id).await.map(drop)
    }

    /// A key was pressed in a terminal of the session: it wakes in the background.
    pub(crate) fn typed_in(self: &Arc<Self>, hub: &Arc<Hub>) {
        hub.mark_used();
        if hub.state() == SessionState::Suspended {
            let (sessions, hub) = (self.clone(), hub.clone());
            tokio::spawn(async move {
                if let Err(error) = sessions.wake(&hub).await {
                    tracing::error!(session.name = hub.name(), error = chain(&error), "cannot wake a session");
                }
            });
        }
    }

    /// Freezes the sessions that nobody uses.
    pub(super) async fn suspend_idle(self: &Arc<Self>) {
        for hub in self.open() {
            // Asked for every session: that notes whether a page is there.
            let (no_page, no_use) = hub.quiet();
            if hub.state() == SessionState::Ready
                && self.policy.suspend.is_some_and(|after| is_idle(after, no_page, no_use))
                && let Err(error) = self.suspend(&hub).await
            {
                tracing::error!(session.name = hub.name(), error = chain(&error), "cannot freeze a session");
                hub.mark_used();
            }
        }
    }

    pub(super) async fn suspend(&self, hub: &Arc<Hub>) -> Result<(), Error> {
        let _turn = hub.nodes_turn().await;
        if hub.state() != SessionState::Ready {
            return Ok(());
        }
        // Whoever watches the cluster would take its silence for a failure.
        hub.set_state(SessionState::Suspended, None);
        hub.stop_watching();
        if let Err(error) = self.engine.host().freeze_session(hub.name(), true).await {
            // Whatever of it is frozen; a supervisor of an earlier version knows neither, and its session just goes on.
            let _ = self.engine.host().freeze_session(hub.name(), false).await;
            self.look_again(hub).await?;
            return Err(error.into());
        }
        hub.mark_slept();
        hub.keep().await;
        tracing::info!(session.name = hub.name(), "nobody uses it: frozen");
        Ok(())
    }

    /// Lets a session go on; one that is awake already is fine.
    pub(super) async fn wake(&self, hub: &Arc<Hub>) -> Result<(), Error> {
        if hub.state() != SessionState::Suspended {
            return Ok(());
        }
        let started = Instant::now();
        let _turn = hub.nodes_turn().await;
        if hub.state() != SessionState::Suspended {
            return Ok(());
        }
        self.engine.host().freeze_session(hub.name(), false).await?;
        self.look_again(hub).await?;
        hub.mark_used();
        hub.keep().await;
        let (slept, millis) = (hub.slept().as_secs(), started.elapsed().as_millis());
        tracing::info!(session.name = hub.name(), slept_seconds = slept, elapsed_millis = millis, "awake again");
        Ok(())
    }

    /// Its cluster runs: it is watched again.
    async fn look_again(&self, hub: &Arc<Hub>) -> Result<(), Error> {
        let cluster = match self.engine.get(hub.name()).await {
            Err(EngineError::Host(HostError::NoSession { .. })) => {
                return Err(Error::Gone("The cluster of this session is gone.".to_owned()));
            }
            cluster => cluster?,
        };
        hub.set_state(SessionState::Ready, None);
        self.watch(hub, &cluster).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idleness() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        for (no_page, no_use, idle) in
            [(0, 0, false), (9, 20, false), (20, 9, false), (10, 10, true), (0, 29, false), (0, 30, true)]
        {
            assert_eq!(is_idle(minutes(10), minutes(no_page), minutes(no_use)), idle, "{no_page} {no_use}");
        }
    }
}
