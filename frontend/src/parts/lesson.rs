//! The lesson: one idea, the commands to run, the checks that turn green, hints, and what just happened.

mod hints;
mod pictures;
mod quiz;

use std::collections::HashSet;

use drydock_protocol::{Block, CheckState, Lesson, LessonKind, Step};
use leptos::html;
use leptos::prelude::*;

use super::checks::Checks;
use super::code::CodeBlock;
use super::icons;
use super::trace::Player;
use crate::classes::{BUTTON, BUTTON_MAIN, LINK};
use crate::live::live;
use crate::settings::{settings, words};
use crate::{format, story};
use hints::{Hints, LiveHints};
use pictures::{Enlarged, enlargeable, picture_of};
use quiz::Question;

/// Where the reader is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Number of the step that is read, from 0.
    pub(crate) current: RwSignal<usize>,
    /// The furthest step that was read: one without checks is done when its reader goes on.
    pub(crate) furthest: RwSignal<usize>,
}

/// The pane.
#[component]
pub(crate) fn LessonPane(
    /// The lesson.
    lesson: Lesson,
    /// Where the reader is.
    place: Place,
    /// Plays traces on the picture.
    player: Player,
) -> impl IntoView {
    let words = words();
    let live = live();
    let Place { current, furthest } = place;
    let is_challenge = lesson.summary.kind == LessonKind::Challenge;
    let lesson = StoredValue::new(lesson);
    let count = lesson.with_value(|it| it.steps.len());
    let pane = NodeRef::<html::Section>::new();
    let title = NodeRef::<html::H1>::new();
    let step = move || lesson.with_value(|it| it.steps.get(current.get()).cloned());
    let is_done = move |index: usize| {
        lesson.with_value(|it| {
            it.steps.get(index).is_some_and(|it| {
                let free = it.checks.is_empty() && it.quizzes.is_empty();
                live.is_step_done(it) || free && index < furthest.get()
            })
        })
    };
    let go = move |index: usize| {
        current.set(index);
        furthest.update(|it| *it = index.max(*it));
        if let Some(pane) = pane.get_untracked() {
            pane.set_scroll_top(0);
        }
        // Who reads by ear or by keyboard begins at the top of the new step.
        request_animation_frame(move || {
            if let Some(title) = title.get_untracked() {
                let _ = title.focus();
            }
        });
    };
    let facts = move || {
        lesson.with_value(|it| {
            format!("{} · {}", it.summary.topic, (words.get().minutes)(usize::from(it.summary.minutes)))
        })
    };
    let waits_for = move || -> Vec<String> {
        let Some(step) = step() else { return Vec::new() };
        lesson.with_value(|it| {
            let needed = it.steps.iter().enumerate().filter(|(_, other)| step.needs.contains(&other.id));
            needed.filter(|(index, _)| !is_done(*index)).map(|(_, it)| it.title.clone()).collect()
        })
    };
    let waits = Memo::new(move |_| waits_for());
    let current_done = Memo::new(move |_| is_done(current.get()));
    let enlarged = RwSignal::new(None);
    let click = move |event: web_sys::MouseEvent| {
        if let Some(picture) = picture_of(&event) {
            enlarged.set(Some(picture));
        }
    };
    let key = move |event: web_sys::KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ")
            && let Some(picture) = picture_of(&event)
        {
            event.prevent_default();
            enlarged.set(Some(picture));
        }
    };
    let last = move || current.get() + 1 >= count;
    let finished = move || {
        (0..count).all(|it| {
            is_done(it)
                || it + 1 == count
                    && it == current.get()
                    && lesson
                        .with_value(|lesson| lesson.steps[it].checks.is_empty() && lesson.steps[it].quizzes.is_empty())
        })
    };
    view! {
        <section node_ref=pane class="h-full overflow-y-auto bg-surface" tabindex="0" on:click=click on:keydown=key aria-label=move || words.get().lesson_pane>
            <div class="mx-auto max-w-2xl px-5 pt-5 pb-10 text-[15px]">
                <p class="flex items-center gap-2 text-sm text-muted">
                    {is_challenge.then(|| view! { <span class="rounded-full bg-warn-soft px-2 py-0.5 text-xs font-semibold text-warn-ink">{move || words.get().page.challenge}</span> })}
                    <span>{facts}</span>
                </p>
                <h1 node_ref=title tabindex="-1" class="mt-1 text-xl font-bold tracking-tight text-balance outline-none" lang=move || step().map(|it| it.language.tag())>
                    {move || step().map(|it| it.title)}
                </h1>
                <Progress count is_done=Callback::new(is_done) current go=Callback::new(go) titles=lesson.with_value(|it| it.steps.iter().map(|it| it.title.clone()).collect()) />
                {move || step().map(|step| view! { <StepBody step is_challenge=is_challenge && current.get() == 0 waits done=current_done /> })}
                <Happened step=Signal::derive(step) done=current_done player />
                <nav class="mt-8 flex items-center gap-2" aria-label=move || words.get().steps>
                    <button class=BUTTON disabled=move || current.get() == 0 on:click=move |_| go(current.get_untracked().saturating_sub(1))>
                        {move || words.get().previous}
                    </button>
                    <span class="grow"></span>
                    <Show when=move || !last()>
                        <button class=move || if current_done.get() || step().is_some_and(|it| it.checks.is_empty() && it.quizzes.is_empty()) { BUTTON_MAIN } else { BUTTON } on:click=move |_| go(current.get_untracked() + 1)>
                            {move || words.get().next}
                            {icons::arrow()}
                        </button>
                    </Show>
                </nav>
                <Show when=move || last() && finished()>
                    <div class="rise mt-6 rounded-xl border border-good p-4">
                        <p class="font-semibold">{move || words.get().finish}</p>
                        <p class="mt-1 text-sm text-muted">{move || words.get().finish_text}</p>
                    </div>
                </Show>
            </div>
            <Announcer lesson />
            <Enlarged picture=enlarged />
        </section>
    }
}

/// One segment a step; each is a button.
#[component]
fn Progress(
    count: usize,
    is_done: Callback<usize, bool>,
    current: RwSignal<usize>,
    go: Callback<usize>,
    titles: Vec<String>,
) -> impl IntoView {
    let words = words();
    let segment = move |(index, title): (usize, String)| {
        let class = move || {
            let tone = match (index == current.get(), is_done.run(index)) {
                (true, false) => "bg-accent",
                (_, true) => "bg-good",
                _ => "bg-line",
            };
            let height = if index == current.get() { "h-1.5" } else { "h-1" };
            format!("block w-full rounded-full transition-colors {height} {tone}")
        };
        let name = move || {
            let done = if is_done.run(index) { words.get().check_done } else { words.get().check_now };
            words.marks().labelled((words.get().step_of)(index + 1, count), format_args!("{title} ({done})"))
        };
        view! {
            <li class="min-w-0 grow basis-0">
                <button
                    class="flex h-6 w-full cursor-pointer items-center rounded-sm"
                    on:click=move |_| go.run(index)
                    aria-current=move || (index == current.get()).then_some("step")
                    aria-label=name.clone()
                    title=name
                >
                    <span class=class></span>
                </button>
            </li>
        }
    };
    view! { <ol class="mt-1 flex gap-1.5" aria-label=move || words.get().steps>{titles.into_iter().enumerate().map(segment).collect_view()}</ol> }
}

fn block(block: Block) -> AnyView {
    match block {
        Block::Prose { html } => view! { <div class="prose my-3" inner_html=enlargeable(&html)></div> }.into_any(),
        Block::Code { code, run_on, file, .. } => view! { <CodeBlock code run_on file /> }.into_any(),
    }
}

#[component]
fn StepBody(step: Step, is_challenge: bool, waits: Memo<Vec<String>>, done: Memo<bool>) -> impl IntoView {
    let words = words();
    let untranslated = step.language != settings().language.get_untracked();
    let id = step.id.clone();
    let quizzes: Vec<_> = step.quizzes.into_iter().map(|quiz| view! { <Question step=id.clone() quiz /> }).collect();
    let (given, live_hints): (Vec<_>, Vec<_>) = step.hints.into_iter().partition(|it| it.id.is_none());
    view! {
        <article lang=step.language.tag()>
            {untranslated.then(|| view! { <p class="mt-2 text-sm text-muted" lang=settings().language.get_untracked().tag()>{words.get().in_english}</p> })}
            {is_challenge.then(|| view! { <p class="mt-2 rounded-lg border-s-3 border-warn bg-warn-soft px-4 py-3 text-sm leading-relaxed" lang=settings().language.get_untracked().tag()>{words.get().page.challenge_text}</p> })}
            {step.body.into_iter().map(block).collect_view()}
        </article>
        <Show when=move || waits.with(|it| !it.is_empty())>
            <div class="mt-5 rounded-lg border border-line bg-sunken px-4 py-3 text-sm">
                <p>{move || words.get().page.needs}</p>
                <ul class="mt-1 list-disc ps-5 font-medium">{move || waits.get().into_iter().map(|it| view! { <li>{it}</li> }).collect::<Vec<_>>()}</ul>
            </div>
        </Show>
        <Checks step=step.id.clone() checks=step.checks waits=Signal::derive(move || waits.with(|it| !it.is_empty())) />
        {quizzes}
        <LiveHints step=step.id hints=live_hints done />
        <Hints hints=given.into_iter().map(|it| it.html).collect() />
    }
}

/// What the lesson says once the step is done, and what the learner's last action set off, with the way to see it.
#[component]
fn Happened(#[prop(into)] step: Signal<Option<Step>>, done: Memo<bool>, player: Player) -> impl IntoView {
    let words = words();
    let live = live();
    let last = Memo::new(move |_| {
        live.traces.with(|it| it.last().map(|it| (it.id, it.title.clone(), story::components(it), it.duration_micros)))
    });
    let after =
        move || done.get().then(|| step.with(|it| it.as_ref().map(|it| (it.language, it.after.clone())))).flatten();
    let has_after = Memo::new(move |_| after().is_some_and(|(_, it)| !it.is_empty()));
    view! {
        <Show when=move || has_after.get() || last.with(Option::is_some)>
            <section class="mt-6">
                <h2 class="text-[15px] font-semibold">{move || words.get().happened}</h2>
                {move || has_after.get().then(after).flatten().map(|(language, blocks)| view! {
                    <div class="rise" lang=language.tag()>{blocks.into_iter().map(block).collect_view()}</div>
                })}
                {move || last.get().map(|(id, title, components, micros)| view! {
                    <p class="mt-1.5 text-muted leading-relaxed">
                        <code class="inline-code text-ink">{title}</code>
                        {format!(" {} {} ", (words.get().set_off)(components), format::micros(micros))}
                        <button class=LINK on:click=move |_| player.play(id)>{move || words.get().play_link}" →"</button>
                    </p>
                })}
            </section>
        </Show>
    }
}

/// Tells screen readers which check turned green.
#[component]
fn Announcer(lesson: StoredValue<Lesson>) -> impl IntoView {
    let words = words();
    let live = live();
    let said = RwSignal::new(String::new());
    Effect::new(move |before: Option<HashSet<(String, String)>>| {
        let met: HashSet<(String, String)> = live.checks.with(|it| {
            it.values().filter(|it| it.state == CheckState::Met).map(|it| (it.step.clone(), it.check.clone())).collect()
        });
        if let Some(before) = before {
            let fresh: Vec<String> = met
                .difference(&before)
                .filter_map(|(step, check)| {
                    lesson.with_value(|it| {
                        let step = it.steps.iter().find(|it| it.id == *step)?;
                        Some(step.checks.iter().find(|it| it.id == *check)?.title.replace('`', ""))
                    })
                })
                .collect();
            if !fresh.is_empty() {
                said.set(format!("{} {}", words.now().check_met, fresh.join(", ")));
            }
        }
        met
    });
    view! { <p class="sr-only" aria-live="polite">{said}</p> }
}
