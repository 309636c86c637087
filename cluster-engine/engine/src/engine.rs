//! The life of a cluster: created, waited for, found again, removed.

mod nodes;
mod ready;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drydock_client::{Client, Config};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::nodes::{ComponentFault, NodeFault};
use crate::host::{HostError, HostSession, NodeHost, NodeRole, SessionSpec};
use crate::kubeconfig::Kubeconfig;
use crate::native;
use crate::pki::{Identity, PkiError};
use crate::spec::{ClusterSpec, SpecError};

/// How long a cluster may take to come up before it counts as failed.
const READY_TIME: Duration = Duration::from_secs(60);

/// Why the engine could not do what was asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The cluster was asked for in a way that cannot be.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The host refused or failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The API server refused something that a new cluster needs.
    #[error("the cluster's API server failed at {action}")]
    Api {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: drydock_client::Error,
    },
    /// The cluster did not come up.
    #[error("the cluster did not come up within {seconds} s: {waiting_for}")]
    Timeout {
        /// The time it was given.
        seconds: u64,
        /// What was still missing.
        waiting_for: String,
    },
    /// Only workers come and go.
    #[error("{node} is not a worker: only workers can be removed; to remove everything, delete the cluster")]
    NotAWorker {
        /// The node's name.
        node: String,
    },
    /// The kubelet is its node's first process.
    #[error("the kubelet is the node itself: stop, kill or freeze the node instead")]
    KubeletIsTheNode,
    /// The component has no process there.
    #[error("no process named {component:?} runs on {node}")]
    NoComponent {
        /// The node's name.
        node: String,
        /// The process's name.
        component: String,
    },
    /// What the host kept for the engine cannot be read.
    #[error("the cluster {name:?} was made by another version of Drydock; delete it and create it anew")]
    Note {
        /// The cluster's name.
        name: String,
    },
}

/// How far a new cluster is; each stage is reported when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Certificates, network, node files.
    Network,
    /// Nodes start; the API server does not answer yet.
    ControlPlane,
    /// The API server answers; controllers have not made the default ServiceAccount yet.
    Controllers,
    /// Not every node is Ready yet.
    Nodes,
    /// All nodes are Ready.
    Ready,
}

/// A cluster that exists.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// What was asked for.
    pub spec: ClusterSpec,
    /// When, in milliseconds since the Unix epoch.
    pub created_millis: u64,
    /// The administrator's kubeconfig, valid on this machine.
    pub kubeconfig: String,
    /// What the host runs for it.
    pub host: HostSession,
}

/// What the engine keeps with a session, see [`SessionSpec::note`].
#[derive(Serialize, Deserialize)]
struct Note {
    spec: ClusterSpec,
    created_millis: u64,
    ca: String,
    admin_certificate: String,
    admin_key: String,
}

impl Note {
    fn cluster(&self, host: HostSession) -> Cluster {
        let identity = Identity { certificate: self.admin_certificate.clone(), key: self.admin_key.clone() };
        let kubeconfig = Kubeconfig {
            cluster: &format!("drydock-{}", self.spec.name),
            server: &format!("https://{}", host.endpoint),
            ca: &self.ca,
            user: &format!("drydock-{}-admin", self.spec.name),
            identity: &identity,
        };
        // Workers may have come and gone since.
        let workers = host.nodes.iter().filter(|node| node.role == NodeRole::Worker).count();
        let spec = ClusterSpec { workers: u16::try_from(workers).unwrap_or(u16::MAX), ..self.spec.clone() };
        Cluster { spec, created_millis: self.created_millis, kubeconfig: kubeconfig.render(), host }
    }
}

impl Cluster {
    /// A client for the cluster's API server, as its administrator.
    ///
    /// # Errors
    /// When the kubeconfig is not usable, which only damaged state can cause.
    pub fn client(&self) -> Result<Client, drydock_client::Error> {
        Client::new(Config::from_kubeconfig_str(&self.kubeconfig)?)
    }

    /// Where this machine reaches the API server.
    pub fn endpoint(&self) -> SocketAddr {
        self.host.endpoint
    }
}

/// Creates, finds and removes clusters on one host.
#[derive(Clone)]
pub struct Engine {
    host: Arc<dyn NodeHost>,
}

impl Engine {
    /// An engine on `host`.
    pub fn new(host: Arc<dyn NodeHost>) -> Engine {
        Engine { host }
    }

    /// The host, for what concerns single nodes: exec, terminals, stop, start, usage.
    pub fn host(&self) -> &Arc<dyn NodeHost> {
        &self.host
    }

    /// Creates a cluster and returns when all its nodes are Ready. `progress` hears each stage once.
    ///
    /// # Errors
    /// When the spec is wrong, the host fails, or the cluster does not come up in time; nothing is left behind then.
    pub async fn create(
        &self,
        spec: &ClusterSpec,
        progress: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Cluster, EngineError> {
        spec.validate()?;
        let outcome = self.bring_up(spec, progress).await;
        if let Err(error) = &outcome
            && !matches!(error, EngineError::Host(HostError::Exists { .. }))
        {
            tracing::warn!(cluster.name = spec.name, %error, "removing a cluster that did not come up");
            if let Err(error) = self.host.remove_session(&spec.name).await {
                tracing::error!(cluster.name = spec.name, %error, "cannot remove it");
            }
        }
        outcome
    }

    async fn bring_up(
        &self,
        spec: &ClusterSpec,
        progress: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Cluster, EngineError> {
        let started = Instant::now();
        progress(Stage::Network);
        let plan = native::plan(spec)?;
        let note = Note {
            spec: spec.clone(),
            created_millis: now_millis(),
            ca: plan.ca,
            admin_certificate: plan.admin.certificate,
            admin_key: plan.admin.key,
        };
        let session = SessionSpec {
            name: spec.name.clone(),
            network: native::network(),
            note: serde_json::to_string(&note).map_err(|_| EngineError::Note { name: spec.name.clone() })?,
            limits: spec.session_limits,
        };
        let session = self.host.create_session(&session).await?;
        progress(Stage::ControlPlane);
        try_join_all(plan.nodes.iter().map(|node| self.host.create_node(&spec.name, node))).await?;
        let cluster = note.cluster(session);
        let client = cluster.client().map_err(|source| api_error("connect", source))?;
        let names =
            plan.nodes.iter().filter(|node| native::is_kubernetes_node(node.role)).map(|node| node.name.as_str());
        ready::wait(&client, &names.collect::<Vec<_>>(), started + READY_TIME, progress).await?;
        let host = self.host.session(&spec.name).await?;
        tracing::info!(cluster.name = spec.name, elapsed_millis = started.elapsed().as_millis(), "cluster is ready");
        Ok(Cluster { host, spec: spec.clone(), ..cluster })
    }

    /// Every cluster on the host, those of earlier runs included.
    ///
    /// # Errors
    /// When the host fails. A cluster of another version is left out and logged.
    pub async fn list(&self) -> Result<Vec<Cluster>, EngineError> {
        let sessions = self.host.list_sessions().await?;
        Ok(sessions
            .into_iter()
            .filter_map(|session| {
                let name = session.name.clone();
                read(session).inspect_err(|error| tracing::warn!(cluster.name = name, %error, "left out")).ok()
            })
            .collect())
    }

    /// One cluster.
    ///
    /// # Errors
    /// When there is none of that name, or the host fails.
    pub async fn get(&self, name: &str) -> Result<Cluster, EngineError> {
        read(self.host.session(name).await?)
    }

    /// Removes a cluster and all that was made for it.
    ///
    /// # Errors
    /// When there is none of that name, or the host fails.
    pub async fn delete(&self, name: &str) -> Result<(), EngineError> {
        Ok(self.host.remove_session(name).await?)
    }
}

fn read(session: HostSession) -> Result<Cluster, EngineError> {
    match serde_json::from_str::<Note>(&session.note) {
        Ok(note) => Ok(note.cluster(session)),
        Err(_) => Err(EngineError::Note { name: session.name }),
    }
}

fn api_error(action: &str, source: drydock_client::Error) -> EngineError {
    EngineError::Api { action: action.to_owned(), source }
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
