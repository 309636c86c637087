//! Who a controller is: its own service account, with a token asked of the API server and renewed.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use drydock_client::types::ServiceAccount;
use drydock_client::{Api, Client, Error, TokenSource};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

/// Where the service accounts of controllers live.
const NAMESPACE: &str = "kube-system";
/// How long a token is asked for; it is renewed after four fifths of that.
const TOKEN_SECONDS: u64 = 3600;
/// Pauses between attempts to get a token.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

type Cell = Arc<RwLock<Arc<str>>>;

/// Hands out clients that speak as one controller each.
pub(crate) struct Identities {
    /// The controller manager itself.
    own: Client,
    /// A connection without certificate, over which tokens count; none if all speak as the manager.
    bare: Option<Client>,
    held: Arc<Mutex<Vec<Held>>>,
}

struct Held {
    account: String,
    cell: Cell,
    renew_at: Instant,
}

/// The answer to a TokenRequest.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    pub(crate) status: TokenStatus,
}

#[derive(Deserialize)]
pub(crate) struct TokenStatus {
    pub(crate) token: String,
}

impl Identities {
    /// `separate`: each controller under its own account.
    pub(crate) fn new(own: Client, separate: bool) -> Result<Identities, Error> {
        let bare = if separate { Some(own.anonymous()?) } else { None };
        let held: Arc<Mutex<Vec<Held>>> = Arc::default();
        if separate {
            tokio::spawn(renew(own.clone(), Arc::downgrade(&held)));
        }
        Ok(Identities { own, bare, held })
    }

    /// The manager's own client.
    pub(crate) fn own(&self) -> &Client {
        &self.own
    }

    /// A client that speaks as `account`; waits until there is a token for it.
    pub(crate) async fn client(&self, account: &str) -> Client {
        let Some(bare) = &self.bare else { return self.own.clone() };
        let mut pause = PAUSES.0;
        let token = loop {
            match token_for(&self.own, account).await {
                Ok(token) => break token,
                Err(error) => {
                    tracing::debug!(account, %error, "no token yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        };
        let cell: Cell = Arc::new(RwLock::new(token));
        let client = bare.with_token(TokenSource::Shared(cell.clone()));
        let held = Held { account: account.to_owned(), cell, renew_at: next_renewal() };
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        client
    }
}

fn next_renewal() -> Instant {
    Instant::now() + Duration::from_secs(TOKEN_SECONDS * 4 / 5)
}

/// A new token; the account is made if it is not there.
async fn token_for(own: &Client, account: &str) -> Result<Arc<str>, Error> {
    let accounts = Api::<ServiceAccount>::namespaced(own.clone(), NAMESPACE);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    });
    let answer: TokenAnswer = match accounts.create_subresource(account, "token", &request).await {
        Err(error) if error.is_not_found() => {
            let body = json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": NAMESPACE},
            });
            match accounts.create(&body).await {
                Err(error) if !error.is_already_exists() => return Err(error),
                _ => accounts.create_subresource(account, "token", &request).await?,
            }
        }
        answer => answer?,
    };
    Ok(answer.status.token.into())
}

/// Renews tokens before they run out.
async fn renew(own: Client, held: std::sync::Weak<Mutex<Vec<Held>>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let Some(held) = held.upgrade() else { return };
        let due: Vec<(String, Cell)> = {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let due = held.iter_mut().filter(|held| held.renew_at <= now);
            due.map(|held| (held.account.clone(), held.cell.clone())).collect()
        };
        for (account, cell) in due {
            match token_for(&own, &account).await {
                Ok(token) => {
                    *cell.write().unwrap_or_else(PoisonError::into_inner) = token;
                    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                    for held in held.iter_mut().filter(|held| Arc::ptr_eq(&held.cell, &cell)) {
                        held.renew_at = next_renewal();
                    }
                }
                // The old token is good for a while; the next round tries again.
                Err(error) => tracing::warn!(account, %error, "cannot renew the token"),
            }
        }
    }
}
