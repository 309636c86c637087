//! Which events are new, which repeat, which are similar, which are too many
//! (client-go's EventCorrelator with its default numbers).

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{EventType, ObjectReference, Occurrence};

/// More different messages than this within the time below are combined into one event.
const SIMILAR: usize = 10;
const SIMILAR_TIME: Duration = Duration::from_secs(600);
/// An object may cause this many events at once, and one more each refill time.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);
/// How many keys of each table are remembered.
const REMEMBER: usize = 512;

/// What makes events the same: everything but the message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Group {
    about: ObjectReference,
    kind: EventType,
    reason: String,
}

/// The identity under which an event is counted; the message is empty for combined events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    group: Group,
    message: String,
}

/// What to do with an occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create { key: Key, message: String },
    Update { key: Key, name: String, count: u32, message: String },
}

impl Step {
    pub(super) fn begin_anew(self) -> Step {
        match self {
            Step::Update { key, message, .. } | Step::Create { key, message } => Step::Create { key, message },
        }
    }
}

struct Known {
    name: String,
    count: u32,
}

struct Similar {
    messages: HashSet<String>,
    last: Instant,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// A map that forgets its oldest keys.
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Bounded { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: std::hash::Hash + Eq + Clone, V> Bounded<K, V> {
    fn entry(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if !self.map.contains_key(key) {
            if self.order.len() >= REMEMBER
                && let Some(oldest) = self.order.pop_front()
            {
                self.map.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.map.entry(key.clone()).or_insert_with(make)
    }
}

#[derive(Default)]
pub(super) struct Correlator {
    known: Bounded<Key, Known>,
    similar: Bounded<Group, Similar>,
    buckets: Bounded<ObjectReference, Bucket>,
}

impl Correlator {
    /// What to do, or `None` if the object floods.
    pub(super) fn step(&mut self, occurrence: &Occurrence, now: Instant) -> Option<Step> {
        // The object's state is no part of an event's identity.
        let about = ObjectReference { resource_version: String::new(), ..occurrence.about.clone() };
        let object = ObjectReference { field_path: String::new(), ..about.clone() };
        let group = Group { about, kind: occurrence.kind, reason: occurrence.reason.clone() };

        let similar = self.similar.entry(&group, || Similar { messages: HashSet::new(), last: now });
        if now.duration_since(similar.last) > SIMILAR_TIME {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(occurrence.message.clone());
        let is_combined = similar.messages.len() >= SIMILAR;
        if is_combined {
            // The set stays full but for one, so that the messages in it still count on their own.
            similar.messages.remove(&occurrence.message);
        }
        let (key, message) = if is_combined {
            let message = format!("(combined from similar events): {}", occurrence.message);
            (Key { group, message: String::new() }, message)
        } else {
            (Key { group, message: occurrence.message.clone() }, occurrence.message.clone())
        };

        let bucket = self.buckets.entry(&object, || Bucket { tokens: BURST, at: now });
        let refilled = now.duration_since(bucket.at).as_secs_f64() / REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + refilled).min(BURST);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return None;
        }
        bucket.tokens -= 1.0;

        Some(match self.known.map.get_mut(&key) {
            Some(known) => {
                known.count += 1;
                Step::Update { key, name: known.name.clone(), count: known.count, message }
            }
            None => Step::Create { key, message },
        })
    }

    /// The event was created under this name.
    pub(super) fn created(&mut self, key: &Key, name: String) {
        let known = self.known.entry(key, || Known { name: String::new(), count: 1 });
        known.name = name;
        known.count = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(name: &str, message: &str) -> Occurrence {
        Occurrence {
            about: ObjectReference { name: name.into(), ..ObjectReference::default() },
            kind: EventType::Normal,
            reason: "Pulled".into(),
            message: message.into(),
            annotations: Vec::new(),
        }
    }

    fn take(correlator: &mut Correlator, event: &Occurrence, now: Instant) -> String {
        match correlator.step(event, now) {
            None => "dropped".into(),
            Some(Step::Update { name, count, .. }) => format!("{name} x{count}"),
            Some(Step::Create { key, message }) => {
                correlator.created(&key, message.clone());
                format!("new {message}")
            }
        }
    }

    #[test]
    fn repeats_are_counted() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        let mut again = occurrence("a", "one");
        assert_eq!(take(&mut correlator, &again, now), "new one");
        again.about.resource_version = "7".into();
        assert_eq!(take(&mut correlator, &again, now), "one x2");
        assert_eq!(take(&mut correlator, &occurrence("b", "one"), now), "new one");
    }

    #[test]
    fn similar_ones_are_combined() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        for n in 0..9 {
            assert_eq!(take(&mut correlator, &occurrence("a", &n.to_string()), now), format!("new {n}"));
        }
        assert_eq!(take(&mut correlator, &occurrence("a", "9"), now), "new (combined from similar events): 9");
        assert_eq!(take(&mut correlator, &occurrence("a", "10"), now), "(combined from similar events): 9 x2");
        let now = now + SIMILAR_TIME * 2;
        assert_eq!(take(&mut correlator, &occurrence("a", "11"), now), "new 11");
    }

    #[test]
    fn floods_are_cut_off() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        let event = occurrence("a", "one");
        for _ in 0..25 {
            assert_ne!(take(&mut correlator, &event, now), "dropped");
        }
        assert_eq!(take(&mut correlator, &event, now), "dropped");
        let now = now + REFILL;
        assert_eq!(take(&mut correlator, &event, now), "one x26");
    }
}
