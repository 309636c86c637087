//! Letting others into a session: a link to watch and a link to work together; and coming in by one.

use drydock_protocol::{Invite, May};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::components::A;
use leptos_router::hooks::use_navigate;

use super::code::copy_text;
use super::header::PlainHeader;
use super::sentence::{Sentence, explain};
use crate::api;
use crate::classes::{BUTTON, BUTTON_MAIN, DIALOG};
use crate::live::live;
use crate::settings::words;

/// The button and its dialog; for the owner.
#[component]
pub(crate) fn Share() -> impl IntoView {
    let words = words();
    let id = live().id;
    let dialog = NodeRef::<html::Dialog>::new();
    let invites = RwSignal::new(Vec::<Invite>::new());
    let failed = RwSignal::new(None::<api::Error>);
    let look = move || {
        let id = id.get_value();
        spawn_local(async move {
            match api::invites(&id).await {
                Ok(found) => {
                    failed.set(None);
                    invites.set(found);
                }
                Err(error) => failed.set(Some(error)),
            }
        });
    };
    let open = move |_| {
        look();
        if let Some(dialog) = dialog.get_untracked() {
            let _ = dialog.show_modal();
        }
    };
    let change = move |may: May, revoke: bool| {
        let id = id.get_value();
        spawn_local(async move {
            let done = if revoke { api::revoke_invite(&id, may).await } else { api::invite(&id, may).await.map(drop) };
            match done {
                Ok(()) => look(),
                Err(error) => failed.set(Some(error)),
            }
        });
    };
    let row = move |may: May| {
        let found = Memo::new(move |_| invites.with(|it| it.iter().find(|it| it.may == may).cloned()));
        let name = move || if may == May::Watch { words.get().share.watch } else { words.get().share.work };
        let link = move || {
            let origin = window().location().origin().unwrap_or_default();
            found.get().map(|it| format!("{origin}{}", it.path)).unwrap_or_default()
        };
        view! {
            <div class="mt-4 flex flex-wrap items-center gap-2">
                <Show
                    when=move || found.with(Option::is_some)
                    fallback=move || view! { <button class=BUTTON on:click=move |_| change(may, false)>{name}</button> }
                >
                    <label class="w-full text-sm">
                        {name}" "<span class="text-muted">{move || found.get().map(|it| (words.get().share.guests)(it.guests))}</span>
                        <input class="mt-1 w-full rounded-lg border border-line-strong bg-surface px-2 py-1 font-mono text-xs" readonly prop:value=link />
                    </label>
                    <button class=BUTTON_MAIN on:click=move |_| copy_text(&link())>{move || words.get().copy}</button>
                    <button class=BUTTON on:click=move |_| change(may, true)>{move || words.get().share.revoke}</button>
                </Show>
            </div>
        }
    };
    view! {
        <button class=BUTTON on:click=open aria-haspopup="dialog">{move || words.get().share.share}</button>
        <dialog
            node_ref=dialog
            class=format!("w-[30rem] {DIALOG}")
            aria-labelledby="share-title"
        >
            <h2 id="share-title" class="text-lg font-semibold">{move || words.get().share.share}</h2>
            <p class="mt-2 text-muted leading-relaxed">{move || words.get().share.text}</p>
            {row(May::Watch)}
            {row(May::Work)}
            {move || failed.get().map(|it| view! { <p class="mt-3 text-sm text-bad" role="alert">{explain(&it, words).1}</p> })}
            <form method="dialog" class="mt-5 flex justify-end">
                <button class=BUTTON>{move || words.get().close}</button>
            </form>
        </dialog>
    }
}

/// Comes in by a link, then shows the session under its own address.
#[component]
pub(crate) fn ComeIn(
    /// The session.
    id: String,
    /// What the link holds.
    token: String,
) -> impl IntoView {
    let words = words();
    let navigate = use_navigate();
    let failed = RwSignal::new(None::<api::Error>);
    spawn_local(async move {
        match api::redeem(&id, &token).await {
            Ok(_) => {
                let replace = NavigateOptions { replace: true, ..Default::default() };
                navigate(&format!("/sessions/{id}"), replace);
            }
            Err(error) => {
                let _ = failed.try_set(Some(error));
            }
        }
    });
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto max-w-xl px-6 py-20">
            {move || match failed.get() {
                None => view! { <p class="text-muted" role="status">{words.get().loading}</p> }.into_any(),
                Some(error) => {
                    let (title, text) = explain(&error, words);
                    view! { <Sentence title=title text=text><A href="/" attr:class=BUTTON_MAIN>{words.get().back}</A></Sentence> }.into_any()
                }
            }}
        </main>
    }
}
