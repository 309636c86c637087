//! `semver("1.2.3-rc.1")` and what can be asked of it.

use std::cmp::Ordering;

use ::cel::common::types::{CelBool, CelInt, CelString};
use ::cel::{DeclarationError, Env, ExecutionError};

use super::failure;
use super::opaque::opaque;

/// A version without its build metadata, which counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    numbers: [u64; 3],
    pre: Vec<String>,
}

opaque!(
    /// A semantic version.
    Semver(Version), SEMVER = "kubernetes.Semver"
);

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(SEMVER.to_owned())?;
    ::cel::add_overload!(env, fn parse: (CelString) -> Result<Semver>, name = "semver")?;
    ::cel::add_overload!(env, fn parse_normal: (CelString, CelBool) -> Result<Semver>, name = "semver")?;
    ::cel::add_overload!(env, fn is_semver: (CelString) -> CelBool, name = "isSemver")?;
    ::cel::add_overload!(env, fn is_semver_normal: (CelString, CelBool) -> CelBool, name = "isSemver")?;
    ::cel::add_member_overload!(env, fn major: (Semver) -> CelInt)?;
    ::cel::add_member_overload!(env, fn minor: (Semver) -> CelInt)?;
    ::cel::add_member_overload!(env, fn patch: (Semver) -> CelInt)?;
    ::cel::add_member_overload!(env, fn compare_to: (Semver, Semver) -> CelInt)?;
    ::cel::add_member_overload!(env, fn is_greater_than: (Semver, Semver) -> CelBool)?;
    ::cel::add_member_overload!(env, fn is_less_than: (Semver, Semver) -> CelBool)
}

fn read(text: &str) -> Result<Version, String> {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let parts: Vec<&str> = core.split('.').collect();
    let [major, minor, patch] = parts[..] else { return Err("No Major.Minor.Patch elements found".to_owned()) };
    let number = |text: &str, name: &str| match text.parse::<u64>() {
        _ if !text.chars().all(|c| c.is_ascii_digit()) || text.is_empty() => {
            Err(format!("Invalid character(s) found in {name} number {text:?}"))
        }
        _ if text.len() > 1 && text.starts_with('0') => {
            Err(format!("{name} number must not contain leading zeroes {text:?}"))
        }
        Ok(number) => Ok(number),
        Err(_) => Err(format!("{name} number {text:?} is out of range")),
    };
    let identifier = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if pre.is_some_and(|pre| !pre.split('.').all(identifier))
        || build.is_some_and(|build| !build.split('.').all(identifier))
    {
        return Err("Invalid character(s) found in prerelease or build metadata".to_owned());
    }
    Ok(Version {
        numbers: [number(major, "major")?, number(minor, "minor")?, number(patch, "patch")?],
        pre: pre.into_iter().flat_map(|pre| pre.split('.')).map(str::to_owned).collect(),
    })
}

/// `v1.2` as `1.2.0`, and numbers without leading zeroes.
fn normal(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(end);
    let mut parts: Vec<String> = core
        .split('.')
        .map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0".to_owned(),
            rest => rest.to_owned(),
        })
        .collect();
    while parts.len() < 3 {
        parts.push("0".to_owned());
    }
    format!("{}{rest}", parts.join("."))
}

fn parse(text: &CelString<'_>) -> Result<Semver, ExecutionError> {
    read(text.inner()).map(Semver).map_err(|why| failure(format!("semver parse error: {why}")))
}

fn parse_normal(text: &CelString<'_>, normalize: &CelBool) -> Result<Semver, ExecutionError> {
    let text = if *normalize.inner() { normal(text.inner()) } else { text.inner().to_owned() };
    parse(&CelString::from(text))
}

fn is_semver(text: &CelString<'_>) -> CelBool {
    read(text.inner()).is_ok().into()
}

fn is_semver_normal(text: &CelString<'_>, normalize: &CelBool) -> CelBool {
    parse_normal(text, normalize).is_ok().into()
}

fn number(number: u64) -> CelInt {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn major(own: &Semver) -> CelInt {
    number(own.0.numbers[0])
}

fn minor(own: &Semver) -> CelInt {
    number(own.0.numbers[1])
}

fn patch(own: &Semver) -> CelInt {
    number(own.0.numbers[2])
}

fn compare(own: &Version, other: &Version) -> Ordering {
    let pre = |own: &[String], other: &[String]| match (own.is_empty(), other.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => own
            .iter()
            .zip(other)
            .map(|(a, b)| part(a, b))
            .find(|order| order.is_ne())
            .unwrap_or(own.len().cmp(&other.len())),
    };
    own.numbers.cmp(&other.numbers).then_with(|| pre(&own.pre, &other.pre))
}

/// Numbers come before words, numbers by size, words by letters.
fn part(own: &str, other: &str) -> Ordering {
    match (own.parse::<u64>(), other.parse::<u64>()) {
        (Ok(own), Ok(other)) => own.cmp(&other),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        _ => own.cmp(other),
    }
}

fn compare_to(own: &Semver, other: &Semver) -> CelInt {
    (compare(&own.0, &other.0) as i64).into()
}

fn is_greater_than(own: &Semver, other: &Semver) -> CelBool {
    compare(&own.0, &other.0).is_gt().into()
}

fn is_less_than(own: &Semver, other: &Semver) -> CelBool {
    compare(&own.0, &other.0).is_lt().into()
}
