//! A pull in a process of its own.
//!
//! It reads what strangers send, so it has nothing of the session: no descriptor but its order and its answer, the few
//! rights that unpacking needs, and it ends with the pull, whose memory goes with it.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use drydock_container_runtime::Reaper;
use drydock_container_runtime::launch::{self, CapabilitySet, Command, Descriptors, Program, Spec, SystemCalls};
use drydock_image_service::{Order, Outcome, PULL_TIME, Puller, decode, encode};
use drydock_images::service::Failure;
use futures_util::future::LocalBoxFuture;
use tokio::io::AsyncReadExt;

use crate::Error;

const SELF: &str = "/proc/self/exe";
/// What unpacking a layer needs: to give files away, to write where others may not, and file capabilities.
const RIGHTS: [&str; 6] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"];
/// Most bytes of an outcome.
const OUTCOME_LIMIT: u64 = 64 * 1024;

/// Starts a process for each pull.
pub(super) struct Launch {
    reaper: Arc<Reaper>,
}

/// Killed when nobody waits for it any more.
struct Process(OwnedFd);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = rustix::process::pidfd_send_signal(&self.0, rustix::process::Signal::KILL);
    }
}

impl Launch {
    pub(super) fn new(reaper: Arc<Reaper>) -> Self {
        Self { reaper }
    }

    async fn run(&self, order: &Order) -> Result<Outcome, Error> {
        let fail = || Error::io("cannot give an order to pull");
        let bytes = encode(order).map_err(|error| fail()(std::io::Error::other(error)))?;
        let file =
            rustix::fs::memfd_create("order", rustix::fs::MemfdFlags::CLOEXEC).map_err(|it| fail()(it.into()))?;
        let mut file = File::from(file);
        file.write_all(&bytes).and_then(|()| file.rewind()).map_err(fail())?;
        let (read, write) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|error| fail()(error.into()))?;
        let add: Vec<String> = RIGHTS.map(str::to_owned).to_vec();
        let capabilities = CapabilitySet::changed(&add, &["ALL".to_owned()]).unwrap_or_default();
        let env = std::env::var("DRYDOCK_LOG").map(|value| ("DRYDOCK_LOG".to_owned(), value));
        let spec = Spec {
            program: Program::Command(Box::new(Command {
                args: vec![SELF.to_owned(), "image-pull".to_owned()],
                env: env.into_iter().collect(),
                capabilities,
                system_calls: SystemCalls::Default,
                no_new_privileges: true,
                ..Command::default()
            })),
            death_signal: Some(libc::SIGKILL),
            ..Spec::default()
        };
        let errors = std::io::stderr();
        let descriptors =
            Descriptors { stdio: Some([file.as_fd(), write.as_fd(), errors.as_fd()]), ..Descriptors::default() };
        let launched = launch::launch(Path::new(SELF), &self.reaper, &spec, &descriptors)
            .map_err(Error::runtime("cannot start a pull"))?;
        let _process = Process(launched.pidfd);
        drop(write);
        let mut bytes = Vec::new();
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(read).map_err(fail())?;
        let mut pipe = pipe.take(OUTCOME_LIMIT);
        let told = tokio::time::timeout(PULL_TIME + PULL_TIME / 10, pipe.read_to_end(&mut bytes)).await;
        told.map_err(|late| fail()(late.into()))?.map_err(fail())?;
        decode(&bytes).ok_or_else(|| fail()(std::io::ErrorKind::UnexpectedEof.into()))
    }
}

impl Puller for Launch {
    fn pull<'a>(&'a self, order: &'a Order) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.run(order).await.unwrap_or_else(|error| {
                tracing::error!(image.name = order.image, %error, "a pull broke off");
                let reason = "the image service failed; the operator's log says why".to_owned();
                Outcome::Failed(Failure { code: "Internal".to_owned(), reason })
            })
        })
    }
}
