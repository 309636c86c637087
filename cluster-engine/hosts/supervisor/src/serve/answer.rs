//! One connection: a request, an answer, and for terminals and dialled streams what follows.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use drydock_container_runtime::launch::Command;
use drydock_engine::host::{ExecOutput, NodeSpec, NodeUsage, TerminalSpec};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{oneshot, watch};

use super::Supervisor;
use crate::Error;
use crate::network::Client;
use crate::node::{Node, pss};
use crate::protocol::{Request, Response, frame};
use crate::state::SavedNode;
use crate::terminal::Terminal;

/// No request is larger: a node's files are in it.
const REQUEST_LIMIT: u64 = 8 << 20;
/// Output of a command that is kept.
const OUTPUT_LIMIT: usize = 1 << 20;
/// How long what a command left behind in its pipes is waited for after its end.
const LINGER: Duration = Duration::from_millis(200);
/// Terminals of a session at once: each keeps its scroll-back in this process, which no node's limit counts.
const TERMINALS: usize = 32;

pub(super) async fn connection(supervisor: Rc<Supervisor>, stream: UnixStream) {
    if let Err(error) = serve(supervisor, stream).await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn serve(supervisor: Rc<Supervisor>, stream: UnixStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        if (&mut reader).take(REQUEST_LIMIT).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let request: Request = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(error) => {
                let mut stream = reader.into_inner();
                return stream.write_all(&encode(&Response::Failed(format!("not understood: {error}")))).await;
            }
        };
        match request {
            Request::Dial { addr, node } => {
                let within = match node {
                    Some(node) => supervisor.with(&node, async |node, _| node.network()).await.map(Some),
                    None => Ok(None),
                };
                let within = match within {
                    Ok(within) => within,
                    Err(error) => {
                        reader.get_mut().write_all(&encode(&refusal(error))).await?;
                        continue;
                    }
                };
                let stream = reader.into_inner().into_std()?;
                supervisor.shared.network.dial(addr, within, Client::Unix(stream), encode(&Response::Done));
                return Ok(());
            }
            Request::Terminal { node, spec } => match supervisor.terminal(&node, &spec).await {
                Ok(terminal) => {
                    reader.get_mut().write_all(&encode(&Response::Done)).await?;
                    terminal.resize(spec.cols, spec.rows);
                    return attach(&terminal, reader).await;
                }
                Err(error) => reader.get_mut().write_all(&encode(&refusal(error))).await?,
            },
            Request::End => {
                supervisor.finish(Duration::ZERO).await;
                reader.get_mut().write_all(&encode(&Response::Done)).await?;
                supervisor.end.notify_one();
                return Ok(());
            }
            request => {
                let response = supervisor.answer(request).await.unwrap_or_else(refusal);
                reader.get_mut().write_all(&encode(&response)).await?;
            }
        }
    }
}

fn encode(response: &Response) -> Vec<u8> {
    // Responses hold text and numbers only: they always serialise.
    let mut line = serde_json::to_vec(response).unwrap_or_default();
    line.push(b'\n');
    line
}

fn refusal(error: Error) -> Response {
    match error {
        Error::NoNode(name) => Response::NoNode(name),
        Error::Exists(name) => Response::Exists(name),
        error => Response::Failed(error.to_string()),
    }
}

impl Supervisor {
    async fn answer(self: &Rc<Self>, request: Request) -> Result<Response, Error> {
        if self.asleep.get() && !matches!(request, Request::Session | Request::FreezeSession { .. } | Request::Usage) {
            return Err(Error::Asleep);
        }
        match request {
            Request::Session => return Ok(Response::Session(self.session().await)),
            Request::CreateNode { spec } => self.create(*spec).await?,
            Request::StartNode { node } => {
                self.mark(&node, false).await?;
                self.start(&node).await?;
            }
            Request::StopNode { node, grace_millis } => {
                self.mark(&node, true).await?;
                self.with(&node, async |node, shared| node.stop(shared, Duration::from_millis(grace_millis)).await)
                    .await?;
                self.terminals.lock().await.retain(|_, terminal| terminal.node != node);
            }
            Request::FreezeNode { node, frozen } => {
                self.with(&node, async |node, shared| node.freeze(shared, frozen)).await?;
            }
            Request::FreezeSession { frozen } => self.freeze(frozen)?,
            Request::RemoveNode { node } => {
                self.with(&node, async |node, shared| {
                    node.stop(shared, Duration::ZERO).await?;
                    node.remove(shared)
                })
                .await?;
                self.nodes.lock().await.retain(|it| it.spec.name != node);
                self.save(|state| state.nodes.retain(|it| it.spec.name != node)).await?;
            }
            Request::PlugNode { node, plugged } => {
                self.with(&node, async |node, shared| node.plug(shared, plugged).await).await?;
                self.change(&node, |node| node.unplugged = !plugged).await?;
            }
            Request::Exec { node, argv } => return Ok(Response::Exec(self.exec(&node, argv).await?)),
            Request::CloseTerminal { id } => {
                if let Some(terminal) = self.terminals.lock().await.remove(&id) {
                    // The shell's whole foreground goes with it: a terminal that is closed hangs up.
                    terminal.hang_up();
                }
            }
            Request::ReadFile { node, path, offset, limit } => {
                let bytes = self.with(&node, async |node, shared| node.read(shared, &path, offset, limit)).await?;
                return Ok(Response::Bytes(bytes));
            }
            Request::Usage => return Ok(Response::Usage(self.usage().await)),
            Request::Dial { .. } | Request::Terminal { .. } | Request::End => {}
        }
        Ok(Response::Done)
    }

    async fn with<T>(
        &self,
        name: &str,
        work: impl AsyncFnOnce(&mut Node, &crate::node::Shared) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut nodes = self.nodes.lock().await;
        let node =
            nodes.iter_mut().find(|node| node.spec.name == name).ok_or_else(|| Error::NoNode(name.to_owned()))?;
        work(node, &self.shared).await
    }

    async fn create(self: &Rc<Self>, spec: NodeSpec) -> Result<(), Error> {
        let name = spec.name.clone();
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !is_name {
            return Err(Error::NoNode(name));
        }
        {
            let mut nodes = self.nodes.lock().await;
            if nodes.iter().any(|node| node.spec.name == name) {
                return Err(Error::Exists(name));
            }
            // The least number that no node has: its cable's name.
            let taken: Vec<_> = nodes.iter().map(|node| node.port().to_owned()).collect();
            let number = (0..=taken.len()).find(|number| !taken.contains(&format!("n{number}"))).unwrap_or(taken.len());
            let node = Node::new(spec.clone(), number);
            node.prepare(&self.shared)?;
            nodes.push(node);
        }
        self.save(|state| state.nodes.push(SavedNode { spec, stopped: false, unplugged: false })).await?;
        self.start(&name).await
    }

    async fn mark(&self, name: &str, stopped: bool) -> Result<(), Error> {
        self.change(name, |node| node.stopped = stopped).await
    }

    async fn change(&self, name: &str, change: impl FnMut(&mut SavedNode)) -> Result<(), Error> {
        self.save(|state| state.nodes.iter_mut().filter(|node| node.spec.name == name).for_each(change)).await
    }

    async fn start(self: &Rc<Self>, name: &str) -> Result<(), Error> {
        let life = self
            .with(name, async |node, shared| {
                node.start(shared).await?;
                Ok(node.take_life())
            })
            .await?;
        self.clone().watch(name.to_owned(), life);
        Ok(())
    }

    async fn exec(&self, node: &str, argv: Vec<String>) -> Result<ExecOutput, Error> {
        let pipe = || {
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .map_err(|error| Error::io("cannot make a pipe")(error.into()))
        };
        let ((out_read, out_write), (err_read, err_write)) = (pipe()?, pipe()?);
        let null = File::open("/dev/null").map_err(Error::io("cannot open /dev/null"))?;
        let launched = self
            .with(node, async |node, shared| {
                let command = Command { args: argv, ..Command::default() };
                node.enter(shared, command, Some([null.as_fd(), out_write.as_fd(), err_write.as_fd()]))
            })
            .await?;
        drop((out_write, err_write));
        let ended = watch::Sender::new(None);
        let (exit, told) = (ended.subscribe(), ended.clone());
        launched.end.on_exit(Box::new(move |exit| {
            told.send_replace(Some(exit.code));
        }));
        let (stdout, stderr) = tokio::join!(collect(out_read, exit.clone()), collect(err_read, exit));
        let code = ended.subscribe().wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(-1);
        Ok(ExecOutput { code, stdout, stderr })
    }

    async fn terminal(self: &Rc<Self>, node: &str, spec: &TerminalSpec) -> Result<Arc<Terminal>, Error> {
        if self.asleep.get() {
            return Err(Error::Asleep);
        }
        let mut terminals = self.terminals.lock().await;
        if let Some(terminal) = terminals.get(&spec.id).filter(|terminal| terminal.exit().borrow().is_none()) {
            return Ok(terminal.clone());
        }
        if terminals.len() >= TERMINALS {
            return Err(Error::Terminals);
        }
        let command = Command {
            args: spec.argv.clone(),
            env: spec.env.clone().into_iter().collect(),
            tty: true,
            size: Some((spec.cols, spec.rows)),
            ..Command::default()
        };
        let launched = self.with(node, async |node, shared| node.enter(shared, command, None)).await?;
        let no_terminal = || Error::io("cannot open a terminal")(std::io::ErrorKind::NotFound.into());
        let terminal = Terminal::new(node, launched.pidfd, launched.pty.ok_or_else(no_terminal)?)
            .map_err(Error::io("cannot open a terminal"))?;
        let (tell, ended) = oneshot::channel();
        launched.end.on_exit(Box::new(move |exit| tell.send(exit.code).unwrap_or(())));
        terminals.insert(spec.id.clone(), terminal.clone());
        let (told, id, supervisor) = (terminal.clone(), spec.id.clone(), self.clone());
        tokio::task::spawn_local(async move {
            told.ended(ended.await.unwrap_or(-1));
            told.over().await;
            // Its scroll-back goes with it, and the kernel hangs up on what it left in the background.
            supervisor.terminals.lock().await.retain(|other, terminal| *other != id || !Arc::ptr_eq(terminal, &told));
        });
        Ok(terminal)
    }

    async fn usage(&self) -> Vec<NodeUsage> {
        let mut usage: Vec<_> = self.nodes.lock().await.iter().map(|node| node.usage(&self.shared)).collect();
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        usage.push(NodeUsage {
            node: "supervisor".to_owned(),
            memory_bytes: pss(own),
            cpu_micros: own_cpu_micros(),
            pids: 1,
        });
        usage
    }
}

/// The first bytes of what a command writes, up to its end and no further: what stays behind in the background with
/// the pipe open is not waited for. What is over the limit is read and dropped, so that the command does not block.
async fn collect(pipe: OwnedFd, mut exit: watch::Receiver<Option<i32>>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Ok(mut pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe) else { return kept };
    let mut buffer = vec![0; 16 * 1024];
    let over = async {
        // The sender lives as long as the reaper's promise to tell.
        let _ = exit.wait_for(Option::is_some).await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::pin!(over);
    loop {
        let read = tokio::select! {
            read = pipe.read(&mut buffer) => read.unwrap_or(0),
            () = &mut over => 0,
        };
        if read == 0 {
            return kept;
        }
        let room = OUTPUT_LIMIT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
    }
}

fn own_cpu_micros() -> u64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    let micros =
        |time: nix::sys::time::TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default();
    usage.map(|usage| micros(usage.user_time()) + micros(usage.system_time())).unwrap_or_default()
}

/// Carries a terminal's bytes until the client leaves or the program ends.
async fn attach(terminal: &Terminal, stream: BufReader<UnixStream>) -> std::io::Result<()> {
    let (kept, mut output) = terminal.attach();
    let mut exit = terminal.exit();
    let buffered = stream.buffer().to_vec();
    let (reader, mut writer) = stream.into_inner().into_split();
    let mut reader = AsyncReadExt::chain(std::io::Cursor::new(buffered), reader);
    send(&mut writer, frame::DATA, &kept).await?;
    let give = async {
        while let Some(bytes) = output.recv().await {
            send(&mut writer, frame::DATA, &bytes).await?;
        }
        let code = exit.wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(-1);
        send(&mut writer, frame::EXIT, &code.to_le_bytes()).await
    };
    let take = async {
        loop {
            let mut head = [0_u8; 5];
            reader.read_exact(&mut head).await?;
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if length > frame::LIMIT {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).await?;
            match (head[0], bytes.as_slice()) {
                (frame::RESIZE, [a, b, c, d]) => {
                    terminal.resize(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]))
                }
                (frame::DATA, bytes) => terminal.write(bytes).await?,
                _ => return Err(std::io::ErrorKind::InvalidData.into()),
            }
        }
    };
    tokio::select! {
        outcome = give => outcome,
        outcome = take => outcome,
    }
}

async fn send(writer: &mut OwnedWriteHalf, kind: u8, bytes: &[u8]) -> std::io::Result<()> {
    let mut frame = Vec::with_capacity(bytes.len() + 5);
    frame.push(kind);
    frame.extend(u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes());
    frame.extend(bytes);
    writer.write_all(&frame).await
}
