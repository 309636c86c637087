//! Standard audit events (`audit.k8s.io/v1`), as far as a trace needs them.

use serde::Deserialize;

/// One request that the API server answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuditEvent {
    pub(super) stage: String,
    pub(super) verb: String,
    pub(super) user: User,
    pub(super) user_agent: String,
    #[serde(rename = "sourceIPs")]
    pub(super) source_ips: Vec<String>,
    pub(super) object_ref: Option<ObjectRef>,
    pub(super) response_status: Option<ResponseStatus>,
    pub(super) request_received_timestamp: String,
    pub(super) stage_timestamp: String,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub(super) username: String,
}

/// For what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ObjectRef {
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

/// With which outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct ResponseStatus {
    pub(super) code: u16,
}

impl AuditEvent {
    /// Begin and duration in microseconds.
    pub(super) fn times(&self) -> Option<(u64, u64)> {
        let begin = micros(&self.request_received_timestamp)?;
        let end = micros(&self.stage_timestamp)?;
        Some((begin, end.saturating_sub(begin)))
    }
}

/// The whole lines of `bytes` as events, and how many bytes they take. Lines that are no events are passed over:
/// the log comes from a cluster that a learner rules.
pub(super) fn parse(bytes: &[u8]) -> (Vec<AuditEvent>, usize) {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let events = bytes[..end].split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    (events.collect(), end)
}

/// An RFC 3339 instant in microseconds since the Unix epoch.
pub(super) fn micros(text: &str) -> Option<u64> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(instant.as_microsecond()).ok()
}

/// An RFC 3339 instant in milliseconds since the Unix epoch.
pub(super) fn millis(text: &str) -> Option<u64> {
    micros(text).map(|micros| micros / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_waits_and_rubbish_is_passed_over() {
        let text = b"{\"verb\":\"create\",\"stage\":\"ResponseComplete\"}\nrubbish\n{\"verb\":";
        let (events, taken) = parse(text);
        assert_eq!(events.iter().map(|event| event.verb.as_str()).collect::<Vec<_>>(), ["create"]);
        assert_eq!(&text[taken..], b"{\"verb\":");
    }

    #[test]
    fn times_are_microseconds() {
        let event = AuditEvent {
            request_received_timestamp: "2026-11-21T01:00:00.000100Z".to_owned(),
            stage_timestamp: "2026-11-21T01:00:00.002200Z".to_owned(),
            ..AuditEvent::default()
        };
        assert_eq!(event.times().map(|(_, duration)| duration), Some(2100));
    }
}
