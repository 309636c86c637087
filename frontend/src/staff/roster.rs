//! How learners look in the grid, and in which order they stand. Pure.

use std::collections::BTreeMap;

use drydock_protocol::{ClassEvent, Learner, SessionState, Stuck};

/// How a learner is doing, as colour and shape show it; those who need the instructor most come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Asks for help.
    Hand,
    /// Checks fail again and again.
    Failing,
    /// The session broke.
    Broken,
    /// Long at a step.
    Slow,
    /// Waits for a cluster, or for the class to begin.
    Waiting,
    /// The cluster comes up.
    Starting,
    /// At work.
    Well,
    /// The page is closed.
    Away,
    /// All steps are done.
    Finished,
    /// The session is over.
    Ended,
}

impl Look {
    /// How this learner is doing.
    #[must_use]
    pub fn of(learner: &Learner) -> Self {
        if learner.hand_millis.is_some() {
            return Self::Hand;
        }
        match learner.state {
            Some(SessionState::Failed) => return Self::Broken,
            Some(SessionState::Ending | SessionState::Ended) => return Self::Ended,
            None | Some(SessionState::Pending) => return Self::Waiting,
            Some(SessionState::Starting) => return Self::Starting,
            Some(_) => {}
        }
        if learner.step_count > 0 && learner.steps_done >= learner.step_count {
            return Self::Finished;
        }
        match learner.stuck {
            _ if !learner.online => Self::Away,
            Stuck::Failing => Self::Failing,
            Stuck::Slow => Self::Slow,
            Stuck::No => Self::Well,
        }
    }

    /// A sign of its own in a box of 12 around the middle, so that colour is never alone.
    #[must_use]
    pub const fn shape(self) -> &'static str {
        match self {
            // A hand: a bar that rises from a palm.
            Self::Hand => "M-1.6-6h3.2v5H6v2.6L3.4 6h-6.8L-6 2v-3h4.4Z",
            // A diamond.
            Self::Failing | Self::Broken => "M0-6L6 0L0 6L-6 0Z",
            // A triangle.
            Self::Slow => "M0-5.4L6 5H-6Z",
            // A ring.
            Self::Waiting | Self::Starting => "M0-5a5 5 0 1 0 .01 0ZM0-2.4a2.4 2.4 0 1 1-.01 0Z",
            // A disc.
            Self::Well => "M0-5a5 5 0 1 0 .01 0Z",
            // A hook.
            Self::Finished => "M-6 .4l2-2l2.6 2.6L4-4.4l2 2L-1.4 5Z",
            // A bar.
            Self::Away | Self::Ended => "M-5-1.4h10v2.8h-10Z",
        }
    }

    /// Colour of the sign.
    #[must_use]
    pub const fn tone(self) -> &'static str {
        match self {
            Self::Hand => "text-accent-ink",
            Self::Failing | Self::Broken => "text-bad",
            Self::Slow => "text-warn-ink",
            Self::Well | Self::Finished => "text-good-ink",
            Self::Starting => "text-info-ink",
            Self::Waiting | Self::Away | Self::Ended => "text-muted",
        }
    }

    /// Border of the card.
    #[must_use]
    pub const fn border(self) -> &'static str {
        match self {
            Self::Hand => "border-accent",
            Self::Failing | Self::Broken => "border-bad",
            Self::Slow => "border-warn",
            _ => "border-line",
        }
    }

    /// Whether the instructor should go there.
    #[must_use]
    pub const fn needs_help(self) -> bool {
        matches!(self, Self::Hand | Self::Failing | Self::Broken | Self::Slow)
    }
}

/// The learners by number.
pub type Roster = BTreeMap<u32, Learner>;

/// The numbers in the order of the grid: who needs help first, the longest wait first among raised hands, else as they joined.
#[must_use]
pub fn order(roster: &Roster) -> Vec<u32> {
    let mut order: Vec<_> =
        roster.values().map(|it| (Look::of(it), it.hand_millis.unwrap_or_default(), it.id)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, _, id)| id).collect()
}

/// How many have each look, in the order of looks.
#[must_use]
pub fn counts(roster: &Roster) -> Vec<(Look, usize)> {
    let mut counts = BTreeMap::new();
    for learner in roster.values() {
        *counts.entry(Look::of(learner)).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

/// Takes over what an event says of learners.
pub fn apply(roster: &mut Roster, event: &ClassEvent) {
    let (learners, gone): (&[Learner], &[u32]) = match event {
        ClassEvent::Snapshot { learners, .. } => {
            roster.clear();
            (learners, &[])
        }
        ClassEvent::Change { learners, gone, .. } => (learners, gone),
        ClassEvent::Removed => return roster.clear(),
    };
    for learner in learners {
        roster.insert(learner.id, learner.clone());
    }
    for id in gone {
        roster.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learner(id: u32) -> Learner {
        Learner { id, state: Some(SessionState::Ready), online: true, step_count: 3, ..Learner::default() }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Learner), want: Look) {
        let mut learner = learner(1);
        change(&mut learner);
        assert_eq!(Look::of(&learner), want);
    }

    #[test]
    fn looks() {
        check(|_| {}, Look::Well);
        check(|it| it.hand_millis = Some(5), Look::Hand);
        check(|it| it.stuck = Stuck::Failing, Look::Failing);
        check(|it| it.stuck = Stuck::Slow, Look::Slow);
        check(|it| it.steps_done = 3, Look::Finished);
        check(|it| it.online = false, Look::Away);
        check(|it| it.state = None, Look::Waiting);
        check(|it| it.state = Some(SessionState::Pending), Look::Waiting);
        check(|it| it.state = Some(SessionState::Starting), Look::Starting);
        check(|it| it.state = Some(SessionState::Failed), Look::Broken);
        check(|it| it.state = Some(SessionState::Ended), Look::Ended);
        // A playground has no steps and is never finished.
        check(|it| it.step_count = 0, Look::Well);
        // Who asks for help is seen whatever else is the matter.
        check(|it| (it.hand_millis, it.state) = (Some(5), Some(SessionState::Failed)), Look::Hand);
    }

    #[test]
    fn who_needs_help_comes_first() {
        let mut roster: Roster = (1..=6).map(|id| (id, learner(id))).collect();
        let mut change = |id: u32, change: &dyn Fn(&mut Learner)| change(roster.get_mut(&id).unwrap());
        change(2, &|it| it.hand_millis = Some(900));
        change(3, &|it| it.stuck = Stuck::Slow);
        change(4, &|it| it.stuck = Stuck::Failing);
        change(5, &|it| it.hand_millis = Some(800));
        change(6, &|it| it.steps_done = 3);
        assert_eq!(order(&roster), [5, 2, 4, 3, 1, 6]);
        assert_eq!(
            counts(&roster),
            [(Look::Hand, 2), (Look::Failing, 1), (Look::Slow, 1), (Look::Well, 1), (Look::Finished, 1)]
        );
    }

    #[test]
    fn events_change_the_roster() {
        let mut roster = Roster::new();
        let snapshot =
            ClassEvent::Snapshot { class: Box::default(), learners: vec![learner(1), learner(2)], posts: Vec::new() };
        apply(&mut roster, &snapshot);
        let renamed = Learner { name: "Ada".into(), ..learner(2) };
        let change =
            ClassEvent::Change { class: None, learners: vec![renamed, learner(3)], gone: vec![1], posts: None };
        apply(&mut roster, &change);
        assert_eq!(roster.values().map(|it| (it.id, it.name.as_str())).collect::<Vec<_>>(), [(2, "Ada"), (3, "")]);
        apply(&mut roster, &ClassEvent::Removed);
        assert!(roster.is_empty());
    }
}
