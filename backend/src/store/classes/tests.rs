//! Classes in the database.

use drydock_protocol::SessionState;

use super::*;
use crate::store::{SessionRow, example};

fn class(id: &str, code: &str) -> ClassRow {
    ClassRow {
        id: id.to_owned(),
        code: code.to_owned(),
        instructor: "ines".to_owned(),
        title: "Pods <b>".to_owned(),
        lessons: vec!["pods".to_owned()],
        size: 3,
        created_millis: 1,
        starts_millis: 2,
        ends_millis: 3,
        removed_millis: 4,
        ..ClassRow::default()
    }
}

fn member(number: u32, name: &str) -> MemberRow {
    MemberRow { number, person: format!("person {name}"), name: name.to_owned(), ..MemberRow::default() }
}

fn session(id: &str, state: SessionState) -> SessionRow {
    SessionRow { lesson: Some("pods".to_owned()), state, ..example::session(id, "person Ada") }
}

#[tokio::test]
async fn classes_and_members_come_back_as_they_were() {
    let (_folder, store) = example::store().await;
    let first = class("a", "AAAAAAA");
    store.put_class(&first).await.expect("put");
    assert!(store.put_class(&class("b", "AAAAAAA")).await.is_err(), "a code is given once");
    let ada = MemberRow { session: Some("s".to_owned()), hand_millis: Some(9), joint: true, ..member(1, "Ada") };
    store.put_member("a", &ada).await.expect("put");
    assert!(store.put_member("a", &MemberRow { number: 2, ..ada.clone() }).await.is_err(), "a person has one place");
    store.put_member("a", &member(2, "Bob")).await.expect("put");
    let post = Post { id: 1, at_millis: 5, to: Some(2), kind: PostKind::Command, text: "ls".to_owned() };
    store.put_post("a", &post).await.expect("put");
    assert_eq!(store.classes().await.expect("get"), std::slice::from_ref(&first));
    assert_eq!(store.members("a").await.expect("get"), [ada, member(2, "Bob")]);
    assert_eq!(store.posts("a").await.expect("get"), [post]);
    assert_eq!(store.class_instructors("s").await.expect("get"), ["ines"]);
    assert!(store.class_instructors("t").await.expect("get").is_empty());
    store.end_all_joint().await.expect("end");
    assert!(store.members("a").await.expect("get").iter().all(|member| !member.joint));
    store.remove_member("a", 2, true).await.expect("remove");
    assert!(store.posts("a").await.expect("get").is_empty(), "what was told to one goes with them");
    // The code of a class that is over is free.
    let over = ClassRow { code: String::new(), state: ClassState::Over, ..first };
    store.put_class(&over).await.expect("put");
    store.put_class(&class("b", "AAAAAAA")).await.expect("put");
    store.put_class(&ClassRow { code: String::new(), ..class("c", "") }).await.expect("put");
    assert_eq!(store.classes().await.expect("get")[0], over);
}

#[tokio::test]
async fn progress_counts_all_sessions_of_a_learner_and_goes_with_the_class() {
    let (_folder, store) = example::store().await;
    store.put_class(&class("a", "AAAAAAA")).await.expect("put");
    store.put_member("a", &member(1, "Ada")).await.expect("put");
    for (id, state) in [("one", SessionState::Ended), ("two", SessionState::Ready), ("other", SessionState::Ended)] {
        store.put_session(&session(id, state)).await.expect("session");
    }
    for (session, millis) in [("one", 10), ("two", 20)] {
        store.put_class_session("a", 1, session, Some("pods")).await.expect("put");
        store.put_step_done(session, "run", millis).await.expect("step");
    }
    store.put_step_done("two", "look", 30).await.expect("step");
    let done =
        |step: &str, done_millis| DoneRow { number: 1, lesson: "pods".to_owned(), step: step.to_owned(), done_millis };
    let mut found = store.class_progress("a").await.expect("get");
    found.sort_by_key(|row| row.done_millis);
    assert_eq!(found, [done("run", 10), done("look", 30)]);
    assert_eq!(store.last_step_millis("two").await.expect("get"), Some(30));
    assert_eq!(store.last_step_millis("other").await.expect("get"), None);
    store.remove_class("a").await.expect("remove");
    assert!(store.members("a").await.expect("get").is_empty());
    store.forget_sessions().await.expect("forget");
    assert_eq!(store.session("one").await.expect("get"), None);
    assert!(store.steps_done("one").await.expect("get").is_empty());
    assert!(store.session("two").await.expect("get").is_some(), "it still runs");
    assert!(store.session("other").await.expect("get").is_some(), "it was in no class");
    store.put_session(&session("two", SessionState::Ended)).await.expect("end");
    store.forget_sessions().await.expect("forget");
    assert_eq!(store.session("two").await.expect("get"), None);
}
