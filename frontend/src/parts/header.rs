//! The bar at the top: what I have, how long, language, theme, reset, end. Nothing else.

use std::time::Duration;

use drydock_protocol::{Language, NodeState, Notice, NoticeLevel, SessionState};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::components::A;

use super::dialog::Confirm;
use super::icons;
use super::ports::Ports;
use super::share::Share;
use crate::classes::{BUTTON, BUTTON_MAIN, ICON_BUTTON, PILL};
use crate::diagram::Look;
use crate::live::live;
use crate::settings::{settings, words};
use crate::{api, format};

/// The bar of pages outside of a session.
#[component]
pub(crate) fn PlainHeader() -> impl IntoView {
    view! {
        <SkipLink />
        <header class="flex h-13 items-center gap-3 border-b border-line bg-surface px-5">
            <Brand />
            <span class="grow"></span>
            <Choices />
        </header>
    }
}

/// The way over the bar for the keyboard.
#[component]
pub(crate) fn SkipLink() -> impl IntoView {
    let words = words();
    view! {
        <a href="#main" rel="external" class="sr-only focus:not-sr-only focus:absolute focus:left-3 focus:top-2 focus:z-50 focus:rounded-lg focus:bg-accent focus:px-3 focus:py-2 focus:text-on-accent">
            {move || words.get().skip}
        </a>
    }
}

/// The name, which leads home.
#[component]
pub(crate) fn Brand(
    /// Home.
    #[prop(default = "/")]
    home: &'static str,
) -> impl IntoView {
    view! {
        <A href=home attr:class="flex items-center gap-1.5 rounded-sm text-[17px] font-bold tracking-tight">
            {icons::anchor()}
            <span><span class="text-accent-ink">"Dry"</span>"dock"</span>
        </A>
    }
}

/// Language and theme.
#[component]
pub(crate) fn Choices() -> impl IntoView {
    let words = words();
    let settings = settings();
    let choose = move |event| {
        if let Some(language) = Language::from_tag(&event_target_value(&event)) {
            settings.choose_language(language);
        }
    };
    let theme_name = move || if settings.dark.get() { words.get().theme_light } else { words.get().theme_dark };
    view! {
        <label class="relative flex items-center">
            <span class="sr-only">{move || words.get().language}</span>
            <select class=format!("{PILL} appearance-none bg-surface pr-7 cursor-pointer") on:change=choose prop:value=move || settings.language.get().tag()>
                {Language::ALL
                    .map(|it| view! { <option value=it.tag() lang=it.tag() selected=move || settings.language.get() == it>{it.native_name()}</option> })
                    .collect_view()}
            </select>
            <span class="pointer-events-none absolute right-2 text-muted">{icons::down()}</span>
        </label>
        <button class=ICON_BUTTON on:click=move |_| settings.toggle_theme() aria-label=theme_name title=theme_name>{icons::theme()}</button>
    }
}

/// The bar of the session page.
#[component]
pub(crate) fn SessionHeader(
    /// Title of the lesson, or of the playground.
    #[prop(into)]
    title: Signal<String>,
    /// Number of the step that is read and of all steps.
    #[prop(into)]
    step: Signal<Option<(usize, usize)>>,
) -> impl IntoView {
    let words = words();
    let live = live();
    let running = move || {
        live.session.with(|it| {
            it.as_ref().is_some_and(|it| {
                matches!(it.state, SessionState::Starting | SessionState::Ready | SessionState::Suspended)
            })
        })
    };
    view! {
        <SkipLink />
        <header class="flex h-13 shrink-0 items-center gap-3 border-b border-line bg-surface px-5">
            <Brand />
            <nav class="flex min-w-0 grow items-center gap-1.5 overflow-hidden text-sm text-muted" aria-label=move || words.get().lessons>
                <A href="/" attr:class="rounded-sm hover:text-ink whitespace-nowrap max-lg:hidden">{move || words.get().lessons}</A>
                <span class="max-lg:hidden" aria-hidden="true">"›"</span>
                <span class="truncate text-ink">{title}</span>
                <Show when=move || step.get().is_some()>
                    <span class="max-lg:hidden" aria-hidden="true">"›"</span>
                    <span class="whitespace-nowrap max-lg:hidden">{move || step.get().map(|(step, all)| (words.get().step_of)(step, all))}</span>
                </Show>
            </nav>
            <Show when=running>
                <Cluster />
                <TimeLeft />
                <Ports />
            </Show>
            <Choices />
            <Show when=running>
                <Show when=move || live.own.get()>
                    <Share />
                </Show>
                <Endings />
            </Show>
        </header>
    }
}

/// Nodes and memory.
#[component]
fn Cluster() -> impl IntoView {
    let words = words();
    let live = live();
    let nodes = move || {
        let (ready, seen) = live
            .topology
            .with(|it| (it.nodes.iter().filter(|it| it.state == NodeState::Ready).count(), it.nodes.len()));
        let all = live.session.with(|it| it.as_ref().map_or(0, |it| usize::from(it.nodes)));
        (ready, all.max(seen))
    };
    let memory = move || live.session.with(|it| it.as_ref().and_then(|it| it.memory_bytes).map(format::bytes));
    let whole = move || {
        let (ready, all) = nodes();
        ready == all
    };
    let tone = move || match (whole(), live.is_ready()) {
        (true, _) => "text-good-ink",
        (false, true) => "text-warn-ink",
        (false, false) => "text-muted",
    };
    view! {
        <div class=move || format!("{PILL} {}", tone())>
            <svg class="size-2.5" viewBox="-6 -6 12 12" aria-hidden="true">
                <path d=move || if whole() { Look::Good.shape() } else if live.is_ready() { Look::Warn.shape() } else { "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0Z" } fill="currentColor" />
            </svg>
            <span class="max-lg:hidden">{move || { let (ready, all) = nodes(); (words.get().nodes_ready)(ready, all) }}</span>
            <span class="lg:hidden">{move || { let (ready, all) = nodes(); format!("{ready}/{all}") }}</span>
            <Show when=move || memory().is_some()>
                <span class="max-lg:hidden text-muted tabular-nums" title=move || words.get().memory>"· "{memory}</span>
            </Show>
        </div>
    }
}

/// The clock, and more time.
#[component]
fn TimeLeft() -> impl IntoView {
    let words = words();
    let live = live();
    let now = RwSignal::new(js_sys::Date::now());
    if let Ok(timer) = set_interval_with_handle(move || now.set(js_sys::Date::now()), Duration::from_secs(1)) {
        on_cleanup(move || timer.clear());
    }
    let left = move || {
        let server = now.get() + live.clock_ahead.get();
        live.session.with(|it| it.as_ref().map_or(0, |it| (it.expires_millis as f64 - server).max(0.0) as u64))
    };
    let extension = move || live.session.with(|it| it.as_ref().map_or(0, |it| it.extend_millis));
    let extend = move |_| {
        let id = live.id.get_value();
        spawn_local(async move {
            if let Ok(session) = api::extend(&id).await {
                live.set_session(session);
            }
        });
    };
    view! {
        <div class=move || format!("{PILL} {}", if left() < 300_000 { "text-warn-ink" } else { "text-muted" })>
            {icons::clock()}
            <span class="tabular-nums" role="timer" aria-label=move || words.get().time_left title=move || words.get().time_left>{move || format::clock(left())}</span>
            <Show when=move || { extension() > 0 }>
                <button
                    class="cursor-pointer rounded-sm font-semibold text-ink hover:text-accent-ink"
                    on:click=extend
                    title=move || (words.get().extend_by)((extension() / 60_000) as usize)
                >
                    {move || words.get().extend}
                </button>
            </Show>
        </div>
    }
}

/// Reset and end, each with a question first.
#[component]
fn Endings() -> impl IntoView {
    let words = words();
    let live = live();
    let (resetting, ending) = (RwSignal::new(false), RwSignal::new(false));
    let reset = Callback::new(move |()| {
        let id = live.id.get_value();
        spawn_local(async move {
            match api::reset(&id).await {
                Ok(session) => live.set_session(session),
                Err(api::Error::Refused { code, message, .. }) => {
                    live.notices.update(|it| it.push(Notice { level: NoticeLevel::default(), code, message }));
                }
                // The page says already that the server cannot be reached.
                Err(api::Error::Offline) => {}
            }
        });
    });
    let end = Callback::new(move |()| {
        let id = live.id.get_value();
        spawn_local(async move {
            if let Ok(session) = api::end(&id).await {
                live.set_session(session);
            }
        });
    });
    view! {
        <button class=BUTTON on:click=move |_| resetting.set(true)>{move || words.get().reset}</button>
        <button class=BUTTON_MAIN on:click=move |_| ending.set(true)>{move || words.get().end}</button>
        <Confirm
            open=resetting
            question=Signal::derive(move || words.get().reset_question)
            consequence=Signal::derive(move || words.get().reset_consequence)
            action=Signal::derive(move || words.get().reset)
            on_confirm=reset
        />
        <Confirm
            open=ending
            question=Signal::derive(move || words.get().end_question)
            consequence=Signal::derive(move || words.get().end_consequence)
            action=Signal::derive(move || words.get().end)
            on_confirm=end
        />
    }
}
