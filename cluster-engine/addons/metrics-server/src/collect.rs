//! Reading kubelets when somebody asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use drydock_client::types::Node;
use drydock_client::{Api, Client, Config, Error, ListOptions, Object};
use futures_util::future::join_all;
use http::Method;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::parse::{Reading, reading};
use crate::usage::{NodeUsage, between};

/// An answer is good for this long (upstream: `--metric-resolution=15s`).
const FRESH: Duration = Duration::from_secs(10);
/// An older reading says nothing about use now.
const OLDEST: Duration = Duration::from_secs(90);
/// Between two readings when there is none of before.
const FIRST_WINDOW: Duration = Duration::from_millis(1500);
/// How long a kubelet may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of all nodes.
pub(crate) struct Collector {
    client: Client,
    insecure: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    readings: HashMap<String, (Instant, Reading)>,
    kubelets: HashMap<String, (String, Client)>,
    answer: Option<(Instant, Arc<BTreeMap<String, NodeUsage>>)>,
}

impl Collector {
    pub(crate) fn new(client: Client, insecure: bool) -> Collector {
        Collector { client, insecure, state: Mutex::default() }
    }

    /// Use of every node that answers and its pods; as of a few seconds ago at most.
    ///
    /// # Errors
    /// When the API server does not say which nodes there are.
    pub(crate) async fn usage(&self) -> Result<Arc<BTreeMap<String, NodeUsage>>, Error> {
        // Whoever asks meanwhile waits here and shares the answer.
        let mut state = self.state.lock().await;
        if let Some((at, answer)) = &state.answer
            && at.elapsed() < FRESH
        {
            return Ok(answer.clone());
        }
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListOptions::default()).await?.items;
        self.connect(&mut state, &nodes);
        state.readings.retain(|_, (at, _)| at.elapsed() < OLDEST);
        let is_new = nodes.iter().any(|node| !state.readings.contains_key(node.name()));
        if is_new {
            let first = read_all(&state.kubelets).await;
            for (name, read) in first {
                state.readings.entry(name).or_insert(read);
            }
            tokio::time::sleep(FIRST_WINDOW).await;
        }
        let mut all = BTreeMap::new();
        for (name, read) in read_all(&state.kubelets).await {
            if let Some((_, before)) = state.readings.get(&name) {
                all.insert(name.clone(), between(before, &read.1));
            }
            state.readings.insert(name, read);
        }
        let answer = Arc::new(all);
        state.answer = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }

    /// A connection to each node's kubelet, kept while the node is there.
    fn connect(&self, state: &mut State, nodes: &[Node]) {
        state.kubelets.retain(|name, _| nodes.iter().any(|node| node.name() == name));
        for node in nodes {
            let Some(address) = node.address("InternalIP") else { continue };
            if state.kubelets.get(node.name()).is_some_and(|(known, _)| known == address) {
                continue;
            }
            let own = self.client.config();
            let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            let config = Config {
                server: format!("https://{host}:10250"),
                ca: own.ca.clone(),
                auth: own.auth.clone(),
                insecure: self.insecure,
                user_agent: own.user_agent.clone(),
                ..Config::new("")
            };
            match Client::new(config) {
                Ok(client) => drop(state.kubelets.insert(node.name().to_owned(), (address.to_owned(), client))),
                Err(error) => tracing::warn!(node.name = node.name(), %error, "cannot talk to the kubelet"),
            }
        }
    }
}

/// A reading of every kubelet that answers.
async fn read_all(kubelets: &HashMap<String, (String, Client)>) -> Vec<(String, (Instant, Reading))> {
    let each = kubelets.iter().map(|(name, (_, client))| async move {
        let asked = client.request(Method::GET, "/metrics/resource", "", Vec::new());
        let answer = match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(node.name = name, %error, "the kubelet cannot be read");
                return None;
            }
            Err(_) => {
                tracing::warn!(node.name = name, "the kubelet does not answer");
                return None;
            }
        };
        let text = String::from_utf8_lossy(&answer.body);
        Some((name.clone(), (Instant::now(), reading(&text))))
    });
    join_all(each).await.into_iter().flatten().collect()
}
