//! Imports lessons again when their files change: inotify, gathered, without polling.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::{Broken, Library};

/// Editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// Follows the files below `folders` until dropped. Every round watches what there is (new folders, too) before it
/// imports: what changes meanwhile begins the next round.
pub(super) async fn follow(library: &Library, folders: &[PathBuf]) {
    loop {
        // What tokio calls a pipe's end is any descriptor that becomes readable.
        let mut watch = match start(folders).and_then(Receiver::from_owned_fd_unchecked) {
            Ok(watch) => watch,
            Err(error) => {
                tracing::error!(%error, "changes of lessons are not seen until the next start");
                return;
            }
        };
        match library.import(Broken::Keep).await {
            Ok(imported) => {
                for refused in imported.refused {
                    tracing::error!(
                        lesson.file = refused.file,
                        reason = refused.reason,
                        "a changed lesson is left out"
                    );
                }
                if !imported.changed.is_empty() {
                    tracing::info!(lessons = imported.changed.join(", "), "lessons changed");
                }
            }
            Err(error) => tracing::error!(%error, "cannot import lessons"),
        }
        if let Err(error) = changed(&mut watch).await {
            tracing::error!(%error, "changes of lessons are not seen until the next start");
            return;
        }
    }
}

/// Resolves when something changed and it is quiet again.
async fn changed(watch: &mut Receiver) -> std::io::Result<()> {
    drain(watch).await?;
    while let Ok(more) = tokio::time::timeout(QUIET, drain(watch)).await {
        more?;
    }
    Ok(())
}

fn start(folders: &[PathBuf]) -> std::io::Result<OwnedFd> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let what = WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR;
    let watch = |folder: &Path| inotify::add_watch(&fd, folder, what).map(|_| ());
    for folder in folders {
        match watch(folder) {
            // One that is not there yet has no lessons; who brings some creates it first, see `drydock lesson import`.
            Err(rustix::io::Errno::NOENT) => continue,
            outcome => outcome?,
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                // One that vanished meanwhile is a change of the folder above.
                let _ = watch(&path);
            }
        }
    }
    Ok(fd)
}

/// Waits for events and takes them.
async fn drain(watch: &mut Receiver) -> std::io::Result<()> {
    let mut buffer = [0_u8; 4096];
    watch.read(&mut buffer).await.map(|_| ())
}
