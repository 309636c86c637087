//! The session page: lesson on the left, picture above the terminal on the right.

use drydock_protocol::{ClassState, CreateSession, Lesson, SessionState, path};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::components::A;
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, KeyboardEvent};

use super::waiting::Waiting;
use crate::api;
use crate::classes::{BUTTON, BUTTON_MAIN};
use crate::live::{Live, live};
use crate::parts::{
    ClassStrip, ComeIn, LessonPane, Picture, Place, PlainHeader, Player, Runner, Sentence, SessionHeader, Split,
    Splitter, StartProgress, Terminals, TraceStrip, explain,
};
use crate::settings::{forget_session, recall, remember, settings, words};

/// The page; a new address is a new session.
#[component]
pub(crate) fn SessionPage() -> impl IntoView {
    let params = use_params_map();
    let query = use_query_map();
    let id = Memo::new(move |_| params.with(|it| it.get("id").unwrap_or_default()));
    let invite = Memo::new(move |_| query.with(|it| it.get("invite")));
    move || match invite.get() {
        Some(token) => view! { <ComeIn id=id.get() token /> }.into_any(),
        None => view! { <Session id=id.get() /> }.into_any(),
    }
}

#[component]
fn Session(id: String) -> impl IntoView {
    let words = words();
    let live = Live::follow(id.clone());
    Runner::provide(&id);
    let is_absent = Memo::new(move |_| live.problem.with(|it| it.as_ref().is_some_and(api::Error::is_absent)));
    let is_unreachable = Memo::new(move |_| live.problem.with(Option::is_some) && live.session.with(Option::is_none));
    let state = Memo::new(move |_| {
        // Falling asleep and waking are nothing that the page would be built anew for.
        live.session.with(|it| it.as_ref().map(|it| it.state)).map(|it| match it {
            SessionState::Suspended => SessionState::Ready,
            state => state,
        })
    });
    move || {
        if is_absent.get() || is_unreachable.get() {
            return view! { <Problem /> }.into_any();
        }
        match state.get() {
            None => view! { <PlainHeader /><main id="main" class="p-10 text-muted" role="status">{move || words.get().loading}</main> }.into_any(),
            Some(SessionState::Pending) => view! { <Waiting /> }.into_any(),
            Some(SessionState::Ending | SessionState::Ended | SessionState::Failed) => view! { <Over /> }.into_any(),
            // Within these states the page stays; it must not be built anew when the cluster becomes Ready.
            Some(_) => view! { <Frame /> }.into_any(),
        }
    }
}

/// There is no such session, or no way to it.
#[component]
fn Problem() -> impl IntoView {
    let words = words();
    let live = live();
    let said = move || live.problem.get().map(|it| explain(&it, words)).unwrap_or_default();
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto max-w-xl px-6 py-20">
            <Sentence title=Signal::derive(move || said().0) text=Signal::derive(move || said().1)>
                <A href="/" attr:class=BUTTON_MAIN>{move || words.get().back}</A>
            </Sentence>
        </main>
    }
}

/// The session is over.
#[component]
fn Over() -> impl IntoView {
    let words = words();
    let live = live();
    let navigate = use_navigate();
    // What was remembered of it is of no use any more.
    live.id.with_value(|id| forget_session(id));
    let state = move || live.session.with(|it| it.as_ref().map(|it| it.state));
    // In the reader's language where the reason is a known one, else in the server's own words.
    let reason = move || {
        live.session.with(|it| {
            let it = it.as_ref()?;
            let known = it.ended.map(|it| words.get().page.ended[it as usize]).filter(|it| !it.is_empty());
            known.map(str::to_owned).or_else(|| it.reason.clone())
        })
    };
    let kept = move || live.session.with(|it| it.as_ref().is_some_and(|it| it.manifests));
    let manifests = live.id.with_value(|id| path::session_verb(id, "manifests.yaml"));
    let title = move || match state() {
        Some(SessionState::Ending) => words.get().ending_title,
        Some(SessionState::Failed) => words.get().failed_title,
        _ => words.get().ended_title,
    };
    let again = move |_| {
        let navigate = navigate.clone();
        let lesson = live.session.with_untracked(|it| it.as_ref().and_then(|it| it.lesson.clone()));
        spawn_local(async move {
            match api::create(&CreateSession { lesson, workers: None }).await {
                Ok(session) => navigate(&format!("/sessions/{}", session.id), Default::default()),
                Err(error) => live.problem.set(Some(error)),
            }
        });
    };
    // The class goes on without this session; what it had is told as long as the page is open.
    let class =
        move || live.class.with(|it| it.as_ref().filter(|it| it.state != ClassState::Over).map(|it| it.code.clone()));
    let refused = move || live.problem.get().map(|it| explain(&it, words));
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto max-w-xl px-6 py-20">
            <Sentence
                title=Signal::derive(move || title().to_owned())
                text=Signal::derive(move || reason().unwrap_or_else(|| words.get().ended_text.to_owned()))
            >
                {move || class().map(|code| view! { <A href=format!("/join/{code}") attr:class=BUTTON_MAIN>{words.get().class.back}</A> })}
                <button class=BUTTON_MAIN on:click=again disabled=move || state() == Some(SessionState::Ending)>{move || words.get().start_again}</button>
                <A href="/" attr:class=BUTTON>{move || words.get().back}</A>
                {move || kept().then(|| view! { <a class=BUTTON href=manifests.clone() download="manifests.yaml" rel="external">{words.get().page.manifests}</a> })}
            </Sentence>
            {move || refused().map(|(title, text)| view! { <p class="mt-4 text-sm text-bad" role="alert">{words.marks().sentences(title, text)}</p> })}
        </main>
    }
}

/// Everything around a running session.
#[component]
fn Frame() -> impl IntoView {
    let words = words();
    let live = live();
    let language = settings().language;
    let player = Player::new();
    let slug = live.session.with_untracked(|it| it.as_ref().and_then(|it| it.lesson.clone()));
    let has_lesson = slug.is_some();
    let lesson = RwSignal::new(None::<Result<Lesson, api::Error>>);
    // An author's change comes to open pages by itself.
    let changes =
        Memo::new(move |_| live.notices.with(|it| it.iter().filter(|notice| notice.code == "lesson_changed").count()));
    Effect::new(move || {
        changes.track();
        let language = language.get();
        if let Some(slug) = slug.clone() {
            spawn_local(async move {
                let _ = lesson.try_set(Some(api::lesson(&slug, language).await));
            });
        }
    });
    let place = remembered_place(lesson);
    let current = place.current;
    let title = move || match lesson.get() {
        Some(Ok(lesson)) => lesson.summary.title,
        _ if has_lesson => String::new(),
        _ => words.get().free_title.to_owned(),
    };
    let step = move || {
        lesson.with(|it| it.as_ref().and_then(|it| it.as_ref().ok()).map(|it| (current.get() + 1, it.steps.len())))
    };
    Effect::new(move || document().set_title(&format!("{} · Drydock", title())));
    let columns = Split::remembered("split.lesson", 27.5, (18.0, 55.0));
    let rows = Split::remembered("split.picture", 65.0, (25.0, 85.0));
    let starting = Memo::new(move |_| !live.is_ready());
    view! {
        <div class="relative flex h-dvh flex-col overflow-hidden" on:keydown=walk>
            <SessionHeader title=Signal::derive(title) step=Signal::derive(step) />
            <ClassStrip />
            <Banner />
            <main id="main" class="flex min-h-0 grow max-md:flex-col max-md:overflow-y-auto">
                {has_lesson.then(|| view! {
                    <div class="min-w-72 shrink-0 max-md:w-full! max-md:min-w-0" data-pane tabindex="-1" style:width=move || format!("{}%", columns.share.get())>
                        {move || lesson.with(|it| match it {
                            None => view! { <p class="p-6 text-muted" role="status">{words.get().loading}</p> }.into_any(),
                            Some(Ok(lesson)) => view! { <LessonPane lesson=lesson.clone() place player /> }.into_any(),
                            Some(Err(error)) => {
                                let (title, text) = explain(error, words);
                                view! { <div class="p-5"><Sentence title=title text=text><A href="/" attr:class=BUTTON>{words.get().back}</A></Sentence></div> }.into_any()
                            }
                        })}
                    </div>
                    <Splitter split=columns side_by_side=true name=Signal::derive(move || words.get().resize_lesson) />
                })}
                <div class="flex min-h-0 min-w-0 grow flex-col max-md:min-h-[46rem]">
                    <div class="flex min-h-0 shrink-0 flex-col" data-pane tabindex="-1" style:height=move || format!("{}%", rows.share.get())>
                        {move || if starting.get() {
                            view! { <StartProgress /> }.into_any()
                        } else {
                            view! { <Picture player /><TraceStrip player /> }.into_any()
                        }}
                    </div>
                    <Splitter split=rows side_by_side=false name=Signal::derive(move || words.get().resize_terminal) />
                    <div class="min-h-0 grow" data-pane tabindex="-1">
                        <Terminals />
                    </div>
                </div>
            </main>
        </div>
    }
}

/// Where the reader is: as remembered for this session, else at the first step that is not done.
fn remembered_place(lesson: RwSignal<Option<Result<Lesson, api::Error>>>) -> Place {
    let live = live();
    let key = format!("step.{}", live.id.get_value());
    let place = Place { current: RwSignal::new(0), furthest: RwSignal::new(0) };
    let found = StoredValue::new(false);
    let stored = recall(&key).unwrap_or_default();
    let mut stored = stored.split(' ').map(|it| it.parse::<usize>().ok());
    let (current, furthest) = (stored.next().flatten(), stored.next().flatten());
    Effect::new(move || {
        lesson.with(|it| {
            let Some(Ok(lesson)) = it else { return };
            let last = lesson.steps.len().max(1) - 1;
            if found.get_value() {
                return;
            }
            found.set_value(true);
            let open = untrack(|| lesson.steps.iter().position(|it| !live.is_step_done(it)));
            let current = current.or(open).unwrap_or(0).min(last);
            place.current.set(current);
            place.furthest.set(furthest.unwrap_or(0).clamp(current, last));
        });
    });
    Effect::new(move || {
        let (current, furthest) = (place.current.get(), place.furthest.get());
        if found.get_value() {
            remember(&key, &format!("{current} {furthest}"));
        }
    });
    place
}

/// What the server wants to say, and whether the connection holds.
#[component]
fn Banner() -> impl IntoView {
    let words = words();
    let live = live();
    let wake = move |_| {
        let id = live.id.get_value();
        spawn_local(async move {
            if let Ok(session) = api::wake(&id).await {
                live.set_session(session);
            }
        });
    };
    let notice = move || live.notices.with(|it| it.last().cloned());
    view! {
        // Above the page, so that nothing moves when it comes and goes.
        <div class="pointer-events-none absolute inset-x-0 top-15 z-40 flex flex-col items-center gap-2 px-4" aria-live="polite">
            <Show when=move || live.disconnected.get()>
                <p class="rise rounded-lg border border-warn bg-warn-soft px-4 py-1.5 text-sm text-warn-ink">{move || words.get().reconnecting}</p>
            </Show>
            <Show when=move || live.is_asleep()>
                <div class="rise pointer-events-auto flex items-center gap-3 rounded-lg border border-accent bg-accent-soft px-4 py-1.5 text-sm" data-asleep>
                    <p class="grow">{move || words.get().page.asleep}</p>
                    <button class="cursor-pointer font-semibold" on:click=wake>{move || words.get().page.wake}</button>
                </div>
            </Show>
            {move || notice().map(|notice| view! {
                <div class="rise pointer-events-auto flex items-center gap-3 rounded-lg border border-accent bg-accent-soft px-4 py-1.5 text-sm">
                    <p class="grow">{words.get().notice(&notice)}</p>
                    <button class="cursor-pointer font-semibold" on:click=move |_| live.notices.update(Vec::clear)>{words.get().close}</button>
                </div>
            })}
        </div>
    }
}

/// F6 and Shift-F6 walk between lesson, picture and terminal, out of the terminal too.
fn walk(event: KeyboardEvent) {
    if event.key() != "F6" {
        return;
    }
    event.prevent_default();
    let Some(Ok(list)) = document().document_element().map(|it| it.query_selector_all("[data-pane]")) else { return };
    let panes: Vec<HtmlElement> = (0..list.length()).filter_map(|it| list.item(it)?.dyn_into().ok()).collect();
    if panes.is_empty() {
        return;
    }
    let focused = document().active_element();
    let here = panes.iter().position(|it| it.contains(focused.as_deref()));
    let count = panes.len();
    let next = match (here, event.shift_key()) {
        (Some(here), false) => (here + 1) % count,
        (Some(here), true) => (here + count - 1) % count,
        (None, _) => 0,
    };
    let pane = &panes[next];
    // A terminal takes keys only in its own field.
    let field = pane
        .query_selector("[role=tabpanel] > div:not(.hidden) :is(.xterm-helper-textarea, .cm-content)")
        .ok()
        .flatten()
        .and_then(|it| it.dyn_into::<HtmlElement>().ok());
    let _ = field.as_ref().unwrap_or(pane).focus();
}
