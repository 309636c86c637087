//! Rows of the grid.

use drydock_protocol::Stuck;

use super::*;

const MINUTE: u64 = 60_000;

fn lessons() -> BTreeMap<String, Facts> {
    let steps = [("read", false), ("run", true), ("look", true)].map(|(step, checked)| (step.to_owned(), checked));
    BTreeMap::from([("pods".to_owned(), Facts { steps: steps.to_vec(), step_millis: 2 * MINUTE, workers: 2 })])
}

fn member(number: u32, session: Option<&str>) -> MemberRow {
    MemberRow {
        number,
        name: format!("learner {number}"),
        session: session.map(str::to_owned),
        joined_millis: 5,
        ..MemberRow::default()
    }
}

fn seen(steps_done: &[&str]) -> Seen {
    Seen {
        state: SessionState::Ready,
        lesson: Some("pods".to_owned()),
        online: true,
        ready_millis: 1_000,
        steps_done: steps_done.iter().map(|step| (*step).to_owned()).collect(),
        failing: BTreeMap::from([("run".to_owned(), "pods: 1 of 2 Pods".to_owned())]),
        ..Seen::default()
    }
}

#[track_caller]
fn row(seen: Seen, now_millis: u64) -> Learner {
    let member = member(1, Some("s"));
    rows(&[(&member, Joint::No)], &BTreeMap::from([("s", seen)]), &lessons(), 2_000, now_millis).remove(0)
}

#[test]
fn who_waits_has_no_session() {
    let member = member(7, None);
    let rows = rows(&[(&member, Joint::No)], &BTreeMap::new(), &lessons(), 0, 9);
    assert_eq!((rows[0].id, rows[0].state, rows[0].stuck), (7, None, Stuck::No));
}

#[test]
fn the_step_is_the_first_one_that_can_be_seen() {
    let fresh = row(seen(&[]), 3_000);
    assert_eq!((fresh.step.as_deref(), fresh.step_number, fresh.step_count), (Some("run"), 2, 3));
    // Not before the class has begun.
    assert_eq!(fresh.step_since_millis, 2_000);
    assert_eq!(fresh.failing.as_deref(), Some("pods: 1 of 2 Pods"));
    let progress = Progress { step_millis: 90_000, ..Progress::default() };
    let later = row(Seen { progress, ..seen(&["run"]) }, 100_000);
    assert_eq!((later.step.as_deref(), later.steps_done, later.step_since_millis), (Some("look"), 1, 90_000));
    assert_eq!(later.failing, None);
    let done = row(seen(&["run", "look"]), 90 * MINUTE);
    assert_eq!((done.step.as_deref(), done.step_number, done.stuck), (None, 3, Stuck::No));
}

#[test]
fn what_was_done_last() {
    let command = |millis| Some(("kubectl get pods".to_owned(), millis));
    let action = Some(("create deployment web".to_owned(), 60_000));
    let of = |command| {
        let progress = Progress { command, ..Progress::default() };
        row(Seen { progress, action: action.clone(), ..seen(&[]) }, 90_000).last_command
    };
    assert_eq!(of(None).as_deref(), Some("create deployment web"));
    // By the editor or another machine's kubectl, long after the last line in a terminal.
    assert_eq!(of(command(30_000)).as_deref(), Some("create deployment web"));
    // What the command line itself does is seen a moment later.
    assert_eq!(of(command(59_000)).as_deref(), Some("kubectl get pods"));
    assert_eq!(of(command(61_000)).as_deref(), Some("kubectl get pods"));
}

#[test]
fn who_is_stuck() {
    let progress = Progress { attempts: 9, ..Progress::default() };
    let tries = Seen { progress, ..seen(&[]) };
    assert_eq!(row(tries.clone(), 2_000 + 2 * MINUTE).stuck, Stuck::Failing);
    assert_eq!(row(Seen { state: SessionState::Starting, ..tries.clone() }, 2_000 + 2 * MINUTE).stuck, Stuck::No);
    // The last of five.
    let members: Vec<_> =
        (1..=5).map(|number| member(number, Some(["a", "b", "c", "d", "e"][number as usize - 1]))).collect();
    let mut all: BTreeMap<&str, Seen> = ["a", "b", "c", "d"].map(|session| (session, seen(&["run"]))).into();
    all.insert("e", seen(&[]));
    let members: Vec<_> = members.iter().map(|member| (member, Joint::No)).collect();
    let stuck: Vec<_> =
        rows(&members, &all, &lessons(), 0, 4 * MINUTE).into_iter().map(|learner| learner.stuck).collect();
    assert_eq!(stuck, [Stuck::No, Stuck::No, Stuck::No, Stuck::No, Stuck::Slow]);
}
