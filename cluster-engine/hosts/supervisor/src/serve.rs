//! The supervisor's life: builds the session from its saved state, answers requests, ends everything.

mod answer;

use std::cell::Cell;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use drydock_component::Shutdown;
use drydock_container_runtime::Reaper;
use drydock_container_runtime::cgroup::Hierarchy;
use drydock_engine::host::{HostNode, HostSession};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Mutex, Notify};
use tokio::task::LocalSet;

use crate::network::{Client, Network};
use crate::node::{Life, Node, Shared};
use crate::protocol::{self, LOCK, STATE};
use crate::state::{SavedNode, State};
use crate::terminal::Terminals;
use crate::{Error, Options, duties, images, share};

/// A node whose first process died is started again after this pause.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A session at work. Everything runs on one thread: nodes die with the thread that started them.
struct Supervisor {
    shared: Shared,
    state: Mutex<State>,
    nodes: Mutex<Vec<Node>>,
    terminals: Mutex<Terminals>,
    end: Notify,
    /// All nodes are frozen together.
    asleep: Cell<bool>,
}

pub(crate) async fn run(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    LocalSet::new().run_until(live(options, shutdown)).await
}

async fn live(options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let folder = options.session_dir;
    if options.session.is_some() {
        std::fs::create_dir_all(&folder).map_err(Error::io(format!("cannot create {}", folder.display())))?;
    }
    // Two supervisors would fight for the same nodes. The lock goes with the process.
    let lock = folder.join(LOCK);
    let lock = File::create(&lock).map_err(Error::io(format!("cannot write {}", lock.display())))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| Error::io("the session has a supervisor already")(error.into()))?;
    if let Some(session) = &options.session
        && !folder.join(STATE).exists()
    {
        serde_json::from_str::<State>(session)?.save(&folder)?;
    }
    let mut state = State::load(&folder)?;
    // Its own session and mounts: a terminal's hang-up is not ours, and what we mount nobody else sees.
    let _ = nix::unistd::setsid();
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| Error::io("cannot make a mount namespace")(error.into()))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|error| Error::io("cannot make mounts private")(error.into()))?;
    duties::perform()?;
    let reaper = Reaper::start();
    let gateway = match options.member {
        true => None,
        false => Some(open_gateway(options.listen, &mut state, &folder).await?),
    };
    let network = Network::create(&state.spec.network, !options.member, options.uplink).await?;
    let cgroups = Hierarchy::detect().map_err(Error::runtime("cannot use cgroups"))?;
    let group = protocol::group(&folder).map_err(Error::io(format!("cannot read {}", folder.display())))?;
    share::divide(&cgroups, &cgroups.group(&group), &state.spec.limits)?;
    let shared = Shared {
        session: state.spec.name.clone(),
        group,
        first_id: state.first_id,
        images: images::mount(&options.images, &folder, state.first_id, &reaper)?,
        network,
        reaper,
        cgroups,
        folder: folder.clone(),
    };
    images::serve(&shared.images, &options.images, &folder, shared.first_id, &shared.reaper)?;
    let (socket, _folder) =
        protocol::socket(&folder).map_err(Error::io(format!("cannot open {}", folder.display())))?;
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(Error::io(format!("cannot listen on {}", socket.display())))?;
    private(&socket)?;
    let saved = state.nodes.clone();
    let supervisor = Rc::new(Supervisor {
        shared,
        state: Mutex::new(state),
        nodes: Mutex::default(),
        terminals: Mutex::default(),
        end: Notify::new(),
        asleep: Cell::new(false),
    });
    // Frozen by a supervisor that is gone: what is left of its nodes could not even die.
    if let Err(error) = supervisor.freeze(false) {
        tracing::warn!(%error, "the session can never be frozen");
    }
    for (number, node) in saved.into_iter().enumerate() {
        supervisor.clone().restore(node, number).await;
    }
    let accept = supervisor.clone();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(answer::connection(accept.clone(), stream));
        }
    });
    if let Some(gateway) = gateway {
        let forward = supervisor.clone();
        tokio::task::spawn_local(async move { forward.forward(gateway).await });
    }
    tracing::info!(session.name = supervisor.shared.session, "supervising");
    let grace = tokio::select! {
        () = shutdown.wait() => Duration::from_secs(options.grace_seconds),
        () = supervisor.end.notified() => Duration::ZERO,
    };
    supervisor.finish(grace).await;
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

/// Listens on the port that the session had before, if it had one.
async fn open_gateway(listen: IpAddr, state: &mut State, folder: &Path) -> Result<TcpListener, Error> {
    let gateway = match TcpListener::bind((listen, state.port)).await {
        // Somebody else took the port while the session was down: better another one than no session.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            tracing::warn!(port = state.port, "the gateway's port is taken; it gets another one");
            TcpListener::bind((listen, 0)).await
        }
        outcome => outcome,
    };
    let gateway = gateway.map_err(Error::io("cannot open the gateway's port"))?;
    let port = gateway.local_addr().map_err(Error::io("cannot read the gateway's port"))?.port();
    if state.port != port {
        state.port = port;
        state.save(folder)?;
    }
    Ok(gateway)
}

/// Only the machine's root may give orders.
fn private(socket: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .map_err(Error::io("cannot protect the socket"))
}

impl Supervisor {
    /// Freezes or thaws all nodes; those that are frozen each by itself stay so.
    fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let group = self.shared.cgroups.group(&self.shared.group);
        let action = if frozen { "cannot freeze the session" } else { "cannot thaw the session" };
        group.freeze(frozen).map_err(Error::runtime(action))?;
        self.asleep.set(frozen);
        Ok(())
    }

    async fn restore(self: Rc<Self>, saved: SavedNode, number: usize) {
        let mut node = Node::new(saved.spec, number);
        node.unplugged = saved.unplugged;
        let name = node.spec.name.clone();
        let stop = node.stop(&self.shared, Duration::ZERO).await;
        let start = if saved.stopped { Ok(()) } else { node.start(&self.shared).await };
        if let Err(error) = stop.and(start) {
            tracing::error!(node.name = name, %error, "cannot start a node again");
        }
        let life = node.take_life();
        self.nodes.lock().await.push(node);
        self.watch(name, life);
    }

    /// Starts a node again whose first process ended by itself, as a machine that is switched on again would.
    fn watch(self: Rc<Self>, name: String, life: Option<Life>) {
        let Some(Life { pid, ended }) = life else { return };
        tokio::task::spawn_local(async move {
            if ended.await.is_err() {
                return;
            }
            let cleaned = {
                let mut nodes = self.nodes.lock().await;
                // Switched off on purpose, and perhaps on again: none of our business.
                let Some(node) = nodes.iter_mut().find(|node| node.spec.name == name && node.pid() == Some(pid)) else {
                    return;
                };
                node.ended();
                tracing::warn!(node.name = name, "a node's first process ended; it is started again");
                node.stop(&self.shared, Duration::ZERO).await
            };
            if let Err(error) = cleaned {
                tracing::error!(node.name = name, %error, "cannot clean a node");
            }
            tokio::time::sleep(RESTART_PAUSE).await;
            let stopped = self.state.lock().await.nodes.iter().any(|node| node.spec.name == name && node.stopped);
            let mut nodes = self.nodes.lock().await;
            let Some(node) = nodes.iter_mut().find(|node| node.spec.name == name) else { return };
            if stopped || node.pid().is_some() {
                return;
            }
            if let Err(error) = node.start(&self.shared).await {
                tracing::error!(node.name = name, %error, "cannot start a node again");
            }
            let life = node.take_life();
            drop(nodes);
            self.watch(name, life);
        });
    }

    async fn forward(&self, gateway: TcpListener) {
        let target = self.state.lock().await.spec.network.api_server;
        loop {
            match gateway.accept().await {
                Ok((stream, _)) => match stream.into_std() {
                    Ok(stream) => self.shared.network.dial(target, None, Client::Tcp(stream), Vec::new()),
                    Err(error) => tracing::debug!(%error, "cannot take a connection over"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn session(&self) -> HostSession {
        let state = self.state.lock().await;
        let nodes = self.nodes.lock().await;
        HostSession {
            name: state.spec.name.clone(),
            note: state.spec.note.clone(),
            endpoint: ([127, 0, 0, 1], state.port).into(),
            nodes: nodes
                .iter()
                .map(|node| HostNode {
                    name: node.spec.name.clone(),
                    role: node.spec.role,
                    ip: node.spec.ip,
                    state: node.state(),
                })
                .collect(),
        }
    }

    async fn save(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        change(&mut state);
        state.save(&self.shared.folder)
    }

    /// Ends every node; what the kernel does not remove by itself is removed here.
    async fn finish(&self, grace: Duration) {
        // Who is frozen cannot end.
        if self.asleep.get()
            && let Err(error) = self.freeze(false)
        {
            tracing::error!(%error, "cannot end in good order");
        }
        let mut nodes = self.nodes.lock().await;
        for node in nodes.iter_mut() {
            if let Err(error) = node.stop(&self.shared, grace).await {
                tracing::error!(node.name = node.spec.name, %error, "cannot end a node");
            }
        }
        let group = self.shared.cgroups.group(&self.shared.group);
        if let Err(error) = group.kill().and_then(|()| group.remove()) {
            tracing::error!(%error, "cannot remove the session's cgroup");
        }
    }
}
