//! The loop: watch, plan, apply.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drydock_client::types::Namespace;
use drydock_client::{Client, ListOptions, Object, Reflector};
use drydock_component::Shutdown;
use drydock_nftables::ruleset::{Ruleset, steps};
use drydock_nftables::{Error as NetlinkError, Socket, apply, remove_table, table_exists};
use tokio::sync::Notify;

use crate::objects::{NetworkPolicy, Pod};
use crate::plan::plan;
use crate::{Error, TABLE};

/// Changes that come together are planned together.
const GATHER: Duration = Duration::from_millis(20);
/// How often it is looked after whether the table is still there, while there is one.
const CHECK_PERIOD: Duration = Duration::from_secs(30);
/// How long after a refused change it is tried again, with the whole table.
const RETRY: Duration = Duration::from_secs(1);

/// Whom policies can be about; watched only while there is a policy.
struct World {
    pods: Reflector<Pod>,
    namespaces: Reflector<Namespace>,
}

impl World {
    fn start(client: &Client, changed: &Arc<Notify>) -> World {
        let pods = Reflector::<Pod>::start(client.clone(), ListOptions::default());
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        let namespaces = Reflector::<Namespace>::start(client.clone(), options);
        for_changes(&pods, changed);
        for_changes(&namespaces, changed);
        World { pods, namespaces }
    }

    async fn synced(&self) {
        tokio::join!(self.pods.synced(), self.namespaces.synced());
    }

    fn plan(&self, policies: &[Arc<NetworkPolicy>], node: &str) -> Option<Ruleset> {
        let namespaces: BTreeMap<_, _> = self
            .namespaces
            .list()
            .into_iter()
            .map(|namespace| (namespace.name().to_owned(), namespace.metadata.labels.clone()))
            .collect();
        plan(policies, &self.pods.list(), &namespaces, node)
    }
}

/// Enforces policies for the pods of `node` until `shutdown`. The rules stay when it ends.
///
/// # Errors
/// When the kernel has no netfilter.
pub async fn run(client: Client, node: String, shutdown: Shutdown) -> Result<(), Error> {
    let mut kernel = Kernel { socket: Socket::open()?, applied: None, known: false };
    let changed = Arc::new(Notify::new());
    let policies = Reflector::<NetworkPolicy>::start(client.clone(), ListOptions::default());
    for_changes(&policies, &changed);
    tokio::select! {
        () = policies.synced() => {}
        () = shutdown.wait() => return Ok(()),
    }
    let mut world = None;
    loop {
        let current = policies.list();
        let wanted = if current.is_empty() {
            world = None;
            None
        } else {
            let world = world.get_or_insert_with(|| World::start(&client, &changed));
            // Rules that know only some of the pods would cut connections that are allowed.
            tokio::select! {
                () = world.synced() => {}
                () = shutdown.wait() => return Ok(()),
            }
            world.plan(&current, &node)
        };
        let retry = match kernel.change(wanted) {
            Ok(0) => false,
            Ok(steps) => {
                tracing::info!(policies = current.len(), rules.steps = steps, "network policy rules changed");
                false
            }
            Err(error) => {
                tracing::error!(%error, cause = cause(&error), "cannot change the network policy rules; will write all of them anew");
                true
            }
        };
        drop(current);
        tokio::select! {
            () = changed.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(RETRY), if retry => {}
            () = tokio::time::sleep(CHECK_PERIOD), if kernel.applied.is_some() => kernel.look_after(),
            () = shutdown.wait() => return Ok(()),
        }
    }
}

fn for_changes<K: Object>(reflector: &Reflector<K>, changed: &Arc<Notify>) {
    let changed = changed.clone();
    reflector.handle(move |_| changed.notify_one());
}

fn cause(error: &NetlinkError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// What the kernel has.
struct Kernel {
    socket: Socket,
    applied: Option<Ruleset>,
    /// Whether `applied` is what the kernel has; a former process may have left a table.
    known: bool,
}

impl Kernel {
    /// Brings the kernel to `wanted`; answers in how many steps.
    fn change(&mut self, wanted: Option<Ruleset>) -> Result<usize, NetlinkError> {
        let before = self.applied.take();
        let was_known = std::mem::replace(&mut self.known, false);
        let count = match &wanted {
            None if was_known && before.is_none() => 0,
            None => {
                remove_table(&self.socket, TABLE)?;
                usize::from(before.is_some())
            }
            Some(ruleset) => {
                let steps = steps(before.as_ref(), ruleset);
                apply(&self.socket, TABLE, &steps)?;
                steps.len()
            }
        };
        self.applied = wanted;
        self.known = true;
        Ok(count)
    }

    /// Forgets what was applied if the table is gone, so that the next change writes all of it.
    fn look_after(&mut self) {
        match table_exists(&self.socket, TABLE) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("the network policy table is gone; writing it anew");
                self.applied = None;
            }
            Err(error) => tracing::warn!(%error, cause = cause(&error), "cannot look after the network policy table"),
        }
    }
}
