//! A work queue as client-go's: one key is worked on by one worker at a time, repeated adds
//! collapse, failures come back later and later.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Pause after the first failure of a key; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause. Upstream goes to 1000 s; in a lab somebody is waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A queue of keys; clones share it.
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        WorkQueue { shared: self.shared.clone() }
    }
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    /// To be worked on, in order.
    ready: VecDeque<K>,
    /// Keys in `ready`, or added again while being worked on.
    dirty: HashSet<K>,
    working: HashSet<K>,
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed_keys: HashMap<u64, K>,
    /// When a delayed key is due first: a later add_after of the same key does not count.
    due: HashMap<K, (Instant, u64)>,
    serial: u64,
    failures: HashMap<K, u32>,
    closed: bool,
}

impl<K: Eq + Hash + Clone> Default for WorkQueue<K> {
    fn default() -> Self {
        WorkQueue::new()
    }
}

impl<K: Eq + Hash + Clone> WorkQueue<K> {
    /// An empty queue.
    pub fn new() -> WorkQueue<K> {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            delayed: BinaryHeap::new(),
            delayed_keys: HashMap::new(),
            due: HashMap::new(),
            serial: 0,
            failures: HashMap::new(),
            closed: false,
        };
        WorkQueue { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key unless it waits already; if it is being worked on, it comes again afterwards.
    pub fn add(&self, key: K) {
        if self.state().add(key) {
            self.shared.changed.notify_one();
        }
    }

    /// Adds a key later.
    pub fn add_after(&self, key: K, pause: Duration) {
        if pause.is_zero() {
            return self.add(key);
        }
        let mut state = self.state();
        let at = Instant::now() + pause;
        if let Some((due, serial)) = state.due.get(&key).copied() {
            if due <= at {
                return;
            }
            state.delayed_keys.remove(&serial);
        }
        state.serial += 1;
        let serial = state.serial;
        state.delayed.push(Reverse((at, serial)));
        state.delayed_keys.insert(serial, key.clone());
        state.due.insert(key, (at, serial));
        drop(state);
        // A getter may sleep until a later key.
        self.shared.changed.notify_one();
    }

    /// Adds a key that failed: after 5 ms, 10 ms, 20 ms …
    pub fn add_rate_limited(&self, key: K) {
        let pause = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            *failures += 1;
            FIRST_PAUSE.saturating_mul(1 << (*failures - 1).min(20)).min(LONGEST_PAUSE)
        };
        self.add_after(key, pause);
    }

    /// The key succeeded: its next failure counts as the first.
    pub fn forget(&self, key: &K) {
        self.state().failures.remove(key);
    }

    /// How often the key failed since it was last forgotten.
    pub fn failures(&self, key: &K) -> u32 {
        self.state().failures.get(key).copied().unwrap_or_default()
    }

    /// How many keys wait to be worked on now.
    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    /// Whether no key waits to be worked on now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next key; call [`WorkQueue::done`] after the work. `None` once shut down.
    pub async fn get(&self) -> Option<K> {
        loop {
            let changed = self.shared.changed.notified();
            let next_due = {
                let mut state = self.state();
                state.promote(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.dirty.remove(&key);
                    state.working.insert(key.clone());
                    if !state.ready.is_empty() {
                        self.shared.changed.notify_one();
                    }
                    return Some(key);
                }
                if state.closed {
                    drop(state);
                    self.shared.changed.notify_one();
                    return None;
                }
                state.delayed.peek().map(|Reverse((at, _))| *at)
            };
            match next_due {
                None => changed.await,
                Some(at) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
            }
        }
    }

    /// The work on a key is over.
    pub fn done(&self, key: &K) {
        let mut state = self.state();
        state.working.remove(key);
        if state.dirty.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Lets every `get` return `None` once the ready keys are used up.
    pub fn shut_down(&self) {
        self.state().closed = true;
        self.shared.changed.notify_one();
    }
}

impl<K: Eq + Hash + Clone> State<K> {
    /// Whether a worker should look.
    fn add(&mut self, key: K) -> bool {
        if self.closed || !self.dirty.insert(key.clone()) || self.working.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    /// Moves what is due to the ready keys.
    fn promote(&mut self, now: Instant) {
        while let Some(Reverse((at, serial))) = self.delayed.peek().copied() {
            if at > now {
                return;
            }
            self.delayed.pop();
            if let Some(key) = self.delayed_keys.remove(&serial) {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn repeated_adds_collapse_and_a_working_key_comes_again() {
        let queue = WorkQueue::new();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.get().await, Some("a"));
        queue.add("a");
        assert_eq!(queue.get().await, Some("b"));
        assert_eq!(queue.len(), 0, "a is being worked on");
        queue.done(&"a");
        assert_eq!(queue.get().await, Some("a"));
    }

    #[tokio::test]
    async fn delayed_keys_come_in_time_and_the_earliest_wins() {
        let queue = WorkQueue::new();
        let start = Instant::now();
        let millis = Duration::from_millis;
        queue.add_after("late", millis(40));
        queue.add_after("late", millis(400_000));
        queue.add_after("soon", millis(900_000));
        queue.add_after("soon", millis(5));
        assert_eq!(queue.get().await, Some("soon"));
        assert!(start.elapsed() >= millis(5));
        assert_eq!(queue.get().await, Some("late"));
        assert!(start.elapsed() >= millis(40));
        queue.shut_down();
        assert_eq!(queue.get().await, None);
    }

    #[tokio::test]
    async fn failures_back_off_until_forgotten() {
        let queue = WorkQueue::new();
        for pause in [5, 10, 20] {
            let start = Instant::now();
            queue.add_rate_limited(1);
            assert_eq!(queue.get().await, Some(1));
            assert!(start.elapsed().as_millis() >= pause);
            queue.done(&1);
        }
        assert_eq!(queue.failures(&1), 3);
        queue.forget(&1);
        assert_eq!(queue.failures(&1), 0);
    }

    #[tokio::test]
    async fn an_add_wakes_a_waiting_getter() {
        let queue = WorkQueue::new();
        let getter = tokio::spawn({
            let queue = queue.clone();
            async move { queue.get().await }
        });
        tokio::task::yield_now().await;
        queue.add(3);
        assert_eq!(getter.await.unwrap(), Some(3));
    }
}
