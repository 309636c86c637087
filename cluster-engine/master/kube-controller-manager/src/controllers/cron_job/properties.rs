//! A cron job starts one job for a time, never two, and is never late by more than it may be.

use drydock_api::time::parse_seconds;
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_time_is_used_once(
        schedule in prop_oneof![Just("* * * * *"), Just("*/7 * * * *"), Just("0 */2 * * *"), Just("30 1 * * *"), Just("@every 90s")],
        zone in prop::option::of(prop_oneof![Just("Asia/Taipei"), Just("America/New_York"), Just("Europe/London")]),
        policy in prop_oneof![Just("Allow"), Just("Forbid"), Just("Replace")],
        deadline in prop::option::of(10_i64..4000),
        sleeps in prop::collection::vec(1_i64..9000, 1..30),
    ) {
        let mut tick = CronJob::default();
        tick.metadata.name = "tick".into();
        tick.metadata.creation_timestamp = Some("2026-10-31T20:00:30Z".into());
        tick.spec.schedule = schedule.into();
        tick.spec.time_zone = zone.map(str::to_owned);
        tick.spec.concurrency_policy = policy.into();
        tick.spec.starting_deadline_seconds = deadline;
        let mut now = parse_seconds("2026-10-31T20:00:30Z").unwrap();
        let mut last = i64::MIN;
        let mut jobs: Vec<Arc<Job>> = Vec::new();
        for sleep in sleeps {
            now += sleep;
            let made = plan(&tick, &jobs, now);
            tick.status = made.status;
            jobs.retain(|job| !made.delete.contains(job));
            if let Some(at) = made.start {
                prop_assert!(at > last && at <= now, "{at} after {last}, now {now}");
                prop_assert!(deadline.is_none_or(|deadline| now - at <= deadline), "{} s late", now - at);
                prop_assert!(policy == "Allow" || jobs.is_empty(), "another job runs");
                last = at;
                let mut job = Job::default();
                job.metadata.name = at.to_string();
                job.metadata.uid = at.to_string();
                tick.status.active.push(reference(&job));
                jobs.push(Arc::new(job));
            }
            tick.status.active.retain(|active| jobs.iter().any(|job| job.metadata.uid == active.uid));
            let again = plan(&tick, &jobs, now);
            prop_assert_eq!((again.start, again.delete.len()), (None, 0), "a second look does more");
            prop_assert_eq!(&again.status, &tick.status);
            prop_assert!(again.look_again.is_some_and(|seconds| seconds > 0));
            // Every third time the oldest job ends.
            if sleep % 3 == 0 && !jobs.is_empty() {
                let gone = jobs.remove(0);
                tick.status.active.retain(|active| active.uid != gone.metadata.uid);
            }
        }
    }
}
