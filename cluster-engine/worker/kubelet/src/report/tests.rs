//! Statuses as tables.

use super::*;
use crate::pod::Terminated;
use crate::pod::tests::pod;
use crate::state::{Failure, Instance, Sandbox, Terminating};

const NOW: Millis = 1_000_000_000;

fn host() -> Host {
    Host { ip: "10.20.0.3".into() }
}

fn running(ready: bool) -> Record {
    let instance = Instance { id: "1".into(), started: true, ready, ..Instance::default() };
    Record { instance: Some(instance), ..Record::default() }
}

fn ended(code: i32) -> Record {
    let exit = Terminated { exit_code: code, ..Terminated::default() };
    let instance = Instance { exit: Some(exit), ..Instance::default() };
    Record { instance: Some(instance), ..Record::default() }
}

fn state(records: Vec<(&str, Record)>) -> PodState {
    let sandbox = Some(Sandbox { id: "s".into(), ip: Some([10, 244, 1, 5].into()), dead: false });
    let containers = records.into_iter().map(|(name, record)| (name.to_owned(), record)).collect();
    PodState { sandbox, sandboxes: 1, containers, started_at: NOW, ..PodState::default() }
}

fn simple(policy: &str) -> Pod {
    pod(&format!("spec: {{restartPolicy: {policy}, containers: [{{name: a}}, {{name: b}}]}}"))
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = status.conditions.iter().find(|condition| condition.kind == kind).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn report(pod: &Pod, state: &PodState) -> PodStatus {
    status(pod, state, &PodStatus::default(), &host(), NOW)
}

#[test]
fn phases() {
    for (policy, a, b, phase) in [
        ("Always", running(true), running(true), "Running"),
        ("Always", running(true), Record::default(), "Pending"),
        ("Always", running(true), ended(1), "Running"),
        ("Always", ended(0), ended(0), "Running"),
        ("OnFailure", ended(0), ended(0), "Succeeded"),
        ("OnFailure", ended(1), ended(0), "Running"),
        ("Never", ended(1), ended(0), "Failed"),
        ("Never", ended(0), running(true), "Running"),
    ] {
        let found = report(&simple(policy), &state(vec![("a", a), ("b", b)]));
        assert_eq!(found.phase, phase, "{policy}");
    }
}

#[test]
fn readiness_and_its_reasons() {
    let found = report(&simple("Always"), &state(vec![("a", running(true)), ("b", running(false))]));
    let unready = ("False", "ContainersNotReady", "containers with unready status: [b]");
    assert_eq!(condition(&found, "Ready"), unready);
    assert_eq!(condition(&found, "ContainersReady"), unready);
    assert_eq!(condition(&found, "Initialized").0, "True");
    assert_eq!(condition(&found, "PodReadyToStartContainers").0, "True");
    assert_eq!(found.pod_ip, "10.244.1.5");
    let found = report(&simple("Always"), &state(vec![("a", running(true)), ("b", running(true))]));
    assert_eq!(condition(&found, "Ready"), ("True", "", ""));
    let found = report(&simple("Never"), &state(vec![("a", ended(0)), ("b", ended(0))]));
    assert_eq!(condition(&found, "Ready"), ("False", "PodCompleted", ""));
    assert_eq!(condition(&found, "Initialized"), ("True", "PodCompleted", ""));
}

#[test]
fn readiness_gates_read_foreign_conditions() {
    let pod = pod("spec: {readinessGates: [{conditionType: x/y}], containers: [{name: a}]}");
    let state = state(vec![("a", running(true))]);
    let missing = "corresponding condition of pod readiness gate \"x/y\" does not exist.";
    assert_eq!(condition(&report(&pod, &state), "Ready"), ("False", "ReadinessGatesNotReady", missing));
    let given = Condition { kind: "x/y".into(), status: "True".into(), ..Condition::default() };
    let before = PodStatus { conditions: vec![given], ..PodStatus::default() };
    let found = status(&pod, &state, &before, &host(), NOW);
    assert_eq!(condition(&found, "Ready").0, "True");
    assert_eq!(condition(&found, "x/y").0, "True", "foreign conditions stay");
}

#[test]
fn waiting_containers_show_why() {
    let pod_ = pod("spec: {initContainers: [{name: i}], containers: [{name: a}]}");
    let found = report(&pod_, &state(vec![("i", running(true))]));
    assert_eq!(found.container_statuses[0].state.waiting.as_ref().unwrap().reason, "PodInitializing");
    assert_eq!(condition(&found, "Initialized").2, "containers with incomplete status: [i]");
    assert_eq!(found.phase, "Pending");
    let mut crashed = ended(1);
    crashed.attempt = 3;
    crashed.waiting = Some(Waiting { reason: "CrashLoopBackOff".into(), message: String::new() });
    let found = report(&simple("Always"), &state(vec![("a", crashed), ("b", running(true))]));
    let shown = &found.container_statuses[0];
    assert_eq!(shown.state.waiting.as_ref().unwrap().reason, "CrashLoopBackOff");
    assert_eq!(shown.last_state.terminated.as_ref().unwrap().exit_code, 1);
    assert_eq!((shown.restart_count, found.phase.as_str()), (3, "Running"));
}

#[test]
fn unchanged_conditions_keep_their_time() {
    let pod = simple("Always");
    let state = state(vec![("a", running(true)), ("b", running(true))]);
    let first = report(&pod, &state);
    let second = status(&pod, &state, &first, &host(), NOW + 60_000);
    assert_eq!(first, second);
}

#[test]
fn refused_and_deleted_pods_are_over() {
    let mut refused = PodState { started_at: NOW, ..PodState::default() };
    refused.failed = Some(Failure::new("OutOfcpu", "m"));
    let found = report(&simple("Always"), &refused);
    assert_eq!((found.phase.as_str(), found.reason.as_str()), ("Failed", "OutOfcpu"));
    assert!(found.container_statuses.is_empty());
    let mut deleted = state(vec![("a", ended(0)), ("b", ended(0))]);
    deleted.terminating = Some(Terminating { since: NOW, grace: 30 });
    deleted.sandbox = None;
    assert_eq!(report(&simple("Always"), &deleted).phase, "Succeeded");
    deleted.containers.insert("b".into(), ended(137));
    assert_eq!(report(&simple("Always"), &deleted).phase, "Failed");
}
