//! Whether there is room for one more session: a pure decision about what was measured, what was promised, and what is asked.

pub(crate) mod measure;

use std::time::Duration;

use drydock_protocol::{Role, WaitsFor};

const MIB: u64 = 1 << 20;
/// Above this share of the last ten seconds in which everything waited for memory, the machine is thrashing.
const THRASHING: f64 = 20.0;
/// Above this many runnable processes a CPU, sessions start one after the other.
const BUSY: f64 = 8.0;
/// How long a start takes, as long as none was measured.
const START: Duration = Duration::from_millis(1500);

/// Memory and disk in bytes, and processes with their threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) memory: u64,
    pub(crate) disk: u64,
    pub(crate) pids: u64,
}

impl Amount {
    /// What a session of `workers` workers is expected to grow to in the hands of a learner. Measured on 2026-11-21: idle with
    /// two workers it has 26 to 59 MB (PSS), 18 MB of disk and 38 threads; the rest is room for the learner's pods.
    pub(crate) fn expected(workers: u16) -> Amount {
        let nodes = u64::from(workers) + 1;
        Amount { memory: (40 + 48 * nodes) * MIB, disk: (64 + 64 * nodes) * MIB, pids: 40 + 40 * nodes }
    }

    fn grows(self, used: Amount) -> Amount {
        Amount {
            memory: self.memory.saturating_sub(used.memory),
            disk: self.disk.saturating_sub(used.disk),
            pids: self.pids.saturating_sub(used.pids),
        }
    }

    pub(crate) fn plus(self, other: Amount) -> Amount {
        Amount {
            memory: self.memory.saturating_add(other.memory),
            disk: self.disk.saturating_add(other.disk),
            pids: self.pids.saturating_add(other.pids),
        }
    }

    /// The first thing of which there is less here than in `room`.
    fn exceeds(self, room: Amount) -> Option<WaitsFor> {
        if self.memory > room.memory {
            return Some(WaitsFor::Memory);
        }
        if self.disk > room.disk {
            return Some(WaitsFor::Disk);
        }
        (self.pids > room.pids).then_some(WaitsFor::Processes)
    }
}

/// What the machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    /// Of the machine, or of the control group that the server is in where that is less.
    pub(crate) total: Amount,
    /// Of that, what nobody uses.
    pub(crate) free: Amount,
    pub(crate) cpus: usize,
    /// Runnable processes, mean of the last minute.
    pub(crate) load: f64,
    /// Share of the last ten seconds in which everything waited for memory, percent.
    pub(crate) memory_stall: f64,
}

/// A session, or a cluster of the warm pool, that was accepted already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// What it may grow to.
    pub(crate) expected: Amount,
    /// What it has now.
    pub(crate) used: Amount,
    /// It comes up this very moment.
    pub(crate) starting: bool,
    /// It belongs to nobody yet, so it takes no place.
    pub(crate) warm: bool,
}

/// What the operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Sessions at once.
    pub(crate) places: usize,
    /// What is left to the machine.
    pub(crate) reserve: Amount,
}

/// Whether somebody with `open` sessions, those that wait included, may ask for one more where each person may have `each`; 0: as
/// many as there are places. Whoever holds classes or runs the server tries lessons beside them, and answers for it.
pub(crate) fn one_more(open: usize, each: usize, role: Role) -> bool {
    each == 0 || role >= Role::Instructor || open < each
}

/// The answer to a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Now.
    Accept,
    /// Later.
    Queue(WaitsFor),
    /// Not on this machine, even if it were empty.
    Never(WaitsFor),
}

/// Decides about one more session that may grow to `wish`.
pub(crate) fn plan(measured: &Measured, held: &[Held], wish: Amount, rules: &Rules) -> Decision {
    if rules.places == 0 {
        return Decision::Never(WaitsFor::Places);
    }
    if let Some(lack) = wish.exceeds(measured.total.grows(rules.reserve)) {
        return Decision::Never(lack);
    }
    if held.iter().filter(|it| !it.warm).count() >= rules.places {
        return Decision::Queue(WaitsFor::Places);
    }
    // What was promised and is not used yet is as good as gone.
    let promised = held.iter().fold(wish, |sum, it| sum.plus(it.expected.grows(it.used)));
    if let Some(lack) = promised.exceeds(measured.free.grows(rules.reserve)) {
        return Decision::Queue(lack);
    }
    if measured.memory_stall > THRASHING {
        return Decision::Queue(WaitsFor::Memory);
    }
    let starting = held.iter().filter(|it| it.starting).count();
    if starting >= starts_at_once(measured) { Decision::Queue(WaitsFor::Turn) } else { Decision::Accept }
}

/// Starting is what costs CPU: so many at once that each is nearly as quick as alone; never none, or a machine that is busy with
/// other things would start no session any more.
fn starts_at_once(measured: &Measured) -> usize {
    let cpus = measured.cpus.max(1);
    if measured.load > BUSY * cpus as f64 { 1 } else { cpus.max(2) }
}

/// What sessions before taught about waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taught {
    /// How long learners stay.
    pub(crate) stay: Option<Duration>,
    /// How long it took in the queue to get one place further.
    pub(crate) pace: Option<Duration>,
    /// How long a start takes.
    pub(crate) start: Option<Duration>,
}

/// How long a running session will probably stay, `age` after its start and `left` before its time is over.
pub(crate) fn remaining(age: Duration, left: Duration, taught: &Taught) -> Duration {
    match taught.stay {
        Some(stay) if stay > age => left.min(stay - age),
        // It stays longer than most: who knows.
        Some(_) => left / 2,
        None => left,
    }
}

/// How long the one at `position` (1 is the next) will probably wait, when running sessions end in `ends`.
pub(crate) fn expected_wait(
    position: usize,
    waits_for: WaitsFor,
    ends: &[Duration],
    taught: &Taught,
) -> Option<Duration> {
    let times = u32::try_from(position).unwrap_or(u32::MAX);
    if waits_for == WaitsFor::Turn {
        return Some(taught.start.unwrap_or(START).saturating_mul(times));
    }
    let by_pace = taught.pace.map(|pace| pace.saturating_mul(times));
    let mut ends = ends.to_vec();
    ends.sort_unstable();
    let index = position.saturating_sub(1);
    let by_ends = ends.get(index % ends.len().max(1)).map(|end| {
        // Those before have had the first round of ends, and stay as long as others do.
        let rounds = u32::try_from(index / ends.len()).unwrap_or(u32::MAX);
        let longest = ends.last().copied().unwrap_or_default();
        end.saturating_add(taught.stay.unwrap_or(longest).saturating_mul(rounds))
    });
    match (by_ends, by_pace) {
        (Some(ends), Some(pace)) => Some((ends + pace) / 2),
        (one, other) => one.or(other),
    }
}

/// What helps a machine that has not enough for all that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relief {
    /// One cluster of the warm pool is given back.
    Warm,
    /// The session that sleeps longest is ended.
    Sleeper(WaitsFor),
}

/// What to do when less than half of the reserve is left: nobody who works loses anything before all others have.
pub(crate) fn relieve(measured: &Measured, rules: &Rules, warm: usize, sleepers: usize) -> Option<Relief> {
    let half = Amount { memory: rules.reserve.memory / 2, disk: rules.reserve.disk / 2, pids: rules.reserve.pids / 2 };
    let lack = half.exceeds(measured.free)?;
    match (warm, sleepers) {
        (1.., _) => Some(Relief::Warm),
        (0, 1..) => Some(Relief::Sleeper(lack)),
        (0, 0) => None,
    }
}

#[cfg(test)]
mod tests;
