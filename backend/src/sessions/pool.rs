//! The warm pool: clusters that are started ahead, of the playground's shape, and handed out at once.
//!
//! A lesson with another number of workers starts cold: that takes about 0.35 s, one worker more takes twice as long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use drydock_engine::Cluster;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use super::{Policy, Sessions, random_id};
use crate::admission::{self, Amount, Decision, Held, Rules};
use crate::error::{Error, chain};
use crate::store::WarmRow;

/// The playground's workers.
pub(crate) const WORKERS: u16 = 2;
/// After a start that failed, the next one waits for this.
const PAUSE: Duration = Duration::from_secs(30);
/// What was prepared for a class and not taken is given back after this.
const PREPARED: Duration = Duration::from_secs(2 * 60 * 60);
/// What an earlier run had ready is kept for so long, until classes have said again what they need.
const FOUND: Duration = Duration::from_secs(60);

/// Clusters of nobody.
#[derive(Default)]
pub(super) struct Pool {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    ready: Vec<Cluster>,
    /// The one that is coming up.
    making: Option<String>,
    maker: Option<JoinHandle<()>>,
    /// More than the usual number: how many for which class, up to an instant.
    prepared: BTreeMap<String, (usize, Instant)>,
    /// As many of an earlier run, up to an instant.
    found: Option<(usize, Instant)>,
    /// Not before this.
    pause: Option<Instant>,
    /// The server ends.
    closed: bool,
}

/// What to do about the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Make,
    GiveBack,
    Nothing,
}

/// Decides; `fits` says whether there is room for one more.
fn step(wanted: usize, ready: usize, making: bool, somebody_waits: bool, fits: impl FnOnce() -> bool) -> Step {
    if ready > wanted {
        Step::GiveBack
    } else if ready < wanted && !making && !somebody_waits && fits() {
        Step::Make
    } else {
        Step::Nothing
    }
}

impl Policy {
    /// The pool never takes the room of the next session of another shape.
    fn rules_of_pool(&self) -> Rules {
        let (reserve, next) = (self.rules.reserve, Amount::expected(WORKERS));
        Rules { places: usize::MAX, reserve: reserve.plus(next) }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its clusters hold.
    pub(super) fn held(&self, idle: Amount) -> Vec<Held> {
        let inner = self.lock();
        let expected = Amount::expected(WORKERS);
        let ready = inner.ready.iter().map(|_| Held { expected, used: idle, starting: false, warm: true });
        let making =
            inner.making.iter().map(|_| Held { expected, used: Amount::default(), starting: true, warm: true });
        ready.chain(making).collect()
    }

    /// Names of all its clusters.
    pub(super) fn names(&self) -> Vec<String> {
        let inner = self.lock();
        inner.ready.iter().map(|it| it.spec.name.clone()).chain(inner.making.clone()).collect()
    }

    /// Clusters that are ready.
    pub(crate) fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    pub(super) fn put(&self, cluster: Cluster) {
        self.lock().ready.push(cluster);
    }

    fn prepare(&self, class: &str, count: usize) {
        let mut inner = self.lock();
        if count == 0 {
            inner.prepared.remove(class);
        } else {
            inner.prepared.entry(class.to_owned()).or_insert((0, Instant::now() + PREPARED)).0 = count;
        }
    }

    fn wanted(&self, usual: usize) -> usize {
        let (inner, now) = (self.lock(), Instant::now());
        let holds = |(count, until): &(usize, Instant)| if now < *until { *count } else { 0 };
        let prepared: usize = inner.prepared.values().map(holds).sum();
        usual + prepared.max(inner.found.as_ref().map_or(0, holds))
    }
}

impl Sessions {
    /// Keeps `count` clusters ready for a class, beside the usual ones and those of other classes. How many that will be is for
    /// admission to say; what nobody takes is given back two hours after the first call for the class.
    pub(crate) fn prepare(&self, class: &str, count: usize) {
        self.pool.prepare(class, count);
    }

    /// Clusters of the warm pool that are ready.
    pub(crate) fn warm(&self) -> usize {
        self.pool.ready()
    }

    /// A cluster for a session of `workers` workers, if one is there and well.
    pub(super) async fn take_warm(&self, workers: u16) -> Option<Cluster> {
        loop {
            let cluster = {
                let mut inner = self.pool.lock();
                let index = inner.ready.iter().position(|it| it.spec.workers == workers)?;
                inner.ready.remove(index)
            };
            let name = cluster.spec.name.clone();
            match self.engine.get(&name).await {
                Ok(cluster) => return Some(cluster),
                Err(error) => {
                    tracing::warn!(cluster.name = name, error = chain(&error), "a warm cluster is gone");
                    self.remove_warm(&name).await;
                }
            }
        }
    }

    /// Removes one of the pool's clusters; whether there was one.
    pub(super) async fn give_warm_back(&self) -> bool {
        let Some(cluster) = self.pool.lock().ready.pop() else { return false };
        tracing::info!(cluster.name = cluster.spec.name, "a warm cluster is given back");
        self.remove_warm(&cluster.spec.name).await;
        true
    }

    async fn remove_warm(&self, name: &str) {
        let removed = self.engine.delete(name).await.map_err(Error::from);
        // A row whose cluster could not be removed stays: the next start tries again.
        let outcome = match removed {
            Ok(()) => self.store.drop_warm(name).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::error!(cluster.name = name, error = chain(&error), "cannot give a warm cluster back");
        }
    }

    /// Makes or removes at most one cluster.
    pub(super) fn tend_pool(self: &Arc<Self>) -> BoxFuture<'_, ()> {
        Box::pin(self.tend())
    }

    async fn tend(self: &Arc<Self>) {
        let wanted = self.pool.wanted(self.policy.warm);
        let (ready, making, pausing, closed) = {
            let inner = self.pool.lock();
            let pausing = inner.pause.is_some_and(|until| Instant::now() < until);
            (inner.ready.len(), inner.making.is_some(), pausing, inner.closed)
        };
        if closed {
            return;
        }
        let fits = || {
            let (measured, held) = (self.measured(), self.held());
            !pausing
                && admission::plan(&measured, &held, Amount::expected(WORKERS), &self.policy.rules_of_pool())
                    == Decision::Accept
        };
        match step(wanted, ready, making, !self.waiting().is_empty(), fits) {
            Step::Make => {
                let name = format!("s-{}", &random_id()[..12]);
                let mut inner = self.pool.lock();
                // Nothing is begun after the pool was drained.
                if inner.closed {
                    return;
                }
                inner.making = Some(name.clone());
                inner.maker = Some(tokio::spawn(self.clone().make_warm(name)));
            }
            Step::GiveBack => {
                self.give_warm_back().await;
            }
            Step::Nothing => {}
        }
    }

    async fn make_warm(self: Arc<Self>, name: String) {
        let made = async {
            let row = WarmRow { name: name.clone(), workers: WORKERS, ready: false };
            self.store.put_warm(&row).await?;
            let cluster = self.engine.create(&self.spec(&name, WORKERS), &|_| {}).await?;
            self.store.put_warm(&WarmRow { ready: true, ..row }).await?;
            Ok::<_, Error>(cluster)
        };
        let outcome = made.await;
        let closed = {
            let mut inner = self.pool.lock();
            inner.making = None;
            inner.pause = outcome.is_err().then(|| Instant::now() + PAUSE);
            inner.closed
        };
        match outcome {
            Ok(cluster) if !closed => {
                self.pool.put(cluster);
                self.advance().await;
                self.tend_pool().await;
            }
            Ok(_) => self.remove_warm(&name).await,
            Err(error) => {
                tracing::error!(cluster.name = name, error = chain(&error), "cannot start a cluster ahead");
                self.remove_warm(&name).await;
            }
        }
    }

    /// Finds the clusters of an earlier run: those that are as they would be made now are kept.
    pub(super) async fn find_warm(&self, clusters: &[Cluster]) -> Result<(), Error> {
        for row in self.store.warm().await? {
            match clusters.iter().find(|it| it.spec.name == row.name) {
                Some(cluster) if row.ready && cluster.spec == self.spec(&row.name, row.workers) => {
                    self.pool.put(cluster.clone());
                }
                _ => self.remove_warm(&row.name).await,
            }
        }
        let more = self.pool.ready().saturating_sub(self.policy.warm);
        self.pool.lock().found = Some((more, Instant::now() + FOUND));
        Ok(())
    }

    /// Gives all back, at the server's end.
    pub(super) async fn drain(&self) {
        let maker = {
            let mut inner = self.pool.lock();
            inner.closed = true;
            inner.maker.take()
        };
        if let Some(maker) = maker {
            maker.abort();
            // How it ended does not matter, but nothing of it runs any more.
            let _ = maker.await;
        }
        while self.give_warm_back().await {}
        let making = self.pool.lock().making.take();
        if let Some(name) = making {
            self.remove_warm(&name).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_their_clusters_side_by_side() {
        let pool = Pool::default();
        assert_eq!(pool.wanted(1), 1);
        for (class, count, expected) in
            [("a", 20, 21), ("b", 10, 31), ("a", 19, 30), ("b", 0, 20), ("b", 0, 20), ("a", 0, 1)]
        {
            pool.prepare(class, count);
            assert_eq!(pool.wanted(1), expected, "{count} for {class}");
        }
        // What is there after a restart is enough for the class that it was made for.
        pool.lock().found = Some((3, Instant::now() + FOUND));
        assert_eq!(pool.wanted(1), 4);
        pool.prepare("a", 3);
        assert_eq!(pool.wanted(1), 4);
        pool.prepare("a", 5);
        assert_eq!(pool.wanted(1), 6);
        let past = Instant::now();
        let mut inner = pool.lock();
        inner.found = Some((9, past));
        inner.prepared.insert("a".to_owned(), (9, past));
        drop(inner);
        assert_eq!(pool.wanted(1), 1);
    }

    #[test]
    fn steps() {
        for (wanted, ready, making, waits, fits, expected) in [
            (1, 0, false, false, true, Step::Make),
            (1, 0, true, false, true, Step::Nothing),
            (1, 0, false, true, true, Step::Nothing),
            (1, 0, false, false, false, Step::Nothing),
            (1, 1, false, false, true, Step::Nothing),
            (1, 2, false, false, true, Step::GiveBack),
            (0, 0, false, false, true, Step::Nothing),
            (30, 12, false, false, true, Step::Make),
        ] {
            assert_eq!(step(wanted, ready, making, waits, || fits), expected, "{wanted} {ready} {making} {waits}");
        }
    }
}
