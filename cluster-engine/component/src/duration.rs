//! Spans of time as Go writes them, which is how flags and configuration files of the field have them.

use std::time::Duration;

/// A duration such as `1h30m`, `500ms`, `1.5s` or `0`; none when the text is not one. There are no negative ones.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

/// [`parse`] for a command line's flag.
///
/// # Errors
/// A sentence that says what was wrong.
pub fn flag(text: &str) -> Result<Duration, String> {
    parse(text).ok_or_else(|| format!("{text:?} is not a duration such as 500ms, 10s or 1h30m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse(text).map(|found| found.as_secs_f64()), expected, "{text}");
        };
        check("10s", Some(10.0));
        check("1h30m", Some(5400.0));
        check("1m30s", Some(90.0));
        check("500ms", Some(0.5));
        check("1.5s", Some(1.5));
        check("250us", Some(0.000_25));
        check("0", Some(0.0));
        check("0s", Some(0.0));
        for wrong in ["", "10", "s", "5 s", "-5s", "1.2.3s", "5x", "1h 30m", "99999999999999999999h", "é"] {
            check(wrong, None);
        }
        assert!(flag("soon").is_err_and(|sentence| sentence.contains("500ms")));
    }
}
