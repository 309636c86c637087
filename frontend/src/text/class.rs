//! What the page says to learners of a class.

mod en;
mod zh_cn;
mod zh_tw;

pub(super) use en::CLASS as EN;
pub(super) use zh_cn::CLASS as ZH_CN;
pub(super) use zh_tw::CLASS as ZH_TW;

/// The texts.
#[derive(Debug)]
pub struct ClassTexts {
    /// Title of the page, and link to it.
    pub join_title: &'static str,
    /// What is needed.
    pub join_text: &'static str,
    /// Label of the code.
    pub code: &'static str,
    /// Goes on with the code.
    pub go_on: &'static str,
    /// Label of the name.
    pub name: &'static str,
    /// Who sees it.
    pub name_text: &'static str,
    /// Joins.
    pub join: &'static str,
    /// There is no such class.
    pub no_class: &'static str,
    /// Too many wrong codes.
    pub too_often: &'static str,
    /// All places are taken.
    pub full: &'static str,
    /// The class is over.
    pub over: &'static str,
    /// The learner's session is over, the class is not.
    pub ended: &'static str,
    /// Goes to a new session in the class.
    pub again: &'static str,
    /// Goes back to the class.
    pub back: &'static str,
    /// Asks for help.
    pub hand_up: &'static str,
    /// Does not need help any more.
    pub hand_down: &'static str,
    /// The instructor looks.
    pub watched: &'static str,
    /// The instructor asks to type.
    pub asked: &'static str,
    /// What that means.
    pub asked_text: &'static str,
    /// Agrees.
    pub allow: &'static str,
    /// Does not.
    pub decline: &'static str,
    /// The instructor may type.
    pub joint: &'static str,
    /// Ends that.
    pub end_joint: &'static str,
    /// The class is paused.
    pub paused: &'static str,
    /// A pause holds what changes the cluster.
    pub held: &'static str,
    /// Goes to the class's lesson.
    pub follow: &'static str,
    /// Title of a message.
    pub message: &'static str,
    /// Title of a command.
    pub command: &'static str,
    /// Title of a hint.
    pub hint: &'static str,
    /// Leaves the class.
    pub leave: &'static str,
    /// Title of the confirmation.
    pub leave_question: &'static str,
    /// What that does.
    pub leave_consequence: &'static str,
    /// What learners and instructor do together; title of the class and name of the learner.
    pub in_class: fn(&str, &str) -> String,
    /// The class has not begun; when it does.
    pub begins: fn(&str) -> String,
    /// How many are served before.
    pub waits: fn(u32) -> String,
    /// The class goes on with a lesson.
    pub next: fn(&str) -> String,
}
