//! Lines of plots: from samples to SVG paths in a box of [`WIDTH`] by [`HEIGHT`]. Pure.

use std::fmt::Write as _;

/// Width of the box; the page stretches it.
pub const WIDTH: f64 = 600.0;
/// Height of the box.
pub const HEIGHT: f64 = 120.0;

/// One measured thing over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// When and how much, oldest first.
    pub points: Vec<(u64, f64)>,
    /// The longest time between two points that a line may cross: where the server did not run there is none.
    pub gap_millis: u64,
}

/// The axes that the series of a plot share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes {
    /// First instant.
    pub from: u64,
    /// Last instant.
    pub to: u64,
    /// Value at the top; the bottom is 0.
    pub top: f64,
}

/// A plot goes back at least this far, in milliseconds.
const SHORTEST: u64 = 10 * 60 * 1000;

impl Axes {
    /// Axes from the present back over `span`, or to the first point where that is later, with a round value above all that
    /// is shown, and at least `least`.
    #[must_use]
    pub fn new(now: u64, span: u64, least: f64, series: &[Series]) -> Self {
        let points = || series.iter().flat_map(|it| &it.points);
        let highest = points().fold(least, |highest, (_, value)| highest.max(*value));
        let first = points().map(|(at, _)| *at).min().unwrap_or(0);
        let from = first.min(now.saturating_sub(SHORTEST)).max(now.saturating_sub(span));
        Self { from, to: now.max(1), top: round_up(highest) }
    }

    /// Where an instant lies.
    #[must_use]
    pub fn x(&self, at: u64) -> f64 {
        let span = self.to.saturating_sub(self.from).max(1) as f64;
        at.saturating_sub(self.from) as f64 / span * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - (value / self.top).clamp(0.0, 1.0) * HEIGHT
    }

    /// The line of a series, with a break wherever too much time lies between two points; a point alone is a dot.
    #[must_use]
    pub fn line(&self, series: &Series) -> String {
        let mut out = String::new();
        let mut last = None;
        for (at, value) in series.points.iter().filter(|(at, _)| *at >= self.from) {
            let joins = last.is_some_and(|last| at.saturating_sub(last) <= series.gap_millis);
            let (x, y) = (self.x(*at), self.y(*value));
            let _ = if joins { write!(out, "L{x:.1} {y:.1}") } else { write!(out, "M{x:.1} {y:.1}h0") };
            last = Some(*at);
        }
        out
    }

    /// The surface below the line.
    #[must_use]
    pub fn area(&self, series: &Series) -> String {
        let mut out = String::new();
        let mut last: Option<u64> = None;
        for (at, value) in series.points.iter().filter(|(at, _)| *at >= self.from) {
            let (x, y) = (self.x(*at), self.y(*value));
            match last {
                Some(before) if at.saturating_sub(before) <= series.gap_millis => {}
                before => {
                    if let Some(before) = before {
                        let _ = write!(out, "L{:.1} {HEIGHT}Z", self.x(before));
                    }
                    let _ = write!(out, "M{x:.1} {HEIGHT}");
                }
            }
            let _ = write!(out, "L{x:.1} {y:.1}");
            last = Some(*at);
        }
        if let Some(last) = last {
            let _ = write!(out, "L{:.1} {HEIGHT}Z", self.x(last));
        }
        out
    }

    /// The instant under a place of the plot, given as a share of its width.
    #[must_use]
    pub fn at(&self, share: f64) -> u64 {
        let span = self.to.saturating_sub(self.from) as f64;
        self.from + (span * share.clamp(0.0, 1.0)) as u64
    }
}

impl Series {
    /// The point nearest to an instant, if one is near.
    #[must_use]
    pub fn near(&self, at: u64) -> Option<(u64, f64)> {
        let nearest = self.points.iter().min_by_key(|(point, _)| point.abs_diff(at))?;
        (nearest.0.abs_diff(at) <= self.gap_millis).then_some(*nearest)
    }

    /// The last value and the highest.
    #[must_use]
    pub fn last_and_highest(&self) -> Option<(f64, f64)> {
        let last = self.points.last()?.1;
        Some((last, self.points.iter().fold(last, |highest, (_, value)| highest.max(*value))))
    }
}

/// The next of 1, 2, 2.5, 5 and 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0];
    steps.iter().map(|step| step * unit).find(|top| *top >= value * 0.999_999).unwrap_or(10.0 * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(u64, f64)]) -> Series {
        Series { points: points.to_vec(), gap_millis: 100 }
    }

    #[test]
    fn tops_are_round() {
        for (value, want) in [(0.0, 1.0), (1.0, 1.0), (3.0, 5.0), (17.0, 20.0), (21.0, 25.0), (99.0, 100.0), (0.3, 0.5)]
        {
            assert!((round_up(value) - want).abs() < 1e-9, "{value} gives {}", round_up(value));
        }
    }

    #[test]
    fn lines_break_where_nothing_was_measured() {
        let series = series(&[(0, 0.0), (100, 5.0), (500, 10.0), (600, 10.0)]);
        let axes = Axes::new(600, 600, 0.0, std::slice::from_ref(&series));
        assert_eq!(axes.line(&series), "M0.0 120.0h0L100.0 60.0M500.0 0.0h0L600.0 0.0");
        assert_eq!(
            axes.area(&series),
            "M0.0 120L0.0 120.0L100.0 60.0L100.0 120ZM500.0 120L500.0 0.0L600.0 0.0L600.0 120Z"
        );
    }

    #[test]
    fn a_plot_begins_where_something_was_measured() {
        let hour = 60 * 60 * 1000;
        let now = 100 * hour;
        for (first, want) in
            [(now - 7 * hour, now - 6 * hour), (now - 2 * hour, now - 2 * hour), (now - hour / 60, now - SHORTEST)]
        {
            assert_eq!(Axes::new(now, 6 * hour, 0.0, &[series(&[(first, 1.0), (now, 2.0)])]).from, want);
        }
        assert_eq!(Axes::new(now, 6 * hour, 0.0, &[Series::default()]).from, now - 6 * hour);
    }

    #[test]
    fn the_pointer_finds_the_nearest_point() {
        let series = series(&[(0, 1.0), (100, 5.0), (600, 2.0)]);
        let axes = Axes::new(600, 600, 0.0, std::slice::from_ref(&series));
        assert_eq!(series.near(axes.at(0.1)), Some((100, 5.0)));
        assert_eq!(series.near(axes.at(0.5)), None);
        assert_eq!(series.last_and_highest(), Some((2.0, 5.0)));
        assert_eq!(super::Series::default().near(5), None);
    }

    #[test]
    fn nothing_gives_no_line() {
        let axes = Axes::new(0, 0, 0.0, &[]);
        assert_eq!((axes.line(&Series::default()), axes.area(&Series::default())), (String::new(), String::new()));
    }
}
