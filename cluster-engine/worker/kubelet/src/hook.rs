//! What probes and lifecycle hooks do: run a command, ask by HTTP or gRPC, connect, sleep.

mod grpc;
mod http;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use drydock_container_runtime::ExecConfig;

use crate::kubelet::{Kubelet, blocking};
use crate::pod::{Action, Container};
use crate::stream::Pipe;

pub(crate) use grpc::check as grpc_check;
pub(crate) use http::{Answer, get as http_get};

/// The container an action aims at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) container: Container,
    pub(crate) id: String,
    pub(crate) ip: Option<Ipv4Addr>,
}

/// More output of a command than this is thrown away.
const MOST_OUTPUT: usize = 10 * 1024;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// Runs a lifecycle hook.
///
/// # Errors
/// What went wrong, for the event.
pub(crate) async fn run(kubelet: &Arc<Kubelet>, target: &Target, action: &Action) -> Result<(), String> {
    if let Some(exec) = &action.exec {
        let output = command(kubelet, &target.id, &exec.command).await?;
        if output.code != 0 {
            let words = exec.command.join(" ");
            return Err(format!("command '{words}' exited with {}: {}", output.code, output.text));
        }
        return Ok(());
    }
    if let Some(get) = &action.http_get {
        // Whatever the answer says, it is one: upstream looks at no status here.
        return http_get(target, get, Duration::from_secs(30)).await.map(drop);
    }
    if let Some(sleep) = &action.sleep {
        tokio::time::sleep(Duration::from_secs(sleep.seconds)).await;
        return Ok(());
    }
    if let Some(socket) = &action.tcp_socket {
        let port = target.container.port(&socket.port).ok_or("the port is unknown")?;
        let ip = target.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let host = if socket.host.is_empty() { ip } else { socket.host.clone() };
        return connect(&host, port).await.map(drop);
    }
    Ok(())
}

/// Runs a command in the container and waits for its end.
///
/// # Errors
/// When it cannot be started.
pub(crate) async fn command(kubelet: &Arc<Kubelet>, id: &str, words: &[String]) -> Result<Output, String> {
    let config = ExecConfig { args: words.to_vec(), ..ExecConfig::default() };
    let (runtime, id) = (kubelet.runtime.clone(), id.to_owned());
    let process = match blocking(move || runtime.exec(&id, &config)).await {
        Ok(process) => process,
        Err(drydock_container_runtime::Error::Exec(failure)) => {
            return Ok(Output { code: failure.exit_code, text: failure.message });
        }
        Err(error) => return Err(error.to_string()),
    };
    let (sender, ended) = tokio::sync::oneshot::channel();
    kubelet.runtime.on_exec_exit(
        process.pid,
        Box::new(move |exit| {
            // Nobody waits any more when the command's time ran out.
            let _ = sender.send(exit);
        }),
    );
    let mut running = Running { pid: Some(process.pid) };
    let pipe = |fd: Option<std::os::fd::OwnedFd>| fd.and_then(|fd| Pipe::reader(fd).ok());
    let text = std::sync::Mutex::new(Vec::new());
    // Both at once, or a command that fills one would wait for us for ever.
    tokio::join!(collect(pipe(process.stdout), &text), collect(pipe(process.stderr), &text));
    let text = text.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let code = ended.await.map_or(255, |exit| exit.code);
    running.pid = None;
    Ok(Output { code, text: String::from_utf8_lossy(&text).into_owned() })
}

async fn collect(pipe: Option<Pipe>, text: &std::sync::Mutex<Vec<u8>>) {
    let Some(pipe) = pipe else { return };
    while let Ok(bytes) = pipe.read().await {
        if bytes.is_empty() {
            return;
        }
        let mut text = text.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let room = MOST_OUTPUT.saturating_sub(text.len());
        text.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
    }
}

/// Kills a command whose time ran out when its future is dropped.
struct Running {
    pid: Option<i32>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Opens a TCP connection; the error has Go's form.
///
/// # Errors
/// `dial tcp 10.0.0.1:80: connect: connection refused`
pub(crate) async fn connect(host: &str, port: u16) -> Result<tokio::net::TcpStream, String> {
    let stream = tokio::net::TcpStream::connect((host, port)).await;
    stream.map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            std::io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
            _ => error.to_string(),
        };
        format!("dial tcp {host}:{port}: {what}")
    })
}
