//! `drydock-relay`: carries bytes between its standard streams and the socket of the supervisor beside it.
//!
//! This is how a host reaches a supervisor in a container: by running the relay there, wherever the container is.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use crate::{Error, protocol};

/// How long the supervisor may take to answer for the first time, and how often it is tried until then.
const START: (Duration, Duration) = (Duration::from_secs(20), Duration::from_millis(5));
/// How long the other side may still speak when nobody does on this one.
const LINGER: Duration = Duration::from_secs(60);

/// Flags of `drydock-relay`.
#[derive(Debug, clap::Parser)]
#[command(name = "drydock-relay")]
pub struct Options {
    /// The session's folder.
    #[arg(long)]
    pub session_dir: PathBuf,
}

/// Relays until both sides have ended.
///
/// # Errors
/// When there is no supervisor, or a stream fails.
pub async fn run(options: Options) -> Result<(), Error> {
    let standard = |stream: std::io::Result<OwnedFd>| stream.map_err(Error::io("cannot use the standard streams"));
    let input = pipe::Receiver::from_owned_fd(standard(std::io::stdin().as_fd().try_clone_to_owned())?);
    let output = pipe::Sender::from_owned_fd(standard(std::io::stdout().as_fd().try_clone_to_owned())?);
    let streams = input.and_then(|input| Ok((input, output?)));
    let (mut input, mut output) = streams.map_err(Error::io("cannot use the standard streams"))?;
    let mut socket = connect(&options.session_dir).await?;
    let (mut from, mut to) = socket.split();
    let take = async {
        let _ = tokio::io::copy(&mut input, &mut to).await;
        let _ = to.shutdown().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        () = take => {}
        // The reader's end of the pipe is gone, or the supervisor's word is over.
        _ = tokio::io::copy(&mut from, &mut output) => {}
    }
    Ok(())
}

async fn connect(folder: &Path) -> Result<UnixStream, Error> {
    let (patience, pause) = START;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let attempt = async {
            let (socket, _folder) = protocol::socket(folder)?;
            UnixStream::connect(socket).await
        };
        match attempt.await {
            Ok(stream) => return Ok(stream),
            Err(error) if tokio::time::Instant::now() > deadline => {
                return Err(Error::io("the supervisor does not answer")(error));
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
    }
}
