//! `NodeHost` on Linux namespaces: no daemon but one supervisor a session.
//!
//! The host itself keeps nothing in memory: what exists is what lies in `<data>/sessions`, and what runs is what answers
//! on a supervisor's socket. So a restarted server, or a command line beside it, sees the same sessions.

mod connection;
pub mod preflight;
mod sessions;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use drydock_engine::host::{
    ExecOutput, HostError, HostSession, NodeHost, NodeSpec, NodeUsage, SessionSpec, Stream, Terminal, TerminalSpec,
};
use drydock_supervisor::protocol::{Request, Response};

/// The image that holds the node binary.
const NODE_IMAGE: &str = "drydock/node:latest";

/// Sessions below one data folder.
pub struct Embedded {
    sessions: PathBuf,
    images: PathBuf,
    supervisor: PathBuf,
}

impl Embedded {
    /// A host whose state is below `data`. The image store in `data/images` must hold the node image.
    ///
    /// # Errors
    /// When the folder cannot be made or the node image is not there.
    pub fn new(data: &Path) -> Result<Embedded, HostError> {
        let sessions = data.join("sessions");
        std::fs::create_dir_all(&sessions)
            .map_err(|source| HostError::Io { action: format!("cannot create {}", sessions.display()), source })?;
        let images = data.join("images");
        // In a container they are read-only at first.
        drydock_supervisor::duties::open_control_groups()
            .map_err(|error| HostError::Unsupported(format!("control groups cannot be written to: {error}")))?;
        let failed = |reason: String| HostError::Failed { action: format!("find the image {NODE_IMAGE}"), reason };
        let store = drydock_images::ImageStore::open(&images).map_err(|error| failed(error.to_string()))?;
        let image = store.resolve(NODE_IMAGE).map_err(|error| failed(error.to_string()))?;
        // The supervisor runs from the image's own file, so that it shares its pages with every node.
        let binary =
            image.layers.iter().rev().map(|layer| layer.join("usr/local/bin/drydock-node")).find(|file| file.is_file());
        let supervisor = binary.ok_or_else(|| failed("it holds no drydock-node".to_owned()))?;
        Ok(Embedded { sessions, images, supervisor })
    }

    fn folder(&self, session: &str) -> PathBuf {
        self.sessions.join(session)
    }

    async fn ask(&self, session: &str, request: &Request) -> Result<Response, HostError> {
        connection::ask(&self.folder(session), session, request).await
    }

    async fn done(&self, session: &str, request: &Request) -> Result<(), HostError> {
        self.ask(session, request).await?.done(session)
    }
}

#[async_trait]
impl NodeHost for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn preflight(&self) -> Result<(), HostError> {
        preflight::machine(&self.sessions)
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
        self.done(session, &Request::CreateNode { spec: Box::new(spec.clone()) }).await
    }

    async fn start_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        self.done(session, &Request::StartNode { node: node.to_owned() }).await
    }

    async fn stop_node(&self, session: &str, node: &str, grace: Duration) -> Result<(), HostError> {
        let grace_millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.done(session, &Request::StopNode { node: node.to_owned(), grace_millis }).await
    }

    async fn pause_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        self.done(session, &Request::FreezeNode { node: node.to_owned(), frozen: true }).await
    }

    async fn resume_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        self.done(session, &Request::FreezeNode { node: node.to_owned(), frozen: false }).await
    }

    async fn freeze_session(&self, session: &str, frozen: bool) -> Result<(), HostError> {
        self.done(session, &Request::FreezeSession { frozen }).await
    }

    async fn remove_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        match self.done(session, &Request::RemoveNode { node: node.to_owned() }).await {
            Err(HostError::NoNode { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    async fn detach_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        self.done(session, &Request::PlugNode { node: node.to_owned(), plugged: false }).await
    }

    async fn attach_node(&self, session: &str, node: &str) -> Result<(), HostError> {
        self.done(session, &Request::PlugNode { node: node.to_owned(), plugged: true }).await
    }

    async fn exec(&self, session: &str, node: &str, argv: &[String]) -> Result<ExecOutput, HostError> {
        let request = Request::Exec { node: node.to_owned(), argv: argv.to_vec() };
        self.ask(session, &request).await?.output(session)
    }

    async fn terminal(&self, session: &str, node: &str, spec: &TerminalSpec) -> Result<Terminal, HostError> {
        connection::terminal(&self.folder(session), session, node, spec).await
    }

    async fn close_terminal(&self, session: &str, id: &str) -> Result<(), HostError> {
        self.done(session, &Request::CloseTerminal { id: id.to_owned() }).await
    }

    async fn dial(&self, session: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError> {
        connection::dial(&self.folder(session), session, addr, None).await
    }

    async fn dial_from(&self, session: &str, node: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError> {
        connection::dial(&self.folder(session), session, addr, Some(node.to_owned())).await
    }

    async fn read_file(
        &self,
        session: &str,
        node: &str,
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, HostError> {
        let request = Request::ReadFile { node: node.to_owned(), path: path.to_owned(), offset, limit };
        self.ask(session, &request).await?.bytes(session)
    }

    async fn usage(&self, session: &str) -> Result<Vec<NodeUsage>, HostError> {
        self.ask(session, &Request::Usage).await?.usage(session)
    }
}
