//! Who may hold classes and run the server, and the links that make accounts.

use drydock_protocol::account::{Account, AccountLink, Role};
use leptos::prelude::*;

use super::account::role_name;
use super::api;
use super::loaded::{Doing, Loaded};
use super::person::{Guard, person};
use super::shell::Page;
use super::table::{Cell, HEAD, TABLE};
use super::words::staff_words;
use crate::classes::{BUTTON, BUTTON_MAIN, CARD, CODE, LINK};
use crate::parts::{Confirm, copy_text};
use crate::settings::words;

/// The page.
#[component]
pub(crate) fn AccountsPage() -> impl IntoView {
    view! { <Guard role=Role::Operator><Accounts /></Guard> }
}

#[component]
fn Accounts() -> impl IntoView {
    let texts = staff_words();
    let accounts = Loaded::new(api::accounts);
    let link = RwSignal::new(None::<AccountLink>);
    let removing = RwSignal::new(None::<String>);
    let (asking, doing) = (RwSignal::new(false), Doing::new());
    let invite = move |role| {
        move |_| doing.run(async move { api::account_link(role).await }, move |made| drop(link.try_set(Some(made))))
    };
    let remove = Callback::new(move |()| {
        let Some(person) = removing.get_untracked() else { return };
        doing.run(async move { api::remove_account(&person).await }, move |()| accounts.again());
    });
    let row = move |account: Account| {
        let is_me = person().id().is_some_and(|it| it == account.person);
        let id = account.person.clone();
        let ask = move |_| {
            removing.set(Some(id.clone()));
            asking.set(true);
        };
        let label = texts.marks().labelled(texts.get().remove, &account.name);
        view! {
            <tr>
                <Cell><span class="font-medium">{account.name}</span>{is_me.then(|| format!(" ({})", texts.get().you))}</Cell>
                <Cell>{role_name(account.role, texts)}{account.oidc.then_some(" · OpenID Connect")}</Cell>
                <Cell quiet=true>{texts.moment(account.created_millis)}</Cell>
                <Cell quiet=true>{texts.moment(account.seen_millis)}</Cell>
                <Cell>{(!is_me).then(|| view! { <button class=LINK on:click=ask aria-label=label>{texts.get().remove}</button> })}</Cell>
            </tr>
        }
    };
    let table = move |list: Vec<Account>| {
        view! {
            <div class="mt-6 overflow-x-auto rounded-xl border border-line bg-surface" tabindex="0" role="region" aria-label=texts.get().accounts>
                <table class=TABLE>
                    <thead>
                        <tr>
                            <th class=HEAD scope="col">{texts.get().name}</th>
                            <th class=HEAD scope="col">{texts.get().role}</th>
                            <th class=HEAD scope="col">{texts.get().created}</th>
                            <th class=HEAD scope="col">{texts.get().last_used}</th>
                            <td class=HEAD></td>
                        </tr>
                    </thead>
                    <tbody class="divide-y divide-line">{list.into_iter().map(row).collect::<Vec<_>>()}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <Page title=Signal::derive(move || texts.get().accounts.to_owned())>
            <p class="mt-2 max-w-2xl leading-relaxed text-muted">{move || texts.get().accounts_text}</p>
            <div class="mt-4 flex flex-wrap gap-2">
                <button class=BUTTON_MAIN disabled=doing.busy on:click=invite(Role::Instructor)>{move || texts.get().invite_instructor}</button>
                <button class=BUTTON disabled=doing.busy on:click=invite(Role::Operator)>{move || texts.get().invite_operator}</button>
            </div>
            {doing.alert()}
            {move || link.get().map(|link| view! { <NewLink link /> })}
            {accounts.show(table)}
            <Confirm
                open=asking
                question=Signal::derive(move || texts.get().remove_account_q)
                consequence=Signal::derive(move || texts.get().remove_account_c)
                action=Signal::derive(move || texts.get().remove)
                on_confirm=remove
            />
        </Page>
    }
}

/// A link that was just made; it is not shown again.
#[component]
fn NewLink(link: AccountLink) -> impl IntoView {
    let texts = staff_words();
    let address = format!("{}{}", origin(), link.path);
    let until = link.expires_millis;
    view! {
        <section class=format!("{CARD} rise mt-4 border-accent") role="status">
            <h2 class="font-semibold">{move || texts.get().link_title}</h2>
            <p class="mt-1 text-sm text-muted">{move || (texts.get().link_text)(&texts.moment(until))}</p>
            <div class=CODE>
                <code class="min-w-0 grow py-1.5 break-all">{address.clone()}</code>
                <CopyButton text=address />
            </div>
        </section>
    }
}

/// Copies a text, and says so for a moment.
#[component]
pub(crate) fn CopyButton(
    /// The text.
    text: String,
) -> impl IntoView {
    let words = words();
    let copied = RwSignal::new(false);
    let copy = move |_| {
        copy_text(&text);
        copied.set(true);
        let over = move || {
            let _ = copied.try_set(false);
        };
        set_timeout(over, std::time::Duration::from_millis(1600));
    };
    view! {
        <button class=format!("{BUTTON} min-w-24") on:click=copy aria-live="polite">
            {move || if copied.get() { words.get().copied } else { words.get().copy }}
        </button>
    }
}

/// Scheme and host under which the page was opened.
pub(crate) fn origin() -> String {
    window().location().origin().unwrap_or_default()
}
