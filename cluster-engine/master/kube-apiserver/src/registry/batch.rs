//! `jobs` and `cronjobs`.

use jiff::Timestamp;
use serde_json::Value;

use super::print::{
    between, bool_pointer, condition, container_images, container_names, count, selector, since, text, text_or,
};
use super::value::Read as _;
use crate::row::{Column, Resource, Subresource};

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
    generation: true,
    storage: "/registry/cronjobs",
    ..Resource::BASE
};

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
