//! The strip at the foot of the picture: the way of an action through the cluster, as a time line to play.

use std::collections::BTreeSet;
use std::time::Duration;

use drydock_protocol::Trace;
use leptos::prelude::*;

use super::icons;
use crate::classes::ICON_BUTTON;
use crate::format;
use crate::live::{Live, live};
use crate::settings::words;
use crate::story::{self, Act, Lit, acts, short_name};

/// How long an act is shown at ordinary speed: long enough to read its sentence.
const PACE: Duration = Duration::from_millis(2600);
/// Speeds that can be chosen.
const SPEEDS: [(&str, f64); 3] = [("0.5", 0.5), ("1", 1.0), ("2", 2.0)];

/// Plays a trace act by act.
#[derive(Clone, Copy)]
pub(crate) struct Player {
    live: Live,
    /// The trace that was chosen; without one the newest is shown.
    chosen: RwSignal<Option<u64>>,
    /// Trace and act that are shown.
    at: RwSignal<Option<(u64, usize)>>,
    playing: RwSignal<bool>,
    speed: RwSignal<f64>,
    run: StoredValue<u32>,
}

impl Player {
    /// A player for the page's session.
    pub(crate) fn new() -> Self {
        Self {
            live: live(),
            chosen: RwSignal::new(None),
            at: RwSignal::new(None),
            playing: RwSignal::new(false),
            speed: RwSignal::new(1.0),
            run: StoredValue::new(0),
        }
    }

    /// What is lit now: the act that is played, else what happened just now.
    pub(crate) fn lit(self) -> Vec<Lit> {
        match self.at.get() {
            Some((id, act)) => self.with_act(id, act, story::lit_by).unwrap_or_default(),
            None => self.live.flash.get(),
        }
    }

    /// Objects that the act that is played is about.
    pub(crate) fn touched(self) -> BTreeSet<(String, String, String)> {
        let Some((id, act)) = self.at.get() else { return BTreeSet::new() };
        self.with_act(id, act, story::touched).unwrap_or_default()
    }

    /// Plays a trace from its begin.
    pub(crate) fn play(self, id: u64) {
        self.chosen.set(Some(id));
        self.at.set(Some((id, 0)));
        self.go_on();
    }

    fn go_on(self) {
        self.next_run();
        self.playing.set(true);
        self.wait();
    }

    fn pause(self) {
        self.next_run();
        self.playing.set(false);
    }

    /// Shows one act and stays there.
    fn show(self, id: u64, act: usize) {
        self.pause();
        self.at.set(Some((id, act)));
    }

    /// Ends playing.
    fn stop(self) {
        self.pause();
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
                let Some((id, act)) = self.at.get_untracked() else { return };
                let count = self.with_trace(id, |it| acts(it).len()).unwrap_or_default();
                if act + 1 < count {
                    self.at.set(Some((id, act + 1)));
                    self.wait();
                } else {
                    // The last act stays, for who reads slowly.
                    self.playing.set(false);
                }
            },
            PACE.div_f64(self.speed.get_untracked()),
        );
    }

    fn with_trace<T>(self, id: u64, read: impl FnOnce(&Trace) -> T) -> Option<T> {
        self.live.traces.with(|it| it.iter().find(|it| it.id == id).map(read))
    }

    fn with_act<T>(self, id: u64, act: usize, read: impl FnOnce(&Act, &Trace) -> T) -> Option<T> {
        self.with_trace(id, |trace| acts(trace).get(act).map(|act| read(act, trace)))?
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
    // What is chosen or played stays; else the last one shows.
    let shown = Memo::new(move |_| {
        let id = player.at.get().map(|it| it.0).or(player.chosen.get());
        live.traces.with(|it| id.and_then(|id| it.iter().find(|it| it.id == id)).or(it.last()).cloned())
    });
    view! {
        <section class="shrink-0 px-3 pb-3 sm:px-4" aria-label=move || words.get().trace>
            <div class="flex h-[4.5rem] items-center gap-4 rounded-xl border border-line bg-surface px-3 py-1 text-[13px]">
                <Show when=move || shown.with(Option::is_some) fallback=move || view! { <p class="px-1.5 text-muted">{move || words.get().trace_empty}</p> }>
                    <Controls player shown />
                    <div class="min-w-0 grow">
                        <TimeLine player shown />
                        <Sentence player shown />
                    </div>
                </Show>
            </div>
        </section>
    }
}

/// Which trace, and the buttons to play it.
#[component]
fn Controls(player: Player, shown: Memo<Option<Trace>>) -> impl IntoView {
    let words = words();
    let live = live();
    let id = move || shown.with(|it| it.as_ref().map_or(0, |it| it.id));
    let count = Memo::new(move |_| shown.with(|it| it.as_ref().map_or(0, |it| acts(it).len())));
    let at = move || player.at.get().filter(|it| it.0 == id()).map(|it| it.1);
    let playing = move || player.playing.get() && at().is_some();
    let name = move || if playing() { words.get().scene.pause } else { words.get().play };
    let toggle = move |_| match (playing(), at()) {
        (true, _) => player.pause(),
        (false, Some(act)) if act + 1 < count.get_untracked() => player.go_on(),
        (false, _) => player.play(id()),
    };
    let back = move |_| player.show(id(), at().unwrap_or(count.get_untracked()).saturating_sub(1));
    let on = move |_| player.show(id(), at().map_or(0, |it| it + 1).min(count.get_untracked().saturating_sub(1)));
    let choose = move |event| {
        player.stop();
        player.chosen.set(event_target_value(&event).parse().ok());
    };
    // The newest first; where nothing was chosen, the newest is what shows.
    let options = Memo::new(move |_| {
        live.traces.with(|it| {
            it.iter()
                .rev()
                .map(|it| (it.id, format!("{} · {}", it.title, format::micros(it.duration_micros))))
                .collect::<Vec<_>>()
        })
    });
    let quicker = move |event| player.speed.set(event_target_value(&event).parse().unwrap_or(1.0));
    view! {
        <div class="flex w-64 shrink-0 flex-col gap-1 max-lg:w-48">
            <label class="relative flex items-center">
                <span class="sr-only">{move || words.get().scene.trace_choose}</span>
                <select
                    class="w-full cursor-pointer appearance-none truncate rounded-md bg-surface py-0.5 pe-6 ps-1.5 font-semibold"
                    data-trace
                    on:change=choose
                    prop:value=move || { options.track(); id().to_string() }
                >
                    <For each=move || options.get() key=Clone::clone let:option>
                        <option value=option.0.to_string() selected=move || id() == option.0>{option.1.clone()}</option>
                    </For>
                </select>
                <span class="pointer-events-none absolute end-1 text-muted">{icons::down()}</span>
            </label>
            <div class="flex items-center gap-0.5">
                <button class=ICON_BUTTON aria-label=move || words.get().scene.before title=move || words.get().scene.before disabled=move || at() == Some(0) on:click=back>{icons::back()}</button>
                <button class=format!("{ICON_BUTTON} text-accent-ink") data-play aria-label=name title=name on:click=toggle>
                    {move || if playing() { icons::pause().into_any() } else { icons::play().into_any() }}
                </button>
                <button class=ICON_BUTTON aria-label=move || words.get().scene.after title=move || words.get().scene.after disabled=move || at().is_some_and(|it| it + 1 >= count.get()) on:click=on>{icons::on()}</button>
                <button class=ICON_BUTTON aria-label=move || words.get().stop title=move || words.get().stop disabled=move || at().is_none() on:click=move |_| player.stop()>{icons::stop()}</button>
                <label class="ms-1 flex items-center text-xs text-muted">
                    <span class="sr-only">{move || words.get().scene.speed}</span>
                    <select class="cursor-pointer rounded-md bg-surface py-0.5" on:change=quicker>
                        {SPEEDS.map(|(text, value)| view! { <option value=text selected=move || player.speed.get() == value>{text}"×"</option> }).collect_view()}
                    </select>
                </label>
                <span class="ms-auto shrink-0 whitespace-nowrap text-xs text-muted tabular-nums max-lg:hidden">
                    {move || at().map(|act| (words.get().scene.act_of)(act + 1, count.get()))}
                </span>
            </div>
        </div>
    }
}

/// The act's sentence, or what the trace consists of.
#[component]
fn Sentence(player: Player, shown: Memo<Option<Trace>>) -> impl IntoView {
    let words = words();
    let sentence = move || {
        let scene = words.get().scene;
        let (id, act) = player.at.get()?;
        player.with_act(id, act, |act, trace| {
            let mut who = vec![short_name(&act.component).to_owned()];
            who.extend(story::actors(act, trace));
            let time = match act.micros {
                Some(micros) => format::micros(micros),
                None if act.component == "kube-proxy" => scene.untimed.to_owned(),
                None => String::new(),
            };
            (who.join(" · "), scene.deed(act.deed), time)
        })
    };
    let summary = move || {
        shown.with(|it| it.as_ref().map(|it| (words.get().scene.trace_of)(story::components(it), it.stages.len())))
    };
    view! {
        <p class="line-clamp-2 h-[2.9em] pt-1 text-[12.5px] leading-[1.3] text-muted" aria-live="polite" data-sentence>
            {move || match sentence() {
                None => summary().into_any(),
                Some((who, why, time)) => view! {
                    <strong class="font-semibold text-accent-ink">{who}</strong>" "
                    <span class="text-ink">{why}</span>" "
                    <span class="tabular-nums">{time}</span>
                }.into_any(),
            }}
        </p>
    }
}

/// The acts as bars.
#[component]
fn TimeLine(player: Player, shown: Memo<Option<Trace>>) -> impl IntoView {
    let words = words();
    let bars = move || {
        let Some(trace) = shown.get() else { return Vec::new() };
        let id = trace.id;
        let bar = |(index, act): (usize, Act)| {
            let on = Memo::new(move |_| player.at.get() == Some((id, index)));
            let label = story::bar_name(&act);
            let time = act.micros.map(|it| format!(" · {}", format::micros(it))).unwrap_or_default();
            let title = format!("{label}{time} · {}", words.get().scene.deed(act.deed));
            let edge = if act.micros.is_some() { "" } else { "border border-dashed border-line-strong" };
            let class = move || {
                let tone = if on.get() { "bg-accent text-on-accent" } else { "bg-accent-soft text-ink hover:bg-line" };
                format!(
                    "block h-6 w-full min-w-2 cursor-pointer truncate rounded-md px-1.5 text-start text-[12px] transition-colors {edge} {tone}"
                )
            };
            // As wide as its name where there is room, and the rest by time.
            let name = format!("{}px", label.chars().count() * 7 + 16);
            view! {
                <li class="min-w-3 shrink" style:flex-basis=name style:flex-grow=format!("{:.2}", act.weight)>
                    <button class=class title=title.clone() aria-label=title aria-current=move || on.get().then_some("step") on:click=move |_| player.show(id, index)>{label}</button>
                </li>
            }
        };
        acts(&trace).into_iter().enumerate().map(bar).collect()
    };
    view! { <ol class="flex min-w-0 grow gap-1">{move || bars().collect_view()}</ol> }
}
