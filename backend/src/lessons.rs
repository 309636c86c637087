//! Lessons: read from folders, checked, stored, served in the reader's language.

mod answer;
mod definition;
mod folder;
mod import;
pub(crate) mod lint;
mod markdown;
mod program;
mod resource;
pub(crate) mod solution;
mod text;
mod watch;

use std::path::PathBuf;

use drydock_protocol::{Language, Lesson, LessonSummary, Quiz, Step};
use tokio::sync::watch as channel;

pub(crate) use definition::{Act, CheckKind, CommandCheck, Definition, Probe, Script, StepDefinition};
pub(crate) use folder::{Source, lessons as folders, read as read_folder};
pub(crate) use import::{Broken, Imported};
pub(crate) use program::{Program, Scope, Verdict};
pub(crate) use resource::{Lists, ResourceName};
pub(crate) use text::{StepText, Text};

use crate::error::Error;
use crate::store::{LessonRow, Store};

/// The lessons of this server: those of its folders, kept in the database.
pub(crate) struct Library {
    store: Store,
    /// Folders of lessons; a later one wins.
    folders: Vec<PathBuf>,
    /// Counts imports that changed something.
    changes: channel::Sender<u64>,
}

impl Library {
    /// The lessons of `folders`. Nothing is read before [`Library::import`].
    pub(crate) fn new(store: Store, folders: Vec<PathBuf>) -> Library {
        Library { store, folders, changes: channel::Sender::new(0) }
    }

    /// Brings what the folders hold into the database, and tells those who follow when something changed.
    ///
    /// # Errors
    /// When a folder cannot be read or the database fails.
    pub(crate) async fn import(&self, broken: Broken) -> anyhow::Result<Imported> {
        let imported = import::import(&self.store, &self.folders, broken).await?;
        if !imported.changed.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(imported)
    }

    /// Imports again whenever a file below the folders changes; ends with its task.
    pub(crate) async fn follow(&self) {
        watch::follow(self, &self.folders).await;
    }

    /// Changes whenever a lesson did.
    pub(crate) fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The catalogue in `language`.
    pub(crate) async fn catalogue(&self, language: Language) -> Result<Vec<LessonSummary>, Error> {
        let lessons = self.store.lessons().await?.into_iter().filter_map(|row| {
            let slug = row.slug.clone();
            // One that an older version stored is left out until its folder is imported again.
            Whole::read(row)
                .inspect_err(|error| tracing::error!(lesson.slug = slug, %error, "cannot read a lesson"))
                .ok()
        });
        Ok(lessons.filter_map(|lesson| lesson.summary(language)).collect())
    }

    /// One lesson in `language`.
    pub(crate) async fn lesson(&self, slug: &str, language: Language) -> Result<Lesson, Error> {
        self.find(slug).await?.lesson(language).ok_or_else(|| missing(slug))
    }

    /// A picture of a lesson.
    pub(crate) async fn file(&self, slug: &str, name: &str) -> Result<Vec<u8>, Error> {
        let file = self.store.lesson_file(slug, name).await?;
        file.ok_or_else(|| Error::NotFound(format!("Lesson {slug:?} has no picture named {name:?}.")))
    }

    /// One lesson with all its languages.
    pub(crate) async fn find(&self, slug: &str) -> Result<Whole, Error> {
        let row = self.store.lesson(slug).await?.ok_or_else(|| missing(slug))?;
        Whole::read(row)
    }
}

fn missing(slug: &str) -> Error {
    Error::NotFound(format!("There is no lesson named {slug:?}."))
}

/// A lesson with all its languages.
pub(crate) struct Whole {
    slug: String,
    position: u32,
    /// Differs whenever a file of the lesson does.
    pub(crate) fingerprint: String,
    pub(crate) definition: Definition,
    texts: Vec<(Language, Text)>,
}

impl Whole {
    fn read(row: LessonRow) -> Result<Whole, Error> {
        let texts = row.texts.iter().map(|(language, document)| Ok((*language, serde_json::from_str(document)?)));
        Ok(Whole {
            slug: row.slug,
            position: row.position,
            fingerprint: row.fingerprint,
            definition: serde_json::from_str(&row.definition)?,
            texts: texts.collect::<Result<_, serde_json::Error>>()?,
        })
    }

    /// The text in `language`, else in English.
    fn text(&self, language: Language) -> Option<(Language, &Text)> {
        let find = |wanted| self.texts.iter().find(|(language, _)| *language == wanted);
        find(language).or_else(|| find(Language::English)).map(|(language, text)| (*language, text))
    }

    /// A step's text in `language`, else in English.
    pub(crate) fn step(&self, id: &str, language: Language) -> Option<(Language, &StepText)> {
        let find = |wanted| {
            let (_, text) = self.texts.iter().find(|(language, _)| *language == wanted)?;
            text.steps.iter().find(|text| text.id == id).map(|text| (wanted, text))
        };
        find(language).or_else(|| find(Language::English))
    }

    fn summary(&self, language: Language) -> Option<LessonSummary> {
        let (language, text) = self.text(language)?;
        Some(LessonSummary {
            slug: self.slug.clone(),
            title: text.title.clone(),
            summary: text.summary.clone(),
            topic: text.topic.clone(),
            kind: self.definition.kind,
            minutes: self.definition.minutes,
            level: self.definition.level,
            order: self.position,
            step_count: u16::try_from(self.definition.steps.len()).unwrap_or(u16::MAX),
            workers: self.definition.workers,
            language,
        })
    }

    /// The lesson in `language`; a step that is missing there is in English.
    fn lesson(&self, language: Language) -> Option<Lesson> {
        let summary = self.summary(language)?;
        let steps = self.definition.steps.iter().filter_map(|step| {
            let (language, text) = self.step(&step.id, language)?;
            Some(render(language, step, text))
        });
        Some(Lesson { steps: steps.collect(), summary, faults: self.definition.faults.clone() })
    }
}

fn render(language: Language, step: &StepDefinition, text: &StepText) -> Step {
    let quizzes = text.quizzes.iter().map(|quiz| Quiz {
        id: quiz.id.clone(),
        question: quiz.question.clone(),
        options: quiz.options.clone(),
        many: step.quizzes.iter().any(|known| known.id == quiz.id && known.right.len() > 1),
    });
    Step {
        id: text.id.clone(),
        title: text.title.clone(),
        language,
        needs: step.needs.clone(),
        body: text.body.clone(),
        checks: text.checks.clone(),
        quizzes: quizzes.collect(),
        hints: text.hints.clone(),
        after: text.after.clone(),
    }
}
