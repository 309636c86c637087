//! How fast an autoscaler may follow its metrics: recent recommendations and recent changes hold it back.

use crate::kinds::{Autoscaler, Behavior, ScalingRules};

/// Without a behaviour, the highest recommendation of this many seconds counts
/// (upstream: `--horizontal-pod-autoscaler-downscale-stabilization`).
const STABLE_SECONDS: i64 = 300;

/// What is remembered of an autoscaler.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// When what was recommended.
    recommendations: Vec<(i64, i32)>,
    /// When by how much it grew.
    grown: Vec<(i64, i32)>,
    /// When by how much it shrank.
    shrunk: Vec<(i64, i32)>,
}

/// A condition to set: type, status, reason and message.
pub(super) type Said = (&'static str, &'static str, &'static str, &'static str);

const TOO_FEW: (&str, &str) = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const TOO_MANY: (&str, &str) = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const UP_LIMIT: (&str, &str) =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: (&str, &str) =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const IN_RANGE: (&str, &str) = ("DesiredWithinRange", "the desired count is within the acceptable range");
const READY: Said = ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size");
const HIGHER: Said = (
    "AbleToScale",
    "True",
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const LOWER: Said = (
    "AbleToScale",
    "True",
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

impl Memory {
    /// The first thing known is the size that is there.
    pub(super) fn begin(&mut self, current: i32, now: i64) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
    }

    /// Notes that the size was changed.
    pub(super) fn scaled(&mut self, behavior: Option<&Behavior>, from: i32, to: i32, now: i64) {
        let Some(behavior) = behavior else { return };
        let (events, rules) =
            if to > from { (&mut self.grown, &behavior.scale_up) } else { (&mut self.shrunk, &behavior.scale_down) };
        let longest = rules.iter().flat_map(|rules| &rules.policies).map(|policy| policy.period_seconds).max();
        events.retain(|(at, _)| *at > now - longest.unwrap_or_default());
        events.push((now, (to - from).abs()));
    }

    /// What the size may become when `desired` is recommended.
    pub(super) fn limit(&mut self, scaler: &Autoscaler, current: i32, desired: i32, now: i64) -> (i32, [Said; 2]) {
        let least = scaler.spec.min_replicas.unwrap_or(1);
        let most = scaler.spec.max_replicas;
        let (stable, able) = match &scaler.spec.behavior {
            None => self.stabilize_down(desired, now),
            Some(behavior) => self.stabilize(behavior, current, desired, now),
        };
        let (size, (reason, message)) = match &scaler.spec.behavior {
            None => default_range(current, stable, least, most),
            Some(behavior) => self.ranged(behavior, current, stable, least, most, now),
        };
        let limited = if size == stable { "False" } else { "True" };
        (size, [able, ("ScalingLimited", limited, reason, message)])
    }

    fn stabilize_down(&mut self, desired: i32, now: i64) -> (i32, Said) {
        self.recommendations.retain(|(at, _)| *at > now - STABLE_SECONDS);
        let highest = self.recommendations.iter().map(|(_, count)| *count).fold(desired, i32::max);
        self.recommendations.push((now, desired));
        (highest, if highest == desired { READY } else { HIGHER })
    }

    fn stabilize(&mut self, behavior: &Behavior, current: i32, desired: i32, now: i64) -> (i32, Said) {
        let window = |rules: &Option<ScalingRules>, default: i64| {
            rules.as_ref().and_then(|rules| rules.stabilization_window_seconds).unwrap_or(default)
        };
        let (up, down) = (window(&behavior.scale_up, 0), window(&behavior.scale_down, STABLE_SECONDS));
        let since = |seconds: i64| self.recommendations.iter().filter(move |(at, _)| *at > now - seconds).map(|r| r.1);
        let lowest = since(up).fold(desired, i32::min);
        let highest = since(down).fold(desired, i32::max);
        let stable = current.max(lowest).min(highest);
        self.recommendations.retain(|(at, _)| *at > now - up.max(down));
        self.recommendations.push((now, desired));
        let able = match stable == desired {
            true => READY,
            false if desired >= current => LOWER,
            false => HIGHER,
        };
        (stable, able)
    }

    fn ranged(
        &self,
        behavior: &Behavior,
        current: i32,
        desired: i32,
        least: i32,
        most: i32,
        now: i64,
    ) -> (i32, (&'static str, &'static str)) {
        if desired > current {
            let limit = self.up_limit(behavior.scale_up.as_ref(), current, now).max(current);
            let (allowed, why) = if most > limit { (limit, UP_LIMIT) } else { (most, TOO_MANY) };
            if desired > allowed {
                return (allowed, why);
            }
        } else if desired < current {
            let limit = self.down_limit(behavior.scale_down.as_ref(), current, now).min(current);
            let (allowed, why) = if least < limit { (limit, DOWN_LIMIT) } else { (least, TOO_FEW) };
            if desired < allowed {
                return (allowed, why);
            }
        }
        (desired, IN_RANGE)
    }

    /// The size at the start of a period.
    fn before(&self, current: i32, period: i64, now: i64) -> i32 {
        let sum = |events: &[(i64, i32)]| -> i32 {
            events.iter().filter(|(at, _)| *at > now - period).map(|(_, change)| *change).sum()
        };
        current - sum(&self.grown) + sum(&self.shrunk)
    }

    fn up_limit(&self, rules: Option<&ScalingRules>, current: i32, now: i64) -> i32 {
        let Some(rules) = rules else { return (2 * current).max(4) };
        let proposals = rules.policies.iter().map(|policy| {
            let before = self.before(current, policy.period_seconds, now);
            match policy.kind.as_str() {
                "Pods" => before.saturating_add(policy.value),
                _ => (f64::from(before) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
            }
        });
        match rules.select_policy.as_deref() {
            Some("Disabled") => Some(current),
            Some("Min") => proposals.min(),
            _ => proposals.max(),
        }
        .unwrap_or(i32::MAX)
    }

    fn down_limit(&self, rules: Option<&ScalingRules>, current: i32, now: i64) -> i32 {
        let Some(rules) = rules else { return 0 };
        let proposals = rules.policies.iter().map(|policy| {
            let before = self.before(current, policy.period_seconds, now);
            match policy.kind.as_str() {
                "Pods" => before.saturating_sub(policy.value),
                _ => (f64::from(before) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
            }
        });
        match rules.select_policy.as_deref() {
            Some("Disabled") => Some(current),
            // The smallest change leaves the most.
            Some("Min") => proposals.max(),
            _ => proposals.min(),
        }
        .unwrap_or(i32::MIN)
    }
}

fn default_range(current: i32, desired: i32, least: i32, most: i32) -> (i32, (&'static str, &'static str)) {
    let limit = (2 * current).max(4);
    let (allowed, why) = if most > limit { (limit, UP_LIMIT) } else { (most, TOO_MANY) };
    if desired < least {
        (least, TOO_FEW)
    } else if desired > allowed {
        (allowed, why)
    } else {
        (desired, IN_RANGE)
    }
}

#[cfg(test)]
#[path = "properties.rs"]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ScalingPolicy;

    fn scaler(least: i32, most: i32) -> Autoscaler {
        let mut scaler = Autoscaler::default();
        scaler.spec.min_replicas = Some(least);
        scaler.spec.max_replicas = most;
        scaler
    }

    fn rules(window: i64, select: &str, policies: &[(&str, i32, i64)]) -> Option<ScalingRules> {
        Some(ScalingRules {
            stabilization_window_seconds: Some(window),
            select_policy: Some(select.into()),
            policies: policies
                .iter()
                .map(|(kind, value, seconds)| ScalingPolicy {
                    kind: (*kind).into(),
                    value: *value,
                    period_seconds: *seconds,
                })
                .collect(),
            tolerance: None,
        })
    }

    #[track_caller]
    fn check(
        memory: &mut Memory,
        scaler: &Autoscaler,
        current: i32,
        desired: i32,
        now: i64,
        expected: (i32, &str, &str),
    ) {
        let (size, [able, limited]) = memory.limit(scaler, current, desired, now);
        assert_eq!((size, able.2, limited.2), expected);
    }

    #[test]
    fn without_a_behavior() {
        let (mut memory, scaler) = (Memory::default(), scaler(2, 20));
        memory.begin(3, 0);
        check(&mut memory, &scaler, 3, 3, 1, (3, "ReadyForNewScale", "DesiredWithinRange"));
        check(&mut memory, &scaler, 3, 10, 2, (6, "ReadyForNewScale", "ScaleUpLimit"));
        check(&mut memory, &scaler, 6, 1, 20, (10, "ScaleDownStabilized", "DesiredWithinRange"));
        check(&mut memory, &scaler, 10, 1, 303, (2, "ReadyForNewScale", "TooFewReplicas"));
        check(&mut memory, &scaler, 15, 40, 304, (20, "ReadyForNewScale", "TooManyReplicas"));
    }

    #[test]
    fn policies_bound_the_rate() {
        let mut scaler = scaler(1, 100);
        scaler.spec.behavior = Some(Behavior {
            scale_up: rules(0, "Max", &[("Percent", 100, 15), ("Pods", 4, 15)]),
            scale_down: rules(0, "Min", &[("Percent", 50, 60), ("Pods", 1, 60)]),
        });
        let mut memory = Memory::default();
        check(&mut memory, &scaler, 3, 30, 100, (7, "ReadyForNewScale", "ScaleUpLimit"));
        memory.scaled(scaler.spec.behavior.as_ref(), 3, 7, 100);
        check(&mut memory, &scaler, 7, 30, 105, (7, "ReadyForNewScale", "ScaleUpLimit"));
        check(&mut memory, &scaler, 7, 30, 116, (14, "ReadyForNewScale", "ScaleUpLimit"));
        memory.scaled(scaler.spec.behavior.as_ref(), 7, 14, 116);
        check(&mut memory, &scaler, 14, 1, 200, (13, "ReadyForNewScale", "ScaleDownLimit"));
        scaler.spec.behavior.as_mut().unwrap().scale_down = rules(0, "Disabled", &[]);
        check(&mut memory, &scaler, 14, 1, 300, (14, "ReadyForNewScale", "ScaleDownLimit"));
    }

    #[test]
    fn windows_smooth_both_ways() {
        let mut scaler = scaler(1, 100);
        scaler.spec.behavior = Some(Behavior {
            scale_up: rules(60, "Max", &[("Pods", 99, 15)]),
            scale_down: rules(60, "Max", &[("Pods", 99, 15)]),
        });
        let mut memory = Memory::default();
        memory.begin(5, 0);
        check(&mut memory, &scaler, 5, 9, 10, (5, "ScaleUpStabilized", "DesiredWithinRange"));
        check(&mut memory, &scaler, 5, 8, 65, (8, "ReadyForNewScale", "DesiredWithinRange"));
        check(&mut memory, &scaler, 8, 2, 66, (8, "ScaleDownStabilized", "DesiredWithinRange"));
        check(&mut memory, &scaler, 8, 2, 130, (2, "ReadyForNewScale", "DesiredWithinRange"));
    }
}
