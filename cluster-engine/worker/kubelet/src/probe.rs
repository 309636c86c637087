//! Liveness, readiness and startup probes: a pure state machine of results and a loop that asks.

use std::sync::Arc;
use std::time::Duration;

use drydock_client::EventType;

use crate::hook::{self, Answer, Target, grpc_check, http_get};
use crate::kubelet::{Kubelet, now};
use crate::pod::{Pod, Probe};
use crate::state::Millis;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Liveness,
    Readiness,
    Startup,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }
}

/// What a row of results means for the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ready(bool),
    Started,
    Unhealthy { kind: &'static str, grace: Option<i64> },
}

/// The outcome of asking once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// Success with something to tell.
    Warning(String),
    Failure(String),
    /// Nothing can be said; the row of results goes on as if not asked.
    Unknown(String),
}

/// Counts equal results until a threshold is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    row: u32,
    /// What was concluded last.
    verdict: Option<bool>,
}

impl Machine {
    pub(crate) fn new(probe: &Probe) -> Self {
        Self {
            success_threshold: probe.success_threshold.max(1),
            failure_threshold: if probe.failure_threshold == 0 { 3 } else { probe.failure_threshold },
            last: None,
            row: 0,
            verdict: None,
        }
    }

    /// Takes a result; returns the conclusion if it is a new one.
    pub(crate) fn observe(&mut self, success: bool) -> Option<bool> {
        self.row = if self.last == Some(success) { self.row + 1 } else { 1 };
        self.last = Some(success);
        let threshold = if success { self.success_threshold } else { self.failure_threshold };
        if self.row < threshold || self.verdict == Some(success) {
            return None;
        }
        self.verdict = Some(success);
        self.verdict
    }
}

/// Asks for ever (the startup probe: until it succeeds; liveness: until it fails) and tells each conclusion.
pub(crate) async fn run(
    kubelet: &Arc<Kubelet>,
    pod: &Pod,
    target: &Target,
    kind: Kind,
    probe: &Probe,
    started_at: Millis,
    tell: impl Fn(Verdict),
) {
    let delay = started_at + Millis::from(probe.initial_delay_seconds) * 1000 - now();
    tokio::time::sleep(Duration::from_millis(u64::try_from(delay).unwrap_or(0))).await;
    let seconds = if probe.period_seconds == 0 { 10 } else { probe.period_seconds };
    let mut ticks = tokio::time::interval(Duration::from_secs(u64::from(seconds)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut machine = Machine::new(probe);
    loop {
        ticks.tick().await;
        let success = match ask(kubelet, target, probe).await {
            Outcome::Success => true,
            Outcome::Warning(output) => {
                let text = format!("{} probe warning: {output}", kind.title());
                kubelet.event(pod, Some(&target.container.name), EventType::Warning, "ProbeWarning", text);
                true
            }
            Outcome::Failure(output) => {
                let text = format!("{} probe failed: {output}", kind.title());
                kubelet.event(pod, Some(&target.container.name), EventType::Warning, "Unhealthy", text);
                false
            }
            Outcome::Unknown(error) => {
                let text = format!("{} probe errored and resulted in unknown state: {error}", kind.title());
                kubelet.event(pod, Some(&target.container.name), EventType::Warning, "Unhealthy", text);
                continue;
            }
        };
        match (kind, machine.observe(success)) {
            (_, None) | (Kind::Liveness, Some(true)) => {}
            (Kind::Readiness, Some(ready)) => tell(Verdict::Ready(ready)),
            (Kind::Startup, Some(true)) => return tell(Verdict::Started),
            (Kind::Liveness | Kind::Startup, Some(false)) => {
                return tell(Verdict::Unhealthy { kind: kind.name(), grace: probe.termination_grace_period_seconds });
            }
        }
    }
}

async fn ask(kubelet: &Arc<Kubelet>, target: &Target, probe: &Probe) -> Outcome {
    let timeout = Duration::from_secs(u64::from(probe.timeout_seconds.max(1)));
    let action = &probe.action;
    if let Some(exec) = &action.exec {
        return match tokio::time::timeout(timeout, hook::command(kubelet, &target.id, &exec.command)).await {
            Ok(Ok(output)) if output.code == 0 => Outcome::Success,
            Ok(Ok(output)) => Outcome::Failure(output.text),
            Ok(Err(error)) => Outcome::Unknown(error),
            Err(_) => {
                let words = exec.command.join(" ");
                Outcome::Failure(format!("command timed out: \"{words}\" timed out after {}s", timeout.as_secs()))
            }
        };
    }
    if let Some(get) = &action.http_get {
        return match http_get(target, get, timeout).await {
            Ok(Answer { status: 300..400, body, .. }) => {
                Outcome::Warning(format!("Probe terminated redirects, Response body: {body}"))
            }
            Ok(Answer { status: 200..300, .. }) => Outcome::Success,
            Ok(Answer { status, .. }) => Outcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
            Err(text) => Outcome::Failure(text),
        };
    }
    if let Some(socket) = &action.tcp_socket {
        let Some(port) = target.container.port(&socket.port) else {
            return Outcome::Unknown(format!("invalid port number: {:?}", socket.port));
        };
        let ip = target.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let host = if socket.host.is_empty() { ip } else { socket.host.clone() };
        return match tokio::time::timeout(timeout, hook::connect(&host, port)).await {
            Ok(Ok(_)) => Outcome::Success,
            Ok(Err(text)) => Outcome::Failure(text),
            Err(_) => Outcome::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
        };
    }
    if let Some(grpc) = &action.grpc {
        return match grpc_check(target, grpc, timeout).await {
            Ok(None) => Outcome::Success,
            Ok(Some(text)) => Outcome::Failure(text),
            Err(error) => Outcome::Unknown(error),
        };
    }
    Outcome::Unknown("missing probe handler".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(success_threshold: u32, failure_threshold: u32, results: &str, expected: &str) {
        let probe = Probe { success_threshold, failure_threshold, ..Probe::default() };
        let mut machine = Machine::new(&probe);
        let told: String = results
            .chars()
            .map(|result| match machine.observe(result == '+') {
                Some(true) => 'Y',
                Some(false) => 'N',
                None => '.',
            })
            .collect();
        assert_eq!(told, expected, "{results}");
    }

    #[test]
    fn thresholds_count_rows_of_equal_results() {
        check(1, 3, "+++", "Y..");
        check(1, 3, "---+", "..NY");
        check(1, 3, "+--+--", "Y.....");
        check(1, 3, "+---", "Y..N");
        check(2, 1, "-+-++", "N...Y");
        check(0, 0, "---", "..N");
    }
}
