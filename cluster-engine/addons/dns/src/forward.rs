//! Names that are not the cluster's: other servers are asked, and their answers passed on as they are.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// As many servers are tried as libc's resolver would.
const MOST_SERVERS: usize = 3;

/// The servers to ask, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstreams {
    servers: Vec<SocketAddr>,
}

impl fmt::Display for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.servers.is_empty() {
            return f.write_str("none");
        }
        let all: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

impl Upstreams {
    /// These servers.
    pub fn new(servers: Vec<SocketAddr>) -> Upstreams {
        Upstreams { servers }
    }

    /// The servers that a `resolv.conf` names; none if there is no such file.
    pub fn from_file(path: &Path) -> Upstreams {
        match std::fs::read_to_string(path) {
            Ok(text) => Upstreams::parse(&text),
            Err(error) => {
                tracing::warn!(file.path = %path.display(), %error, "no upstream name servers");
                Upstreams::default()
            }
        }
    }

    /// The servers that the text of a `resolv.conf` names. A loopback address is left out: here, that would be
    /// this server itself.
    pub fn parse(text: &str) -> Upstreams {
        let servers = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next()?.parse().ok())
            .filter(|address: &IpAddr| !address.is_loopback() && !address.is_unspecified())
            .map(|address| SocketAddr::new(address, 53))
            .take(MOST_SERVERS)
            .collect();
        Upstreams { servers }
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Asks the servers one after the other, by TCP if `tcp`; none if none answers.
    pub async fn ask(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        for server in &self.servers {
            let asked = async { if tcp { ask_tcp(*server, question).await } else { ask_udp(*server, question).await } };
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(dns.upstream = %server, %error, "does not answer"),
                Err(_) => tracing::debug!(dns.upstream = %server, "does not answer in time"),
            }
        }
        None
    }
}

async fn ask_udp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new port and number for each question, so that nobody can guess what answer is waited for.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let id = (RandomState::new().hash_one(question) as u16).to_be_bytes();
    let mut numbered = question.to_vec();
    let Some(own) = numbered.first_chunk_mut::<2>() else { return Err(std::io::ErrorKind::InvalidInput.into()) };
    let theirs = std::mem::replace(own, id);
    socket.send(&numbered).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        if length >= 12 && answer.starts_with(&id) {
            answer.truncate(length);
            answer[..2].copy_from_slice(&theirs);
            return Ok(answer);
        }
    }
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(question);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf() {
        let text = "# made by hand\nsearch example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.1 # the first\n\
                    options edns0\n nameserver 2001:db8::1\nnameserver nonsense\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        assert_eq!(Upstreams::parse(text).to_string(), "192.0.2.1:53, [2001:db8::1]:53, 192.0.2.2:53");
        assert_eq!(Upstreams::parse("").to_string(), "none");
    }
}
