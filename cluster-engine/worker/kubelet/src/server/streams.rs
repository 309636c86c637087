//! One exec or attach session, whatever carries it: input comes in, output and one final status go out.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// What the client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Data(Bytes),
    /// No more input.
    End,
    Resize(u16, u16),
}

/// What the client is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Output {
    Stdout(Bytes),
    Stderr(Bytes),
    /// How it ended; the last message.
    Status(Value),
}

/// Both directions of a session.
pub(super) struct Session {
    pub(super) input: mpsc::Receiver<Input>,
    pub(super) output: mpsc::Sender<Output>,
}

/// Which streams the client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Wanted {
    /// The parameters, by the kubelet's names and by the API server's.
    pub(super) fn of(query: &super::Query) -> Self {
        let tty = query.flag("tty");
        Self {
            stdin: query.flag("input") || query.flag("stdin"),
            stdout: query.flag("output") || query.flag("stdout"),
            // A terminal has one output only.
            stderr: !tty && (query.flag("error") || query.flag("stderr")),
            tty,
        }
    }
}

/// The final status of a command that ended with `code`.
pub(super) fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// The final status of a session that failed otherwise.
pub(super) fn failure(message: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: {message}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    })
}

/// `{"Width":80,"Height":24}`
pub(super) fn parse_size(text: &[u8]) -> Option<(u16, u16)> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |key: &str| value[key].as_u64().and_then(|number| u16::try_from(number).ok());
    Some((number("Width")?, number("Height")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_sizes_have_upstreams_form() {
        assert_eq!(exit_status(3)["details"]["causes"][0]["message"], "3");
        assert_eq!(exit_status(0)["status"], "Success");
        assert_eq!(parse_size(br#"{"Width":80,"Height":24}"#), Some((80, 24)));
        assert_eq!(parse_size(b"x"), None);
        let wanted = |text: &str| Wanted::of(&super::super::Query::parse(text));
        assert_eq!(
            wanted("input=1&output=1&tty=1&error=1"),
            Wanted { stdin: true, stdout: true, stderr: false, tty: true }
        );
        assert!(wanted("stdout=true&stderr=true").stderr);
    }
}
