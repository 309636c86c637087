//! What follows from what is known: which steps have begun, which are done. Pure.

use std::collections::BTreeSet;

use drydock_protocol::{Answered, CheckState, CheckStatus};

use crate::lessons::{Definition, StepDefinition, Verdict};

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// What it needs is not done.
    Waiting,
    /// It can be done.
    Open,
    /// It was fulfilled once, and stays so.
    Done,
}

/// Where a step is, by the steps that are done.
pub(super) fn phase(step: &StepDefinition, done: &BTreeSet<String>) -> Phase {
    if done.contains(&step.id) {
        Phase::Done
    } else if step.needs.iter().all(|need| done.contains(need)) {
        Phase::Open
    } else {
        Phase::Waiting
    }
}

/// Whether an open step is fulfilled. One without checks and questions never is: its reader goes on by himself.
pub(super) fn is_fulfilled(
    step: &StepDefinition,
    answered: &[Answered],
    verdict: impl Fn(&str) -> Option<CheckState>,
) -> bool {
    let is_answered = |quiz: &str| answered.iter().any(|it| it.step == step.id && it.quiz == quiz);
    step.is_checked()
        && step.checks.iter().all(|check| verdict(&check.id) == Some(CheckState::Met))
        && step.quizzes.iter().all(|quiz| is_answered(&quiz.id))
}

/// What the page is told of every check of the lesson.
pub(super) fn statuses(
    definition: &Definition,
    done: &BTreeSet<String>,
    verdict: impl Fn(&str, &str) -> Option<Verdict>,
) -> Vec<CheckStatus> {
    let steps = definition.steps.iter().flat_map(|step| step.checks.iter().map(move |check| (step, check)));
    let statuses = steps.map(|(step, check)| {
        let verdict = match phase(step, done) {
            Phase::Done => Verdict { state: CheckState::Met, detail: None },
            Phase::Waiting => Verdict { state: CheckState::Unmet, detail: None },
            Phase::Open => verdict(&step.id, &check.id).unwrap_or(Verdict { state: CheckState::Unmet, detail: None }),
        };
        CheckStatus { step: step.id.clone(), check: check.id.clone(), state: verdict.state, detail: verdict.detail }
    });
    statuses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson() -> Definition {
        toml::from_str(
            r#"
order = 1
minutes = 1
[[step]]
id = "read"
[[step]]
id = "ask"
[[step.quiz]]
id = "q"
right = ["a"]
[[step]]
id = "do"
needs = ["ask"]
[[step.check]]
id = "x"
command = { run = "true" }
[[step.check]]
id = "y"
command = { run = "true" }
"#,
        )
        .expect("a lesson")
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn phases() {
        let lesson = lesson();
        let all = |done: &[&str]| lesson.steps.iter().map(|step| phase(step, &set(done))).collect::<Vec<_>>();
        assert_eq!(all(&[]), [Phase::Open, Phase::Open, Phase::Waiting]);
        assert_eq!(all(&["ask"]), [Phase::Open, Phase::Done, Phase::Open]);
        // Done stays done, whatever the lesson asks for meanwhile.
        assert_eq!(all(&["do"]), [Phase::Open, Phase::Open, Phase::Done]);
    }

    #[test]
    fn fulfilled() {
        let lesson = lesson();
        let answered = [Answered { step: "ask".to_owned(), quiz: "q".to_owned() }];
        let met = |names: &'static [&str]| move |check: &str| names.contains(&check).then_some(CheckState::Met);
        assert!(!is_fulfilled(&lesson.steps[0], &answered, met(&["x", "y"])), "nothing can fulfil it");
        assert!(!is_fulfilled(&lesson.steps[1], &[], met(&[])));
        assert!(is_fulfilled(&lesson.steps[1], &answered, met(&[])));
        assert!(!is_fulfilled(&lesson.steps[2], &answered, met(&["x"])));
        assert!(is_fulfilled(&lesson.steps[2], &answered, met(&["x", "y"])));
    }

    #[test]
    fn what_is_told() {
        let lesson = lesson();
        let found = |_: &str, check: &str| {
            (check == "x").then(|| Verdict { state: CheckState::Met, detail: Some("1".to_owned()) })
        };
        let states = |done: &[&str]| {
            let statuses = statuses(&lesson, &set(done), found);
            statuses.into_iter().map(|it| (it.state, it.detail)).collect::<Vec<_>>()
        };
        let unmet = || (CheckState::Unmet, None);
        assert_eq!(states(&[]), [unmet(), unmet()]);
        assert_eq!(states(&["ask"]), [(CheckState::Met, Some("1".to_owned())), unmet()]);
        assert_eq!(states(&["do"]), [(CheckState::Met, None), (CheckState::Met, None)]);
    }
}
