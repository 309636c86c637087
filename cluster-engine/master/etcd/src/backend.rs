//! Store, watches and log together: what is answered is on the disk.
//!
//! Requests change the store at once and put their record into a batch. One task writes the batch, waits
//! for the disk, wakes watches and lets the answers go; what arrives meanwhile shares the next batch
//! (group commit). Reads wait too while anything they may have seen is not on the disk, so no answer ever
//! shows what a crash could take back.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use drydock_component::{Shutdown, duration};
use drydock_etcd_proto::etcdserverpb::{AlarmType, ResponseHeader};
use tokio::sync::{Notify, watch};

use crate::error::Error;
use crate::log::{Log, LogError, frame};
use crate::store::{Record, Store};
use crate::watch::Hub;

/// Name of the file in the data directory that slows writes, see [`Backend::write_delay`].
const WRITE_DELAY: &str = "write-delay";
/// More would not be slow but dead.
const LONGEST_WRITE_DELAY: Duration = Duration::from_secs(60);

/// Limits that requests are held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations in one transaction.
    pub txn_ops: usize,
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes kept before the NOSPACE alarm; 0 for no limit.
    pub quota: u64,
    /// Time between progress notifications.
    pub progress_interval: Duration,
}

/// The shared state behind all services.
#[derive(Debug)]
pub struct Backend {
    state: Mutex<State>,
    /// How much of what was appended is on the disk, in records.
    durable: watch::Sender<u64>,
    work: Notify,
    leases: Notify,
    started: Instant,
    data_dir: PathBuf,
    stopping: Shutdown,
    /// What requests are held to.
    pub limits: Limits,
}

#[derive(Debug)]
struct State {
    store: Store,
    hub: Hub,
    /// Framed records that wait for the log.
    batch: Vec<u8>,
    appended: u64,
    /// The newest revision on the disk.
    known: i64,
    log_size: u64,
    compress: bool,
    statistics: Statistics,
    next_lease: i64,
}

/// Counters for `/metrics`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Batches written.
    pub batches: u64,
    /// Time spent writing them.
    pub writing: Duration,
    /// Range requests answered.
    pub ranges: u64,
    /// Puts, also those inside transactions that were not counted apart.
    pub puts: u64,
    /// Deletions.
    pub deletes: u64,
    /// Transactions.
    pub txns: u64,
}

/// Numbers about the store for Status and `/metrics`.
#[derive(Clone, Copy, Debug)]
pub struct Overview {
    /// Header of an answer given now.
    pub header: ResponseHeader,
    /// Size of the log file.
    pub log_size: u64,
    /// Size of what is kept.
    pub bytes: u64,
    /// Records applied.
    pub index: u64,
    /// Last compacted revision.
    pub compacted: i64,
    /// Watches.
    pub watchers: usize,
    /// Watch streams.
    pub streams: usize,
    /// Counters.
    pub statistics: Statistics,
}

impl Backend {
    /// A backend over a freshly read store. `started` is the zero of the store's clock.
    pub fn new(
        store: Store,
        log: &Log,
        data_dir: PathBuf,
        limits: Limits,
        started: Instant,
        stopping: Shutdown,
    ) -> Arc<Backend> {
        let known = store.revision();
        let next_lease = first_lease_id(store.identity().member);
        let state = State {
            store,
            hub: Hub::default(),
            batch: Vec::new(),
            appended: 0,
            known,
            log_size: log.size(),
            compress: false,
            statistics: Statistics::default(),
            next_lease,
        };
        Arc::new(Backend {
            state: Mutex::new(state),
            durable: watch::Sender::new(0),
            work: Notify::new(),
            leases: Notify::new(),
            started,
            data_dir,
            stopping,
            limits,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The store is only ever changed by code that checks first and then cannot fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Resolves when the server stops.
    pub async fn stopping(&self) {
        self.stopping.wait().await;
    }

    /// Answers from the store once everything the answer may show is on the disk.
    ///
    /// # Errors
    /// Those of `read`; [`Error::Stopped`] when the log failed.
    pub async fn read<T>(&self, read: impl FnOnce(&Store, Duration) -> Result<T, Error>) -> Result<T, Error> {
        let (answer, upto) = {
            let state = self.state();
            (read(&state.store, self.now())?, state.appended)
        };
        self.on_disk(upto).await?;
        Ok(answer)
    }

    /// Changes the store and answers once the change is on the disk.
    ///
    /// # Errors
    /// Those of `write`, which must not have changed anything then; [`Error::Stopped`] when the log failed.
    pub async fn write<T>(
        &self,
        write: impl FnOnce(&mut Store, Duration) -> Result<(T, Option<Record>), Error>,
    ) -> Result<T, Error> {
        let (answer, upto) = {
            let mut state = self.state();
            let (answer, record) = write(&mut state.store, self.now())?;
            if let Some(record) = record {
                self.log(&mut state, &record);
            }
            if self.limits.quota > 0
                && state.store.bytes() > self.limits.quota
                && let Some(alarm) = state.store.raise_alarm(AlarmType::Nospace)
            {
                tracing::warn!(quota.bytes = self.limits.quota, "the quota is used up; compact, defragment, disarm");
                self.log(&mut state, &alarm);
            }
            (answer, state.appended)
        };
        self.on_disk(upto).await?;
        Ok(answer)
    }

    fn log(&self, state: &mut State, record: &Record) {
        frame(record, &mut state.batch);
        state.appended += 1;
        self.work.notify_one();
    }

    async fn on_disk(&self, upto: u64) -> Result<(), Error> {
        if *self.durable.borrow() >= upto {
            return Ok(());
        }
        let mut durable = self.durable.subscribe();
        tokio::select! {
            reached = durable.wait_for(|durable| *durable >= upto) => reached.map(|_| ()).map_err(|_| Error::Stopped),
            // A stopping server still writes its last batch; one whose log failed never does.
            () = async { self.stopping.wait().await; tokio::time::sleep(Duration::from_secs(1)).await } => Err(Error::Stopped),
        }
    }

    /// Looks at the watches together with the store; the last argument is the newest revision that may
    /// be told.
    pub fn watches<T>(&self, look: impl FnOnce(&mut Hub, &Store, i64) -> T) -> T {
        let state = &mut *self.state();
        look(&mut state.hub, &state.store, state.known)
    }

    /// Counts a request.
    pub fn count(&self, count: impl FnOnce(&mut Statistics)) {
        count(&mut self.state().statistics);
    }

    /// A lease id that no client asked for.
    pub fn new_lease_id(&self) -> i64 {
        let mut state = self.state();
        loop {
            state.next_lease = (state.next_lease + 1) & i64::MAX;
            if state.next_lease != 0 && state.store.lease(state.next_lease).is_none() {
                return state.next_lease;
            }
        }
    }

    /// Tells the task that ends leases that there is a new one.
    pub fn lease_granted(&self) {
        self.leases.notify_one();
    }

    /// Numbers for Status and metrics.
    pub fn overview(&self) -> Overview {
        let state = self.state();
        Overview {
            header: state.store.header(),
            log_size: state.log_size,
            bytes: state.store.bytes(),
            index: state.store.index(),
            compacted: state.store.compacted(),
            watchers: state.hub.watchers(),
            streams: state.hub.streams(),
            statistics: state.statistics,
        }
    }

    /// A snapshot file (see [`crate::snapshot`]) and its size.
    ///
    /// # Errors
    /// [`Error::NoSpace`] when the data directory cannot take the file.
    pub async fn snapshot(&self) -> Result<(File, u64), Error> {
        self.read(|store, _| {
            crate::snapshot::write(store, &self.data_dir).map_err(|error| {
                tracing::error!(%error, "cannot write a snapshot");
                Error::NoSpace
            })
        })
        .await
    }

    /// Rewrites the log without history that the store no longer has.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the log failed.
    pub async fn defragment(&self) -> Result<(), Error> {
        let upto = {
            let mut state = self.state();
            state.compress = true;
            // Counted like a record, so that waiting for it is waiting for the rewritten log.
            state.appended += 1;
            self.work.notify_one();
            state.appended
        };
        self.on_disk(upto).await
    }

    /// Writes batches until shutdown; the last batch is written before it returns.
    ///
    /// # Errors
    /// When the log fails: nothing can be acknowledged any more.
    pub async fn commit_batches(&self, mut log: Log, shutdown: Shutdown) -> Result<(), LogError> {
        loop {
            let stopped = tokio::select! {
                () = self.work.notified() => false,
                () = shutdown.wait() => true,
            };
            log = self.commit_batch(log).await?;
            if stopped {
                return Ok(());
            }
        }
    }

    /// How long each write shall take longer, as a fault for those who learn: the text of the data directory's file
    /// [`WRITE_DELAY`], a duration as in flags. Looked up at each batch, which has a far longer way before it.
    fn write_delay(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(self.data_dir.join(WRITE_DELAY)).ok()?;
        duration::parse(text.trim()).map(|delay| delay.min(LONGEST_WRITE_DELAY))
    }

    async fn commit_batch(&self, mut log: Log) -> Result<Log, LogError> {
        loop {
            let begun = Instant::now();
            let (batch, upto, revision, rotate) = {
                let state = &mut *self.state();
                if state.appended == *self.durable.borrow() {
                    return Ok(log);
                }
                let rotate = std::mem::take(&mut state.compress) || log.wants_rotation(&state.store);
                // A rotation holds the batch already: the store is ahead of the log.
                let batch = std::mem::take(&mut state.batch);
                if rotate {
                    log.rotate(&state.store)?;
                }
                (batch, state.appended, state.store.revision(), rotate)
            };
            if let Some(delay) = self.write_delay() {
                tokio::time::sleep(delay).await;
            }
            log = blocking(log.waits(), move || if rotate { log.publish() } else { log.append(&batch) }.map(|()| log))
                .await?;
            let state = &mut *self.state();
            let from = state.known + 1;
            state.known = revision;
            if from <= revision {
                state.hub.changed(&state.store, from, revision);
            }
            state.log_size = log.size();
            state.statistics.batches += 1;
            state.statistics.writing += begun.elapsed();
            self.durable.send_replace(upto);
        }
    }

    /// Ends leases whose time is over, until shutdown.
    pub async fn expire_leases(&self, shutdown: Shutdown) {
        loop {
            let next = self.state().store.next_expiry();
            let over = async {
                match next {
                    Some(next) => tokio::time::sleep(next.saturating_sub(self.now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => {}
                () = self.leases.notified() => continue,
                () = shutdown.wait() => return,
            }
            let expired = self.state().store.expired(self.now());
            for id in expired {
                // Gone already is as good.
                let _ = self.write(|store, _| Ok(((), Some(store.revoke(id)?)))).await;
            }
        }
    }
}

/// Runs `work` off the runtime's thread when it waits for a disk, and on it when it does not.
async fn blocking<T: Send + 'static>(waits: bool, work: impl FnOnce() -> T + Send + 'static) -> T {
    if !waits {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Ids of leases start anywhere, so that a restarted server does not hand out an id it handed out before.
fn first_lease_id(member: u64) -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mixed = member.rotate_left(48) ^ ((since_epoch.as_millis() as u64) << 16);
    i64::try_from(mixed & (i64::MAX as u64)).unwrap_or(0)
}
