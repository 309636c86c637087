//! One clear sentence on what is the matter, and what to do about it.

use leptos::prelude::*;

use crate::api;
use crate::classes::CARD;
use crate::settings::Words;

/// A card with a title, a sentence and buttons.
#[component]
pub(crate) fn Sentence(
    /// What is the matter.
    #[prop(into)]
    title: Signal<String>,
    /// What to do.
    #[prop(into)]
    text: Signal<String>,
    /// Buttons.
    children: Children,
) -> impl IntoView {
    view! {
        <section class=format!("{CARD} rise flex flex-col gap-3") role="status">
            <h1 class="text-lg font-semibold">{title}</h1>
            <p class="text-muted leading-relaxed">{text}</p>
            <div class="flex flex-wrap gap-2 pt-1">{children()}</div>
        </section>
    }
}

/// Title and text of a failed request.
pub(crate) fn explain(error: &api::Error, words: Words) -> (String, String) {
    let words = words.get();
    match error {
        api::Error::Offline => (words.offline_title.into(), words.offline_text.into()),
        error if error.is_capacity() => (words.capacity_title.into(), error.to_string()),
        error if error.is_absent() => (words.unknown_title.into(), words.unknown_text.into()),
        api::Error::Refused { code, message, .. } => (words.error_title.into(), words.refusal(code, message)),
    }
}
