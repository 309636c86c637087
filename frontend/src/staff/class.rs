//! A class: who is where, and what the instructor can do.

mod code;
mod controls;
mod grid;
mod live;
mod tell;
mod watch;

use drydock_protocol::account::Role;
use leptos::prelude::*;
use leptos_router::components::A;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::person::{Guard, Notice};
use super::shell::Page;
use super::words::staff_words;
use crate::classes::BUTTON_MAIN;
use crate::parts::explain;
use crate::settings::words;
use code::{CodeCard, Projector};
use controls::{Controls, LessonBar};
use grid::Grid;
use live::{ClassLive, class_live};
use tell::{Tell, Told};
use watch::WatchPage;

/// The page; a new address is a new class.
#[component]
pub(crate) fn ClassPage() -> impl IntoView {
    view! { <Guard role=Role::Instructor><Addressed /></Guard> }
}

#[component]
fn Addressed() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|it| it.get("id").unwrap_or_default()));
    move || view! { <Followed id=id.get() /> }
}

/// What of the class is on show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Loading,
    Absent,
    Unreachable,
    Grid,
    Code,
    Learner(u32),
}

#[component]
fn Followed(id: String) -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let live = ClassLive::follow(id);
    let query = use_query_map();
    let shown = Memo::new(move |_| {
        let is_known = live.class.with(Option::is_some);
        let problem = live.problem.with(|it| it.as_ref().map(crate::api::Error::is_absent));
        match problem {
            Some(true) => return Shown::Absent,
            Some(false) if !is_known => return Shown::Unreachable,
            _ if !is_known => return Shown::Loading,
            _ => {}
        }
        let learner = query.with(|it| it.get("learner")).and_then(|it| it.parse().ok());
        match learner {
            Some(learner) => Shown::Learner(learner),
            None if query.with(|it| it.get("show")).as_deref() == Some("code") => Shown::Code,
            None => Shown::Grid,
        }
    });
    Effect::new(move || {
        let title = live.class.with(|it| it.as_ref().map(|it| it.title.clone()));
        document().set_title(&format!("{} · Drydock", title.as_deref().unwrap_or(texts.get().classes)));
    });
    move || match shown.get() {
        Shown::Loading => {
            view! { <p class="p-10 text-muted" role="status">{move || words.get().loading}</p> }.into_any()
        }
        Shown::Absent => view! {
            <main id="main">
                <Notice
                    title=Signal::derive(move || texts.get().absent_title.to_owned())
                    text=Signal::derive(move || texts.get().absent_text.to_owned())
                >
                    <A href="/staff/classes" attr:class=BUTTON_MAIN>{move || texts.get().back}</A>
                </Notice>
            </main>
        }
        .into_any(),
        Shown::Unreachable => {
            let said = move || live.problem.get().map(|it| explain(&it, words)).unwrap_or_default();
            view! {
                <main id="main">
                    <Notice title=Signal::derive(move || said().0) text=Signal::derive(move || said().1)>
                        <A href="/staff/classes" attr:class=BUTTON_MAIN>{move || texts.get().back}</A>
                    </Notice>
                </main>
            }
            .into_any()
        }
        Shown::Grid => view! { <Overview /> }.into_any(),
        Shown::Code => view! { <Projector /> }.into_any(),
        Shown::Learner(id) => view! { <WatchPage id /> }.into_any(),
    }
}

/// The grid with all that belongs to it.
#[component]
fn Overview() -> impl IntoView {
    let live = class_live();
    let title =
        Signal::derive(move || live.class.with(|it| it.as_ref().map(|it| it.title.clone())).unwrap_or_default());
    view! {
        <Page title wide=true tools=move || view! { <Controls /> }>
            <Lost />
            <div class="mt-6 grid items-start gap-6 xl:grid-cols-[1fr_22rem]">
                <div class="min-w-0">
                    <LessonBar />
                    <Grid />
                </div>
                <aside class="flex flex-col gap-6">
                    <CodeCard />
                    <Tell to=None />
                    <Told />
                </aside>
            </div>
        </Page>
    }
}

/// Says that the page is behind, without moving anything.
#[component]
fn Lost() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    view! {
        <div class="pointer-events-none fixed inset-x-0 top-15 z-40 flex justify-center" aria-live="polite">
            <Show when=move || live.lost.get()>
                <p class="rise rounded-lg border border-warn bg-warn-soft px-4 py-1.5 text-sm text-warn-ink">{move || texts.get().live_lost}</p>
            </Show>
        </div>
    }
}
