//! The node's images: what lies in the stores that the node sees, and the service that fetches more.

pub(crate) mod keyring;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use drydock_images::service::{Answer, Credentials, Failure, LINE_LIMIT, Request};
use drydock_images::{Error, Image, ImageStore, PRIVATE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The stores and the service.
pub(crate) struct Images {
    machine: ImageStore,
    /// What was fetched with the session's own credentials.
    private: ImageStore,
    socket: PathBuf,
    /// Images that the service knows to be in use.
    held: Mutex<HashSet<String>>,
}

impl Images {
    /// Opens the stores.
    ///
    /// # Errors
    /// When `dir` is no directory.
    pub(crate) fn open(dir: &Path, socket: &Path) -> Result<Self, Error> {
        Ok(Self {
            machine: ImageStore::open(dir)?,
            private: ImageStore::open(dir.join(PRIVATE))?,
            socket: socket.to_owned(),
            held: Mutex::default(),
        })
    }

    /// Finds an image by name or digest; the session's own first.
    ///
    /// # Errors
    /// As [`ImageStore::resolve`].
    pub(crate) fn resolve(&self, reference: &str) -> Result<Image, Error> {
        match self.private.resolve(reference) {
            Err(Error::NotFound { .. } | Error::Io { .. }) => self.machine.resolve(reference),
            outcome => outcome,
        }
    }

    /// All images.
    pub(crate) fn list(&self) -> Vec<Image> {
        let mut images = self.machine.list().unwrap_or_default();
        images.extend(self.private.list().unwrap_or_default());
        images
    }

    /// Tells the service that an image is used, once. Without a service nobody clears images away.
    pub(crate) async fn hold(&self, image: &Image) {
        if !image.is_pulled() || !self.lock().insert(image.digest.clone()) {
            return;
        }
        if let Err(failure) = self.ask(&Request::Use { digest: image.digest.clone() }).await {
            tracing::warn!(image.name = image.name, reason = failure.reason, "cannot hold an image");
            self.lock().remove(&image.digest);
        }
    }

    /// Has an image fetched; the time says how long that took, without waiting, milliseconds.
    pub(crate) async fn pull(&self, image: &str, credentials: Vec<Credentials>) -> Result<(Image, u64), Failure> {
        match self.ask(&Request::Pull { image: image.to_owned(), credentials }).await? {
            Answer::Ready { digest, millis } => {
                self.lock().insert(digest.clone());
                // By its name first, so that it shows as what was asked for.
                let found = self.resolve(image).ok().filter(|found| found.digest == digest);
                match found.map_or_else(|| self.resolve(&digest), Ok) {
                    Ok(image) => Ok((image, millis)),
                    Err(error) => Err(unavailable(error.to_string())),
                }
            }
            Answer::Failed(failure) => Err(failure),
            Answer::Done => Err(unavailable("the image service does not say".to_owned())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let broken = |error: std::io::Error| unavailable(format!("this node's image service does not answer: {error}"));
        let mut line = serde_json::to_vec(request).map_err(|error| unavailable(error.to_string()))?;
        line.push(b'\n');
        let mut stream = UnixStream::connect(&self.socket).await.map_err(broken)?;
        stream.write_all(&line).await.map_err(broken)?;
        let mut answer = Vec::new();
        stream.take(LINE_LIMIT as u64).read_to_end(&mut answer).await.map_err(broken)?;
        serde_json::from_slice(&answer)
            .map_err(|error| unavailable(format!("the image service is not understood: {error}")))
    }
}

fn unavailable(reason: String) -> Failure {
    Failure { code: "Unavailable".to_owned(), reason }
}
