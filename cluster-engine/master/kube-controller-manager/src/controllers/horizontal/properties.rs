//! Whatever metrics say, the size stays within its bounds; a steady recommendation is followed, and then all is quiet.

use proptest::prelude::*;

use super::*;
use crate::kinds::ScalingPolicy;

fn rules() -> impl Strategy<Value = Option<ScalingRules>> {
    let policy = (any::<bool>(), 1_i32..5, 15_i64..120).prop_map(|(pods, value, period_seconds)| ScalingPolicy {
        kind: if pods { "Pods" } else { "Percent" }.into(),
        value: if pods { value } else { value * 50 },
        period_seconds,
    });
    let rules = (0_i64..200, any::<bool>(), prop::collection::vec(policy, 1..3));
    prop::option::of(rules.prop_map(|(window, least, policies)| ScalingRules {
        stabilization_window_seconds: Some(window),
        select_policy: Some(if least { "Min" } else { "Max" }.into()),
        policies,
        tolerance: None,
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sizes_stay_within_bounds_and_settle(
        behavior in prop::option::of((rules(), rules())),
        bounds in (1_i32..5, 0_i32..20),
        wishes in prop::collection::vec(0_i32..40, 0..20),
        at_last in 0_i32..40,
    ) {
        let mut scaler = Autoscaler::default();
        let (least, most) = (bounds.0, bounds.0 + bounds.1);
        (scaler.spec.min_replicas, scaler.spec.max_replicas) = (Some(least), most);
        scaler.spec.behavior = behavior.map(|(scale_up, scale_down)| Behavior { scale_up, scale_down });
        let mut memory = Memory::default();
        let (mut now, mut current) = (0, least);
        let steady = std::iter::repeat_n(at_last, 200);
        for wish in wishes.into_iter().chain(steady) {
            now += 15;
            memory.begin(current, now);
            let (size, _) = memory.limit(&scaler, current, wish, now);
            prop_assert!((least..=most).contains(&size), "{size} is not in {least}..={most}");
            if size != current {
                memory.scaled(scaler.spec.behavior.as_ref(), current, size, now);
                current = size;
            }
        }
        prop_assert_eq!(current, at_last.clamp(least, most));
    }
}
