//! What tests of the database begin with.

use drydock_protocol::SessionState;
use tempfile::TempDir;

use super::{SessionRow, Store};

/// An empty database, in a folder that goes with the first value.
pub(crate) async fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("tempdir");
    let store = Store::open(&folder.path().join("drydock.db")).await.expect("open");
    (folder, store)
}

/// A playground's session that is ready.
pub(crate) fn session(id: &str, owner: &str) -> SessionRow {
    SessionRow {
        id: id.to_owned(),
        name: format!("s-{id}"),
        owner: owner.to_owned(),
        lesson: None,
        workers: 2,
        state: SessionState::Ready,
        reason: None,
        created_millis: 1,
        expires_millis: 2,
        start_millis: None,
    }
}
