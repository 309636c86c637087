//! What is seen of a learner's session as a row of the grid. Pure.

use std::collections::BTreeMap;

use drydock_protocol::{Joint, Learner, SessionState};

use super::stuck::{Pace, stuck};
use crate::lessons::Definition;
use crate::sessions::Progress;
use crate::store::MemberRow;

/// What the API server sees of a command line comes within this time.
const ITS_OWN_MILLIS: u64 = 10_000;

/// What the grid needs to know of a lesson.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Steps, and whether the server can see that they are done.
    pub(super) steps: Vec<(String, bool)>,
    /// How long a step is expected to take.
    pub(super) step_millis: u64,
    /// Workers of its cluster.
    pub(super) workers: u8,
}

impl Facts {
    /// Of a lesson.
    pub(super) fn new(definition: &Definition) -> Facts {
        let steps: Vec<_> = definition.steps.iter().map(|step| (step.id.clone(), step.is_checked())).collect();
        let step_millis = u64::from(definition.minutes) * 60_000 / steps.len().max(1) as u64;
        Facts { steps, step_millis, workers: definition.workers }
    }

    /// The first step that the server can see and that is not done.
    fn open(&self, done: &[String]) -> Option<usize> {
        self.steps.iter().position(|(step, is_checked)| *is_checked && !done.contains(step))
    }
}

/// What is seen of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its state.
    pub(super) state: SessionState,
    /// Why.
    pub(super) reason: Option<String>,
    /// Its lesson.
    pub(super) lesson: Option<String>,
    /// Whether a page shows it.
    pub(super) online: bool,
    /// When it became usable; 0: not yet.
    pub(super) ready_millis: u64,
    /// Steps that are done.
    pub(super) steps_done: Vec<String>,
    /// How its learner goes on.
    pub(super) progress: Progress,
    /// The action that the API server saw last.
    pub(super) action: Option<(String, u64)>,
    /// Checks that fail, by step.
    pub(super) failing: BTreeMap<String, String>,
    /// Who looks.
    pub(super) watchers: u16,
}

/// The grid's rows.
pub(super) fn rows(
    members: &[(&MemberRow, Joint)],
    seen: &BTreeMap<&str, Seen>,
    lessons: &BTreeMap<String, Facts>,
    starts_millis: u64,
    now_millis: u64,
) -> Vec<Learner> {
    let of = |member: &MemberRow| member.session.as_deref().and_then(|session| seen.get(session));
    let facts = |seen: &Seen| seen.lesson.as_ref().and_then(|slug| lessons.get(slug));
    // How far each is: the lesson of the class, and steps done in it.
    let far: Vec<(u16, usize)> =
        members.iter().filter_map(|(member, _)| of(member).map(|seen| (member.at, done(seen, facts(seen))))).collect();
    members
        .iter()
        .map(|(member, joint)| {
            let mut learner = Learner {
                id: member.number,
                name: member.name.clone(),
                joined_millis: member.joined_millis,
                session: member.session.clone(),
                hand_millis: member.hand_millis,
                joint: *joint,
                ..Learner::default()
            };
            if let Some(seen) = of(member) {
                let here = (member.at, done(seen, facts(seen)));
                let ahead = far.iter().filter(|other| **other > here).count();
                fill(&mut learner, seen, facts(seen), (ahead, far.len()), starts_millis, now_millis);
            }
            learner
        })
        .collect()
}

/// What to show of the last command line and the last change that the API server saw: what came of a command is not told in its
/// place.
fn last<'a>(command: Option<&'a (String, u64)>, action: Option<&'a (String, u64)>) -> Option<&'a (String, u64)> {
    match (command, action) {
        (Some(command), Some(action)) if action.1 <= command.1.saturating_add(ITS_OWN_MILLIS) => Some(command),
        (command, action) => action.or(command),
    }
}

/// Steps of the lesson that are done.
fn done(seen: &Seen, facts: Option<&Facts>) -> usize {
    facts.map_or(0, |facts| facts.steps.iter().filter(|(step, _)| seen.steps_done.contains(step)).count())
}

fn fill(
    learner: &mut Learner,
    seen: &Seen,
    facts: Option<&Facts>,
    (ahead, all): (usize, usize),
    starts_millis: u64,
    now_millis: u64,
) {
    learner.state = Some(seen.state);
    learner.reason.clone_from(&seen.reason);
    learner.online = seen.online;
    learner.lesson.clone_from(&seen.lesson);
    learner.watchers = seen.watchers;
    if let Some((command, millis)) = last(seen.progress.command.as_ref(), seen.action.as_ref()) {
        learner.last_command = Some(command.clone());
        learner.last_command_millis = *millis;
    }
    let Some(facts) = facts else { return };
    let small = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    learner.step_count = small(facts.steps.len());
    learner.steps_done = small(done(seen, Some(facts)));
    let Some(open) = facts.open(&seen.steps_done) else {
        learner.step_number = learner.step_count;
        return;
    };
    let step = &facts.steps[open].0;
    learner.step = Some(step.clone());
    learner.step_number = small(open + 1);
    if seen.ready_millis == 0 || seen.state != SessionState::Ready {
        return;
    }
    learner.step_since_millis = seen.ready_millis.max(seen.progress.step_millis).max(starts_millis);
    learner.attempts = seen.progress.attempts;
    learner.failing = seen.failing.get(step).cloned();
    learner.stuck = stuck(&Pace {
        millis: now_millis.saturating_sub(learner.step_since_millis),
        expected_millis: facts.step_millis,
        attempts: seen.progress.attempts,
        failing: learner.failing.is_some(),
        ahead,
        all,
    });
}

#[cfg(test)]
mod tests;
