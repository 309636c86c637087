//! Cron expressions: five fields, names, ranges, steps, and the `@` forms, by the clocks of a time zone.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;
use drydock_api::time::parse_seconds;

/// How far ahead a time is looked for.
const HORIZON_DAYS: i64 = 5 * 366;
const DAY: i64 = 86_400;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When something happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Schedule {
    /// At certain minutes.
    Times(Box<Times>),
    /// Every so many seconds.
    Every(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Times {
    minutes: BTreeSet<u8>,
    hours: BTreeSet<u8>,
    days: BTreeSet<u8>,
    months: BTreeSet<u8>,
    weekdays: BTreeSet<u8>,
    /// Either of the day fields is a star: both must hold. Otherwise one is enough.
    both_days: bool,
}

impl Schedule {
    /// Reads a schedule; the error is one sentence.
    pub(super) fn parse(text: &str) -> Result<Schedule, String> {
        let text = text.trim();
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => match other.strip_prefix("@every ") {
                Some(duration) => return every(duration).ok_or_else(|| format!("failed to parse duration {other}")),
                None => other,
            },
        };
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
        };
        let star = |field: &str| field.starts_with('*') || field.starts_with('?');
        let mut weekdays_set = field(weekdays, 0, 7, &DAYS)?;
        // Sunday is both 0 and 7.
        if weekdays_set.remove(&7) {
            weekdays_set.insert(0);
        }
        Ok(Schedule::Times(Box::new(Times {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: weekdays_set,
            both_days: star(days) || star(weekdays),
        })))
    }

    /// The first time after `after`, by the clocks of `zone`.
    ///
    /// Clocks that are put forward skip what lies in the gap; clocks that are put back show an hour twice, and what is
    /// due in it happens twice (as upstream's cron library does).
    pub(super) fn next(&self, after: i64, zone: Tz) -> Option<i64> {
        let times = match self {
            Schedule::Every(seconds) => return Some(after + seconds),
            Schedule::Times(times) => times,
        };
        let end = after + HORIZON_DAYS * DAY;
        let mut at = after + 1;
        while at < end {
            let local = DateTime::from_timestamp(at, 0)?.with_timezone(&zone);
            let of_day = i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60 + i64::from(local.second());
            if !times.has_day(local.date_naive()) {
                // A day of 23 or 25 hours ends earlier or later than the clock makes it seem.
                let midnight = zone.from_local_datetime(&local.date_naive().succ_opt()?.and_time(NaiveTime::MIN));
                at = midnight.earliest().map_or(at + DAY - of_day, |begins| begins.timestamp()).max(at + 1);
            } else if local.second() != 0 {
                at += 60 - i64::from(local.second());
            } else if !times.hours.contains(&(local.hour() as u8)) {
                at += 3600 - of_day % 3600;
            } else if !times.minutes.contains(&(local.minute() as u8)) {
                at += 60;
            } else {
                return Some(at);
            }
        }
        None
    }
}

impl Times {
    fn has_day(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_sunday() as u8;
        let (by_month, by_week) = (self.days.contains(&(day.day() as u8)), self.weekdays.contains(&weekday));
        let is_day = if self.both_days { by_month && by_week } else { by_month || by_week };
        self.months.contains(&(day.month() as u8)) && is_day
    }
}

/// The time zone of this name; UTC for none.
///
/// # Errors
/// As Go says it, when there is no such zone.
pub(super) fn zone(name: Option<&str>) -> Result<Tz, String> {
    match name {
        None | Some("" | "UTC" | "Etc/UTC") => Ok(Tz::UTC),
        Some(name) => name.parse().map_err(|_| format!("unknown time zone {name}")),
    }
}

/// `1h30m` as seconds, at least one.
fn every(text: &str) -> Option<Schedule> {
    let mut total = 0_i64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    (total > 0).then_some(Schedule::Every(total))
}

fn field(text: &str, low: u8, high: u8, names: &[&str]) -> Result<BTreeSet<u8>, String> {
    let invalid = || format!("failed to parse field {text:?}");
    let value = |part: &str| -> Option<u8> {
        let lower = part.to_ascii_lowercase();
        if let Some(at) = names.iter().position(|name| *name == lower) {
            return Some(at as u8 + low);
        }
        part.parse().ok()
    };
    let mut set = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u8>().ok().filter(|step| *step > 0).ok_or_else(invalid)?),
            None => (part, 1),
        };
        let (first, last) = match range {
            "*" | "?" => (low, high),
            _ => match range.split_once('-') {
                Some((first, last)) => (value(first).ok_or_else(invalid)?, value(last).ok_or_else(invalid)?),
                None => {
                    let first = value(range).ok_or_else(invalid)?;
                    // "3/15" means from 3 on.
                    (first, if part.contains('/') { high } else { first })
                }
            },
        };
        if first < low || last > high || first > last {
            return Err(invalid());
        }
        set.extend((first..=last).step_by(usize::from(step)));
    }
    Ok(set)
}

/// Seconds since 1970 of a time as the API writes it.
pub(super) fn seconds(text: &Option<String>) -> Option<i64> {
    text.as_deref().and_then(parse_seconds)
}

#[cfg(test)]
mod tests {
    use drydock_api::time::format_seconds;

    use super::*;

    #[track_caller]
    fn check(schedule: &str, after: &str, expected: &str) {
        check_in("UTC", schedule, after, expected);
    }

    #[track_caller]
    fn check_in(name: &str, schedule: &str, after: &str, expected: &str) {
        let zone = zone(Some(name)).unwrap();
        let next = Schedule::parse(schedule).unwrap().next(parse_seconds(after).unwrap(), zone).map(format_seconds);
        assert_eq!(next.as_deref(), Some(expected), "{schedule}");
    }

    #[test]
    fn clocks_of_other_places() {
        check_in("Asia/Taipei", "0 8 * * *", "2026-11-21T10:00:00Z", "2026-11-22T00:00:00Z");
        check_in("Asia/Kolkata", "15 9 * * mon", "2026-11-21T10:00:00Z", "2026-11-23T03:45:00Z");
        // The night in which New York's clocks go forward has no half past two; the one in which they go back has two
        // half past ones.
        check_in("America/New_York", "30 2 * * *", "2026-03-08T05:00:00Z", "2026-03-09T06:30:00Z");
        check_in("America/New_York", "30 1 * * *", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z");
        check_in("America/New_York", "0 0 * * *", "2026-03-07T06:00:00Z", "2026-03-08T05:00:00Z");
        assert_eq!(zone(Some("Mars/Olympus")).unwrap_err(), "unknown time zone Mars/Olympus");
    }

    #[test]
    fn next_times() {
        check("*/5 * * * *", "2026-11-21T10:02:30Z", "2026-11-21T10:05:00Z");
        check("* * * * *", "2026-11-21T10:02:00Z", "2026-11-21T10:03:00Z");
        check("0 0 1 1 *", "2026-11-21T10:00:00Z", "2027-01-01T00:00:00Z");
        check("30 8 * * mon-fri", "2026-11-21T10:00:00Z", "2026-11-23T08:30:00Z");
        check("0 12 13 * FRI", "2026-11-21T13:00:00Z", "2026-11-27T12:00:00Z");
        check("0 0 29 2 *", "2026-11-21T10:00:00Z", "2028-02-29T00:00:00Z");
        check("0 0 * * 7", "2026-11-21T10:00:00Z", "2026-11-22T00:00:00Z");
        check("@hourly", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z");
        check("@every 1h30m", "2026-11-21T10:00:00Z", "2026-11-21T11:30:00Z");
        check("5,10-12/2 1 * * *", "2026-11-21T01:05:00Z", "2026-11-21T01:10:00Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "@every x"] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Schedule::parse("0 0 31 2 *").unwrap().next(0, Tz::UTC), None);
    }
}
