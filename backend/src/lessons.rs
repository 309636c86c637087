//! Lessons: read from folders, checked, stored, served in the reader's language.

mod check;
mod definition;
mod import;
mod markdown;
mod text;

use drydock_protocol::{Language, Lesson, LessonKind, LessonSummary, Step};

pub(crate) use check::Program;
pub(crate) use definition::{Definition, ResourceName};
pub(crate) use import::import;
use text::{StepText, Text};

use crate::error::Error;
use crate::store::{LessonRow, Store};

/// A lesson with all its languages.
pub(crate) struct Whole {
    slug: String,
    position: u32,
    pub(crate) definition: Definition,
    texts: Vec<(Language, Text)>,
}

impl Whole {
    fn read(row: LessonRow) -> Result<Whole, Error> {
        let texts = row.texts.iter().map(|(language, document)| Ok((*language, serde_json::from_str(document)?)));
        Ok(Whole {
            slug: row.slug,
            position: row.position,
            definition: serde_json::from_str(&row.definition)?,
            texts: texts.collect::<Result<_, serde_json::Error>>()?,
        })
    }

    /// The text in `language`, else in English.
    fn text(&self, language: Language) -> Option<(Language, &Text)> {
        let find = |wanted| self.texts.iter().find(|(language, _)| *language == wanted);
        find(language).or_else(|| find(Language::English)).map(|(language, text)| (*language, text))
    }

    fn summary(&self, language: Language) -> Option<LessonSummary> {
        let (language, text) = self.text(language)?;
        Some(LessonSummary {
            slug: self.slug.clone(),
            title: text.title.clone(),
            summary: text.summary.clone(),
            topic: text.topic.clone(),
            kind: LessonKind::Lesson,
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
            let find = |wanted| {
                let (_, text) = self.texts.iter().find(|(language, _)| *language == wanted)?;
                text.steps.iter().find(|text| text.id == step.id).map(|text| (wanted, text))
            };
            let (language, text) = find(language).or_else(|| find(Language::English))?;
            Some(render(language, text))
        });
        Some(Lesson { steps: steps.collect(), summary, faults: Vec::new() })
    }
}

fn render(language: Language, text: &StepText) -> Step {
    Step {
        id: text.id.clone(),
        title: text.title.clone(),
        language,
        needs: Vec::new(),
        body: text.body.clone(),
        checks: text.checks.clone(),
        quizzes: Vec::new(),
        hints: text.hints.clone(),
        after: Vec::new(),
    }
}

/// The catalogue in `language`.
pub(crate) async fn catalogue(store: &Store, language: Language) -> Result<Vec<LessonSummary>, Error> {
    let rows = store.lessons().await?;
    let lessons: Vec<_> = rows.into_iter().map(Whole::read).collect::<Result<_, _>>()?;
    Ok(lessons.iter().filter_map(|lesson| lesson.summary(language)).collect())
}

/// One lesson in `language`.
pub(crate) async fn lesson(store: &Store, slug: &str, language: Language) -> Result<Lesson, Error> {
    let whole = find(store, slug).await?;
    whole.lesson(language).ok_or_else(|| missing(slug))
}

/// One lesson with all its languages.
pub(crate) async fn find(store: &Store, slug: &str) -> Result<Whole, Error> {
    let row = store.lesson(slug).await?.ok_or_else(|| missing(slug))?;
    Whole::read(row)
}

fn missing(slug: &str) -> Error {
    Error::NotFound(format!("There is no lesson named {slug:?}."))
}
