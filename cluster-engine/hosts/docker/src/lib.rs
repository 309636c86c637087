//! `NodeHost` over the Docker API: a node is a container on its session's own Docker network, never a privileged one.
//!
//! The first process of every container is a supervisor (`drydock-supervisor`), the same that runs the sessions of the
//! embedded host. One container is the session's gateway; each other one runs one node, *inside* namespaces of its own:
//! neither a node's root nor a learner ever holds the rights of the container. A tunnel over the Docker network is the
//! session's network, so every session has the addresses it wants and nodes see nothing of Docker's.
//!
//! The host keeps nothing: what exists is what Docker lists under this data folder's label. It talks to supervisors by
//! running `drydock-relay` beside them, so the daemon may be anywhere.

mod daemon;
mod labels;
mod nodes;
mod profile;
mod relay;
mod sessions;
mod store;
mod stream;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use drydock_engine::host::{
    ExecOutput, HostError, HostSession, NodeHost, NodeSpec, NodeUsage, SessionSpec, Stream, Terminal, TerminalSpec,
};
use drydock_supervisor::hosting::io;
use drydock_supervisor::protocol::Request;
use tokio::sync::{Mutex, OnceCell};

/// What the host is given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `docker save` archive of the image with the node binary.
    pub node_archive: PathBuf,
    /// The archives of all images that pods and nodes may use.
    pub image_archives: Vec<PathBuf>,
    /// The file with the rules for fetching images, if there is one.
    pub image_rules: Option<PathBuf>,
    /// Name of the volume that all sessions share.
    pub store: String,
}

/// Sessions of one data folder.
pub struct Docker {
    client: bollard::Docker,
    data: PathBuf,
    /// What tells this data folder's containers from those of other servers.
    instance: String,
    settings: Settings,
    /// The node image, once everything is prepared.
    image: OnceCell<String>,
    filling: Mutex<()>,
    relays: relay::Pool,
}

/// Whether there is a Docker here that can run nodes.
///
/// # Errors
/// One sentence on what is missing.
pub async fn preflight() -> Result<(), HostError> {
    daemon::examine(&daemon::connect()?).await.map(|_| ())
}

impl Docker {
    /// A host whose notes are below `data`. Nothing is asked of Docker yet.
    ///
    /// # Errors
    /// When the folder cannot be written to or there is no way to Docker.
    pub fn new(data: &Path, settings: Settings) -> Result<Docker, HostError> {
        let data = data.join("docker");
        fs::create_dir_all(&data).map_err(io(format!("cannot create {}", data.display())))?;
        Ok(Docker {
            client: daemon::connect()?,
            instance: instance(&data)?,
            data,
            settings,
            image: OnceCell::new(),
            filling: Mutex::default(),
            relays: relay::Pool::default(),
        })
    }

    /// Whether a data folder ever had sessions in Docker.
    #[must_use]
    pub fn was_used(data: &Path) -> bool {
        data.join("docker").is_dir()
    }

    /// Puts into Docker what all sessions need, unless it is there: before the first one has to wait for it.
    ///
    /// # Errors
    /// When Docker fails.
    pub async fn prepare(&self) -> Result<(), HostError> {
        self.image().await.map(|_| ())
    }

    /// Puts the images of a `docker save` archive where sessions in Docker find them.
    ///
    /// # Errors
    /// When the archive cannot be read or Docker fails.
    pub async fn import(&self, archive: &Path) -> Result<(), HostError> {
        let image = self.image().await?;
        store::import(self, image, archive).await
    }

    /// The node image, with everything that nodes need in place.
    async fn image(&self) -> Result<&str, HostError> {
        let image = self.image.get_or_try_init(|| async {
            let _turn = self.lock().await?;
            store::prepare(self).await
        });
        Ok(image.await?)
    }
}

/// The data folder's own name among all that use the same Docker, made once.
fn instance(data: &Path) -> Result<String, HostError> {
    let path = data.join("instance");
    if let Some(name) = fs::read_to_string(&path).ok().filter(|name| !name.is_empty()) {
        return Ok(name);
    }
    let name = format!("{:016x}", rand::random::<u64>());
    let partial = data.join(format!(".instance-{name}"));
    // Whoever is first gives the name: a link never replaces what is there.
    let written = fs::write(&partial, &name).and_then(|()| match fs::hard_link(&partial, &path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    });
    written
        .and_then(|()| fs::remove_file(&partial))
        .and_then(|()| fs::read_to_string(&path))
        .map_err(io(format!("cannot write {}", path.display())))
}

#[async_trait]
impl NodeHost for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn preflight(&self) -> Result<(), HostError> {
        daemon::examine(&self.client).await.map(|_| ())
    }

    async fn create_session(&self, spec: &SessionSpec) -> Result<HostSession, HostError> {
        sessions::create(self, spec).await
    }

    async fn remove_session(&self, session: &str) -> Result<(), HostError> {
        sessions::remove(self, session).await
    }

    async fn list_sessions(&self) -> Result<Vec<HostSession>, HostError> {
        sessions::list(self).await
    }

    async fn session(&self, session: &str) -> Result<HostSession, HostError> {
        sessions::describe(self, session).await
    }

    async fn create_node(&self, session: &str, spec: &NodeSpec) -> Result<(), HostError> {
        nodes::create(self, session, spec).await
    }

    async fn start_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        nodes::start(self, session, node).await
    }

    async fn stop_node(&self, session: &str, node: &str, grace: Duration) -> Result<(), HostError> {
        nodes::stop(self, session, node, grace).await
    }

    async fn pause_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        nodes::pause(self, session, node, true).await
    }

    async fn resume_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        nodes::pause(self, session, node, false).await
    }

    async fn freeze_session(&self, session: &str, frozen: bool) -> Result<(), HostError> {
        sessions::freeze(self, session, frozen).await
    }

    async fn remove_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        nodes::remove(self, session, node).await
    }

    async fn detach_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        nodes::plug(self, session, node, false).await
    }

    async fn attach_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        nodes::plug(self, session, node, true).await
    }

    async fn exec(&self, session: &str, node: &str, argv: &[String]) -> Result<ExecOutput, HostError> {
        nodes::exec(self, session, node, argv).await
    }

    async fn terminal(&self, session: &str, node: &str, spec: &TerminalSpec) -> Result<Terminal, HostError> {
        nodes::terminal(self, session, node, spec).await
    }

    async fn close_terminal(&self, session: &str, id: &str) -> Result<(), HostError> {
        sessions::ask_nodes(self, session, &Request::CloseTerminal { id: id.to_owned() }).await.map(|_| ())
    }

    async fn dial(&self, session: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError> {
        sessions::dial(self, session, addr).await
    }

    async fn dial_from(&self, session: &str, node: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError> {
        nodes::dial_from(self, session, node, addr).await
    }

    async fn read_file(
        &self,
        session: &str,
        node: &str,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, HostError> {
        nodes::read_file(self, session, node, path, offset, limit).await
    }

    async fn usage(&self, session: &str) -> Result<Vec<NodeUsage>, HostError> {
        sessions::usage(self, session).await
    }
}
