//! The session's network: a bridge in a namespace that has no way out, and a cable to each node.
//!
//! *Invariant*: nothing is ever made in the host's network namespace. A thread lives in the session's namespace; what is
//! dialled, is dialled by it.
//!
//! Where several supervisors carry one session, their bridges are one by a VXLAN tunnel: its outer side belongs to the
//! namespace that the supervisor was started in, its inner side is a port of the bridge. So a session uses the addresses
//! it wants, and its nodes see nothing of the network that carries it.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use drydock_engine::host::SessionNetwork;
use futures_util::TryStreamExt;
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::link::InfoVxlan;
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, LinkVxlan, RouteMessageBuilder};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::Error;

const BRIDGE: &str = "br0";
/// The bridge's port towards the session's other supervisors.
const UPLINK: &str = "uplink";
/// The tunnel's number and UDP port. Each session has a network of its own, so all may have the same.
const TUNNEL: (u32, u16) = (1, 24_789);
/// Where what is for all goes: to all supervisors that listen on the network that carries the session.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 99, 20, 1);
/// Seconds after which it is asked anew where a node is: a container may come back under another address.
const AGEING: u32 = 10;
/// How long a connection inside the session may take.
const DIAL_TIME: std::time::Duration = std::time::Duration::from_secs(10);

type Answer<T> = oneshot::Sender<Result<T, String>>;

enum Order {
    Attach {
        port: String,
        namespace: File,
        ip: Ipv4Addr,
        done: Answer<()>,
    },
    Plug {
        port: String,
        up: bool,
        done: Answer<()>,
    },
    /// Connect and carry bytes to the client's stream.
    Dial {
        addr: SocketAddr,
        /// A node's network namespace in place of the session's.
        within: Option<File>,
        client: Client,
        greeting: Vec<u8>,
    },
}

/// Who is carried to an address inside.
pub(crate) enum Client {
    /// A connection to the gateway.
    Tcp(std::net::TcpStream),
    /// A connection to the supervisor's socket.
    Unix(StdUnixStream),
}

/// The session's network.
#[derive(Clone)]
pub(crate) struct Network {
    orders: mpsc::UnboundedSender<Order>,
    prefix: u8,
    gateway: Ipv4Addr,
}

impl Network {
    /// Makes the namespace and the bridge, which has the gateway's address where this `is_gateway`.
    pub(crate) async fn create(
        network: &SessionNetwork,
        is_gateway: bool,
        uplink: Option<String>,
    ) -> Result<Network, Error> {
        let (gateway, prefix) = (network.gateway, network.prefix);
        let (orders, receiver) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        let address = is_gateway.then_some((gateway, prefix));
        std::thread::Builder::new()
            .name("network".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || inside(address, uplink, ready, receiver))
            .map_err(Error::io("cannot start the network thread"))?;
        answer("make the session's network", is_ready).await?;
        Ok(Network { orders, prefix, gateway })
    }

    /// Gives the network namespace in `namespace` an `eth0` with an address on the bridge.
    pub(crate) async fn attach(&self, port: &str, namespace: File, ip: Ipv4Addr) -> Result<(), Error> {
        let action = format!("connect {port}");
        let inner = namespace.try_clone().map_err(Error::io("cannot duplicate a descriptor"))?;
        let (done, is_done) = oneshot::channel();
        let order = Order::Attach { port: port.to_owned(), namespace, ip, done };
        self.send(&action, order)?;
        answer(&action, is_done).await?;
        let (done, is_done) = oneshot::channel();
        let (prefix, gateway) = (self.prefix, self.gateway);
        std::thread::Builder::new()
            .name("node-network".to_owned())
            .spawn(move || {
                let outcome = enter(&inner).and_then(|()| block_on(address(ip, prefix, gateway)));
                // Nobody waits any more when the request was given up.
                let _ = done.send(outcome);
            })
            .map_err(Error::io("cannot start a thread"))?;
        answer(&action, is_done).await
    }

    /// Plugs a node's cable in or out.
    pub(crate) async fn plug(&self, port: &str, up: bool) -> Result<(), Error> {
        let action = format!("switch the cable of {port}");
        let (done, is_done) = oneshot::channel();
        self.send(&action, Order::Plug { port: port.to_owned(), up, done })?;
        answer(&action, is_done).await
    }

    /// Carries a client's bytes to an address inside, dialled in the network namespace `within` or the session's own;
    /// `greeting` is sent to the client once it is connected.
    pub(crate) fn dial(&self, addr: SocketAddr, within: Option<File>, client: Client, greeting: Vec<u8>) {
        if self.orders.send(Order::Dial { addr, within, client, greeting }).is_err() {
            tracing::error!("the network thread is gone");
        }
    }

    fn send(&self, action: &str, order: Order) -> Result<(), Error> {
        let gone = || Error::Network { action: action.to_owned(), reason: "the network thread is gone".to_owned() };
        self.orders.send(order).map_err(|_| gone())
    }
}

async fn answer<T>(action: &str, outcome: oneshot::Receiver<Result<T, String>>) -> Result<T, Error> {
    let outcome = outcome.await.unwrap_or_else(|_| Err("the thread is gone".to_owned()));
    outcome.map_err(|reason| Error::Network { action: action.to_owned(), reason })
}

/// The life of the thread in the session's namespace.
fn inside(
    address: Option<(Ipv4Addr, u8)>,
    uplink: Option<String>,
    ready: Answer<()>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
            return;
        }
    };
    runtime.block_on(async move {
        let handle = match setup(address, uplink).await {
            Ok(handle) => handle,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        while let Some(order) = orders.recv().await {
            match order {
                Order::Attach { port, namespace, ip, done } => {
                    let outcome = cable(&handle, &port, &namespace, ip).await.map_err(|error| error.to_string());
                    let _ = done.send(outcome);
                }
                Order::Plug { port, up, done } => {
                    let outcome = switch(&handle, &port, up).await.map_err(|error| error.to_string());
                    let _ = done.send(outcome);
                }
                Order::Dial { addr, within, client, greeting } => {
                    tokio::spawn(async move {
                        if let Err(error) = carry(addr, within, client, &greeting).await {
                            tracing::debug!(peer.addr = %addr, %error, "a connection into the session ended");
                        }
                    });
                }
            }
        }
    });
}

/// Moves the calling thread into a new namespace with a bridge.
async fn setup(address: Option<(Ipv4Addr, u8)>, uplink: Option<String>) -> Result<Handle, String> {
    // Its socket stays in the namespace that it was made in.
    let outside = uplink.map(|link| Ok::<_, String>((netlink()?, link))).transpose()?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("cannot make a network namespace: {error}"))?;
    let handle = netlink()?;
    bridge(&handle, address).await.map_err(|error| error.to_string())?;
    if let Some((outside, link)) = outside {
        tunnel(&outside, &handle, &link).await.map_err(|error| format!("cannot make the tunnel: {error}"))?;
    }
    Ok(handle)
}

/// The port of the bridge behind which the session's other supervisors are. Who is where is learnt; what is for somebody
/// unknown goes to all.
async fn tunnel(outside: &Handle, handle: &Handle, link: &str) -> Result<(), String> {
    let here = File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
    let (number, port) = TUNNEL;
    let carrier = index(outside, link).await.map_err(|error| format!("{link}: {error}"))?;
    let link = LinkVxlan::new(UPLINK, number)
        .dev(carrier)
        .group(GROUP)
        .port(port)
        .append_info_data(InfoVxlan::Ageing(AGEING))
        .setns_by_fd(here.as_raw_fd());
    outside.link().add(link.build()).execute().await.map_err(|error| error.to_string())?;
    let join = async {
        let (bridge, port) = (index(handle, BRIDGE).await?, index(handle, UPLINK).await?);
        handle.link().set(LinkUnspec::new_with_index(port).controller(bridge).up().build()).execute().await
    };
    join.await.map_err(|error: rtnetlink::Error| error.to_string())
}

fn netlink() -> Result<Handle, String> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(handle)
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

/// Moves the calling thread into a network namespace.
fn enter(namespace: &File) -> Result<(), String> {
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| format!("cannot enter a network namespace: {error}"))
}

async fn index(handle: &Handle, name: &str) -> Result<u32, rtnetlink::Error> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    match links.try_next().await? {
        Some(link) => Ok(link.header.index),
        None => Err(rtnetlink::Error::RequestFailed),
    }
}

async fn bridge(handle: &Handle, address: Option<(Ipv4Addr, u8)>) -> Result<(), rtnetlink::Error> {
    let lo = index(handle, "lo").await?;
    handle.link().set(LinkUnspec::new_with_index(lo).up().build()).execute().await?;
    let link = LinkBridge::new(BRIDGE).up();
    let link = match address {
        Some((gateway, _)) => link.address(hardware_address(gateway)),
        None => link,
    };
    handle.link().add(link.build()).execute().await?;
    let bridge = index(handle, BRIDGE).await?;
    match address {
        Some((gateway, prefix)) => handle.address().add(bridge, IpAddr::V4(gateway), prefix).execute().await,
        None => Ok(()),
    }
}

/// An address of its own for each IP address: the neighbours of a node that starts again still know it.
fn hardware_address(ip: Ipv4Addr) -> Vec<u8> {
    let [a, b, c, d] = ip.octets();
    vec![0x02, 0xdd, a, b, c, d]
}

/// A pair of virtual cables: one end on the bridge, the other `eth0` of the node.
async fn cable(handle: &Handle, port: &str, namespace: &File, ip: Ipv4Addr) -> Result<(), rtnetlink::Error> {
    let bridge = index(handle, BRIDGE).await?;
    // The kernel takes a dead node's cable away in its own time, which may be after the node's next start.
    if let Ok(old) = index(handle, port).await {
        // Gone in this very moment, then.
        let _ = handle.link().del(old).execute().await;
    }
    let peer = format!("{port}-n");
    handle.link().add(LinkVeth::new(port, &peer).build()).execute().await?;
    let inner = index(handle, &peer).await?;
    let rename = LinkUnspec::new_with_index(inner)
        .name("eth0".to_owned())
        .address(hardware_address(ip))
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    handle.link().set(rename).execute().await?;
    let outer = index(handle, port).await?;
    handle.link().set(LinkUnspec::new_with_index(outer).controller(bridge).up().build()).execute().await
}

async fn switch(handle: &Handle, port: &str, up: bool) -> Result<(), rtnetlink::Error> {
    let link = LinkUnspec::new_with_index(index(handle, port).await?);
    handle.link().set(if up { link.up() } else { link.down() }.build()).execute().await
}

/// Inside the node's namespace: the address and the way to everything else.
async fn address(ip: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> Result<(), String> {
    let handle = netlink()?;
    let work = async {
        let lo = index(&handle, "lo").await?;
        handle.link().set(LinkUnspec::new_with_index(lo).up().build()).execute().await?;
        let eth = index(&handle, "eth0").await?;
        handle.address().add(eth, IpAddr::V4(ip), prefix).execute().await?;
        handle.link().set(LinkUnspec::new_with_index(eth).up().build()).execute().await?;
        handle.route().add(RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build()).execute().await
    };
    work.await.map_err(|error: rtnetlink::Error| error.to_string())
}

/// Connects in another network namespace: a socket stays in the one that it was made in.
async fn connect_within(addr: SocketAddr, namespace: File) -> std::io::Result<TcpStream> {
    let (done, is_done) = oneshot::channel();
    std::thread::Builder::new().name("dial".to_owned()).stack_size(128 * 1024).spawn(move || {
        let connected = enter(&namespace)
            .map_err(std::io::Error::other)
            .and_then(|()| std::net::TcpStream::connect_timeout(&addr, DIAL_TIME));
        // Nobody waits any more when the client is gone.
        let _ = done.send(connected);
    })?;
    let stream = is_done.await.map_err(std::io::Error::other)??;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

async fn carry(addr: SocketAddr, within: Option<File>, client: Client, greeting: &[u8]) -> std::io::Result<()> {
    let connect = async {
        let dial = async {
            match within {
                Some(namespace) => connect_within(addr, namespace).await,
                None => TcpStream::connect(addr).await,
            }
        };
        let connected = tokio::time::timeout(DIAL_TIME, dial).await;
        let stream = connected.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    };
    match client {
        Client::Tcp(client) => {
            let mut client = TcpStream::from_std(client)?;
            client.set_nodelay(true)?;
            copy_bidirectional(&mut client, &mut connect.await?).await?;
        }
        Client::Unix(client) => {
            let mut client = UnixStream::from_std(client)?;
            match connect.await {
                Ok(mut stream) => {
                    client.write_all(greeting).await?;
                    copy_bidirectional(&mut client, &mut stream).await?;
                }
                Err(error) => {
                    let refusal = crate::protocol::Response::Failed(format!("cannot connect to {addr}: {error}"));
                    let mut line = serde_json::to_vec(&refusal)?;
                    line.push(b'\n');
                    client.write_all(&line).await?;
                }
            }
        }
    }
    Ok(())
}
