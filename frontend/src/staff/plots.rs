//! A plot: title and present value above, lines below, the value under the pointer.

use leptos::html;
use leptos::prelude::*;
use web_sys::PointerEvent;

use super::plot::{Axes, HEIGHT, Series, WIDTH};
use super::words::staff_words;
use crate::classes::CARD;

/// One line of a plot.
#[derive(Clone, PartialEq)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) series: Series,
    /// Its colour, as a class that sets `color`.
    pub(crate) tone: &'static str,
    /// Whether it is dashed, so that colour is never alone.
    pub(crate) dashed: bool,
}

/// What a plot shows.
#[derive(Clone, PartialEq)]
pub(crate) struct Data {
    /// Its lines; the first one also fills.
    pub(crate) lines: Vec<Line>,
    /// The present.
    pub(crate) now: u64,
    /// How far back it goes.
    pub(crate) span: u64,
    /// The least value at the top.
    pub(crate) least: f64,
}

/// The plot.
#[component]
pub(crate) fn Plot(
    /// What it shows.
    #[prop(into)]
    data: Signal<Data>,
    /// How a value reads.
    read: fn(f64) -> String,
) -> impl IntoView {
    let texts = staff_words();
    let place = NodeRef::<html::Div>::new();
    let pointed = RwSignal::new(None::<f64>);
    let axes = Memo::new(move |_| {
        data.with(|it| {
            let series: Vec<Series> = it.lines.iter().map(|it| it.series.clone()).collect();
            Axes::new(it.now, it.span, it.least, &series)
        })
    });
    let over = move |event: PointerEvent| {
        let Some(place) = place.get_untracked() else { return };
        let rect = place.get_bounding_client_rect();
        if rect.width() > 0.0 {
            pointed.set(Some((f64::from(event.client_x()) - rect.left()) / rect.width()));
        }
    };
    let is_empty = move || data.with(|it| it.lines.iter().all(|it| it.series.points.is_empty()));
    let at = move || pointed.get().map(|share| axes.get().at(share));
    let figure = move |line: &Line| match at() {
        Some(at) => line.series.near(at).map(|(_, value)| value),
        None => line.series.last_and_highest().map(|(last, _)| last),
    };
    let heads = move || {
        data.get()
            .lines
            .into_iter()
            .map(|line| {
                let value = figure(&line).map_or_else(|| "–".to_owned(), read);
                view! {
                    <span class="inline-flex items-baseline gap-2">
                        <svg class=format!("h-2 w-4 self-center {}", line.tone) viewBox="0 0 16 8" aria-hidden="true">
                            <path d="M0 4H16" stroke="currentColor" stroke-width="2.5" stroke-dasharray=line.dashed.then_some("4 3") />
                        </svg>
                        <span class="text-sm text-muted">{line.name}</span>
                        <span class="font-semibold tabular-nums">{value}</span>
                    </span>
                }
            })
            .collect::<Vec<_>>()
    };
    let said = move || {
        // A line without a value yet has its name at least.
        let line = |line: &Line| match line.series.last_and_highest() {
            Some((last, highest)) => (texts.get().plot_says)(line.name, &read(last), &read(highest)),
            None => texts.marks().labelled(line.name, "–"),
        };
        data.with(|it| it.lines.iter().map(line).collect::<Vec<_>>().join("; "))
    };
    let moment = move |millis: u64| texts.moment(millis);
    view! {
        <section class=format!("{CARD} flex flex-col gap-2")>
            <h2 class="flex flex-wrap gap-x-5 gap-y-1">{heads}</h2>
            <div class="flex gap-2">
                <div class="relative grow" node_ref=place on:pointermove=over on:pointerleave=move |_| pointed.set(None)>
                    <svg class="block h-28 w-full overflow-visible" viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=said>
                        <path d=format!("M0 0H{WIDTH}M0 {0}H{WIDTH}", HEIGHT / 2.0) class="stroke-line" stroke-dasharray="2 4" vector-effect="non-scaling-stroke" fill="none" />
                        <path d=format!("M0 {HEIGHT}H{WIDTH}") class="stroke-line-strong" vector-effect="non-scaling-stroke" fill="none" />
                        {move || data.with(|it| it.lines.iter().enumerate().map(|(index, line)| {
                            let axes = axes.get();
                            let area = (index == 0).then(|| view! { <path d=axes.area(&line.series) fill="currentColor" fill-opacity="0.12" /> });
                            view! {
                                <g class=line.tone>
                                    {area}
                                    <path d=axes.line(&line.series) stroke="currentColor" stroke-width="1.75" stroke-linejoin="round" stroke-linecap="round" stroke-dasharray=line.dashed.then_some("5 4") vector-effect="non-scaling-stroke" fill="none" />
                                </g>
                            }
                        }).collect::<Vec<_>>())}
                        {move || at().map(|at| {
                            let x = axes.get().x(at);
                            view! { <path d=format!("M{x:.1} 0V{HEIGHT}") class="stroke-ink" stroke-opacity="0.4" vector-effect="non-scaling-stroke" fill="none" /> }
                        })}
                    </svg>
                    <Show when=is_empty>
                        <p class="absolute inset-0 grid place-items-center text-sm text-muted">{move || texts.get().no_samples}</p>
                    </Show>
                </div>
                <div class="flex w-14 shrink-0 flex-col justify-between text-xs text-muted tabular-nums" aria-hidden="true">
                    <span>{move || read(axes.get().top)}</span>
                    <span>{move || read(axes.get().top / 2.0)}</span>
                    <span>{read(0.0)}</span>
                </div>
            </div>
            <p class="flex justify-between pe-16 text-xs text-muted tabular-nums">
                <span>{move || moment(axes.get().from)}</span>
                <span>{move || moment(at().unwrap_or_else(|| axes.get().to))}</span>
            </p>
        </section>
    }
}
