//! Where an arrow key leads from one thing of the picture to the next.

use super::geometry::Rect;

/// An arrow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
}

impl Way {
    /// The way of a key, by the name that browsers give it.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        match key {
            "ArrowLeft" => Some(Self::Left),
            "ArrowRight" => Some(Self::Right),
            "ArrowUp" => Some(Self::Up),
            "ArrowDown" => Some(Self::Down),
            _ => None,
        }
    }
}

/// Index of the place to which `way` leads from `from`: the nearest that lies wholly on that side, one straight ahead
/// before one aside. None at the rim.
#[must_use]
pub fn next(from: Rect, places: &[Rect], way: Way) -> Option<usize> {
    let cost = |to: &Rect| {
        // A little overlap is forgiven: borders touch.
        let ahead = match way {
            Way::Left => from.x - to.right(),
            Way::Right => to.x - from.right(),
            Way::Up => from.y - to.bottom(),
            Way::Down => to.y - from.bottom(),
        };
        let (a, b) = (from.center(), to.center());
        let (apart, aside) = match way {
            Way::Left | Way::Right => (gap(from.y, from.bottom(), to.y, to.bottom()), (a.y - b.y).abs()),
            Way::Up | Way::Down => (gap(from.x, from.right(), to.x, to.right()), (a.x - b.x).abs()),
        };
        (ahead > -2.0).then(|| ahead.max(0.0) + 3.0 * apart + 0.1 * aside)
    };
    let reachable = places.iter().enumerate().filter_map(|(index, place)| Some((index, cost(place)?)));
    reachable.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
}

/// How far apart two stretches are; 0 where they overlap.
fn gap(a0: f64, a1: f64, b0: f64, b1: f64) -> f64 {
    (b0 - a1).max(a0 - b1).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: usize, way: Way, want: Option<usize>) {
        // Two wide boxes above two rows of three small ones.
        let wide = |x: f64| Rect::new(x, 0.0, 140.0, 40.0);
        let small = |x: f64, y: f64| Rect::new(x, y, 90.0, 30.0);
        let places = [
            wide(0.0),
            wide(160.0),
            small(0.0, 60.0),
            small(100.0, 60.0),
            small(200.0, 60.0),
            small(0.0, 100.0),
            small(100.0, 100.0),
            small(200.0, 100.0),
        ];
        assert_eq!(next(places[from], &places, way), want, "{from} {way:?}");
    }

    #[test]
    fn arrows_lead_to_the_neighbour() {
        check(0, Way::Right, Some(1));
        check(1, Way::Left, Some(0));
        check(0, Way::Down, Some(2));
        check(1, Way::Down, Some(4));
        check(2, Way::Right, Some(3));
        check(3, Way::Down, Some(6));
        check(6, Way::Up, Some(3));
        check(7, Way::Left, Some(6));
        check(4, Way::Up, Some(1));
    }

    #[test]
    fn the_rim_is_the_end() {
        check(0, Way::Left, None);
        check(0, Way::Up, None);
        check(7, Way::Right, None);
        check(7, Way::Down, None);
    }

    #[test]
    fn every_place_can_be_reached_and_left() {
        let places: Vec<Rect> =
            (0..40).map(|it| Rect::new(f64::from(it % 8) * 50.0, f64::from(it / 8) * 40.0, 44.0, 30.0)).collect();
        let mut seen = vec![false; places.len()];
        let mut open = vec![0];
        while let Some(here) = open.pop() {
            if std::mem::replace(&mut seen[here], true) {
                continue;
            }
            let ways = [Way::Left, Way::Right, Way::Up, Way::Down];
            open.extend(ways.into_iter().filter_map(|way| next(places[here], &places, way)));
        }
        assert!(seen.iter().all(|it| *it));
    }
}
