//! What goes wrong next, by chance: pure, so that a seed tells the same story again.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// The control plane's components, and kube-proxy, which every node has.
const COMPONENTS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"];
/// What a node can suffer until it is healed.
const SUFFERINGS: [&str; 4] = ["stop", "kill", "freeze", "cut"];
/// The most workers a session grows to.
const MOST_WORKERS: usize = 3;

/// Something that goes wrong in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A node suffers until it is healed.
    Node {
        /// Which.
        node: String,
        /// As `drydock fault node` calls it.
        suffering: &'static str,
    },
    /// A component of the master dies; its kubelet starts it again.
    KillComponent(&'static str),
    /// A component of the master hangs until it goes on.
    PauseComponent(&'static str),
    /// A node hears only a part of the packets.
    Loss {
        /// Which.
        node: String,
        /// How many of a hundred are lost.
        percent: u8,
    },
    /// etcd writes slowly.
    SlowWrites(Duration),
    /// One more worker.
    AddWorker,
    /// One worker less.
    RemoveWorker(String),
    /// The process that holds the session together is killed, and every node with it.
    PowerCut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Node { suffering, .. } => write!(f, "node {suffering}"),
            Fault::KillComponent(component) => write!(f, "{component} kill"),
            Fault::PauseComponent(component) => write!(f, "{component} pause"),
            Fault::Loss { .. } => f.write_str("packet loss"),
            Fault::SlowWrites(_) => f.write_str("slow writes"),
            Fault::AddWorker => f.write_str("worker added"),
            Fault::RemoveWorker(_) => f.write_str("worker removed"),
            Fault::PowerCut => f.write_str("power cut"),
        }
    }
}

/// The bad luck of one session.
pub(crate) struct Luck(StdRng);

impl Luck {
    /// Every session has its own, told by the run's seed and its number.
    pub(crate) fn new(seed: u64, session: usize) -> Luck {
        Luck(StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(session as u64)))
    }

    /// What goes wrong next, with these workers there. The last worker stays.
    pub(crate) fn next(&mut self, workers: &[String]) -> Fault {
        let rng = &mut self.0;
        let component = COMPONENTS.choose(rng).copied().unwrap_or("etcd");
        let worker = workers.choose(rng).cloned().unwrap_or_default();
        match rng.random_range(0..100) {
            0..30 => Fault::Node { node: worker, suffering: SUFFERINGS.choose(rng).copied().unwrap_or("kill") },
            30..50 => Fault::KillComponent(component),
            50..65 => Fault::PauseComponent(component),
            65..75 => Fault::Loss { node: worker, percent: rng.random_range(5..60) },
            75..85 => Fault::SlowWrites(Duration::from_millis(rng.random_range(20..300))),
            85..92 if workers.len() < MOST_WORKERS => Fault::AddWorker,
            85..92 => Fault::RemoveWorker(worker),
            92..96 if workers.len() > 1 => Fault::RemoveWorker(worker),
            92..96 => Fault::AddWorker,
            _ => Fault::PowerCut,
        }
    }

    /// A span of time between two bounds.
    pub(crate) fn span(&mut self, from: Duration, to: Duration) -> Duration {
        Duration::from_millis(self.0.random_range(from.as_millis() as u64..to.as_millis() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_same_story_and_the_last_worker_stays() {
        let story = |seed| {
            let mut luck = Luck::new(seed, 3);
            let mut workers = vec!["worker-1".to_owned()];
            let mut told = Vec::new();
            for number in 0..500 {
                let fault = luck.next(&workers);
                match &fault {
                    Fault::AddWorker => workers.push(format!("new-{number}")),
                    Fault::RemoveWorker(worker) => workers.retain(|it| it != worker),
                    _ => {}
                }
                assert!((1..=MOST_WORKERS).contains(&workers.len()), "{fault:?} left {workers:?}");
                told.push(fault);
            }
            told
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
        let kinds: std::collections::BTreeSet<String> = story(7).iter().map(ToString::to_string).collect();
        assert_eq!(kinds.len(), 4 + 5 + 5 + 5, "every kind happens: {kinds:?}");
    }
}
