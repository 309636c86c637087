//! The way into a class: its code, then a name.

use std::time::Duration;

use drydock_protocol::class::{CODE_LENGTH, NAME_LIMIT, read_code};
use drydock_protocol::{ClassPlace, ClassState, Invitation};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::{use_navigate, use_params_map};
use wasm_bindgen::JsValue;
use web_sys::SubmitEvent;

use crate::api;
use crate::classes::{BUTTON_MAIN, CARD};
use crate::parts::{PlainHeader, explain};
use crate::settings::{recall, remember, settings, words};

/// How often a page that waits asks again.
const AGAIN: Duration = Duration::from_secs(4);
/// A text field.
const FIELD: &str = "mt-1 block w-full rounded-lg border border-line-strong bg-surface px-3 py-2 text-base text-ink focus:border-accent";

/// The page; without a code it asks for one.
#[component]
pub(crate) fn JoinPage() -> impl IntoView {
    let words = words();
    let params = use_params_map();
    let code = Memo::new(move |_| params.with(|it| it.get("code")));
    Effect::new(move || document().set_title(&format!("{} · Drydock", words.get().class.join_title)));
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto w-full max-w-md px-6 py-16">
            {move || match code.get() {
                Some(code) => view! { <Door code /> }.into_any(),
                None => view! { <CodeForm /> }.into_any(),
            }}
        </main>
    }
}

#[component]
fn CodeForm() -> impl IntoView {
    let words = words();
    let navigate = use_navigate();
    let code = RwSignal::new(String::new());
    let wrong = RwSignal::new(false);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        match read_code(&code.get_untracked()) {
            Some(code) => navigate(&format!("/join/{code}"), Default::default()),
            None => wrong.set(true),
        }
    };
    view! {
        <form class=format!("{CARD} flex flex-col gap-4") on:submit=submit>
            <h1 class="text-lg font-semibold">{move || words.get().class.join_title}</h1>
            <p class="text-muted leading-relaxed">{move || words.get().class.join_text}</p>
            <label class="text-sm font-medium">
                {move || words.get().class.code}
                <input
                    class=format!("{FIELD} font-mono tracking-widest uppercase")
                    name="code"
                    autocomplete="off"
                    autocapitalize="characters"
                    spellcheck="false"
                    maxlength=(CODE_LENGTH * 2).to_string()
                    on:input=move |event| { wrong.set(false); code.set(event_target_value(&event)); }
                />
            </label>
            <Show when=move || wrong.get()>
                <p class="text-sm text-bad" role="alert">{move || words.get().class.no_class}</p>
            </Show>
            <button class=BUTTON_MAIN type="submit">{move || words.get().class.go_on}</button>
        </form>
    }
}

/// What the code leads to: a name is asked for, or the place is there already.
#[component]
fn Door(code: String) -> impl IntoView {
    let words = words();
    let navigate = use_navigate();
    let code = StoredValue::new(code);
    let invitation = RwSignal::new(None::<Result<Invitation, api::Error>>);
    let refused = RwSignal::new(None::<api::Error>);
    let enter = move |place: &ClassPlace| {
        if let Some(session) = &place.session {
            navigate(&format!("/sessions/{session}"), Default::default());
        }
    };
    let ask = move || {
        let enter = enter.clone();
        spawn_local(async move {
            let answer = api::invitation(&code.get_value()).await;
            if let Ok(Invitation { place: Some(place), .. }) = &answer {
                enter(place);
            }
            // Who has a place keeps it while the server is away for a moment.
            let has_place = invitation.try_with_untracked(|it| {
                it.as_ref().and_then(|it| it.as_ref().ok()).is_some_and(|it| it.place.is_some())
            });
            if answer.is_ok() || has_place == Some(false) {
                let _ = invitation.try_set(Some(answer));
            }
        });
    };
    ask();
    // Who has a place and no session yet waits for it.
    let waits = Memo::new(move |_| {
        invitation.with(|it| {
            it.as_ref().and_then(|it| it.as_ref().ok()).is_some_and(|it| {
                let unseated = it.place.as_ref().is_some_and(|place| place.session.is_none());
                unseated && (it.state == ClassState::Planned || it.place.as_ref().is_some_and(|it| it.ahead.is_some()))
            })
        })
    });
    let again = ask.clone();
    Effect::new(move || {
        if waits.get() {
            let again = again.clone();
            if let Ok(timer) = set_interval_with_handle(again, AGAIN) {
                on_cleanup(move || timer.clear());
            }
        }
    });
    let join = Callback::new(move |name: String| {
        let ask = ask.clone();
        refused.set(None);
        spawn_local(async move {
            match api::join(&code.get_value(), &name).await {
                Ok(_) => {
                    remember("name", &name);
                    ask();
                }
                Err(error) => drop(refused.try_set(Some(error))),
            }
        });
    });
    view! {
        <section class=format!("{CARD} flex flex-col gap-4")>
            {move || match invitation.get() {
                None => view! { <p class="text-muted" role="status">{words.get().loading}</p> }.into_any(),
                Some(Err(error)) => view! { <Refusal error /> }.into_any(),
                Some(Ok(invitation)) => view! { <Inside invitation join /> }.into_any(),
            }}
            {move || refused.get().map(|error| view! { <Refusal error /> })}
        </section>
    }
}

#[component]
fn Inside(invitation: Invitation, join: Callback<String>) -> impl IntoView {
    let words = words();
    let Invitation { title, state, starts_millis, full, place, .. } = invitation;
    let when = move || {
        let date = js_sys::Date::new(&JsValue::from_f64(starts_millis as f64));
        String::from(date.to_locale_string(settings().language.get().tag(), &JsValue::UNDEFINED))
    };
    let says = move |text: String| view! { <p class="text-muted leading-relaxed" role="status">{text}</p> }.into_any();
    let rest = match place {
        _ if state == ClassState::Over => (move || says(words.get().class.over.to_owned())).into_any(),
        Some(ClassPlace { ahead: Some(ahead), .. }) => (move || says((words.get().class.waits)(ahead))).into_any(),
        Some(ClassPlace { session: Some(_), .. }) => (move || says(words.get().loading.to_owned())).into_any(),
        Some(_) if state == ClassState::Planned => (move || says((words.get().class.begins)(&when()))).into_any(),
        Some(place) => view! {
            {move || says(words.get().class.ended.to_owned())}
            <button class=BUTTON_MAIN on:click=move |_| join.run(place.name.clone())>{move || words.get().class.again}</button>
        }
        .into_any(),
        None if full => (move || says(words.get().class.full.to_owned())).into_any(),
        None => view! { <NameForm join /> }.into_any(),
    };
    view! {
        <h1 class="text-lg font-semibold text-balance">{title}</h1>
        {rest}
    }
}

#[component]
fn NameForm(join: Callback<String>) -> impl IntoView {
    let words = words();
    let name = RwSignal::new(recall("name").unwrap_or_default());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        join.run(name.get_untracked());
    };
    view! {
        <form class="flex flex-col gap-4" on:submit=submit>
            <label class="text-sm font-medium">
                {move || words.get().class.name}
                <input class=FIELD name="name" autocomplete="nickname" required maxlength=NAME_LIMIT.to_string() prop:value=name on:input=move |event| name.set(event_target_value(&event)) />
            </label>
            <p class="text-sm text-muted">{move || words.get().class.name_text}</p>
            <button class=BUTTON_MAIN type="submit">{move || words.get().class.join}</button>
        </form>
    }
}

#[component]
fn Refusal(error: api::Error) -> impl IntoView {
    let words = words();
    let text = move || match &error {
        api::Error::Refused { status: 404, .. } => words.get().class.no_class.to_owned(),
        api::Error::Refused { status: 410, .. } => words.get().class.over.to_owned(),
        api::Error::Refused { status: 429, .. } => words.get().class.too_often.to_owned(),
        error if error.is_capacity() => words.get().class.full.to_owned(),
        error => {
            let (title, text) = explain(error, words);
            words.marks().sentences(title, text)
        }
    };
    view! { <p class="text-sm text-bad leading-relaxed" role="alert">{text}</p> }
}
