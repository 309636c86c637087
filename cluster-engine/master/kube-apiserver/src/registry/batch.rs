//! `jobs` and `cronjobs`.

mod schedule;
mod validate;

use jiff::Timestamp;
use serde_json::Value;

use super::print::{
    between, bool_pointer, condition, container_images, container_names, count, selector, since, text, text_or,
};
use super::template;
use super::value::{Read as _, child, default, default_text, items_mut};
use super::workload;
use crate::row::{Column, Context, Resource, Subresource};

const CONTAINERS: &str = "spec.template.spec.containers";
const TEMPLATE_CONTAINERS: &str = "spec.jobTemplate.spec.template.spec.containers";

pub(super) static JOBS: Resource = Resource {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    categories: &["all"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Status", |job, _| Value::from(status(job))).describe("Status of the job."),
        Column::string("Completions", |job, _| Value::String(completions(job))),
        Column::string("Duration", |job, now| Value::String(duration(job, now)))
            .describe("Time required to complete the job."),
        Column::AGE,
        Column::string("Containers", |job, _| container_names(job, CONTAINERS)).wide(),
        Column::string("Images", |job, _| container_images(job, CONTAINERS)).wide(),
        Column::string("Selector", |job, _| selector(job, "spec.selector")).wide(),
    ],
    fields: &[("status.successful", |job| job.int("status.succeeded").unwrap_or(0).to_string())],
    default: default_job,
    validate: validate::job,
    validate_update: validate::job_update,
    validate_subresource: validate::job_status,
    prepare_create,
    warnings: workload::warnings,
    generation: true,
    storage: "/registry/jobs",
    ..Resource::BASE
};

pub(super) static CRON_JOBS: Resource = Resource {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    subresources: &[Subresource::Status],
    columns: &[
        Column::NAME,
        Column::string("Schedule", |object, _| text(object, "spec.schedule")),
        Column::string("Timezone", |object, _| text_or(object, "spec.timeZone", "<none>")),
        Column { kind: "boolean", ..Column::string("Suspend", |object, _| bool_pointer(object, "spec.suspend")) },
        Column::integer("Active", |object, _| count(object, "status.active")),
        Column::string("Last Schedule", |object, now| since(object, "status.lastScheduleTime", now, "<none>")),
        Column::AGE,
        Column::string("Containers", |object, _| container_names(object, TEMPLATE_CONTAINERS)).wide(),
        Column::string("Images", |object, _| container_images(object, TEMPLATE_CONTAINERS)).wide(),
        Column::string("Selector", |object, _| selector(object, "spec.jobTemplate.spec.selector")).wide(),
    ],
    default: default_cron_job,
    validate: validate::cron_job_create,
    validate_update: validate::cron_job_update,
    warnings: cron_job_warnings,
    generation: true,
    storage: "/registry/cronjobs",
    ..Resource::BASE
};

pub(super) use validate::domain_path;

fn cron_job_warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = workload::name_warnings(new, old, "Pod names and hostnames");
    warnings.extend(workload::template_warnings(new, old, "spec.jobTemplate.spec.template"));
    let schedule = new.text("spec.schedule");
    if schedule.contains("TZ") {
        warnings.push(format!("spec.schedule: CRON_TZ or TZ used in schedule {schedule:?} is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs for more details"));
    }
    warnings
}

/// SetDefaults_Job.
fn default_job(job: &mut Value) {
    let labels = job.at("spec.template.metadata.labels").clone();
    if job.entries("metadata.labels").is_empty()
        && !labels.as_object().is_none_or(serde_json::Map::is_empty)
        && let Some(metadata) = child(job, "metadata")
    {
        metadata["labels"] = labels;
    }
    if let Some(spec) = child(job, "spec") {
        if !spec.has("completions") && !spec.has("parallelism") {
            default(spec, "completions", 1);
        }
        default(spec, "parallelism", 1);
        let retries = if spec.has("backoffLimitPerIndex") { i64::from(i32::MAX) } else { 6 };
        default(spec, "backoffLimit", retries);
        default(spec, "completionMode", "NonIndexed");
        default(spec, "suspend", false);
        for rule in items_mut(spec, "podFailurePolicy.rules") {
            for condition in items_mut(rule, "onPodConditions") {
                default_text(condition, "status", "True");
            }
        }
        let replacement = if spec.has("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
        default(spec, "podReplacementPolicy", replacement);
        template::defaults::template(spec, "template");
    }
    child(job, "status");
}

/// SetDefaults_CronJob; the job template gets the defaults of its pods only.
fn default_cron_job(object: &mut Value) {
    if let Some(spec) = child(object, "spec") {
        default_text(spec, "concurrencyPolicy", "Allow");
        default(spec, "suspend", false);
        default(spec, "successfulJobsHistoryLimit", 3);
        default(spec, "failedJobsHistoryLimit", 1);
        if let Some(template) = child(spec, "jobTemplate") {
            child(template, "metadata");
            if let Some(job) = child(template, "spec") {
                template::defaults::template(job, "template");
            }
        }
    }
    child(object, "status");
}

const LABELS: [(&str, &str); 2] =
    [("controller-uid", "job-name"), ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")];

/// PrepareForCreate: unless the selector is manual, it is made from the job's uid.
fn prepare_create(job: &mut Value, _: &Context<'_>) {
    if !job.flag("spec.manualSelector") {
        select_by_uid(job);
    }
    // Upstream defaults again when it reads the job back: a job without labels gets those of its pods.
    default_job(job);
}

fn select_by_uid(job: &mut Value) {
    let uid = job.text("metadata.uid").to_owned();
    let name = job.text("metadata.name").to_owned();
    if uid.is_empty() {
        return;
    }
    let Some(spec) = child(job, "spec") else { return };
    if let Some(labels) = child(spec, "template")
        .and_then(|template| child(template, "metadata"))
        .and_then(|metadata| child(metadata, "labels"))
    {
        for (uid_label, name_label) in LABELS {
            default(labels, uid_label, uid.clone());
            default(labels, name_label, name.clone());
        }
    }
    if let Some(labels) = child(spec, "selector").and_then(|selector| child(selector, "matchLabels")) {
        default(labels, LABELS[1].0, uid);
    }
}

fn completions(job: &Value) -> String {
    let succeeded = job.int("status.succeeded").unwrap_or(0);
    match (job.int("spec.completions"), job.int("spec.parallelism").unwrap_or(0)) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let end = job.text("status.completionTime").parse().unwrap_or(now);
    between(job.text("status.startTime"), end)
}

fn status(job: &Value) -> &'static str {
    let is = |kind: &str| condition(job, kind) == "True";
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if job.has("metadata.deletionTimestamp") {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_of_jobs() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let job = json!({"spec": {"completions": 3}, "status": {"succeeded": 1, "startTime": "2026-01-01T00:00:00Z"}});
        assert_eq!((completions(&job).as_str(), duration(&job, now).as_str(), status(&job)), ("1/3", "10m", "Running"));
        let job = json!({"spec": {"parallelism": 2}, "status": {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:05Z",
            "conditions": [{"type": "Complete", "status": "True"}]}});
        assert_eq!(
            (completions(&job).as_str(), duration(&job, now).as_str(), status(&job)),
            ("0/1 of 2", "5s", "Complete")
        );
        assert_eq!(duration(&json!({}), now), "");
        assert_eq!(
            status(
                &json!({"status": {"conditions": [{"type": "Suspended", "status": "True"}, {"type": "Failed", "status": "False"}]}})
            ),
            "Suspended"
        );
    }
}
