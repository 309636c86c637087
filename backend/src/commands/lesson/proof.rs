//! Proves lessons: for each step, its checks fail before and hold after what a learner does. Runs over the product's own
//! sessions, so that what is proved is what learners get; languages in which a learner does the same share a cluster.

mod report;
mod run;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use drydock_protocol::Language;
use tokio::task::JoinSet;

use self::report::Report;
use super::super::{Common, pulling, serve};
use crate::lessons::solution::solution;
use crate::lessons::{Act, Broken, Definition, Library, Source, Text};
use crate::sessions::Sessions;
use crate::store::Store;

/// A lesson as it is done in some languages.
#[derive(Clone, Debug)]
struct Case {
    slug: String,
    languages: Vec<Language>,
    definition: Definition,
    /// What is done, per step.
    acts: Vec<Vec<Act>>,
    /// All answers: step, question, answer.
    options: Vec<(String, String, String)>,
}

/// Proves lessons, so many at once, and prints what was found.
///
/// # Errors
/// When one is not as it should be, or this machine cannot run clusters.
pub(super) async fn prove(common: &Common, found: Vec<(PathBuf, Source)>, jobs: usize) -> anyhow::Result<()> {
    let (files, engine) = common.engine(&pulling::Options::default(), true).await?;
    let folder = tempfile::tempdir()?;
    let store = Store::open(&folder.path().join("drydock.db")).await?;
    let library = Arc::new(Library::new(store.clone(), found.iter().map(|(path, _)| path.clone()).collect()));
    library.import(Broken::Drop).await?;
    let sessions = Sessions::resume(engine, store, library, serve::patient_policy(&files)?).await?;
    let mut cases: Vec<_> = found.iter().flat_map(|(_, source)| cases(source)).rev().collect();
    let (mut running, mut failed, mut all) = (JoinSet::new(), Vec::new(), 0);
    let outcome = loop {
        while running.len() < jobs
            && let Some(case) = cases.pop()
        {
            let sessions = sessions.clone();
            running.spawn(async move { run::run(&sessions, &case).await });
        }
        if running.is_empty() {
            break Ok(());
        }
        tokio::select! {
            Some(Ok(report)) = running.join_next() => {
                print(&report);
                all += 1;
                failed.extend((!report.errors.is_empty()).then_some(report.title));
            }
            () = serve::asked_to_stop() => break Err(anyhow::anyhow!("stopped")),
        }
    };
    running.shutdown().await;
    sessions.end_all().await;
    outcome?;
    if !failed.is_empty() {
        bail!("{} of {all} proofs failed: {}", failed.len(), failed.join("; "));
    }
    Ok(())
}

fn print(report: &Report) {
    print!("{report}");
}

/// What there is to prove of a lesson: one case for each way in which it is done.
fn cases(source: &Source) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let english = source.texts.iter().find(|(language, _)| *language == Language::English).map(|(_, text)| text);
    for (language, text) in &source.texts {
        let acts: Vec<_> = source
            .definition
            .steps
            .iter()
            .map(|step| {
                // A step that is missing in a language is read in English.
                let own = [Some(text), english].into_iter().flatten().flat_map(|text| &text.steps);
                let own = own.into_iter().find(|text| text.id == step.id);
                own.map(|text| solution(step, text)).unwrap_or_default()
            })
            .collect();
        match cases.iter_mut().find(|case| case.acts == acts) {
            Some(case) => case.languages.push(*language),
            None => cases.push(Case {
                slug: source.slug.clone(),
                languages: vec![*language],
                definition: source.definition.clone(),
                acts,
                options: english.map(options).unwrap_or_default(),
            }),
        }
    }
    cases
}

fn options(text: &Text) -> Vec<(String, String, String)> {
    let quizzes = text.steps.iter().flat_map(|step| step.quizzes.iter().map(|quiz| (step.id.clone(), quiz)));
    let options = quizzes.flat_map(|(step, quiz)| {
        quiz.options.iter().map(move |option| (step.clone(), quiz.id.clone(), option.id.clone()))
    });
    options.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lessons::read_folder;

    #[test]
    fn languages_in_which_the_same_is_done_are_one_case() {
        let folder = tempfile::tempdir().expect("tempdir");
        let lesson = folder.path().join("x");
        fs::create_dir(&lesson).expect("create");
        let write = |name: &str, text: &str| fs::write(lesson.join(name), text).expect("write");
        let head = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n";
        let step = |id: &str, run: &str| format!("## A {{#{id}}}\n```sh\n{run}\n```\n");
        write("lesson.toml", "order = 1\nminutes = 1\n[[step]]\nid = \"a\"\n[[step]]\nid = \"b\"\n");
        write("en.md", &format!("{head}{}{}", step("a", "one"), step("b", "two")));
        write("zh-TW.md", &format!("{head}{}", step("a", "one")));
        write("zh-CN.md", &format!("{head}{}", step("a", "other")));
        let cases = cases(&read_folder(&lesson).expect("a lesson"));
        let languages: Vec<_> = cases.iter().map(|case| case.languages.clone()).collect();
        assert_eq!(
            languages,
            [vec![Language::English, Language::TraditionalChinese], vec![Language::SimplifiedChinese]]
        );
        assert_eq!(cases[1].acts[1], cases[0].acts[1], "the missing step is done as in English");
    }
}
