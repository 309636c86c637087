//! The lesson: one idea, the commands to run, the checks that turn green, hints, and what just happened.

use std::collections::HashSet;

use drydock_protocol::{Block, CheckState, Lesson, Step};
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

/// The pane.
#[component]
pub(crate) fn LessonPane(
    /// The lesson.
    lesson: Lesson,
    /// Number of the step that is read, from 0.
    current: RwSignal<usize>,
    /// Plays traces on the picture.
    player: Player,
) -> impl IntoView {
    let words = words();
    let live = live();
    let lesson = StoredValue::new(lesson);
    let count = lesson.with_value(|it| it.steps.len());
    let pane = NodeRef::<html::Section>::new();
    let step = move || lesson.with_value(|it| it.steps.get(current.get()).cloned());
    let is_done = move |index: usize| {
        lesson.with_value(|it| it.steps.get(index).is_some_and(|it| live.is_step_done(&it.id, &it.checks)))
    };
    let go = move |index: usize| {
        current.set(index);
        if let Some(pane) = pane.get_untracked() {
            pane.set_scroll_top(0);
        }
    };
    let facts = move || {
        lesson.with_value(|it| {
            format!("{} · {}", it.summary.topic, (words.get().minutes)(usize::from(it.summary.minutes)))
        })
    };
    let last = move || current.get() + 1 >= count;
    let finished = move || (0..count).all(is_done);
    view! {
        <section node_ref=pane class="h-full overflow-y-auto bg-surface" aria-label=move || words.get().lesson_pane>
            <div class="mx-auto max-w-2xl px-5 pt-5 pb-10 text-[15px]">
                <p class="text-sm text-muted">{facts}</p>
                <Progress count is_done=Callback::new(is_done) current go=Callback::new(go) titles=lesson.with_value(|it| it.steps.iter().map(|it| it.title.clone()).collect()) />
                {move || step().map(|step| view! { <StepBody step /> })}
                <WhatHappened player />
                <nav class="mt-8 flex items-center gap-2" aria-label=move || words.get().steps>
                    <button class=BUTTON disabled=move || current.get() == 0 on:click=move |_| go(current.get_untracked().saturating_sub(1))>
                        {move || words.get().previous}
                    </button>
                    <span class="grow"></span>
                    <Show when=move || !last()>
                        <button class=move || if is_done(current.get()) { BUTTON_MAIN } else { BUTTON } on:click=move |_| go(current.get_untracked() + 1)>
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
            format!("{}: {title} ({done})", (words.get().step_of)(index + 1, count))
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
    view! { <ol class="order-last mt-1 flex gap-1.5" aria-label=move || words.get().steps>{titles.into_iter().enumerate().map(segment).collect_view()}</ol> }
}

#[component]
fn StepBody(step: Step) -> impl IntoView {
    let words = words();
    let untranslated = step.language != settings().language.get_untracked();
    let block = |block| match block {
        Block::Prose { html } => view! { <div class="prose my-3" inner_html=html></div> }.into_any(),
        Block::Code { code, run_on, .. } => view! { <CodeBlock code run_on /> }.into_any(),
    };
    view! {
        <article lang=step.language.tag()>
            <h1 class="mt-1 text-xl font-bold tracking-tight text-balance">{step.title}</h1>
            {untranslated.then(|| view! { <p class="mt-2 text-sm text-muted">{words.get().in_english}</p> })}
            {step.body.into_iter().map(block).collect_view()}
        </article>
        <Checks step=step.id checks=step.checks />
        <Hints hints=step.hints.into_iter().map(|it| it.html).collect() />
    }
}

/// Hints, one more at each click.
#[component]
fn Hints(hints: Vec<String>) -> impl IntoView {
    let words = words();
    let shown = RwSignal::new(0);
    let count = hints.len();
    let hint = move |(index, html): (usize, String)| {
        view! {
            <Show when=move || { index < shown.get() }>
                <div class="rise mt-3 rounded-lg border-s-3 border-accent bg-accent-soft px-4 py-3 text-sm" role="note">
                    <p class="font-semibold">{move || words.get().hint}</p>
                    <div class="prose mt-1" inner_html=html.clone()></div>
                </div>
            </Show>
        }
    };
    view! {
        <div class="mt-4">
            {hints.into_iter().enumerate().map(hint).collect_view()}
            <Show when=move || { shown.get() < count }>
                <button class=format!("{LINK} mt-3 text-sm") on:click=move |_| shown.update(|it| *it += 1)>
                    {move || if shown.get() == 0 { words.get().show_hint } else { words.get().more_hint }}
                </button>
            </Show>
        </div>
    }
}

/// What the learner's last action set off, with the way to see it.
#[component]
fn WhatHappened(player: Player) -> impl IntoView {
    let words = words();
    let live = live();
    let last = Memo::new(move |_| {
        live.traces.with(|it| it.last().map(|it| (it.id, it.title.clone(), story::components(it), it.duration_micros)))
    });
    view! {
        <Show when=move || last.with(Option::is_some)>
            <section class="mt-6">
                <h2 class="text-[15px] font-semibold">{move || words.get().happened}</h2>
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
