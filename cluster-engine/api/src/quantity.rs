//! Amounts such as `100m`, `1.5Gi` or `2e3`: `k8s.io/apimachinery/pkg/api/resource`.
//!
//! An amount is exact to a nano and canonical when printed: no fraction, the largest suffix that loses nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

const NANO: i128 = 1_000_000_000;

/// Which suffixes a quantity prints with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `m`, ``, `k`, `M`, `G` …
    #[default]
    DecimalSi,
    /// `Ki`, `Mi`, `Gi` …
    BinarySi,
    /// `e3`, `e6` …
    DecimalExponent,
}

/// A fixed-point amount with its preferred format. Equality and order look at the amount alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a quantity's shape.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// An unknown suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// A malformed number, such as `1.2.3`.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
}

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// A whole amount.
    pub fn new(value: i64, format: Format) -> Self {
        Self { nanos: i128::from(value) * NANO, format }
    }

    /// Thousandths, as processor time is counted.
    pub fn from_milli(milli: i64) -> Self {
        Self { nanos: i128::from(milli) * 1_000_000, format: Format::DecimalSi }
    }

    /// Bytes, printed with binary suffixes.
    pub fn from_bytes(bytes: i64) -> Self {
        Self::new(bytes, Format::BinarySi)
    }

    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }

    /// Reads a quantity from JSON: a string or a plain number.
    pub fn from_value(value: &Value) -> Result<Self, ParseError> {
        match value {
            Value::String(text) => text.trim().parse(),
            Value::Number(number) => number.to_string().parse(),
            Value::Null => Ok(Self::ZERO),
            _ => Err(ParseError::Format),
        }
    }

    /// The amount in whole units, rounded up.
    pub fn value(&self) -> i64 {
        self.scaled(NANO)
    }

    /// The amount in thousandths, rounded up.
    pub fn milli_value(&self) -> i64 {
        self.scaled(1_000_000)
    }

    fn scaled(&self, unit: i128) -> i64 {
        let rounded = div_up(self.nanos, unit);
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }

    /// The amount as a float, for averages and logs.
    pub fn as_f64(&self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// Nothing at all.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        self.nanos.signum() as i32
    }

    /// The format it prints with.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sum; zero takes the other's format.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "the operator would hide that the format of one side wins")]
    pub fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_add(other.nanos), format }
    }

    /// The difference; zero takes the other's format.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "the operator would hide that the format of one side wins")]
    pub fn sub(self, other: Self) -> Self {
        self.add(Self { nanos: -other.nanos, ..other })
    }
}

/// Division that rounds away from zero.
fn div_up(n: i128, by: i128) -> i128 {
    let q = n / by;
    if n % by == 0 { q } else { q + n.signum() }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl std::hash::Hash for Quantity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(number_end);
        if number.is_empty() {
            return Err(ParseError::Format);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(ParseError::Numeric);
        }
        let scale = parse_suffix(suffix)?;
        let amount = scaled_amount(whole, fraction, scale);
        Ok(Self { nanos: if negative { -amount } else { amount }, format: scale.format })
    }
}

#[derive(Clone, Copy)]
struct Scale {
    base2: u32,
    base10: i32,
    format: Format,
}

fn parse_suffix(suffix: &str) -> Result<Scale, ParseError> {
    let decimal = |base10| Ok(Scale { base2: 0, base10, format: Format::DecimalSi });
    let binary = |base2| Ok(Scale { base2, base10: 0, format: Format::BinarySi });
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
            let digits = letters.strip_prefix(['-', '+']).unwrap_or(letters);
            if !digits.bytes().all(|c| c.is_ascii_digit()) {
                return Err(ParseError::Format);
            }
            let exponent =
                suffix.strip_prefix(['e', 'E']).and_then(|e| e.parse::<i32>().ok()).ok_or(ParseError::Suffix)?;
            Ok(Scale { base2: 0, base10: exponent.clamp(-400, 400), format: Format::DecimalExponent })
        }
    }
}

/// `whole.fraction` times the scale, in nanos, rounded up; amounts beyond the representable are capped.
fn scaled_amount(whole: &str, fraction: &str, scale: Scale) -> i128 {
    const CAP: i128 = i64::MAX as i128 * NANO;
    let mut mantissa: i128 = 0;
    let mut point = 0i32;
    let mut inexact = false;
    for (i, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        if mantissa > i128::MAX / 100 {
            // Beyond 36 digits only their count and whether any is set matter.
            inexact |= digit != b'0';
            point += i32::from(i < whole.len());
            continue;
        }
        mantissa = mantissa * 10 + i128::from(digit - b'0');
        point -= i32::from(i >= whole.len());
    }
    if mantissa == 0 {
        return 0;
    }
    let mut power = scale.base10 + point + 9;
    // Drop common tens first, so that a long fraction does not overflow the binary factor.
    while power < 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        power += 1;
    }
    let Some(mut amount) = mantissa.checked_mul(1i128 << scale.base2) else {
        // A long fraction times a large binary suffix: shorten the fraction first.
        let tens = 10i128.checked_pow(power.unsigned_abs().min(18)).unwrap_or(1);
        return if power >= 0 { CAP } else { div_up(mantissa, tens).saturating_mul(1i128 << scale.base2).min(CAP) };
    };
    while power > 0 {
        amount = match amount.checked_mul(10) {
            Some(more) => more,
            None => return CAP,
        };
        power -= 1;
    }
    while power < 0 {
        inexact |= amount % 10 != 0;
        amount /= 10;
        power += 1;
        if amount == 0 {
            break;
        }
    }
    amount + i128::from(inexact)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos / NANO;
        if self.format == Format::BinarySi && self.nanos % NANO == 0 && !(-1023..=1023).contains(&whole) {
            let (mut number, mut step) = (whole, 0);
            while number % 1024 == 0 && step < 6 {
                number /= 1024;
                step += 1;
            }
            return write!(f, "{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][step]);
        }
        let (mut number, mut exponent) = (self.nanos, -9i32);
        while number % 1000 == 0 && (exponent < 18 || self.format == Format::DecimalExponent) {
            number /= 1000;
            exponent += 3;
        }
        match (self.format, exponent) {
            (Format::DecimalExponent, 0) => write!(f, "{number}"),
            (Format::DecimalExponent, e) => write!(f, "{number}e{e}"),
            (_, e) => {
                let index = usize::try_from((e + 9) / 3).unwrap_or_default();
                write!(f, "{number}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].get(index).unwrap_or(&""))
            }
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_value(&value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_canonically() {
        for (text, want) in [
            ("0", "0"),
            ("0Ki", "0"),
            ("1", "1"),
            ("+1", "1"),
            ("-1.5", "-1500m"),
            ("1000m", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("100m", "100m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000Ki", "1000Ki"),
            ("512", "512"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("1.5G", "1500M"),
            ("1e3", "1e3"),
            ("12E2", "1200"),
            ("1500e-3", "1500e-3"),
            ("1.1n", "2n"),
            ("0.0000000001", "1n"),
            ("100k", "100k"),
            ("1000k", "1M"),
            ("10E", "10E"),
            ("4Ei", "4Ei"),
            ("1.000000000000000000000Gi", "1Gi"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.to_string()), Ok(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, want) in [
            ("", ParseError::Format),
            ("abc", ParseError::Format),
            ("1 Gi", ParseError::Format),
            ("1.2.3", ParseError::Numeric),
            ("1gi", ParseError::Format),
            ("1GiB", ParseError::Format),
            ("1mm", ParseError::Suffix),
            ("1K", ParseError::Suffix),
            ("-", ParseError::Format),
        ] {
            assert_eq!(Quantity::parse(text), Err(want), "{text}");
        }
    }

    #[test]
    fn compares_and_adds() {
        let q = |t: &str| Quantity::parse(t).unwrap();
        assert!(q("1Gi") > q("1G"));
        assert_eq!(q("1"), q("1000m"));
        assert_eq!(q("100m").add(q("1")).to_string(), "1100m");
        assert_eq!(Quantity::ZERO.add(q("1Gi")).to_string(), "1Gi");
        assert_eq!(q("1Gi").sub(q("512Mi")).to_string(), "512Mi");
        assert_eq!((q("1500m").value(), q("1500u").milli_value(), q("-1500m").value()), (2, 2, -2));
        assert_eq!(serde_json::from_str::<Quantity>("0.5").unwrap().to_string(), "500m");
    }
}
