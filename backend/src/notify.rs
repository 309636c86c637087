//! Tells systemd how far the server is, where systemd asked to be told (`Type=notify`).

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The server answers now.
pub(crate) fn ready(status: &str) {
    tell(&format!("READY=1\nSTATUS={status}"));
}

/// The server ends now.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(socket.as_bytes(), state) {
        tracing::warn!(%error, "cannot tell systemd how far the server is");
    }
}

fn send(socket: &[u8], state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_arrive() {
        let folder = tempfile::tempdir().expect("tempdir");
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).expect("socket");
        send(path.as_os_str().as_bytes(), "READY=1").expect("sent");
        let mut got = [0; 64];
        let length = systemd.recv(&mut got).expect("received");
        assert_eq!(&got[..length], b"READY=1");
        assert!(send(b"/nonexistent/notify", "READY=1").is_err());
        let name = format!("drydock-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("address");
        let systemd = UnixDatagram::bind_addr(&address).expect("socket");
        send(format!("@{name}").as_bytes(), "STOPPING=1").expect("sent");
        let length = systemd.recv(&mut got).expect("received");
        assert_eq!(&got[..length], b"STOPPING=1");
    }
}
