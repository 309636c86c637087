//! The first page: lessons by topic, and the way back to a running session.

use drydock_protocol::{CreateSession, LessonKind, LessonSummary, Level, Session};
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::components::A;
use leptos_router::hooks::use_navigate;

use crate::api;
use crate::classes::{BUTTON, BUTTON_MAIN, LINK, PILL};
use crate::parts::{PlainHeader, Sentence, explain, icons, inline};
use crate::settings::{Words, settings, words};

/// The most workers that a playground starts with; more can be added later.
const MOST_WORKERS: u8 = 8;

/// What the server answered, or not yet.
type Answer<T> = RwSignal<Option<Result<T, api::Error>>>;

/// The page.
#[component]
pub(crate) fn Catalogue() -> impl IntoView {
    let words = words();
    let language = settings().language;
    let lessons: Answer<Vec<LessonSummary>> = RwSignal::new(None);
    let sessions = RwSignal::new(Vec::<Session>::new());
    let asked = RwSignal::new(0);
    Effect::new(move || {
        asked.track();
        let language = language.get();
        spawn_local(async move {
            let _ = lessons.try_set(Some(api::lessons(language).await));
            if let Ok(found) = api::sessions().await {
                let _ = sessions.try_set(found.into_iter().filter(|it| !it.state.is_over()).collect());
            }
        });
    });
    Effect::new(move || document().set_title(&format!("{} · Drydock", words.get().lessons)));
    view! {
        <PlainHeader />
        <main id="main" class="mx-auto w-full max-w-5xl px-6 pt-10 pb-20">
            <h1 class="text-3xl font-bold tracking-tight text-balance">{move || words.get().home_title}</h1>
            <p class="mt-3 max-w-2xl text-muted leading-relaxed">{move || inline(words.get().home_text)}</p>
            <p class="mt-3"><A href="/join" attr:class=LINK>{move || words.get().class.join_title}</A></p>
            <Running sessions lessons />
            {move || lessons.with(|it| match it {
                None => view! { <p class="mt-10 text-muted" role="status">{words.get().loading}</p> }.into_any(),
                Some(Ok(list)) => view! { <Topics list=list.clone() /> }.into_any(),
                Some(Err(error)) => {
                    let (title, text) = explain(error, words);
                    view! {
                        <div class="mt-10 max-w-xl">
                            <Sentence title=title text=text>
                                <button class=BUTTON_MAIN on:click=move |_| asked.update(|it| *it += 1)>{words.get().retry}</button>
                            </Sentence>
                        </div>
                    }.into_any()
                }
            })}
        </main>
    }
}

/// Lessons under the topics in which they first occur, and the playground at the end.
#[component]
fn Topics(list: Vec<LessonSummary>) -> impl IntoView {
    let words = words();
    let mut topics: Vec<(String, Vec<LessonSummary>)> = Vec::new();
    let is_empty = list.is_empty();
    for lesson in list {
        match topics.iter_mut().find(|(topic, _)| *topic == lesson.topic) {
            Some((_, lessons)) => lessons.push(lesson),
            None => topics.push((lesson.topic.clone(), vec![lesson])),
        }
    }
    let section = |(topic, lessons): (String, Vec<LessonSummary>)| {
        view! {
            <section class="mt-8 grid gap-x-8 gap-y-2 md:grid-cols-[9rem_1fr]">
                <h2 class="pt-5 text-sm font-semibold text-muted">{topic}</h2>
                <ul class="divide-y divide-line rounded-xl border border-line bg-surface">
                    {lessons.into_iter().map(|lesson| view! { <LessonRow lesson /> }).collect::<Vec<_>>()}
                </ul>
            </section>
        }
    };
    let workers = RwSignal::new(2_u8);
    let free = Signal::derive(move || CreateSession { lesson: None, workers: Some(workers.get()) });
    let choose = move |event| {
        if let Ok(count) = event_target_value(&event).parse() {
            workers.set(count);
        }
    };
    view! {
        {is_empty.then(|| view! { <p class="mt-10 text-muted">{words.get().no_lessons}</p> })}
        {topics.into_iter().map(section).collect::<Vec<_>>()}
        <section class="mt-8 grid gap-x-8 gap-y-2 md:grid-cols-[9rem_1fr]">
            <h2 class="pt-5 text-sm font-semibold text-muted">{move || words.get().free_title}</h2>
            <div class="flex flex-wrap items-center gap-x-6 gap-y-2 rounded-xl border border-dashed border-line-strong px-5 py-4">
                <p class="min-w-56 grow basis-0 text-sm text-muted leading-relaxed">{move || words.get().free_text}</p>
                <label class="relative flex items-center">
                    <span class="sr-only">{move || words.get().page.workers}</span>
                    <select class=format!("{PILL} appearance-none bg-surface pr-7 cursor-pointer") on:change=choose>
                        {(1..=MOST_WORKERS).map(|count| view! { <option value=count.to_string() selected=move || workers.get() == count>{move || (words.get().page.worker_count)(usize::from(count))}</option> }).collect::<Vec<_>>()}
                    </select>
                    <span class="pointer-events-none absolute right-2 text-muted">{icons::down()}</span>
                </label>
                <StartButton request=free main=false name=Signal::derive(move || words.get().free_title.to_owned()) />
            </div>
        </section>
    }
}

#[component]
fn LessonRow(lesson: LessonSummary) -> impl IntoView {
    let words = words();
    let request = Signal::stored(CreateSession { lesson: Some(lesson.slug.clone()), workers: None });
    let is_challenge = lesson.kind == LessonKind::Challenge;
    let (minutes, steps, level) = (usize::from(lesson.minutes), usize::from(lesson.step_count), lesson.level);
    let facts = move || {
        let words = words.get();
        format!("{} · {} · {}", (words.minutes)(minutes), (words.step_count)(steps), level_name(words, level))
    };
    let title = lesson.title.clone();
    view! {
        <li class="flex flex-wrap items-center gap-x-6 gap-y-2 px-5 py-4" lang=lesson.language.tag()>
            <div class="min-w-56 grow basis-0">
                <h3 class="flex flex-wrap items-center gap-2 text-base font-semibold text-balance">
                    {lesson.title}
                    {is_challenge.then(|| view! { <span class="rounded-full bg-warn-soft px-2 py-0.5 text-xs font-semibold text-warn-ink">{move || words.get().page.challenge}</span> })}
                </h3>
                <p class="mt-1 text-sm text-muted leading-relaxed">{lesson.summary}</p>
            </div>
            <p class="text-[13px] whitespace-nowrap text-muted">{facts}</p>
            <StartButton request main=true name=Signal::stored(title) />
        </li>
    }
}

fn level_name(words: &'static crate::text::Texts, level: Level) -> &'static str {
    match level {
        Level::Beginner => words.beginner,
        Level::Intermediate => words.intermediate,
        Level::Advanced => words.advanced,
    }
}

/// Starts a session and goes to it; says so where it cannot be had.
#[component]
fn StartButton(
    #[prop(into)] request: Signal<CreateSession>,
    main: bool,
    #[prop(into)] name: Signal<String>,
) -> impl IntoView {
    let words = words();
    let navigate = use_navigate();
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<api::Error>);
    let start = move |_| {
        busy.set(true);
        error.set(None);
        let (request, navigate) = (request.get_untracked(), navigate.clone());
        spawn_local(async move {
            match api::create(&request).await {
                Ok(session) => navigate(&format!("/sessions/{}", session.id), Default::default()),
                Err(reason) => {
                    let _ = error.try_set(Some(reason));
                    let _ = busy.try_set(false);
                }
            }
        });
    };
    let label = move || if busy.get() { words.get().starting_button } else { words.get().start };
    view! {
        <div class="contents">
            <button class=if main { BUTTON_MAIN } else { BUTTON } disabled=busy on:click=start aria-label=move || words.marks().labelled(label(), name.get())>
                {label}
            </button>
            {move || error.get().map(|it| view! { <StartError error=it words /> })}
        </div>
    }
}

#[component]
fn StartError(error: api::Error, words: Words) -> impl IntoView {
    let (title, text) = explain(&error, words);
    view! { <p class="w-full text-sm text-bad leading-relaxed" role="alert">{words.marks().sentences(title, text)}</p> }
}

/// Sessions that still run, each with the way back.
#[component]
fn Running(sessions: RwSignal<Vec<Session>>, lessons: Answer<Vec<LessonSummary>>) -> impl IntoView {
    let words = words();
    let title = move |session: &Session| {
        let slug = session.lesson.clone().unwrap_or_default();
        let known =
            lessons.with(|it| Some(it.as_ref()?.as_ref().ok()?.iter().find(|it| it.slug == slug)?.title.clone()));
        known.unwrap_or_else(|| if slug.is_empty() { words.get().free_title.to_owned() } else { slug })
    };
    let row = move |session: Session| {
        let facts = (words.get().node_count)(usize::from(session.nodes));
        let left = crate::format::clock(session.expires_millis.saturating_sub(session.now_millis));
        view! {
            <li class="flex items-center gap-4 py-2.5">
                <span class="size-2.5 rounded-full bg-good" aria-hidden="true"></span>
                <span class="font-medium grow">{title(&session)}</span>
                <span class="text-sm text-muted tabular-nums">{format!("{facts} · {left}")}</span>
                <A href=format!("/sessions/{}", session.id) attr:class=BUTTON>{words.get().resume}</A>
            </li>
        }
    };
    view! {
        <Show when=move || sessions.with(|it| !it.is_empty())>
            <section class="mt-8 rise rounded-xl border border-line bg-surface px-5 pt-4 pb-2">
                <h2 class="text-sm font-semibold text-muted">{move || words.get().running_title}</h2>
                <ul class="mt-1 divide-y divide-line">{move || sessions.get().into_iter().map(row).collect::<Vec<_>>()}</ul>
            </section>
        </Show>
    }
}
