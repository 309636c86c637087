//! `find` and `findAll`.

use ::cel::common::types::{CelInt, CelList, CelString};
use ::cel::common::value::Val;
use ::cel::{DeclarationError, Env, ExecutionError};

use super::failure;

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    ::cel::add_member_overload!(env, fn find: (CelString, CelString) -> Result<CelString>)?;
    ::cel::add_member_overload!(env, fn find_all: (CelString, CelString) -> Result<CelList>)?;
    ::cel::add_member_overload!(env, fn find_some: (CelString, CelString, CelInt) -> Result<CelList>, name = "findAll")
}

fn pattern(text: &CelString<'_>) -> Result<::regex::Regex, ExecutionError> {
    ::regex::Regex::new(text.inner()).map_err(|_| failure(format!("Illegal regex: {}", text.inner())))
}

fn find(own: &CelString<'_>, wanted: &CelString<'_>) -> Result<CelString<'static>, ExecutionError> {
    let found = pattern(wanted)?.find(own.inner()).map_or("", |found| found.as_str()).to_owned();
    Ok(CelString::from(found))
}

fn all(own: &CelString<'_>, wanted: &CelString<'_>, most: usize) -> Result<CelList<'static>, ExecutionError> {
    let found: Vec<Box<dyn Val>> = pattern(wanted)?
        .find_iter(own.inner())
        .take(most)
        .map(|found| Box::new(CelString::from(found.as_str().to_owned())) as Box<dyn Val>)
        .collect();
    Ok(CelList::from(found))
}

fn find_all(own: &CelString<'_>, wanted: &CelString<'_>) -> Result<CelList<'static>, ExecutionError> {
    all(own, wanted, usize::MAX)
}

fn find_some(own: &CelString<'_>, wanted: &CelString<'_>, most: &CelInt) -> Result<CelList<'static>, ExecutionError> {
    all(own, wanted, usize::try_from(*most.inner()).unwrap_or(usize::MAX))
}
