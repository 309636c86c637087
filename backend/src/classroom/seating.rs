//! Learners and their sessions: joined, let in, taken to the next lesson, ended with the class.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_protocol::class::{NAME_LIMIT, read_name};
use drydock_protocol::{ClassPlace, ClassState, CreateSession, Invitation, Joint};

use super::row::Facts;
use super::{Classroom, Room, name, plan};
use crate::error::{Error, chain};
use crate::sessions::{WARM_WORKERS, now_millis};
use crate::store::MemberRow;

/// Sessions end with the class; this much later they would by themselves.
const GRACE_MILLIS: u64 = 60_000;

impl Classroom {
    /// Takes up a class of an earlier run of the server.
    pub(super) async fn find_again(&self, room: &Arc<Room>) -> Result<(), Error> {
        self.learn_lessons(room).await;
        for member in room.members() {
            let Some(hub) = member.session.as_deref().and_then(|session| self.sessions.open_hub_of(session)) else {
                continue;
            };
            if let Some(millis) = self.store.last_step_millis(hub.id()).await? {
                hub.set_step_millis(millis);
            }
            self.tell(room, &member);
        }
        Ok(())
    }

    /// Reads what the grid needs to know of the class's lessons.
    pub(super) async fn learn_lessons(&self, room: &Room) {
        let mut facts = BTreeMap::new();
        for slug in room.row().lessons {
            // One that was taken away meanwhile has nothing to tell.
            if let Ok(lesson) = self.library.find(&slug).await {
                facts.insert(slug, Facts::new(&lesson.definition));
            }
        }
        room.set_facts(facts);
    }

    /// What a code leads to, for a person.
    pub(crate) fn invitation(&self, room: &Room, person: &str) -> Invitation {
        let now = now_millis();
        let class = room.class(now);
        let place = room.member_of(person).map(|member| self.place(room, &member));
        Invitation {
            title: class.title,
            state: class.state,
            starts_millis: class.starts_millis,
            now_millis: now,
            full: place.is_none() && class.joined >= class.size,
            place,
        }
    }

    fn place(&self, room: &Room, member: &MemberRow) -> ClassPlace {
        let session = member.session.as_ref().filter(|session| self.sessions.open_hub_of(session).is_some());
        let let_in = plan::is_let_in(&room.row(), now_millis());
        ClassPlace {
            name: member.name.clone(),
            session: session.cloned(),
            ahead: room.ahead(member.number).filter(|_| let_in),
        }
    }

    /// Gives a person a place in a class, or the one that they have.
    ///
    /// # Errors
    /// When the name cannot be one, or all places are taken.
    pub(crate) async fn join(&self, room: &Arc<Room>, person: &str, name: &str) -> Result<ClassPlace, Error> {
        let member = {
            let _turn = room.turn().await;
            if room.state() == ClassState::Over || room.is_removed() {
                return Err(Error::Gone("This class is over.".to_owned()));
            }
            match room.member_of(person) {
                Some(member) => member,
                None => self.admit(room, person, name).await?,
            }
        };
        let number = member.number;
        if member.session.as_ref().is_none_or(|session| self.sessions.open_hub_of(session).is_none()) {
            room.set_waiting(number, true);
            if plan::is_let_in(&room.row(), now_millis()) {
                self.seat(room, number).await;
            }
            if room.ahead(number).is_some() {
                self.news.notify_one();
            }
        }
        let member = room.member(number).unwrap_or(member);
        Ok(self.place(room, &member))
    }

    async fn admit(&self, room: &Arc<Room>, person: &str, name: &str) -> Result<MemberRow, Error> {
        let Some(name) = read_name(name, NAME_LIMIT) else {
            return Err(Error::Invalid("Write a name of 1 to 40 characters.".to_owned()));
        };
        let row = room.row();
        if room.members().len() >= usize::from(row.size) {
            let size = row.size;
            return Err(Error::Capacity(format!("All {size} places of this class are taken. Ask your instructor.")));
        }
        let member = MemberRow {
            number: room.next_member(),
            person: person.to_owned(),
            name: name::unique(&name, |name| room.has_name(name)),
            at: row.at,
            joined_millis: now_millis(),
            ..MemberRow::default()
        };
        self.store.put_member(room.id(), &member).await?;
        room.put_member(member.clone());
        Ok(member)
    }

    /// Gives a member a session, unless there is no room now: then they go on waiting. Whether they have one.
    async fn seat(&self, room: &Arc<Room>, number: u32) -> bool {
        let _turn = room.turn().await;
        let row = room.row();
        let Some(mut member) = room.member(number) else { return true };
        if row.state == ClassState::Over || room.is_removed() || room.ahead(number).is_none() {
            return true;
        }
        let lesson = row.lessons.get(usize::from(row.at)).cloned();
        let request = CreateSession { workers: row.workers.filter(|_| lesson.is_none()), lesson: lesson.clone() };
        self.keep_ready(room, Some(number));
        let session = match self.sessions.create(&request, &member.person).await {
            Ok(session) => session,
            Err(error) => {
                if !matches!(error, Error::Capacity(_)) {
                    tracing::error!(class.id = room.id(), error = chain(&error), "a learner gets no session");
                }
                self.keep_ready(room, None);
                return false;
            }
        };
        member.session = Some(session.id.clone());
        member.at = row.at;
        // What was agreed to was the other session's terminal.
        member.joint = false;
        room.set_joint(number, Joint::No);
        let stored = async {
            self.sessions.end_at(&session.id, row.ends_millis + GRACE_MILLIS).await?;
            self.store.put_class_session(room.id(), number, &session.id, lesson.as_deref()).await?;
            self.store.put_member(room.id(), &member).await?;
            Ok::<(), Error>(())
        };
        if let Err(error) = stored.await {
            tracing::error!(class.id = room.id(), error = chain(&error), "cannot store a learner's session");
        }
        room.put_member(member.clone());
        room.set_waiting(number, false);
        self.tell(room, &member);
        true
    }

    /// Has clusters made ready for those who will come.
    pub(super) fn prepare(&self, room: &Room) {
        room.set_prepared();
        self.keep_ready(room, None);
    }

    /// Keeps clusters ready for those who are still to come, where the pool's are of the shape that they need; `seated` is about
    /// to get one.
    fn keep_ready(&self, room: &Room, seated: Option<u32>) {
        if !room.is_prepared() {
            return;
        }
        let (row, members) = (room.row(), room.members());
        let lesson = row.lessons.get(usize::from(row.at)).and_then(|slug| room.facts().get(slug).map(|it| it.workers));
        let workers = lesson.or(row.workers).map_or(WARM_WORKERS, u16::from);
        let here = members.iter().filter(|it| it.session.is_some() || Some(it.number) == seated).count();
        let to_come = usize::from(row.size).saturating_sub(here);
        self.sessions.prepare(room.id(), if workers == WARM_WORKERS { to_come } else { 0 });
    }

    /// Lets in who waits, in their order, as long as there is room.
    pub(super) async fn seat_waiting(&self, room: &Arc<Room>) {
        for number in room.waiting() {
            if !self.seat(room, number).await {
                break;
            }
        }
    }

    /// Takes a member to the lesson that the class is at. The page of the old session goes to the new one; the old one ends.
    pub(super) async fn take_on(self: &Arc<Self>, room: &Arc<Room>, number: u32) {
        let Some(old) = room.member(number) else { return };
        if old.at == room.row().at && old.session.as_ref().is_some_and(|it| self.sessions.open_hub_of(it).is_some()) {
            return;
        }
        room.set_waiting(number, true);
        let mut seated = self.seat(room, number).await;
        let Some(session) = old.session else { return };
        let Some(hub) = self.sessions.open_hub_of(&session) else { return };
        if seated && let Some(member) = room.member(number) {
            hub.set_class(Some(room.seat(&member, false)));
        }
        if let Err(error) = self.sessions.end(&session, "The class goes on with another lesson.").await {
            tracing::warn!(class.id = room.id(), error = chain(&error), "cannot end a learner's old session");
        }
        if !seated {
            // The old one took the place that the new one needs.
            seated = self.seat(room, number).await;
        }
        if !seated {
            self.news.notify_one();
        }
    }

    pub(super) async fn take_all(self: Arc<Self>, room: Arc<Room>) {
        for member in room.members() {
            self.take_on(&room, member.number).await;
        }
    }

    /// Sets the end of the learners' sessions to that of the class.
    pub(super) async fn time_sessions(&self, room: &Room) {
        let ends = room.row().ends_millis + GRACE_MILLIS;
        for session in room.members().into_iter().filter_map(|member| member.session) {
            // One that is over needs no time.
            let _ = self.sessions.end_at(&session, ends).await;
        }
    }

    /// Ends the sessions of a class that is over or removed.
    pub(super) async fn end_sessions(&self, room: &Room) {
        self.sessions.prepare(room.id(), 0);
        for member in room.members() {
            let Some(session) = member.session else { continue };
            if let Some(hub) = self.sessions.open_hub_of(&session) {
                if room.is_removed() {
                    hub.set_class(None);
                }
                // It may have ended meanwhile.
                let _ = self.sessions.end(&session, "The class is over.").await;
            }
        }
    }

    /// Tells a member's page how the class is.
    pub(super) fn tell(&self, room: &Room, member: &MemberRow) {
        let Some(hub) = member.session.as_deref().and_then(|session| self.sessions.open_hub_of(session)) else {
            return;
        };
        hub.set_paused(room.state() == ClassState::Paused);
        hub.set_joint(member.joint);
        hub.set_class(Some(room.seat(member, hub.watchers() > 0)));
    }

    /// Tells all pages how the class is.
    pub(super) fn tell_all(&self, room: &Room) {
        for member in room.members() {
            self.tell(room, &member);
        }
    }
}
