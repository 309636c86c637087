//! Standard audit events (`audit.k8s.io/v1`), as far as a trace needs them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The annotation that tells how long etcd took.
const ETCD: &str = "apiserver.latency.k8s.io/etcd";

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
    #[serde(rename = "requestURI")]
    pub(super) request_uri: String,
    pub(super) annotations: BTreeMap<String, String>,
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

    /// How long etcd took, in microseconds.
    pub(super) fn etcd_micros(&self) -> Option<u64> {
        go_duration(self.annotations.get(ETCD)?)
    }

    /// A parameter of the request.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.request_uri.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// A length of time as Go writes it (`609µs`, `3.108ms`, `1m2.5s`), in microseconds.
fn go_duration(text: &str) -> Option<u64> {
    let mut micros = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|it: char| it.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ns" => 0.001,
            "us" | "µs" | "μs" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 60e6,
            "h" => 3600e6,
            _ => return None,
        };
        micros += value.parse::<f64>().ok()? * factor;
        rest = after;
    }
    // Far below what a float holds exactly.
    (!text.is_empty() && micros < 1e15).then_some(micros.round() as u64)
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

    #[test]
    fn lengths_of_time_as_go_writes_them() {
        for (text, want) in [
            ("609µs", Some(609)),
            ("3.108ms", Some(3108)),
            ("1m2.5s", Some(62_500_000)),
            ("800ns", Some(1)),
            ("", None),
            ("fast", None),
            ("3", None),
            ("99999999999h", None),
        ] {
            assert_eq!(go_duration(text), want, "{text}");
        }
    }

    #[test]
    fn parameters_of_the_request() {
        let uri = "/api/v1/namespaces/default/pods?fieldManager=kubectl-run&dryRun=All";
        let event = AuditEvent { request_uri: uri.to_owned(), ..AuditEvent::default() };
        assert_eq!(event.parameter("fieldManager"), Some("kubectl-run"));
        assert_eq!(event.parameter("manager"), None);
    }
}
