//! Auto-compaction: forgets history by age or by number of revisions (`--auto-compaction-*`).

use std::collections::VecDeque;
use std::time::Duration;

use drydock_component::Shutdown;

use crate::backend::Backend;
use crate::options::Retention;

/// How often history is counted when it is kept by revisions, as in etcd.
const REVISION_INTERVAL: Duration = Duration::from_secs(300);

/// Compacts until shutdown.
pub(crate) async fn run(backend: &Backend, retention: Retention, shutdown: Shutdown) {
    // By time, the revision is noted ten times in the period, so a compaction is at most a tenth late.
    let interval = match retention {
        Retention::All => return,
        Retention::Time(period) => (period / 10).max(Duration::from_secs(1)),
        Retention::Revisions(_) => REVISION_INTERVAL,
    };
    let mut noted = VecDeque::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shutdown.wait() => return,
        }
        let revision = backend.overview().header.revision;
        noted.push_back(revision);
        let target = match retention {
            Retention::Revisions(keep) => Some(revision - keep),
            _ if noted.len() > 10 => noted.pop_front(),
            _ => None,
        };
        let Some(target) = target.filter(|target| *target > backend.overview().compacted.max(0)) else { continue };
        match backend.write(|store, _| Ok(((), Some(store.compact(target)?)))).await {
            Ok(()) => tracing::info!(compact.revision = target, "compacted"),
            Err(error) => tracing::warn!(compact.revision = target, %error, "cannot compact"),
        }
    }
}
