//! Questions to supervisors, over relays that are kept for the next question.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drydock_engine::host::HostError;
use drydock_supervisor::client;
use drydock_supervisor::protocol::{Request, Response};
use tokio::io::BufReader;
use tokio::time::Instant;

use crate::stream::ProcessStream;
use crate::{Docker, daemon};

/// The session's folder in every container.
pub(crate) const FOLDER: &str = "/var/lib/drydock/session";
/// How long a supervisor that died may take to be there again, and how often it is looked for.
const RESTART: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);
/// Relays kept for one container.
const KEPT: usize = 2;

/// A relay in use.
pub(crate) type Relay = BufReader<ProcessStream>;

/// Relays that wait for the next question, by container.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<String, Vec<Relay>>>);

impl Pool {
    fn take(&self, container: &str) -> Option<Relay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(container)?.pop()
    }

    fn keep(&self, container: &str, relay: Relay) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let relays = kept.entry(container.to_owned()).or_default();
        if relays.len() < KEPT {
            relays.push(relay);
        }
    }

    /// Forgets a container that stops or goes.
    pub(crate) fn forget(&self, container: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
    }
}

/// Asks the supervisor in a container.
pub(crate) async fn ask(
    host: &Docker,
    session: &str,
    container: &str,
    request: &Request,
) -> Result<Response, HostError> {
    let (relay, response) = open(host, session, container, request).await?;
    host.relays.keep(container, relay);
    Ok(response)
}

/// Asks for something that is done without an answer.
pub(crate) async fn done(host: &Docker, session: &str, container: &str, request: &Request) -> Result<(), HostError> {
    ask(host, session, container, request).await?.done(session)
}

/// Asks, and gives the relay for what comes after the answer.
pub(crate) async fn open(
    host: &Docker,
    session: &str,
    container: &str,
    request: &Request,
) -> Result<(Relay, Response), HostError> {
    let lost = |source: io::Error| HostError::Io {
        action: format!("a supervisor of cluster {session:?} does not answer"),
        source,
    };
    let exchange = async {
        // One that was kept may be of a supervisor that is no more; then the question is put again, which no command may be.
        let is_command = matches!(request, Request::Exec { .. });
        if !is_command
            && let Some(mut relay) = host.relays.take(container)
            && let Ok(response) = client::exchange(&mut relay, request).await
        {
            return Ok((relay, response));
        }
        let deadline = Instant::now() + RESTART;
        loop {
            match fresh(host, container, request).await {
                // Nothing has been asked yet where there is no relay.
                Err(NoAnswer::NoRelay(_)) if Instant::now() < deadline && comes_back(host, container).await => {
                    tokio::time::sleep(LOOK).await;
                }
                Err(NoAnswer::NoRelay(source) | NoAnswer::Lost(source)) => return Err(source),
                Ok(answered) => return Ok(answered),
            }
        }
    };
    let outcome = match client::patience(request) {
        Some(patience) => {
            tokio::time::timeout(patience, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        }
        None => exchange.await,
    };
    let (relay, response) = outcome.map_err(lost)?;
    Ok((relay, client::accepted(session, response)?))
}

/// Why a question has no answer.
enum NoAnswer {
    /// It was never asked.
    NoRelay(io::Error),
    /// It may have been.
    Lost(io::Error),
}

/// Asks over a new relay.
async fn fresh(host: &Docker, container: &str, request: &Request) -> Result<(Relay, Response), NoAnswer> {
    let argv = [daemon::BINARY, "drydock-relay", "--session-dir", FOLDER];
    let stream = daemon::run_inside(&host.client, container, &argv).await;
    let mut relay = BufReader::new(stream.map_err(|error| NoAnswer::NoRelay(io::Error::other(error)))?);
    match client::exchange(&mut relay, request).await {
        Ok(response) => Ok((relay, response)),
        // What is no answer is Docker saying on the relay's behalf why it cannot be started.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(NoAnswer::NoRelay(error)),
        Err(error) => Err(NoAnswer::Lost(error)),
    }
}

/// Whether a container is about to run again by itself, or does already.
async fn comes_back(host: &Docker, container: &str) -> bool {
    let state = host.client.inspect_container(container, None).await.ok().and_then(|it| it.state);
    state.is_some_and(|state| {
        state.restarting == Some(true) || state.running == Some(true) && state.paused != Some(true)
    })
}
