//! A lesson made ready for one session: expressions compiled, files at hand.

use std::collections::BTreeSet;

use drydock_protocol::Language;

use crate::lessons::solution::files;
use crate::lessons::{Act, CheckKind, Definition, Lists, Program, StepDefinition, Whole};

/// A lesson that is being judged.
pub(super) struct Loaded {
    /// Differs whenever a file of the lesson does.
    pub(super) fingerprint: String,
    pub(super) definition: Definition,
    /// Of the lesson's checks, those over objects.
    pub(super) expressions: Vec<Expression>,
    pub(super) hints: Vec<CompiledHint>,
    /// Per step: file name and content.
    files: Vec<(String, String, String)>,
}

/// A compiled check over objects.
pub(super) struct Expression {
    pub(super) step: String,
    pub(super) check: String,
    pub(super) lists: Lists,
    pub(super) program: Program,
    pub(super) detail: Option<Program>,
}

/// A compiled hint.
pub(super) struct CompiledHint {
    pub(super) step: String,
    pub(super) hint: String,
    pub(super) lists: Lists,
    pub(super) when: Program,
    pub(super) values: Vec<(String, Program)>,
}

/// Something to do before a step can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// An act of the lesson's or a step's setup.
    Act(Act),
    /// A file for the workstation's home folder: name and content.
    File(String, String),
}

impl Loaded {
    /// Makes a lesson ready. The import compiled every expression already: only damaged stored data fails here.
    ///
    /// # Errors
    /// What CEL does not understand.
    pub(super) fn new(whole: Whole) -> Result<Loaded, String> {
        let (mut expressions, mut hints, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for step in &whole.definition.steps {
            for check in &step.checks {
                if let CheckKind::Objects(objects) = &check.kind {
                    let compile = |text: &String| Program::compile(text, &objects.lists.names());
                    expressions.push(Expression {
                        step: step.id.clone(),
                        check: check.id.clone(),
                        lists: objects.lists.clone(),
                        program: compile(&objects.expression)?,
                        detail: objects.detail.as_ref().map(compile).transpose()?,
                    });
                }
            }
            for hint in &step.hints {
                let compile = |text: &String| Program::compile(text, &hint.lists.names());
                let values = hint.values.iter().map(|(name, text)| Ok((name.clone(), compile(text)?)));
                hints.push(CompiledHint {
                    step: step.id.clone(),
                    hint: hint.id.clone(),
                    lists: hint.lists.clone(),
                    when: compile(&hint.when)?,
                    values: values.collect::<Result<_, String>>()?,
                });
            }
            // The server does not know the learner's language; authors keep files the same in all.
            if let Some((_, text)) = whole.step(&step.id, Language::English) {
                let of = |(name, text): (&str, String)| (step.id.clone(), name.to_owned(), text);
                texts.extend(files(text).into_iter().map(of));
            }
        }
        let Whole { fingerprint, definition, .. } = whole;
        Ok(Loaded { fingerprint, definition, expressions, hints, files: texts })
    }

    /// All lists that are looked at.
    pub(super) fn lists(&self) -> impl Iterator<Item = &Lists> {
        self.expressions.iter().map(|it| &it.lists).chain(self.hints.iter().map(|it| &it.lists))
    }

    /// What is to be done next, with the name under which it is remembered: the lesson's own setup, then, for each step
    /// that has begun, its files and its setup.
    pub(super) fn todo(
        &self,
        begun: impl Fn(&StepDefinition) -> bool,
        did: &BTreeSet<String>,
    ) -> Option<(String, Todo)> {
        let act = |name: String, act: &Act| (name, Todo::Act(act.clone()));
        let own = self.definition.setup.iter().enumerate().map(|(number, it)| act(format!("setup {number}"), it));
        let of_steps = self.definition.steps.iter().filter(|step| begun(step)).flat_map(|step| {
            let files = self.files.iter().filter(|(of, ..)| *of == step.id).map(|(of, name, text)| {
                // A file whose text the author changed is written again.
                (format!("{of} file {name} {:016x}", hash(text)), Todo::File(name.clone(), text.clone()))
            });
            let acts = step.setup.iter().enumerate();
            files.chain(acts.map(move |(number, it)| act(format!("{} setup {number}", step.id), it)))
        });
        own.chain(of_steps).find(|(name, _)| !did.contains(name))
    }
}

/// FNV-1a: the same in every build and on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lessons::Script;

    fn loaded() -> Loaded {
        let definition: Definition = toml::from_str(
            "order = 1\nminutes = 1\n[[setup]]\nrun = \"a\"\n[[step]]\nid = \"one\"\n[[step.setup]]\nrun = \"b\"\n[[step]]\nid = \"two\"\n[[step.setup]]\nrun = \"c\"\n",
        )
        .expect("a lesson");
        let files = vec![("two".to_owned(), "x.yaml".to_owned(), "x: 1\n".to_owned())];
        Loaded { fingerprint: String::new(), definition, expressions: Vec::new(), hints: Vec::new(), files }
    }

    #[test]
    fn setup_is_done_in_order_and_once() {
        let mut loaded = loaded();
        let mut did = BTreeSet::new();
        let mut all = |loaded: &Loaded, begun: &[&str]| {
            let mut done = Vec::new();
            while let Some((name, todo)) = loaded.todo(|step| begun.contains(&step.id.as_str()), &did) {
                did.insert(name);
                done.push(todo);
            }
            done
        };
        let run = |run: &str| Todo::Act(Act::Run(Script { on: "workstation".to_owned(), run: run.to_owned() }));
        assert_eq!(all(&loaded, &["one"]), [run("a"), run("b")]);
        assert_eq!(all(&loaded, &["one"]), []);
        let file = |text: &str| Todo::File("x.yaml".to_owned(), text.to_owned());
        assert_eq!(all(&loaded, &["one", "two"]), [file("x: 1\n"), run("c")]);
        loaded.files[0].2 = "x: 2\n".to_owned();
        assert_eq!(all(&loaded, &["one", "two"]), [file("x: 2\n")]);
    }
}
