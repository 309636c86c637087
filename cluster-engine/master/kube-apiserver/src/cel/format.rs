//! `format.dns1123Label().validate(text)`: the named formats, which tell what is wrong with a text.

use ::cel::common::types::{CelList, CelOptional, CelString};
use ::cel::common::value::Val;
use ::cel::{DeclarationError, Env, ExecutionError};
use drydock_api::names;

use super::failure;
use super::opaque::opaque;

type Check = fn(&str) -> Vec<String>;

opaque!(
    /// A named format.
    Format(&'static str), FORMAT = "kubernetes.NamedFormat"
);

/// A prefix of a name may end in a dash.
fn prefix(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) => format!("{rest}a"),
        None => text.to_owned(),
    }
}

const FORMATS: &[(&str, Check)] = &[
    ("dns1123Label", |text| names::is_dns1123_label(text)),
    ("dns1123Subdomain", |text| names::is_dns1123_subdomain(text)),
    ("dns1035Label", |text| names::is_dns1035_label(text)),
    ("qualifiedName", |text| names::is_qualified_name(text)),
    ("dns1123LabelPrefix", |text| names::is_dns1123_label(&prefix(text))),
    ("dns1123SubdomainPrefix", |text| names::is_dns1123_subdomain(&prefix(text))),
    ("dns1035LabelPrefix", |text| names::is_dns1035_label(&prefix(text))),
    ("labelValue", |text| names::is_label_value(text)),
    ("uri", uri),
    ("uuid", uuid),
    ("byte", byte),
    ("date", date),
    ("datetime", datetime),
];

fn unless(good: bool, message: &str) -> Vec<String> {
    if good { Vec::new() } else { vec![message.to_owned()] }
}

fn uri(text: &str) -> Vec<String> {
    unless(super::url::is_uri(text), "invalid URI")
}

fn uuid(text: &str) -> Vec<String> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let good = lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    unless(good, "does not match the UUID format")
}

fn byte(text: &str) -> Vec<String> {
    use base64::Engine as _;
    unless(base64::engine::general_purpose::STANDARD.decode(text).is_ok(), "invalid base64")
}

fn date(text: &str) -> Vec<String> {
    unless(text.parse::<jiff::civil::Date>().is_ok(), "invalid date")
}

fn datetime(text: &str) -> Vec<String> {
    unless(text.parse::<jiff::Timestamp>().is_ok(), "invalid datetime")
}

macro_rules! constants {
    ($env:ident: $($function:ident = $name:literal),* $(,)?) => {
        $(
            $env.add_overload(concat!("format.", $name), concat!("format-", $name), vec![], $function)?;
        )*
    };
}

macro_rules! makers {
    ($($function:ident = $name:literal),* $(,)?) => {
        $(
            fn $function<'b, 'v>(
                _: Vec<::cel::common::value::CowVal<'b, 'v>>,
            ) -> Result<::cel::common::value::CowVal<'b, 'v>, ExecutionError> {
                Ok(::cel::common::value::CowVal::owned(Format($name)))
            }
        )*

        pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
            env.add_type(FORMAT.to_owned())?;
            constants!(env: $($function = $name),*);
            ::cel::add_overload!(env, fn named: (CelString) -> CelOptional, name = "format.named")?;
            ::cel::add_member_overload!(env, fn validate: (Format, CelString) -> Result<CelOptional>)
        }
    };
}

makers!(
    dns1123_label = "dns1123Label",
    dns1123_subdomain = "dns1123Subdomain",
    dns1035_label = "dns1035Label",
    qualified_name = "qualifiedName",
    dns1123_label_prefix = "dns1123LabelPrefix",
    dns1123_subdomain_prefix = "dns1123SubdomainPrefix",
    dns1035_label_prefix = "dns1035LabelPrefix",
    label_value = "labelValue",
    uri_format = "uri",
    uuid_format = "uuid",
    byte_format = "byte",
    date_format = "date",
    datetime_format = "datetime",
);

fn named(name: &CelString<'_>) -> CelOptional<'static> {
    match FORMATS.iter().find(|(own, _)| *own == name.inner()) {
        Some((own, _)) => CelOptional::of(Box::new(Format(own))),
        None => CelOptional::none(),
    }
}

fn validate(own: &Format, text: &CelString<'_>) -> Result<CelOptional<'static>, ExecutionError> {
    let (_, check) = FORMATS.iter().find(|(name, _)| *name == own.0).ok_or_else(|| failure("no such format"))?;
    let wrong = check(text.inner());
    if wrong.is_empty() {
        return Ok(CelOptional::none());
    }
    let texts: Vec<Box<dyn Val>> =
        wrong.into_iter().map(|text| Box::new(CelString::from(text)) as Box<dyn Val>).collect();
    Ok(CelOptional::of(Box::new(CelList::from(texts))))
}
