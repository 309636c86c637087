//! One lesson on one cluster, from its first step to its last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drydock_protocol::{Answer, CheckState, CreateSession, Language, Session, SessionState};

use super::Case;
use super::report::{Report, Row};
use crate::lessons::StepDefinition;
use crate::live::Shell;
use crate::sessions::{Hub, Looked, Sessions};

/// How long a cluster and what its lesson sets up may take.
const START: Duration = Duration::from_secs(300);
/// How long one act of a solution may take.
const ACT: Duration = Duration::from_secs(180);
/// How long it may take until a check sees what was done.
const SEEN: Duration = Duration::from_secs(150);
/// What holds by itself shortly after a step begins holds before anything was done.
const SETTLE: Duration = Duration::from_secs(1);

/// Does a lesson and says what was found.
pub(super) async fn run(sessions: &Arc<Sessions>, case: &Case) -> Report {
    let languages: Vec<_> = case.languages.iter().map(|language| language.tag()).collect();
    let mut report = Report { title: format!("{} ({})", case.slug, languages.join(", ")), ..Report::default() };
    let began = Instant::now();
    let request = CreateSession { lesson: Some(case.slug.clone()), workers: None };
    match sessions.create(&request, "").await {
        Ok(session) => {
            if let Ok(hub) = sessions.hub(&session.id).await {
                if let Err(error) = whole(sessions, &hub, case, &mut report).await {
                    report.errors.push(error);
                }
                // One that failed to start is over by itself.
                let _ = sessions.end(&session.id, "The proof is over.").await;
                wait(&hub, START, |session| session.state.is_over()).await;
            }
        }
        Err(error) => report.errors.push(error.to_string()),
    }
    report.time = began.elapsed();
    report
}

async fn whole(sessions: &Arc<Sessions>, hub: &Arc<Hub>, case: &Case, report: &mut Report) -> Result<(), String> {
    let started = |session: &Session| session.state == SessionState::Ready || session.state.is_over();
    if !wait(hub, START, started).await || hub.session().state != SessionState::Ready {
        return Err(hub.session().reason.unwrap_or_else(|| "the session did not become ready".to_owned()));
    }
    for (step, acts) in case.definition.steps.iter().zip(&case.acts) {
        before(hub, step, report).await?;
        wrong_answers(sessions, hub, case, step).await?;
        let shell = Shell::new(sessions.engine(), hub.name());
        for act in acts {
            let failed = |reason| format!("step {:?}: what is to be done fails: {reason}", step.id);
            shell.act(act, ACT).await.map_err(failed)?;
            // As a line typed in a terminal would.
            hub.typed();
        }
        let began = Instant::now();
        right_answers(sessions, hub, step).await?;
        if step.is_checked() {
            after(hub, step, began, report).await?;
        }
    }
    Ok(())
}

/// Nothing of a step may hold before anything was done for it.
async fn before(hub: &Arc<Hub>, step: &StepDefinition, report: &mut Report) -> Result<(), String> {
    hub.look().await;
    tokio::time::sleep(SETTLE).await;
    let looked = hub.look().await;
    let is_done = hub.session().steps_done.contains(&step.id);
    for check in &step.checks {
        let (state, seen) = finding(&looked, step, &check.id);
        if state == "met" || is_done {
            let error =
                format!("step {:?}: check {:?} holds before anything was done; seen: {seen}", step.id, check.id);
            report.errors.push(error);
        } else if state == "error" {
            report.errors.push(format!("step {:?}: check {:?} cannot be evaluated: {seen}", step.id, check.id));
        }
        let (step, what) = (step.id.clone(), check.id.clone());
        report.rows.push(Row { step, what, before: if is_done { "met" } else { state }, after: "", time: None });
    }
    for quiz in &step.quizzes {
        let (step, what) = (step.id.clone(), format!("quiz {}", quiz.id));
        report.rows.push(Row { step, what, before: "open", after: "", time: None });
    }
    match looked.problems.first() {
        Some(problem) => Err(format!("step {:?}: the setup fails: {problem}", step.id)),
        None => Ok(()),
    }
}

fn finding<'a>(looked: &'a Looked, step: &StepDefinition, check: &str) -> (&'static str, &'a str) {
    match looked.found.get(&(step.id.clone(), check.to_owned())) {
        None => ("unmet", ""),
        Some(found) => {
            let state = match found.verdict.state {
                CheckState::Met => "met",
                CheckState::Unmet => "unmet",
                CheckState::Error => "error",
            };
            (state, &found.seen)
        }
    }
}

/// Answers that are not right must not be taken for right.
async fn wrong_answers(
    sessions: &Arc<Sessions>,
    hub: &Arc<Hub>,
    case: &Case,
    step: &StepDefinition,
) -> Result<(), String> {
    for quiz in &step.quizzes {
        let options = case.options.iter().filter(|(of, named, _)| *of == step.id && *named == quiz.id);
        let wrong = options.map(|(_, _, option)| option).filter(|option| !quiz.right.contains(option));
        let answer = Answer { step: step.id.clone(), quiz: quiz.id.clone(), options: wrong.cloned().collect() };
        for language in &case.languages {
            let verdict = sessions.answer(hub.id(), &answer, *language).await.map_err(|error| error.to_string())?;
            if verdict.right {
                return Err(format!("step {:?}: quiz {:?} takes a wrong answer for right", step.id, quiz.id));
            }
        }
    }
    Ok(())
}

async fn right_answers(sessions: &Arc<Sessions>, hub: &Arc<Hub>, step: &StepDefinition) -> Result<(), String> {
    for quiz in &step.quizzes {
        let answer = Answer { step: step.id.clone(), quiz: quiz.id.clone(), options: quiz.right.clone() };
        let verdict = sessions.answer(hub.id(), &answer, Language::English).await.map_err(|error| error.to_string())?;
        if !verdict.right {
            return Err(format!("step {:?}: quiz {:?} does not take its right answer", step.id, quiz.id));
        }
    }
    Ok(())
}

/// The step must be done by itself now.
async fn after(hub: &Arc<Hub>, step: &StepDefinition, began: Instant, report: &mut Report) -> Result<(), String> {
    let is_done = wait(hub, SEEN, |session| session.steps_done.contains(&step.id)).await;
    let time = began.elapsed();
    let looked = if is_done { Arc::default() } else { hub.look().await };
    let mut missing = Vec::new();
    for row in report.rows.iter_mut().filter(|row| row.step == step.id) {
        row.time = is_done.then_some(time);
        row.after = if is_done || row.what.starts_with("quiz ") { "met" } else { finding(&looked, step, &row.what).0 };
        if row.after != "met" {
            missing.push(format!("{:?} (seen: {})", row.what, finding(&looked, step, &row.what).1));
        }
    }
    if is_done {
        return Ok(());
    }
    if missing.is_empty() {
        missing.push("nothing, but the step is not done: does it need one that is not?".to_owned());
    }
    let seconds = SEEN.as_secs();
    Err(format!("step {:?}: {seconds} s after what is to be done, what does not hold: {}", step.id, missing.join(", ")))
}

/// Waits until the session is as it should be.
async fn wait(hub: &Arc<Hub>, limit: Duration, is: impl Fn(&Session) -> bool) -> bool {
    let (_, mut events) = hub.subscribe(None);
    let changes = async {
        while !is(&hub.session()) {
            // What was missed does not matter: the session is looked at as it is.
            if matches!(events.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                break;
            }
        }
    };
    tokio::time::timeout(limit, changes).await.is_ok() && is(&hub.session())
}
