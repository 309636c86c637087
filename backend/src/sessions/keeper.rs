//! What happens by the clock: ends and warnings, the queue, sleep, the warm pool, relief, and sweeping.

use std::sync::Arc;
use std::time::Duration;

use drydock_protocol::{EndReason, SessionState, WaitsFor};

use super::clock::Clock;
use super::{Sessions, millis, now_millis};
use crate::admission::{Relief, relieve};
use crate::error::{Error, chain};

/// How often times are checked.
const TICK: Duration = Duration::from_secs(1);
/// Before the end, a notice warns this early.
const WARNING: Duration = Duration::from_secs(5 * 60);
/// The host is compared with the database every so many ticks.
const REAP_TICKS: u64 = 60;
/// A machine is relieved once it lacks something for so many ticks.
const RELIEF_TICKS: u64 = 5;

impl Sessions {
    pub(super) async fn keep_time(self: Arc<Self>, mut clock: Clock) {
        let mut tick = tokio::time::interval(TICK);
        // After a pause of the whole machine there is nothing to catch up with.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut lacking = 0;
        for number in 1_u64.. {
            tick.tick().await;
            if let Some((jump, row)) = clock.look() {
                for hub in self.open() {
                    hub.shift(jump, &self.policy);
                    hub.keep().await;
                }
                if let Err(error) = self.store.put_clock(&row).await {
                    tracing::error!(error = chain(&error), "cannot store that the clock was set");
                }
            }
            self.keep_limits().await;
            self.expire_waiting().await;
            self.suspend_idle().await;
            lacking = self.relieve(lacking).await;
            if !self.waiting().is_empty() {
                self.advance().await;
            }
            self.tend_pool().await;
            if number.is_multiple_of(REAP_TICKS) {
                self.sweep().await;
            }
        }
    }

    /// Ends sessions whose time is over, warns the others, and stores what could not be stored before.
    async fn keep_limits(self: &Arc<Self>) {
        let now = now_millis();
        for hub in self.open() {
            let session = hub.session();
            if hub.is_unsaved() {
                if session.state.is_over() {
                    self.put_away(&hub).await;
                } else {
                    hub.keep().await;
                }
            }
            if !matches!(session.state, SessionState::Ready | SessionState::Suspended) {
                continue;
            }
            if now >= session.expires_millis {
                self.end_now(&session.id, EndReason::Time, "The time of this session is over.").await;
            } else if now + millis(WARNING) >= session.expires_millis {
                hub.warn_once();
            }
        }
    }

    async fn end_now(self: &Arc<Self>, id: &str, end: EndReason, why: &str) {
        if let Err(error) = self.end_because(id, end, why).await {
            tracing::error!(session.id = id, error = chain(&error), "cannot end a session");
        }
    }

    /// Frees what nobody uses when the machine lacks something for some time; for how long it has lacked it.
    async fn relieve(self: &Arc<Self>, lacking: u64) -> u64 {
        let mut sleepers = self.open();
        sleepers.retain(|hub| hub.state() == SessionState::Suspended);
        let Some(relief) = relieve(&self.measured(), &self.policy.rules, self.warm(), sleepers.len()) else { return 0 };
        if lacking < RELIEF_TICKS {
            return lacking + 1;
        }
        match relief {
            Relief::Warm => {
                self.give_warm_back().await;
            }
            Relief::Sleeper(lack) => {
                let what = match lack {
                    WaitsFor::Disk => "disk space",
                    WaitsFor::Processes => "processes",
                    _ => "memory",
                };
                if let Some(hub) = sleepers.iter().max_by_key(|hub| hub.slept()) {
                    let why = format!(
                        "The machine ran out of {what} for all, and this session had been unused for the longest time."
                    );
                    self.end_now(hub.id(), EndReason::Pressure, &why).await;
                }
            }
        }
        0
    }

    /// Removes what outlived its time.
    async fn sweep(self: &Arc<Self>) {
        match self.engine.list().await {
            Ok(clusters) => self.reap(&clusters).await,
            Err(error) => tracing::error!(error = chain(&Error::from(error)), "cannot list the clusters"),
        }
        let before = now_millis().saturating_sub(millis(self.policy.keep_manifests));
        match self.store.drop_manifests(before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "manifests of sessions that ended long ago are gone"),
            Err(error) => tracing::error!(error = chain(&error), "cannot remove old manifests"),
        }
    }
}
