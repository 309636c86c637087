//! The session's events as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use drydock_protocol::Envelope;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt};
use tokio::sync::broadcast::error::RecvError;

use super::App;
use crate::access::{self, Seat, Use};
use crate::error::Error;

/// Comments that keep proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// GET /sessions/{id}/events
pub(super) async fn stream(
    State(app): State<App>,
    seat: Seat,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let hub = app.sessions.hub(&seat.session).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    let (first, receiver) = hub.subscribe(last);
    let later = stream::unfold((hub, receiver), |(hub, mut receiver)| async move {
        match receiver.recv().await {
            Ok(envelope) => Some((vec![envelope], (hub, receiver))),
            // A page too slow for the stream starts over with a snapshot.
            Err(RecvError::Lagged(_)) => {
                let (snapshot, fresh) = hub.subscribe(None);
                receiver = fresh;
                Some((snapshot, (hub, receiver)))
            }
            Err(RecvError::Closed) => None,
        }
    });
    // The stream ends after the event that says that the session is over.
    let events = stream::once(async { first }).chain(later).flat_map(stream::iter);
    let events = events.scan(false, |over, envelope: Envelope| {
        let item = (!*over).then(|| {
            *over = says_over(&envelope);
            Ok(frame(&envelope))
        });
        async move { item }
    });
    let events = events.take_until(Box::pin(access::lost(app, seat, Use::Watch)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn says_over(envelope: &Envelope) -> bool {
    matches!(&envelope.event, drydock_protocol::SessionEvent::Session { session } if session.state.is_over())
}

fn frame(envelope: &Envelope) -> Event {
    // An envelope always serialises: its maps have text keys.
    let data = serde_json::to_string(envelope).unwrap_or_default();
    Event::default().id(envelope.seq.to_string()).data(data)
}
