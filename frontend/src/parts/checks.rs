//! The checks of a step: they turn green by themselves.

use drydock_protocol::{Check, CheckState};
use leptos::prelude::*;

use super::{icons, inline};
use crate::live::live;
use crate::settings::words;

/// The list.
#[component]
pub(crate) fn Checks(
    /// Identifier of the step.
    step: String,
    /// Its checks.
    checks: Vec<Check>,
    /// Whether the step waits for others, so that none of its checks counts yet.
    #[prop(into)]
    waits: Signal<bool>,
) -> impl IntoView {
    let words = words();
    let live = live();
    if checks.is_empty() {
        return ().into_any();
    }
    // The first that does not hold yet is what is happening now.
    let ids: Vec<String> = checks.iter().map(|it| it.id.clone()).collect();
    let of = step.clone();
    let now = Memo::new(move |_| {
        let is_open = |id: &&String| live.check(&of, id).is_none_or(|it| it.state != CheckState::Met);
        if waits.get() || !live.is_ready() { None } else { ids.iter().find(is_open).cloned() }
    });
    let rows: Vec<_> = checks.into_iter().map(|check| view! { <CheckRow step=step.clone() check now /> }).collect();
    view! {
        <section class="mt-6">
            <h2 class="text-[15px] font-semibold">{move || words.get().checks_title}</h2>
            <ul class="mt-2 border-t border-line divide-y divide-line">{rows}</ul>
        </section>
    }
    .into_any()
}

#[component]
fn CheckRow(step: String, check: Check, now: Memo<Option<String>>) -> impl IntoView {
    let words = words();
    let live = live();
    let id = StoredValue::new(check.id);
    let is_now = Memo::new(move |_| now.with(|it| id.with_value(|id| it.as_ref() == Some(id))));
    let verdict = Memo::new(move |_| id.with_value(|id| live.check(&step, id)));
    let state = move || verdict.with(|it| it.as_ref().map_or(CheckState::Unmet, |it| it.state));
    let detail = move || {
        verdict.with(|it| it.as_ref().filter(|it| it.state != CheckState::Met).and_then(|it| it.detail.clone()))
    };
    let mark = move || {
        match state() {
        CheckState::Met => view! { <span class="check-mark grid size-5 shrink-0 place-items-center rounded-full bg-good text-surface">{icons::check()}</span> }.into_any(),
        CheckState::Unmet if is_now.get() => view! { <span class="spin size-5 shrink-0 rounded-full border-2 border-accent border-t-transparent"></span> }.into_any(),
        CheckState::Unmet => view! { <span class="size-5 shrink-0 rounded-full border-2 border-line-strong"></span> }.into_any(),
        CheckState::Error => view! { <span class="grid size-5 shrink-0 place-items-center text-warn"><svg class="size-4" viewBox="-8 -8 16 16" aria-hidden="true"><path d="M0 -7L7.5 6H-7.5Z" fill="currentColor" /></svg></span> }.into_any(),
    }
    };
    let state_name = move || match state() {
        CheckState::Met => words.get().check_done,
        CheckState::Unmet => words.get().check_now,
        CheckState::Error => words.get().page.check_error,
    };
    view! {
        <li class="flex gap-3 py-2.5" class:check-met=move || state() == CheckState::Met>
            {mark}
            <div class="min-w-0 grow leading-snug" class:text-accent-ink=move || is_now.get() && state() == CheckState::Unmet>
                <span class="sr-only">{state_name}{move || words.marks().colon()}</span>
                {inline(&check.title)}
                <p class="mt-0.5 text-sm text-muted empty:hidden">{move || detail().map(|it| inline(&it))}</p>
            </div>
        </li>
    }
}
