//! A class as it is now: kept by its event stream, read by every part of its page.

use std::time::Duration;

use drydock_protocol::class::{Class, ClassEnvelope, ClassEvent, Learner, Post};
use gloo::events::EventListener;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use web_sys::{EventSource, MessageEvent};

use crate::api::Error;
use crate::staff::api;
use crate::staff::person::{Person, person};
use crate::staff::roster::{self, Roster};

/// A class as it is now.
#[derive(Clone, Copy)]
pub(crate) struct ClassLive {
    /// Its identifier.
    pub(crate) id: StoredValue<String>,
    /// The class; `None` until the first answer.
    pub(crate) class: RwSignal<Option<Class>>,
    /// Its learners.
    pub(crate) roster: RwSignal<Roster>,
    /// What was told, oldest first.
    pub(crate) posts: RwSignal<Vec<Post>>,
    /// Why it cannot be shown.
    pub(crate) problem: RwSignal<Option<Error>>,
    /// Whether the stream is broken at the moment.
    pub(crate) lost: RwSignal<bool>,
    /// The server's clock, every second.
    pub(crate) now: RwSignal<u64>,
    ahead: StoredValue<f64>,
    person: Person,
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

impl ClassLive {
    /// Starts to follow a class until the calling part of the page goes.
    pub(crate) fn follow(id: String) -> Self {
        let live = Self {
            id: StoredValue::new(id),
            class: RwSignal::new(None),
            roster: RwSignal::default(),
            posts: RwSignal::default(),
            problem: RwSignal::new(None),
            lost: RwSignal::new(false),
            now: RwSignal::new(js_sys::Date::now() as u64),
            ahead: StoredValue::new(0.0),
            person: person(),
        };
        let stream = StoredValue::new_local(None);
        live.connect(stream, 0);
        let tick = move || live.now.set((js_sys::Date::now() + live.ahead.get_value()) as u64);
        let timer = set_interval_with_handle(tick, Duration::from_secs(1)).ok();
        on_cleanup(move || {
            drop(stream.try_update_value(Option::take));
            if let Some(timer) = timer {
                timer.clear();
            }
        });
        provide_context(live);
        live
    }

    /// Takes over what a request answered.
    pub(crate) fn set_class(self, class: Class) {
        self.ahead.set_value(class.now_millis as f64 - js_sys::Date::now());
        let _ = self.now.try_set(class.now_millis);
        let _ = self.class.try_set(Some(class));
    }

    /// A learner as it is now.
    pub(crate) fn learner(self, id: u32) -> Memo<Option<Learner>> {
        Memo::new(move |_| self.roster.with(|it| it.get(&id).cloned()))
    }

    /// Asks for the class itself: the stream cannot tell that there is none.
    fn refresh(self) {
        let id = self.id.get_value();
        spawn_local(async move {
            match api::class(&id).await {
                Ok(class) => {
                    let _ = self.problem.try_set(None);
                    self.set_class(class);
                }
                Err(error) => {
                    if matches!(error, Error::Refused { status: 401, .. }) {
                        self.person.ask();
                    }
                    let _ = self.problem.try_set(Some(error));
                }
            }
        });
    }

    fn connect(self, stream: StoredValue<Option<Stream>, LocalStorage>, attempt: u32) {
        let Ok(source) = api::class_events(&self.id.get_value()) else { return };
        let on_message = EventListener::new(&source, "message", move |event| {
            if let Some(text) = event.unchecked_ref::<MessageEvent>().data().as_string()
                && let Ok(envelope) = serde_json::from_str::<ClassEnvelope>(&text)
            {
                let _ = self.lost.try_set(false);
                self.apply(envelope.event);
            }
        });
        let failing = source.clone();
        let on_error = EventListener::new(&source, "error", move |_| {
            if self.lost.try_set(true).is_some() {
                return; // The page is gone.
            }
            // The browser reconnects a broken stream itself, but gives up on an answer that is an error.
            if failing.ready_state() != EventSource::CLOSED {
                return;
            }
            self.refresh();
            let retry = move || {
                let gone = self.problem.try_get_untracked().flatten().is_some_and(|it| it.is_absent());
                if !stream.is_disposed() && !gone {
                    self.connect(stream, attempt + 1);
                }
            };
            set_timeout(retry, Duration::from_millis(500 << attempt.min(4)));
        });
        stream.set_value(Some(Stream { source, _listeners: [on_message, on_error] }));
    }

    fn apply(self, event: ClassEvent) {
        let _ = self.roster.try_update(|it| roster::apply(it, &event));
        match event {
            ClassEvent::Snapshot { class, posts, .. } => {
                self.set_class(*class);
                let _ = self.posts.try_set(posts);
                let _ = self.problem.try_set(None);
            }
            ClassEvent::Change { class, posts, .. } => {
                if let Some(class) = class {
                    self.set_class(*class);
                }
                if let Some(posts) = posts {
                    let _ = self.posts.try_set(posts);
                }
            }
            ClassEvent::Removed => {
                let gone =
                    Error::Refused { status: 404, code: String::new(), message: "The class was removed.".to_owned() };
                let _ = self.problem.try_set(Some(gone));
            }
        }
    }
}

/// The class that the page shows.
pub(crate) fn class_live() -> ClassLive {
    expect_context()
}
