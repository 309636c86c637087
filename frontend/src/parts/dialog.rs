//! A question before something that cannot be undone.

use leptos::html;
use leptos::prelude::*;

use crate::classes::{BUTTON, BUTTON_DANGER, DIALOG};
use crate::settings::words;

/// Keeps a modal dialog open while `is_open` holds.
pub(crate) fn open_while(dialog: NodeRef<html::Dialog>, is_open: impl Fn() -> bool + 'static) {
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        match (is_open(), dialog.open()) {
            (true, false) => drop(dialog.show_modal()),
            (false, true) => dialog.close(),
            _ => {}
        }
    });
}

/// A modal dialog, open while `open` holds. The browser keeps the focus inside and closes it on Esc.
#[component]
pub(crate) fn Confirm(
    /// Whether it is open.
    open: RwSignal<bool>,
    /// What is asked.
    #[prop(into)]
    question: Signal<&'static str>,
    /// What that does.
    #[prop(into)]
    consequence: Signal<&'static str>,
    /// Name of the button that does it.
    #[prop(into)]
    action: Signal<&'static str>,
    /// Does it.
    on_confirm: Callback<()>,
) -> impl IntoView {
    let words = words();
    let dialog = NodeRef::<html::Dialog>::new();
    open_while(dialog, move || open.get());
    view! {
        <dialog
            node_ref=dialog
            class=format!("w-[26rem] {DIALOG}")
            on:close=move |_| open.set(false)
            aria-labelledby="dialog-question"
        >
            <h2 id="dialog-question" class="text-lg font-semibold">{question}</h2>
            <p class="mt-2 text-muted leading-relaxed">{consequence}</p>
            <div class="mt-5 flex justify-end gap-2">
                <button class=BUTTON on:click=move |_| open.set(false)>{move || words.get().cancel}</button>
                <button class=BUTTON_DANGER on:click=move |_| { open.set(false); on_confirm.run(()); }>{action}</button>
            </div>
        </dialog>
    }
}
