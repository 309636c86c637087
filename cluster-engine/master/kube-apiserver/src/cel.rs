//! CEL, the language of validation rules and admission policies, with Kubernetes' functions.
//!
//! [`compile`] reads an expression, [`Scope`] names the variables, [`Program::evaluate`] answers. The environment is upstream's of 1.36
//! (`k8s.io/apiserver/pkg/cel/environment/base.go`): the standard library with optionals, the string and list extensions, sets, and the
//! Kubernetes libraries for lists, regular expressions, URLs, quantities, IP addresses, named formats, versions and authorization.
//! It is built when the first expression is compiled: clusters without rules never pay for it.
//!
//! *Invariant:* an expression that compiled always ends, and soon: the language has no loops but those over lists, which are counted
//! (`budget.rs`), and the parser bounds nesting.

pub(crate) mod authorizer;
pub(crate) mod budget;
pub(crate) mod check;
mod format;
mod lists;
mod net;
mod opaque;
pub(crate) mod patch;
mod quantity;
mod regex;
mod semver;
mod sets;
mod unordered;
mod url;
pub(crate) mod value;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use ::cel::common::ast::{EntryExpr, Expr, IdedExpr};
use ::cel::common::value::{CowVal, Val};
use ::cel::{Context, DeclarationError, Env, ExecutionError, extensions};
use serde_json::Value as Json;

pub(crate) use ::cel::Value;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The expression is none; the text is that of cel-go's compiler.
    #[error("compilation failed: {0}")]
    Compile(String),
    /// The expression came to no end, in cel-go's words: `no such key: foo`, `division by zero` …
    #[error("{0}")]
    Evaluate(String),
    /// The expression came to a value of another type than is asked for.
    #[error("{0}")]
    Type(String),
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.set_error_on_duplicate_map_keys(false);
    if let Err(error) = extend(&mut env) {
        tracing::error!(%error, "a CEL library is left out");
    }
    Arc::new(env)
});

fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    extensions::strings(env)?;
    extensions::lists(env)?;
    lists::extension(env)?;
    sets::extension(env)?;
    regex::extension(env)?;
    url::extension(env)?;
    quantity::extension(env)?;
    net::extension(env)?;
    format::extension(env)?;
    semver::extension(env)?;
    budget::extension(env)?;
    authorizer::extension(env)
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program {
    program: ::cel::Program,
    /// The expression as it is evaluated, and what it costs without its loops.
    counted: (IdedExpr, u64),
}

/// Compiles an expression that may use `variables`.
///
/// # Errors
/// [`Error::Compile`] for broken syntax and for names that are not declared.
pub(crate) fn compile(source: &str, variables: &[&str]) -> Result<Program, Error> {
    let program = ENVIRONMENT.compile(source).map_err(|error| Error::Compile(syntax_errors(source, &error)))?;
    let mut unknown = Vec::new();
    undeclared(program.expression(), &mut variables.iter().map(|name| (*name).to_owned()).collect(), &mut unknown);
    let texts: Vec<String> = unknown
        .iter()
        .map(|(id, name)| {
            let at = program.source_info().offset_for(*id).map_or(0, |(start, _)| start as usize);
            located(source, at, &format!("undeclared reference to '{name}' (in container '')"))
        })
        .collect();
    if !texts.is_empty() {
        return Err(Error::Compile(texts.join("\n")));
    }
    let counted = budget::counted(program.expression());
    Ok(Program { program, counted })
}

/// cel-go's form of an error at a place: `ERROR: <input>:1:6: …`, the line, a caret.
pub(crate) fn located(source: &str, at: usize, message: &str) -> String {
    let before = source.get(..at).unwrap_or(source);
    let (line, column) = (before.matches('\n').count(), before.chars().rev().take_while(|c| *c != '\n').count());
    let text = source.split('\n').nth(line).unwrap_or("");
    let dots = ".".repeat(column);
    format!("ERROR: <input>:{}:{}: {message}\n | {text}\n | {dots}^", line + 1, column + 1)
}

fn syntax_errors(source: &str, errors: &::cel::ParseErrors) -> String {
    let texts = errors.errors.iter().map(|error| {
        let (line, column) = (error.pos.0.max(1).unsigned_abs(), error.pos.1.max(1).unsigned_abs());
        let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let message = match error.msg.split_once(':') {
            Some(("Syntax error", _)) => error.msg.clone(),
            _ => format!("Syntax error: {}", error.msg),
        };
        located(source, (start + column - 1).min(source.len()), &message)
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Names of types and libraries that stand for themselves.
const KNOWN: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "google",
    "int",
    "list",
    "map",
    "math",
    "null_type",
    "string",
    "timestamp",
    "type",
    "uint",
    "optional_type",
    "optional",
    "sets",
    "strings",
    "lists",
    "base64",
    "net",
    "kubernetes",
    "ip",
    "cidr",
    "format",
    "semver",
    "url",
    "quantity",
];

fn undeclared(expression: &IdedExpr, known: &mut BTreeSet<String>, out: &mut Vec<(u64, String)>) {
    match &expression.expr {
        Expr::Ident(name) => {
            let name = name.strip_prefix('.').unwrap_or(name);
            if !known.contains(name) && !KNOWN.contains(&name) && !name.starts_with('@') && !name.starts_with("__") {
                out.push((expression.id, name.to_owned()));
            }
        }
        Expr::Comprehension(own) => {
            undeclared(&own.iter_range, known, out);
            undeclared(&own.accu_init, known, out);
            let names = [Some(&own.iter_var), own.iter_var2.as_ref(), Some(&own.accu_var)];
            let added: Vec<String> =
                names.into_iter().flatten().filter(|name| known.insert((*name).clone())).cloned().collect();
            for part in [&own.loop_cond, &own.loop_step, &own.result] {
                undeclared(part, known, out);
            }
            added.iter().for_each(|name| {
                known.remove(name);
            });
        }
        other => children(other).for_each(|child| undeclared(child, known, out)),
    }
}

/// What an expression is made of (but for comprehensions, which bind names).
pub(crate) fn children(expression: &Expr) -> Box<dyn Iterator<Item = &IdedExpr> + '_> {
    match expression {
        Expr::Call(call) => Box::new(call.target.as_deref().into_iter().chain(&call.args)),
        Expr::List(list) => Box::new(list.elements.iter()),
        Expr::Select(select) => Box::new(std::iter::once(&*select.operand)),
        Expr::Map(map) => Box::new(map.entries.iter().flat_map(entry)),
        Expr::Struct(own) => Box::new(own.entries.iter().flat_map(entry)),
        _ => Box::new(std::iter::empty()),
    }
}

fn entry(entry: &::cel::common::ast::IdedEntryExpr) -> Vec<&IdedExpr> {
    match &entry.expr {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// The variables of an evaluation.
pub(crate) struct Scope(Context<'static, 'static>);

impl Scope {
    /// No variables.
    pub(crate) fn new() -> Self {
        Self(Context::with_env(Arc::clone(&ENVIRONMENT)))
    }

    /// Adds JSON as it is: whole numbers are `int`, texts are `string`.
    pub(crate) fn json(&mut self, name: &str, value: &Json) {
        self.0.add_variable_as_val(name, value::dynamic(value));
    }

    /// Adds JSON as its structural schema reads it: numbers, times and bytes have their types, names are escaped.
    pub(crate) fn typed(&mut self, name: &str, value: &Json, schema: &Json, resource: bool) {
        self.0.add_variable_as_val(name, value::typed(value, schema, resource));
    }

    /// Adds any value.
    pub(crate) fn val(&mut self, name: &str, value: Box<dyn Val>) {
        self.0.add_variable_as_val(name, value);
    }
}

impl Program {
    /// The expression tree.
    pub(crate) fn expression(&self) -> &IdedExpr {
        self.program.expression()
    }

    /// Where a part of the expression begins, in bytes.
    pub(crate) fn offset(&self, id: u64) -> usize {
        self.program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize)
    }

    /// Whether the expression uses a variable.
    pub(crate) fn uses(&self, variable: &str) -> bool {
        self.program.references().has_variable(variable)
    }

    /// The value.
    ///
    /// # Errors
    /// [`Error::Evaluate`].
    pub(crate) fn evaluate(&self, scope: &Scope) -> Result<Value, Error> {
        self.metered(|expression| Value::resolve(expression, &scope.0))
    }

    /// The value of an expression that may come to a type that JSON has not, for another expression to use.
    ///
    /// # Errors
    /// [`Error::Evaluate`].
    pub(crate) fn evaluate_val(&self, scope: &Scope) -> Result<Box<dyn Val>, Error> {
        self.metered(|expression| Value::resolve_val(expression, &scope.0).map(|value| value.into_owned()))
    }

    fn metered<T>(&self, resolve: impl FnOnce(&IdedExpr) -> Result<T, ExecutionError>) -> Result<T, Error> {
        let (expression, own) = &self.counted;
        match budget::metered(*own, || resolve(expression)) {
            (_, true) => Err(Error::Evaluate(budget::EXCEEDED.to_owned())),
            (answer, false) => answer.map_err(|error| Error::Evaluate(in_go_words(&error))),
        }
    }

    /// The value of a rule.
    ///
    /// # Errors
    /// [`Error::Evaluate`], and [`Error::Type`] when it is no bool.
    pub(crate) fn is_true(&self, scope: &Scope) -> Result<bool, Error> {
        match self.evaluate(scope)? {
            Value::Bool(answer) => Ok(answer),
            other => Err(Error::Type(format!("cel expression evaluated to {} but bool is expected", other.type_of()))),
        }
    }

    /// The value of an expression for people.
    ///
    /// # Errors
    /// [`Error::Evaluate`], and [`Error::Type`] when it is no string.
    pub(crate) fn text(&self, scope: &Scope) -> Result<String, Error> {
        match self.evaluate(scope)? {
            Value::String(text) => Ok(text.as_ref().clone()),
            other => {
                Err(Error::Type(format!("cel expression evaluated to {} but string is expected", other.type_of())))
            }
        }
    }
}

/// A failure as cel-go tells it.
fn in_go_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::NotSupportedAsMethod { .. } => "no such overload".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}' (in container '')"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(Value::Int(index)) => format!("index out of bounds: {index}"),
        other => other.to_string(),
    }
}

/// The arguments of an overload that takes `N`.
fn take<'b, 'v, const N: usize>(args: Vec<CowVal<'b, 'v>>) -> Result<[CowVal<'b, 'v>; N], ExecutionError> {
    args.try_into().map_err(|args: Vec<_>| ExecutionError::invalid_argument_count(N, args.len()))
}

/// A library function's own failure.
fn failure(message: impl Into<String>) -> ExecutionError {
    ExecutionError::FunctionError { function: String::new(), message: message.into() }
}

#[cfg(test)]
mod tests;
