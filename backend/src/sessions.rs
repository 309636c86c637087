//! Sessions: accepted, started, watched, extended, reset and ended; found again after a restart.

mod faults;
mod hub;
mod nodes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drydock_engine::{Cluster, ClusterSpec, Engine, Stage, WorkstationSpec};
use drydock_protocol::{CheckStatus, CreateSession, Session, SessionState, StartStage, StepState};

pub(crate) use hub::Hub;

use crate::error::{Error, chain};
use crate::lessons::{self, Definition};
use crate::live;
use crate::store::{SessionRow, Store};

/// How often times are checked.
const TICK: Duration = Duration::from_secs(1);
/// Before the end, a notice warns this early.
const WARNING: Duration = Duration::from_secs(5 * 60);

/// What every session is given.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Time until a session ends, and what *extend* adds.
    pub(crate) time_limit: Duration,
    /// A session never lives longer than this.
    pub(crate) longest: Duration,
    /// Sessions at once.
    pub(crate) max_sessions: usize,
    /// The learner's shell.
    pub(crate) workstation: WorkstationSpec,
    /// A static busybox for shells on nodes.
    pub(crate) node_shell: Option<std::path::PathBuf>,
    /// Limits of each node.
    pub(crate) limits: drydock_engine::host::NodeLimits,
}

/// All sessions of this server.
pub(crate) struct Sessions {
    engine: Engine,
    store: Store,
    policy: Policy,
    open: Mutex<HashMap<String, Arc<Hub>>>,
}

impl Sessions {
    /// Finds the sessions of earlier runs again: those whose cluster is still there go on, the others are over.
    ///
    /// # Errors
    /// When the database or the host fails.
    pub(crate) async fn resume(engine: Engine, store: Store, policy: Policy) -> Result<Arc<Sessions>, Error> {
        let sessions = Arc::new(Sessions { engine, store, policy, open: Mutex::default() });
        let rows = sessions.store.open_sessions().await?;
        if !rows.is_empty() {
            let clusters = sessions.engine.list().await?;
            for row in rows {
                match clusters.iter().find(|cluster| cluster.spec.name == row.name) {
                    Some(cluster) if row.state == SessionState::Ready => sessions.adopt(row, cluster).await?,
                    Some(_) => {
                        sessions.engine.delete(&row.name).await?;
                        sessions.close(row, "The server stopped while this session was starting or ending.").await?;
                    }
                    None => sessions.close(row, "The server was restarted and the cluster was gone.").await?,
                }
            }
        }
        tokio::spawn(sessions.clone().keep_time());
        Ok(sessions)
    }

    async fn adopt(self: &Arc<Self>, row: SessionRow, cluster: &Cluster) -> Result<(), Error> {
        tracing::info!(session.name = row.name, "found again");
        let hub = self.open_hub(row).await?;
        hub.set_state(SessionState::Ready, None);
        self.watch(&hub, cluster).await
    }

    async fn close(&self, mut row: SessionRow, reason: &str) -> Result<(), Error> {
        row.state = SessionState::Ended;
        row.reason = Some(reason.to_owned());
        Ok(self.store.put_session(&row).await?)
    }

    async fn open_hub(self: &Arc<Self>, row: SessionRow) -> Result<Arc<Hub>, Error> {
        let steps = self.store.steps_done(&row.id).await?;
        let hub = Arc::new(Hub::new(row, steps, self.store.clone(), &self.policy));
        self.remember_faults(&hub).await?;
        self.lock().insert(hub.id().to_owned(), hub.clone());
        Ok(hub)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Hub>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions that are not over.
    pub(crate) fn open(&self) -> Vec<Arc<Hub>> {
        self.lock().values().cloned().collect()
    }

    /// The engine, for terminals and nodes.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A session that is not over.
    ///
    /// # Errors
    /// When there is none of that identifier, or it is over.
    pub(crate) async fn hub(&self, id: &str) -> Result<Arc<Hub>, Error> {
        if let Some(hub) = self.lock().get(id) {
            return Ok(hub.clone());
        }
        match self.store.session(id).await? {
            Some(row) => Err(Error::Gone(row.reason.unwrap_or_else(|| "This session is over.".to_owned()))),
            None => Err(Error::NotFound("There is no such session; it may have been ended long ago.".to_owned())),
        }
    }

    /// A session, over or not.
    ///
    /// # Errors
    /// When there never was one of that identifier.
    pub(crate) async fn session(&self, id: &str) -> Result<Session, Error> {
        if let Some(hub) = self.lock().get(id) {
            return Ok(hub.session());
        }
        let row = self.store.session(id).await?;
        let row = row
            .ok_or_else(|| Error::NotFound("There is no such session; it may have been ended long ago.".to_owned()))?;
        let steps = self.store.steps_done(id).await?;
        Ok(hub::describe(&row, steps, &self.policy))
    }

    /// Accepts a session and starts it in the background.
    ///
    /// # Errors
    /// When the lesson is unknown, the number of workers too large or there is no room.
    pub(crate) async fn create(self: &Arc<Self>, request: &CreateSession) -> Result<Session, Error> {
        let definition = match &request.lesson {
            Some(slug) => Some(lessons::find(&self.store, slug).await?.definition),
            None => None,
        };
        let workers = request.workers.or(definition.as_ref().map(|lesson| lesson.workers)).unwrap_or(2);
        let id = random_id();
        let name = format!("s-{}", &id[..12]);
        let spec = self.spec(&name, u16::from(workers));
        spec.validate().map_err(|error| Error::Invalid(error.to_string()))?;
        if self.lock().len() >= self.policy.max_sessions {
            let most = self.policy.max_sessions;
            return Err(Error::Capacity(format!("All {most} places are taken. Try again when somebody has finished.")));
        }
        let now = now_millis();
        let row = SessionRow {
            id,
            name,
            lesson: request.lesson.clone(),
            workers: u16::from(workers),
            state: SessionState::Starting,
            reason: None,
            created_millis: now,
            expires_millis: now + millis(self.policy.time_limit),
            start_millis: None,
        };
        self.store.put_session(&row).await?;
        let hub = self.open_hub(row).await?;
        tokio::spawn(self.clone().start(hub.clone(), spec));
        Ok(hub.session())
    }

    fn spec(&self, name: &str, workers: u16) -> ClusterSpec {
        ClusterSpec {
            workstation: Some(self.policy.workstation.clone()),
            node_shell: self.policy.node_shell.clone(),
            limits: self.policy.limits,
            ..ClusterSpec::new(name, workers)
        }
    }

    async fn start(self: Arc<Self>, hub: Arc<Hub>, spec: ClusterSpec) {
        let progress = |stage: Stage| hub.reached(stage);
        match self.engine.create(&spec, &progress).await {
            Ok(cluster) => {
                if hub.is_closed() {
                    // Ended while it came up: the end is waiting for the engine to be done.
                    return;
                }
                hub.started();
                if let Err(error) = self.watch(&hub, &cluster).await {
                    tracing::error!(session.name = hub.name(), error = chain(&error), "cannot watch the cluster");
                }
            }
            Err(error) => {
                tracing::error!(session.name = hub.name(), error = chain(&error), "cannot start a session");
                hub.set_state(SessionState::Failed, Some(format!("The cluster could not be started: {error}.")));
                hub.close().await;
                self.lock().remove(hub.id());
            }
        }
    }

    async fn watch(self: &Arc<Self>, hub: &Arc<Hub>, cluster: &Cluster) -> Result<(), Error> {
        let definition = self.definition(hub).await;
        let client = cluster.client().map_err(|error| Error::Conflict(error.to_string()))?;
        tokio::spawn(live::watch(hub.clone(), self.engine.host().clone(), client, definition));
        Ok(())
    }

    /// The lesson's checks; none when the lesson was removed meanwhile.
    async fn definition(&self, hub: &Hub) -> Option<Definition> {
        let slug = hub.session().lesson?;
        lessons::find(&self.store, &slug).await.ok().map(|lesson| lesson.definition)
    }

    /// Gives a session more time, up to the longest that one may live.
    ///
    /// # Errors
    /// When it is over or cannot live longer.
    pub(crate) async fn extend(&self, id: &str) -> Result<Session, Error> {
        let hub = self.hub(id).await?;
        if !hub.extend(&self.policy) {
            return Err(Error::Conflict("This session cannot be extended any more.".to_owned()));
        }
        hub.save().await?;
        Ok(hub.session())
    }

    /// Ends a session: its page hears why, then its cluster is removed in the background.
    ///
    /// # Errors
    /// When there is none of that identifier, or it is over.
    pub(crate) async fn end(self: &Arc<Self>, id: &str, reason: &str) -> Result<Session, Error> {
        let hub = self.hub(id).await?;
        if hub.session().state != SessionState::Ending {
            hub.set_state(SessionState::Ending, Some(reason.to_owned()));
            hub.save().await?;
            let (sessions, hub) = (self.clone(), hub.clone());
            tokio::spawn(async move { sessions.finish(&hub).await });
        }
        Ok(hub.session())
    }

    async fn finish(&self, hub: &Arc<Hub>) {
        if let Err(error) = self.engine.delete(hub.name()).await {
            tracing::error!(session.name = hub.name(), error = chain(&error), "cannot remove a cluster");
        }
        hub.set_state(SessionState::Ended, None);
        hub.close().await;
        self.lock().remove(hub.id());
    }

    /// Replaces a session's cluster by a fresh one; the lesson starts over.
    ///
    /// # Errors
    /// When it is not ready or over.
    pub(crate) async fn reset(self: &Arc<Self>, id: &str) -> Result<Session, Error> {
        let old = self.hub(id).await?;
        let session = old.session();
        if session.state != SessionState::Ready {
            return Err(Error::Conflict("Only a running session can be reset. Wait until it is ready.".to_owned()));
        }
        self.store.clear_steps_done(id).await?;
        self.store.put_faults(id, &[]).await?;
        old.restart();
        let sessions = self.clone();
        tokio::spawn(async move {
            if let Err(error) = sessions.engine.delete(old.name()).await {
                tracing::error!(session.name = old.name(), error = chain(&error), "cannot remove a cluster");
            }
            let spec = sessions.spec(old.name(), session.nodes.saturating_sub(1));
            sessions.start(old, spec).await;
        });
        Ok(self.hub(id).await?.session())
    }

    /// Ends every session, at the server's end.
    pub(crate) async fn end_all(self: &Arc<Self>) {
        let mut tasks = tokio::task::JoinSet::new();
        for hub in self.open() {
            let sessions = self.clone();
            tasks.spawn(async move {
                hub.set_state(SessionState::Ending, Some("The server was stopped.".to_owned()));
                sessions.finish(&hub).await;
            });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn keep_time(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let now = now_millis();
            for hub in self.open() {
                let session = hub.session();
                if session.state != SessionState::Ready {
                    continue;
                }
                if now >= session.expires_millis {
                    if let Err(error) = self.end(&session.id, "The time of this session is over.").await {
                        tracing::error!(session.name = session.name, error = chain(&error), "cannot end a session");
                    }
                } else if now + millis(WARNING) >= session.expires_millis {
                    hub.warn_once();
                }
            }
        }
    }
}

/// Which verdicts changed.
fn changed(old: &[CheckStatus], new: &[CheckStatus]) -> Vec<CheckStatus> {
    new.iter().filter(|check| !old.contains(check)).cloned().collect()
}

/// The start stages before, at and after an engine stage.
fn start_stage(stage: Stage) -> (StartStage, StepState) {
    match stage {
        Stage::Network => (StartStage::Network, StepState::Running),
        Stage::ControlPlane => (StartStage::Etcd, StepState::Running),
        Stage::Controllers => (StartStage::Controllers, StepState::Running),
        Stage::Nodes => (StartStage::Nodes, StepState::Running),
        Stage::Ready => (StartStage::Workstation, StepState::Done),
    }
}

fn random_id() -> String {
    let bytes: [u8; 16] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
