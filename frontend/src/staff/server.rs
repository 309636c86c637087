//! How the server is: warnings, figures, plots, routes.

use std::time::Duration;

use drydock_protocol::account::Role;
use drydock_protocol::operator::{History, Overview, RouteLoad, Sample, Warning};
use leptos::prelude::*;

use super::api;
use super::loaded::Loaded;
use super::person::Guard;
use super::plot::Series;
use super::plots::{Data, Line, Plot};
use super::shell::Page;
use super::table::{Cell, HEAD, HEAD_FIGURE, TABLE};
use super::words::{StaffWords, staff_words};
use crate::classes::CARD;
use crate::format;

/// How often the figures are asked for while the page is looked at.
const FIGURES: Duration = Duration::from_secs(5);
/// How often the plots are.
const PLOTS: Duration = Duration::from_secs(30);
/// Periods that can be chosen, in hours.
const PERIODS: [u32; 4] = [1, 6, 24, 168];

/// The page.
#[component]
pub(crate) fn ServerPage() -> impl IntoView {
    view! { <Guard role=Role::Operator><Server /></Guard> }
}

#[component]
fn Server() -> impl IntoView {
    let texts = staff_words();
    let hours = RwSignal::new(6_u32);
    let overview = Loaded::new(api::overview);
    let history = Loaded::new(move || api::history(hours.get()));
    every(FIGURES, move || overview.again());
    every(PLOTS, move || history.again());
    let choice = move |it: u32| {
        view! {
            <button
                class="cursor-pointer rounded-md px-3 py-1 text-sm text-muted hover:text-ink aria-pressed:bg-surface aria-pressed:font-semibold aria-pressed:text-ink"
                aria-pressed=move || if hours.get() == it { "true" } else { "false" }
                on:click=move |_| hours.set(it)
            >
                {move || (texts.get().hours)(it)}
            </button>
        }
    };
    let said = Memo::new(move |_| overview.get().map(|it| it.warnings));
    let routes = Memo::new(move |_| overview.get().map(|it| it.routes).unwrap_or_default());
    view! {
        <Page
            title=Signal::derive(move || texts.get().server.to_owned())
            wide=true
            tools=move || view! { <div class="flex rounded-lg bg-sunken p-1" role="group" aria-label=texts.get().period>{PERIODS.map(choice).collect_view()}</div> }
        >
            {move || said.get().map(|warnings| view! { <Warnings warnings /> })}
            {overview.show(move |now| view! { <Figures now /> }.into_any())}
            {history.show(move |history| view! { <Plots history hours=hours.get_untracked() /> }.into_any())}
            <Routes routes=routes.into() />
        </Page>
    }
}

/// Calls back again and again while the page is there and somebody can see it.
pub(super) fn every(time: Duration, call: impl Fn() + 'static) {
    let call = move || {
        if !document().hidden() {
            call();
        }
    };
    if let Ok(timer) = set_interval_with_handle(call, time) {
        on_cleanup(move || timer.clear());
    }
}

/// What a warning says; one that this page does not know, as the server wrote it.
fn warning_text(warning: &Warning, texts: StaffWords) -> String {
    let texts = texts.get();
    match warning.code.as_str() {
        "disk_low" => texts.warn_disk_low.to_owned(),
        "memory_low" => texts.warn_memory_low.to_owned(),
        "database_slow" => texts.warn_database_slow.to_owned(),
        "sessions_failing" => texts.warn_sessions_failing.to_owned(),
        "places_taken" => texts.warn_places_taken.to_owned(),
        _ => warning.message.clone(),
    }
}

#[component]
fn Warnings(warnings: Vec<Warning>) -> impl IntoView {
    let texts = staff_words();
    if warnings.is_empty() {
        return view! {
            <p class="mt-4 flex items-center gap-2 text-sm text-good-ink" role="status">
                <svg class="size-2.5" viewBox="-6 -6 12 12" aria-hidden="true"><circle r="5" fill="currentColor" /></svg>
                {move || texts.get().all_well}
            </p>
        }
        .into_any();
    }
    view! {
        <section class="mt-4 rounded-xl border border-warn bg-warn-soft px-5 py-3" role="status">
            <h2 class="text-sm font-semibold text-warn-ink">{move || texts.get().warnings}</h2>
            <ul class="mt-1 flex flex-col gap-1 text-sm">
                {warnings.into_iter().map(|it| view! { <li>{move || warning_text(&it, texts)}</li> }).collect::<Vec<_>>()}
            </ul>
        </section>
    }
    .into_any()
}

#[component]
fn Figures(now: Overview) -> impl IntoView {
    let words = staff_words();
    let texts = words.get();
    let machine = now.machine;
    let used = machine.memory_total_bytes.saturating_sub(machine.memory_available_bytes);
    let sessions: u64 = now.states.iter().map(|it| it.count).sum();
    let of = |some: String, all: String| (texts.of_all)(&some, &all);
    let oldest = (now.queue.length > 0).then(|| (texts.queue_oldest)(&format::clock(now.queue.oldest_millis)));
    let figure = |name: &'static str, value: String, more: String| {
        view! {
            <div class="min-w-0 px-4 py-2.5">
                <dt class="text-[13px] text-muted">{name}</dt>
                <dd class="mt-0.5 truncate text-xl font-semibold tabular-nums">{value}</dd>
                <dd class="min-h-5 truncate text-[13px] text-muted tabular-nums">{more}</dd>
            </div>
        }
    };
    view! {
        <dl class="mt-4 grid grid-cols-[repeat(auto-fit,minmax(11rem,1fr))] rounded-xl border border-line bg-surface py-1">
            {figure(texts.sessions, of(sessions.to_string(), now.max_sessions.to_string()), words.marks().labelled(texts.terminals, now.terminals))}
            {figure(texts.queue, now.queue.length.to_string(), oldest.unwrap_or_default())}
            {figure(texts.start_time, millis(now.starts.p50_millis), format!("p99 {} · {} {}", millis(now.starts.p99_millis), texts.starts, now.starts.count))}
            {figure(texts.cpu, percent(machine.cpu_percent), format!("{} × · load {:.1}", machine.cpus, machine.load))}
            {figure(texts.memory, format::bytes(used), of(format::bytes(used), format::bytes(machine.memory_total_bytes)))}
            {figure(texts.disk, format::bytes(machine.disk_free_bytes), of(format::bytes(machine.disk_free_bytes), format::bytes(machine.disk_total_bytes)))}
            {figure(texts.pids, machine.pids.to_string(), of(machine.pids.to_string(), machine.pids_max.to_string()))}
            {figure(texts.process, format::bytes(now.server.memory_bytes), format!("{} · {} {}", percent(now.server.cpu_percent), texts.open_files, now.server.open_files))}
            {figure(texts.database, format::bytes(now.server.database_bytes), String::new())}
            {figure(texts.version, now.version, format!("{} {}", texts.up_since, staff_words().moment(now.started_millis)))}
        </dl>
    }
}

/// A line of a plot: its name, its colour, whether it is dashed, and where it is in a sample.
type Measure = (&'static str, &'static str, bool, fn(&Sample) -> f64);

#[component]
fn Plots(history: History, hours: u32) -> impl IntoView {
    let texts = staff_words().get();
    let step = history.step_millis.max(1);
    let now = js_sys::Date::now() as u64;
    // The server's clock may be ahead of this one.
    let now = history.samples.last().map_or(now, |it| it.at_millis.max(now));
    let samples = StoredValue::new(history.samples);
    let data = move |least: f64, lines: Vec<Measure>| {
        let lines = lines
            .into_iter()
            .map(|(name, tone, dashed, read)| {
                let points = samples.with_value(|it| it.iter().map(|it| (it.at_millis, read(it))).collect());
                Line { name, series: Series { points, gap_millis: step * 5 / 2 }, tone, dashed }
            })
            .collect();
        Signal::stored(Data { lines, now, span: u64::from(hours) * 3_600_000, least })
    };
    let (accent, info) = ("text-accent-ink", "text-warn-ink");
    view! {
        <div class="mt-4 grid gap-4 lg:grid-cols-2 2xl:grid-cols-3">
            <Plot read=whole data=data(5.0, vec![(texts.sessions, accent, false, |it| f64::from(it.sessions)), (texts.queue, info, true, |it| f64::from(it.queued))]) />
            <Plot read=millis data=data(500.0, vec![(texts.start_time, accent, false, |it| f64::from(it.start_max_millis))]) />
            <Plot read=percent data=data(100.0, vec![(texts.cpu, accent, false, |it| f64::from(it.cpu_percent))]) />
            <Plot read=bytes data=data(1e9, vec![(texts.memory, accent, false, |it| it.memory_used_bytes as f64)]) />
            <Plot read=bytes data=data(1e9, vec![(texts.disk, accent, false, |it| it.disk_free_bytes as f64)]) />
            <Plot read=whole data=data(10.0, vec![(texts.requests, accent, false, |it| f64::from(it.requests)), (texts.requests_failed, info, true, |it| f64::from(it.requests_failed))]) />
        </div>
    }
}

#[component]
fn Routes(routes: Signal<Vec<RouteLoad>>) -> impl IntoView {
    let texts = staff_words();
    let row = |it: RouteLoad| {
        let bad = if it.failed > 0 { "font-semibold text-bad" } else { "" };
        view! {
            <tr>
                <Cell><code class="font-mono text-[13px]">{format!("{} {}", it.method, it.route)}</code></Cell>
                <Cell figure=true>{it.times.count}</Cell>
                <Cell figure=true>{millis(it.times.p50_millis)}</Cell>
                <Cell figure=true>{millis(it.times.p99_millis)}</Cell>
                <Cell figure=true>{it.refused}</Cell>
                <Cell figure=true><span class=bad>{it.failed}</span></Cell>
            </tr>
        }
    };
    view! {
        <Show when=move || routes.with(|it| !it.is_empty())>
            <section class=format!("{CARD} mt-4 overflow-x-auto p-0") tabindex="0" aria-label=move || texts.get().routes>
                <table class=TABLE>
                    <thead>
                        <tr>
                            <th class=HEAD scope="col">{move || texts.get().routes}</th>
                            <th class=HEAD_FIGURE scope="col">{move || texts.get().times}</th>
                            <th class=HEAD_FIGURE scope="col">{move || texts.get().half}</th>
                            <th class=HEAD_FIGURE scope="col">{move || texts.get().nearly_all}</th>
                            <th class=HEAD_FIGURE scope="col">{move || texts.get().refused}</th>
                            <th class=HEAD_FIGURE scope="col">{move || texts.get().failed}</th>
                        </tr>
                    </thead>
                    <tbody class="divide-y divide-line">{move || routes.get().into_iter().map(row).collect::<Vec<_>>()}</tbody>
                </table>
            </section>
        </Show>
    }
}

fn whole(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn percent(value: f64) -> String {
    format!("{value:.0}%")
}

fn millis(value: f64) -> String {
    if value <= 0.0 { "0".to_owned() } else { format::micros((value * 1000.0) as u64) }
}

fn bytes(value: f64) -> String {
    format::bytes(value as u64)
}
