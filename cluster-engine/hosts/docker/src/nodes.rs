//! Nodes: one container each, whose supervisor runs the node itself.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::{
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder, StopContainerOptionsBuilder,
};
use drydock_engine::host::{ExecOutput, HostError, NodeSpec, NodeState, Stream, Terminal, TerminalSpec};
use drydock_supervisor::client;
use drydock_supervisor::hosting::failed;
use drydock_supervisor::protocol::Request;

use crate::daemon::Rights;
use crate::labels::{self, Container, Session};
use crate::sessions::{self, ContainerOf};
use crate::{Docker, daemon, relay, store};

/// A node's container.
async fn container(host: &Docker, session: &str, node: &str) -> Result<Container, HostError> {
    let (found, ..) = host.present(session).await?;
    of(&found, node).ok_or_else(|| HostError::NoNode { session: session.to_owned(), node: node.to_owned() })
}

fn of(session: &Session, node: &str) -> Option<Container> {
    session.nodes.iter().find(|it| it.name == node).map(|it| it.container.clone())
}

/// A node's container, when it runs.
async fn running(host: &Docker, session: &str, node: &str) -> Result<Container, HostError> {
    let container = container(host, session, node).await?;
    let what = match container.state {
        NodeState::Running => return Ok(container),
        NodeState::Paused => "frozen",
        NodeState::Stopped => "not running",
    };
    Err(failed(format!("cluster {session:?}"), format!("node {node:?} is {what}")))
}

pub(crate) async fn create(host: &Docker, session: &str, spec: &NodeSpec) -> Result<(), HostError> {
    let (found, _, gateway) = host.present(session).await?;
    let is_name = !spec.name.is_empty()
        && spec.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name {
        return Err(HostError::NoNode { session: session.to_owned(), node: spec.name.clone() });
    }
    if of(&found, &spec.name).is_some() {
        return Err(HostError::Exists { name: spec.name.clone() });
    }
    let image = host.image().await?;
    let spec = NodeSpec { binds: store::binds(host, image, &spec.binds).await?, ..spec.clone() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let labels = labels::common(&host.instance, session)
        .into_iter()
        .chain(labels::node(&spec.name, spec.role, spec.ip, now))
        .collect();
    let made = ContainerOf { session, node: Some(&spec.name), gateway: &gateway, image };
    match made.start(host, labels).await {
        Err(error) if daemon::status(&error) == Some(409) => return Err(HostError::Exists { name: spec.name }),
        outcome => outcome.map_err(|error| failed(format!("start node {}", spec.name), error))?,
    }
    let id = container(host, session, &spec.name).await?.id;
    let name = spec.name.clone();
    let created = relay::done(host, session, &id, &Request::CreateNode { spec: Box::new(spec) }).await;
    if let Err(error) = created {
        let said = daemon::last_words(&host.client, &id).await;
        remove(host, session, &name).await?;
        // A supervisor that did not even start says why in its log.
        return Err(match (error, said) {
            (HostError::Io { .. }, Some(said)) => failed(format!("start node {name}"), said),
            (error, _) => error,
        });
    }
    Ok(())
}

pub(crate) async fn start(host: &Docker, session: &str, node: &str) -> Result<(), HostError> {
    let container = container(host, session, node).await?;
    if container.state != NodeState::Stopped {
        return Ok(());
    }
    let fail = |error| failed(format!("start node {node}"), error);
    host.client.start_container(&container.id, None).await.map_err(fail)?;
    // Ready for orders when this returns, as a node that was just made is; its supervisor starts it by itself.
    let found = relay::ask(host, session, &container.id, &Request::Session).await?.session(session)?;
    if found.nodes.iter().any(|it| it.state == NodeState::Running) {
        return Ok(());
    }
    relay::done(host, session, &container.id, &Request::StartNode { node: node.to_owned() }).await
}

pub(crate) async fn stop(host: &Docker, session: &str, node: &str, grace: Duration) -> Result<(), HostError> {
    let container = container(host, session, node).await?;
    host.relays.forget(&container.id);
    let fail = |error| failed(format!("stop node {node}"), error);
    match container.state {
        NodeState::Stopped => return Ok(()),
        NodeState::Paused => host.client.unpause_container(&container.id).await.map_err(fail)?,
        NodeState::Running => {}
    }
    let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::default().t(seconds).build();
    // A node may be asked to end for longer than other answers take.
    let client = host.client.clone().with_timeout(grace.saturating_add(Duration::from_secs(60)));
    client.stop_container(&container.id, Some(options)).await.map_err(fail)
}

pub(crate) async fn pause(host: &Docker, session: &str, node: &str, paused: bool) -> Result<(), HostError> {
    let container = running_or_paused(host, session, node).await?;
    let outcome = match (container.state, paused) {
        (NodeState::Running, true) => host.client.pause_container(&container.id).await,
        (NodeState::Paused, false) => host.client.unpause_container(&container.id).await,
        _ => Ok(()),
    };
    outcome.map_err(|error| failed(format!("{} node {node}", if paused { "freeze" } else { "thaw" }), error))
}

async fn running_or_paused(host: &Docker, session: &str, node: &str) -> Result<Container, HostError> {
    match container(host, session, node).await? {
        Container { state: NodeState::Stopped, .. } => running(host, session, node).await,
        container => Ok(container),
    }
}

pub(crate) async fn remove(host: &Docker, session: &str, node: &str) -> Result<(), HostError> {
    let action = || format!("remove node {node}");
    let gone = |outcome: Result<(), bollard::errors::Error>| match outcome {
        Err(error) if !daemon::is_missing(&error) => Err(failed(action(), error)),
        _ => Ok(()),
    };
    let (found, ..) = match host.present(session).await {
        Err(HostError::NoSession { .. }) => return Ok(()),
        found => found?,
    };
    let Some(container) = of(&found, node) else { return Ok(()) };
    sessions::wake(host, session, &container).await;
    host.relays.forget(&container.id);
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    gone(host.client.remove_container(&container.id, Some(options)).await)?;
    let options = RemoveVolumeOptionsBuilder::default().force(true).build();
    gone(host.client.remove_volume(&host.name_of(session, Some(node)), Some(options)).await)
}

/// Plugs a node's cable in or out: the node's own supervisor remembers it, also for the next start.
pub(crate) async fn plug(host: &Docker, session: &str, node: &str, plugged: bool) -> Result<(), HostError> {
    let container = container(host, session, node).await?;
    let request = Request::PlugNode { node: node.to_owned(), plugged };
    match container.state {
        NodeState::Running => relay::done(host, session, &container.id, &request).await,
        NodeState::Paused => {
            pause(host, session, node, false).await?;
            let outcome = relay::done(host, session, &container.id, &request).await;
            pause(host, session, node, true).await?;
            outcome
        }
        NodeState::Stopped => {
            let argv = ["drydock-store", "plug", "--session-dir", relay::FOLDER];
            let mut argv = argv.to_vec();
            argv.extend((!plugged).then_some("--out"));
            let mounts = vec![daemon::volume(&host.name_of(session, Some(node)), "/var/lib/drydock", false)];
            let image = (host.image().await?, Rights::Usual);
            daemon::run_helper(&host.client, image, &host.instance, mounts, &argv, None).await.map(|_| ())
        }
    }
}

pub(crate) async fn exec(host: &Docker, session: &str, node: &str, argv: &[String]) -> Result<ExecOutput, HostError> {
    let container = running(host, session, node).await?;
    let request = Request::Exec { node: node.to_owned(), argv: argv.to_vec() };
    relay::ask(host, session, &container.id, &request).await?.output(session)
}

pub(crate) async fn terminal(
    host: &Docker,
    session: &str,
    node: &str,
    spec: &TerminalSpec,
) -> Result<Terminal, HostError> {
    let container = running(host, session, node).await?;
    let request = Request::Terminal { node: node.to_owned(), spec: spec.clone() };
    let (stream, response) = relay::open(host, session, &container.id, &request).await?;
    response.done(session)?;
    Ok(client::terminal(stream, spec))
}

/// A byte stream to an address, from a node.
pub(crate) async fn dial_from(
    host: &Docker,
    session: &str,
    node: &str,
    addr: SocketAddr,
) -> Result<Box<dyn Stream>, HostError> {
    let container = running(host, session, node).await?;
    let request = Request::Dial { addr, node: Some(node.to_owned()) };
    let (stream, response) = relay::open(host, session, &container.id, &request).await?;
    response.done(session)?;
    Ok(Box::new(stream))
}

/// A part of a file: from the node's supervisor, or, where that does not run or is frozen, from the node's disk.
pub(crate) async fn read_file(
    host: &Docker,
    session: &str,
    node: &str,
    path: &str,
    offset: u64,
    limit: usize,
) -> Result<Vec<u8>, HostError> {
    let container = container(host, session, node).await?;
    if container.state == NodeState::Running {
        let request = Request::ReadFile { node: node.to_owned(), path: path.to_owned(), offset, limit };
        return relay::ask(host, session, &container.id, &request).await?.bytes(session);
    }
    let (offset, limit) = (offset.to_string(), limit.to_string());
    let mut argv = vec!["drydock-store", "read", "--session-dir", relay::FOLDER, "--node", node, "--path", path];
    argv.extend(["--offset", &offset, "--limit", &limit]);
    let mounts = vec![daemon::volume(&host.name_of(session, Some(node)), "/var/lib/drydock", false)];
    let image = (host.image().await?, Rights::Disks);
    daemon::run_helper(&host.client, image, &host.instance, mounts, &argv, None).await
}
