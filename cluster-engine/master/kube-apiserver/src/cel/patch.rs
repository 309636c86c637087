//! Expressions of mutating policies, which write down objects: `Object{spec: Object.spec{replicas: 3}}`, `[JSONPatch{op: "add", …}]`.
//!
//! Their types are those of the object at hand and known only then, so they are read as maps; what they may hold is checked when the
//! patch is applied.

use ::cel::Value;
use ::cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, MapEntryExpr, MapExpr};
use serde_json::Value as Json;

use super::{ENVIRONMENT, Error, Scope, in_go_words, located, syntax_errors, undeclared};

/// A compiled expression whose value is a patch.
#[derive(Debug)]
pub(crate) struct Patch(IdedExpr);

/// Compiles an expression that may use `variables`.
///
/// # Errors
/// [`Error::Compile`] for broken syntax, names that are not declared and types that no patch has.
pub(crate) fn compile(source: &str, variables: &[&str]) -> Result<Patch, Error> {
    let mut expression =
        ENVIRONMENT.parser().parse(source).map_err(|error| Error::Compile(syntax_errors(source, &error)))?;
    let mut wrong = Vec::new();
    to_maps(&mut expression, &mut wrong);
    let mut names = Vec::new();
    undeclared(&expression, &mut variables.iter().map(|name| (*name).to_owned()).collect(), &mut names);
    wrong.extend(names.into_iter().map(|(_, name)| name));
    match wrong.first() {
        None => Ok(Patch(expression)),
        Some(name) => {
            let at = source.find(name.as_str()).unwrap_or(0);
            Err(Error::Compile(located(source, at, &format!("undeclared reference to '{name}' (in container '')"))))
        }
    }
}

impl Patch {
    /// The patch as JSON.
    ///
    /// # Errors
    /// [`Error::Evaluate`], and [`Error::Type`] for a value that JSON has not.
    pub(crate) fn evaluate(&self, scope: &Scope) -> Result<Json, Error> {
        let value = Value::resolve(&self.0, &scope.0).map_err(|error| Error::Evaluate(in_go_words(&error)))?;
        value.json().map_err(|error| Error::Type(error.to_string()))
    }
}

/// Whether a struct literal of that name stands for a part of a patch.
fn is_known(name: &str) -> bool {
    name == "JSONPatch" || name == "Object" || name.starts_with("Object.")
}

fn to_maps(expression: &mut IdedExpr, wrong: &mut Vec<String>) {
    match &mut expression.expr {
        Expr::Struct(own) => {
            if !is_known(&own.type_name) {
                wrong.push(own.type_name.clone());
            }
            let entries = std::mem::take(&mut own.entries).into_iter().map(map_entry).collect();
            expression.expr = Expr::Map(MapExpr { entries });
            to_maps(expression, wrong);
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        to_maps(&mut entry.key, wrong);
                        to_maps(&mut entry.value, wrong);
                    }
                    EntryExpr::StructField(field) => to_maps(&mut field.value, wrong),
                }
            }
        }
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| to_maps(target, wrong));
            call.args.iter_mut().for_each(|argument| to_maps(argument, wrong));
        }
        Expr::List(list) => list.elements.iter_mut().for_each(|element| to_maps(element, wrong)),
        Expr::Select(select) => to_maps(&mut select.operand, wrong),
        Expr::Comprehension(own) => {
            for part in
                [&mut own.iter_range, &mut own.accu_init, &mut own.loop_cond, &mut own.loop_step, &mut own.result]
            {
                to_maps(part, wrong);
            }
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn map_entry(entry: IdedEntryExpr) -> IdedEntryExpr {
    let expr = match entry.expr {
        EntryExpr::StructField(field) => {
            let key = IdedExpr { id: entry.id, expr: Expr::Literal(LiteralValue::String(field.field.into())) };
            EntryExpr::MapEntry(MapEntryExpr { key, value: field.value, optional: field.optional })
        }
        other => other,
    };
    IdedEntryExpr { id: entry.id, expr }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_written_down() {
        let mut scope = Scope::new();
        scope.json("object", &json!({"spec": {"replicas": 2}}));
        let patch =
            compile("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}", &["object"]).expect("patch");
        assert_eq!(patch.evaluate(&scope), Ok(json!({"spec": {"replicas": 3}})));
        let patch = compile("[JSONPatch{op: 'add', path: '/a', value: {'x': 'y'}}]", &[]).expect("patch");
        assert_eq!(patch.evaluate(&scope), Ok(json!([{"op": "add", "path": "/a", "value": {"x": "y"}}])));
        assert!(compile("Other{a: 1}", &[]).is_err());
        assert!(compile("Object{a: nowhere}", &[]).is_err());
    }
}
