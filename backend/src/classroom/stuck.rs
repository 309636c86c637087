//! Whether a learner seems to need help. Pure.

use drydock_protocol::Stuck;

/// As many attempts without a check that turned green are more than trying things out.
const ATTEMPTS: u32 = 8;
/// But not before this.
const AT_LEAST_MILLIS: u64 = 60_000;
/// Nobody is slow before this.
const SLOW_MILLIS: u64 = 180_000;

/// What is known of a learner at a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long they have been at it.
    pub(super) millis: u64,
    /// How long the author expects a step of this lesson to take; 0: nobody knows.
    pub(super) expected_millis: u64,
    /// How often they did something since a check of it turned green, or since it began.
    pub(super) attempts: u32,
    /// Whether a check of it fails.
    pub(super) failing: bool,
    /// Learners of the class that are further.
    pub(super) ahead: usize,
    /// Learners of the class that have begun, this one included.
    pub(super) all: usize,
}

/// Whether they seem to need help: checks fail again and again, or they are much longer at it than expected, the sooner the more
/// of the others are through.
pub(super) fn stuck(pace: &Pace) -> Stuck {
    if pace.failing && pace.attempts >= ATTEMPTS && pace.millis >= AT_LEAST_MILLIS {
        return Stuck::Failing;
    }
    let most_are_through = pace.all >= 4 && pace.ahead * 4 >= pace.all * 3;
    let patience = if most_are_through { pace.expected_millis } else { pace.expected_millis * 3 };
    if pace.expected_millis > 0 && pace.millis >= patience.max(SLOW_MILLIS) { Stuck::Slow } else { Stuck::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[track_caller]
    fn check(name: &str, pace: Pace, expected: Stuck) {
        assert_eq!(stuck(&pace), expected, "{name}: {pace:?}");
    }

    #[test]
    fn who_needs_help() {
        let fresh = Pace { millis: MINUTE, expected_millis: 2 * MINUTE, attempts: 3, failing: true, ahead: 0, all: 20 };
        check("has just begun", fresh, Stuck::No);
        check("tries again and again", Pace { attempts: 8, ..fresh }, Stuck::Failing);
        check("pastes ten lines at once", Pace { attempts: 10, millis: MINUTE / 2, ..fresh }, Stuck::No);
        check("explores after all is green", Pace { attempts: 30, failing: false, ..fresh }, Stuck::No);
        check("reads for long", Pace { millis: 5 * MINUTE, attempts: 0, ..fresh }, Stuck::No);
        check("reads for very long", Pace { millis: 6 * MINUTE, attempts: 0, ..fresh }, Stuck::Slow);
        let last = Pace { millis: 3 * MINUTE, ahead: 15, ..fresh };
        check("most others are through", last, Stuck::Slow);
        check("many others are through", Pace { ahead: 14, ..last }, Stuck::No);
        check("of two, one is through", Pace { ahead: 1, all: 2, ..last }, Stuck::No);
        check("a step of seconds", Pace { millis: 2 * MINUTE, expected_millis: 5_000, ..last }, Stuck::No);
        check("the playground", Pace { expected_millis: 0, millis: 90 * MINUTE, failing: false, ..last }, Stuck::No);
        check("failing counts more than slow", Pace { attempts: 9, millis: 9 * MINUTE, ..fresh }, Stuck::Failing);
    }
}
