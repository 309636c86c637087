//! What happens until the cluster is Ready.

use drydock_protocol::{StartStage, StartStep, StepState};
use leptos::prelude::*;

use super::icons;
use crate::classes::CARD;
use crate::format;
use crate::live::live;
use crate::settings::words;

/// The stages of coming up, each with the time at which it was reached.
#[component]
pub(crate) fn StartProgress() -> impl IntoView {
    let words = words();
    let live = live();
    let step = move |stage: StartStage| {
        live.session.with(|it| {
            let steps = it.as_ref().map_or(&[][..], |it| it.start.as_slice());
            steps.iter().find(|it| it.stage == stage).cloned().unwrap_or(StartStep {
                stage,
                state: StepState::Waiting,
                at_millis: None,
            })
        })
    };
    let reason = move || live.session.with(|it| it.as_ref().and_then(|it| it.reason.clone()));
    let row = move |stage: StartStage| {
        let state = Memo::new(move |_| step(stage));
        view! {
            <li class="flex items-center gap-3 py-2">
                {move || mark(state.get().state)}
                <span class=move || match state.get().state {
                    StepState::Waiting => "grow text-muted",
                    StepState::Failed => "grow text-bad",
                    StepState::Running => "grow text-accent-ink font-medium",
                    StepState::Done => "grow",
                }>{move || words.get().stage(stage)}</span>
                <span class="text-sm text-muted tabular-nums">{move || state.get().at_millis.map(format::millis)}</span>
            </li>
        }
    };
    view! {
        <div class="grid h-full place-items-center overflow-auto p-6">
            <section class=format!("{CARD} w-full max-w-md rise") aria-live="polite">
                <h2 class="text-base font-semibold">{move || words.get().coming_up}</h2>
                <p class="text-sm text-muted empty:hidden mt-1">{reason}</p>
                <ol class="mt-3 divide-y divide-line">{StartStage::ALL.map(row).collect_view()}</ol>
            </section>
        </div>
    }
}

/// The sign of a stage: ring, turning ring, hook, cross.
fn mark(state: StepState) -> AnyView {
    match state {
        StepState::Waiting => view! { <span class="size-5 rounded-full border-2 border-line"></span> }.into_any(),
        StepState::Running => view! { <span class="size-5 rounded-full border-2 border-accent border-t-transparent spin"></span> }.into_any(),
        StepState::Done => view! { <span class="grid size-5 place-items-center rounded-full bg-good text-surface rise">{icons::check()}</span> }.into_any(),
        StepState::Failed => view! { <span class="grid size-5 place-items-center rounded-full bg-bad text-surface">{icons::cross()}</span> }.into_any(),
    }
}
