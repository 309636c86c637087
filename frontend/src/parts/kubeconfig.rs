//! The kubeconfig for programs on the learner's own machine: to download, and to take back.

use drydock_protocol::path;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::dialog::open_while;
use super::sentence::explain;
use crate::api;
use crate::classes::{BUTTON, BUTTON_DANGER, BUTTON_MAIN, DIALOG};
use crate::live::live;
use crate::settings::words;

/// The dialog, open while `open` holds.
#[component]
pub(crate) fn Kubeconfig(
    /// Whether it is open.
    open: RwSignal<bool>,
) -> impl IntoView {
    let words = words();
    let id = live().id;
    let dialog = NodeRef::<html::Dialog>::new();
    let outcome = RwSignal::new(None::<Result<(), api::Error>>);
    open_while(dialog, move || open.get());
    let leave = move |_| {
        open.set(false);
        outcome.set(None);
    };
    let revoke = move |_| {
        let id = id.get_value();
        spawn_local(async move { outcome.set(Some(api::revoke_kubeconfigs(&id).await)) });
    };
    let said = move || match outcome.get()? {
        Ok(()) => Some(view! { <p class="mt-3 text-sm" role="status">{words.get().kubeconfig.revoked}</p> }.into_any()),
        Err(error) => {
            let text = explain(&error, words).1;
            Some(view! { <p class="mt-3 text-sm text-bad" role="alert">{text}</p> }.into_any())
        }
    };
    view! {
        <dialog
            node_ref=dialog
            class=format!("w-[30rem] {DIALOG}")
            on:close=leave
            aria-labelledby="kubeconfig-title"
        >
            <h2 id="kubeconfig-title" class="text-lg font-semibold">{move || words.get().kubeconfig.title}</h2>
            <p class="mt-2 text-muted leading-relaxed">{move || words.get().kubeconfig.text}</p>
            {said}
            <div class="mt-5 flex flex-wrap justify-end gap-2">
                <button class=BUTTON on:click=move |_| open.set(false)>{move || words.get().close}</button>
                <button class=BUTTON_DANGER on:click=revoke>{move || words.get().kubeconfig.revoke}</button>
                <a class=BUTTON_MAIN rel="external" download="" href=move || id.with_value(|id| path::session_verb(id, "kubeconfig"))>
                    {move || words.get().kubeconfig.download}
                </a>
            </div>
        </dialog>
    }
}
