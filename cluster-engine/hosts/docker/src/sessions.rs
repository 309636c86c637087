//! Sessions: a network, a gateway container and its volume, found by their labels.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, Mount, NetworkCreateRequest, PortBinding,
    RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use drydock_engine::host::{HostError, HostSession, NodeLimits, NodeState, NodeUsage, SessionSpec, Stream};
use drydock_supervisor::hosting::{self, failed, io};
use drydock_supervisor::protocol::{Request, Response};
use drydock_supervisor::state::{SavedNode, State};
use futures_util::future::{join_all, try_join_all};
use nix::fcntl::Flock;

use crate::labels::{self, Container, Gateway, Labels, Session};
use crate::{Docker, daemon, profile, relay, store};

/// Where a gateway listens in its container.
const GATEWAY_PORT: u16 = 6443;
/// Other ports that are tried when somebody took the first.
const PORTS: usize = 5;
/// Room for the tunnel around a full packet.
const MTU: &str = "1600";
/// Seconds that a node gets at most once its container is asked to stop; Docker kills it when its own time is over.
const GRACE: &str = "3600";
/// How long a supervisor is waited for that is asked to thaw its node before both are removed.
const WAKE_TIME: Duration = Duration::from_secs(5);

impl Docker {
    /// Holds off other processes with the same data folder.
    pub(crate) async fn lock(&self) -> Result<Flock<File>, HostError> {
        hosting::lock(&self.data.join(".lock")).await
    }

    /// The name of what belongs to a session, or to a node of it.
    pub(crate) fn name_of(&self, session: &str, node: Option<&str>) -> String {
        let instance = self.instance.get(..8).unwrap_or(&self.instance);
        // A dot cannot be in a session's or node's name.
        format!("drydock-{instance}.{session}{}", node.map(|node| format!(".{node}")).unwrap_or_default())
    }

    /// What Docker lists under some labels.
    async fn find(&self, wanted: &[(&str, &str)]) -> Result<Vec<Session>, HostError> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&daemon::filter(wanted)).build();
        let listed = self.client.list_containers(Some(options)).await;
        Ok(labels::sessions(listed.map_err(|error| failed("list Docker's containers", error))?))
    }

    /// A session that has a gateway.
    pub(crate) async fn present(&self, session: &str) -> Result<(Session, Container, Gateway), HostError> {
        let found = self.find(&[(labels::INSTANCE, &self.instance), (labels::SESSION, session)]).await?;
        let found = found.into_iter().find(|it| it.name == session);
        let found = found.and_then(|it| it.gateway.clone().map(|(container, gateway)| (it, container, gateway)));
        found.ok_or_else(|| HostError::NoSession { session: session.to_owned() })
    }
}

/// The session's network in Docker and the volume and container of its gateway.
pub(crate) async fn create(host: &Docker, spec: &SessionSpec) -> Result<HostSession, HostError> {
    daemon::examine(&host.client).await?;
    let image = host.image().await?;
    let _turn = host.lock().await?;
    match host.present(&spec.name).await {
        Err(HostError::NoSession { .. }) => sweep(host, &spec.name).await?,
        Ok(_) => return Err(HostError::Exists { name: format!("cluster {}", spec.name) }),
        Err(error) => return Err(error),
    }
    let labels = labels::common(&host.instance, &spec.name);
    let name = host.name_of(&spec.name, None);
    let action = format!("make the network of cluster {:?}", spec.name);
    let network = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        labels: Some(labels.clone()),
        options: Some([("com.docker.network.driver.mtu".to_owned(), MTU.to_owned())].into()),
        ..NetworkCreateRequest::default()
    };
    host.client.create_network(network).await.map_err(|error| failed(&action, error))?;
    let mut gateway = Gateway {
        note: spec.note.clone(),
        endpoint: ([127, 0, 0, 1], 0).into(),
        first_id: free_ids(host).await?,
        network: serde_json::to_string(&spec.network).map_err(|error| failed(&action, error))?,
    };
    let action = format!("start cluster {:?}", spec.name);
    for attempt in 1.. {
        gateway.endpoint = free_endpoint()?;
        let container = ContainerOf { session: &spec.name, node: None, gateway: &gateway, image };
        match container.start(host, labels.clone().into_iter().chain(gateway.labels()).collect()).await {
            Ok(()) => break,
            // Somebody was faster with this port.
            Err(error) if attempt < PORTS && error.to_string().contains("port is already allocated") => {}
            Err(error) => return Err(failed(&action, error)),
        }
    }
    describe(host, &spec.name).await
}

/// What a container of a session is made from.
pub(crate) struct ContainerOf<'a> {
    pub(crate) session: &'a str,
    pub(crate) node: Option<&'a str>,
    pub(crate) gateway: &'a Gateway,
    pub(crate) image: &'a str,
}

impl ContainerOf<'_> {
    /// Makes the container and its volume and starts it. A container that does not start is removed again.
    pub(crate) async fn start(&self, host: &Docker, labels: Labels) -> Result<(), bollard::errors::Error> {
        let name = host.name_of(self.session, self.node);
        // The gateway's name is the network's, which volumes must not have: names of containers are free.
        let volume = self.volume(host);
        let request = VolumeCreateRequest {
            name: Some(volume.clone()),
            labels: Some(labels::common(&host.instance, self.session)),
            ..VolumeCreateRequest::default()
        };
        host.client.create_volume(request).await?;
        let info = host.client.info().await?;
        // Supervisors put what they pull into the store; nodes see it read-only.
        let mounts = vec![
            daemon::volume(&volume, "/var/lib/drydock", false),
            daemon::volume(&host.settings.store, store::MOUNT, false),
        ];
        let body = self.body(host, labels, mounts, &info.security_options.unwrap_or_default());
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let id = host.client.create_container(Some(options), body).await?.id;
        let started = host.client.start_container(&id, None).await;
        if started.is_err() {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            let _ = host.client.remove_container(&id, Some(options)).await;
        }
        started
    }

    pub(crate) fn volume(&self, host: &Docker) -> String {
        host.name_of(self.session, Some(self.node.unwrap_or("gateway.state")))
    }

    fn body(&self, host: &Docker, labels: Labels, mounts: Vec<Mount>, security: &[String]) -> ContainerCreateBody {
        let mut argv = vec![
            "drydock-supervisor".to_owned(),
            format!("--session-dir={}", relay::FOLDER),
            format!("--images={}", store::IMAGES),
            "--uplink=eth0".to_owned(),
            format!("--grace-seconds={GRACE}"),
        ];
        let port = format!("{GATEWAY_PORT}/tcp");
        let is_gateway = self.node.is_none();
        argv.extend([if is_gateway { "--listen=0.0.0.0".to_owned() } else { "--member".to_owned() }]);
        let published = PortBinding {
            host_ip: Some(self.gateway.endpoint.ip().to_string()),
            host_port: Some(self.gateway.endpoint.port().to_string()),
        };
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            hostname: Some(self.node.unwrap_or("gateway").to_owned()),
            entrypoint: Some(vec![daemon::BINARY.to_owned()]),
            cmd: Some(argv),
            env: Some(vec![format!("DRYDOCK_SESSION={}", self.state())]),
            labels: Some(labels),
            exposed_ports: is_gateway.then(|| vec![port.clone()]),
            host_config: Some(HostConfig {
                cap_add: Some(profile::CAPABILITIES.map(str::to_owned).to_vec()),
                device_cgroup_rules: Some(profile::DEVICES.map(str::to_owned).to_vec()),
                security_opt: Some(profile::security_options(security)),
                cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
                mounts: Some(mounts),
                network_mode: Some(host.name_of(self.session, None)),
                port_bindings: is_gateway.then(|| [(port, Some(vec![published]))].into()),
                restart_policy: Some(RestartPolicy {
                    name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                    maximum_retry_count: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// What the supervisor is to take over when it starts for the first time.
    fn state(&self) -> String {
        let network = self.gateway.session_network();
        let state = network.map(|network| State {
            // The note has keys in it, and only hosts need it.
            spec: SessionSpec {
                name: self.session.to_owned(),
                network,
                note: String::new(),
                limits: NodeLimits::default(),
            },
            first_id: self.gateway.first_id,
            port: GATEWAY_PORT,
            nodes: Vec::<SavedNode>::new(),
        });
        // Text and numbers only: it always serialises.
        serde_json::to_string(&state).unwrap_or_default()
    }
}

/// An address of this machine that nobody listens on.
fn free_endpoint() -> Result<SocketAddr, HostError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map_err(io("cannot find a free port"))
}

/// A range of user ids that no session in this Docker has.
async fn free_ids(host: &Docker) -> Result<u32, HostError> {
    let sessions = host.find(&[(labels::FIRST_ID, "")]).await?;
    let taken = sessions.iter().filter_map(|it| Some(it.gateway.as_ref()?.1.first_id)).collect();
    hosting::free_ids(&taken, u64::from_str_radix(host.instance.get(..8).unwrap_or_default(), 16).unwrap_or(0))
}

/// One session; its gateway is started again if it does not run.
pub(crate) async fn describe(host: &Docker, session: &str) -> Result<HostSession, HostError> {
    let (found, gateway, _) = host.present(session).await?;
    mend(host, session, &gateway).await?;
    found.describe().ok_or_else(|| HostError::NoSession { session: session.to_owned() })
}

async fn mend(host: &Docker, session: &str, gateway: &Container) -> Result<(), HostError> {
    if gateway.state == NodeState::Running {
        return Ok(());
    }
    tracing::warn!(session.name = session, "its gateway does not run; it is started again");
    let started = match gateway.state {
        NodeState::Paused => host.client.unpause_container(&gateway.id).await,
        _ => host.client.start_container(&gateway.id, None).await,
    };
    started.map_err(|error| failed(format!("start the gateway of cluster {session:?}"), error))
}

/// All sessions. What is left of sessions without a gateway is swept away.
pub(crate) async fn list(host: &Docker) -> Result<Vec<HostSession>, HostError> {
    let mut sessions = Vec::new();
    for found in host.find(&[(labels::INSTANCE, &host.instance)]).await? {
        match (&found.gateway, found.describe()) {
            (Some((gateway, _)), Some(session)) => {
                mend(host, &found.name, gateway).await?;
                sessions.push(session);
            }
            _ => {
                // Another process may be at it this very moment: it holds the lock then.
                let _turn = host.lock().await?;
                if let Err(HostError::NoSession { .. }) = host.present(&found.name).await {
                    sweep(host, &found.name).await?;
                }
            }
        }
    }
    Ok(sessions)
}

/// Ends a session and removes all that was made for it. One that is gone already is fine.
pub(crate) async fn remove(host: &Docker, session: &str) -> Result<(), HostError> {
    let _turn = host.lock().await?;
    sweep(host, session).await
}

/// Removes containers, networks and volumes of a session, the gateway last of the containers: whatever breaks this off, the
/// rest is still found.
async fn sweep(host: &Docker, session: &str) -> Result<(), HostError> {
    let action = || format!("remove cluster {session:?}");
    let wanted = [(labels::INSTANCE, host.instance.as_str()), (labels::SESSION, session)];
    let gone = |outcome: Result<(), bollard::errors::Error>| match outcome {
        Err(error) if !daemon::is_missing(&error) => Err(failed(action(), error)),
        _ => Ok(()),
    };
    for found in host.find(&wanted).await? {
        let remove = async |container: &Container| {
            host.relays.forget(&container.id);
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            gone(host.client.remove_container(&container.id, Some(options)).await)
        };
        join_all(found.nodes.iter().map(|node| wake(host, session, &node.container))).await;
        try_join_all(found.nodes.iter().map(|node| remove(&node.container))).await?;
        if let Some((gateway, _)) = &found.gateway {
            remove(gateway).await?;
        }
    }
    let options = ListVolumesOptionsBuilder::default().filters(&daemon::filter(&wanted)).build();
    let volumes = host.client.list_volumes(Some(options)).await.map_err(|error| failed(action(), error))?;
    for volume in volumes.volumes.unwrap_or_default() {
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        gone(host.client.remove_volume(&volume.name, Some(options)).await)?;
    }
    let options = ListNetworksOptionsBuilder::default().filters(&daemon::filter(&wanted)).build();
    let networks = host.client.list_networks(Some(options)).await.map_err(|error| failed(action(), error))?;
    for network in networks.into_iter().filter_map(|network| network.id) {
        gone(host.client.remove_network(&network).await)?;
    }
    Ok(())
}

/// Thaws what a container holds, so that it can be killed: the kernel ends no container whose processes are frozen. One that
/// does not answer is removed as it is.
pub(crate) async fn wake(host: &Docker, session: &str, container: &Container) {
    if container.state == NodeState::Running {
        let request = Request::FreezeSession { frozen: false };
        let asked = relay::done(host, session, &container.id, &request);
        if !matches!(tokio::time::timeout(WAKE_TIME, asked).await, Ok(Ok(()))) {
            tracing::debug!(session.name = session, "a node's supervisor does not answer before its end");
        }
    }
}

/// Asks all supervisors of nodes that run.
pub(crate) async fn ask_nodes(host: &Docker, session: &str, request: &Request) -> Result<Vec<Response>, HostError> {
    let (found, ..) = host.present(session).await?;
    let running = found.nodes.iter().filter(|node| node.container.state == NodeState::Running);
    let answers = running.map(|node| relay::ask(host, session, &node.container.id, request));
    // A node may be switched off while it is asked.
    Ok(join_all(answers).await.into_iter().filter_map(Result::ok).collect())
}

/// Has the supervisor of every node that runs freeze or thaw it; nodes whose container is paused stay so.
pub(crate) async fn freeze(host: &Docker, session: &str, frozen: bool) -> Result<(), HostError> {
    let (found, ..) = host.present(session).await?;
    let request = Request::FreezeSession { frozen };
    let running = found.nodes.iter().filter(|node| node.container.state == NodeState::Running);
    try_join_all(running.map(|node| relay::done(host, session, &node.container.id, &request))).await.map(|_| ())
}

/// A byte stream to an address inside, from the gateway.
pub(crate) async fn dial(host: &Docker, session: &str, addr: SocketAddr) -> Result<Box<dyn Stream>, HostError> {
    let (_, gateway, _) = host.present(session).await?;
    let (stream, response) = relay::open(host, session, &gateway.id, &Request::Dial { addr, node: None }).await?;
    response.done(session)?;
    Ok(Box::new(stream))
}

/// What nodes use, and what their supervisors do together.
pub(crate) async fn usage(host: &Docker, session: &str) -> Result<Vec<NodeUsage>, HostError> {
    let (_, gateway, _) = host.present(session).await?;
    let (nodes, own) = tokio::join!(
        ask_nodes(host, session, &Request::Usage),
        relay::ask(host, session, &gateway.id, &Request::Usage)
    );
    let mut usage = Vec::new();
    let mut supervisor = NodeUsage { node: "supervisor".to_owned(), ..NodeUsage::default() };
    for response in nodes?.into_iter().chain([own?]) {
        for one in response.usage(session)? {
            if one.node == supervisor.node {
                supervisor.memory_bytes += one.memory_bytes;
                supervisor.cpu_micros += one.cpu_micros;
                supervisor.pids += one.pids;
            } else {
                usage.push(one);
            }
        }
    }
    usage.push(supervisor);
    Ok(usage)
}
