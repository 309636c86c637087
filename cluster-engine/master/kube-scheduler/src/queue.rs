//! Pods that wait for a node: the next one, those that failed and wait for a change, those that
//! back off, those that are gated.
//!
//! A pod that failed comes back when something changed that could help it; it then waits 1 s to 10 s
//! unless nobody else is waiting (upstream: SchedulerPopFromBackoffQ).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::snapshot::PodInfo;

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A pod that failed is tried again after this time even if nothing seems to have changed.
const STALE: Duration = Duration::from_secs(300);

/// Order among pods that can be tried: priority, then who came first.
type Order = (Reverse<i32>, u64);

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Active(Order),
    /// Until when, and whether even an idle scheduler must wait (after an error of the API server).
    Backoff {
        until: Instant,
        strict: bool,
    },
    Unschedulable {
        since: Instant,
        plugins: Vec<&'static str>,
    },
    /// Being tried; `moved` says that something changed meanwhile.
    InFlight {
        moved: bool,
    },
    Gated,
}

struct Entry {
    pod: Arc<PodInfo>,
    attempts: u32,
    serial: u64,
    place: Place,
}

/// The scheduling queue.
#[derive(Default)]
pub struct Queue {
    entries: HashMap<String, Entry>,
    active: BTreeMap<Order, String>,
    serial: u64,
}

impl Queue {
    /// A new pod, or a changed one; a change of what it wants lets it be tried again.
    pub fn add(&mut self, pod: Arc<PodInfo>) {
        let uid = pod.uid().to_owned();
        let gated = !pod.pod.spec.scheduling_gates.is_empty();
        let Some(entry) = self.entries.get_mut(&uid) else {
            self.serial += 1;
            let entry = Entry { pod, attempts: 0, serial: self.serial, place: Place::Gated };
            self.entries.insert(uid.clone(), entry);
            if !gated {
                self.activate(&uid);
            }
            return;
        };
        let changed = entry.pod.pod.spec != pod.pod.spec || entry.pod.pod.metadata.labels != pod.pod.metadata.labels;
        entry.pod = pod;
        match &mut entry.place {
            _ if gated || !changed => {}
            Place::InFlight { moved } => *moved = true,
            Place::Active(_) => {}
            Place::Gated | Place::Unschedulable { .. } | Place::Backoff { .. } => self.activate(&uid),
        }
    }

    fn activate(&mut self, uid: &str) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        let order = (Reverse(entry.pod.priority()), entry.serial);
        entry.place = Place::Active(order);
        self.active.insert(order, uid.to_owned());
    }

    /// Forgets a pod: it is bound or gone.
    pub fn remove(&mut self, uid: &str) {
        if let Some(Entry { place: Place::Active(order), .. }) = self.entries.remove(uid) {
            self.active.remove(&order);
        }
    }

    /// Takes the next pod to be tried. It stays known as being tried until [`Queue::failed`] or
    /// [`Queue::remove`].
    pub fn pop(&mut self, now: Instant) -> Option<Arc<PodInfo>> {
        let uid = match self.active.pop_first() {
            Some((_, uid)) => uid,
            None => self
                .entries
                .iter()
                .filter_map(|(uid, entry)| match &entry.place {
                    Place::Backoff { strict: false, .. } => Some((entry, uid)),
                    Place::Backoff { until, strict: true } if *until <= now => Some((entry, uid)),
                    Place::Unschedulable { since, .. } if *since + STALE <= now => Some((entry, uid)),
                    _ => None,
                })
                .min_by_key(|(entry, _)| (Reverse(entry.pod.priority()), entry.serial))
                .map(|(_, uid)| uid.clone())?,
        };
        let entry = self.entries.get_mut(&uid)?;
        entry.place = Place::InFlight { moved: false };
        entry.attempts += 1;
        Some(entry.pod.clone())
    }

    /// The pod fits nowhere: it waits until something changes that concerns one of `plugins`.
    pub fn failed(&mut self, uid: &str, plugins: Vec<&'static str>, now: Instant) {
        let Some(entry) = self.entries.get_mut(uid) else { return };
        entry.place = if entry.place == (Place::InFlight { moved: true }) {
            Place::Backoff { until: now + backoff(entry.attempts), strict: false }
        } else {
            Place::Unschedulable { since: now, plugins }
        };
    }

    /// Something went wrong that has nothing to do with the pod: it is tried again after a pause.
    pub fn errored(&mut self, uid: &str, now: Instant) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.place = Place::Backoff { until: now + backoff(entry.attempts), strict: true };
        }
    }

    /// Something changed: pods that failed because of a plugin for which `helps` says so are tried
    /// again.
    pub fn changed(&mut self, now: Instant, helps: impl Fn(&'static str) -> bool) {
        for entry in self.entries.values_mut() {
            match &mut entry.place {
                Place::InFlight { moved } => *moved = true,
                Place::Unschedulable { plugins, .. } if plugins.is_empty() || plugins.iter().any(|p| helps(p)) => {
                    entry.place = Place::Backoff { until: now + backoff(entry.attempts), strict: false };
                }
                _ => {}
            }
        }
    }

    /// When a pod that waits by the clock comes up next.
    pub fn next_wake(&self) -> Option<Instant> {
        let due = self.entries.values().filter_map(|entry| match &entry.place {
            Place::Backoff { until, .. } => Some(*until),
            Place::Unschedulable { since, .. } => Some(*since + STALE),
            _ => None,
        });
        due.min()
    }

    /// Whether the pod is known here.
    pub fn contains(&self, uid: &str) -> bool {
        self.entries.contains_key(uid)
    }
}

/// 1 s, 2 s, 4 s, 8 s, 10 s …
fn backoff(attempts: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;

    fn name(popped: Option<Arc<PodInfo>>) -> Option<String> {
        popped.map(|pod| pod.pod.metadata.name.clone())
    }

    fn info(builder: crate::testing::PodBuilder) -> Arc<PodInfo> {
        Arc::new(builder.build())
    }

    #[test]
    fn important_ones_first_then_in_order() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for (pod_name, priority) in [("a", 0), ("b", 0), ("c", 5)] {
            queue.add(info(pod(pod_name).priority(priority)));
        }
        let order: Vec<_> = std::iter::from_fn(|| name(queue.pop(now))).collect();
        assert_eq!(order, ["c", "a", "b"]);
    }

    #[test]
    fn failed_pods_wait_for_a_change_that_concerns_them() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(info(pod("a")));
        queue.pop(now);
        queue.failed("uid-a", vec!["NodeResourcesFit"], now);
        queue.changed(now, |plugin| plugin == "NodeAffinity");
        assert!(queue.pop(now).is_none());
        queue.changed(now, |plugin| plugin == "NodeResourcesFit");
        assert_eq!(name(queue.pop(now)).as_deref(), Some("a"));
        // A change during the attempt counts too.
        queue.changed(now, |_| true);
        queue.failed("uid-a", vec!["NodeResourcesFit"], now);
        assert_eq!(name(queue.pop(now)).as_deref(), Some("a"));
        queue.failed("uid-a", vec!["NodeResourcesFit"], now);
        assert!(queue.pop(now).is_none());
        assert_eq!(name(queue.pop(now + STALE)).as_deref(), Some("a"));
    }

    #[test]
    fn errors_back_off() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(info(pod("a")));
        queue.pop(now);
        queue.errored("uid-a", now);
        assert!(queue.pop(now).is_none());
        assert_eq!(queue.next_wake(), Some(now + FIRST_BACKOFF));
        assert!(queue.pop(now + FIRST_BACKOFF).is_some());
        queue.errored("uid-a", now);
        assert_eq!(queue.next_wake(), Some(now + FIRST_BACKOFF * 2));
    }

    #[test]
    fn gates_hold_and_changes_release() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(info(pod("a").gate("wait")));
        queue.changed(now, |_| true);
        assert!(queue.pop(now).is_none());
        queue.add(info(pod("a")));
        assert!(queue.pop(now).is_some());
        queue.failed("uid-a", vec!["NodeAffinity"], now);
        queue.add(info(pod("a")));
        assert!(queue.pop(now).is_none(), "an unchanged pod is no news");
        queue.add(info(pod("a").node_selector("x", "y")));
        assert!(queue.pop(now).is_some());
        queue.remove("uid-a");
        assert!(!queue.contains("uid-a"));
    }
}
