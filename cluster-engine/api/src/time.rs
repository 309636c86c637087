//! Timestamps as the API writes them: RFC 3339 in whole seconds (`Time`) or microseconds (`MicroTime`), always UTC with `Z`.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now, as `Time`: `2026-11-21T08:00:00Z`.
pub fn now_rfc3339() -> String {
    format_seconds(unix_now())
}

/// Now, as `MicroTime`: `2026-11-21T08:00:00.000000Z`.
pub fn now_micro() -> String {
    let now = since_epoch();
    format_micro(now.as_secs() as i64, now.subsec_nanos())
}

/// Seconds since 1970.
pub fn unix_now() -> i64 {
    since_epoch().as_secs() as i64
}

fn since_epoch() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Writes seconds since 1970 as `Time`.
pub fn format_seconds(unix: i64) -> String {
    let (date, time) = civil(unix);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", date.0, date.1, date.2, time.0, time.1, time.2)
}

/// Writes seconds and nanoseconds since 1970 as `MicroTime`.
pub fn format_micro(unix: i64, nanos: u32) -> String {
    let mut text = format_seconds(unix);
    text.pop();
    text.push_str(&format!(".{:06}Z", nanos / 1000));
    text
}

fn civil(unix: i64) -> ((i16, i8, i8), (i8, i8, i8)) {
    let stamp = Timestamp::from_second(unix).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = jiff::tz::Offset::UTC.to_datetime(stamp);
    ((at.year(), at.month(), at.day()), (at.hour(), at.minute(), at.second()))
}

/// Reads an RFC 3339 time: seconds and nanoseconds since 1970.
pub fn parse(text: &str) -> Option<(i64, u32)> {
    if !is_rfc3339(text) {
        return None;
    }
    let stamp: Timestamp = text.parse().ok()?;
    let nanos = stamp.as_nanosecond();
    Some((i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?, u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?))
}

/// Reads an RFC 3339 time as whole seconds since 1970.
pub fn parse_seconds(text: &str) -> Option<i64> {
    parse(text).map(|(seconds, _)| seconds)
}

/// The form `2006-01-02T15:04:05[.fraction](Z|±hh:mm)` that Go's time.RFC3339 reads; jiff alone would take more.
fn is_rfc3339(text: &str) -> bool {
    let b = text.as_bytes();
    if b.len() < 20 || !b.is_ascii() {
        return false;
    }
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |want: u8, got: u8| if want == b'd' { got.is_ascii_digit() } else { want == got };
    if !shape.iter().zip(b).all(|(w, g)| fits(*w, *g)) {
        return false;
    }
    let mut rest = &b[19..];
    if let [b'.' | b',', tail @ ..] = rest {
        let digits = tail.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &tail[digits..];
    }
    match rest {
        b"Z" => true,
        [b'+' | b'-', zone @ ..] => zone.len() == 5 && b"dd:dd".iter().zip(zone).all(|(w, g)| fits(*w, *g)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2026-11-21T08:00:00Z", Some((1_795_248_000, 0))),
            ("2026-11-21T10:00:00+02:00", Some((1_795_248_000, 0))),
            ("2026-11-21T08:00:00.123456Z", Some((1_795_248_000, 123_456_000))),
            ("2026-11-21", None),
            ("2026-11-21 08:00:00Z", None),
            ("2026-13-21T08:00:00Z", None),
            ("2026-11-21T08:00:00", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        assert_eq!(format_seconds(1_795_248_000), "2026-11-21T08:00:00Z");
        assert_eq!(format_micro(1_795_248_000, 5_000), "2026-11-21T08:00:00.000005Z");
    }

    #[test]
    fn now_reads_back() {
        assert!(parse(&now_rfc3339()).is_some());
        assert!(parse(&now_micro()).is_some());
    }
}
