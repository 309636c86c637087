//! One class in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drydock_protocol::{Class, ClassSeat, ClassState, Joint, Post};

use super::row::Facts;
use crate::store::{ClassRow, MemberRow};

/// One class.
pub(crate) struct Room {
    id: String,
    instructor: String,
    inner: Mutex<Inner>,
    /// Changes come one after the other: each goes to the database first.
    turn: tokio::sync::Mutex<()>,
}

struct Inner {
    row: ClassRow,
    members: BTreeMap<u32, MemberRow>,
    /// What learners were asked and answered, where it is not [`Joint::No`].
    joint: BTreeMap<u32, Joint>,
    /// Members who wait to be let in; a session that ends by itself is not replaced before its learner comes back.
    waiting: BTreeSet<u32>,
    posts: Vec<Post>,
    next_member: u32,
    next_post: u32,
    facts: Arc<BTreeMap<String, Facts>>,
    prepared: bool,
    removed: bool,
}

impl Room {
    /// As it was stored.
    pub(super) fn new(row: ClassRow, members: Vec<MemberRow>, posts: Vec<Post>) -> Room {
        Room {
            id: row.id.clone(),
            instructor: row.instructor.clone(),
            inner: Mutex::new(Inner {
                row,
                joint: BTreeMap::new(),
                waiting: members.iter().filter(|member| member.session.is_none()).map(|it| it.number).collect(),
                next_member: members.iter().map(|member| member.number).max().unwrap_or(0) + 1,
                next_post: posts.iter().map(|post| post.id).max().unwrap_or(0) + 1,
                members: members.into_iter().map(|member| (member.number, member)).collect(),
                posts,
                facts: Arc::default(),
                prepared: false,
                removed: false,
            }),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever changes the class has its turn first.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Its identifier.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The person who holds it.
    pub(crate) fn instructor(&self) -> &str {
        &self.instructor
    }

    pub(super) fn code(&self) -> String {
        self.lock().row.code.clone()
    }

    pub(super) fn state(&self) -> ClassState {
        self.lock().row.state
    }

    pub(super) fn row(&self) -> ClassRow {
        self.lock().row.clone()
    }

    pub(super) fn set_row(&self, row: ClassRow) {
        self.lock().row = row;
    }

    /// As its instructor sees it.
    pub(crate) fn class(&self, now_millis: u64) -> Class {
        let inner = self.lock();
        let row = &inner.row;
        Class {
            id: row.id.clone(),
            code: row.code.clone(),
            title: row.title.clone(),
            state: row.state,
            lessons: row.lessons.clone(),
            at: row.at,
            workers: row.workers,
            size: row.size,
            joined: u16::try_from(inner.members.len()).unwrap_or(u16::MAX),
            created_millis: row.created_millis,
            starts_millis: row.starts_millis,
            ends_millis: row.ends_millis,
            removed_millis: row.removed_millis,
            now_millis,
        }
    }

    pub(super) fn is_prepared(&self) -> bool {
        self.lock().prepared
    }

    pub(super) fn set_prepared(&self) {
        self.lock().prepared = true;
    }

    pub(super) fn is_removed(&self) -> bool {
        self.lock().removed
    }

    pub(super) fn set_removed(&self) {
        self.lock().removed = true;
    }

    pub(super) fn facts(&self) -> Arc<BTreeMap<String, Facts>> {
        self.lock().facts.clone()
    }

    pub(super) fn set_facts(&self, facts: BTreeMap<String, Facts>) {
        self.lock().facts = Arc::new(facts);
    }

    pub(super) fn members(&self) -> Vec<MemberRow> {
        self.lock().members.values().cloned().collect()
    }

    pub(super) fn member(&self, number: u32) -> Option<MemberRow> {
        self.lock().members.get(&number).cloned()
    }

    pub(super) fn member_of(&self, person: &str) -> Option<MemberRow> {
        self.lock().members.values().find(|member| member.person == person).cloned()
    }

    pub(super) fn member_in(&self, session: &str) -> Option<MemberRow> {
        self.lock().members.values().find(|member| member.session.as_deref() == Some(session)).cloned()
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.lock().members.values().any(|member| member.name == name)
    }

    /// A number that no member has had in this run of the server.
    pub(super) fn next_member(&self) -> u32 {
        let mut inner = self.lock();
        inner.next_member += 1;
        inner.next_member - 1
    }

    pub(super) fn put_member(&self, member: MemberRow) {
        self.lock().members.insert(member.number, member);
    }

    pub(super) fn remove_member(&self, number: u32) {
        let mut inner = self.lock();
        inner.members.remove(&number);
        inner.joint.remove(&number);
        inner.waiting.remove(&number);
        inner.posts.retain(|post| post.to != Some(number));
    }

    pub(super) fn set_waiting(&self, number: u32, waits: bool) {
        let mut inner = self.lock();
        if waits {
            inner.waiting.insert(number);
        } else {
            inner.waiting.remove(&number);
        }
    }

    pub(super) fn waiting(&self) -> Vec<u32> {
        self.lock().waiting.iter().copied().collect()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// How many wait before a member who waits.
    pub(super) fn ahead(&self, number: u32) -> Option<u32> {
        let inner = self.lock();
        let ahead = inner.waiting.iter().position(|waits| *waits == number)?;
        u32::try_from(ahead).ok()
    }

    pub(super) fn joint(&self, number: u32) -> Joint {
        self.lock().joint.get(&number).copied().unwrap_or_default()
    }

    pub(super) fn set_joint(&self, number: u32, joint: Joint) {
        self.lock().joint.insert(number, joint);
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.lock().posts.clone()
    }

    pub(super) fn set_posts(&self, posts: Vec<Post>) {
        self.lock().posts = posts;
    }

    pub(super) fn next_post(&self) -> u32 {
        let mut inner = self.lock();
        inner.next_post += 1;
        inner.next_post - 1
    }

    /// The class as a member sees it.
    pub(super) fn seat(&self, member: &MemberRow, watched: bool) -> ClassSeat {
        let inner = self.lock();
        let row = &inner.row;
        let goes_on = row.at != member.at && row.state != ClassState::Over;
        ClassSeat {
            title: row.title.clone(),
            code: row.code.clone(),
            name: member.name.clone(),
            state: row.state,
            ends_millis: row.ends_millis,
            session: member.session.clone(),
            next: goes_on.then(|| row.lessons.get(usize::from(row.at)).cloned()).flatten(),
            posts: inner.posts.iter().filter(|post| post.to.is_none_or(|to| to == member.number)).cloned().collect(),
            hand_millis: member.hand_millis,
            watched,
            joint: inner.joint.get(&member.number).copied().unwrap_or_default(),
        }
    }
}
