//! What a proof found, as a table.

use std::fmt;
use std::time::Duration;

/// What was found of a lesson.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The lesson and its languages.
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
    /// What is wrong; nothing: the lesson is proved.
    pub(super) errors: Vec<String>,
    /// All in all.
    pub(super) time: Duration,
}

/// One check or question.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) step: String,
    pub(super) what: String,
    pub(super) before: &'static str,
    pub(super) after: &'static str,
    /// From what the learner did until the step was done.
    pub(super) time: Option<Duration>,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.errors.is_empty() { "proved" } else { "FAILED" };
        writeln!(out, "{}: {verdict} in {:.1} s", self.title, self.time.as_secs_f32())?;
        let width = |of: fn(&Row) -> &String, least: usize| {
            self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default().max(least)
        };
        let (step, what) = (width(|row| &row.step, 4), width(|row| &row.what, 5));
        writeln!(out, "  {:step$}  {:what$}  {:6}  {:6}  SECONDS", "STEP", "CHECK", "BEFORE", "AFTER")?;
        for row in &self.rows {
            let time = row.time.map(|time| format!("{:.1}", time.as_secs_f32())).unwrap_or_default();
            writeln!(out, "  {:step$}  {:what$}  {:6}  {:6}  {time}", row.step, row.what, row.before, row.after)?;
        }
        for error in &self.errors {
            writeln!(out, "  ! {error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let report = Report {
            title: "pods (en)".to_owned(),
            rows: vec![Row {
                step: "run".to_owned(),
                what: "running".to_owned(),
                before: "unmet",
                after: "met",
                time: Some(Duration::from_millis(1500)),
            }],
            errors: vec!["it is wrong".to_owned()],
            time: Duration::from_secs(3),
        };
        let expected = "pods (en): FAILED in 3.0 s\n  STEP  CHECK    BEFORE  AFTER   SECONDS\n  run   running  unmet   met     1.5\n  ! it is wrong\n";
        assert_eq!(report.to_string(), expected);
    }
}
