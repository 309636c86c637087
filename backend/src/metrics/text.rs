//! Prometheus' text format, version 0.0.4.

use std::fmt::Write as _;

use super::Buckets;

/// A page of metrics while it is written. Writing to a String cannot fail.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

/// Labels of one row.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// What has been written.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn row(&mut self, name: &str, labels: Labels<'_>, last: Option<(&str, &str)>, value: f64) {
        self.0.push_str(name);
        let mut begun = false;
        for (label, text) in labels.iter().copied().chain(last) {
            self.0.push(if begun { ',' } else { '{' });
            begun = true;
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{text}\"");
        }
        let _ = writeln!(self.0, "{} {value}", if begun { "}" } else { "" });
    }

    /// Something that goes up and down, with a row for each set of labels.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, rows: &[(Labels<'_>, f64)]) {
        self.head(name, "gauge", help);
        rows.iter().for_each(|(labels, value)| self.row(name, labels, None, *value));
    }

    /// Something that only grows.
    pub(crate) fn counter(&mut self, name: &str, help: &str, rows: &[(Labels<'_>, f64)]) {
        self.head(name, "counter", help);
        rows.iter().for_each(|(labels, value)| self.row(name, labels, None, *value));
    }

    /// How long something takes.
    pub(crate) fn histogram(&mut self, name: &str, help: &str, rows: &[(Labels<'_>, Buckets)]) {
        self.head(name, "histogram", help);
        for (labels, buckets) in rows {
            let bucket = format!("{name}_bucket");
            let mut below = 0;
            for (position, count) in buckets.counts.iter().enumerate() {
                below += count;
                let bound = buckets.bounds.get(position).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
                self.row(&bucket, labels, Some(("le", &bound)), below as f64);
            }
            self.row(&format!("{name}_sum"), labels, None, buckets.sum_seconds);
            self.row(&format!("{name}_count"), labels, None, below as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Histogram;
    use super::*;

    #[test]
    fn a_page() {
        let times = Histogram::new(&[0.5, 1.0]);
        [200, 700, 4000].into_iter().for_each(|millis| times.observe(Duration::from_millis(millis)));
        let mut page = Page::default();
        page.gauge("a", "What.", &[(&[], 1.5)]);
        page.counter("b_total", "How many.", &[(&[("x", "1\"\\\n"), ("y", "")], 2.0)]);
        page.histogram("c_seconds", "How long.", &[(&[("z", "q")], times.read())]);
        assert_eq!(
            page.into_text(),
            "# HELP a What.\n# TYPE a gauge\na 1.5\n\
             # HELP b_total How many.\n# TYPE b_total counter\nb_total{x=\"1\\\"\\\\\\n\",y=\"\"} 2\n\
             # HELP c_seconds How long.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{z=\"q\",le=\"0.5\"} 1\nc_seconds_bucket{z=\"q\",le=\"1\"} 2\nc_seconds_bucket{z=\"q\",le=\"+Inf\"} 3\n\
             c_seconds_sum{z=\"q\"} 4.9\nc_seconds_count{z=\"q\"} 3\n"
        );
    }
}
