//! The answer to an address that leads nowhere.

use leptos::prelude::*;
use leptos_router::components::A;

use crate::classes::BUTTON_MAIN;
use crate::parts::{PlainHeader, Sentence};
use crate::settings::words;

/// The page.
#[component]
pub(crate) fn NotFound() -> impl IntoView {
    let words = words();
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto max-w-xl px-6 py-20">
            <Sentence title=Signal::derive(move || words.get().not_found_title.to_owned()) text=Signal::derive(move || words.get().not_found_text.to_owned())>
                <A href="/" attr:class=BUTTON_MAIN>{move || words.get().back}</A>
            </Sentence>
        </main>
    }
}
