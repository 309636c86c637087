//! Steps with their times, so that nobody looks at a silent screen.

use std::cell::Cell;
use std::time::Instant;

/// Numbers the steps of one command.
pub(crate) struct Progress {
    started: Instant,
    total: usize,
    done: Cell<usize>,
}

impl Progress {
    /// A command of `total` steps.
    pub(crate) fn new(total: usize) -> Progress {
        Progress { started: Instant::now(), total, done: Cell::new(0) }
    }

    /// Runs one step and says how long it took.
    ///
    /// # Errors
    /// The step's own.
    pub(crate) fn step<T>(&self, what: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.done.set(self.done.get() + 1);
        let (number, total) = (self.done.get(), self.total.max(self.done.get()));
        eprintln!("[{number}/{total}] {what} …");
        let started = Instant::now();
        let outcome = step()?;
        eprintln!("[{number}/{total}] {what}: {:.1} s", started.elapsed().as_secs_f32());
        Ok(outcome)
    }

    /// Seconds since the command began.
    pub(crate) fn seconds(&self) -> f32 {
        self.started.elapsed().as_secs_f32()
    }
}
