//! CEL over lists of objects: one compiled expression, and the lists that it sees.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use cel::{Context, Env, ExecutionError, Value, extensions};
use drydock_protocol::CheckState;
use serde_json::Value as Json;

/// The standard library with what authors of expressions expect of texts and lists.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    if let Err(error) = extensions::strings(&mut env).and_then(|()| extensions::lists(&mut env)) {
        tracing::error!(%error, "a CEL library is left out");
    }
    Arc::new(env)
});

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it holds.
    pub(crate) state: CheckState,
    /// What was seen, if the lesson says it or it could not be found out.
    pub(crate) detail: Option<String>,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program(cel::Program);

/// The lists that expressions see.
pub(crate) struct Scope(Context<'static, 'static>);

impl Scope {
    /// No lists.
    pub(crate) fn new() -> Scope {
        Scope(Context::with_env(Arc::clone(&ENVIRONMENT)))
    }

    /// Adds a list of objects.
    pub(crate) fn add<'a>(&mut self, name: &str, objects: impl Iterator<Item = &'a Json>) {
        let objects: Vec<_> = objects.map(value).collect();
        self.0.add_variable_as_val(name, Box::new(CelList::from(objects)));
    }
}

impl Program {
    /// Compiles an expression that may use `names`.
    ///
    /// # Errors
    /// A sentence on what CEL does not understand.
    pub(crate) fn compile(text: &str, names: &[&str]) -> Result<Program, String> {
        let program = ENVIRONMENT
            .compile(text)
            .map_err(|error| format!("{text:?} is no CEL expression: {}", error.to_string().replace('\n', " ")))?;
        let mut known: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        if let Some(name) = unknown(program.expression(), &mut known) {
            let names = names.join(", ");
            return Err(format!("{name:?} is not known in {text:?}; there is: {names} (more lists by `with`)"));
        }
        Ok(Program(program))
    }

    /// Whether the expression is true. A field that an object does not have yet is no mistake.
    ///
    /// # Errors
    /// A sentence on what cannot be evaluated.
    pub(crate) fn holds(&self, scope: &Scope) -> Result<bool, String> {
        match self.0.execute(&scope.0) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(_) => Err("the expression is neither true nor false".to_owned()),
            Err(ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text that the expression makes, if it does.
    pub(crate) fn text(&self, scope: &Scope) -> Option<String> {
        match self.0.execute(&scope.0) {
            Ok(Value::String(text)) => Some(text.to_string()),
            _ => None,
        }
    }
}

/// Whole numbers are `int`, as in Kubernetes' own expressions.
fn value(json: &Json) -> Box<dyn Val> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or_default())),
        },
        Json::String(text) => Box::new(CelString::from(text.clone())),
        Json::Array(items) => Box::new(CelList::from(items.iter().map(value).collect::<Vec<_>>())),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (CelMapKey::from(key.clone()), value(field)));
            Box::new(CelMap::from(fields.collect::<std::collections::HashMap<_, _>>()))
        }
    }
}

/// Types and libraries that stand for themselves.
const KNOWN: [&str; 12] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "list", "map", "string", "timestamp", "type", "uint"];

/// The first name that is neither given nor bound by a loop.
fn unknown(expression: &IdedExpr, known: &mut BTreeSet<String>) -> Option<String> {
    let first =
        |parts: Vec<&IdedExpr>, known: &mut BTreeSet<String>| parts.into_iter().find_map(|part| unknown(part, known));
    let entry = |entry: &EntryExpr| match entry {
        EntryExpr::StructField(field) => field.value.clone(),
        EntryExpr::MapEntry(entry) => entry.value.clone(),
    };
    match &expression.expr {
        Expr::Ident(name) => {
            let is_known = known.contains(name) || KNOWN.contains(&name.as_str()) || name.starts_with(['@', '_']);
            (!is_known).then(|| name.clone())
        }
        Expr::Comprehension(own) => first(vec![&own.iter_range, &own.accu_init], known).or_else(|| {
            let names = [Some(&own.iter_var), own.iter_var2.as_ref(), Some(&own.accu_var)];
            let bound: Vec<_> = names.into_iter().flatten().filter(|name| known.insert((*name).clone())).collect();
            let found = first(vec![&own.loop_cond, &own.loop_step, &own.result], known);
            for name in bound {
                known.remove(name);
            }
            found
        }),
        Expr::Call(call) => first(call.target.as_deref().into_iter().chain(&call.args).collect(), known),
        Expr::List(list) => first(list.elements.iter().collect(), known),
        Expr::Select(select) => unknown(&select.operand, known),
        Expr::Map(map) => map.entries.iter().find_map(|it| unknown(&entry(&it.expr), known)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(expression: &str, objects: &[Json], expected: Result<bool, &str>) {
        let mut scope = Scope::new();
        scope.add("objects", objects.iter());
        let found = Program::compile(expression, &["objects"]).expect("compiles").holds(&scope);
        match (found, expected) {
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{expression}"),
        }
    }

    #[test]
    fn verdicts() {
        let running = json!({"metadata": {"name": "hello"}, "spec": {"n": 3}, "status": {"phase": "Running"}});
        let new = json!({"metadata": {"name": "hello"}});
        let expression = "objects.exists(p, p.metadata.name == 'hello' && p.status.phase == 'Running')";
        check(expression, &[], Ok(false));
        check(expression, std::slice::from_ref(&new), Ok(false));
        check(expression, std::slice::from_ref(&running), Ok(true));
        check(expression, &[new.clone(), running.clone()], Ok(true));
        check("objects[0].spec.n + 1 == 4", std::slice::from_ref(&running), Ok(true));
        check("objects[1].spec.n == 3", std::slice::from_ref(&running), Ok(false));
        check("objects.map(o, o.metadata.name).join(',') == 'hello,hello'", &[new, running], Ok(true));
        check("size(objects)", &[], Err("neither true nor false"));
        check("objects.size() == 'x'.size() || 1 / 0 == 1", &[], Err("zero"));
    }

    #[test]
    fn texts() {
        let mut scope = Scope::new();
        scope.add("objects", [json!({"a": "b"})].iter());
        let text = |source: &str| Program::compile(source, &["objects"]).expect("compiles").text(&scope);
        assert_eq!(text("string(size(objects)) + ' Pods'").as_deref(), Some("1 Pods"));
        assert_eq!(text("objects[0].a").as_deref(), Some("b"));
        assert_eq!(text("objects[0].missing"), None);
    }

    #[test]
    fn names_that_nobody_gives_are_told() {
        let message = |source: &str| Program::compile(source, &["objects"]).expect_err("refused");
        assert!(message("objects.exists(p, q.metadata.name == 'x')").contains("\"q\" is not known"));
        assert!(message("{'a': pods}.size() == 1").contains("\"pods\" is not known"));
        assert!(
            Program::compile("type(objects) == list && objects.all(p, p.x.exists(y, y == p))", &["objects"]).is_ok()
        );
    }
}
