//! Questions over UDP and TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drydock_component::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::Error;
use crate::respond::{Responder, Transport};
use crate::zone::Records;

/// How long a TCP client may be silent.
const IDLE: Duration = Duration::from_secs(10);
/// Questions that wait for other servers at the same time; further ones wait in the socket.
const AT_ONCE: usize = 512;
/// TCP connections at the same time.
const CONNECTIONS: usize = 256;
/// Back-off after a failed receive or accept.
const PAUSE: Duration = Duration::from_millis(50);

/// The sockets of one address.
#[derive(Debug)]
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Takes the address for UDP and TCP; port 0 takes one that is free for both.
    ///
    /// # Errors
    /// When it is taken or not allowed.
    pub async fn bind(address: SocketAddr) -> Result<Sockets, Error> {
        let listen = |source| Error::Listen { address, source };
        let tcp = TcpListener::bind(address).await.map_err(listen)?;
        let udp = UdpSocket::bind(tcp.local_addr().map_err(listen)?).await.map_err(listen)?;
        Ok(Sockets { udp, tcp })
    }

    /// The address.
    ///
    /// # Errors
    /// When the socket is broken.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Answers until `shutdown`.
    pub async fn serve<R: Records + 'static>(self, responder: Arc<Responder<R>>, shutdown: Shutdown) {
        let Sockets { udp, tcp } = self;
        tokio::select! {
            () = serve_udp(Arc::new(udp), responder.clone()) => {}
            () = serve_tcp(tcp, responder) => {}
            () = shutdown.wait() => {}
        }
    }
}

async fn serve_udp<R: Records + 'static>(socket: Arc<UdpSocket>, responder: Arc<Responder<R>>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut buffer = vec![0; 4096];
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "cannot receive");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let question = buffer[..length].to_vec();
        let (socket, responder) = (socket.clone(), responder.clone());
        tokio::spawn(async move {
            if let Some(answer) = responder.respond(&question, Transport::Udp).await
                && let Err(error) = socket.send_to(&answer, client).await
            {
                tracing::debug!(client.addr = %client, %error, "cannot send an answer");
            }
            drop(place);
        });
    }
}

async fn serve_tcp<R: Records + 'static>(listener: TcpListener, responder: Arc<Responder<R>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let responder = responder.clone();
        tokio::spawn(async move {
            if let Err(error) = conversation(stream, &responder).await {
                tracing::debug!(%error, "conversation ended");
            }
            drop(place);
        });
    }
}

/// Questions and answers, each with its length before it.
async fn conversation<R: Records>(mut stream: TcpStream, responder: &Responder<R>) -> std::io::Result<()> {
    loop {
        let question = async {
            let length = stream.read_u16().await?;
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await?;
            Ok::<_, std::io::Error>(question)
        };
        let question = match tokio::time::timeout(IDLE, question).await {
            Ok(Ok(question)) => question,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        let Some(answer) = responder.respond(&question, Transport::Tcp).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        tokio::time::timeout(IDLE, stream.write_all(&framed)).await??;
    }
}
