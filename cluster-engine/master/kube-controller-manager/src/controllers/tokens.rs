//! Fills Secrets of type `kubernetes.io/service-account-token` with a token, the CA and the namespace, and deletes those
//! whose service account is gone (upstream: `TokensController`).
//!
//! The token is asked of the API server, bound to the Secret and valid for as long as may be asked for, so that this
//! process needs no signing key; it ends with the Secret.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use drydock_api::meta::{ObjectMeta, null_as_default};
use drydock_client::types::{ServiceAccount, StringMap};
use drydock_client::{Api, Client, DeleteOptions, Error, Event, ListOptions, Object, Reflector, WorkQueue, object};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::identity::TokenAnswer;
use crate::work::{Key, Next, Reconcile, edit, key, unless_gone, work};

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// The longest life that the API server gives, 136 years.
const SECONDS: i64 = 1 << 32;

/// A Secret that holds a token, or is to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Secret {
    metadata: ObjectMeta,
    #[serde(deserialize_with = "null_as_default")]
    data: StringMap,
}

object!(Secret, "", "v1", "Secret", "secrets", namespaced, Secret::slim);

impl Secret {
    /// Of the token it matters only that it is there.
    fn slim(&mut self) {
        self.data.retain(|name, _| matches!(name.as_str(), "token" | "ca.crt" | "namespace"));
        if let Some(token) = self.data.get_mut("token") {
            token.truncate(1);
        }
    }

    fn annotation(&self, name: &str) -> &str {
        self.metadata.annotations.get(name).map_or("", String::as_str)
    }

    /// Whether it is a Secret of this account, or of the one that had its uid.
    fn is_of(&self, account: &ServiceAccount) -> bool {
        let uid = self.annotation(ACCOUNT_UID);
        self.annotation(ACCOUNT) == account.name() && (uid.is_empty() || uid == account.uid())
    }
}

/// What is to be done about a Secret.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Delete,
    /// Write what is missing; with a new token if there is none.
    Fill {
        token: bool,
    },
}

fn plan(secret: &Secret, account: Option<&ServiceAccount>, ca: &str) -> Action {
    let Some(account) = account.filter(|account| secret.is_of(account)) else { return Action::Delete };
    if secret.metadata.is_deleting() || account.metadata.is_deleting() {
        return Action::Nothing;
    }
    let has = |name: &str, text: &str| secret.data.get(name).is_some_and(|held| *held == BASE64_STANDARD.encode(text));
    let token = secret.data.get("token").is_none_or(String::is_empty);
    let is_right = !token
        && (ca.is_empty() || has("ca.crt", ca))
        && has("namespace", secret.namespace())
        && secret.annotation(ACCOUNT_UID) == account.uid();
    if is_right { Action::Nothing } else { Action::Fill { token } }
}

struct Controller {
    client: Client,
    secrets: Reflector<Secret>,
    accounts: Reflector<ServiceAccount>,
    /// The CA that clients in the cluster are to trust; may be empty.
    ca: String,
}

pub(super) async fn run(context: Arc<Context>, ca: String) {
    let client = context.own_client();
    let accounts = context.watch::<ServiceAccount>();
    let secrets = Reflector::<Secret>::start(client.clone(), ListOptions::fields(format!("type={TYPE}")));
    accounts.synced().await;
    secrets.synced().await;
    let queue = WorkQueue::new();
    let add = queue.clone();
    secrets.handle(move |event| {
        if matches!(event, Event::Applied(..)) {
            add.add(key(&**event.object()));
        }
    });
    let (add, all) = (queue.clone(), secrets.clone());
    accounts.handle(move |event| {
        let account = event.object();
        let of_account = |secret: &&Arc<Secret>| secret.annotation(ACCOUNT) == account.name();
        all.list_in(account.namespace()).iter().filter(of_account).for_each(|secret| add.add(key(&**secret)));
    });
    work(Arc::new(Controller { client, secrets, accounts, ca }), queue, 1).await;
}

impl Reconcile for Controller {
    type Key = Key;
    const NAME: &'static str = "serviceaccount-token";

    async fn reconcile(&self, (namespace, name): &Key) -> Result<Next, Error> {
        let Some(secret) = self.secrets.get(namespace, name) else { return Ok(Next::Change) };
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let account_name = secret.annotation(ACCOUNT);
        let account = match self.accounts.get(namespace, account_name) {
            // The watch may be late; a Secret is not deleted for that.
            None if !account_name.is_empty() => accounts.get_opt(account_name).await?.map(Arc::new),
            found => found,
        };
        let token = match plan(&secret, account.as_deref(), &self.ca) {
            Action::Nothing => return Ok(Next::Change),
            Action::Delete => {
                let options = DeleteOptions {
                    resource_version: Some(secret.metadata.resource_version.clone()),
                    ..DeleteOptions::of_uid(secret.uid())
                };
                let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
                unless_gone(api.delete(name, &options).await)?;
                return Ok(Next::Change);
            }
            Action::Fill { token: false } => None,
            Action::Fill { token: true } => {
                let bound = json!({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": secret.uid()});
                let request = json!({
                    "apiVersion": "authentication.k8s.io/v1",
                    "kind": "TokenRequest",
                    "spec": {"expirationSeconds": SECONDS, "boundObjectRef": bound},
                });
                let answer = accounts.create_subresource::<TokenAnswer>(account_name, "token", &request).await;
                let Some(answer) = unless_gone(answer)? else { return Ok(Next::Change) };
                Some(answer.status.token)
            }
        };
        let uid = account.map(|account| account.uid().to_owned()).unwrap_or_default();
        let fill = |body: &mut Value| {
            body["metadata"]["annotations"][ACCOUNT_UID] = uid.into();
            let mut set = |name: &str, text: &str| body["data"][name] = BASE64_STANDARD.encode(text).into();
            set("namespace", namespace);
            if !self.ca.is_empty() {
                set("ca.crt", &self.ca);
            }
            if let Some(token) = token {
                set("token", &token);
            }
            true
        };
        edit(&self.client, &*secret, "", fill).await?;
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(uid: &str, data: &[(&str, &str)]) -> Secret {
        let value = json!({
            "metadata": {"namespace": "ns", "name": "s", "annotations": {ACCOUNT: "robot", ACCOUNT_UID: uid}},
            "data": data.iter().map(|(name, text)| ((*name).to_owned(), BASE64_STANDARD.encode(text))).collect::<StringMap>(),
        });
        let mut secret: Secret = serde_json::from_value(value).unwrap();
        secret.slim();
        secret
    }

    #[test]
    fn secrets_follow_their_account() {
        let mut robot = ServiceAccount::default();
        (robot.metadata.name, robot.metadata.uid) = ("robot".into(), "1".into());
        let full = [("token", "t"), ("ca.crt", "CA"), ("namespace", "ns")];
        for (secret, account, expected) in [
            (secret("", &[]), None, Action::Delete),
            (secret("", &[]), Some(&robot), Action::Fill { token: true }),
            (secret("1", &full), Some(&robot), Action::Nothing),
            (secret("", &full), Some(&robot), Action::Fill { token: false }),
            (secret("1", &full[..2]), Some(&robot), Action::Fill { token: false }),
            (
                secret("1", &[("token", "t"), ("ca.crt", "old"), ("namespace", "ns")]),
                Some(&robot),
                Action::Fill { token: false },
            ),
            // A namesake of the account that it was for.
            (secret("2", &full), Some(&robot), Action::Delete),
        ] {
            assert_eq!(plan(&secret, account, "CA"), expected, "{secret:?}");
        }
    }
}
