//! One learner's way: the class's link, a name, *Join*, the first lines of the lesson, *End*.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::browser::{Browser, Terminal};
use super::figures::Kind;
use super::instructor::{LESSON, STEP};
use super::{PAUSE, Seen, note};

/// Between two characters: a fast typist's pace.
const PACE: Duration = Duration::from_millis(150);
/// How often a page whose learner has no session yet asks again.
const AGAIN: Duration = Duration::from_secs(4);
/// Between two lines: a look at the picture.
const LOOK: Duration = Duration::from_secs(2);
/// Lines of the lesson; the second fulfils its step `run`.
const FIRST: [&str; 1] = ["kubectl get nodes -o wide"];
const FULFILS: &str = "kubectl run hello --image=drydock/demo:v1";
/// Typed again and again until the class is over.
const LATER: [&str; 3] = ["kubectl get pod hello -o wide", "kubectl get pods -A", "kubectl logs hello"];

/// Plays it, as the learner of this name in the class of this code.
pub(super) async fn play(address: &str, code: &str, name: &str, seen: &Seen, until: Instant) -> anyhow::Result<()> {
    let mut browser = Browser::new(address);
    let begun = Instant::now();
    // As it is typed: small, with a hyphen.
    let typed_code = code.to_lowercase();
    let (first, last) = typed_code.split_at_checked(3).with_context(|| format!("a short code: {code}"))?;
    let door = format!("/api/v1/join/{first}-{last}");
    browser.ask("GET", &format!("/join/{code}"), "").await?;
    browser.ask("GET", &door, "").await?;
    note(seen, begun, Kind::Page, begun.elapsed());

    let begun = Instant::now();
    let mut place = browser.json("POST", &door, &json!({ "name": name }).to_string()).await?;
    anyhow::ensure!(place["name"] == name, "the place is somebody else's: {place}");
    while place["session"].is_null() {
        tokio::time::sleep(AGAIN).await;
        place = browser.json("GET", &door, "").await?["place"].take();
    }
    let id = place["session"].as_str().with_context(|| format!("no session: {place}"))?.to_owned();
    let session = format!("/sessions/{id}");
    let mut events = browser.events(&session).await?;
    browser.ask("GET", &format!("/api/v1/lessons/{LESSON}?lang=en"), "").await?;
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
    let green = events.wait("the check to be green", |event| is_done(event, STEP));
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
    browser.ask("DELETE", &format!("/api/v1{session}"), "").await?;
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
