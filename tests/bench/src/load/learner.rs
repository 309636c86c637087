//! One learner's way: the catalogue, *Start*, the first lines of the lesson, *End*.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use super::browser::{Browser, Terminal};
use super::figures::Kind;
use super::{PAUSE, Seen, note};

/// Between two characters: a fast typist's pace.
const PACE: Duration = Duration::from_millis(150);
/// Between two lines: a look at the picture.
const LOOK: Duration = Duration::from_secs(2);
/// Lines of the lesson; the second fulfils its step `run`.
const FIRST: [&str; 1] = ["kubectl get nodes -o wide"];
const FULFILS: &str = "kubectl run hello --image=drydock/demo:v1";
/// Typed again and again until the class is over.
const LATER: [&str; 3] = ["kubectl get pod hello -o wide", "kubectl get pods -A", "kubectl logs hello"];

/// Plays it.
pub(super) async fn play(address: &str, seen: &Seen, until: Instant) -> anyhow::Result<()> {
    let mut browser = Browser::new(address);
    let begun = Instant::now();
    for path in ["/", "/api/v1/lessons?lang=en", "/api/v1/lessons/first-pod?lang=en"] {
        browser.ask("GET", path, "").await?;
    }
    note(seen, begun, Kind::Page, begun.elapsed());

    let begun = Instant::now();
    let session = browser.json("POST", "/api/v1/sessions", r#"{"lesson":"first-pod"}"#).await?;
    let id = session["id"].as_str().with_context(|| format!("no session: {session}"))?.to_owned();
    let mut events = browser.events(&id).await?;
    events.wait("the session to be ready", |event| state(event) == Some("Ready")).await?;
    note(seen, begun, Kind::Start, begun.elapsed());

    let begun = Instant::now();
    let mut terminal = browser.terminal(&id).await?;
    note(seen, begun, Kind::Prompt, begun.elapsed());

    for line in FIRST {
        typed(&mut terminal, line, seen).await?;
    }
    for key in FULFILS.chars() {
        press(&mut terminal, key, seen).await?;
    }
    let begun = Instant::now();
    // The check may be green before the prompt is back.
    let green = events.wait("the check to be green", |event| is_done(event, "run"));
    let (prompt, green) = tokio::join!(terminal.enter(), async { green.await.map(|()| begun.elapsed()) });
    note(seen, begun, Kind::Command, prompt?);
    note(seen, begun, Kind::Check, green?);

    for line in LATER.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        typed(&mut terminal, line, seen).await?;
    }
    drop(terminal);
    tokio::time::sleep_until((until + PAUSE).into()).await;
    let begun = Instant::now();
    browser.ask("DELETE", &format!("/api/v1/sessions/{id}"), "").await?;
    events.wait("the session's end", |event| state(event) == Some("Ended")).await?;
    note(seen, begun, Kind::End, begun.elapsed());
    Ok(())
}

async fn typed(terminal: &mut Terminal, line: &str, seen: &Seen) -> anyhow::Result<()> {
    for key in line.chars() {
        press(terminal, key, seen).await?;
    }
    let begun = Instant::now();
    note(seen, begun, Kind::Command, terminal.enter().await?);
    tokio::time::sleep(LOOK).await;
    Ok(())
}

async fn press(terminal: &mut Terminal, key: char, seen: &Seen) -> anyhow::Result<()> {
    tokio::time::sleep(PACE).await;
    let begun = Instant::now();
    note(seen, begun, Kind::Echo, terminal.key(key).await?);
    Ok(())
}

/// The session's state, where an event tells it.
fn state(event: &Value) -> Option<&str> {
    let event = inner(event);
    event["session"]["state"].as_str()
}

/// Whether an event says that a step is fulfilled.
fn is_done(event: &Value, step: &str) -> bool {
    let steps = inner(event)["session"]["steps_done"].as_array();
    steps.into_iter().flatten().any(|done| done == step)
}

/// What an envelope carries, which may lie beside its number or below a key.
fn inner(event: &Value) -> &Value {
    let event = event.get("event").unwrap_or(event);
    event.get("snapshot").unwrap_or(event)
}
