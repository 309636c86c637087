//! The frame around the staff's pages: where one is, where one can go, who one is.

use drydock_protocol::account::Role;
use leptos::prelude::*;
use leptos_router::components::A;
use leptos_router::hooks::use_location;

use super::person::person;
use super::words::staff_words;
use crate::parts::{Brand, Choices, SkipLink};

/// Looks of a way to another page; the present one is marked by a line and by `aria-current`.
const WAY: &str = "flex h-full items-center border-b-2 border-transparent px-1 text-sm font-medium whitespace-nowrap text-muted hover:text-ink aria-[current=page]:border-accent aria-[current=page]:text-ink";

/// The bar at the top.
#[component]
pub(crate) fn Header() -> impl IntoView {
    let texts = staff_words();
    let person = person();
    let is_staff = move || person.role() >= Some(Role::Instructor);
    let is_operator = move || person.role() == Some(Role::Operator);
    let name = move || {
        let me = person.me.get().and_then(Result::ok).filter(|it| it.signed_in);
        me.map(|it| it.name.unwrap_or_else(|| texts.get().account.to_owned()))
    };
    view! {
        <SkipLink />
        <header class="flex h-13 shrink-0 items-center gap-x-5 border-b border-line bg-surface px-5">
            <Brand home="/staff" />
            <nav class="flex h-full min-w-0 grow items-center gap-x-5 overflow-x-auto" aria-label=move || texts.get().staff>
                <Show when=is_staff>
                    <Way to="/staff/classes" name=Signal::derive(move || texts.get().classes.to_owned()) />
                </Show>
                <Show when=is_operator>
                    <Way to="/staff/server" name=Signal::derive(move || texts.get().server.to_owned()) />
                    <Way to="/staff/sessions" name=Signal::derive(move || texts.get().sessions.to_owned()) />
                    <Way to="/staff/accounts" name=Signal::derive(move || texts.get().accounts.to_owned()) />
                    <Way to="/staff/deeds" name=Signal::derive(move || texts.get().deeds.to_owned()) />
                </Show>
                <a class=WAY href="/" rel="external">{move || texts.get().to_lessons}</a>
            </nav>
            {move || name().map(|name| view! { <Way to="/staff/account" name=Signal::stored(name) /> })}
            <div class="flex items-center gap-3"><Choices /></div>
        </header>
    }
}

#[component]
fn Way(to: &'static str, #[prop(into)] name: Signal<String>) -> impl IntoView {
    let location = use_location();
    let is_here = move || {
        location.pathname.with(|it| it.strip_prefix(to).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let here = move || is_here().then_some("page");
    view! { <A href=to attr:class=WAY attr:aria-current=here>{name}</A> }
}

/// A page below the bar, with its title.
#[component]
pub(crate) fn Page(
    /// Its title, also the window's.
    #[prop(into)]
    title: Signal<String>,
    /// Whether it uses the whole width.
    #[prop(optional)]
    wide: bool,
    /// Buttons beside the title.
    #[prop(optional, into)]
    tools: ViewFn,
    /// The page.
    children: Children,
) -> impl IntoView {
    Effect::new(move || document().set_title(&format!("{} · Drydock", title.get())));
    let width = if wide { "max-w-none" } else { "max-w-5xl" };
    view! {
        <main id="main" tabindex="-1" class=format!("mx-auto w-full {width} px-6 pt-8 pb-20 focus:outline-none")>
            <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
                <h1 class="grow text-2xl font-bold tracking-tight text-balance">{title}</h1>
                {tools.run()}
            </div>
            {children()}
        </main>
    }
}
