//! What a session is made of, saved so that a restarted supervisor builds the same again.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use drydock_engine::host::{NodeSpec, SessionSpec};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::protocol::STATE;

/// A session's saved state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// What was asked for.
    pub spec: SessionSpec,
    /// First of its user ids on the host.
    pub first_id: u32,
    /// Port on 127.0.0.1 that leads to the API server; 0 until it is chosen.
    pub port: u16,
    /// Its nodes, in the order of creation.
    pub nodes: Vec<SavedNode>,
}

/// A node's saved state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedNode {
    /// What to run.
    pub spec: NodeSpec,
    /// Switched off.
    pub stopped: bool,
    /// Cut off the session's network.
    #[serde(default)]
    pub unplugged: bool,
}

impl State {
    /// Reads the state of the session in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn load(folder: &Path) -> Result<State, Error> {
        let file = folder.join(STATE);
        let text = fs::read(&file).map_err(Error::io(format!("cannot read {}", file.display())))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Saves the state: the old file or the new one is there, never half of one. It holds keys, so only its owner may
    /// read it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let (partial, file) = (folder.join(".session.json"), folder.join(STATE));
        let fail = || Error::io(format!("cannot write {}", file.display()));
        let mut out =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).map_err(fail())?;
        out.write_all(&serde_json::to_vec(self)?).map_err(fail())?;
        fs::rename(&partial, &file).map_err(fail())
    }
}
