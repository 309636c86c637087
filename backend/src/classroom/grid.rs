//! The live grid: looked at while somebody looks, and only what changed is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use drydock_protocol::{Class, ClassEnvelope, ClassEvent, Learner, Post};

use super::row::{Seen, rows};
use super::{Classroom, Room};
use crate::sessions::{Hub, now_millis};

/// What one instructor's page knows of a class.
pub(crate) struct Grid {
    classroom: Arc<Classroom>,
    room: Arc<Room>,
    seq: u64,
    class: Class,
    learners: Vec<Learner>,
    posts: Vec<Post>,
    /// Sessions that are over do not change any more.
    over: HashMap<String, Seen>,
    removed: bool,
}

impl Grid {
    /// Of a class.
    pub(crate) fn new(classroom: Arc<Classroom>, room: Arc<Room>) -> Grid {
        Grid {
            classroom,
            room,
            seq: 0,
            class: Class::default(),
            learners: Vec::new(),
            posts: Vec::new(),
            over: HashMap::new(),
            removed: false,
        }
    }

    /// What is news since it was asked last: everything, the first time. `None` after the class was removed.
    pub(crate) async fn news(&mut self) -> Option<Option<ClassEnvelope>> {
        if self.removed {
            return None;
        }
        let event = if self.room.is_removed() {
            self.removed = true;
            Some(ClassEvent::Removed)
        } else {
            self.look().await
        };
        Some(event.map(|event| {
            self.seq += 1;
            ClassEnvelope { seq: self.seq, event }
        }))
    }

    async fn look(&mut self) -> Option<ClassEvent> {
        let now = now_millis();
        let (class, posts) = (self.room.class(now), self.room.posts());
        let learners = self.learners(now).await;
        let event = if self.seq == 0 {
            Some(ClassEvent::Snapshot {
                class: Box::new(class.clone()),
                learners: learners.clone(),
                posts: posts.clone(),
            })
        } else {
            let same = Class { now_millis: self.class.now_millis, ..class.clone() } == self.class;
            let (changed, gone) = difference(&self.learners, &learners);
            let told = posts != self.posts;
            (!same || told || !changed.is_empty() || !gone.is_empty()).then(|| ClassEvent::Change {
                class: (!same).then(|| Box::new(class.clone())),
                learners: changed,
                gone,
                posts: told.then(|| posts.clone()),
            })
        };
        (self.class, self.learners, self.posts) = (class, learners, posts);
        event
    }

    async fn learners(&mut self, now: u64) -> Vec<Learner> {
        let members = self.room.members();
        let sessions: Vec<&str> = members.iter().filter_map(|member| member.session.as_deref()).collect();
        let mut seen = BTreeMap::new();
        for id in sessions {
            if let Some(hub) = self.classroom.sessions.open_hub_of(id) {
                self.over.remove(id);
                seen.insert(id, look_at(&hub));
            } else if let Some(over) = self.over.get(id) {
                seen.insert(id, over.clone());
            } else if let Ok(session) = self.classroom.sessions.session(id).await {
                let over = Seen {
                    state: session.state,
                    reason: session.reason,
                    lesson: session.lesson,
                    steps_done: session.steps_done,
                    ..Seen::default()
                };
                seen.insert(id, over.clone());
                if session.state.is_over() {
                    self.over.insert(id.to_owned(), over);
                }
            }
        }
        let members: Vec<_> = members.iter().map(|member| (member, self.room.joint(member.number))).collect();
        rows(&members, &seen, &self.room.facts(), self.class_start(), now)
    }

    fn class_start(&self) -> u64 {
        self.room.row().starts_millis
    }
}

fn look_at(hub: &Hub) -> Seen {
    let mut seen = hub.with_session(|session| Seen {
        state: session.state,
        reason: session.reason.clone(),
        lesson: session.lesson.clone(),
        ready_millis: session.start_millis.map_or(0, |millis| session.created_millis + millis),
        steps_done: session.steps_done.clone(),
        ..Seen::default()
    });
    seen.online = hub.is_watched();
    seen.progress = hub.class_progress();
    seen.action = hub.last_action();
    seen.failing = hub.failing();
    seen.watchers = hub.watchers();
    seen
}

/// Learners that are new or changed, and the numbers of those that are gone.
fn difference(old: &[Learner], new: &[Learner]) -> (Vec<Learner>, Vec<u32>) {
    let known: BTreeMap<u32, &Learner> = old.iter().map(|learner| (learner.id, learner)).collect();
    let changed = new.iter().filter(|learner| known.get(&learner.id) != Some(learner)).cloned().collect();
    let gone = known.into_keys().filter(|id| !new.iter().any(|learner| learner.id == *id)).collect();
    (changed, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told() {
        let learner = |id, name: &str| Learner { id, name: name.to_owned(), ..Learner::default() };
        let old = [learner(1, "a"), learner(2, "b"), learner(3, "c")];
        let new = [learner(1, "a"), learner(3, "d"), learner(4, "e")];
        let (changed, gone) = difference(&old, &new);
        assert_eq!(changed.iter().map(|learner| learner.id).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(gone, [2]);
    }
}
