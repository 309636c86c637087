//! Watch streams: one task each, which sends only as fast as its client reads.

use std::collections::VecDeque;
use std::sync::Arc;

use drydock_etcd_proto::etcdserverpb::watch_request::RequestUnion;
use drydock_etcd_proto::etcdserverpb::watch_server::Watch;
use drydock_etcd_proto::etcdserverpb::{WatchRequest, WatchResponse};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Services;
use crate::backend::Backend;
use crate::watch::Hub;

/// Answers that wait for a client between this task and its connection.
const AHEAD: usize = 4;

#[tonic::async_trait]
impl Watch for Services {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (id, wake) = self.backend.watches(|hub, _, _| hub.open());
        let stream = Stream { backend: self.backend.clone(), id, outgoing: VecDeque::new(), asked: 0 };
        tokio::spawn(stream.run(request.into_inner(), sender, wake));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Stream {
    backend: Arc<Backend>,
    id: u64,
    outgoing: VecDeque<WatchResponse>,
    /// Progress requests not answered yet.
    asked: usize,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.backend.watches(|hub, _, _| hub.close(self.id));
    }
}

impl Stream {
    async fn run(
        mut self,
        mut incoming: Streaming<WatchRequest>,
        sender: mpsc::Sender<Result<WatchResponse, Status>>,
        wake: Arc<Notify>,
    ) {
        let backend = self.backend.clone();
        let interval = backend.limits.progress_interval;
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        let mut listening = true;
        loop {
            if self.outgoing.is_empty() {
                self.collect();
            }
            let idle = self.outgoing.is_empty();
            tokio::select! {
                permit = sender.reserve(), if !idle => match permit {
                    Ok(permit) => {
                        if let Some(response) = self.outgoing.pop_front() {
                            permit.send(Ok(response));
                        }
                    }
                    Err(_) => return,
                },
                request = incoming.message(), if listening => match request {
                    Ok(Some(request)) => self.answer(request),
                    // A client that has nothing more to say still listens.
                    Ok(None) => listening = false,
                    Err(_) => return,
                },
                () = wake.notified(), if idle => {}
                () = sender.closed() => return,
                _ = tick.tick(), if self.wants_progress() => {
                    let due = backend.watches(|hub, store, known| hub.notify_progress(self.id, store, known));
                    self.outgoing.extend(due);
                }
                () = backend.stopping() => {
                    let _ = sender.try_send(Err(Status::unavailable("etcdserver: server stopped")));
                    return;
                }
            }
        }
    }

    fn wants_progress(&self) -> bool {
        self.backend.watches(|hub, _, _| hub.wants_progress(self.id))
    }

    fn collect(&mut self) {
        let most = self.backend.limits.request_bytes;
        let asked = self.asked;
        let (told, progress) = self.backend.watches(|hub, store, known| {
            let told = hub.collect(self.id, store, known, most);
            let progress = (told.is_empty() && asked > 0).then(|| Hub::progress(store, known));
            (told, progress)
        });
        self.outgoing.extend(told);
        if let Some(progress) = progress {
            self.outgoing.extend(std::iter::repeat_n(progress, asked));
            self.asked = 0;
        }
    }

    fn answer(&mut self, request: WatchRequest) {
        let id = self.id;
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => {
                let response = self.backend.watches(|hub, store, known| hub.create(id, create, store, known));
                self.outgoing.push_back(response);
            }
            Some(RequestUnion::CancelRequest(cancel)) => {
                let response = self.backend.watches(|hub, store, known| hub.cancel(id, cancel.watch_id, store, known));
                self.outgoing.extend(response);
            }
            Some(RequestUnion::ProgressRequest(_)) => self.asked += 1,
            None => {}
        }
    }
}
