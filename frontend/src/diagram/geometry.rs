//! Points, rectangles and lines with rounded corners, in CSS pixels.

/// A point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Downwards.
    pub y: f64,
}

/// Shorthand for a [`Point`].
#[must_use]
pub const fn at(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left border.
    pub x: f64,
    /// Upper border.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// A rectangle from its upper left corner and size.
    #[must_use]
    pub const fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    /// Right border.
    #[must_use]
    pub fn right(&self) -> f64 {
        self.x + self.w
    }

    /// Lower border.
    #[must_use]
    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }

    /// Middle.
    #[must_use]
    pub fn center(&self) -> Point {
        at(self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// Whether the insides of both share a point.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }

    /// Whether `other` lies wholly within.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.x >= self.x && other.right() <= self.right() && other.y >= self.y && other.bottom() <= self.bottom()
    }

    /// Whether a level or upright line passes through the inside.
    #[must_use]
    pub fn is_crossed(&self, from: Point, to: Point) -> bool {
        let line = Self::new(from.x.min(to.x), from.y.min(to.y), (from.x - to.x).abs(), (from.y - to.y).abs());
        line.x < self.right() && line.right() > self.x && line.y < self.bottom() && line.bottom() > self.y
    }
}

/// SVG path data through `points` with corners rounded by `radius`, or less where there is no room.
#[must_use]
pub fn rounded_path(points: &[Point], radius: f64) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let Some(first) = points.first() else { return out };
    let _ = write!(out, "M{:.1} {:.1}", first.x, first.y);
    for window in points.windows(3) {
        let [before, corner, after] = [window[0], window[1], window[2]];
        let room = (length(before, corner) / 2.0).min(length(corner, after) / 2.0).min(radius);
        let (enter, leave) = (towards(corner, before, room), towards(corner, after, room));
        let _ =
            write!(out, "L{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}", enter.x, enter.y, corner.x, corner.y, leave.x, leave.y);
    }
    if let [.., last] = points {
        let _ = write!(out, "L{:.1} {:.1}", last.x, last.y);
    }
    out
}

/// SVG path data of an arrow head whose tip is the last of `points`.
#[must_use]
pub fn arrow_head(points: &[Point], size: f64) -> String {
    let [.., before, tip] = points else { return String::new() };
    let back = towards(*tip, *before, size);
    let (dx, dy) = ((tip.x - back.x) / size * size * 0.5, (tip.y - back.y) / size * size * 0.5);
    format!("M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z", tip.x, tip.y, back.x - dy, back.y + dx, back.x + dy, back.y - dx)
}

/// Leaves out points that do not change the direction of a level or upright line.
#[must_use]
pub fn simplified(points: &[Point]) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::new();
    for point in points {
        let same = |a: f64, b: f64| (a - b).abs() < 0.01;
        if out.last().is_some_and(|last| same(last.x, point.x) && same(last.y, point.y)) {
            continue;
        }
        if let [.., a, b] = out.as_slice()
            && ((same(a.x, b.x) && same(b.x, point.x)) || (same(a.y, b.y) && same(b.y, point.y)))
        {
            out.pop();
        }
        out.push(*point);
    }
    out
}

fn length(a: Point, b: Point) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

fn towards(from: Point, to: Point, distance: f64) -> Point {
    let length = length(from, to).max(0.001);
    at(from.x + (to.x - from.x) / length * distance, from.y + (to.y - from.y) / length * distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_are_rounded_within_their_room() {
        assert_eq!(
            rounded_path(&[at(0.0, 0.0), at(0.0, 10.0), at(4.0, 10.0)], 6.0),
            "M0.0 0.0L0.0 8.0Q0.0 10.0 2.0 10.0L4.0 10.0"
        );
        assert_eq!(rounded_path(&[], 6.0), "");
    }

    #[test]
    fn needless_points_go() {
        let points = [at(0.0, 0.0), at(0.0, 5.0), at(0.0, 9.0), at(0.0, 9.0), at(7.0, 9.0)];
        assert_eq!(simplified(&points), [at(0.0, 0.0), at(0.0, 9.0), at(7.0, 9.0)]);
    }

    #[test]
    fn a_line_on_the_border_crosses_nothing() {
        let rect = Rect::new(10.0, 10.0, 10.0, 10.0);
        assert!(rect.is_crossed(at(0.0, 15.0), at(30.0, 15.0)));
        assert!(!rect.is_crossed(at(0.0, 10.0), at(30.0, 10.0)));
        assert!(!rect.is_crossed(at(15.0, 0.0), at(15.0, 10.0)));
    }

    #[test]
    fn the_head_points_where_the_line_goes() {
        assert_eq!(arrow_head(&[at(0.0, 0.0), at(0.0, 20.0)], 6.0), "M0.0 20.0L-3.0 14.0L3.0 14.0Z");
    }
}
