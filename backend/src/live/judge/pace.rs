//! When commands and probes are run: soon after something happened, then ever more rarely, then not at all.

use std::time::Duration;

use tokio::time::Instant;

/// What happened is gathered until it is quiet for this long …
const QUIET: Duration = Duration::from_millis(300);
/// … but no longer than this.
const LONGEST: Duration = Duration::from_millis(1200);
/// Times between looks after the first, while something is not met: what takes effect late is seen late.
const AGAIN: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];

/// When to look next.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When something first happened since the last look.
    since: Option<Instant>,
    due: Option<Instant>,
    looks: usize,
    /// Not before this: looking takes the learner's own CPU.
    rest: Option<Instant>,
}

impl Pace {
    /// Something happened.
    pub(super) fn happened(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let due = (now + QUIET).min(since + LONGEST);
        self.due = Some(self.rest.map_or(due, |rest| due.max(rest)));
        self.looks = 0;
    }

    /// When to look, if at all.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// It was looked from `began` to `now`; `open` says whether anything is still to be seen.
    pub(super) fn looked(&mut self, began: Instant, now: Instant, open: bool) {
        self.since = None;
        self.rest = Some(now + (now - began) * 2 + QUIET);
        self.due = AGAIN.get(self.looks).filter(|_| open).map(|seconds| now + Duration::from_secs(*seconds));
        self.looks += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_then_rarely_then_never() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut pace = Pace::default();
        assert_eq!(pace.due(), None, "nothing happened");
        pace.happened(at(0));
        assert_eq!(pace.due(), Some(at(300)));
        pace.happened(at(200));
        assert_eq!(pace.due(), Some(at(500)), "it is not quiet yet");
        pace.happened(at(1100));
        assert_eq!(pace.due(), Some(at(1200)), "it never is quiet");
        pace.looked(at(1200), at(1300), true);
        assert_eq!(pace.due(), Some(at(2300)));
        pace.happened(at(1350));
        assert_eq!(pace.due(), Some(at(1800)), "a rest of twice the time that it took");
        pace.looked(at(1800), at(1800), true);
        let mut now = 1800;
        for seconds in AGAIN {
            now += seconds * 1000;
            assert_eq!(pace.due(), Some(at(now)));
            pace.looked(at(now), at(now), true);
        }
        assert_eq!(pace.due(), None, "nothing happens any more");
        pace.happened(at(now + 5000));
        pace.looked(at(now + 5300), at(now + 5300), false);
        assert_eq!(pace.due(), None, "all is met");
    }
}
