//! `quantity("1.5Gi")` and what can be asked of it.

use ::cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use ::cel::{DeclarationError, Env, ExecutionError};
use drydock_api::quantity;

use super::failure;
use super::opaque::opaque;

opaque!(
    /// An amount.
    Quantity(quantity::Quantity), QUANTITY = "kubernetes.Quantity"
);

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(QUANTITY.to_owned())?;
    ::cel::add_overload!(env, fn parse: (CelString) -> Result<Quantity>, name = "quantity")?;
    ::cel::add_overload!(env, fn is_quantity: (CelString) -> CelBool, name = "isQuantity")?;
    ::cel::add_member_overload!(env, fn sign: (Quantity) -> CelInt)?;
    ::cel::add_member_overload!(env, fn is_integer: (Quantity) -> CelBool)?;
    ::cel::add_member_overload!(env, fn as_integer: (Quantity) -> Result<CelInt>)?;
    ::cel::add_member_overload!(env, fn as_approximate_float: (Quantity) -> CelDouble)?;
    ::cel::add_member_overload!(env, fn add: (Quantity, Quantity) -> Quantity)?;
    ::cel::add_member_overload!(env, fn add_int: (Quantity, CelInt) -> Quantity, name = "add")?;
    ::cel::add_member_overload!(env, fn sub: (Quantity, Quantity) -> Quantity)?;
    ::cel::add_member_overload!(env, fn sub_int: (Quantity, CelInt) -> Quantity, name = "sub")?;
    ::cel::add_member_overload!(env, fn compare_to: (Quantity, Quantity) -> CelInt)?;
    ::cel::add_member_overload!(env, fn is_greater_than: (Quantity, Quantity) -> CelBool)?;
    ::cel::add_member_overload!(env, fn is_less_than: (Quantity, Quantity) -> CelBool)
}

fn parse(text: &CelString<'_>) -> Result<Quantity, ExecutionError> {
    quantity::Quantity::parse(text.inner()).map(Quantity).map_err(|error| failure(error.to_string()))
}

fn is_quantity(text: &CelString<'_>) -> CelBool {
    quantity::Quantity::parse(text.inner()).is_ok().into()
}

fn sign(own: &Quantity) -> CelInt {
    i64::from(own.0.signum()).into()
}

fn whole(own: &Quantity) -> Option<i64> {
    let value = own.0.value();
    (quantity::Quantity::new(value, own.0.format()) == own.0).then_some(value)
}

fn is_integer(own: &Quantity) -> CelBool {
    whole(own).is_some().into()
}

fn as_integer(own: &Quantity) -> Result<CelInt, ExecutionError> {
    whole(own).map(CelInt::from).ok_or_else(|| failure("cannot convert value to integer"))
}

fn as_approximate_float(own: &Quantity) -> CelDouble {
    own.0.as_f64().into()
}

fn of_int(number: &CelInt) -> quantity::Quantity {
    quantity::Quantity::new(*number.inner(), quantity::Format::DecimalExponent)
}

fn add(own: &Quantity, other: &Quantity) -> Quantity {
    Quantity(own.0.add(other.0))
}

fn add_int(own: &Quantity, other: &CelInt) -> Quantity {
    Quantity(own.0.add(of_int(other)))
}

fn sub(own: &Quantity, other: &Quantity) -> Quantity {
    Quantity(own.0.sub(other.0))
}

fn sub_int(own: &Quantity, other: &CelInt) -> Quantity {
    Quantity(own.0.sub(of_int(other)))
}

fn compare_to(own: &Quantity, other: &Quantity) -> CelInt {
    (own.0.cmp(&other.0) as i64).into()
}

fn is_greater_than(own: &Quantity, other: &Quantity) -> CelBool {
    (own.0 > other.0).into()
}

fn is_less_than(own: &Quantity, other: &Quantity) -> CelBool {
    (own.0 < other.0).into()
}
