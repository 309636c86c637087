//! What hosts that run supervisors have in common.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use drydock_engine::host::HostError;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::protocol::{FIRST_ID, IDS};

/// The first kernel on which an overlay takes idmapped layers.
const OLDEST_KERNEL: (u32, u32) = (5, 19);
/// Sessions that have ids of their own.
const RANGES: u32 = 8192;
/// How often somebody else's lock is tried.
const LOOK: Duration = Duration::from_millis(2);

/// A step that failed, as the host's error.
pub fn failed(action: impl Into<String>, reason: impl ToString) -> HostError {
    HostError::Failed { action: action.into(), reason: reason.to_string() }
}

/// A step whose input or output failed, as the host's error.
pub fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> HostError {
    let action = action.into();
    move |source| HostError::Io { action, source }
}

/// Holds off other processes that change this host's sessions, without keeping a thread from its work while it waits; let go
/// when dropped.
///
/// # Errors
/// When the file cannot be written or locked.
pub async fn lock(path: &Path) -> Result<Flock<File>, HostError> {
    loop {
        let file = File::create(path).map_err(io(format!("cannot write {}", path.display())))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, Errno::EWOULDBLOCK)) => tokio::time::sleep(LOOK).await,
            Err((_, error)) => return Err(failed("lock the sessions", error)),
        }
    }
}

/// A range of user ids that no session has, the first after the one that `seed` names: hosts of other data folders on the same
/// machine count from elsewhere, most likely, so that their sessions are other users.
///
/// # Errors
/// When all are taken.
pub fn free_ids(taken: &BTreeSet<u32>, seed: u64) -> Result<u32, HostError> {
    let start = u32::try_from(seed % u64::from(RANGES)).unwrap_or(0);
    (0..RANGES)
        .map(|index| FIRST_ID + (start + index) % RANGES * IDS)
        .find(|first| !taken.contains(first))
        .ok_or_else(|| failed("choose user ids", format!("all {RANGES} ranges are taken")))
}

/// The oldest kernel that runs nodes, if this release (such as `6.1.0-18-amd64`) is older.
#[must_use]
pub fn needs_kernel(release: &str) -> Option<String> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (major, minor) = OLDEST_KERNEL;
    (version < OLDEST_KERNEL).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, new_enough) in [
            ("6.1.0-18-amd64", true),
            ("5.19.0", true),
            ("6.18.44-fc-v669\n", true),
            ("10.0", true),
            ("5.4.0", false),
            ("4.20", false),
            ("", false),
        ] {
            assert_eq!(needs_kernel(release).is_none(), new_enough, "{release}");
        }
    }

    #[test]
    fn ids_are_of_one_session_only() {
        let mut taken = BTreeSet::new();
        for _ in 0..RANGES {
            let first = free_ids(&taken, u64::from(RANGES) + 7).unwrap();
            assert!(first >= FIRST_ID && (first - FIRST_ID).is_multiple_of(IDS));
            assert!(taken.insert(first), "{first} was given twice");
        }
        assert!(free_ids(&taken, 0).is_err());
    }
}
