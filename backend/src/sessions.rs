//! Sessions: accepted, started, watched, extended, reset and ended; found again after a restart.

mod faults;
mod home;
mod hub;
mod manifest;
mod nodes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drydock_engine::{Cluster, ClusterSpec, Engine, Stage, WorkstationSpec};
use drydock_protocol::{
    Answer, AnswerVerdict, Answered, CheckStatus, CreateSession, HomeFile, HomeFiles, Language, ManifestOutcome,
    RunManifest, Session, SessionState, StartStage, StepState,
};
use tokio::sync::oneshot;

pub(crate) use hub::{Found, Hub, Looked};

use crate::error::{Error, chain};
use crate::lessons::Library;
use crate::live;
use crate::metrics;
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
    library: Arc<Library>,
    policy: Policy,
    open: Mutex<HashMap<String, Arc<Hub>>>,
}

impl Sessions {
    /// Finds the sessions of earlier runs again: those whose cluster is still there go on, the others are over.
    ///
    /// # Errors
    /// When the database or the host fails.
    pub(crate) async fn resume(
        engine: Engine,
        store: Store,
        library: Arc<Library>,
        policy: Policy,
    ) -> Result<Arc<Sessions>, Error> {
        let sessions = Arc::new(Sessions { engine, store, library, policy, open: Mutex::default() });
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
        // What the lesson does before the learner was done when the session became ready.
        self.watch(&hub, cluster).map(drop)
    }

    async fn close(&self, mut row: SessionRow, reason: &str) -> Result<(), Error> {
        row.state = SessionState::Ended;
        row.reason = Some(reason.to_owned());
        Ok(self.store.put_session(&row).await?)
    }

    async fn open_hub(self: &Arc<Self>, row: SessionRow) -> Result<Arc<Hub>, Error> {
        let steps = self.store.steps_done(&row.id).await?;
        let answered = self.store.answered(&row.id).await?;
        let hub = Arc::new(Hub::new(row, steps, answered, self.store.clone(), &self.policy));
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
        Ok(hub::describe(&row, steps, self.store.answered(id).await?, &self.policy))
    }

    /// Accepts a session of a person and starts it in the background.
    ///
    /// # Errors
    /// When the lesson is unknown, the number of workers too large or there is no room.
    pub(crate) async fn create(self: &Arc<Self>, request: &CreateSession, owner: &str) -> Result<Session, Error> {
        let definition = match &request.lesson {
            Some(slug) => Some(self.library.find(slug).await?.definition),
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
            owner: owner.to_owned(),
            lesson: request.lesson.clone(),
            workers: u16::from(workers),
            state: SessionState::Starting,
            reason: None,
            created_millis: now,
            expires_millis: now + millis(self.policy.time_limit),
            start_millis: None,
        };
        self.store.put_session(&row).await?;
        metrics::SESSIONS_CREATED.add();
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
                hub.came_up();
                let mut closed = hub.closed();
                match self.watch(&hub, &cluster) {
                    Ok(prepared) => tokio::select! {
                        // An error means that there is nothing to prepare.
                        _ = prepared => {}
                        _ = closed.changed() => {}
                    },
                    Err(error) => {
                        tracing::error!(session.name = hub.name(), error = chain(&error), "cannot watch the cluster");
                    }
                }
                if !hub.is_closed() {
                    hub.started();
                }
            }
            Err(error) => {
                tracing::error!(session.name = hub.name(), error = chain(&error), "cannot start a session");
                metrics::SESSIONS_FAILED.add();
                hub.set_state(SessionState::Failed, Some(format!("The cluster could not be started: {error}.")));
                hub.close().await;
                self.lock().remove(hub.id());
            }
        }
    }

    fn watch(self: &Arc<Self>, hub: &Arc<Hub>, cluster: &Cluster) -> Result<oneshot::Receiver<()>, Error> {
        let client = cluster.client().map_err(|error| Error::Conflict(error.to_string()))?;
        Ok(live::start(hub, &self.engine, &self.library, client))
    }

    /// Takes an answer to a question of the session's lesson.
    ///
    /// # Errors
    /// When the session is over or has no lesson, or the lesson no such question.
    pub(crate) async fn answer(&self, id: &str, answer: &Answer, language: Language) -> Result<AnswerVerdict, Error> {
        let hub = self.hub(id).await?;
        let slug = hub.session().lesson.ok_or_else(|| Error::Invalid("This session follows no lesson.".to_owned()))?;
        let verdict = self.library.find(&slug).await?.judge(answer, language)?;
        if verdict.right {
            hub.put_answered(Answered { step: answer.step.clone(), quiz: answer.quiz.clone() }).await?;
        }
        Ok(verdict)
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
        self.store.put_faults(id, &[]).await?;
        old.restart();
        let sessions = self.clone();
        tokio::spawn(async move {
            if let Err(error) = sessions.engine.delete(old.name()).await {
                tracing::error!(session.name = old.name(), error = chain(&error), "cannot remove a cluster");
            }
            // Only now nothing of the old cluster's lesson runs any more.
            if let Err(error) = old.clear_progress().await {
                tracing::error!(session.name = old.name(), error = chain(&error), "cannot start the lesson over");
            }
            let spec = sessions.spec(old.name(), session.nodes.saturating_sub(1));
            sessions.start(old, spec).await;
        });
        Ok(self.hub(id).await?.session())
    }

    /// The name of a session whose workstation can be used.
    async fn usable(&self, id: &str) -> Result<String, Error> {
        let hub = self.hub(id).await?;
        if hub.session().state != SessionState::Ready {
            return Err(Error::Conflict("The workstation is not ready yet. Wait until the cluster is.".to_owned()));
        }
        Ok(hub.name().to_owned())
    }

    /// The files of the workstation's home folder.
    ///
    /// # Errors
    /// When the session is not ready or over.
    pub(crate) async fn home_files(&self, id: &str) -> Result<HomeFiles, Error> {
        home::list(&**self.engine.host(), &self.usable(id).await?).await
    }

    /// A file of the workstation's home folder.
    ///
    /// # Errors
    /// When there is none, it is too large, or the session is not ready or over.
    pub(crate) async fn read_home_file(&self, id: &str, path: &str) -> Result<Vec<u8>, Error> {
        home::read(&**self.engine.host(), &self.usable(id).await?, path).await
    }

    /// Writes a file of the workstation's home folder.
    ///
    /// # Errors
    /// When it cannot be written, or the session is not ready or over.
    pub(crate) async fn write_home_file(&self, id: &str, path: &str, content: &[u8]) -> Result<HomeFile, Error> {
        home::write(&**self.engine.host(), &self.usable(id).await?, path, content).await
    }

    /// Applies or compares a manifest with the workstation's kubectl.
    ///
    /// # Errors
    /// When the text is too long, or the session is not ready or over.
    pub(crate) async fn run_manifest(&self, id: &str, request: &RunManifest) -> Result<ManifestOutcome, Error> {
        manifest::run(&**self.engine.host(), &self.usable(id).await?, request).await
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

/// This machine's clock, in milliseconds since the epoch.
pub(crate) fn now_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(millis).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
