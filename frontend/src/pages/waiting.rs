//! A session that waits for its turn: where it stands, for how long, and what for.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api;
use crate::classes::{BUTTON, CARD};
use crate::live::live;
use crate::parts::PlainHeader;
use crate::settings::words;

/// The page; it goes on by itself when the turn has come.
#[component]
pub(crate) fn Waiting() -> impl IntoView {
    let words = words();
    let live = live();
    let place = Memo::new(move |_| live.session.with(|it| it.as_ref().and_then(|it| it.queue)));
    let leave = move |_| {
        let id = live.id.get_value();
        spawn_local(async move {
            match api::end(&id).await {
                Ok(session) => live.set_session(session),
                Err(error) => live.problem.set(Some(error)),
            }
        });
    };
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto max-w-xl px-6 py-20">
            <section class=format!("{CARD} rise") aria-live="polite">
                <h1 class="text-base font-semibold">{move || words.get().page.queue_title}</h1>
                {move || place.get().map(|it| view! {
                    <p class="mt-3 text-lg tabular-nums" data-queue=it.position>{(words.get().page.queue_position)(it.position)}</p>
                    <p class="mt-1">{(words.get().page.queue_wait)(it.expected_millis)}</p>
                    <p class="mt-3 text-sm text-muted">{words.get().page.waits_for[it.waits_for as usize]}</p>
                })}
                <p class="mt-3 mb-4 text-sm text-muted">{move || words.get().page.queue_text}</p>
                <button class=BUTTON on:click=leave>{move || words.get().page.queue_leave}</button>
            </section>
        </main>
    }
}
