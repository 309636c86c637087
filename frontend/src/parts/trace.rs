//! The strip at the foot of the picture: the way of the last action through the cluster, as a time line to play.

use std::time::Duration;

use drydock_protocol::Trace;
use leptos::prelude::*;

use super::icons;
use crate::classes::ICON_BUTTON;
use crate::format;
use crate::live::{Live, live};
use crate::settings::words;
use crate::story::{self, Lit, bars, deed, lit, short_name};

/// How long a stage is shown while a trace is played.
const PACE: Duration = Duration::from_millis(1300);

/// Plays a trace stage by stage.
#[derive(Clone, Copy)]
pub(crate) struct Player {
    live: Live,
    /// Trace and stage that are shown.
    at: RwSignal<Option<(u64, usize)>>,
    run: StoredValue<u32>,
}

impl Player {
    /// A player for the page's session.
    pub(crate) fn new() -> Self {
        Self { live: live(), at: RwSignal::new(None), run: StoredValue::new(0) }
    }

    /// What is lit now: the stage that is played, else what happened just now.
    pub(crate) fn lit(self) -> Vec<Lit> {
        match self.at.get() {
            Some((id, stage)) => self.with_trace(id, |it| it.stages.get(stage).map(lit)).flatten().unwrap_or_default(),
            None => self.live.flash.get(),
        }
    }

    /// Plays a trace from its begin.
    pub(crate) fn play(self, id: u64) {
        self.next_run();
        self.at.set(Some((id, 0)));
        self.wait();
    }

    /// Shows one stage and stays there.
    fn show(self, id: u64, stage: usize) {
        self.next_run();
        self.at.set(Some((id, stage)));
    }

    /// Ends playing.
    fn stop(self) {
        self.next_run();
        self.at.set(None);
    }

    fn next_run(self) {
        self.run.update_value(|it| *it = it.wrapping_add(1));
    }

    fn wait(self) {
        let run = self.run.get_value();
        set_timeout(
            move || {
                if self.run.try_get_value() != Some(run) {
                    return;
                }
                let Some((id, stage)) = self.at.get_untracked() else { return };
                let next = stage + 1;
                if self.with_trace(id, |it| next < it.stages.len()) == Some(true) {
                    self.at.set(Some((id, next)));
                    self.wait();
                } else {
                    self.stop();
                }
            },
            PACE,
        );
    }

    fn with_trace<T>(self, id: u64, read: impl FnOnce(&Trace) -> T) -> Option<T> {
        self.live.traces.with(|it| it.iter().find(|it| it.id == id).map(read))
    }
}

/// The strip.
#[component]
pub(crate) fn TraceStrip(
    /// What plays it.
    player: Player,
) -> impl IntoView {
    let words = words();
    let live = live();
    // While a trace is played it stays; else the last one shows.
    let shown = Memo::new(move |_| {
        let id = player.at.get().map(|it| it.0);
        live.traces.with(|it| id.and_then(|id| it.iter().find(|it| it.id == id)).or(it.last()).cloned())
    });
    let stage = move || player.at.get().map(|it| it.1);
    let sentence = move || {
        let (id, stage) = player.at.get()?;
        player.with_trace(id, |it| {
            let stage = it.stages.get(stage)?;
            let what = format!("{} {} {}", stage.verb, stage.resource, stage.name);
            Some((short_name(&stage.component).to_owned(), what, words.get().deed(deed(stage))))
        })?
    };
    view! {
        <section class="shrink-0 px-3 pb-3 sm:px-4" aria-label=move || words.get().trace>
            <div class="flex h-12 items-center gap-3 rounded-xl border border-line bg-surface px-2.5 py-1.5 text-[13px]">
                {move || match shown.get() {
                    None => view! { <p class="px-1.5 text-muted">{words.get().trace_empty}</p> }.into_any(),
                    Some(trace) => {
                        let id = trace.id;
                        let playing = move || player.at.with(|it| it.is_some_and(|it| it.0 == id));
                        let name = move || if playing() { words.get().stop } else { words.get().play };
                        let (title, tip) = (trace.title.clone(), trace.title.clone());
                        let duration = trace.duration_micros;
                        view! {
                            <button class=ICON_BUTTON aria-label=name title=name on:click=move |_| if playing() { player.stop() } else { player.play(id) }>
                                {move || if playing() { icons::stop().into_any() } else { icons::play().into_any() }}
                            </button>
                            <p class="w-56 shrink-0 truncate font-semibold max-lg:w-36" title=tip>
                                {move || match sentence() {
                                    Some((_, what, _)) => what,
                                    None => format!("{title} · {}", format::micros(duration)),
                                }}
                            </p>
                            <div class="min-w-0 grow">
                                <TimeLine trace player stage=Signal::derive(stage) thin=Signal::derive(move || sentence().is_some()) />
                                <p class="truncate pt-1 text-[12.5px] text-muted empty:hidden" aria-live="polite">
                                    {move || sentence().map(|(component, _, why)| view! {
                                        <strong class="font-semibold text-accent-ink">{component}</strong>" "
                                        <span title=why>{why}</span>
                                    })}
                                </p>
                            </div>
                        }.into_any()
                    }
                }}
            </div>
        </section>
    }
}

#[component]
fn TimeLine(trace: Trace, player: Player, stage: Signal<Option<usize>>, thin: Signal<bool>) -> impl IntoView {
    let id = trace.id;
    let bar = move |bar: story::Bar| {
        let on = Memo::new(move |_| stage.get().is_some_and(|it| (bar.first..bar.first + bar.count).contains(&it)));
        let times = if bar.count > 1 { format!(" ×{}", bar.count) } else { String::new() };
        let label = format!("{}{times}", short_name(&bar.component));
        let title = format!("{} · {}", label, format::micros(bar.micros));
        let class = move || {
            let tone = if on.get() { "bg-accent text-on-accent" } else { "bg-accent-soft text-ink hover:bg-line" };
            // While a sentence stands below, the strip keeps its height and the bars lose their names.
            let size = if thin.get() { "h-2 text-[0px]" } else { "h-6 text-[12px]" };
            format!(
                "block w-full min-w-2 cursor-pointer truncate rounded-md px-2 text-start transition-colors {tone} {size}"
            )
        };
        view! {
            <li class="min-w-3 basis-0" style:flex-grow=format!("{:.2}", bar.weight)>
                <button class=class title=title.clone() aria-label=title on:click=move |_| player.show(id, bar.first)>{label}</button>
            </li>
        }
    };
    view! { <ol class="flex min-w-0 grow gap-1">{bars(&trace).into_iter().map(bar).collect_view()}</ol> }
}
