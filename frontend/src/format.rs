//! Numbers as people read them.

/// Bytes as whole megabytes (`38 MB`), or gigabytes with one digit.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mega = bytes as f64 / 1e6;
    if mega >= 1000.0 {
        format!("{:.1} GB", mega / 1000.0)
    } else if mega >= 10.0 || bytes == 0 {
        format!("{mega:.0} MB")
    } else {
        format!("{mega:.1} MB")
    }
}

/// The size of a file: `640 B`, `2.1 kB`, `1.2 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A length of time on a clock: `52:10`, `1:05:00`.
#[must_use]
pub fn clock(millis: u64) -> String {
    let seconds = millis / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Microseconds in the unit that reads best: `640 µs`, `2.1 ms`, `21 ms`, `1.4 s`.
#[must_use]
pub fn micros(micros: u64) -> String {
    let millis = micros as f64 / 1000.0;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{millis:.1} ms"),
        10_000..1_000_000 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// Milliseconds, see [`micros`].
#[must_use]
pub fn millis(millis: u64) -> String {
    micros(millis.saturating_mul(1000))
}

/// CPU in thousandths of a core as a share: `4%`.
#[must_use]
pub fn cpu(millis: u32) -> String {
    format!("{}%", (millis + 5) / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (value, want) in [(0, "0 MB"), (1_250_000, "1.2 MB"), (38_400_000, "38 MB"), (1_640_000_000, "1.6 GB")] {
            assert_eq!(bytes(value), want);
        }
    }

    #[test]
    fn file_sizes() {
        for (value, want) in [(0, "0 B"), (2_140, "2.1 kB"), (214_000, "214 kB"), (8_388_608, "8.4 MB")] {
            assert_eq!(size(value), want);
        }
    }

    #[test]
    fn clocks() {
        for (value, want) in [(0, "0:00"), (59_999, "0:59"), (3_130_000, "52:10"), (3_900_000, "1:05:00")] {
            assert_eq!(clock(value), want);
        }
    }

    #[test]
    fn durations() {
        for (value, want) in [(640, "640 µs"), (2_140, "2.1 ms"), (21_400, "21 ms"), (1_420_000, "1.4 s")] {
            assert_eq!(micros(value), want);
        }
    }
}
