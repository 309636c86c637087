//! Answers to a lesson's questions.

use std::collections::BTreeSet;

use drydock_protocol::{Answer, AnswerVerdict, Language};

use super::Whole;
use crate::error::Error;

impl Whole {
    /// Whether an answer is right, and why.
    ///
    /// # Errors
    /// When the lesson has no such question, or the question no such answer.
    pub(crate) fn judge(&self, answer: &Answer, language: Language) -> Result<AnswerVerdict, Error> {
        let no_such = || {
            Error::Invalid(format!("Step {:?} of this lesson has no question named {:?}.", answer.step, answer.quiz))
        };
        let step = self.definition.steps.iter().find(|step| step.id == answer.step).ok_or_else(no_such)?;
        let quiz = step.quizzes.iter().find(|quiz| quiz.id == answer.quiz).ok_or_else(no_such)?;
        let (_, text) = self.step(&step.id, language).ok_or_else(no_such)?;
        let text = text.quizzes.iter().find(|text| text.id == quiz.id).ok_or_else(no_such)?;
        if let Some(unknown) = answer.options.iter().find(|id| !text.options.iter().any(|option| option.id == **id)) {
            return Err(Error::Invalid(format!("Question {:?} has no answer named {unknown:?}.", quiz.id)));
        }
        let set = |ids: &[String]| ids.iter().cloned().collect::<BTreeSet<_>>();
        let right = set(&answer.options) == set(&quiz.right);
        Ok(AnswerVerdict { right, explanation: text.explanation.clone().filter(|_| right) })
    }
}

#[cfg(test)]
mod tests {
    use crate::lessons::Library;
    use crate::lessons::import::Broken;
    use crate::store::Store;

    use super::*;

    const TOML: &str =
        "order = 1\nminutes = 5\n[[step]]\nid = \"a\"\n[[step.quiz]]\nid = \"why\"\nright = [\"x\", \"z\"]\n";
    const TEXT: &str = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n## A {#a}\n### Quiz {#why}\nWhy?\n- `x`: x\n- `y`: y\n- `z`: z\n> Because.\n";

    #[tokio::test]
    async fn exactly_the_right_answers_are_right() {
        let folder = tempfile::tempdir().expect("tempdir");
        let lesson = folder.path().join("lessons/quiz");
        std::fs::create_dir_all(&lesson).expect("create");
        std::fs::write(lesson.join("lesson.toml"), TOML).expect("write");
        std::fs::write(lesson.join("en.md"), TEXT).expect("write");
        let store = Store::open(&folder.path().join("drydock.db")).await.expect("open");
        let library = Library::new(store, vec![folder.path().join("lessons")]);
        library.import(Broken::Drop).await.expect("import");
        let whole = library.find("quiz").await.expect("lesson");
        let answer = |quiz: &str, options: &[&str]| {
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            whole.judge(&Answer { step: "a".to_owned(), quiz: quiz.to_owned(), options }, Language::SimplifiedChinese)
        };
        let right = answer("why", &["z", "x", "x"]).expect("an answer");
        assert!(right.right);
        assert_eq!(right.explanation.as_deref(), Some("<p>Because.</p>\n"));
        for wrong in [&["x"][..], &["x", "y", "z"], &[]] {
            let verdict = answer("why", wrong).expect("an answer");
            assert_eq!(verdict, AnswerVerdict { right: false, explanation: None }, "{wrong:?}");
        }
        assert!(answer("who", &["x"]).is_err());
        assert!(answer("why", &["w"]).is_err());
        let shown = library.lesson("quiz", Language::English).await.expect("lesson");
        assert!(shown.steps[0].quizzes[0].many);
        assert!(!serde_json::to_string(&shown).expect("JSON").contains("Because"), "the page must not know beforehand");
    }
}
