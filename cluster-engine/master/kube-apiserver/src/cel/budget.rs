//! What an evaluation may cost: loops are counted while they run.
//!
//! Before an expression is evaluated, the range of each of its loops is wrapped in a call of [`SPEND`], which adds what the loop will cost —
//! its length times the size of its body — to the evaluation's account and fails when the account is overdrawn. Units are about upstream's:
//! one for each variable, field and call (`k8s.io/apiserver/pkg/apis/cel/config.go` for the limits). A loop that ends early is counted in
//! full; work inside library functions is bounded by the size of the object instead.

use std::cell::Cell;

use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use ::cel::common::types::{CelInt, DYN_TYPE, INT_TYPE};
use ::cel::common::value::CowVal;
use ::cel::{DeclarationError, Env, ExecutionError};

use super::{children, failure, take};

/// Most that one evaluation may cost.
const PER_CALL: u64 = 1_000_000;
/// Most that all rules of an object, or all expressions of a policy, may cost together.
pub(crate) const TOTAL: u64 = 10_000_000;
/// What an evaluation that costs too much fails with.
pub(crate) const EXCEEDED: &str = "operation cancelled: actual cost limit exceeded";
/// No name that an expression can have.
const SPEND: &str = "@spend";

thread_local! {
    static SPENT: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(SPEND, "spend_on_loop", vec![DYN_TYPE, INT_TYPE], spend)
}

fn spend<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [range, each] = take(args)?;
    let each = each.downcast_ref::<CelInt>().map_or(1, |each| each.inner().unsigned_abs());
    let length = range.as_sizer().map_or(0, |sizer| sizer.size().inner().unsigned_abs());
    let spent = SPENT.get().saturating_add(length.saturating_mul(each));
    SPENT.set(spent);
    if spent > PER_CALL { Err(failure(EXCEEDED)) } else { Ok(range) }
}

/// Runs one evaluation with an account of its own; tells whether it cost too much.
pub(super) fn metered<T>(own: u64, evaluate: impl FnOnce() -> T) -> (T, bool) {
    let before = SPENT.replace(own);
    let answer = evaluate();
    let spent = SPENT.get();
    SPENT.set(before.saturating_add(spent));
    (answer, spent > PER_CALL)
}

/// What evaluations on this thread cost since this was last asked.
pub(crate) fn taken() -> u64 {
    SPENT.replace(0)
}

/// The expression with its loops counted, and what it costs without them.
pub(super) fn counted(expression: &IdedExpr) -> (IdedExpr, u64) {
    let mut counted = expression.clone();
    wrap(&mut counted);
    (counted, size(expression))
}

/// Variables, fields and calls outside of loops' bodies.
fn size(expression: &IdedExpr) -> u64 {
    match &expression.expr {
        Expr::Comprehension(own) => size(&own.iter_range) + size(&own.accu_init) + size(&own.result),
        Expr::Ident(_) => 1,
        Expr::Call(_) | Expr::Select(_) => 1 + children(&expression.expr).map(size).sum::<u64>(),
        other => children(other).map(size).sum(),
    }
}

fn wrap(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Comprehension(own) => {
            let ComprehensionExpr { iter_range, accu_init, loop_cond, loop_step, result, .. } = own.as_mut();
            let each = size(loop_cond) + size(loop_step);
            for part in [&mut *iter_range, accu_init, loop_cond, loop_step, result] {
                wrap(part);
            }
            let each = LiteralValue::Int(CelInt::from(i64::try_from(each).unwrap_or(i64::MAX)));
            let each = IdedExpr { id: iter_range.id, expr: Expr::Literal(each) };
            let range = std::mem::take(iter_range);
            let id = range.id;
            let call = CallExpr { func_name: SPEND.to_owned(), target: None, args: vec![range, each] };
            *iter_range = IdedExpr { id, expr: Expr::Call(call) };
        }
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(wrap),
        Expr::List(list) => list.elements.iter_mut().for_each(wrap),
        Expr::Select(select) => wrap(&mut select.operand),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| wrap_entry(&mut entry.expr)),
        Expr::Struct(own) => own.entries.iter_mut().for_each(|entry| wrap_entry(&mut entry.expr)),
        _ => {}
    }
}

fn wrap_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => wrap(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            wrap(&mut entry.key);
            wrap(&mut entry.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Error, Scope, compile};
    use super::*;

    #[track_caller]
    fn check(expression: &str, length: usize, expected: Result<bool, &str>) {
        let mut scope = Scope::new();
        scope.json("self", &json!((0..length).collect::<Vec<_>>()));
        let answer = compile(expression, &["self"]).expect("it compiles").is_true(&scope);
        assert_eq!(answer, expected.map_err(|text| Error::Evaluate(text.to_owned())), "{expression}");
    }

    #[test]
    fn loops_are_bounded() {
        check("self.all(x, x >= 0)", 1000, Ok(true));
        check("self.all(x, self.exists(y, y == x))", 300, Ok(true));
        check("self.all(x, self.all(y, self.all(z, x + y + z >= 0)))", 200, Err(EXCEEDED));
        // An overdrawn account is not made good by what stands beside it.
        check("true || self.all(x, self.all(y, self.all(z, true)))", 200, Ok(true));
        check("self.all(x, self.all(y, self.all(z, true))) || true", 300, Err(EXCEEDED));
        check("self.map(x, self.map(y, self.map(z, z))).size() == 300", 300, Err(EXCEEDED));
        check("self.filter(x, x > 10).map(x, x * 2).size() == 989", 1000, Ok(true));
    }

    #[test]
    fn costs_add_up() {
        taken();
        check("self.all(x, x >= 0)", 1000, Ok(true));
        let once = taken();
        assert!((2000..10_000).contains(&once), "{once}");
        check("self.all(x, x >= 0)", 1000, Ok(true));
        check("self.all(x, x >= 0)", 1000, Ok(true));
        assert_eq!(taken(), 2 * once);
    }
}
