//! The log of a pod's container, as it is written.

use std::collections::VecDeque;

use drydock_protocol::LogChunk;
use gloo::events::EventListener;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{EventSource, MessageEvent};

use crate::api;
use crate::live::live;
use crate::settings::words;

/// Lines kept.
const KEPT: usize = 2000;

/// What was read so far.
#[derive(Clone, Default, PartialEq)]
struct Read {
    lines: VecDeque<String>,
    /// Why there is no more; an empty text is the ordinary end.
    end: Option<String>,
}

/// The open stream; dropping it closes it.
struct Stream {
    source: EventSource,
    _listeners: [EventListener; 3],
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.close();
    }
}

/// The log of a pod.
#[component]
pub(super) fn LogView(
    /// Its namespace.
    namespace: String,
    /// Its name.
    pod: String,
    /// Its containers; the first is shown first.
    containers: Vec<String>,
) -> impl IntoView {
    let words = words();
    let live = live();
    let container = RwSignal::new(containers.first().cloned().unwrap_or_default());
    let previous = RwSignal::new(false);
    let read = RwSignal::new(Read::default());
    let stream = StoredValue::new_local(None::<Stream>);
    Effect::new(move || {
        read.set(Read::default());
        let (container, previous) = (container.get(), previous.get());
        let id = live.id.get_value();
        stream.set_value(api::logs(&id, &namespace, &pod, &container, previous).ok().map(|it| follow(it, read)));
    });
    on_cleanup(move || drop(stream.try_update_value(Option::take)));
    let text = move || {
        read.with(|it| {
            let mut text = String::with_capacity(it.lines.iter().map(|it| it.len() + 1).sum());
            for line in &it.lines {
                text.push_str(line);
                text.push('\n');
            }
            text
        })
    };
    let note = move || {
        read.with(|it| match &it.end {
            Some(reason) if reason.is_empty() => words.get().scene.log_over.to_owned(),
            Some(reason) => reason.clone(),
            None if it.lines.is_empty() => words.get().scene.no_lines.to_owned(),
            None => String::new(),
        })
    };
    let place = NodeRef::<html::Pre>::new();
    // Who reads at the end stays at the end.
    let at_end = StoredValue::new(true);
    Effect::new(move || {
        read.track();
        if let Some(place) = place.get()
            && at_end.get_value()
        {
            place.set_scroll_top(place.scroll_height());
        }
    });
    let scrolled = move |_| {
        if let Some(place) = place.get_untracked() {
            at_end.set_value(place.scroll_top() + place.client_height() + 24 >= place.scroll_height());
        }
    };
    let several = containers.len() > 1;
    view! {
        <div class="flex min-h-0 grow flex-col gap-2">
            <div class="flex flex-wrap items-center gap-3 text-xs">
                <label class="flex items-center gap-1.5" class:hidden=!several>
                    <span class="text-muted">{move || words.get().scene.container}</span>
                    <select class="rounded-md border border-line bg-surface px-1.5 py-0.5" on:change=move |event| container.set(event_target_value(&event))>
                        {containers.into_iter().map(|it| view! { <option value=it.clone()>{it.clone()}</option> }).collect_view()}
                    </select>
                </label>
                <label class="flex cursor-pointer items-center gap-1.5">
                    <input type="checkbox" class="size-3 accent-accent" on:change=move |event| previous.set(event_target_checked(&event)) />
                    {move || words.get().scene.previous}
                </label>
            </div>
            <pre node_ref=place tabindex="0" class="min-h-24 grow overflow-auto rounded-lg bg-term p-2.5 font-mono text-xs leading-[1.45] whitespace-pre-wrap break-all text-term-ink" data-log on:scroll=scrolled>{text}</pre>
            <p class="text-xs text-muted empty:hidden" role="status">{note}</p>
        </div>
    }
}

/// Takes in what arrives.
fn follow(source: EventSource, read: RwSignal<Read>) -> Stream {
    // A stream that was broken begins anew, with what was written before.
    let on_open = EventListener::new(&source, "open", move |_| drop(read.try_set(Read::default())));
    let closing = source.clone();
    let on_message = EventListener::new(&source, "message", move |event| {
        let Some(text) = event.unchecked_ref::<MessageEvent>().data().as_string() else { return };
        match serde_json::from_str::<LogChunk>(&text) {
            Ok(LogChunk::Lines { lines }) => drop(read.try_update(|it| {
                it.lines.extend(lines);
                let surplus = it.lines.len().saturating_sub(KEPT);
                it.lines.drain(..surplus);
            })),
            Ok(LogChunk::End { reason }) => {
                closing.close();
                let _ = read.try_update(|it| it.end = Some(reason.unwrap_or_default()));
            }
            Err(_) => {}
        }
    });
    let failing = source.clone();
    let on_error = EventListener::new(&source, "error", move |_| {
        if failing.ready_state() == EventSource::CLOSED {
            let _ = read.try_update(|it| {
                it.end.get_or_insert_default();
            });
        }
    });
    Stream { source, _listeners: [on_open, on_message, on_error] }
}
