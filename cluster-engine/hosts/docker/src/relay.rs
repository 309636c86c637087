//! Questions to supervisors, over relays that are kept for the next question.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use drydock_engine::host::HostError;
use drydock_supervisor::client;
use drydock_supervisor::protocol::{Request, Response};
use tokio::io::BufReader;

use crate::stream::ProcessStream;
use crate::{Docker, daemon};

/// The session's folder in every container.
pub(crate) const FOLDER: &str = "/var/lib/drydock/session";
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
    match ask(host, session, container, request).await? {
        Response::Done => Ok(()),
        other => Err(client::unexpected(session, &other)),
    }
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
        // One that was kept may be of a supervisor that is no more.
        if let Some(mut relay) = host.relays.take(container)
            && let Ok(response) = client::exchange(&mut relay, request).await
        {
            return Ok((relay, response));
        }
        let argv = [daemon::BINARY, "drydock-relay", "--session-dir", FOLDER];
        let stream = daemon::run_inside(&host.client, container, &argv).await.map_err(io::Error::other)?;
        let mut relay = BufReader::new(stream);
        let response = client::exchange(&mut relay, request).await?;
        Ok((relay, response))
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
