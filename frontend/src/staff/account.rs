//! One's own account: password, signing out.

use drydock_protocol::account::{PASSWORD_MIN, Role};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::api;
use super::entrance::refusal;
use super::field::Field;
use super::person::{Guard, person};
use super::shell::Page;
use super::words::{StaffWords, staff_words};
use crate::api::Error;
use crate::classes::{BUTTON, BUTTON_MAIN, CARD};
use crate::settings::words;

/// What a role is called.
pub(crate) fn role_name(role: Role, texts: StaffWords) -> &'static str {
    match role {
        Role::Learner => texts.get().role_learner,
        Role::Instructor => texts.get().role_instructor,
        Role::Operator => texts.get().role_operator,
    }
}

/// The page.
#[component]
pub(crate) fn AccountPage() -> impl IntoView {
    view! { <Guard role=Role::Learner><Mine /></Guard> }
}

#[component]
fn Mine() -> impl IntoView {
    let texts = staff_words();
    let person = person();
    let me = move || person.me.get().and_then(Result::ok).unwrap_or_default();
    let leave = move |_| {
        spawn_local(async move {
            let _ = api::sign_out().await;
            person.ask();
        });
    };
    view! {
        <Page title=Signal::derive(move || texts.get().account.to_owned())>
            <section class=format!("{CARD} mt-6 flex flex-wrap items-center gap-4")>
                <div class="min-w-40 grow">
                    <p class="text-lg font-semibold">{move || me().name.unwrap_or_default()}</p>
                    <p class="text-sm text-muted">{move || role_name(me().role, texts)}</p>
                </div>
                <button class=BUTTON on:click=leave>{move || texts.get().sign_out}</button>
            </section>
            <Show
                when=move || me().has_password
                fallback=move || view! { <p class="mt-6 text-sm text-muted">{move || texts.get().by_oidc}</p> }
            >
                <Password />
            </Show>
        </Page>
    }
}

#[component]
fn Password() -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let (old, new) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let busy = RwSignal::new(false);
    let tried = RwSignal::new(false);
    let said = RwSignal::new(None::<Result<(), Error>>);
    let too_short = move || new.with(|it| it.chars().count() < PASSWORD_MIN);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        tried.set(true);
        if busy.get_untracked() || untrack(too_short) {
            return;
        }
        busy.set(true);
        said.set(None);
        spawn_local(async move {
            let answer = api::change_password(old.get_untracked(), new.get_untracked()).await;
            let _ = busy.try_set(false);
            if answer.is_ok() {
                let _ = tried.try_set(false);
                let _ = old.try_set(String::new());
                let _ = new.try_set(String::new());
            }
            let _ = said.try_set(Some(answer));
        });
    };
    let rule = Signal::derive(move || (texts.get().password_rule)(PASSWORD_MIN));
    let short = Signal::derive(move || if tried.get() && too_short() { rule.get() } else { String::new() });
    let wrong = Signal::derive(move || match said.get() {
        Some(Err(error)) => refusal(&error, words, texts),
        _ => String::new(),
    });
    view! {
        <section class=format!("{CARD} mt-6 max-w-md")>
            <h2 class="text-lg font-semibold">{move || texts.get().change_password}</h2>
            <form class="mt-3 flex flex-col gap-2" on:submit=submit>
                <Field id="old" label=Signal::derive(move || texts.get().old_password) value=old kind="password" complete="current-password" wrong />
                <Field id="new" label=Signal::derive(move || texts.get().new_password) value=new kind="password" complete="new-password" help=rule wrong=short />
                <button class=format!("{BUTTON_MAIN} self-start") disabled=busy>{move || texts.get().change_password}</button>
            </form>
            <p class="mt-3 min-h-5 text-sm text-good-ink" role="status">{move || matches!(said.get(), Some(Ok(()))).then(|| texts.get().changed)}</p>
        </section>
    }
}
