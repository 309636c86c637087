//! exec, attach and run.

use std::sync::Arc;

use drydock_component::serve::{self, Body};
use drydock_component::websocket::{is_requested, offered};
use drydock_container_runtime::{Error, ExecConfig};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::broadcast::error::RecvError;

use super::streams::{Input, Output, Session, Wanted, exit_status, failure};
use super::{Place, Refusal, containers, query, refuse, spdy, websocket};
use crate::hook;
use crate::kubelet::{Kubelet, blocking};
use crate::stream::{Pipe, Source, Streams};
use crate::worker::ContainerView;

/// Runs a command in a container, connected to the client.
pub(super) async fn exec(kubelet: Arc<Kubelet>, place: Place, request: Request<Incoming>) -> Response<Body> {
    let query = query(&request);
    let container = match containers::running(&kubelet, &place) {
        Ok(container) => container,
        Err(status) => return refuse(&status),
    };
    let command = query.all("command").to_vec();
    if command.is_empty() {
        return refuse(&Refusal::bad_request("you must specify at least 1 of command"));
    }
    let wanted = Wanted::of(&query);
    open(request, wanted, move |session| run_command(kubelet, container, command, wanted, session))
}

/// Connects the client to the container's own streams.
pub(super) async fn attach(kubelet: Arc<Kubelet>, place: Place, request: Request<Incoming>) -> Response<Body> {
    let wanted = Wanted::of(&query(&request));
    let container = match containers::running(&kubelet, &place) {
        Ok(container) => container,
        Err(status) => return refuse(&status),
    };
    let Some(streams) = container.streams.clone() else {
        return refuse(&Refusal::bad_request(format!("container {} has no streams", place.container)));
    };
    let wanted = Wanted { tty: streams.has_terminal(), ..wanted };
    open(request, wanted, move |session| attached(streams, wanted, session))
}

/// Runs a command and answers with its output.
pub(super) async fn run(kubelet: Arc<Kubelet>, place: Place, request: Request<Incoming>) -> Response<Body> {
    let query = query(&request);
    let command: Vec<String> = match query.all("command") {
        [] => query.get("cmd").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        words => words.to_vec(),
    };
    let container = match containers::running(&kubelet, &place) {
        Ok(container) => container,
        Err(status) => return refuse(&status),
    };
    match hook::command(&kubelet, &container.id, &command).await {
        Ok(output) if output.code == 0 => serve::text(StatusCode::OK, output.text),
        Ok(output) => {
            let text = format!("command terminated with exit code {}: {}", output.code, output.text);
            serve::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
        Err(error) => serve::text(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// Upgrades the request to a session by whatever the client speaks.
fn open<W, F>(request: Request<Incoming>, wanted: Wanted, work: W) -> Response<Body>
where
    W: FnOnce(Session) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    if !(wanted.stdin || wanted.stdout || wanted.stderr) {
        return refuse(&Refusal::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    if is_requested(request.headers()) {
        return match websocket::negotiate(&offered(request.headers())) {
            Ok((protocol, dialect)) => {
                websocket::accept(request, protocol, move |socket| websocket::carry(socket, dialect, wanted, work))
            }
            Err(why) => refuse(&Refusal::forbidden(why)),
        };
    }
    if spdy::is_requested(&request) {
        let Some(protocol) = spdy::negotiate(&request, &["v4.channel.k8s.io"]) else {
            return refuse(&Refusal::forbidden("unable to upgrade: unable to negotiate protocol"));
        };
        return spdy::accept(request, protocol, move |events, sender| spdy::carry(events, sender, wanted, work));
    }
    refuse(&Refusal::bad_request("Upgrade request required"))
}

async fn run_command(
    kubelet: Arc<Kubelet>,
    container: ContainerView,
    command: Vec<String>,
    wanted: Wanted,
    mut session: Session,
) {
    let config = ExecConfig { args: command, tty: wanted.tty, stdin: wanted.stdin, ..ExecConfig::default() };
    let (runtime, id) = (kubelet.runtime.clone(), container.id.clone());
    let process = match blocking(move || runtime.exec(&id, &config)).await {
        Ok(process) => process,
        Err(error) => {
            let what = match &error {
                Error::Exec(failure) => format!(
                    "failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: {}: unknown",
                    failure.message
                ),
                error => format!("failed to exec in container: {error}"),
            };
            let status = failure(&format!("error executing command in container: {what}"));
            let _ = session.output.send(Output::Status(status)).await;
            return;
        }
    };
    let (sender, ended) = tokio::sync::oneshot::channel();
    kubelet.runtime.on_exec_exit(
        process.pid,
        Box::new(move |exit| {
            // The session may have ended before its command.
            let _ = sender.send(exit);
        }),
    );
    let reader = |fd: Option<std::os::fd::OwnedFd>| fd.and_then(|fd| Pipe::reader(fd).ok()).map(Arc::new);
    let terminal = process.pty.and_then(|fd| Pipe::terminal(fd).ok()).map(Arc::new);
    let stdin = process.stdin.and_then(|fd| Pipe::writer(fd).ok()).map(Arc::new).or_else(|| terminal.clone());
    let outputs = [
        (Source::Stdout, terminal.clone().or_else(|| reader(process.stdout))),
        (Source::Stderr, reader(process.stderr)),
    ];
    let readers: Vec<_> = outputs
        .into_iter()
        .filter_map(|(source, pipe)| Some(tokio::spawn(copy(pipe?, source, session.output.clone()))))
        .collect();
    let has_terminal = terminal.is_some();
    let feeder = tokio::spawn(async move {
        let mut stdin = stdin;
        while let Some(input) = session.input.recv().await {
            match input {
                Input::Data(bytes) => {
                    if let Some(pipe) = &stdin
                        && pipe.write_all(&bytes).await.is_err()
                    {
                        stdin = None;
                    }
                }
                // A terminal has no end of its own: the client's hanging up is one.
                Input::End if !has_terminal => stdin = None,
                Input::End => {}
                Input::Resize(columns, rows) => {
                    if let Some(terminal) = &terminal {
                        terminal.resize(columns, rows);
                    }
                }
            }
        }
    });
    // The command has ended when its process has; a child that keeps a pipe open does not hold the answer back for long.
    let code = ended.await.map_or(255, |exit| exit.code);
    for reader in readers {
        let abort = reader.abort_handle();
        if tokio::time::timeout(std::time::Duration::from_millis(500), reader).await.is_err() {
            abort.abort();
        }
    }
    feeder.abort();
    let _ = session.output.send(Output::Status(exit_status(code))).await;
}

async fn copy(pipe: Arc<Pipe>, source: Source, output: tokio::sync::mpsc::Sender<Output>) {
    while let Ok(bytes) = pipe.read().await {
        if bytes.is_empty() {
            return;
        }
        let output_message = match source {
            Source::Stdout => Output::Stdout(bytes),
            Source::Stderr => Output::Stderr(bytes),
        };
        if output.send(output_message).await.is_err() {
            return;
        }
    }
}

/// Resolves when the container's streams have ended.
async fn ended(progress: &mut tokio::sync::watch::Receiver<crate::stream::Progress>) {
    // An error means that the streams are gone, which is an end, too.
    let _ = progress.wait_for(|progress| progress.ended).await;
}

async fn attached(streams: Arc<Streams>, wanted: Wanted, mut session: Session) {
    let mut output = streams.subscribe();
    let mut progress = streams.progress();
    loop {
        tokio::select! {
            biased;
            received = output.recv() => match received {
                Ok((Source::Stdout, bytes)) if wanted.stdout => {
                    if session.output.send(Output::Stdout(bytes)).await.is_err() {
                        break;
                    }
                }
                Ok((Source::Stderr, bytes)) if wanted.stderr => {
                    if session.output.send(Output::Stderr(bytes)).await.is_err() {
                        break;
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            input = session.input.recv() => match input {
                Some(Input::Data(bytes)) if wanted.stdin => {
                    if streams.write(&bytes).await.is_err() {
                        tracing::debug!("input for a container that takes none");
                    }
                }
                Some(Input::Resize(columns, rows)) => streams.resize(columns, rows),
                Some(Input::End) if wanted.stdin => streams.client_left().await,
                Some(_) => {}
                // The client is gone.
                None => {
                    if wanted.stdin {
                        streams.client_left().await;
                    }
                    break;
                }
            },
            () = ended(&mut progress) => {
                // What was written last is still in the channel.
                while let Ok((source, bytes)) = output.try_recv() {
                    let message = if source == Source::Stdout { Output::Stdout(bytes) } else { Output::Stderr(bytes) };
                    let _ = session.output.send(message).await;
                }
                break;
            }
        }
    }
    let _ = session.output.send(Output::Status(exit_status(0))).await;
}
