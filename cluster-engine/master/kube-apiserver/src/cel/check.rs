//! What can be told about a rule before it runs: fields that its schema does not have, operands that do not fit, what it may cost.
//!
//! Types are followed as far as the schema tells them; what is not known is `dyn` and fits everything, so a rule is never refused for what
//! only the evaluation can know. Costs are estimated as cel-go does, in steps: every list is as long as its schema allows.

use ::cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use serde_json::Value;

use super::value::escape;
use super::{Program, children, located};

/// Most steps that one rule may be estimated to take.
pub(crate) const RULE_LIMIT: u64 = 10_000_000;
/// Most steps that all rules of a schema may be estimated to take.
pub(crate) const SCHEMA_LIMIT: u64 = 100_000_000;
/// An object is never larger than a request, in bytes.
const REQUEST: u64 = 3 << 20;

/// A static type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type<'a> {
    Dyn,
    Bool,
    Int,
    Double,
    /// At most this many characters.
    String(u64),
    Bytes,
    Timestamp,
    Duration,
    Null,
    /// A list or map of unknown elements.
    List,
    Map,
    /// What a schema says; true for a whole object with apiVersion, kind and metadata.
    Schema(&'a Value, bool),
    /// The part of metadata that rules see.
    Metadata,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Errors of the compiler's kind, located in the source.
    pub(crate) errors: Vec<String>,
    /// The rule comes to something else than a bool.
    pub(crate) not_bool: bool,
    /// It comes to something else than a string.
    pub(crate) not_string: bool,
    /// Estimated steps.
    pub(crate) cost: u64,
}

/// Looks at a rule of a schema. `old` is whether `oldSelf` is optional.
pub(crate) fn rule(program: &Program, source: &str, schema: &Value, resource: bool, optional_old: bool) -> Findings {
    let own = Type::Schema(schema, resource).resolved();
    let old = if optional_old { Type::Dyn } else { own };
    let mut checker = Checker { program, source, variables: vec![("self", own), ("oldSelf", old)], errors: Vec::new() };
    let (found, cost) = checker.expression(program.expression());
    Findings {
        errors: checker.errors,
        not_bool: !matches!(found, Type::Bool | Type::Dyn),
        not_string: !matches!(found, Type::String(_) | Type::Dyn),
        cost,
    }
}

/// Looks at a policy's expression: `object` and `oldObject` are of a schema, its other variables are not known before.
pub(crate) fn objects(program: &Program, source: &str, schema: &Value, variables: &[&'static str]) -> Vec<String> {
    let of = |name: &str| if matches!(name, "object" | "oldObject") { Type::Schema(schema, false) } else { Type::Dyn };
    let variables = variables.iter().map(|name| (*name, of(name))).collect();
    let mut checker = Checker { program, source, variables, errors: Vec::new() };
    checker.expression(program.expression());
    checker.errors
}

/// The most elements a list or map of this schema can have.
pub(crate) fn most(schema: &Value) -> u64 {
    let (limit, element) =
        if schema.get("items").is_some() { ("maxItems", "items") } else { ("maxProperties", "additionalProperties") };
    if let Some(most) = schema.get(limit).and_then(Value::as_u64) {
        return most;
    }
    let own = schema.get(element).map_or(1, least_bytes);
    let key = if element == "items" { 0 } else { 5 };
    (REQUEST - 2) / (own + key + 1)
}

/// The least bytes that a value of this schema takes.
fn least_bytes(schema: &Value) -> u64 {
    match schema.get("type").and_then(Value::as_str).unwrap_or("") {
        "boolean" => 4,
        "string" => 2,
        "object" => {
            let required =
                schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            let properties = schema.get("properties");
            2 + required.filter_map(|key| Some(key.len() as u64 + 4 + least_bytes(properties?.get(key)?))).sum::<u64>()
        }
        "array" => 2,
        _ => 1,
    }
}

impl<'a> Type<'a> {
    /// A schema's scalar types by name; objects, lists and maps stay with their schema.
    fn resolved(self) -> Self {
        let Self::Schema(schema, resource) = self else { return self };
        let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or("");
        let flag = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
        if flag("x-kubernetes-int-or-string") {
            return Self::Dyn;
        }
        match text("type") {
            "boolean" => Self::Bool,
            "integer" => Self::Int,
            "number" => Self::Double,
            "string" => match text("format") {
                "byte" => Self::Bytes,
                "date" | "date-time" => Self::Timestamp,
                "duration" => Self::Duration,
                _ => {
                    let longest = schema
                        .get("enum")
                        .and_then(Value::as_array)
                        .and_then(|all| all.iter().filter_map(Value::as_str).map(|text| text.len() as u64).max());
                    Self::String(longest.or(schema.get("maxLength").and_then(Value::as_u64)).unwrap_or(REQUEST - 2))
                }
            },
            "object" if flag("x-kubernetes-embedded-resource") => Self::Schema(schema, true),
            "object" | "array" => Self::Schema(schema, resource),
            _ => Self::Dyn,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dyn => "dyn",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::String(_) => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Null => "null",
            Self::List => "list(dyn)",
            Self::Map => "map(dyn, dyn)",
            Self::Metadata => "object",
            Self::Schema(schema, _) if schema.get("items").is_some() => "list(dyn)",
            Self::Schema(..) => "object",
        }
    }

    /// Whether values of both types can be compared at all.
    fn meets(self, other: Self) -> bool {
        let loose = |own: Self| {
            matches!(own, Self::Dyn | Self::Null | Self::Metadata | Self::Schema(..) | Self::List | Self::Map)
        };
        loose(self) || loose(other) || std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// Most elements or characters.
    fn size(self) -> u64 {
        match self {
            Self::String(most) => most,
            Self::Schema(schema, _) => most(schema),
            _ => 0,
        }
    }

    fn element(self) -> Self {
        match self {
            Self::Schema(schema, _) => schema
                .get("items")
                .or(schema.get("additionalProperties"))
                .map_or(Self::Dyn, |inner| Self::Schema(inner, false).resolved()),
            _ => Self::Dyn,
        }
    }
}

struct Checker<'a, 'p> {
    program: &'p Program,
    source: &'p str,
    variables: Vec<(&'p str, Type<'a>)>,
    errors: Vec<String>,
}

impl<'a, 'p> Checker<'a, 'p> {
    fn error(&mut self, at: &IdedExpr, message: &str) {
        let text = located(self.source, self.program.offset(at.id), message);
        if !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    /// Type and cost.
    fn expression(&mut self, own: &'p IdedExpr) -> (Type<'a>, u64) {
        match &own.expr {
            Expr::Literal(literal) => (literal_type(literal), 0),
            Expr::Ident(name) => {
                let known = self.variables.iter().rev().find(|(own, _)| own == name);
                (known.map_or(Type::Dyn, |(_, found)| *found), 1)
            }
            Expr::Select(select) => {
                let (operand, cost) = self.expression(&select.operand);
                let found = self.field(own, operand, &select.field);
                (if select.test { Type::Bool } else { found }, cost + 1)
            }
            Expr::Call(call) => self.call(own, call),
            Expr::Comprehension(inner) => self.comprehension(inner),
            Expr::List(_) => (Type::List, 10 + self.parts(&own.expr)),
            Expr::Map(_) | Expr::Struct(_) => (Type::Map, 30 + self.parts(&own.expr)),
            Expr::Unspecified => (Type::Dyn, 0),
        }
    }

    fn parts(&mut self, own: &'p Expr) -> u64 {
        children(own).map(|child| self.expression(child).1).fold(0, u64::saturating_add)
    }

    fn field(&mut self, at: &IdedExpr, operand: Type<'a>, name: &str) -> Type<'a> {
        let (schema, resource) = match operand {
            Type::Schema(schema, resource) => (schema, resource),
            Type::Metadata if matches!(name, "name" | "generateName") => return Type::String(253),
            Type::Metadata => {
                self.error(at, &format!("undefined field '{name}'"));
                return Type::Dyn;
            }
            Type::Dyn | Type::Map | Type::Null => return Type::Dyn,
            other => {
                self.error(at, &format!("type '{}' does not support field selection", other.name()));
                return Type::Dyn;
            }
        };
        if schema.get("items").is_some() {
            self.error(at, "type 'list(dyn)' does not support field selection");
            return Type::Dyn;
        }
        match name {
            "apiVersion" | "kind" if resource => return Type::String(253),
            "metadata" if resource => return Type::Metadata,
            _ => {}
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let found = properties.into_iter().flatten().find(|(key, _)| escape(key).as_deref() == Some(name));
        if let Some((_, inner)) = found {
            return Type::Schema(inner, false).resolved();
        }
        if let (None, Some(others)) =
            (properties, schema.get("additionalProperties").filter(|others| others.is_object()))
        {
            return Type::Schema(others, false).resolved();
        }
        self.error(at, &format!("undefined field '{name}'"));
        Type::Dyn
    }

    fn call(&mut self, own: &'p IdedExpr, call: &'p CallExpr) -> (Type<'a>, u64) {
        let mut cost = 1u64;
        let mut types = Vec::new();
        for part in call.target.as_deref().into_iter().chain(&call.args) {
            let (found, more) = self.expression(part);
            types.push(found);
            cost = cost.saturating_add(more);
        }
        let size = |index: usize| types.get(index).map_or(0, |own| own.size());
        // Reading a text costs a tenth of a step for a character.
        let read = |most: u64| most / 10;
        let mismatch = matches!(types[..], [left, right] if !left.meets(right));
        let name = call.func_name.as_str();
        let found = match name {
            operators::EQUALS | operators::NOT_EQUALS => {
                cost = cost.saturating_add(read(size(0).min(size(1))));
                Type::Bool
            }
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => {
                cost = cost.saturating_add(read(size(0).min(size(1))));
                Type::Bool
            }
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE => {
                Type::Bool
            }
            operators::IN => {
                cost = cost.saturating_add(size(1));
                Type::Bool
            }
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => {
                cost = cost.saturating_add(read(size(0).saturating_add(size(1))));
                types.first().copied().filter(|found| matches!(found, Type::Int | Type::Double)).unwrap_or(Type::Dyn)
            }
            operators::INDEX => types.first().map_or(Type::Dyn, |list| list.element()),
            operators::OPT_SELECT => {
                if let [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. }] = &call.args[..] {
                    self.field(own, types[0], field.inner());
                    let _ = operand;
                }
                Type::Dyn
            }
            operators::CONDITIONAL => match types[..] {
                [_, left, right] if std::mem::discriminant(&left) == std::mem::discriminant(&right) => left,
                _ => Type::Dyn,
            },
            "size" | "indexOf" | "lastIndexOf" | "int" => Type::Int,
            "startsWith" | "endsWith" => {
                cost = cost.saturating_add(read(size(1)));
                Type::Bool
            }
            "contains" => {
                cost = cost.saturating_add(read(size(0)).saturating_mul(read(size(1)).max(1)));
                Type::Bool
            }
            "matches" => {
                cost = cost.saturating_add(read(size(0)).saturating_mul((size(1) / 4).max(1)));
                Type::Bool
            }
            "isSorted" | "isIP" | "isCIDR" | "isURL" | "isQuantity" | "hasValue" | "exists_one" => {
                cost = cost.saturating_add(size(0));
                Type::Bool
            }
            "string" | "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "join" | "format" => {
                cost = cost.saturating_add(read(size(0)));
                Type::String(size(0))
            }
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            _ => {
                cost = cost.saturating_add(read(size(0)));
                Type::Dyn
            }
        };
        let compared = matches!(
            name,
            operators::EQUALS
                | operators::NOT_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS
        );
        if compared && mismatch {
            let shown: Vec<&str> = types.iter().map(|own| own.name()).collect();
            self.error(own, &format!("found no matching overload for '{name}' applied to '({})'", shown.join(", ")));
        }
        (found, cost)
    }

    fn comprehension(&mut self, own: &'p ComprehensionExpr) -> (Type<'a>, u64) {
        let (range, range_cost) = self.expression(&own.iter_range);
        let (start, start_cost) = self.expression(&own.accu_init);
        let is_list = !matches!(range, Type::Schema(schema, _) if schema.get("items").is_none());
        let before = self.variables.len();
        let element = if is_list || own.iter_var2.is_some() { range.element() } else { Type::String(REQUEST) };
        match &own.iter_var2 {
            Some(second) => {
                self.variables.push((&own.iter_var, if is_list { Type::Int } else { Type::String(REQUEST) }));
                self.variables.push((second, element));
            }
            None => self.variables.push((&own.iter_var, element)),
        }
        self.variables.push((&own.accu_var, start));
        let (_, condition) = self.expression(&own.loop_cond);
        let (_, step) = self.expression(&own.loop_step);
        let (result, result_cost) = self.expression(&own.result);
        self.variables.truncate(before);
        let each = condition.saturating_add(step);
        let cost = range
            .size()
            .saturating_mul(each)
            .saturating_add(range_cost)
            .saturating_add(start_cost)
            .saturating_add(result_cost);
        (result, cost)
    }
}

fn literal_type<'a>(literal: &LiteralValue) -> Type<'a> {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::UInt(_) => Type::Dyn,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(text) => Type::String(text.inner().len() as u64),
    }
}

/// How upstream tells that an estimate is over its limit.
pub(crate) fn over_budget(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;
    use serde_json::json;

    fn look(source: &str) -> Findings {
        let schema = json!({"type": "object", "properties": {"replicas": {"type": "integer"}, "a-b": {"type": "string", "maxLength": 10},
            "free": {"x-kubernetes-preserve-unknown-fields": true}, "tags": {"type": "array", "items": {"type": "string"}},
            "few": {"type": "array", "maxItems": 5, "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}}}});
        rule(&compile(source, &["self", "oldSelf"]).expect(source), source, &schema, true, false)
    }

    #[test]
    fn good_rules_pass() {
        for source in [
            "self.replicas > 1 && self.a__dash__b == 'x' && self.free.any == 1 && self.metadata.name == 'x'",
            "self.few.all(x, x.n > 0) && self.map.all(k, self.map[k] > 1) && has(self.replicas)",
            "self.few.map(x, x.n).sum() == 3 && self.tags.exists(t, t.startsWith('a'))",
            "!has(oldSelf.replicas) || self.replicas >= oldSelf.replicas",
        ] {
            let found = look(source);
            assert_eq!((&found.errors[..], found.not_bool), (&[][..], false), "{source}");
            assert!(found.cost < RULE_LIMIT, "{source} costs {}", found.cost);
        }
    }

    #[test]
    fn bad_rules_are_found() {
        assert_eq!(
            look("self.missing == 1").errors,
            ["ERROR: <input>:1:5: undefined field 'missing'\n | self.missing == 1\n | ....^"]
        );
        assert!(look("self.few.all(x, x.gone == 1)").errors[0].contains("undefined field 'gone'"));
        assert!(
            look("self.replicas == 'a'").errors[0]
                .contains("found no matching overload for '_==_' applied to '(int, string)'")
        );
        assert!(look("self.metadata.labels.size() == 0").errors[0].contains("undefined field 'labels'"));
        assert!(look("self.replicas").not_bool);
        assert!(look("self.tags.all(x, self.tags.all(y, x != y || x == 'a'))").cost > RULE_LIMIT);
        assert!(
            over_budget("estimated rule cost", RULE_LIMIT * 1000, RULE_LIMIT)
                .contains("exceeds budget by factor of more than 100x")
        );
    }
}
