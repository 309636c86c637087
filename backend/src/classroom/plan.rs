//! What a class's clock asks for. Pure.

use drydock_protocol::ClassState;

use crate::store::ClassRow;

/// Clusters are made ready, and learners let in, so long before the class begins.
pub(super) const EARLY_MILLIS: u64 = 5 * 60_000;
/// How soon somebody who waits for room is tried again.
const AGAIN_MILLIS: u64 = 2_000;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Clusters are made ready for those who will come.
    Prepare,
    /// Learners who wait get their sessions.
    Seat,
    /// The class begins.
    Begin,
    /// The class ends.
    End,
    /// Its data is removed.
    Remove,
}

/// Whether learners are let in.
pub(super) fn is_let_in(class: &ClassRow, now_millis: u64) -> bool {
    match class.state {
        ClassState::Planned => now_millis + EARLY_MILLIS >= class.starts_millis,
        ClassState::Open | ClassState::Paused => true,
        ClassState::Over => false,
    }
}

/// What is due of a class in which some wait to be let in, and for which clusters were made ready.
pub(super) fn due(class: &ClassRow, waiting: bool, prepared: bool, now_millis: u64) -> Option<Due> {
    let begins = is_let_in(class, now_millis) && now_millis < class.starts_millis + EARLY_MILLIS;
    match class.state {
        ClassState::Over => (now_millis >= class.removed_millis).then_some(Due::Remove),
        _ if now_millis >= class.ends_millis => Some(Due::End),
        ClassState::Planned if now_millis >= class.starts_millis => Some(Due::Begin),
        _ if begins && !prepared => Some(Due::Prepare),
        _ => (waiting && is_let_in(class, now_millis)).then_some(Due::Seat),
    }
}

/// When to ask [`due`] again.
pub(super) fn next(class: &ClassRow, waiting: bool, now_millis: u64) -> u64 {
    let early = class.starts_millis.saturating_sub(EARLY_MILLIS);
    match class.state {
        ClassState::Over => class.removed_millis,
        _ if waiting && is_let_in(class, now_millis) => now_millis + AGAIN_MILLIS,
        ClassState::Planned if now_millis < early => early,
        ClassState::Planned => class.starts_millis,
        ClassState::Open | ClassState::Paused => class.ends_millis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[track_caller]
    fn check(state: ClassState, waiting: bool, minute: u64, expected: Option<Due>, again: u64) {
        let class = ClassRow {
            state,
            starts_millis: 60 * MINUTE,
            ends_millis: 120 * MINUTE,
            removed_millis: 1_000 * MINUTE,
            ..ClassRow::default()
        };
        let now = minute * MINUTE;
        assert_eq!(due(&class, waiting, true, now), expected, "{state:?} at {minute}");
        assert_eq!(next(&class, waiting, now), again, "{state:?} at {minute}");
    }

    #[test]
    fn a_class_by_the_clock() {
        use ClassState::{Open, Over, Paused, Planned};
        check(Planned, true, 54, None, 55 * MINUTE);
        check(Planned, true, 55, Some(Due::Seat), 55 * MINUTE + AGAIN_MILLIS);
        check(Planned, false, 55, None, 60 * MINUTE);
        check(Planned, true, 60, Some(Due::Begin), 60 * MINUTE + AGAIN_MILLIS);
        check(Open, false, 61, None, 120 * MINUTE);
        check(Open, true, 61, Some(Due::Seat), 61 * MINUTE + AGAIN_MILLIS);
        check(Paused, false, 61, None, 120 * MINUTE);
        check(Paused, false, 120, Some(Due::End), 120 * MINUTE);
        // The server was down all the time.
        check(Planned, true, 130, Some(Due::End), 130 * MINUTE + AGAIN_MILLIS);
        check(Over, true, 999, None, 1_000 * MINUTE);
        check(Over, false, 1_000, Some(Due::Remove), 1_000 * MINUTE);
    }

    #[test]
    fn clusters_are_made_ready_around_the_beginning() {
        let planned = ClassRow { starts_millis: 60 * MINUTE, ends_millis: 120 * MINUTE, ..ClassRow::default() };
        let open = ClassRow { state: ClassState::Open, ..planned.clone() };
        for (class, minute, expected) in [
            (&planned, 54, None),
            (&planned, 55, Some(Due::Prepare)),
            (&planned, 60, Some(Due::Begin)),
            (&open, 60, Some(Due::Prepare)),
            (&open, 64, Some(Due::Prepare)),
            (&open, 65, None),
        ] {
            assert_eq!(due(class, false, false, minute * MINUTE), expected, "{minute}");
        }
    }
}
