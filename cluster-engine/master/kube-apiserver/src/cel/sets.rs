//! `sets.contains`, `sets.equivalent` and `sets.intersects`: lists read as sets.

use ::cel::common::types::{CelBool, LIST_TYPE};
use ::cel::common::value::CowVal;
use ::cel::{DeclarationError, Env, ExecutionError};

use super::lists::elements;
use super::take;

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    let two = || vec![LIST_TYPE, LIST_TYPE];
    env.add_overload("sets.contains", "list_sets_contains_list", two(), contains)?;
    env.add_overload("sets.equivalent", "list_sets_equivalent_list", two(), equivalent)?;
    env.add_overload("sets.intersects", "list_sets_intersects_list", two(), intersects)
}

/// Whether all elements of `other` are in `own`.
fn holds(own: &CowVal<'_, '_>, other: &CowVal<'_, '_>) -> bool {
    let own = elements(own.as_ref());
    elements(other.as_ref()).iter().all(|item| own.iter().any(|mine| mine.equals(*item)))
}

fn answer<'b, 'v>(answer: bool) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(CowVal::owned(CelBool::from(answer)))
}

fn contains<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [own, other] = take(args)?;
    answer(holds(&own, &other))
}

fn equivalent<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [own, other] = take(args)?;
    answer(holds(&own, &other) && holds(&other, &own))
}

fn intersects<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [own, other] = take(args)?;
    let mine = elements(own.as_ref());
    answer(elements(other.as_ref()).iter().any(|item| mine.iter().any(|own| own.equals(*item))))
}
