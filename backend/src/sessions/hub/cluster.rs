//! What the learner does to the cluster by hand: its faults, the number of its nodes, the logs that are read.

use drydock_protocol::{Fault, FaultKind};
use tokio::sync::{MutexGuard, OwnedSemaphorePermit};

use super::Hub;

/// Logs that the pages of one session may follow at once.
pub(super) const LOG_STREAMS: usize = 8;

/// Connections into one session that previews may have at once.
pub(super) const PREVIEWS: usize = 128;
/// Requests to one session's API server that programs outside may have at once, watches included.
pub(super) const GATEWAY: usize = 256;

impl Hub {
    /// Says which faults the page may offer.
    pub(in crate::sessions) fn set_may_break(&self, kinds: Vec<FaultKind>) {
        self.change(|_, session| session.may_break = kinds);
    }

    /// Sets the faults that hold.
    pub(in crate::sessions) fn set_faults(&self, mut faults: Vec<Fault>) {
        faults.sort();
        faults.dedup();
        self.change(|_, session| session.faults = faults);
    }

    /// Sets the number of workers.
    pub(in crate::sessions) fn set_workers(&self, workers: u16) {
        self.change(|row, session| {
            row.workers = workers;
            session.nodes = workers + 1;
        });
    }

    /// Nodes come, go and break one after the other.
    pub(in crate::sessions) async fn nodes_turn(&self) -> MutexGuard<'_, ()> {
        self.nodes_turn.lock().await
    }

    /// A place among the connections of previews, once there is one.
    pub(crate) async fn preview_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.previews.clone().acquire_owned().await.ok()
    }

    /// A place among the requests of programs outside; none when all are taken.
    pub(crate) fn gateway_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.gateway.clone().try_acquire_owned().ok()
    }

    /// A place among the logs that are followed; none when all are taken.
    pub(crate) fn log_stream(&self) -> Option<OwnedSemaphorePermit> {
        self.log_streams.clone().try_acquire_owned().ok()
    }
}
