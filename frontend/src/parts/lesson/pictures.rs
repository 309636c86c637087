//! Pictures of a lesson, large at a click or Enter: the pane is narrow, and what they say is small in it.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{Element, Event};

use crate::classes::ICON_BUTTON;
use crate::parts::{icons, open_while};
use crate::settings::words;

/// Address and description.
type Picture = (String, String);

/// Prose whose pictures can be chosen. It is clean HTML, in which `<` stands for nothing but elements.
pub(super) fn enlargeable(html: &str) -> String {
    html.replace("<img ", "<img tabindex=\"0\" role=\"button\" ")
}

/// The picture that an event is about.
pub(super) fn picture_of(event: &Event) -> Option<Picture> {
    let element = event.target()?.dyn_into::<Element>().ok()?;
    let is_picture = element.tag_name() == "IMG" && element.closest(".prose").ok()?.is_some();
    is_picture
        .then(|| (element.get_attribute("src").unwrap_or_default(), element.get_attribute("alt").unwrap_or_default()))
}

/// The picture, large.
#[component]
pub(super) fn Enlarged(picture: RwSignal<Option<Picture>>) -> impl IntoView {
    let words = words();
    let dialog = NodeRef::<html::Dialog>::new();
    open_while(dialog, move || picture.with(Option::is_some));
    view! {
        <dialog
            node_ref=dialog
            class="m-auto max-h-[94vh] max-w-[94vw] rounded-xl border border-line-strong bg-surface p-3 text-ink"
            aria-label=move || picture.with(|it| it.as_ref().map(|it| it.1.clone()))
            on:close=move |_| picture.set(None)
            on:click=move |_| picture.set(None)
        >
            <div class="flex justify-end pb-1">
                <button class=ICON_BUTTON aria-label=move || words.get().close title=move || words.get().close>{icons::cross()}</button>
            </div>
            {move || picture.get().map(|(source, text)| view! { <img class="h-auto max-h-[82vh] w-[64rem] max-w-full rounded-lg object-contain" src=source alt=text /> })}
        </dialog>
    }
}
