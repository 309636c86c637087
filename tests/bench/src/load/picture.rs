//! The curves: one SVG with panels below each other, on one axis of time; readable on light and dark pages.

use std::fmt::Write as _;

use super::figures::{Kind, Records, quantile};
use super::machine::Sample;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 34.0;
const PANEL: f64 = 120.0;
const GAP: f64 = 46.0;
/// Echoes are put together over this many seconds.
const WINDOW: f64 = 2.0;

/// A curve or a cloud of points.
struct Series {
    name: &'static str,
    class: &'static str,
    points: Vec<(f64, f64)>,
    is_line: bool,
}

struct Panel {
    title: &'static str,
    series: Vec<Series>,
}

/// Draws all panels.
pub(super) fn draw(learners: usize, records: &Records, samples: &[Sample]) -> String {
    let base = samples.first().map_or(0.0, |sample| sample.memory);
    let line = |name, class, value: &dyn Fn(&Sample) -> f64| Series {
        name,
        class,
        points: samples.iter().map(|sample| (sample.at, value(sample))).collect(),
        is_line: true,
    };
    let starts: Vec<_> = records.of(Kind::Start).map(|it| (it.at, it.took / 1000.0)).collect();
    let checks: Vec<_> = records.of(Kind::Check).map(|it| (it.at, it.took / 1000.0)).collect();
    let panels = [
        Panel {
            title: "Sessions that are ready",
            series: vec![Series { name: "sessions", class: "a", points: ready(records), is_line: true }],
        },
        Panel {
            title: "Seconds from Join to ready, and from kubectl run to the green check",
            series: vec![
                Series { name: "start", class: "a", points: starts, is_line: false },
                Series { name: "check", class: "b", points: checks, is_line: false },
            ],
        },
        Panel {
            title: "Milliseconds from a key to its character on the screen",
            series: vec![
                Series { name: "p99 of 2 s", class: "b", points: echoes(records, 0.99), is_line: true },
                Series { name: "p50 of 2 s", class: "a", points: echoes(records, 0.5), is_line: true },
            ],
        },
        Panel {
            title: "CPU, percent of the machine",
            series: vec![
                line("all", "a", &|sample| sample.cpu),
                line("server (of one)", "b", &|sample| sample.server_cpu),
            ],
        },
        Panel {
            title: "Memory above before, MB",
            series: vec![
                line("machine", "a", &|sample| ((sample.memory - base) / 1e6).max(0.0)),
                line("server process", "b", &|sample| sample.server_memory / 1e6),
            ],
        },
    ];
    let height = TOP + panels.len() as f64 * (PANEL + GAP) + 10.0;
    let end = samples.last().map_or(1.0, |sample| sample.at).max(1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"A class of {learners} learners: sessions, start times, echo, CPU and memory over time\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#24292f}}.t{{font-weight:600}}.g{{stroke:#8886;stroke-width:.6}}path{{fill:none;stroke-width:1.6}}\
         .a{{stroke:#0969da}}.b{{stroke:#cf5b00}}circle.a{{fill:#0969da99}}circle.b{{fill:#cf5b0099}}\
         @media(prefers-color-scheme:dark){{text{{fill:#d0d7de}}.a{{stroke:#58a6ff}}.b{{stroke:#f0883e}}circle.a{{fill:#58a6ff99}}circle.b{{fill:#f0883e99}}}}</style>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        draw_panel(&mut svg, panel, TOP + number as f64 * (PANEL + GAP), end);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, panel: &Panel, top: f64, end: f64) {
    let largest = panel.series.iter().flat_map(|it| &it.points).map(|(_, value)| *value).fold(0.0, f64::max);
    let step = step(largest);
    let most = (largest / step).ceil().max(1.0) * step;
    let inner = WIDTH - LEFT - RIGHT;
    let x = |at: f64| LEFT + at / end * inner;
    let y = |value: f64| top + PANEL - value / most * PANEL;
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "<text class=\"t\" x=\"{LEFT}\" y=\"{:.0}\">{}</text>", top - 10.0, panel.title);
    let mut value = 0.0;
    while value <= most + step / 2.0 {
        let at = y(value);
        let _ =
            writeln!(svg, "<line class=\"g\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>", LEFT + inner);
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            round(value)
        );
        value += step;
    }
    let mut second = 0.0;
    while second <= end {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{second} s</text>",
            x(second),
            top + PANEL + 16.0
        );
        second += 10.0;
    }
    for (number, series) in panel.series.iter().enumerate() {
        if series.is_line {
            let mut path = String::new();
            for (index, (at, value)) in series.points.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if index == 0 { 'M' } else { 'L' }, x(*at), y(*value));
            }
            let _ = writeln!(svg, "<path class=\"{}\" d=\"{path}\"/>", series.class);
        } else {
            for (at, value) in &series.points {
                let _ = writeln!(
                    svg,
                    "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\"/>",
                    series.class,
                    x(*at),
                    y(*value)
                );
            }
        }
        let (mark, row) = (LEFT + inner + 14.0, top + 12.0 + number as f64 * 18.0);
        let _ = writeln!(svg, "<path class=\"{}\" d=\"M{mark} {:.0}h16\"/>", series.class, row - 4.0);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{row:.0}\">{}</text>", mark + 22.0, series.name);
    }
}

/// How many sessions are ready, over time.
fn ready(records: &Records) -> Vec<(f64, f64)> {
    let ups = records.of(Kind::Start).map(|it| (it.at + it.took / 1000.0, 1.0));
    let downs = records.of(Kind::End).map(|it| (it.at, -1.0));
    let mut changes: Vec<(f64, f64)> = ups.chain(downs).collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut count = 0.0;
    let mut points = vec![(0.0, 0.0)];
    for (at, change) in changes {
        points.push((at, count));
        count += change;
        points.push((at, count));
    }
    points
}

fn echoes(records: &Records, share: f64) -> Vec<(f64, f64)> {
    let mut windows: Vec<Vec<f64>> = Vec::new();
    for it in records.of(Kind::Echo) {
        let window = (it.at / WINDOW) as usize;
        windows.resize_with(windows.len().max(window + 1), Vec::new);
        windows[window].push(it.took);
    }
    let middle = |window: usize| (window as f64 + 0.5) * WINDOW;
    let filled = windows.iter().enumerate().filter(|(_, times)| !times.is_empty());
    filled.map(|(window, times)| (middle(window), quantile(times, share))).collect()
}

/// A round distance between lines, so that there are about four.
fn step(most: f64) -> f64 {
    let rough = (most / 4.0).max(1e-3);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(power)
}

fn round(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_at_round_values() {
        for (most, expected) in [(100.0, 50.0), (50.0, 20.0), (8.4, 5.0), (1.2, 0.5), (1400.0, 500.0), (0.0, 0.001)] {
            assert!((step(most) - expected).abs() < 1e-9, "{most}: {}", step(most));
        }
        assert_eq!((round(0.5), round(20.0), round(0.0)), ("0.5".to_owned(), "20".to_owned(), "0".to_owned()));
    }
}
