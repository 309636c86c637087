//! Lessons as the catalogue and the lesson pane show them.
//!
//! The backend renders Markdown; the browser receives prose as clean HTML (no scripts, no styles, no raw HTML of
//! the author) and code blocks as data, so that it can put *Run* and *Copy* beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{FaultKind, Language};

/// How much a lesson expects of its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing known beforehand.
    #[default]
    Beginner,
    /// Knows the basic objects.
    Intermediate,
    /// Prepares for an exam or runs clusters.
    Advanced,
}

/// What kind of exercise it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LessonKind {
    /// Explains as it goes.
    #[default]
    Lesson,
    /// Something is broken; the learner finds out what.
    Challenge,
}

/// One row of the catalogue (`GET /api/v1/lessons?lang=`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonSummary {
    /// Folder name of the lesson, also its address.
    pub slug: String,
    /// Title in `language`.
    pub title: String,
    /// One or two sentences, plain text.
    pub summary: String,
    /// Topic under which the catalogue groups it, in `language`.
    pub topic: String,
    /// What kind of exercise it is.
    #[serde(default)]
    pub kind: LessonKind,
    /// Expected minutes.
    pub minutes: u16,
    /// How much it expects.
    #[serde(default)]
    pub level: Level,
    /// Position in the catalogue, ascending; topics appear in the order of their first lesson.
    #[serde(default)]
    pub order: u32,
    /// Number of steps.
    pub step_count: u16,
    /// Worker nodes of its cluster.
    pub workers: u8,
    /// Language of the texts: the one asked for or, where it is missing, English.
    #[serde(default)]
    pub language: Language,
}

/// A whole lesson (`GET /api/v1/lessons/{slug}?lang=`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    /// What the catalogue shows.
    #[serde(flatten)]
    pub summary: LessonSummary,
    /// The steps, in order; at least one.
    pub steps: Vec<Step>,
    /// What the fault panel offers; empty: it is not shown.
    #[serde(default)]
    pub faults: Vec<FaultKind>,
}

/// One step: one idea, what to run, and the checks that turn green.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Identifier, unique in the lesson and the same in every language.
    pub id: String,
    /// Title.
    pub title: String,
    /// Language of this step's text; differs from the lesson's where a translation is missing.
    #[serde(default)]
    pub language: Language,
    /// Steps that must be done before this one counts, by identifier.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The text, in order.
    pub body: Vec<Block>,
    /// What must hold for the step to be done; a step without checks is done when its reader goes on.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Questions; a step is done when they are answered rightly, too.
    #[serde(default)]
    pub quizzes: Vec<Quiz>,
    /// Hints, from gentle to plain, shown one at a time when asked for; those with an identifier show by themselves when
    /// the cluster looks as they expect ([`crate::SessionEvent::Hints`]).
    #[serde(default)]
    pub hints: Vec<Hint>,
    /// "What just happened": shown once the step is done.
    #[serde(default)]
    pub after: Vec<Block>,
}

/// A piece of a step's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Prose, already clean HTML.
    Prose {
        /// Elements such as `<p>`, `<ul>`, `<strong>`, `<code>`, `<a>`, `<h3>`, `<img>`, `<table>`; nothing active.
        html: String,
    },
    /// A code block.
    Code {
        /// Its text, without a final line break.
        code: String,
        /// The word after the fence, such as `sh` or `yaml`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// Node whose terminal runs it at a click (`workstation` or a node's name); `None`: copy only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_on: Option<String>,
        /// Name of the file in the workstation's home folder that holds this text; the page offers to open it in the editor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
}

/// Something that the backend watches for in the learner's cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Identifier, unique in the step.
    pub id: String,
    /// What must hold, plain text; words between back-ticks are code.
    pub title: String,
}

/// Help for a learner who is stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Identifier, unique in the step, when the hint depends on the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Clean HTML, as in [`Block::Prose`]; `{name}` stands for a value of [`HintStatus::values`].
    pub html: String,
}

/// A hint that fits what this learner's cluster looks like now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintStatus {
    /// Step identifier.
    pub step: String,
    /// Hint identifier.
    pub hint: String,
    /// Plain text for the places of its text.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

/// A question with answers to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiz {
    /// Identifier, unique in the step.
    pub id: String,
    /// The question, clean HTML.
    pub question: String,
    /// What can be chosen.
    pub options: Vec<QuizOption>,
    /// Whether several may be right.
    #[serde(default)]
    pub many: bool,
}

/// One answer to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuizOption {
    /// Identifier, unique in the question.
    pub id: String,
    /// The answer, clean HTML.
    pub html: String,
}

/// Body of `POST /api/v1/sessions/{id}/answers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Step identifier.
    pub step: String,
    /// Question identifier.
    pub quiz: String,
    /// What was chosen.
    pub options: Vec<String>,
}

/// What becomes of an [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerVerdict {
    /// Whether exactly the right options were chosen.
    pub right: bool,
    /// Why, clean HTML in the language asked for (`?lang=`); only for a right answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
}

/// A question of the lesson that was answered rightly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answered {
    /// Step identifier.
    pub step: String,
    /// Question identifier.
    pub quiz: String,
}
