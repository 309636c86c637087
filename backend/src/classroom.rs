//! Classes: planned and held by instructors, joined by learners with a code, seen live.
//!
//! A [`Room`] is a class as the server holds it in memory; whatever changes it goes to the database first. One loop does what
//! the clock asks for ([`plan`]).

mod commands;
mod csv;
mod grid;
mod guesses;
mod learner;
mod name;
mod plan;
mod room;
mod row;
mod seating;
mod stuck;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drydock_protocol::class::{POST_LIMIT, SIZE_LIMIT, TITLE_LIMIT, read_code, read_name};
use drydock_protocol::{Class, ClassAction, ClassState, CreateClass, CreatePost, Joint, Post, PostKind};
use tokio::sync::Notify;

pub(crate) use commands::{BEFORE_COMMAND, CommandLines};
pub(crate) use grid::Grid;
pub(crate) use room::Room;

use crate::error::{Error, chain};
use crate::lessons::Library;
use crate::sessions::{Sessions, now_millis};
use crate::store::{ClassRow, Store};
use guesses::Guesses;
use plan::Due;

/// The longest that the loop sleeps: a clock may jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The longest class, in minutes.
const LONGEST_MINUTES: u32 = 24 * 60;
/// Lessons of a class.
const LESSONS: usize = 50;
/// Classes that one instructor may have planned or open at once.
const CLASSES: usize = 50;
/// What is told in one class, at most.
const POSTS: usize = 500;

/// All classes of this server.
pub(crate) struct Classroom {
    store: Store,
    sessions: Arc<Sessions>,
    library: Arc<Library>,
    /// How long the data of a class is kept after its end.
    keep: Duration,
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    guesses: Mutex<Guesses>,
    /// What is due may have changed.
    news: Notify,
}

/// Who asks for a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// The person.
    pub(crate) person: &'a str,
    /// Whether they run the server and may see and end every class.
    pub(crate) operator: bool,
}

impl Classroom {
    /// Finds the classes of earlier runs again, and begins to follow the clock.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn open(
        store: Store,
        sessions: Arc<Sessions>,
        library: Arc<Library>,
        keep: Duration,
    ) -> Result<Arc<Classroom>, Error> {
        store.end_all_joint().await?;
        let classroom = Arc::new(Classroom {
            store,
            sessions,
            library,
            keep,
            rooms: Mutex::default(),
            guesses: Mutex::default(),
            news: Notify::new(),
        });
        for row in classroom.store.classes().await? {
            let members = classroom.store.members(&row.id).await?;
            let posts = classroom.store.posts(&row.id).await?;
            let room = Arc::new(Room::new(row, members, posts));
            classroom.lock().insert(room.id().to_owned(), room.clone());
            classroom.find_again(&room).await?;
        }
        tokio::spawn(classroom.clone().keep_time());
        Ok(classroom)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Room>> {
        self.lock().values().cloned().collect()
    }

    /// A class of whoever asks; that of another instructor does not exist for them.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn room(&self, asker: Asker<'_>, id: &str) -> Result<Arc<Room>, Error> {
        let room = self.lock().get(id).cloned();
        let room = room.filter(|room| asker.operator || room.instructor() == asker.person);
        room.ok_or_else(|| Error::NotFound("There is no such class; it may have been removed.".to_owned()))
    }

    /// The classes of whoever asks, newest first.
    pub(crate) fn list(&self, asker: Asker<'_>) -> Vec<Class> {
        let rooms = self.all().into_iter().filter(|room| asker.operator || room.instructor() == asker.person);
        let mut classes: Vec<_> = rooms.map(|room| room.class(now_millis())).collect();
        classes.sort_by(|a, b| (b.starts_millis, &a.id).cmp(&(a.starts_millis, &b.id)));
        classes
    }

    /// Plans a class.
    ///
    /// # Errors
    /// When something about it cannot be.
    pub(crate) async fn create(&self, instructor: &str, request: &CreateClass) -> Result<Class, Error> {
        let now = now_millis();
        let row = self.plan(instructor, request, now).await?;
        self.store.put_class(&row).await?;
        let room = Arc::new(Room::new(row, Vec::new(), Vec::new()));
        self.lock().insert(room.id().to_owned(), room.clone());
        self.learn_lessons(&room).await;
        self.news.notify_one();
        Ok(room.class(now))
    }

    async fn plan(&self, instructor: &str, request: &CreateClass, now: u64) -> Result<ClassRow, Error> {
        let invalid = |sentence: &str| Err(Error::Invalid(sentence.to_owned()));
        let Some(title) = read_name(&request.title, TITLE_LIMIT) else {
            return invalid("A class needs a title of 1 to 80 characters.");
        };
        if request.size == 0 || request.size > SIZE_LIMIT {
            return invalid("A class is for 1 to 500 learners.");
        }
        if request.minutes == 0 || request.minutes > LONGEST_MINUTES {
            return invalid("A class takes between a minute and a day.");
        }
        if request.lessons.len() > LESSONS {
            return invalid("A class has at most 50 lessons.");
        }
        if request.workers.is_some_and(|workers| workers == 0 || workers > 8) {
            return invalid("A cluster has 1 to 8 workers.");
        }
        for slug in &request.lessons {
            self.library.find(slug).await?;
        }
        let own = self.all();
        let own = own.iter().filter(|room| room.instructor() == instructor && room.state() != ClassState::Over);
        if own.count() >= CLASSES {
            return Err(Error::Conflict("You have 50 classes that are not over. End or remove one first.".to_owned()));
        }
        let starts_millis = request.starts_millis.max(now);
        let ends_millis = starts_millis.saturating_add(u64::from(request.minutes) * 60_000);
        let code = loop {
            let code = name::random_code();
            if self.by_code(&code).is_none() {
                break code;
            }
        };
        Ok(ClassRow {
            id: crate::identity::random_id(),
            code,
            instructor: instructor.to_owned(),
            title,
            state: if request.starts_millis <= now { ClassState::Open } else { ClassState::Planned },
            lessons: request.lessons.clone(),
            at: 0,
            workers: request.workers,
            size: request.size,
            created_millis: now,
            starts_millis,
            ends_millis,
            removed_millis: self.kept_until(ends_millis),
        })
    }

    fn kept_until(&self, ends_millis: u64) -> u64 {
        ends_millis.saturating_add(u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX))
    }

    fn by_code(&self, code: &str) -> Option<Arc<Room>> {
        self.lock().values().find(|room| room.code() == code).cloned()
    }

    /// The class behind a join code, as it was written. Who tries many wrong ones has to wait, unless they have a place in it.
    ///
    /// # Errors
    /// When there is none, or the address has tried too many.
    pub(crate) fn find_code(&self, code: &str, address: IpAddr, person: &str) -> Result<Arc<Room>, Error> {
        let now = now_millis();
        let found = read_code(code).and_then(|code| self.by_code(&code));
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = guesses.wait_seconds(address, now);
        if wait > 0 && found.as_ref().is_none_or(|room| room.member_of(person).is_none()) {
            return Err(Error::TooOften(wait));
        }
        if let Some(room) = found {
            return Ok(room);
        }
        guesses.wrong(address, now);
        Err(Error::NotFound("There is no class with this code. Look at it once more: it has seven letters.".to_owned()))
    }

    /// Does something to a whole class.
    ///
    /// # Errors
    /// When it is not possible in the class's state.
    pub(crate) async fn act(self: &Arc<Self>, room: &Arc<Room>, action: ClassAction) -> Result<Class, Error> {
        let now = now_millis();
        let turn = room.turn().await;
        let mut row = room.row();
        match action {
            _ if row.state == ClassState::Over => {
                return Err(Error::Conflict("This class is over.".to_owned()));
            }
            ClassAction::Begin => {
                if row.state == ClassState::Planned {
                    let length = row.ends_millis.saturating_sub(row.starts_millis);
                    row.state = ClassState::Open;
                    if row.starts_millis > now {
                        row.starts_millis = now;
                        row.ends_millis = now + length;
                    }
                }
            }
            ClassAction::Move { to, .. } => {
                if usize::from(to) >= row.lessons.len() {
                    return Err(Error::Invalid("The class has no such lesson.".to_owned()));
                }
                row.at = to;
            }
            ClassAction::Pause | ClassAction::Resume if row.state == ClassState::Planned => {
                return Err(Error::Conflict("This class has not begun.".to_owned()));
            }
            ClassAction::Pause => row.state = ClassState::Paused,
            ClassAction::Resume => row.state = ClassState::Open,
            ClassAction::Extend { minutes } => {
                if minutes == 0 || minutes > LONGEST_MINUTES {
                    return Err(Error::Invalid("A class can be extended by a minute to a day.".to_owned()));
                }
                row.ends_millis = row.ends_millis.saturating_add(u64::from(minutes) * 60_000);
            }
            ClassAction::End => {
                row.state = ClassState::Over;
                row.ends_millis = now;
                row.code = String::new();
            }
        }
        row.removed_millis = self.kept_until(row.ends_millis);
        self.store.put_class(&row).await?;
        let over = row.state == ClassState::Over;
        let moves = matches!(action, ClassAction::Move { everyone: true, .. });
        room.set_row(row);
        drop(turn);
        if matches!(action, ClassAction::Extend { .. } | ClassAction::Begin) {
            self.time_sessions(room).await;
        }
        self.tell_all(room);
        if over {
            self.end_sessions(room).await;
        } else if moves {
            tokio::spawn(self.clone().take_all(room.clone()));
        }
        self.news.notify_one();
        Ok(room.class(now))
    }

    /// Removes a class and all that is known of its learners; their sessions end.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn remove(&self, room: &Arc<Room>) -> Result<(), Error> {
        let turn = room.turn().await;
        self.store.remove_class(room.id()).await?;
        self.lock().remove(room.id());
        room.set_removed();
        drop(turn);
        self.end_sessions(room).await;
        self.news.notify_one();
        Ok(())
    }

    /// Tells all learners something, or one.
    ///
    /// # Errors
    /// When there is nothing to tell, nobody to tell it to, or the class is over.
    pub(crate) async fn post(&self, room: &Arc<Room>, request: &CreatePost) -> Result<Post, Error> {
        let text = request.text.trim();
        if text.is_empty() || text.chars().count() > POST_LIMIT {
            return Err(Error::Invalid("Write between 1 and 2000 characters.".to_owned()));
        }
        if request.kind == PostKind::Command && text.chars().any(char::is_control) {
            return Err(Error::Invalid("A command is one line.".to_owned()));
        }
        let _turn = room.turn().await;
        if room.state() == ClassState::Over {
            return Err(Error::Conflict("This class is over.".to_owned()));
        }
        if request.to.is_some_and(|to| room.member(to).is_none()) {
            return Err(Error::NotFound("There is no such learner in this class.".to_owned()));
        }
        let posts = room.posts();
        if posts.len() >= POSTS {
            return Err(Error::Conflict("This class has been told 500 things. Take some back first.".to_owned()));
        }
        let post = Post {
            id: room.next_post(),
            at_millis: now_millis(),
            to: request.to,
            kind: request.kind,
            text: text.to_owned(),
        };
        self.store.put_post(room.id(), &post).await?;
        room.set_posts(posts.into_iter().chain([post.clone()]).collect());
        self.tell_all(room);
        Ok(post)
    }

    /// Takes back what was told.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn take_back(&self, room: &Arc<Room>, post: u32) -> Result<(), Error> {
        let _turn = room.turn().await;
        self.store.remove_post(room.id(), post).await?;
        room.set_posts(room.posts().into_iter().filter(|known| known.id != post).collect());
        self.tell_all(room);
        Ok(())
    }

    /// Takes a learner's hand down, asks to type in their terminal, or ends that.
    ///
    /// # Errors
    /// When there is no such learner, or they have no session.
    pub(crate) async fn set_joint(&self, room: &Arc<Room>, number: u32, ask: bool) -> Result<(), Error> {
        let session = self.find_member(room, number)?.session;
        if ask && session.is_none_or(|session| self.sessions.open_hub_of(&session).is_none()) {
            return Err(Error::Conflict("This learner has no session now.".to_owned()));
        }
        self.put_joint(room, number, if ask { Joint::Asked } else { Joint::No }).await
    }

    /// Takes a learner's hand down: they were helped.
    ///
    /// # Errors
    /// When there is no such learner.
    pub(crate) async fn lower_hand(&self, room: &Arc<Room>, number: u32) -> Result<(), Error> {
        self.find_member(room, number)?;
        self.put_hand(room, number, false).await
    }

    /// Progress as CSV.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn progress(&self, room: &Room) -> Result<String, Error> {
        let done = self.store.class_progress(room.id()).await?;
        let facts = room.facts();
        let mut steps: Vec<(String, String)> = Vec::new();
        for slug in &room.row().lessons {
            let known = facts.get(slug).map(|facts| facts.steps.as_slice()).unwrap_or_default();
            let checked = known.iter().filter(|(_, is_checked)| *is_checked);
            steps.extend(checked.map(|(step, _)| (slug.clone(), step.clone())));
        }
        // What a lesson had when it was done, and has not any more.
        for row in &done {
            let key = (row.lesson.clone(), row.step.clone());
            if !steps.contains(&key) {
                steps.push(key);
            }
        }
        let rows: Vec<_> = room
            .members()
            .into_iter()
            .map(|member| {
                let when = |(lesson, step): &(String, String)| {
                    let found = done
                        .iter()
                        .find(|row| row.number == member.number && row.lesson == *lesson && row.step == *step);
                    found.map(|row| row.done_millis)
                };
                csv::Row {
                    name: member.name.clone(),
                    joined_millis: member.joined_millis,
                    done: steps.iter().map(when).collect(),
                }
            })
            .collect();
        Ok(csv::table(&steps, &rows))
    }

    async fn keep_time(self: Arc<Self>) {
        loop {
            let now = now_millis();
            let mut again = now + u64::try_from(LONGEST_SLEEP.as_millis()).unwrap_or(u64::MAX);
            for room in self.all() {
                let waiting = room.has_waiting();
                if let Some(due) = plan::due(&room.row(), waiting, room.is_prepared(), now) {
                    self.clone().perform(&room, due).await;
                }
                again = again.min(plan::next(&room.row(), room.has_waiting(), now));
            }
            if let Err(error) = self.store.forget_sessions().await {
                tracing::error!(error = chain(&error), "cannot forget the sessions of removed classes");
            }
            let sleep = Duration::from_millis(again.saturating_sub(now_millis()));
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = self.news.notified() => {}
            }
        }
    }

    async fn perform(self: Arc<Self>, room: &Arc<Room>, due: Due) {
        let outcome = match due {
            Due::Prepare => {
                self.prepare(room);
                Ok(())
            }
            Due::Seat => {
                self.seat_waiting(room).await;
                Ok(())
            }
            Due::Begin => self.act(room, ClassAction::Begin).await.map(drop),
            Due::End => self.act(room, ClassAction::End).await.map(drop),
            Due::Remove => self.remove(room).await,
        };
        if let Err(error) = outcome {
            tracing::error!(class.id = room.id(), error = chain(&error), "a class's clock is not followed");
        }
    }
}
