//! What a failed pod means for its job, and when enough indexes have succeeded
//! (upstream: `pod_failure_policy.go`, `success_policy.go`).

use std::collections::BTreeSet;

use drydock_client::Object;
use drydock_client::types::Pod;

use super::indexes;
use crate::kinds::{Job, OnExitCodes, SuccessPolicy};

/// What a rule says of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Count,
    /// It does not count.
    Ignore,
    /// Its index is given up.
    FailIndex,
    /// The job is given up, with this message.
    FailJob(String),
}

/// What a failed pod means (upstream: `matchPodFailurePolicy`).
pub(super) fn verdict(job: &Job, pod: &Pod) -> Verdict {
    let Some(policy) = &job.spec.pod_failure_policy else { return Verdict::Count };
    for (index, rule) in policy.rules.iter().enumerate() {
        let why = if let Some(codes) = &rule.on_exit_codes {
            exit_code(pod, codes).map(|(container, code)| {
                format!(
                    "Container {container} for pod {}/{} failed with exit code {code} matching {} rule at index {index}",
                    pod.namespace(),
                    pod.name(),
                    rule.action
                )
            })
        } else {
            let wanted = rule.on_pod_conditions.iter().find(|wanted| {
                let status = if wanted.status.is_empty() { "True" } else { wanted.status.as_str() };
                pod.condition(&wanted.kind).is_some_and(|condition| condition.status == status)
            });
            wanted.map(|wanted| {
                format!(
                    "Pod {}/{} has condition {} matching {} rule at index {index}",
                    pod.namespace(),
                    pod.name(),
                    wanted.kind,
                    rule.action
                )
            })
        };
        if let Some(why) = why {
            return match rule.action.as_str() {
                "FailJob" => Verdict::FailJob(why),
                "FailIndex" => Verdict::FailIndex,
                "Ignore" => Verdict::Ignore,
                _ => Verdict::Count,
            };
        }
    }
    Verdict::Count
}

/// The first container that failed with a code that the rule is about.
fn exit_code<'a>(pod: &'a Pod, codes: &OnExitCodes) -> Option<(&'a str, i32)> {
    let all = pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses);
    all.filter(|container| codes.container_name.as_ref().is_none_or(|name| *name == container.name)).find_map(
        |container| {
            let code = container.state.terminated.as_ref()?.exit_code;
            let is_listed = codes.values.contains(&code);
            let matches = if codes.operator == "In" { is_listed } else { !is_listed };
            (code != 0 && matches).then_some((container.name.as_str(), code))
        },
    )
}

/// Why the indexes that have succeeded are enough, if they are.
pub(super) fn is_enough(policy: Option<&SuccessPolicy>, completions: i32, done: &BTreeSet<i32>) -> Option<String> {
    let rules = policy.map(|policy| policy.rules.as_slice()).unwrap_or_default();
    let at = rules.iter().position(|rule| {
        let count = |there: usize| rule.succeeded_count.is_some_and(|wanted| there >= wanted.max(0) as usize);
        match &rule.succeeded_indexes {
            Some(text) => {
                let mut wanted = indexes::parse(text);
                wanted.retain(|index| *index < completions);
                let there = wanted.intersection(done).count();
                if rule.succeeded_count.is_some() { count(there) } else { there == wanted.len() && there > 0 }
            }
            None => count(done.len()),
        }
    })?;
    Some(format!("Matched rules at index {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use drydock_client::types::{Condition, ContainerStatus, Terminated};
    use serde_json::json;

    fn job(rules: serde_json::Value) -> Job {
        serde_json::from_value(json!({"spec": {"podFailurePolicy": {"rules": rules}}})).unwrap()
    }

    fn pod(code: i32, condition: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = "p".into();
        pod.metadata.namespace = "x".into();
        let mut container = ContainerStatus { name: "main".into(), ..ContainerStatus::default() };
        container.state.terminated = Some(Terminated { exit_code: code, ..Terminated::default() });
        pod.status.container_statuses.push(container);
        pod.status.conditions.push(Condition { kind: condition.into(), status: "True".into(), ..Condition::default() });
        pod
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let job = job(json!([
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 42]}},
        ]));
        assert_eq!(verdict(&job, &pod(42, "DisruptionTarget")), Verdict::Ignore);
        assert_eq!(
            verdict(&job, &pod(42, "Ready")),
            Verdict::FailJob(
                "Container main for pod x/p failed with exit code 42 matching FailJob rule at index 1".into()
            )
        );
        assert_eq!(verdict(&job, &pod(7, "Ready")), Verdict::FailIndex);
        assert_eq!(verdict(&job, &pod(1, "Ready")), Verdict::Count);
        assert_eq!(verdict(&job, &pod(0, "Ready")), Verdict::Count, "a container that ended well is no reason");
        assert_eq!(verdict(&Job::default(), &pod(42, "Ready")), Verdict::Count);
    }

    #[test]
    fn conditions_name_themselves() {
        let job = job(json!([{"action": "FailJob", "onPodConditions": [{"type": "ConfigIssue", "status": "True"}]}]));
        assert_eq!(
            verdict(&job, &pod(1, "ConfigIssue")),
            Verdict::FailJob("Pod x/p has condition ConfigIssue matching FailJob rule at index 0".into())
        );
    }

    #[test]
    fn enough_is_enough() {
        let check = |rules: serde_json::Value, done: &[i32], expected: Option<&str>| {
            let policy: SuccessPolicy = serde_json::from_value(json!({"rules": rules})).unwrap();
            let found = is_enough(Some(&policy), 5, &done.iter().copied().collect());
            assert_eq!(found.as_deref(), expected, "{rules} {done:?}");
        };
        check(json!([{"succeededIndexes": "0,2-3"}]), &[0, 2], None);
        check(json!([{"succeededIndexes": "0,2-3"}]), &[0, 2, 3], Some("Matched rules at index 0"));
        check(json!([{"succeededIndexes": "0,2-3", "succeededCount": 1}]), &[1, 3], Some("Matched rules at index 0"));
        check(json!([{"succeededIndexes": "9"}, {"succeededCount": 2}]), &[1, 4], Some("Matched rules at index 1"));
        check(json!([{"succeededCount": 2}]), &[1], None);
        assert_eq!(is_enough(None, 5, &BTreeSet::from([0])), None);
    }
}
