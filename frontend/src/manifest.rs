//! How a comparison of manifests reads. Pure.

/// What a line of `diff -u` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It comes.
    Added,
    /// It goes.
    Removed,
    /// Where the following is.
    Place,
    /// It stays.
    Same,
}

/// What a line tells.
#[must_use]
pub fn tone(line: &str) -> Tone {
    if ["+++ ", "--- ", "@@ ", "diff "].iter().any(|begin| line.starts_with(begin)) {
        Tone::Place
    } else if line.starts_with('+') {
        Tone::Added
    } else if line.starts_with('-') {
        Tone::Removed
    } else {
        Tone::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_diff() {
        for (line, want) in [
            ("diff -u -N /tmp/LIVE-1/x /tmp/MERGED-1/x", Tone::Place),
            ("--- /tmp/LIVE-1/x", Tone::Place),
            ("@@ -1,3 +1,3 @@", Tone::Place),
            ("-  replicas: 1", Tone::Removed),
            ("+  replicas: 3", Tone::Added),
            ("   name: web", Tone::Same),
        ] {
            assert_eq!(tone(line), want, "{line}");
        }
    }
}
