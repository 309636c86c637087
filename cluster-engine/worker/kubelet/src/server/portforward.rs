//! Port forwarding into a pod's network namespace: SPDY, plain or inside a WebSocket.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use drydock_component::serve::Body;
use drydock_component::websocket::{Socket, is_requested, offered};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use nix::sched::{CloneFlags, setns};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::spdy::{self, Event, Sender};
use super::{Place, Refusal, containers, refuse, websocket};
use crate::kubelet::{Kubelet, blocking};
use crate::worker::SandboxView;

const PROTOCOL: &str = "portforward.k8s.io";
/// SPDY in WebSocket messages: what kubectl 1.31 and newer speak first.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// Answers a port-forward request.
pub(super) async fn serve(kubelet: Arc<Kubelet>, place: Place, request: Request<Incoming>) -> Response<Body> {
    let sandbox = match containers::pod(&kubelet, &place) {
        Ok(handle) => handle.view().sandbox.clone(),
        Err(status) => return refuse(&status),
    };
    let Some(sandbox) = sandbox else {
        return refuse(&Refusal::not_found(format!("pod {}_{} is not running", place.pod, place.namespace)));
    };
    if is_requested(request.headers()) {
        let offered = offered(request.headers());
        if !offered.contains(&TUNNEL) {
            return refuse(&Refusal::bad_request(format!(
                "unable to upgrade: none of the protocols {offered:?} is supported"
            )));
        }
        return websocket::accept(request, TUNNEL, move |socket| async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let pump = tokio::spawn(tunnel(socket, theirs));
            spdy::serve(ours, |events, sender| forward(sandbox, events, sender)).await;
            let _ = pump.await;
        });
    }
    if spdy::is_requested(&request) {
        let Some(protocol) = spdy::negotiate(&request, &[PROTOCOL]) else {
            return refuse(&Refusal::bad_request(
                "unable to upgrade: unable to negotiate protocol: client supports none of [portforward.k8s.io]",
            ));
        };
        return spdy::accept(request, protocol, move |events, sender| forward(sandbox, events, sender));
    }
    refuse(&Refusal::bad_request("Upgrade request required"))
}

/// Moves bytes between WebSocket messages and a stream.
async fn tunnel(socket: Socket, stream: DuplexStream) {
    let (mut sink, mut messages) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let incoming = async {
        while let Some(Ok(message)) = messages.next().await {
            match message {
                Message::Binary(bytes) if writer.write_all(&bytes).await.is_err() => break,
                Message::Close(_) => break,
                _ => {}
            }
        }
        let _ = writer.shutdown().await;
    };
    let outgoing = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            if sink.send(Message::Binary(Bytes::copy_from_slice(&buffer[..length]))).await.is_err() {
                break;
            }
        }
        let _ = sink.close().await;
    };
    tokio::join!(incoming, outgoing);
}

/// The two streams of one forwarded connection, by their request id.
#[derive(Default)]
struct Pair {
    error: Option<u32>,
    data: Option<u32>,
    port: u16,
}

/// Connects each pair of streams that the client opens.
async fn forward(sandbox: SandboxView, mut events: mpsc::Receiver<Event>, sender: Sender) {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    let mut inputs: BTreeMap<u32, mpsc::Sender<Bytes>> = BTreeMap::new();
    let mut receivers: BTreeMap<u32, mpsc::Receiver<Bytes>> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Opened { id, headers } => {
                let get = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
                let request = get("requestid").to_owned();
                let pair = pairs.entry(request.clone()).or_default();
                pair.port = get("port").parse().unwrap_or(pair.port);
                if get("streamtype").eq_ignore_ascii_case("error") {
                    pair.error = Some(id);
                } else {
                    pair.data = Some(id);
                    let (input, receiver) = mpsc::channel(32);
                    inputs.insert(id, input);
                    receivers.insert(id, receiver);
                }
                if let Pair { error: Some(error), data: Some(data), port } = *pair
                    && let Some(receiver) = receivers.remove(&data)
                {
                    pairs.remove(&request);
                    tokio::spawn(connection(sandbox.clone(), port, error, data, receiver, sender.clone()));
                }
            }
            Event::Data { id, bytes } => {
                if let Some(input) = inputs.get(&id)
                    && input.send(bytes).await.is_err()
                {
                    inputs.remove(&id);
                }
            }
            Event::Finished { id } => drop(inputs.remove(&id)),
        }
    }
}

async fn connection(
    sandbox: SandboxView,
    port: u16,
    error: u32,
    data: u32,
    mut input: mpsc::Receiver<Bytes>,
    sender: Sender,
) {
    match connect(&sandbox, port).await {
        Ok(stream) => {
            let (mut reader, mut writer) = stream.into_split();
            let upload = async {
                while let Some(bytes) = input.recv().await {
                    if writer.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                let _ = writer.shutdown().await;
            };
            let download = async {
                let mut buffer = vec![0; 32 * 1024];
                while let Ok(length @ 1..) = reader.read(&mut buffer).await {
                    if sender.data(data, Bytes::copy_from_slice(&buffer[..length])).await.is_err() {
                        break;
                    }
                }
                let _ = sender.finish(data).await;
            };
            // When the pod's side has ended, nobody reads what the client might still send.
            let upload = std::pin::pin!(upload);
            let download = std::pin::pin!(download);
            if let futures_util::future::Either::Left(((), download)) =
                futures_util::future::select(upload, download).await
            {
                download.await;
            }
        }
        Err(refused) => {
            let text = format!(
                "error forwarding port {port} to pod {}, uid : failed to execute portforward in network namespace \"/proc/{}/ns/net\": failed to connect to localhost:{port} inside namespace \"{}\", IPv4: dial tcp4 127.0.0.1:{port}: {}",
                sandbox.id,
                sandbox.pid,
                sandbox.id,
                if refused.kind() == io::ErrorKind::ConnectionRefused {
                    "connect: connection refused".to_owned()
                } else {
                    refused.to_string()
                },
            );
            let _ = sender.data(error, text.into()).await;
            let _ = sender.finish(data).await;
        }
    }
    let _ = sender.finish(error).await;
}

/// Connects to a port of the pod's own loopback address.
///
/// # Errors
/// When nobody listens there.
async fn connect(sandbox: &SandboxView, port: u16) -> io::Result<TcpStream> {
    if sandbox.host_network {
        return TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    }
    let pid = sandbox.pid;
    // A socket belongs to the namespace it was made in: a thread makes it there and hands it over.
    let stream = blocking(move || {
        let thread = std::thread::Builder::new().name("port-forward".to_owned()).stack_size(128 * 1024);
        let handle = thread.spawn(move || {
            let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net"))?;
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        })?;
        handle.join().unwrap_or_else(|_| Err(io::Error::other("the connecting thread panicked")))
    })
    .await?;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
