//! What a step's text has to offer beside words: what to run, and files.

use drydock_protocol::Block;

use super::text::StepText;
use super::{Act, Script, StepDefinition};

/// What a learner would do in a step, in one language: the lesson's solution, else what the text has to run.
pub(crate) fn solution(step: &StepDefinition, text: &StepText) -> Vec<Act> {
    if !step.solutions.is_empty() {
        return step.solutions.clone();
    }
    let run = text.body.iter().filter_map(|block| match block {
        Block::Code { code, language, run_on: Some(on), .. } if language.as_deref() == Some("sh") => {
            Some(Act::Run(Script { on: on.clone(), run: code.clone() }))
        }
        _ => None,
    });
    run.collect()
}

/// Files of the text that are to lie in the workstation's home folder: name and content.
pub(crate) fn files(text: &StepText) -> Vec<(&str, String)> {
    let files = text.body.iter().filter_map(|block| match block {
        Block::Code { code, file: Some(name), .. } => Some((name.as_str(), format!("{code}\n"))),
        _ => None,
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use crate::lessons::markdown::Renderer;

    use super::*;

    #[test]
    fn what_the_text_has_to_run() {
        let source = "```sh\na\n```\n```sh copy\nb\n```\n```yaml file=c.yaml\nc: 1\n```\n```sh on=worker-1\nd\n```\n";
        let text = StepText {
            id: "x".to_owned(),
            title: String::new(),
            body: Renderer::new("x").blocks(source).expect("blocks"),
            checks: Vec::new(),
            quizzes: Vec::new(),
            hints: Vec::new(),
            after: Vec::new(),
            line: 1,
        };
        let mut step: StepDefinition = toml::from_str("id = \"x\"").expect("a step");
        let run = |on: &str, run: &str| Act::Run(Script { on: on.to_owned(), run: run.to_owned() });
        assert_eq!(solution(&step, &text), [run("workstation", "a"), run("worker-1", "d")]);
        step.solutions.push(Act::AddNode);
        assert_eq!(solution(&step, &text), [Act::AddNode]);
        assert_eq!(files(&text), [("c.yaml", "c: 1\n".to_owned())]);
    }
}
