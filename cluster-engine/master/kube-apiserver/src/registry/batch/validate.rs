//! Validation of Jobs and CronJobs.

use drydock_api::field::{FieldError, Path};
use drydock_api::selector::Selector;
use serde_json::Value;

use super::schedule;
use crate::registry::check::{self, Errors};
use crate::registry::template;
use crate::registry::value::{Read as _, at_mut, restore, same};
use crate::row::Context;

const LIMITED: i64 = 100_000;

/// ValidateJob.
pub(super) fn job(job: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = job.at("spec");
    let path = Path::new("spec");
    job_spec(&mut errors, spec, &path);
    let selector = spec.at("selector");
    if selector.is_null() {
        errors.push(FieldError::required(&path.child("selector"), ""));
    } else {
        check::label_selector(&mut errors, selector, &path.child("selector"));
    }
    if let Ok(selector) = Selector::from_label_selector(selector)
        && !selector.is_nothing()
        && !selector.matches(spec.strings("template.metadata.labels").into_iter())
    {
        errors.push(FieldError::invalid(
            &path.child("template.metadata.labels"),
            spec.at("template.metadata.labels").clone(),
            "`selector` does not match template `labels`",
        ));
    }
    errors
}

fn job_spec(errors: &mut Errors, spec: &Value, path: &Path) {
    for key in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        check::not_negative(errors, spec, path, key);
    }
    if let Some(manager) = spec.at("managedBy").as_str() {
        domain_path(errors, manager, &path.child("managedBy"));
        if manager.len() > 63 {
            errors.push(FieldError::too_long(&path.child("managedBy"), 63));
        }
    }
    let indexed = spec.text("completionMode") == "Indexed";
    check::maybe_one_of(errors, spec, path, "completionMode", &["Indexed", "NonIndexed"]);
    if indexed {
        if !spec.has("completions") {
            errors.push(FieldError::required(&path.child("completions"), "when completion mode is Indexed"));
        }
        let parallelism = spec.int("parallelism").unwrap_or(0);
        if parallelism > LIMITED {
            errors.push(FieldError::invalid(
                &path.child("parallelism"),
                parallelism,
                "must be less than or equal to 100000 when completion mode is Indexed",
            ));
        }
        if let Some(failed) = spec.int("maxFailedIndexes")
            && failed > spec.int("completions").unwrap_or(0)
        {
            errors.push(FieldError::invalid(
                &path.child("maxFailedIndexes"),
                failed,
                "must be less than or equal to completions",
            ));
        }
    } else {
        for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(value) = spec.int(key) {
                errors.push(FieldError::invalid(&path.child(key), value, "requires indexed completion mode"));
            }
        }
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") && indexed {
        errors.push(FieldError::required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
    }
    failure_policy(errors, spec, &path.child("podFailurePolicy"));
    if let Some(policy) = spec.at("podReplacementPolicy").as_str() {
        let own = path.child("podReplacementPolicy");
        if spec.has("podFailurePolicy") {
            if policy != "Failed" {
                errors.push(FieldError::not_supported(&own, policy, &["Failed"]));
            }
        } else if !matches!(policy, "Failed" | "TerminatingOrFailed") {
            errors.push(FieldError::not_supported(&own, policy, &["Failed", "TerminatingOrFailed"]));
        }
    }
    template::template(errors, spec.at("template"), &path.child("template"));
    let own = path.child("template.spec.restartPolicy");
    match spec.text("template.spec.restartPolicy") {
        "Always" => errors.push(FieldError::required(&own, r#"valid values: "OnFailure", "Never""#)),
        policy if !matches!(policy, "OnFailure" | "Never") => {
            errors.push(FieldError::not_supported(&own, policy, &["OnFailure", "Never"]));
        }
        policy if policy != "Never" && spec.has("podFailurePolicy") => errors.push(FieldError::invalid(
            &own,
            policy,
            r#"only "Never" is supported when podFailurePolicy is specified"#,
        )),
        _ => {}
    }
}

fn failure_policy(errors: &mut Errors, spec: &Value, path: &Path) {
    let rules = spec.items("podFailurePolicy.rules");
    let path = path.child("rules");
    if rules.len() > 20 {
        errors.push(FieldError::too_many(&path, rules.len(), 20));
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        match rule.text("action") {
            "" => errors.push(FieldError::required(
                &path.child("action"),
                r#"valid values: ["Count" "FailIndex" "FailJob" "Ignore"]"#,
            )),
            "FailIndex" if !spec.has("backoffLimitPerIndex") => errors.push(FieldError::invalid(
                &path.child("action"),
                "FailIndex",
                "requires the backoffLimitPerIndex to be set",
            )),
            "Count" | "FailIndex" | "FailJob" | "Ignore" => {}
            other => errors.push(FieldError::not_supported(
                &path.child("action"),
                other,
                &["Count", "FailIndex", "FailJob", "Ignore"],
            )),
        }
        match (rule.has("onExitCodes"), !rule.items("onPodConditions").is_empty()) {
            (true, true) => errors.push(FieldError::invalid(
                &path,
                "",
                "specifying both OnExitCodes and OnPodConditions is not supported",
            )),
            (false, false) => errors.push(FieldError::invalid(
                &path,
                "",
                "specifying one of OnExitCodes and OnPodConditions is required",
            )),
            _ => {}
        }
        let codes = rule.at("onExitCodes");
        if !codes.is_null() {
            let path = path.child("onExitCodes");
            match codes.text("operator") {
                "" => errors.push(FieldError::required(&path.child("operator"), r#"valid values: ["In" "NotIn"]"#)),
                "In" | "NotIn" => {}
                other => errors.push(FieldError::not_supported(&path.child("operator"), other, &["In", "NotIn"])),
            }
            let values = codes.items("values");
            if values.is_empty() {
                errors.push(FieldError::invalid(
                    &path.child("values"),
                    codes.at("values").clone(),
                    "at least one value is required",
                ));
            }
            for (index, value) in values.iter().enumerate() {
                if value == &Value::from(0) && codes.text("operator") == "In" {
                    errors.push(FieldError::invalid(
                        &path.child("values").index(index),
                        0,
                        "must not be 0 for the In operator",
                    ));
                }
            }
        }
        for (index, condition) in rule.items("onPodConditions").iter().enumerate() {
            let path = path.child("onPodConditions").index(index);
            check::qualified_name(errors, &path.child("type"), condition.text("type"));
            match condition.text("status") {
                "" => errors
                    .push(FieldError::required(&path.child("status"), r#"valid values: ["False" "True" "Unknown"]"#)),
                "True" | "False" | "Unknown" => {}
                other => {
                    errors.push(FieldError::not_supported(&path.child("status"), other, &["False", "True", "Unknown"]));
                }
            }
        }
    }
}

/// `example.com/name`.
pub(in crate::registry) fn domain_path(errors: &mut Errors, value: &str, path: &Path) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    match value.split_once('/') {
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            check::dns_subdomain(errors, path, host);
            let fine = rest
                .split('/')
                .all(|segment| segment.chars().all(|c| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:".contains(c)));
            if !fine {
                errors.push(FieldError::invalid(
                    path,
                    rest,
                    "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
                ));
            }
        }
        _ => errors.push(FieldError::invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")")),
    }
}

/// ValidateJobUpdate: most of the spec is fixed.
pub(super) fn job_update(new: &Value, old: &Value, context: &Context<'_>) -> Errors {
    let mut errors = job(new, context);
    let (spec, before) = (new.at("spec"), old.at("spec"));
    let path = Path::new("spec");
    completions(&mut errors, spec, before, &path);
    check::immutable(&mut errors, spec.at("selector"), before.at("selector"), &path.child("selector"));
    template_update(&mut errors, new, old, &path);
    for key in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        check::immutable(&mut errors, spec.at(key), before.at(key), &path.child(key));
    }
    errors
}

fn completions(errors: &mut Errors, spec: &Value, before: &Value, path: &Path) {
    let (now, was) = (spec.int("completions"), before.int("completions"));
    let elastic = spec.text("completionMode") == "Indexed" && now == spec.int("parallelism") && now.is_some();
    if now != was && !elastic {
        let message = if spec.text("completionMode") == "Indexed" && now.is_some() {
            format!("can only be modified in tandem with {}", path.child("parallelism"))
        } else {
            check::IMMUTABLE.to_owned()
        };
        errors.push(FieldError::invalid(&path.child("completions"), spec.at("completions").clone(), message));
    }
}

/// While a job is suspended and has not begun, what decides where its pods go may change.
fn template_update(errors: &mut Errors, new: &Value, old: &Value, path: &Path) {
    let mut template = new.at("spec.template").clone();
    let before = old.at("spec.template");
    if old.flag("spec.suspend") && !old.has("status.startTime") {
        for key in ["labels", "annotations"] {
            if let Some(metadata) = at_mut(&mut template, "metadata") {
                restore(metadata, before.at("metadata"), key);
            }
        }
        if let Some(spec) = at_mut(&mut template, "spec") {
            for key in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
                restore(spec, before.at("spec"), key);
            }
        }
    }
    if !same(&template, before) {
        errors.push(FieldError::invalid(&path.child("template"), new.at("spec.template").clone(), check::IMMUTABLE));
    }
}

/// ValidateCronJob.
pub(super) fn cron_job(object: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let spec = object.at("spec");
    let path = Path::new("spec");
    let when = spec.text("schedule");
    if when.is_empty() {
        errors.push(FieldError::required(&path.child("schedule"), ""));
    } else {
        if let Err(error) = schedule::check(when) {
            errors.push(FieldError::invalid(&path.child("schedule"), when, error));
        }
        if when.contains("TZ") {
            errors.push(FieldError::invalid(
                &path.child("schedule"),
                when,
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ));
        }
    }
    if let Some(zone) = spec.at("timeZone").as_str() {
        let path = path.child("timeZone");
        if zone.is_empty() {
            errors.push(FieldError::invalid(&path, "", "timeZone must be nil or non-empty string"));
        } else if zone.eq_ignore_ascii_case("local") {
            errors.push(FieldError::invalid(
                &path,
                zone,
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ));
        } else if zone.parse::<chrono_tz::Tz>().is_err() {
            errors.push(FieldError::invalid(&path, zone, format!("unknown time zone {zone}")));
        }
    }
    check::not_negative(&mut errors, spec, &path, "startingDeadlineSeconds");
    check::one_of(&mut errors, spec, &path, "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    let template = spec.at("jobTemplate");
    let own = path.child("jobTemplate");
    check::labels(&mut errors, template.at("metadata.labels"), &own.child("labels"));
    check::annotations(&mut errors, template.at("metadata.annotations"), &own.child("annotations"));
    job_spec(&mut errors, template.at("spec"), &own.child("spec"));
    if template.flag("spec.manualSelector") {
        errors.push(FieldError::not_supported(&own.child("spec.manualSelector"), true, &["nil", "false"]));
    }
    if template.has("spec.selector") {
        errors.push(FieldError::invalid(
            &own.child("spec.selector"),
            template.at("spec.selector").clone(),
            "`selector` will be auto-generated",
        ));
    }
    for key in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        check::not_negative(&mut errors, spec, &path, key);
    }
    errors
}

/// ValidateCronJobCreate: room for the suffix of its jobs.
pub(super) fn cron_job_create(object: &Value, context: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    let name = object.text("metadata.name");
    if name.len() > 52 {
        errors.push(FieldError::invalid(&Path::new("metadata.name"), name, "must be no more than 52 characters"));
    }
    errors.extend(cron_job(object, context));
    errors
}

/// ValidateCronJobUpdate.
pub(super) fn cron_job_update(new: &Value, _: &Value, context: &Context<'_>) -> Errors {
    cron_job(new, context)
}

/// Status of a job: counters may not be negative.
pub(super) fn job_status(new: &Value, _: &Value, _: &Context<'_>) -> Errors {
    let mut errors = Errors::new();
    for key in ["active", "succeeded", "failed", "ready", "terminating"] {
        check::not_negative(&mut errors, new.at("status"), &Path::new("status"), key);
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::batch::{CRON_JOBS, JOBS};
    use crate::registry::check::texts;

    fn context(resource: &'static crate::row::Resource) -> Context<'static> {
        Context { resource, namespace: "default", user: "u", groups: &[], subresource: None, now: "" }
    }

    fn made(spec: Value) -> Value {
        let mut object = json!({"metadata": {"name": "j", "uid": "u-1"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        (JOBS.default)(&mut object);
        (JOBS.prepare_create)(&mut object, &context(&JOBS));
        object
    }

    #[test]
    fn jobs_get_defaults_and_a_selector() {
        let object = made(json!({}));
        assert_eq!(object["spec"]["completions"], 1);
        assert_eq!(object["spec"]["parallelism"], 1);
        assert_eq!(object["spec"]["backoffLimit"], 6);
        assert_eq!(object["spec"]["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}));
        assert_eq!(object["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
        assert_eq!(texts(&job(&object, &context(&JOBS))), [""; 0]);
    }

    #[test]
    fn jobs() {
        #[track_caller]
        fn check(spec: Value, expected: &[&str]) {
            assert_eq!(texts(&job(&made(spec), &context(&JOBS))), expected);
        }
        check(
            json!({"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}),
            &[r#"spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never""#],
        );
        check(
            json!({"completionMode": "Indexed", "parallelism": 1, "completions": null, "backoffLimit": -1}),
            &[
                "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.completions: Required value: when completion mode is Indexed",
            ],
        );
    }

    #[test]
    fn job_templates_are_fixed() {
        let old = made(json!({}));
        let mut new = old.clone();
        new["spec"]["parallelism"] = json!(3);
        assert_eq!(texts(&job_update(&new, &old, &context(&JOBS))), [""; 0]);
        new["spec"]["completions"] = json!(2);
        let found = texts(&job_update(&new, &old, &context(&JOBS)));
        assert_eq!(found, ["spec.completions: Invalid value: 2: field is immutable"]);
        let mut new = old.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("x");
        let found = texts(&job_update(&new, &old, &context(&JOBS)));
        assert!(found[0].starts_with("spec.template: Invalid value: {") && found[0].ends_with(": field is immutable"));
    }

    #[test]
    fn cron_jobs() {
        let mut object = json!({"metadata": {"name": "x".repeat(53)}, "spec": {"schedule": "* * *", "timeZone": "",
            "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "c", "image": "i"}]}}}}}});
        (CRON_JOBS.default)(&mut object);
        assert_eq!(object["spec"]["concurrencyPolicy"], "Allow");
        assert_eq!(object["spec"]["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
        let name = "x".repeat(53);
        assert_eq!(
            texts(&cron_job_create(&object, &context(&CRON_JOBS))),
            [
                format!("metadata.name: Invalid value: {name:?}: must be no more than 52 characters").as_str(),
                r#"spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]"#,
                r#"spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string"#,
            ]
        );
    }
}
