//! What one learner does in their class, and what is done with one.

use std::sync::Arc;

use drydock_protocol::{ClassSeat, ClassState, Joint, LearnerAction};

use super::{Classroom, Room};
use crate::error::Error;
use crate::sessions::{Hub, Watching, now_millis};
use crate::store::MemberRow;

/// Somebody looks at a learner's terminal, and the learner's page says so, while this lives.
pub(crate) struct Looking {
    classroom: Arc<Classroom>,
    session: String,
    watching: Option<Watching>,
}

impl Looking {
    fn tell(&self) {
        if let Some((room, member)) = self.classroom.room_of(&self.session) {
            self.classroom.tell(&room, &member);
        }
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.watching = None;
        self.tell();
    }
}

impl Classroom {
    /// A member by number.
    pub(super) fn find_member(&self, room: &Room, number: u32) -> Result<MemberRow, Error> {
        room.member(number).ok_or_else(|| Error::NotFound("There is no such learner in this class.".to_owned()))
    }

    /// The class in which a session is a learner's.
    fn room_of(&self, session: &str) -> Option<(Arc<Room>, MemberRow)> {
        self.all().into_iter().find_map(|room| {
            let member = room.member_in(session)?;
            Some((room, member))
        })
    }

    /// Does what a learner wants; `None` after they left.
    ///
    /// # Errors
    /// When their session is in no class, or it is not possible.
    pub(crate) async fn do_for_learner(
        self: &Arc<Self>,
        session: &str,
        action: LearnerAction,
    ) -> Result<Option<ClassSeat>, Error> {
        let (room, member) =
            self.room_of(session).ok_or_else(|| Error::Conflict("This session is in no class.".to_owned()))?;
        match action {
            LearnerAction::Hand { up } => self.put_hand(&room, member.number, up).await?,
            LearnerAction::Joint { agree } => {
                let joint = match (room.joint(member.number), agree) {
                    (Joint::Asked | Joint::Granted, true) => Joint::Granted,
                    (_, true) => return Err(Error::Conflict("Your instructor has not asked for it.".to_owned())),
                    (Joint::Asked, false) => Joint::Declined,
                    (_, false) => Joint::No,
                };
                self.put_joint(&room, member.number, joint).await?;
            }
            LearnerAction::Follow => {
                if room.state() == ClassState::Over {
                    return Err(Error::Conflict("This class is over.".to_owned()));
                }
                self.take_on(&room, member.number).await;
            }
            LearnerAction::Leave => {
                self.drop_member(&room, member.number, false).await?;
                return Ok(None);
            }
        }
        let member = self.find_member(&room, member.number)?;
        let hub = self.sessions.open_hub_of(session);
        Ok(Some(room.seat(&member, hub.is_some_and(|hub| hub.watchers() > 0))))
    }

    pub(super) async fn put_hand(&self, room: &Arc<Room>, number: u32, up: bool) -> Result<(), Error> {
        let _turn = room.turn().await;
        let mut member = self.find_member(room, number)?;
        if up != member.hand_millis.is_some() {
            member.hand_millis = up.then(now_millis);
            self.store.put_member(room.id(), &member).await?;
            room.put_member(member.clone());
            self.tell(room, &member);
        }
        Ok(())
    }

    pub(super) async fn put_joint(&self, room: &Arc<Room>, number: u32, joint: Joint) -> Result<(), Error> {
        let _turn = room.turn().await;
        let mut member = self.find_member(room, number)?;
        // Asking again takes nothing back.
        if joint == Joint::Asked && room.joint(number) == Joint::Granted {
            return Ok(());
        }
        member.joint = joint == Joint::Granted;
        self.store.put_member(room.id(), &member).await?;
        room.put_member(member.clone());
        room.set_joint(number, joint);
        self.tell(room, &member);
        Ok(())
    }

    /// Removes a learner from a class and all that is known of them; with `forget`, their sessions, too.
    ///
    /// # Errors
    /// When there is no such learner.
    pub(crate) async fn drop_member(&self, room: &Arc<Room>, number: u32, forget: bool) -> Result<(), Error> {
        let turn = room.turn().await;
        let member = self.find_member(room, number)?;
        self.store.remove_member(room.id(), number, forget).await?;
        room.remove_member(number);
        drop(turn);
        if let Some(hub) = member.session.as_deref().and_then(|session| self.sessions.open_hub_of(session)) {
            hub.set_paused(false);
            hub.set_joint(false);
            hub.set_class(None);
            if forget {
                self.sessions.end(hub.id(), "You were removed from the class.").await?;
            }
        }
        self.news.notify_one();
        Ok(())
    }

    /// The session of a learner whose terminal is to be looked at; none while there is nothing to look at.
    pub(crate) fn watched_hub(&self, room: &Room, number: u32) -> Option<Arc<Hub>> {
        self.sessions.open_hub_of(&room.member(number)?.session?)
    }

    /// Whether the class and its learner are still there.
    pub(crate) fn has_member(&self, room: &Room, number: u32) -> bool {
        !room.is_removed() && room.member(number).is_some()
    }

    /// Says on a learner's page that somebody looks, while what this gives is kept.
    pub(crate) fn watching(self: &Arc<Self>, hub: &Arc<Hub>) -> Looking {
        let watching = Some(hub.watch_terminal());
        let looking = Looking { classroom: self.clone(), session: hub.id().to_owned(), watching };
        looking.tell();
        looking
    }
}
