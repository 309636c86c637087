//! Classes: an instructor, learners who join with a code, and what they tell each other.
//!
//! Two views of the same class. The *instructor's* is [`Class`] and its event stream `GET /api/v1/classes/{class}/events`
//! (server-sent events; each message has `id:` = [`ClassEnvelope::seq`] and `data:` = a [`ClassEnvelope`] as JSON, a
//! [`ClassEvent::Snapshot`] first, at most two a second). The *learner's* is [`ClassSeat`], which comes with the session's
//! own event stream ([`crate::Snapshot::class`], [`crate::SessionEvent::Class`]): who has joined needs no second connection.
//!
//! The instructor sees a learner's terminal by the WebSocket `GET /api/v1/classes/{class}/learners/{learner}/terminal`:
//! binary frames from the server are the bytes of the learner's terminal, text frames [`WatchControl`]. What the
//! instructor types counts only while the learner has agreed ([`Joint::Granted`]); it is thrown away otherwise.

use serde::{Deserialize, Serialize};

use crate::SessionState;

/// Letters of a join code: none that is read as another one.
pub const CODE_LETTERS: &str = "ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters in a join code.
pub const CODE_LENGTH: usize = 7;
/// The longest name of a learner, in characters.
pub const NAME_LIMIT: usize = 40;
/// The longest title of a class, in characters.
pub const TITLE_LIMIT: usize = 80;
/// The longest text of a [`Post`], in characters.
pub const POST_LIMIT: usize = 2_000;
/// Learners of one class at most.
pub const SIZE_LIMIT: u16 = 500;

/// Body of `POST /api/v1/classes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateClass {
    /// What the class is called, up to [`TITLE_LIMIT`] characters.
    pub title: String,
    /// Slugs of its lessons, in order; empty: the free playground.
    #[serde(default)]
    pub lessons: Vec<String>,
    /// When it begins; 0: now. Clusters are made ready shortly before.
    #[serde(default)]
    pub starts_millis: u64,
    /// How long it takes, in minutes.
    pub minutes: u32,
    /// Learners that are expected; no more than these can join.
    pub size: u16,
    /// Workers of each cluster in the playground; lessons have their own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u8>,
}

/// Where a class is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassState {
    /// Before its beginning; learners can join and wait.
    #[default]
    Planned,
    /// Under way.
    Open,
    /// The instructor has asked for attention: terminals of learners take no input.
    Paused,
    /// Over; its data is kept until `removed_millis` or until it is removed.
    Over,
}

/// A class as its instructor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Identifier, part of the address of the instructor's page.
    pub id: String,
    /// Join code, see [`CODE_LETTERS`]; the link is `/join/CODE`.
    pub code: String,
    /// What it is called.
    pub title: String,
    /// Where it is in its life.
    pub state: ClassState,
    /// Slugs of its lessons; empty: the playground.
    pub lessons: Vec<String>,
    /// Which of them it is at, counted from 0.
    #[serde(default)]
    pub at: u16,
    /// Workers of each cluster in the playground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u8>,
    /// Learners that may join.
    pub size: u16,
    /// Learners that have joined.
    pub joined: u16,
    /// When it was planned.
    pub created_millis: u64,
    /// When it begins or began.
    pub starts_millis: u64,
    /// When it ends or ended.
    pub ends_millis: u64,
    /// When its data is removed by itself.
    pub removed_millis: u64,
    /// The server's clock when this was written.
    pub now_millis: u64,
}

/// Body of `POST /api/v1/classes/{class}/actions`: what the instructor does to the whole class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClassAction {
    /// Begins now, whatever the plan says.
    Begin,
    /// Goes on with another of its lessons; learners are asked to follow, or all are taken there at once.
    Move {
        /// Which, counted from 0.
        to: u16,
        /// Whether nobody is asked.
        #[serde(default)]
        everyone: bool,
    },
    /// Terminals of learners take no input.
    Pause,
    /// Goes on after a pause.
    Resume,
    /// Gives the class and its sessions more time.
    Extend {
        /// How much, in minutes.
        minutes: u32,
    },
    /// Ends the class and the sessions of its learners.
    End,
}

/// One learner in the instructor's grid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learner {
    /// Number in the class, from 1 in the order of joining.
    pub id: u32,
    /// Name, unique in the class; plain text.
    pub name: String,
    /// When they joined.
    pub joined_millis: u64,
    /// Their session; none while they wait for the beginning or for room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// Why it waits, failed or ended: one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether their page is open.
    #[serde(default)]
    pub online: bool,
    /// Slug of the lesson that their session follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// The first step that is not done, by identifier; none when all are, or there is no lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Its number, counted from 1.
    #[serde(default)]
    pub step_number: u16,
    /// Steps of the lesson.
    #[serde(default)]
    pub step_count: u16,
    /// Steps that are done.
    #[serde(default)]
    pub steps_done: u16,
    /// Since when they are at this step; 0: not begun.
    #[serde(default)]
    pub step_since_millis: u64,
    /// Whether they seem to need help.
    #[serde(default)]
    pub stuck: Stuck,
    /// A check that fails, with what it saw: one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
    /// How often something was done in this step without any check turning green.
    #[serde(default)]
    pub attempts: u32,
    /// What they did last: the command line or the action that the API server saw; plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<String>,
    /// When that was.
    #[serde(default)]
    pub last_command_millis: u64,
    /// Since when they ask for help; none: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_millis: Option<u64>,
    /// How many look at their terminal now.
    #[serde(default)]
    pub watchers: u16,
    /// Whether the instructor may type in their terminal.
    #[serde(default)]
    pub joint: Joint,
}

/// Whether a learner seems to need help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stuck {
    /// Goes well, or has nothing to do.
    #[default]
    No,
    /// Much longer at this step than most.
    Slow,
    /// Checks fail again and again.
    Failing,
}

/// Whether an instructor may type in a learner's terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joint {
    /// Nobody asked, or it is over.
    #[default]
    No,
    /// The learner is being asked.
    Asked,
    /// The learner agreed; may end it at any time.
    Granted,
    /// The learner would rather not.
    Declined,
}

/// What the instructor tells learners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Ascending in the class.
    pub id: u32,
    /// When.
    pub at_millis: u64,
    /// The one learner it is for; none: all, those who join later, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// What it is.
    pub kind: PostKind,
    /// Its text; plain text, words between back-ticks are code. For a command: what is typed.
    pub text: String,
}

/// What a [`Post`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostKind {
    /// A sentence to read.
    #[default]
    Message,
    /// A command line; a button types it into the learner's terminal.
    Command,
    /// Help with the step.
    Hint,
}

/// Body of `POST /api/v1/classes/{class}/posts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePost {
    /// The one learner it is for; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// What it is.
    #[serde(default)]
    pub kind: PostKind,
    /// Its text, up to [`POST_LIMIT`] characters; a command is one line.
    pub text: String,
}

/// An event of the class with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassEnvelope {
    /// Ascending by one in a stream; each stream begins with a snapshot.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: ClassEvent,
}

/// What happened in a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClassEvent {
    /// Everything there is; replaces all that was known.
    Snapshot {
        /// The class.
        class: Box<Class>,
        /// Its learners, by number.
        learners: Vec<Learner>,
        /// What was told, oldest first.
        posts: Vec<Post>,
    },
    /// Something changed.
    Change {
        /// The class, when it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Box<Class>>,
        /// Learners that are new or changed, whole.
        #[serde(default)]
        learners: Vec<Learner>,
        /// Learners that are gone, by number.
        #[serde(default)]
        gone: Vec<u32>,
        /// What was told, all of it, when it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        posts: Option<Vec<Post>>,
    },
    /// The class was removed; nothing more comes.
    Removed,
}

/// Text frames of `GET /api/v1/classes/{class}/learners/{learner}/terminal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchControl {
    /// Server to page: another terminal of the learner is shown from here on; the page clears its own and takes this
    /// size, which is the learner's and cannot be changed from here.
    Shows {
        /// Node on which its shell runs.
        node: String,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Server to page: what is typed counts from here on, or does not any more.
    Joint {
        /// Whether it counts.
        may_type: bool,
    },
    /// Server to page: there is nothing to see now; the server goes on waiting for a terminal.
    Waiting,
    /// Server to page: nothing will come any more, with the reason; the server closes the socket after it.
    Error {
        /// One clear sentence.
        message: String,
    },
}

/// What a join code leads to (`GET /api/v1/join/{code}`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Title of the class.
    pub title: String,
    /// Where it is in its life.
    pub state: ClassState,
    /// When it begins.
    pub starts_millis: u64,
    /// The server's clock when this was written.
    pub now_millis: u64,
    /// Whether all places are taken.
    #[serde(default)]
    pub full: bool,
    /// The place that this browser has taken already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ClassPlace>,
}

/// Body of `POST /api/v1/join/{code}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinClass {
    /// How the learner wants to be called, up to [`NAME_LIMIT`] characters.
    pub name: String,
}

/// A learner's place in a class: the answer to joining.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassPlace {
    /// The name under which the class knows them: with a number where it was taken.
    pub name: String,
    /// The session to go to; none while they wait, ask again then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How many are served before them, when they wait for room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u32>,
}

/// The class as a learner sees it, in their session's event stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSeat {
    /// Title of the class.
    pub title: String,
    /// Its join code: the way back to it, also to a session that replaces one that is over.
    pub code: String,
    /// Their name in it.
    pub name: String,
    /// Where the class is in its life.
    pub state: ClassState,
    /// When it ends.
    pub ends_millis: u64,
    /// The session that is theirs now; another one than that of the page: the page goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The lesson that the class goes on with and this session does not follow: the page offers to go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What the instructor told, oldest first.
    #[serde(default)]
    pub posts: Vec<Post>,
    /// Since when they ask for help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_millis: Option<u64>,
    /// Whether somebody looks at their terminal now.
    #[serde(default)]
    pub watched: bool,
    /// Whether the instructor may type in it.
    #[serde(default)]
    pub joint: Joint,
}

/// Body of `POST /api/v1/sessions/{id}/class`: what a learner does in their class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LearnerAction {
    /// Asks for help, or does not any more.
    Hand {
        /// Whether.
        up: bool,
    },
    /// Lets the instructor type in the terminal, or does not (any more).
    Joint {
        /// Whether.
        agree: bool,
    },
    /// Follows the class to its lesson: the session there is the answer's [`ClassSeat::session`].
    Follow,
    /// Leaves the class; what it knows of the learner is removed. Their session goes on.
    Leave,
}

/// A join code as people write it: spaces, hyphens and small letters do not matter. `None` when it cannot be one.
#[must_use]
pub fn read_code(text: &str) -> Option<String> {
    let code: String = text
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .map(|letter| letter.to_ascii_uppercase())
        .take(CODE_LENGTH + 1)
        .collect();
    (code.chars().count() == CODE_LENGTH && code.chars().all(|letter| CODE_LETTERS.contains(letter))).then_some(code)
}

/// A name as it is kept: control and invisible characters are left out, blanks between words are one. `None` when nothing
/// or too much is left.
#[must_use]
pub fn read_name(text: &str, limit: usize) -> Option<String> {
    let is_hidden = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let visible: String =
        text.chars().map(|it| if it.is_whitespace() { ' ' } else { it }).filter(|it| !is_hidden(*it)).collect();
    let name = visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (!name.is_empty() && name.chars().count() <= limit).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_write_them() {
        for (text, code) in [
            ("KMNPQRS", Some("KMNPQRS")),
            (" kmn-pqrs ", Some("KMNPQRS")),
            ("KMNPQR", None),
            ("KMNPQRST", None),
            ("KMNPQRO", None),
            ("KMNPQR1", None),
            ("課程課程課程課", None),
            ("", None),
        ] {
            assert_eq!(read_code(text).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        let long = "長".repeat(NAME_LIMIT);
        let longer = "長".repeat(NAME_LIMIT + 1);
        for (text, name) in [
            ("  Ada \n Lovelace\t", Some("Ada Lovelace")),
            ("<b>Bob</b>", Some("<b>Bob</b>")),
            ("王\u{200b}小\u{202e}明", Some("王小明")),
            ("\u{200b} \u{7}", None),
            (&long, Some(&*long)),
            (&longer, None),
        ] {
            assert_eq!(read_name(text, NAME_LIMIT).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn wire_form() {
        let json = serde_json::to_string(&ClassAction::Move { to: 2, everyone: true }).unwrap();
        assert_eq!(json, r#"{"type":"move","to":2,"everyone":true}"#);
        let change = ClassEvent::Change { class: None, learners: Vec::new(), gone: vec![3], posts: None };
        let json = serde_json::to_string(&ClassEnvelope { seq: 4, event: change.clone() }).unwrap();
        assert_eq!(json, r#"{"seq":4,"type":"change","learners":[],"gone":[3]}"#);
        assert_eq!(serde_json::from_str::<ClassEnvelope>(&json).unwrap().event, change);
        assert_eq!(serde_json::to_string(&LearnerAction::Follow).unwrap(), r#"{"type":"follow"}"#);
    }
}
