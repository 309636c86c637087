//! The event stream of one session.

use std::collections::BTreeMap;
use std::time::Duration;

use drydock_engine::WorkstationSpec;
use drydock_protocol::{CheckState, Namespace, Object};

use super::*;
use crate::admission::{Amount, Rules};
use crate::store::example;

async fn hub() -> (tempfile::TempDir, Hub, Policy) {
    let (folder, store) = example::store().await;
    let policy = Policy {
        time_limit: Duration::from_secs(60),
        longest: Duration::from_secs(100),
        rules: Rules { places: 1, reserve: Amount::default() },
        each: 0,
        warm: 0,
        suspend: None,
        queue_lease: Duration::from_secs(60),
        keep_manifests: Duration::from_secs(60),
        data: folder.path().to_owned(),
        session_limits: drydock_engine::host::NodeLimits::default(),
        workstation: WorkstationSpec { image: "drydock/tools:latest".to_owned(), kubectl: "/usr/bin/kubectl".into() },
        node_shell: None,
        limits: drydock_engine::host::NodeLimits::default(),
    };
    let row = SessionRow {
        state: SessionState::Starting,
        created_millis: 1_000,
        expires_millis: 61_000,
        ..example::session("id", "")
    };
    store.put_session(&row).await.expect("put");
    (folder, Hub::new(row, Vec::new(), Vec::new(), store, &policy), policy)
}

fn namespace(name: &str) -> SessionEvent {
    let namespace = Namespace { name: name.to_owned(), terminating: false };
    SessionEvent::Upsert { objects: vec![Object::Namespace(namespace)] }
}

#[tokio::test]
async fn a_page_that_comes_back_gets_what_it_missed() {
    let (_folder, hub, _) = hub().await;
    hub.publish(namespace("a"));
    let (first, _) = hub.subscribe(None);
    let seq = first[0].seq;
    assert!(matches!(&first[0].event, SessionEvent::Snapshot(it) if it.topology.namespaces.len() == 1));
    hub.publish(namespace("b"));
    let (missed, _) = hub.subscribe(Some(seq));
    assert_eq!(missed.iter().map(|event| event.seq).collect::<Vec<_>>(), [seq + 1]);
    assert!(hub.subscribe(Some(seq + 1)).0.is_empty());
}

#[tokio::test]
async fn a_page_of_another_server_run_gets_a_snapshot() {
    let (_folder, hub, _) = hub().await;
    hub.publish(namespace("a"));
    // An older run had a smaller number, however many events it sent; a clock that was turned back gives a larger one.
    for seq in [900, hub.subscribe(None).0[0].seq - 2, u64::MAX] {
        let (events, _) = hub.subscribe(Some(seq));
        assert!(matches!(events[0].event, SessionEvent::Snapshot(_)), "{seq}");
    }
}

#[tokio::test]
async fn time_is_added_up_to_the_longest() {
    let (_folder, hub, policy) = hub().await;
    assert!(hub.extend(&policy));
    assert_eq!(hub.session().expires_millis, 101_000);
    assert_eq!(hub.session().extend_millis, 0);
    assert!(!hub.extend(&policy));
}

#[tokio::test]
async fn a_fulfilled_step_stays_fulfilled() {
    let (_folder, hub, _) = hub().await;
    hub.put_steps_done(&["run".to_owned()]).await;
    hub.put_steps_done(&["run".to_owned()]).await;
    assert_eq!(hub.session().steps_done, ["run"]);
    assert_eq!(hub.store.steps_done("id").await.expect("steps"), ["run"]);
}

#[tokio::test]
async fn only_verdicts_and_hints_that_changed_are_told() {
    let (_folder, hub, _) = hub().await;
    let verdict =
        |check: &str, state| CheckStatus { step: "run".to_owned(), check: check.to_owned(), state, detail: None };
    let hint = HintStatus { step: "run".to_owned(), hint: "typo".to_owned(), values: BTreeMap::new() };
    let before = hub.subscribe(None).0[0].seq;
    hub.publish_checks(vec![verdict("a", CheckState::Unmet), verdict("b", CheckState::Unmet)]);
    hub.set_hints(vec![hint.clone()]);
    hub.set_hints(vec![hint.clone()]);
    hub.publish_checks(vec![verdict("a", CheckState::Unmet), verdict("b", CheckState::Met)]);
    hub.keep_hints(|_| false);
    hub.keep_hints(|_| false);
    let told: Vec<_> = hub.subscribe(Some(before)).0.into_iter().map(|envelope| envelope.event).collect();
    assert_eq!(
        told,
        [
            SessionEvent::Checks { checks: vec![verdict("a", CheckState::Unmet), verdict("b", CheckState::Unmet)] },
            SessionEvent::Hints { hints: vec![hint] },
            SessionEvent::Checks { checks: vec![verdict("b", CheckState::Met)] },
            SessionEvent::Hints { hints: Vec::new() },
        ]
    );
}

#[tokio::test]
async fn who_asks_for_a_look_gets_the_one_that_came_after() {
    let (_folder, hub, _) = hub().await;
    hub.say_looked(0, Looked { problems: vec!["old".to_owned()], ..Looked::default() });
    let mut nudges = hub.nudges();
    let engine = async {
        nudges.changed().await.expect("a nudge");
        let number = nudges.borrow_and_update().asked;
        hub.say_looked(number, Looked { problems: vec!["new".to_owned()], ..Looked::default() });
    };
    let (looked, ()) = tokio::join!(hub.look(), engine);
    assert_eq!(looked.problems, ["new"]);
}
