//! The plan as tables: state in, steps out.

use super::*;
use crate::pod::Terminated;
use crate::pod::tests::pod;
use crate::state::{Instance, Sandbox, Terminating};

const NOW: Millis = 1_000_000;

/// A state with volumes and sandbox; `containers` are `name` (running), `name=code` (ended a moment ago).
fn state(containers: &[&str]) -> PodState {
    let mut state = PodState { volumes_ready: true, started_at: NOW, ..PodState::default() };
    state.sandbox = Some(Sandbox { id: "s".into(), ip: None, dead: false });
    for text in containers {
        let (name, code) = text.split_once('=').map_or((*text, None), |(name, code)| (name, Some(code)));
        let exit = code.map(|code| Terminated { exit_code: code.parse().unwrap(), ..Terminated::default() });
        let instance = Instance { exit, started: true, ready: true, finished_at: NOW, ..Instance::default() };
        let record = Record { instance: Some(instance), ..Record::default() };
        state.containers.insert(name.to_owned(), record);
    }
    state
}

fn two(policy: &str) -> Pod {
    pod(&format!(
        "{{metadata: {{name: p, namespace: ns, uid: u}}, spec: {{restartPolicy: {policy}, containers: [{{name: a}}, {{name: b}}]}}}}"
    ))
}

fn show(plan: &Plan) -> String {
    let steps = plan.actions.iter().map(|action| match action {
        Action::MountVolumes => "mount".to_owned(),
        Action::CreateSandbox => "sandbox".to_owned(),
        Action::Start { name } => format!("start {name}"),
        Action::HoldBack { name, delay } => format!("hold {name} {delay}"),
        Action::Kill { name, deadline, .. } => format!("kill {name} +{}", deadline - NOW),
        Action::Replace { name, message, .. } => format!("replace {name}: {message}"),
        Action::Resize => "resize".to_owned(),
        Action::Reset => "reset".to_owned(),
        Action::StopSandbox => "stop".to_owned(),
        Action::Fail(failure) => format!("fail {}", failure.reason),
    });
    let mut steps: Vec<_> = steps.collect();
    if let Some(wake) = plan.wake {
        steps.push(format!("wake +{}", wake - NOW));
    }
    steps.join(", ")
}

#[track_caller]
fn check(pod: &Pod, state: &PodState, expected: &str) {
    assert_eq!(show(&plan(pod, state, true, NOW)), expected);
}

#[test]
fn a_rule_restarts_all_containers() {
    let pod = pod(
        "{metadata: {name: p, namespace: ns, uid: u}, spec: {restartPolicy: Never, initContainers: [{name: i}], containers: [{name: a}, {name: b, restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [88]}}]}]}}",
    );
    let mut state = state(&["i=0", "a", "b=88"]);
    assert!(pod.restarts_all(&pod.spec.containers[1], 88) && !pod.restarts_all(&pod.spec.containers[1], 1));
    assert_eq!(outcome(&pod, &state), None, "its policy alone would end the pod");
    state.restarting_all = Some(true);
    check(&pod, &state, "kill a +0");
    state.containers.get_mut("a").unwrap().instance.as_mut().unwrap().killing = Some(NOW);
    check(&pod, &state, "");
    state.containers.get_mut("a").unwrap().instance.as_mut().unwrap().exit = Some(Terminated::default());
    check(&pod, &state, "reset");
    state.containers.values_mut().for_each(|record| record.reset(NOW));
    state.restarting_all = Some(false);
    check(&pod, &state, "start i");
}

#[test]
fn a_new_pod_gets_volumes_then_a_sandbox_then_containers() {
    let pod = two("Always");
    check(&pod, &PodState::default(), "mount");
    let mut mounted = PodState { volumes_ready: true, ..PodState::default() };
    check(&pod, &mounted, "sandbox");
    assert_eq!(show(&plan(&pod, &mounted, false, NOW)), "", "no network yet");
    mounted.sandbox_retry.failed(NOW, 500, 1000);
    check(&pod, &mounted, "wake +500");
    check(&pod, &state(&[]), "start a, start b");
    check(&pod, &state(&["a"]), "start b");
    check(&pod, &state(&["a", "b"]), "");
}

#[test]
fn restart_policies() {
    for (policy, containers, expected) in [
        ("Always", ["a=0", "b"], "start a"),
        ("OnFailure", ["a=0", "b"], ""),
        ("OnFailure", ["a=1", "b"], "start a"),
        ("Never", ["a=1", "b"], ""),
        ("Always", ["a=0", "b=0"], "start a, start b"),
        ("OnFailure", ["a=0", "b=0"], "stop"),
        ("OnFailure", ["a=0", "b=1"], "start b"),
        ("Never", ["a=0", "b=1"], "stop"),
    ] {
        check(&two(policy), &state(&containers), expected);
    }
}

#[test]
fn changed_definitions() {
    let pod_ = |text: &str| {
        pod(&format!(
            "spec: {{restartPolicy: Never, containers: [{{name: a, {text} resizePolicy: [{{resourceName: memory, restartPolicy: RestartContainer}}]}}]}}"
        ))
    };
    check(&pod_("image: i,"), &state(&["a"]), "replace a: Container a definition changed, will be restarted");
    check(&pod_("resources: {limits: {cpu: 1}},"), &state(&["a"]), "resize");
    check(
        &pod_("resources: {limits: {cpu: 1, memory: 1Gi}},"),
        &state(&["a"]),
        "replace a: Container a resize requires restart",
    );
    let mut ended = state(&["a=137"]);
    check(&pod_(""), &ended, "stop");
    ended.containers.get_mut("a").unwrap().instance.as_mut().unwrap().replaced = true;
    check(&pod_(""), &ended, "start a");
}

#[test]
fn crashes_are_held_back_longer_each_time() {
    let pod = two("Always");
    let mut state = state(&["a=1", "b"]);
    check(&pod, &state, "start a");
    let mut delays = Vec::new();
    for _ in 0..7 {
        let record = state.containers.get_mut("a").unwrap();
        record.restart.next(NOW, NOW);
        delays.push(record.restart.delay() / 1000);
    }
    assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300]);
    check(&pod, &state, "hold a 300000, wake +300000");
    // Ten minutes of peace forgive.
    let backoff = &mut state.containers.get_mut("a").unwrap().restart;
    assert_eq!(backoff.wait_until(NOW + 600_001, NOW + 600_001), None);
    backoff.next(NOW + 600_001, NOW + 600_001);
    assert_eq!(backoff.delay(), Backoff::FIRST);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let yaml = |policy: &str| {
        format!(
            "spec: {{restartPolicy: {policy}, initContainers: [{{name: i}}, {{name: j}}], containers: [{{name: a}}]}}"
        )
    };
    let pod_ = pod(&yaml("Always"));
    check(&pod_, &state(&[]), "start i");
    check(&pod_, &state(&["i"]), "");
    check(&pod_, &state(&["i=0"]), "start j");
    check(&pod_, &state(&["i=1"]), "start i");
    check(&pod_, &state(&["i=0", "j=0"]), "start a");
    check(&pod_, &state(&["i=0", "j=0", "a=1"]), "start a");
    check(&pod(&yaml("Never")), &state(&["i=1"]), "stop");
}

#[test]
fn sidecars_start_before_and_end_after_the_others() {
    let pod = pod(
        "spec: {initContainers: [{name: s, restartPolicy: Always}, {name: t, restartPolicy: Always}, {name: i}], containers: [{name: a}], restartPolicy: Never}",
    );
    check(&pod, &state(&[]), "start s");
    let mut starting = state(&["s"]);
    starting.containers.get_mut("s").unwrap().instance.as_mut().unwrap().started = false;
    check(&pod, &starting, "");
    check(&pod, &state(&["s"]), "start t");
    check(&pod, &state(&["s", "t", "i"]), "");
    check(&pod, &state(&["s", "t", "i=0"]), "start a");
    check(&pod, &state(&["s=1", "t", "i=0", "a"]), "start s");
    check(&pod, &state(&["s", "t", "i=0", "a=0"]), "kill t +30000, wake +30000");
    let mut ending = state(&["s", "t", "i=0", "a"]);
    ending.terminating = Some(Terminating { since: NOW, grace: 5 });
    check(&pod, &ending, "kill a +5000, wake +5000");
    let mut ending = state(&["s", "t=0", "i=0", "a=0"]);
    ending.terminating = Some(Terminating { since: NOW, grace: 5 });
    check(&pod, &ending, "kill s +5000");
}

#[test]
fn termination_kills_once_and_sooner_if_asked() {
    let pod = two("Always");
    let mut dying = state(&["a", "b=0"]);
    dying.terminating = Some(Terminating { since: NOW, grace: 30 });
    check(&pod, &dying, "kill a +30000");
    dying.containers.get_mut("a").unwrap().instance.as_mut().unwrap().killing = Some(NOW + 30_000);
    check(&pod, &dying, "");
    dying.terminating = Some(Terminating { since: NOW, grace: 1 });
    check(&pod, &dying, "kill a +1000");
    let mut dead = state(&["a=0", "b=0"]);
    dead.terminating = Some(Terminating { since: NOW, grace: 30 });
    check(&pod, &dead, "stop");
    dead.sandbox = None;
    check(&pod, &dead, "");
}

#[test]
fn deadlines_condemned_containers_and_lost_sandboxes() {
    let mut pod_ = two("Always");
    pod_.spec.active_deadline_seconds = Some(5);
    check(&pod_, &state(&["a", "b"]), "wake +5000");
    let mut late = state(&["a", "b"]);
    late.started_at = NOW - 5000;
    check(&pod_, &late, "fail DeadlineExceeded");
    let pod_ = two("Always");
    let mut condemned = state(&["a", "b"]);
    condemned.containers.get_mut("b").unwrap().instance.as_mut().unwrap().condemned = Some(("x".into(), 7));
    check(&pod_, &condemned, "kill b +7000");
    let mut lost = state(&["a=137", "b=137"]);
    lost.sandbox.as_mut().unwrap().dead = true;
    check(&pod_, &lost, "stop");
    let mut refused = state(&[]);
    refused.sandbox = None;
    refused.failed = Some(Failure::new("OutOfcpu", ""));
    check(&pod_, &refused, "");
}

#[test]
fn ephemeral_containers_start_once() {
    let pod = pod("spec: {containers: [{name: a}], ephemeralContainers: [{name: e}]}");
    check(&pod, &state(&["a"]), "start e");
    check(&pod, &state(&["a", "e"]), "");
    check(&pod, &state(&["a", "e=1"]), "");
}

#[test]
fn durations_and_messages_are_gos() {
    for (millis, text) in [
        (0, "0s"),
        (500, "500ms"),
        (10_000, "10s"),
        (80_000, "1m20s"),
        (300_000, "5m0s"),
        (1500, "1.5s"),
        (3_600_000, "1h0m0s"),
    ] {
        assert_eq!(go_duration(millis), text);
    }
    assert_eq!(back_off_message(20_000, "a", &two("Always")), "back-off 20s restarting failed container=a pod=p_ns(u)");
}
