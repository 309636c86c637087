//! The service of one session: takes requests from its nodes, fetches each image once, remembers what is in use.
//!
//! Any host can run it: it needs a listening socket that nodes reach, and somebody who carries out a pull ([`Puller`]):
//! [`InProcess`] does so here and now, a host may have reasons to do it in a process of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use drydock_images::service::{Answer, Credentials, Failure, LINE_LIMIT, Request};
use drydock_images::{ImageStore, Pins, Reference};
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::policy::Policy;
use crate::pull::{Order, Outcome, Progress, pull, session_room};

/// Pulls of one session at once; more wait.
const PULLS: usize = 4;
/// Connections of one session at once; more wait.
const CONNECTIONS: usize = 64;
/// How long a node may take to say what it wants.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Credentials that are tried for one image.
const MOST_CREDENTIALS: usize = 16;

/// Carries out one pull.
pub trait Puller {
    /// Fetches an image; never fails otherwise than by its outcome. Dropping the future ends the pull.
    fn pull<'a>(&'a self, order: &'a Order) -> LocalBoxFuture<'a, Outcome>;
}

/// Pulls in the process of the service itself.
#[derive(Debug, Default)]
pub struct InProcess;

impl Puller for InProcess {
    fn pull<'a>(&'a self, order: &'a Order) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(async move { pull(order, &Progress::default()).await })
    }
}

/// The service of one session.
pub struct Service<P> {
    machine: PathBuf,
    private: PathBuf,
    puller: P,
    pins: std::sync::Mutex<Option<Pins>>,
    /// Pulls under way, by what was asked for.
    running: Mutex<HashMap<Key, watch::Receiver<Option<Answer>>>>,
    pulls: Arc<Semaphore>,
}

type Key = (String, Vec<Credentials>);

impl<P: Puller + 'static> Service<P> {
    /// A service for the session of that name, unique on this machine. `machine` is the store that all sessions see,
    /// `private` the session's own.
    #[must_use]
    pub fn new(session: &str, machine: PathBuf, private: PathBuf, puller: P) -> Rc<Self> {
        let pins = ImageStore::open(&machine).and_then(|store| store.pins(session));
        let pins = pins.map_err(|error| tracing::error!(%error, "cannot hold images for this session")).ok();
        Rc::new(Self {
            machine,
            private,
            puller,
            pins: std::sync::Mutex::new(pins),
            running: Mutex::default(),
            pulls: Arc::new(Semaphore::new(PULLS)),
        })
    }

    /// Answers on a socket for ever. Call it on a thread with a [`tokio::task::LocalSet`].
    pub async fn serve(self: Rc<Self>, listener: UnixListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let service = self.clone();
                    tokio::task::spawn_local(async move {
                        if let Err(error) = service.connection(stream).await {
                            tracing::debug!(%error, "a node's connection ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a node's connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Rc<Self>, stream: UnixStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        let limit = LINE_LIMIT as u64;
        timeout(REQUEST_TIME, (&mut reader).take(limit).read_until(b'\n', &mut line)).await??;
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => {
                // A node that goes away while it waits is not answered; what it asked for goes on for the others.
                let mut end = [0_u8; 1];
                tokio::select! {
                    answer = self.answer(request) => answer,
                    _ = reader.read(&mut end) => return Ok(()),
                }
            }
            Err(error) => failed("InvalidArgument", format!("not understood: {error}")),
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        reader.get_mut().write_all(&line).await
    }

    /// Answers one request.
    pub async fn answer(self: &Rc<Self>, request: Request) -> Answer {
        match request {
            Request::Use { digest } => {
                if let Err(reason) = self.hold(&digest) {
                    tracing::warn!(reason, "cannot hold an image");
                }
                Answer::Done
            }
            Request::Pull { image, mut credentials } => {
                credentials.truncate(MOST_CREDENTIALS);
                self.join(image, credentials).await
            }
        }
    }

    /// Waits for a pull of the same image that is under way, or begins one.
    async fn join(self: &Rc<Self>, image: String, credentials: Vec<Credentials>) -> Answer {
        let name = image.parse::<Reference>().map_or_else(|_| image.clone(), |name| name.to_string());
        let key = (name, credentials.clone());
        let mut receiver = {
            let mut running = self.running.lock().await;
            match running.get(&key) {
                Some(receiver) => receiver.clone(),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    running.insert(key.clone(), receiver.clone());
                    let service = self.clone();
                    tokio::task::spawn_local(async move {
                        let answer = service.fetch(image, credentials, &sender).await;
                        service.running.lock().await.remove(&key);
                        sender.send_replace(answer);
                    });
                    receiver
                }
            }
        };
        let answer = receiver.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| failed("Canceled", "nobody waits for this image any more".to_owned()))
    }

    /// Fetches an image with the first credentials that work; `None` when nobody waits for it any more.
    async fn fetch(
        &self,
        image: String,
        credentials: Vec<Credentials>,
        waiting: &watch::Sender<Option<Answer>>,
    ) -> Option<Answer> {
        let _turn = tokio::select! {
            turn = self.pulls.acquire() => turn.ok()?,
            () = waiting.closed() => return None,
        };
        let mut ways: Vec<_> = credentials.into_iter().map(Some).collect();
        if ways.is_empty() {
            ways.push(None);
        }
        let began = Instant::now();
        let mut last = None;
        for credentials in ways {
            let room = match self.room() {
                Ok(room) => room,
                Err(error) => return Some(Answer::Failed(error.failure(&image, true))),
            };
            let order = Order {
                machine: self.machine.clone(),
                private: self.private.clone(),
                image: image.clone(),
                credentials,
                room,
            };
            match self.puller.pull(&order).await {
                Outcome::Ready { digest, private } => {
                    if !private && let Err(reason) = self.hold(&digest) {
                        return Some(failed("Unavailable", reason));
                    }
                    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(image.name = image, image.digest = digest, private, millis, "pulled");
                    return Some(Answer::Ready { digest, millis });
                }
                Outcome::Failed(failure) => last = Some(Answer::Failed(failure)),
            }
        }
        last
    }

    /// Bytes that this session may still pull.
    fn room(&self) -> Result<u64, crate::Error> {
        let policy =
            Policy::load(&self.machine).map_err(crate::Error::io("cannot read the rules of the image service"))?;
        let (own_images, own_bytes) = ImageStore::open(&self.private)?.total()?;
        let pins = self.pins.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (images, bytes) = match pins.as_ref() {
            Some(pins) => ImageStore::open(&self.machine)?.held(pins)?,
            None => (0, 0),
        };
        session_room(&policy, own_images + images, own_bytes + bytes)
    }

    /// Keeps an image for as long as the session lives.
    fn hold(&self, digest: &str) -> Result<(), String> {
        let mut pins = self.pins.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let pins = pins.as_mut().ok_or("this session cannot hold images")?;
        let store = ImageStore::open(&self.machine).map_err(|error| error.to_string())?;
        match store.pin(pins, digest) {
            Ok(true) => Ok(()),
            Ok(false) => Err("the image was cleared away again at once".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn failed(code: &str, reason: String) -> Answer {
    Answer::Failed(Failure { code: code.to_owned(), reason })
}
