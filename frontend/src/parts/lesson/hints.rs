//! Hints: those that fit this learner's cluster show by themselves, the others one more at each click.

use drydock_protocol::Hint;
use leptos::prelude::*;

use crate::classes::LINK;
use crate::inline::fill;
use crate::live::live;
use crate::settings::words;

const BOX: &str = "rise mt-3 rounded-e-lg border-s-3 border-accent bg-accent-soft px-4 py-3 text-sm";

/// Hints about the cluster as it is now, until the step is done.
#[component]
pub(super) fn LiveHints(step: String, hints: Vec<Hint>, done: Memo<bool>) -> impl IntoView {
    let words = words();
    let live = live();
    let fitting = Memo::new(move |_| -> Vec<String> {
        if done.get() {
            return Vec::new();
        }
        live.hints.with(|now| {
            let status = |hint: &Hint| now.iter().find(|it| it.step == step && Some(&it.hint) == hint.id.as_ref());
            hints.iter().filter_map(|hint| Some(fill(&hint.html, &status(hint)?.values))).collect()
        })
    });
    view! {
        <div aria-live="polite">
            {move || fitting.get().into_iter().map(|html| view! {
                <div class=format!("{BOX} live-hint")>
                    <p class="font-semibold">{move || words.get().page.hint_live}</p>
                    <div class="prose mt-1" inner_html=html></div>
                </div>
            }).collect::<Vec<_>>()}
        </div>
    }
}

/// Hints on demand.
#[component]
pub(super) fn Hints(hints: Vec<String>) -> impl IntoView {
    let words = words();
    let shown = RwSignal::new(0);
    let count = hints.len();
    let hint = move |(index, html): (usize, String)| {
        view! {
            <Show when=move || { index < shown.get() }>
                <div class=BOX>
                    <p class="font-semibold">{move || words.get().hint}</p>
                    <div class="prose mt-1" inner_html=html.clone()></div>
                </div>
            </Show>
        }
    };
    view! {
        <div class="mt-4" aria-live="polite">
            {hints.into_iter().enumerate().map(hint).collect_view()}
            <Show when=move || { shown.get() < count }>
                <button class=format!("{LINK} mt-3 text-sm") on:click=move |_| shown.update(|it| *it += 1)>
                    {move || if shown.get() == 0 { words.get().show_hint } else { words.get().more_hint }}
                </button>
            </Show>
        </div>
    }
}
