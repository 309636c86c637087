//! What is worth telling an author beyond what makes a lesson refused.

use std::collections::BTreeSet;

use drydock_protocol::{Block, Language, LessonKind};

use super::solution::{files, solution};
use super::text::{StepText, Text};
use super::{Definition, Source};

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, below the folder of all lessons.
    pub(crate) file: String,
    /// What to do, with its line.
    pub(crate) advice: String,
}

/// Everything to mend in a lesson that loads.
pub(crate) fn lint(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |file: &str, advice: String| {
        findings.push(Finding { file: format!("{}/{file}", source.slug), advice });
    };
    let definition = &source.definition;
    if !(1..=60).contains(&definition.minutes) {
        say("lesson.toml", "minutes: a lesson takes from 1 to 60 minutes".to_owned());
    }
    let english = source.texts.iter().find(|(language, _)| *language == Language::English).map(|(_, text)| text);
    for language in Language::ALL {
        let file = format!("{}.md", language.tag());
        let Some((_, text)) = source.texts.iter().find(|(known, _)| *known == language) else {
            say(&file, "this language is missing".to_owned());
            continue;
        };
        for advice in text_advice(definition, text, language) {
            say(&file, advice);
        }
        if let Some(english) = english.filter(|_| language != Language::English) {
            for advice in translation_advice(english, text) {
                say(&file, advice);
            }
        }
    }
    for file in &source.files {
        let shown = format!("]({}", file.name);
        if !source.written.values().any(|text| text.contains(&shown)) {
            say(&file.name, "no text shows this picture".to_owned());
        }
    }
    findings
}

fn text_advice(definition: &Definition, text: &Text, language: Language) -> Vec<String> {
    let mut advice = Vec::new();
    for step in &definition.steps {
        let Some(own) = text.steps.iter().find(|text| text.id == step.id) else {
            if language != Language::English {
                advice.push(format!("step {:?} is missing; learners read it in English", step.id));
            }
            continue;
        };
        let mut say = |what: &str| advice.push(format!("line {}: step {:?} {what}", own.line, step.id));
        if !step.checks.is_empty() && own.hints.is_empty() {
            say("has checks but no hint");
        }
        if !step.checks.is_empty() && solution(step, own).is_empty() {
            say("has checks but neither a [[step.solution]] nor an `sh` block to run: it cannot be proved");
        }
        if definition.kind == LessonKind::Challenge && !step.checks.is_empty() && step.solutions.is_empty() {
            say("of a challenge needs a [[step.solution]]: its text should not give the answer away");
        }
        let mut files = BTreeSet::new();
        for block in own.body.iter().chain(&own.after) {
            match block {
                Block::Code { run_on: Some(on), .. } if !definition.has_node(on) => {
                    say(&format!("runs something on {on:?}, which does not exist"));
                }
                Block::Code { file: Some(name), .. } if !files.insert(name) => {
                    say(&format!("writes the file {name} twice"));
                }
                Block::Prose { html } if html.contains("alt=\"\"") => {
                    say("shows a picture without a text in its place")
                }
                Block::Code { .. } | Block::Prose { .. } => {}
            }
        }
        for hint in &step.hints {
            let html = own.hints.iter().find(|text| text.id.as_ref() == Some(&hint.id)).map_or("", |text| &text.html);
            let places = super::text::places(html);
            for unused in hint.values.keys().filter(|name| !places.contains(&name.as_str())) {
                say(&format!("does not use the value {{{unused}}} of its hint {:?}", hint.id));
            }
        }
    }
    advice
}

fn translation_advice(english: &Text, text: &Text) -> Vec<String> {
    let mut advice = Vec::new();
    for own in &text.steps {
        let Some(other) = english.steps.iter().find(|other| other.id == own.id) else { continue };
        let mut say = |what: &str| advice.push(format!("line {}: step {:?} {what}", own.line, own.id));
        if files(own) != files(other) {
            say("has files that are not those of the English text: they lie there as the English text has them");
        }
        if own.hints.len() != other.hints.len() {
            say(&format!("has {} hints, the English text {}", own.hints.len(), other.hints.len()));
        }
        if own.after.is_empty() != other.after.is_empty() {
            say("has an After in only one of this language and English");
        }
        for quiz in &own.quizzes {
            let options = |text: &StepText| {
                let quiz = text.quizzes.iter().find(|known| known.id == quiz.id);
                quiz.map(|quiz| quiz.options.iter().map(|option| option.id.clone()).collect::<Vec<_>>())
            };
            if options(own) != options(other) {
                say(&format!("has other answers in quiz {:?} than the English text", quiz.id));
            }
        }
    }
    advice
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lessons::read_folder;

    const TOML: &str = r#"
order = 1
minutes = 90
[[step]]
id = "a"
[[step.check]]
id = "x"
resource = "v1/pods"
expression = "size(objects) > 0"
[[step.hint]]
id = "h"
resource = "v1/pods"
when = "true"
values = { n = "string(size(objects))" }
"#;

    #[test]
    fn advice() {
        let folder = tempfile::tempdir().expect("tempdir");
        let lesson = folder.path().join("x");
        fs::create_dir(&lesson).expect("create");
        let write = |name: &str, text: &str| fs::write(lesson.join(name), text).expect("write");
        let head = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n## A {#a}\n";
        let rest = "### Checks\n- `x`: there\n### Hint {#h}\nno place\n";
        write("lesson.toml", TOML);
        write("unused.svg", "<svg/>");
        write("en.md", &format!("{head}```yaml file=a.yaml\na: 1\n```\n```sh on=worker-7\nls\n```\n{rest}"));
        write("zh-TW.md", &format!("{head}```yaml file=a.yaml\na: 2\n```\n{rest}### Hint\nmore\n"));
        let source = read_folder(&lesson).expect("a lesson that loads");
        let found: Vec<String> = lint(&source).into_iter().map(|it| format!("{}: {}", it.file, it.advice)).collect();
        for expected in [
            "x/lesson.toml: minutes",
            "x/en.md: line 6: step \"a\" runs something on \"worker-7\"",
            "x/en.md: line 6: step \"a\" does not use the value {n}",
            "x/zh-TW.md: line 6: step \"a\" has checks but neither",
            "x/zh-TW.md: line 6: step \"a\" has files that are not those",
            "x/zh-TW.md: line 6: step \"a\" has 2 hints, the English text 1",
            "x/zh-CN.md: this language is missing",
            "x/unused.svg: no text shows",
        ] {
            assert!(found.iter().any(|it| it.starts_with(expected)), "{expected}: {found:#?}");
        }
    }
}
