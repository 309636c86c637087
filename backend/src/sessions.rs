//! Sessions: accepted, started, watched, extended, reset and ended; found again after a restart.

mod clock;
mod export;
mod faults;
mod home;
mod hub;
mod keeper;
mod manifest;
mod nodes;
mod pool;
mod queue;
mod reaper;
mod sleep;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drydock_engine::{Cluster, ClusterSpec, Engine, Stage, WorkstationSpec};
use drydock_protocol::{
    Answer, AnswerVerdict, Answered, CheckStatus, CreateSession, EndReason, HomeFile, HomeFiles, Language,
    ManifestOutcome, RunManifest, Session, SessionState, StartStage, StepState,
};
use tokio::sync::oneshot;

pub(crate) use hub::{Found, Hub, Looked, OpenTerminal, Progress, Watching};
pub(crate) use pool::WORKERS as WARM_WORKERS;

use crate::admission::Rules;
use crate::error::{Error, chain};
use crate::lessons::Library;
use crate::live;
use crate::metrics;
use crate::store::{SessionRow, Store};

/// What every session is given.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Time until a session ends, and what *extend* adds.
    pub(crate) time_limit: Duration,
    /// A session never lives longer than this.
    pub(crate) longest: Duration,
    /// Sessions at once, and what is left to the machine.
    pub(crate) rules: Rules,
    /// Sessions that one person may have at once, those in classes aside; 0: as many as there are places.
    pub(crate) each: usize,
    /// Clusters that are started ahead.
    pub(crate) warm: usize,
    /// After so long without use a session is frozen; none: never.
    pub(crate) suspend: Option<Duration>,
    /// Who waits and has no page open gives up its place after this.
    pub(crate) queue_lease: Duration,
    /// What learners made is kept for so long after the end.
    pub(crate) keep_manifests: Duration,
    /// The folder with the sessions' files.
    pub(crate) data: std::path::PathBuf,
    /// Limits of a session as a whole.
    pub(crate) session_limits: drydock_engine::host::NodeLimits,
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
    line: queue::Line,
    pool: pool::Pool,
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
        let (line, pool) = (queue::Line::default(), pool::Pool::default());
        let sessions = Arc::new(Sessions { engine, store, library, policy, open: Mutex::default(), line, pool });
        let clock = clock::Clock::start(&sessions.store).await?;
        let rows = sessions.store.open_sessions().await?;
        // Even when nobody has a session: what nobody has must go.
        let clusters = sessions.engine.list().await?;
        for mut row in rows {
            clock.correct(&mut row);
            let cluster = clusters.iter().find(|cluster| cluster.spec.name == row.name);
            sessions.find_again(row, cluster).await?;
        }
        sessions.find_warm(&clusters).await?;
        sessions.reap(&clusters).await;
        sessions.advance().await;
        tokio::spawn(sessions.clone().keep_time(clock));
        Ok(sessions)
    }

    async fn find_again(self: &Arc<Self>, mut row: SessionRow, cluster: Option<&Cluster>) -> Result<(), Error> {
        match (row.state, cluster) {
            (SessionState::Ready, Some(cluster)) => self.adopt(row, cluster).await,
            (SessionState::Suspended, Some(_)) => {
                let hub = self.open_hub(row, 0).await?;
                hub.mark_slept();
                Ok(())
            }
            (SessionState::Ready | SessionState::Suspended, None) => {
                self.close(row, EndReason::Lost, "The server was restarted and the cluster was gone.").await
            }
            (SessionState::Ending, _) => {
                self.engine.delete(&row.name).await?;
                self.close(row, EndReason::Server, "The server was stopped while this session ended.").await
            }
            // Whoever waited or was about to get a cluster when the server stopped keeps the place in the queue.
            _ => {
                if cluster.is_some() {
                    self.engine.delete(&row.name).await?;
                }
                row.state = SessionState::Pending;
                self.store.put_session(&row).await?;
                let number = self.store.put_in_queue(&row.id).await?;
                self.open_hub(row, number).await.map(drop)
            }
        }
    }

    async fn adopt(self: &Arc<Self>, row: SessionRow, cluster: &Cluster) -> Result<(), Error> {
        tracing::info!(session.name = row.name, "found again");
        let hub = self.open_hub(row, 0).await?;
        hub.set_state(SessionState::Ready, None);
        // What the lesson does before the learner was done when the session became ready.
        self.watch(&hub, cluster).map(drop)
    }

    async fn close(&self, mut row: SessionRow, end: EndReason, reason: &str) -> Result<(), Error> {
        row.state = SessionState::Ended;
        row.reason.get_or_insert_with(|| reason.to_owned());
        self.store.put_session(&row).await?;
        Ok(self.store.put_end(&row.id, end, now_millis()).await?)
    }

    async fn open_hub(self: &Arc<Self>, row: SessionRow, number: i64) -> Result<Arc<Hub>, Error> {
        let steps = self.store.steps_done(&row.id).await?;
        let answered = self.store.answered(&row.id).await?;
        let hub = Arc::new(Hub::new(row, steps, answered, self.store.clone(), &self.policy));
        hub.set_number(number);
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

    /// A session that is not over, by its identifier.
    pub(crate) fn open_hub_of(&self, id: &str) -> Option<Arc<Hub>> {
        self.lock().get(id).cloned()
    }

    /// The open session of a name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Hub>> {
        self.lock().values().find(|hub| hub.name() == name).cloned()
    }

    /// The engine, for terminals and nodes.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A session that is not over, for somebody who uses it: it wakes if it sleeps.
    ///
    /// # Errors
    /// When there is none of that identifier, it is over, or it does not wake.
    pub(crate) async fn hub(&self, id: &str) -> Result<Arc<Hub>, Error> {
        let hub = self.peek(id).await?;
        hub.mark_used();
        self.wake(&hub).await?;
        Ok(hub)
    }

    /// A session that is not over, for somebody who only looks: it goes on sleeping.
    ///
    /// # Errors
    /// When there is none of that identifier, or it is over.
    pub(crate) async fn peek(&self, id: &str) -> Result<Arc<Hub>, Error> {
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
        let end = self.store.end(id).await?;
        let session = hub::describe(&row, steps, self.store.answered(id).await?, &self.policy);
        Ok(Session { ended: end.reason, manifests: end.manifests, ..session })
    }

    /// Accepts a session of a person: it starts in the background, or waits for its turn.
    ///
    /// # Errors
    /// When the lesson is unknown, or the number of workers too large, or larger than this machine can ever run.
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
        self.possible(u16::from(workers))?;
        let now = now_millis();
        let row = SessionRow {
            id,
            name,
            owner: owner.to_owned(),
            lesson: request.lesson.clone(),
            workers: u16::from(workers),
            state: SessionState::Pending,
            reason: None,
            created_millis: now,
            expires_millis: now + millis(self.policy.time_limit),
            start_millis: None,
        };
        self.store.put_session(&row).await?;
        let number = self.store.put_in_queue(&row.id).await?;
        metrics::SESSIONS_CREATED.add();
        let hub = self.open_hub(row, number).await?;
        self.advance().await;
        Ok(hub.session())
    }

    fn spec(&self, name: &str, workers: u16) -> ClusterSpec {
        ClusterSpec {
            workstation: Some(self.policy.workstation.clone()),
            node_shell: self.policy.node_shell.clone(),
            limits: self.policy.limits,
            session_limits: self.policy.session_limits,
            ..ClusterSpec::new(name, workers)
        }
    }

    async fn start(self: Arc<Self>, hub: Arc<Hub>, spec: ClusterSpec) {
        let mut closed = hub.closed();
        let outcome = {
            // Whoever ends the session waits until nothing of it comes up any more.
            let _turn = hub.nodes_turn().await;
            let progress = |stage: Stage| hub.reached(stage);
            if hub.is_closed() {
                return;
            }
            tokio::select! {
                outcome = self.engine.create(&spec, &progress) => outcome,
                _ = closed.changed() => return,
            }
        };
        match outcome {
            Ok(cluster) => self.came_up(&hub, &cluster).await,
            Err(error) => {
                tracing::error!(session.name = hub.name(), error = chain(&error), "cannot start a session");
                let reason = format!("The cluster could not be started: {error}.");
                if hub.begin_end(EndReason::Failure, &reason).is_some() {
                    metrics::SESSIONS_FAILED.add();
                    hub.set_state(SessionState::Failed, None);
                    self.put_away(&hub).await;
                }
            }
        }
        self.advance().await;
    }

    /// A session's cluster is there: it is watched, and the learner can begin once the lesson has done what comes before.
    async fn came_up(&self, hub: &Arc<Hub>, cluster: &Cluster) {
        if hub.is_closed() {
            return;
        }
        hub.came_up();
        let mut closed = hub.closed();
        match self.watch(hub, cluster) {
            Ok(prepared) => tokio::select! {
                // An error means that there is nothing to prepare.
                _ = prepared => {}
                _ = closed.changed() => {}
            },
            Err(error) => {
                tracing::error!(session.name = hub.name(), error = chain(&error), "cannot watch the cluster");
            }
        }
        if hub.started() {
            hub.keep().await;
        }
    }

    fn watch(&self, hub: &Arc<Hub>, cluster: &Cluster) -> Result<oneshot::Receiver<()>, Error> {
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
        let hub = self.peek(id).await?;
        if !hub.extend(&self.policy) {
            return Err(Error::Conflict("This session cannot be extended any more.".to_owned()));
        }
        hub.save().await?;
        Ok(hub.session())
    }

    /// Sets when a session ends, beyond the longest that one may live by itself: its class knows.
    ///
    /// # Errors
    /// When it is over.
    pub(crate) async fn end_at(&self, id: &str, millis: u64) -> Result<(), Error> {
        let hub = self.peek(id).await?;
        hub.end_at(millis);
        hub.save().await
    }

    /// Ends a session on behalf of who runs the server or the class, see [`Sessions::end_because`].
    ///
    /// # Errors
    /// When there is none of that identifier, or it is over.
    pub(crate) async fn end(self: &Arc<Self>, id: &str, reason: &str) -> Result<Session, Error> {
        self.end_because(id, EndReason::Staff, reason).await
    }

    /// Ends a session: its page hears why, then its cluster is removed in the background. Who waits in the queue leaves it.
    ///
    /// # Errors
    /// When there is none of that identifier, or it is over.
    pub(crate) async fn end_because(self: &Arc<Self>, id: &str, end: EndReason, why: &str) -> Result<Session, Error> {
        let hub = self.peek(id).await?;
        let Some(before) = hub.begin_end(end, why) else { return Ok(hub.session()) };
        if before == SessionState::Pending {
            hub.set_state(SessionState::Ended, None);
            self.put_away(&hub).await;
            self.advance().await;
        } else {
            hub.keep().await;
            let (sessions, hub) = (self.clone(), hub.clone());
            tokio::spawn(async move { sessions.finish(&hub, before).await });
        }
        Ok(hub.session())
    }

    /// Removes what there is of a session that is ending; before, it was in that state.
    async fn finish(self: &Arc<Self>, hub: &Arc<Hub>, before: SessionState) {
        if matches!(before, SessionState::Ready | SessionState::Suspended) {
            self.keep_manifests(hub, before).await;
        }
        hub.stop_watching();
        {
            let _turn = hub.nodes_turn().await;
            if let Err(error) = self.engine.delete(hub.name()).await {
                // The reaper tries again.
                tracing::error!(session.name = hub.name(), error = chain(&error), "cannot remove a cluster");
            }
        }
        hub.set_state(SessionState::Ended, None);
        self.put_away(hub).await;
        self.advance().await;
    }

    /// Stores the end of a session and forgets it; what cannot be stored now is kept until it can.
    async fn put_away(&self, hub: &Arc<Hub>) {
        hub.stop_watching();
        if hub.keep().await {
            self.lock().remove(hub.id());
        }
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
            let turn = old.nodes_turn().await;
            if let Err(error) = sessions.engine.delete(old.name()).await {
                tracing::error!(session.name = old.name(), error = chain(&error), "cannot remove a cluster");
            }
            // Only now nothing of the old cluster's lesson runs any more.
            if let Err(error) = old.clear_progress().await {
                tracing::error!(session.name = old.name(), error = chain(&error), "cannot start the lesson over");
            }
            drop(turn);
            let spec = sessions.spec(old.name(), session.nodes.saturating_sub(1));
            sessions.start(old, spec).await;
        });
        Ok(self.hub(id).await?.session())
    }

    /// The name of a session whose workstation can be used.
    async fn usable(&self, id: &str) -> Result<String, Error> {
        let hub = self.hub(id).await?;
        if hub.state() != SessionState::Ready {
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

    /// Ends every session that has a cluster, at the server's end. Who waits goes on waiting for the next start.
    pub(crate) async fn end_all(self: &Arc<Self>) {
        self.close_line().await;
        let mut tasks = tokio::task::JoinSet::new();
        for hub in self.open() {
            if hub.state() == SessionState::Pending {
                continue;
            }
            let Some(before) = hub.begin_end(EndReason::Server, "The server was stopped.") else { continue };
            let sessions = self.clone();
            tasks.spawn(async move { sessions.finish(&hub, before).await });
        }
        let sessions = self.clone();
        tasks.spawn(async move { sessions.drain().await });
        while tasks.join_next().await.is_some() {}
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
