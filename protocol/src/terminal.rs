//! Terminals: `GET /api/v1/sessions/{id}/terminals/{tid}?node=&cols=&rows=` upgraded to a WebSocket.
//!
//! Binary frames carry the bytes of the PTY in both directions. Text frames carry [`TerminalControl`] as JSON.
//! The page chooses `tid`; the first connection with it starts a shell on `node`, later ones attach to the same
//! shell. On attaching, the server first sends the screen and scroll-back it kept, so the page clears its own
//! terminal when the socket opens.

use serde::{Deserialize, Serialize};

/// How many bytes of output the server sends before the page has shown them, see [`TerminalControl::Seen`].
pub const WINDOW: u64 = 256 * 1024;

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TerminalControl {
    /// Page to server: the terminal has this size now.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Page to server: so many bytes of output, counted since the socket opened, are on the screen. From the first one on,
    /// the server sends no more than [`WINDOW`] bytes ahead of it, so that a flood of output cannot drown the page.
    Seen {
        /// Bytes.
        bytes: u64,
    },
    /// Page to server: its tab was closed; end the shell.
    Close,
    /// Server to page: the shell ended; the server closes the socket after it.
    Exit {
        /// Exit code, 128 + signal for a killed one.
        code: i32,
    },
    /// Server to page: no shell could be had, with the reason; the server closes the socket after it.
    Error {
        /// One clear sentence.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form() {
        let json = |control: &TerminalControl| serde_json::to_string(control).unwrap();
        assert_eq!(json(&TerminalControl::Resize { cols: 80, rows: 24 }), r#"{"type":"resize","cols":80,"rows":24}"#);
        assert_eq!(json(&TerminalControl::Seen { bytes: 9 }), r#"{"type":"seen","bytes":9}"#);
        assert_eq!(json(&TerminalControl::Exit { code: 130 }), r#"{"type":"exit","code":130}"#);
        assert_eq!(json(&TerminalControl::Close), r#"{"type":"close"}"#);
    }
}
