//! A stream of events that is followed, and opened again after every break, until the calling part of the page goes.

use std::time::Duration;

use gloo::events::EventListener;
use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{EventSource, MessageEvent};

/// Who follows a stream.
pub(crate) trait Follower: Copy + 'static {
    /// Opens the stream.
    fn open(self) -> Result<EventSource, JsValue>;
    /// Takes over a message; whether it was understood.
    fn take(self, text: &str) -> bool;
    /// Whether the stream is broken at the moment.
    fn broken(self) -> RwSignal<bool>;
    /// Asks for the thing itself: the stream cannot tell that there is none.
    fn refresh(self);
    /// Whether there is nothing more to come.
    fn is_over(self) -> bool;
}

/// The open stream with its listeners; dropping it closes the stream.
struct Stream {
    source: EventSource,
    _listeners: [EventListener; 2],
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.close();
    }
}

/// Where the stream is kept.
type Kept = StoredValue<Option<Stream>, LocalStorage>;

/// Follows until the calling part of the page goes.
pub(crate) fn follow(follower: impl Follower) {
    let kept: Kept = StoredValue::new_local(None);
    connect(follower, kept, 0);
    on_cleanup(move || drop(kept.try_update_value(Option::take)));
}

fn connect(follower: impl Follower, kept: Kept, attempt: u32) {
    let Ok(source) = follower.open() else { return };
    let on_message = EventListener::new(&source, "message", move |event| {
        if let Some(text) = event.unchecked_ref::<MessageEvent>().data().as_string()
            && follower.take(&text)
        {
            let _ = follower.broken().try_set(false);
        }
    });
    let failing = source.clone();
    let on_error = EventListener::new(&source, "error", move |_| {
        if follower.broken().try_set(true).is_some() {
            return; // The page is gone.
        }
        // The browser reconnects a broken stream itself, but gives up on an answer that is an error.
        if failing.ready_state() != EventSource::CLOSED || follower.is_over() {
            return;
        }
        follower.refresh();
        let retry = move || {
            if !kept.is_disposed() && !follower.is_over() {
                connect(follower, kept, attempt + 1);
            }
        };
        set_timeout(retry, Duration::from_millis(500 << attempt.min(4)));
    });
    kept.set_value(Some(Stream { source, _listeners: [on_message, on_error] }));
}
