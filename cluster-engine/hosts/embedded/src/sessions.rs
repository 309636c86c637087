//! Sessions as folders: created, found, repaired, removed.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use drydock_container_runtime::cgroup::Hierarchy;
use drydock_engine::host::{HostError, HostSession, SessionSpec};
use drydock_supervisor::hosting::{self, failed, io};
use drydock_supervisor::protocol::{self, CGROUP, LOCK, LOG, Request, Response};
use drydock_supervisor::state::State;
use nix::fcntl::{Flock, FlockArg};

use crate::{Embedded, connection};

/// How long a supervisor may take to answer for the first time.
const START_TIME: Duration = Duration::from_secs(20);
/// How long a supervisor may take to end before it is killed.
const END_TIME: Duration = Duration::from_secs(5);
/// How often it is asked until then.
const LOOK: Duration = Duration::from_millis(2);
/// In a session's folder once somebody ends it: from then on nobody starts its supervisor again.
const ENDING: &str = "ending";
/// Creates a session's folder and starts its supervisor.
pub(crate) async fn create(host: &Embedded, spec: &SessionSpec) -> Result<HostSession, HostError> {
    let folder = host.folder(&spec.name);
    {
        let _lock = lock(&host.sessions).await?;
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(HostError::Exists { name: format!("cluster {}", spec.name) });
            }
            outcome => outcome.map_err(io(format!("cannot create {}", folder.display())))?,
        }
        let state = State { spec: spec.clone(), first_id: free_ids(&host.sessions)?, port: 0, nodes: Vec::new() };
        state.save(&folder).map_err(|error| failed("save the session", error))?;
    }
    start(host, &spec.name).await?;
    describe(host, &spec.name).await
}

/// Holds off other processes that create or end sessions; let go when dropped.
async fn lock(sessions: &Path) -> Result<Flock<File>, HostError> {
    hosting::lock(&sessions.join(".lock")).await
}

/// A range of user ids that no session of this folder has.
fn free_ids(sessions: &Path) -> Result<u32, HostError> {
    let states = names(sessions)?.into_iter().filter_map(|name| State::load(&sessions.join(name)).ok());
    let taken = states.map(|state| state.first_id).collect();
    hosting::free_ids(&taken, fs::metadata(sessions).map_or(0, |metadata| metadata.ino()))
}

fn names(sessions: &Path) -> Result<Vec<String>, HostError> {
    let fail = || format!("cannot read {}", sessions.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(sessions).map_err(io(fail()))? {
        let entry = entry.map_err(io(fail()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}

/// Starts a session's supervisor and waits until it answers. Its log says why, if it does not.
async fn start(host: &Embedded, session: &str) -> Result<(), HostError> {
    let folder = host.folder(session);
    let path = folder.join(LOG);
    let log = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(io(format!("cannot write {}", path.display())))?;
    let mut command = tokio::process::Command::new(&host.supervisor);
    command.arg0("drydock-supervisor").arg("--session-dir").arg(&folder).arg("--images").arg(&host.images);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // A signal to the server's process group is not meant for sessions.
    command.process_group(0);
    let child = command.spawn().map_err(io(format!("cannot start the supervisor of {session:?}")))?;
    let mut newborn = Newborn { child: Some(child) };
    let started = tokio::time::timeout(START_TIME, async {
        loop {
            if let Ok(Response::Session(_)) = connection::ask(&folder, session, &Request::Session).await {
                return Ok(());
            }
            if newborn.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)))) {
                return Err(last_words(&path));
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    let outcome = started.await.unwrap_or_else(|_| Err(format!("no answer in {} s", START_TIME.as_secs())));
    // Somebody must wait for it, or it would stay as a zombie after its end.
    if let Some(mut child) = newborn.child.take() {
        tokio::spawn(async move { child.wait().await });
    }
    outcome.map_err(|reason| failed(format!("start the supervisor of {session:?}"), reason))
}

/// A supervisor that does not answer yet. When nobody waits for it any more (its session was ended meanwhile), it must not come
/// up in a folder that is gone.
struct Newborn {
    child: Option<tokio::process::Child>,
}

impl Drop for Newborn {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gone already is fine.
            let _ = child.start_kill();
        }
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it ended without a word").to_owned()
}

/// One session; its supervisor is started again if it died.
pub(crate) async fn describe(host: &Embedded, session: &str) -> Result<HostSession, HostError> {
    if !host.folder(session).join(drydock_supervisor::protocol::STATE).is_file() || session.contains('/') {
        return Err(HostError::NoSession { session: session.to_owned() });
    }
    let response = match host.ask(session, &Request::Session).await {
        Err(HostError::Io { .. }) => {
            // Whoever ends the session waits for this lock: a supervisor is either seen by them or not started.
            let _lock = lock(&host.sessions).await?;
            if !host.folder(session).is_dir() || host.folder(session).join(ENDING).exists() {
                return Err(HostError::NoSession { session: session.to_owned() });
            }
            match host.ask(session, &Request::Session).await {
                Err(HostError::Io { .. }) => {
                    tracing::warn!(session.name = session, "its supervisor is gone; it is started again");
                    start(host, session).await?;
                    host.ask(session, &Request::Session).await?
                }
                outcome => outcome?,
            }
        }
        outcome => outcome?,
    };
    response.session(session)
}

/// All sessions. Folders of sessions that were never finished are swept away.
pub(crate) async fn list(host: &Embedded) -> Result<Vec<HostSession>, HostError> {
    let mut sessions = Vec::new();
    for name in names(&host.sessions)? {
        match describe(host, &name).await {
            Ok(session) => sessions.push(session),
            Err(HostError::NoSession { .. }) => {
                // Another process may be creating it this very moment: it holds the lock then.
                let _lock = lock(&host.sessions).await?;
                let folder = host.folder(&name);
                if State::load(&folder).is_err() || folder.join(ENDING).exists() {
                    sweep(host, &name)?;
                }
            }
            Err(error) => tracing::error!(session.name = name, %error, "left out"),
        }
    }
    Ok(sessions)
}

/// Ends a session and removes its folder. One that is gone already is fine.
pub(crate) async fn remove(host: &Embedded, session: &str) -> Result<(), HostError> {
    let folder = host.folder(session);
    if session.contains('/') || !folder.is_dir() {
        return Ok(());
    }
    {
        let _lock = lock(&host.sessions).await?;
        match File::create(folder.join(ENDING)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // A full disk must not keep a session from its end.
            _ => {}
        }
    }
    let mut who = connection::supervisor(&folder).await.ok().flatten();
    // One that is only coming up does not listen yet.
    let deadline = tokio::time::Instant::now() + START_TIME;
    while who.is_none() && is_locked(&folder) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        who = connection::supervisor(&folder).await.ok().flatten();
    }
    match host.ask(session, &Request::End).await {
        // Without a supervisor there is no node: they die with it.
        Ok(_) | Err(HostError::Io { .. } | HostError::NoSession { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(pid) = who {
        end(&folder, pid).await;
    }
    sweep(host, session)
}

/// Whether a session has a supervisor: the lock is free when its holder has ended; a process id alone could be anybody's.
fn is_locked(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err())
}

/// Waits until a supervisor is gone, and makes it so when it does not go by itself.
async fn end(folder: &Path, pid: i32) {
    for kill in [false, true] {
        if kill {
            tracing::warn!(process.pid = pid, "a supervisor does not end; it is killed");
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        let deadline = tokio::time::Instant::now() + END_TIME;
        while tokio::time::Instant::now() < deadline {
            if !is_locked(folder) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What the kernel does not remove by itself when a session's processes are gone: cgroups and files.
fn sweep(host: &Embedded, session: &str) -> Result<(), HostError> {
    let hierarchy = Hierarchy::detect().map_err(|error| failed("find control groups", error))?;
    let folder = host.folder(session);
    let group = match protocol::group(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        group => hierarchy.group(group.map_err(io(format!("cannot read {}", folder.display())))?),
    };
    group
        .kill()
        .and_then(|()| group.remove())
        .map_err(|error| failed(format!("remove the cgroups of {session:?}"), error))?;
    // The common parent goes with the last session; with others in it, the kernel refuses, which is right.
    for directory in hierarchy.group(CGROUP).directories() {
        let _ = fs::remove_dir(directory);
    }
    match drydock_container_runtime::remove_tree(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(format!("cannot remove {}", folder.display()))(error))
        }
        _ => Ok(()),
    }
}
