//! The one place that waits for child processes.
//!
//! The kubelet is PID 1 of its node and inherits every orphan there, so somebody must call `waitpid(-1)`; and that call
//! takes the exit status of *any* child. Hence one reaper a process, which all of the runtime goes through.
//! *Invariant*: a process that runs a [`Reaper`] starts children with this crate only (no `tokio::process`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 + signal for a killed process, as shells and Kubernetes count.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed a process of the container because its memory limit was reached. Only known for containers.
    pub oom_killed: bool,
}

/// Called once with a process's end, on the reaper's thread: it must not block.
pub type ExitNotify = Box<dyn FnOnce(Exit) + Send + 'static>;

/// The end of one child, to be waited for by any number of parties, before or after it came.
#[derive(Clone)]
pub struct Ending(Arc<Mutex<End>>);

enum End {
    Ahead { refine: Option<Refine>, waiting: Vec<ExitNotify> },
    Came(Exit),
}

/// Adds to an exit what only its owner knows.
type Refine = Box<dyn FnOnce(&mut Exit) + Send + 'static>;

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ending").field(&self.exit()).finish()
    }
}

impl Ending {
    /// How it ended, once it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match *self.lock() {
            End::Ahead { .. } => None,
            End::Came(exit) => Some(exit),
        }
    }

    /// Calls `notify` once it has ended: from the reaper's thread, or at once.
    pub fn on_exit(&self, notify: ExitNotify) {
        let exit = match &mut *self.lock() {
            End::Ahead { waiting, .. } => {
                waiting.push(notify);
                return;
            }
            End::Came(exit) => *exit,
        };
        notify(exit);
    }

    /// Blocks until it has ended.
    #[must_use]
    pub fn wait(&self) -> Exit {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.on_exit(Box::new(move |exit| sender.send(exit).unwrap_or(())));
        receiver.recv().unwrap_or(Exit { code: 255, signal: None, oom_killed: false })
    }

    /// Lets `refine` complete the exit before anybody is told.
    pub(crate) fn refine(&self, refine: Refine) {
        match &mut *self.lock() {
            End::Ahead { refine: slot, .. } => *slot = Some(refine),
            End::Came(exit) => refine(exit),
        }
    }

    fn came(&self, mut exit: Exit) {
        let refine = match &mut *self.lock() {
            End::Ahead { refine, .. } => refine.take(),
            End::Came(_) => None,
        };
        if let Some(refine) = refine {
            refine(&mut exit);
        }
        let before = std::mem::replace(&mut *self.lock(), End::Came(exit));
        if let End::Ahead { waiting, .. } = before {
            waiting.into_iter().for_each(|notify| notify(exit));
        }
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exits nobody asked about yet that are kept. They bridge the moment between a child's birth and the registration of
/// interest in it; orphans fall out at the end. Small enough that no process id comes round again within it.
const UNCLAIMED: usize = 256;

#[derive(Default)]
struct State {
    waiting: HashMap<i32, Ending>,
    unclaimed: VecDeque<(i32, Exit)>,
    children: u64,
}

/// Reaps all children of this process, orphans included.
pub struct Reaper {
    state: Mutex<State>,
    born: Condvar,
}

impl std::fmt::Debug for Reaper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reaper").finish_non_exhaustive()
    }
}

impl Reaper {
    /// The reaper of this process; its thread starts with the first call.
    ///
    /// # Panics
    /// When the process cannot start a thread.
    #[must_use]
    pub fn start() -> Arc<Self> {
        static REAPER: OnceLock<Arc<Reaper>> = OnceLock::new();
        Arc::clone(REAPER.get_or_init(|| {
            let reaper = Arc::new(Self { state: Mutex::default(), born: Condvar::new() });
            let thread = Arc::clone(&reaper);
            std::thread::Builder::new()
                .name("reaper".into())
                .stack_size(128 * 1024)
                .spawn(move || thread.run())
                .expect("a process that cannot start one thread cannot run containers");
            reaper
        }))
    }

    /// The end of child `pid`. To be asked for once, right after its birth.
    pub(crate) fn ending(&self, pid: i32) -> Ending {
        let ending = Ending(Arc::new(Mutex::new(End::Ahead { refine: None, waiting: Vec::new() })));
        let mut state = self.lock();
        if let Some(at) = state.unclaimed.iter().position(|(dead, _)| *dead == pid)
            && let Some((_, exit)) = state.unclaimed.remove(at)
        {
            drop(state);
            ending.came(exit);
            return ending;
        }
        state.waiting.insert(pid, ending.clone());
        state.children += 1;
        drop(state);
        self.born.notify_one();
        ending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let seen = self.lock().children;
            match waitpid(Pid::from_raw(-1), None) {
                Ok(WaitStatus::Exited(pid, code)) => {
                    self.ended(pid.as_raw(), Exit { code, signal: None, oom_killed: false })
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    let signal = signal as i32;
                    self.ended(pid.as_raw(), Exit { code: 128 + signal, signal: Some(signal), oom_killed: false });
                }
                Ok(_) | Err(Errno::EINTR) => {}
                // No child at all. Wake for the next one we start; look now and then for an orphan of a process that
                // entered our PID namespace from outside, which nobody announces.
                Err(_) => {
                    let state = self.lock();
                    let wait =
                        self.born.wait_timeout_while(state, Duration::from_secs(2), |state| state.children == seen);
                    drop(wait);
                }
            }
        }
    }

    fn ended(&self, pid: i32, exit: Exit) {
        let mut state = self.lock();
        if let Some(ending) = state.waiting.remove(&pid) {
            drop(state);
            ending.came(exit);
            return;
        }
        if state.unclaimed.len() == UNCLAIMED {
            state.unclaimed.pop_front();
        }
        state.unclaimed.push_back((pid, exit));
    }
}
