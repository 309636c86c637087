//! Compares what the host runs with what the database says: a cluster of ours whose session is over must not be there.

use std::collections::BTreeSet;
use std::time::Duration;

use drydock_engine::Cluster;

use super::{Sessions, millis, now_millis};
use crate::error::chain;

/// A cluster with a name of ours that this database does not know may belong to another server of the same data folder, such as
/// `drydock lesson check`, whose sessions live a day at most.
const STRAY: Duration = Duration::from_secs(25 * 60 * 60);

/// A cluster as the reaper sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen<'a> {
    name: &'a str,
    created_millis: u64,
    /// The database knows its session, and that is over.
    over: bool,
}

/// Names of sessions' clusters; those that people make by hand have others, and are never ours to remove.
fn is_session(name: &str) -> bool {
    let digits = name.strip_prefix("s-").unwrap_or_default();
    digits.len() == 12 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Which clusters have outlived their time.
fn plan<'a>(seen: &[Seen<'a>], held: &BTreeSet<String>, now_millis: u64) -> Vec<&'a str> {
    let is_stray = |it: &Seen<'_>| now_millis.saturating_sub(it.created_millis) > millis(STRAY);
    seen.iter()
        .filter(|it| is_session(it.name) && !held.contains(it.name) && (it.over || is_stray(it)))
        .map(|it| it.name)
        .collect()
}

impl Sessions {
    /// Removes the clusters that have outlived their time.
    pub(super) async fn reap(&self, clusters: &[Cluster]) {
        // Looked at after the clusters were listed: whoever came since is not among those.
        let mut held: BTreeSet<String> = self.open().iter().map(|hub| hub.name().to_owned()).collect();
        held.extend(self.pool.names());
        let mut seen = Vec::new();
        for cluster in clusters {
            let name = cluster.spec.name.as_str();
            match self.store.is_over(name).await {
                Ok(over) => seen.push(Seen { name, created_millis: cluster.created_millis, over }),
                Err(error) => tracing::error!(error = chain(&error), "cannot ask whose a cluster is"),
            }
        }
        for name in plan(&seen, &held, now_millis()) {
            tracing::warn!(cluster.name = name, "it outlived its session and is removed");
            if let Err(error) = self.engine.delete(name).await {
                tracing::error!(cluster.name = name, error = chain(&error), "cannot remove a cluster");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_reaped() {
        let now = millis(STRAY) * 2;
        for (what, name, created_millis, over, held, reaped) in [
            ("a session that is over", "s-0123456789ab", now, true, false, true),
            ("one that goes on", "s-0123456789ab", now, false, true, false),
            ("one that is being reset", "s-0123456789ab", now, true, true, false),
            ("somebody else's", "s-0123456789ab", now, false, false, false),
            ("somebody's of long ago", "s-0123456789ab", 0, false, false, true),
            ("one made by hand", "lab", 0, true, false, false),
            ("one made by hand with a like name", "s-lab", 0, true, false, false),
            ("a longer name", "s-0123456789abc", 0, true, false, false),
        ] {
            let held = held.then(|| name.to_owned()).into_iter().collect();
            let plan = plan(&[Seen { name, created_millis, over }], &held, now);
            assert_eq!(!plan.is_empty(), reaped, "{what}");
        }
    }
}
