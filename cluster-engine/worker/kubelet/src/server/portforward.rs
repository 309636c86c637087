//! Port forwarding into a pod's network namespace.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use drydock_api::status::Status;
use drydock_component::serve::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use nix::sched::{CloneFlags, setns};
use tokio::net::TcpStream;

use super::{Place, containers, refuse};
use crate::kubelet::{Kubelet, blocking};
use crate::worker::SandboxView;

/// Answers a port-forward request.
pub(super) async fn serve(kubelet: Arc<Kubelet>, place: Place, request: Request<Incoming>) -> Response<Body> {
    let sandbox = match containers::pod(&kubelet, &place) {
        Ok(handle) => handle.view().sandbox.clone(),
        Err(status) => return refuse(&status),
    };
    let Some(sandbox) = sandbox else {
        return refuse(&Status::failure(404, "NotFound", format!("pod {}_{} is not running", place.pod, place.namespace)));
    };
    let _ = (request, sandbox);
    refuse(&Status::bad_request("Upgrade request required"))
}

/// Connects to a port of the pod's own loopback address.
///
/// # Errors
/// When nobody listens there.
pub(super) async fn connect(sandbox: &SandboxView, port: u16) -> io::Result<TcpStream> {
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
