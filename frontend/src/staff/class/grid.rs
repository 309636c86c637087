//! The learners: who needs help first.

use drydock_protocol::class::Learner;
use leptos::prelude::*;

use super::live::class_live;
use crate::classes::CARD;
use crate::format;
use crate::parts::icons;
use crate::settings::words;
use crate::staff::roster::{self, Look};
use crate::staff::words::{StaffWords, staff_words};

/// From so many tries on, they are worth a word.
const MANY: u32 = 3;

/// What a look is called.
pub(super) fn look_name(look: Look, texts: StaffWords) -> &'static str {
    match look {
        Look::Hand => texts.get().hand,
        Look::Failing => texts.get().failing,
        Look::Broken => texts.get().broken,
        Look::Slow => texts.get().slow,
        Look::Waiting => texts.get().waiting,
        Look::Starting => texts.get().starting,
        Look::Well => texts.get().well,
        Look::Away => texts.get().away,
        Look::Finished => texts.get().finished,
        Look::Ended => texts.get().ended,
    }
}

/// The sign of a look; its name stands beside it.
#[component]
pub(super) fn Sign(
    /// The look.
    #[prop(into)]
    look: Signal<Look>,
) -> impl IntoView {
    view! {
        <svg class=move || format!("size-3.5 shrink-0 {}", look.get().tone()) viewBox="-6.5 -6.5 13 13" aria-hidden="true">
            <path d=move || look.get().shape() fill="currentColor" fill-rule="evenodd" />
        </svg>
    }
}

/// All learners of the class.
#[component]
pub(super) fn Grid() -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let order = Memo::new(move |_| live.roster.with(roster::order));
    let counts = Memo::new(move |_| live.roster.with(roster::counts));
    let is_empty = Memo::new(move |_| order.with(Vec::is_empty));
    let count = move |(look, count): (Look, usize)| {
        view! {
            <li class="inline-flex items-center gap-1.5">
                <Sign look=Signal::stored(look) />
                <span class="font-semibold tabular-nums">{count}</span>
                <span class="text-muted">{look_name(look, texts)}</span>
            </li>
        }
    };
    view! {
        <section aria-label=move || texts.get().learners>
            <ul class="mb-3 flex min-h-6 flex-wrap gap-x-5 gap-y-1 text-sm" aria-live="polite">
                {move || counts.get().into_iter().map(count).collect::<Vec<_>>()}
            </ul>
            <Show when=move || is_empty.get()>
                <div class=format!("{CARD} max-w-xl")>
                    <h2 class="text-lg font-semibold">{move || texts.get().nobody_title}</h2>
                    <p class="mt-1 leading-relaxed text-muted">{move || texts.get().nobody_text}</p>
                </div>
            </Show>
            <ul class="grid grid-cols-[repeat(auto-fill,minmax(15.5rem,1fr))] gap-3">
                <For each=move || order.get() key=|id| *id let:id>
                    <Card id />
                </For>
            </ul>
        </section>
    }
}

/// One learner. All cards are of one height, whatever there is to say.
#[component]
fn Card(id: u32) -> impl IntoView {
    let texts = staff_words();
    let live = class_live();
    let learner = live.learner(id);
    let of = move |read: fn(&Learner) -> String| {
        Memo::new(move |_| learner.with(|it| it.as_ref().map(read).unwrap_or_default()))
    };
    let look = Memo::new(move |_| learner.with(|it| it.as_ref().map_or(Look::Well, Look::of)));
    let name = of(|it| it.name.clone());
    let since = Memo::new(move |_| learner.with(|it| it.as_ref().map_or(0, |it| it.step_since_millis)));
    let on_step = move || {
        let since = since.get();
        (since > 0).then(|| format::clock(live.now.get().saturating_sub(since)))
    };
    let said = move || learner.with(|it| it.as_ref().map(|it| sentence(it, texts)).unwrap_or_default());
    let command = of(|it| it.last_command.clone().unwrap_or_default());
    view! {
        <li class=move || format!("relative flex h-37 flex-col gap-1 rounded-xl border bg-surface p-3.5 hover:bg-sunken {}", look.get().border())>
            <div class="flex items-center gap-2">
                <Sign look />
                <h2 class="min-w-0 grow truncate font-semibold">
                    // The whole card leads there.
                    <a href=format!("?learner={id}") class="rounded-sm after:absolute after:inset-0 after:rounded-xl" title=move || (texts.get().open_learner)(&name.get())>{name}</a>
                </h2>
                <Show when=move || learner.with(|it| it.as_ref().is_some_and(|it| it.watchers > 0))>
                    <span class="text-xs text-muted">{move || texts.get().watched}</span>
                </Show>
                <span class="text-[13px] text-muted tabular-nums" title=move || texts.get().on_step>{on_step}</span>
            </div>
            <Steps id />
            <p class=move || format!("line-clamp-2 min-h-9 text-[13px] leading-[1.15rem] {}", if look.get().needs_help() { look.get().tone() } else { "text-muted" })>{said}</p>
            <p class="mt-auto truncate font-mono text-xs text-muted" title=command>
                {move || if command.with(String::is_empty) { texts.get().no_command.to_owned() } else { format!("$ {}", command.get()) }}
            </p>
        </li>
    }
}

/// What there is to say of a learner.
fn sentence(learner: &Learner, texts: StaffWords) -> String {
    let look = Look::of(learner);
    let mut said = look_name(look, texts).to_owned();
    if learner.attempts >= MANY && matches!(look, Look::Failing | Look::Hand) {
        said = format!("{said} · {}", (texts.get().attempts)(learner.attempts as usize));
    }
    let more = match look {
        Look::Hand | Look::Failing | Look::Slow => learner.failing.as_deref(),
        Look::Broken | Look::Waiting | Look::Ended => learner.reason.as_deref(),
        _ => None,
    };
    match more {
        Some(more) => texts.marks().labelled(said, more),
        None => said,
    }
}

/// How far a learner is in the lesson.
#[component]
pub(super) fn Steps(id: u32) -> impl IntoView {
    let (words, texts) = (words(), staff_words());
    let live = class_live();
    let learner = live.learner(id);
    let place = Memo::new(move |_| {
        learner.with(|it| {
            let it = it.as_ref()?;
            (it.step_count > 0).then_some((
                usize::from(it.steps_done),
                usize::from(it.step_number),
                usize::from(it.step_count),
            ))
        })
    });
    move || match place.get() {
        None => view! { <p class="text-[13px] text-muted">{texts.get().no_step}</p> }.into_any(),
        Some((done, at, all)) => {
            let name = (words.get().step_of)(at.clamp(1, all), all);
            let part = |step: usize| {
                let class = match step {
                    step if step <= done => "h-1.5 grow rounded-full bg-good",
                    step if step == at => "h-1.5 grow rounded-full bg-accent",
                    _ => "h-1.5 grow rounded-full bg-line",
                };
                view! { <span class=class></span> }
            };
            view! {
                <div class="flex items-center gap-2 text-[13px] text-muted">
                    <span class="flex grow gap-0.5" aria-hidden="true">{(1..=all).map(part).collect::<Vec<_>>()}</span>
                    <span class="whitespace-nowrap">{if done >= all { icons::check().into_any() } else { name.into_any() }}</span>
                </div>
            }
            .into_any()
        }
    }
}
