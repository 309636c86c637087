//! A shutdown request that every task of a component can wait for.

use tokio::sync::watch;

/// A cloneable handle: resolves once the process was asked to stop.
///
/// The request is level-triggered: a task that starts waiting after the request sees it at once.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
}

/// The other end: asks all holders of the matching [`Shutdown`] to stop.
#[derive(Debug)]
pub struct Trigger {
    request: watch::Sender<bool>,
}

impl Trigger {
    /// Asks every task to stop. Calling it again changes nothing.
    pub fn shut_down(&self) {
        self.request.send_replace(true);
    }
}

impl Shutdown {
    /// A handle and its trigger. Dropping the trigger counts as a request.
    pub fn new() -> (Trigger, Shutdown) {
        let (request, requested) = watch::channel(false);
        (Trigger { request }, Shutdown { requested })
    }

    /// A handle that resolves on SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Shutdown> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (trigger, shutdown) = Shutdown::new();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            trigger.shut_down();
        });
        Ok(shutdown)
    }

    /// Resolves when a stop was asked for.
    pub async fn wait(&self) {
        let mut requested = self.requested.clone();
        // An error means that the trigger is gone: nobody can ask any more, so stop.
        let _ = requested.wait_for(|asked| *asked).await;
    }

    /// Whether a stop was asked for already.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_waiter_sees_the_request() {
        let (trigger, shutdown) = Shutdown::new();
        assert!(!shutdown.is_requested());
        trigger.shut_down();
        shutdown.clone().wait().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_counts_as_a_request() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.wait().await;
    }
}
