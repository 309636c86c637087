//! Signing in, and making the first account with the link that the server's console shows.

use drydock_protocol::account::{Me, PASSWORD_MIN, SignInFailure};
use drydock_protocol::path::OIDC_START;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::components::A;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::api;
use super::field::Field;
use super::person::{Notice, person};
use super::words::{StaffWords, staff_words};
use crate::api::Error;
use crate::classes::{BUTTON, BUTTON_MAIN, CARD};
use crate::parts::explain;
use crate::settings::{Words, words};

/// What a refused attempt says.
pub(crate) fn refusal(error: &Error, words: Words, texts: StaffWords) -> String {
    match error {
        Error::Refused { status: 401, .. } => texts.get().wrong.to_owned(),
        Error::Refused { status: 429, .. } => texts.get().too_often.to_owned(),
        error => explain(error, words).1,
    }
}

/// The page on which one signs in.
#[component]
pub(crate) fn SignIn() -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let person = person();
    let query = use_query_map();
    let navigate = use_navigate();
    let (name, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<Error>);
    Effect::new(move || {
        if person.role().is_some() {
            let to =
                query.with_untracked(|it| it.get("to")).filter(|it| it.starts_with("/staff/") && !it.contains("//"));
            let options = NavigateOptions { replace: true, ..NavigateOptions::default() };
            navigate(to.as_deref().unwrap_or("/staff/classes"), options);
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        error.set(None);
        spawn_local(async move {
            let answer = api::sign_in(name.get_untracked(), password.get_untracked()).await;
            let _ = busy.try_set(false);
            match answer {
                Ok(me) => person.take(me),
                Err(reason) => {
                    let _ = password.try_set(String::new());
                    let _ = error.try_set(Some(reason));
                }
            }
        });
    };
    let ways = move || person.me.with(|it| it.as_ref()?.as_ref().ok().map(|it| it.sign_in.clone()));
    let is_new = move || ways().is_some_and(|it| !it.ready && it.oidc.is_none());
    let oidc = Memo::new(move |_| ways().and_then(|it| it.oidc));
    // Where the way through the provider ended; a try with a password is about something else.
    let failed = move || {
        let failure = query.with(|it| it.get("failed")).and_then(|it| SignInFailure::read(&it));
        failure.filter(|_| error.with(Option::is_none))
    };
    let wrong =
        Signal::derive(move || error.with(|it| it.as_ref().map(|it| refusal(it, words, texts))).unwrap_or_default());
    view! {
        <Narrow title=Signal::derive(move || texts.get().sign_in.to_owned()) text=Signal::derive(move || texts.get().sign_in_text.to_owned())>
            <Show when=is_new>
                <div class="mt-5 rounded-lg border border-accent bg-accent-soft px-4 py-3 text-sm" role="status">
                    <p class="font-semibold">{move || texts.get().no_account_title}</p>
                    <p class="mt-1 leading-relaxed">{move || texts.get().no_account_text}</p>
                </div>
            </Show>
            {move || failed().map(|failure| view! {
                <p class="mt-5 rounded-lg border border-bad bg-bad-soft px-4 py-3 text-sm leading-relaxed" role="alert">{(texts.get().sign_in_failed)(failure)}</p>
            })}
            <form class="mt-5 flex flex-col gap-2" on:submit=submit>
                <Field id="name" label=Signal::derive(move || texts.get().name) value=name complete="username" most=64 first=true />
                <Field id="password" label=Signal::derive(move || texts.get().password) value=password kind="password" complete="current-password" wrong />
                <button class=format!("{BUTTON_MAIN} h-9") disabled=busy>{move || if busy.get() { texts.get().working } else { texts.get().sign_in }}</button>
            </form>
            {move || oidc.get().map(|label| view! {
                <p class="my-3 text-center text-sm text-muted">{texts.get().or}</p>
                <a class=format!("{BUTTON} h-9 w-full") href=OIDC_START rel="external">{label}</a>
            })}
        </Narrow>
    }
}

/// The page on which a link makes an account.
#[component]
pub(crate) fn Setup() -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let person = person();
    let query = use_query_map();
    let navigate = use_navigate();
    let token = query.with_untracked(|it| it.get("token")).unwrap_or_default();
    let is_empty = token.is_empty();
    let token = StoredValue::new(token);
    let (name, password, again) =
        (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(String::new()));
    let busy = RwSignal::new(false);
    let tried = RwSignal::new(false);
    let error = RwSignal::new(None::<Error>);
    let too_short = move || password.with(|it| it.chars().count() < PASSWORD_MIN);
    let differ = move || password.with(|password| again.with(|again| password != again));
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        tried.set(true);
        if busy.get_untracked() || untrack(too_short) || untrack(differ) {
            return;
        }
        busy.set(true);
        error.set(None);
        let navigate = navigate.clone();
        spawn_local(async move {
            let (name, password) = (name.get_untracked(), password.get_untracked());
            let answer: Result<Me, Error> = api::set_up(token.get_value(), name, password).await;
            let _ = busy.try_set(false);
            match answer {
                Ok(me) => {
                    person.take(me);
                    // The link goes from the browser's history, too.
                    navigate("/staff/classes", NavigateOptions { replace: true, ..NavigateOptions::default() });
                }
                Err(reason) => drop(error.try_set(Some(reason))),
            }
        });
    };
    let rule = Signal::derive(move || (texts.get().password_rule)(PASSWORD_MIN));
    let is_used = move || error.with(|it| matches!(it, Some(Error::Refused { status: 401 | 403 | 404 | 410, .. })));
    let short = Signal::derive(move || if tried.get() && too_short() { rule.get() } else { String::new() });
    let wrong = Signal::derive(move || match error.get() {
        Some(error) => refusal(&error, words, texts),
        None if tried.get() && differ() => texts.get().differ.to_owned(),
        None => String::new(),
    });
    move || {
        if is_empty || is_used() {
            return view! {
                <main id="main">
                    <Notice
                        title=Signal::derive(move || texts.get().setup_used_title.to_owned())
                        text=Signal::derive(move || texts.get().setup_used_text.to_owned())
                    >
                        <A href="/staff/sign-in" attr:class=BUTTON_MAIN>{move || texts.get().sign_in}</A>
                    </Notice>
                </main>
            }
            .into_any();
        }
        let submit = submit.clone();
        view! {
            <Narrow title=Signal::derive(move || texts.get().setup_title.to_owned()) text=Signal::derive(move || texts.get().setup_text.to_owned())>
                <form class="mt-5 flex flex-col gap-2" on:submit=submit>
                    <Field id="name" label=Signal::derive(move || texts.get().name) value=name complete="username" most=64 first=true />
                    <Field id="password" label=Signal::derive(move || texts.get().password) value=password kind="password" complete="new-password" help=rule wrong=short />
                    <Field id="again" label=Signal::derive(move || texts.get().repeat) value=again kind="password" complete="new-password" wrong />
                    <button class=format!("{BUTTON_MAIN} h-9") disabled=busy>{move || if busy.get() { texts.get().working } else { texts.get().setup_button }}</button>
                </form>
            </Narrow>
        }
        .into_any()
    }
}

/// A card in the middle of a page.
#[component]
fn Narrow(
    #[prop(into)] title: Signal<String>,
    #[prop(into)] text: Signal<String>,
    children: Children,
) -> impl IntoView {
    Effect::new(move || document().set_title(&format!("{} · Drydock", title.get())));
    view! {
        <main id="main" tabindex="-1" class="mx-auto w-full max-w-md px-6 py-16 focus:outline-none">
            <section class=format!("{CARD} p-7")>
                <h1 class="text-2xl font-bold tracking-tight">{title}</h1>
                <p class="mt-1.5 text-sm leading-relaxed text-muted">{text}</p>
                {children()}
            </section>
        </main>
    }
}
