//! The live grid as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::asker;
use crate::classroom::Grid;
use crate::error::Error;
use crate::identity::Instructor;
use crate::routes::App;

/// How often the class is looked at while somebody looks at the grid.
const EVERY: Duration = Duration::from_millis(500);
/// Comments that keep proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// GET /classes/{class}/events
pub(crate) async fn stream(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path(class): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let room = app.classroom.room(asker(&caller), &class)?;
    let grid = Grid::new(app.classroom.clone(), room);
    let mut tick = interval(EVERY);
    // A page that takes what it is sent slowly is sent less, not later.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = stream::unfold((grid, tick), |(mut grid, mut tick): (Grid, Interval)| async move {
        loop {
            tick.tick().await;
            if let Some(envelope) = grid.news().await? {
                // An envelope always serialises: its maps have text keys.
                let data = serde_json::to_string(&envelope).unwrap_or_default();
                let event = Event::default().id(envelope.seq.to_string()).data(data);
                return Some((Ok(event), (grid, tick)));
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
