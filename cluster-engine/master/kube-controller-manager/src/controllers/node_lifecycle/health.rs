//! When each node was last heard of, by this process's clock: leases and status writes count, what
//! time they claim does not.

use std::collections::HashMap;
use std::time::Duration;

use drydock_client::Object;
use drydock_client::types::{Lease, Node};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Health {
    nodes: HashMap<String, Heard>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    at: Instant,
    renewal: Option<String>,
    heartbeat: Option<String>,
}

impl Health {
    fn heard(&mut self, node: &str, now: Instant) -> &mut Heard {
        self.nodes.entry(node.to_owned()).or_insert(Heard { at: now, renewal: None, heartbeat: None })
    }

    /// Called at every look, which happens far more often than every `longest`. Who did not look for longer was frozen
    /// together with all that it watches over: that time is nobody's silence, as it would not be after a restart.
    pub(super) fn look(&mut self, now: Instant, longest: Duration) {
        let Some(before) = self.looked.replace(now) else { return };
        let pause = now.duration_since(before);
        if pause > longest {
            for heard in self.nodes.values_mut() {
                heard.at = (heard.at + pause).min(now);
            }
        }
    }

    /// A lease was written.
    pub(super) fn hear_lease(&mut self, lease: &Lease, now: Instant) {
        let heard = self.heard(lease.name(), now);
        if heard.renewal != lease.spec.renew_time {
            heard.renewal.clone_from(&lease.spec.renew_time);
            heard.at = now;
        }
    }

    /// A node was written, perhaps by its kubelet.
    pub(super) fn hear_node(&mut self, node: &Node, now: Instant) {
        let heartbeat = heartbeat(node);
        let heard = self.heard(node.name(), now);
        if heard.heartbeat != heartbeat {
            heard.heartbeat = heartbeat;
            heard.at = now;
        }
    }

    /// We wrote the node's conditions ourselves: that is no sign of life.
    pub(super) fn note_own_write(&mut self, node: &Node) {
        if let Some(heard) = self.nodes.get_mut(node.name()) {
            heard.heartbeat = heartbeat(node);
        }
    }

    /// How long nothing was heard of the node.
    pub(super) fn silence(&self, node: &str, now: Instant) -> Duration {
        self.nodes.get(node).map_or(Duration::ZERO, |heard| now.duration_since(heard.at))
    }

    pub(super) fn forget(&mut self, node: &str) {
        self.nodes.remove(node);
    }
}

/// What changes whenever the kubelet writes the node's status.
fn heartbeat(node: &Node) -> Option<String> {
    let ready = node.condition("Ready")?;
    Some(format!(
        "{} {} {}",
        ready.status,
        ready.last_heartbeat_time.as_deref().unwrap_or_default(),
        ready.last_transition_time.as_deref().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::Condition;

    #[test]
    fn nobody_is_silent_while_nobody_listens() {
        let mut health = Health::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let longest = Duration::from_secs(6);
        let mut lease = Lease::default();
        lease.spec.renew_time = Some("1".into());
        for name in ["quick", "late"] {
            lease.metadata.name = name.into();
            health.hear_lease(&lease, at(0));
        }
        health.look(at(1), longest);
        health.look(at(3), longest);
        assert_eq!(health.silence("late", at(3)).as_secs(), 3, "a look changes nothing");
        // Frozen for an hour. One kubelet writes before the first look, the other has not yet.
        lease.metadata.name = "quick".into();
        lease.spec.renew_time = Some("2".into());
        health.hear_lease(&lease, at(3603));
        health.look(at(3603), longest);
        assert_eq!(health.silence("late", at(3603)).as_secs(), 3, "as long as before");
        assert_eq!(health.silence("quick", at(3605)).as_secs(), 2, "never heard of in the future");
        health.look(at(3605), longest);
        assert_eq!(health.silence("late", at(3616)).as_secs(), 16, "who stays silent is found silent");
    }

    #[test]
    fn only_new_signs_count() {
        let mut health = Health::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lease = Lease::default();
        lease.metadata.name = "n".into();
        lease.spec.renew_time = Some("1".into());
        health.hear_lease(&lease, at(0));
        health.hear_lease(&lease, at(10));
        assert_eq!(health.silence("n", at(12)).as_secs(), 12, "the same lease is no news");
        lease.spec.renew_time = Some("2".into());
        health.hear_lease(&lease, at(13));
        assert_eq!(health.silence("n", at(15)).as_secs(), 2);
        let mut node = Node::default();
        node.metadata.name = "n".into();
        node.status.conditions.push(Condition { kind: "Ready".into(), status: "True".into(), ..Condition::default() });
        health.hear_node(&node, at(20));
        assert_eq!(health.silence("n", at(21)).as_secs(), 1);
        node.status.conditions[0].status = "Unknown".into();
        health.note_own_write(&node);
        health.hear_node(&node, at(30));
        assert_eq!(health.silence("n", at(31)).as_secs(), 11, "our own write is no sign of life");
    }
}
