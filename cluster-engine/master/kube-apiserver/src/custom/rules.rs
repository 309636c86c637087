//! `x-kubernetes-validations`: CEL rules of a structural schema, compiled once and evaluated with every write.
//!
//! Only the places of a schema that have rules are kept. A rule that uses `oldSelf` is a transition rule: it is evaluated where the old value is
//! known, or everywhere when it says `optionalOldSelf`.

use std::collections::BTreeMap;

use drydock_api::field::{ErrorKind, FieldError, Path};
use serde_json::Value;

use crate::cel::{self, Program, Scope, budget};

/// The rules at and below one place of a schema.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    own: Vec<Rule>,
    properties: BTreeMap<String, Rules>,
    others: Option<Box<Rules>>,
    items: Option<Box<Rules>>,
}

#[derive(Debug)]
struct Rule {
    source: String,
    program: Result<Program, cel::Error>,
    message: String,
    message_program: Option<Program>,
    kind: ErrorKind,
    /// `.spec.x`, appended to the path.
    field_path: String,
    transition: bool,
    optional_old: bool,
}

/// Variables that rules see.
pub(crate) const VARIABLES: &[&str] = &["self", "oldSelf"];

/// What is found, and what may still be spent on finding more; none when nothing more is looked at.
struct Findings<'a> {
    errors: &'a mut Vec<FieldError>,
    left: Option<u64>,
}

impl Findings<'_> {
    /// Whether there was enough left.
    fn spend(&mut self, cost: u64) -> bool {
        match self.left.map(|left| left.checked_sub(cost)) {
            Some(Some(left)) => {
                self.left = Some(left);
                true
            }
            Some(None) => false,
            None => true,
        }
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or("").trim().to_owned();
        let source = text("rule");
        let program = cel::compile(&source, VARIABLES);
        let transition = program.as_ref().is_ok_and(|program| program.uses("oldSelf"));
        let kind = match rule.get("reason").and_then(Value::as_str) {
            Some("FieldValueForbidden") => ErrorKind::Forbidden,
            Some("FieldValueRequired") => ErrorKind::Required,
            Some("FieldValueDuplicate") => ErrorKind::Duplicate,
            _ => ErrorKind::Invalid,
        };
        let expression = text("messageExpression");
        Self {
            source,
            program,
            message: text("message"),
            message_program: (!expression.is_empty()).then(|| cel::compile(&expression, VARIABLES).ok()).flatten(),
            kind,
            field_path: text("fieldPath"),
            transition,
            optional_old: rule.get("optionalOldSelf").and_then(Value::as_bool).unwrap_or(false),
        }
    }

    /// What the rule is called when it cannot be evaluated.
    fn name(&self) -> &str {
        if self.message.is_empty() { &self.source } else { &self.message }
    }

    fn text(&self, scope: &Scope) -> String {
        let made = self.message_program.as_ref().and_then(|program| program.text(scope).ok());
        match made.map(|text| text.trim().to_owned()) {
            Some(text) if !text.is_empty() && !text.contains('\n') && text.len() <= 5120 => text,
            _ if !self.message.is_empty() => self.message.clone(),
            _ => format!("failed rule: {}", self.source),
        }
    }
}

impl Rules {
    /// The rules of a schema; none when there are none.
    pub(crate) fn compile(schema: &Value) -> Option<Self> {
        let list = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        let own: Vec<Rule> = list.into_iter().flatten().map(Rule::read).collect();
        let properties: BTreeMap<String, Self> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(key, schema)| Some((key.clone(), Self::compile(schema)?)))
            .collect();
        let below = |key: &str| schema.get(key).and_then(Self::compile).map(Box::new);
        let rules = Self { own, properties, others: below("additionalProperties"), items: below("items") };
        let empty =
            rules.own.is_empty() && rules.properties.is_empty() && rules.others.is_none() && rules.items.is_none();
        (!empty).then_some(rules)
    }

    /// Evaluates the rules on an object.
    pub(crate) fn check(&self, object: &Value, old: Option<&Value>, schema: &Value) -> Vec<FieldError> {
        self.check_within(budget::TOTAL, object, old, schema)
    }

    fn check_within(&self, most: u64, object: &Value, old: Option<&Value>, schema: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        budget::taken();
        let mut findings = Findings { errors: &mut errors, left: Some(most) };
        self.walk(object, old, schema, &Path::root(), true, &mut findings);
        errors
    }

    fn walk(
        &self,
        value: &Value,
        old: Option<&Value>,
        schema: &Value,
        path: &Path,
        resource: bool,
        errors: &mut Findings<'_>,
    ) {
        if value.is_null() || errors.left.is_none() {
            return;
        }
        self.evaluate(value, old, schema, path, resource, errors);
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let old = old.and_then(|old| old.get(key));
                    let named = schema.get("properties").and_then(|properties| properties.get(key));
                    match (self.properties.get(key), named, &self.others, schema.get("additionalProperties")) {
                        (Some(rules), Some(schema), ..) => {
                            rules.walk(value, old, schema, &path.child(key), false, errors);
                        }
                        (_, None, Some(rules), Some(schema)) => {
                            rules.walk(value, old, schema, &path.key(key), false, errors);
                        }
                        _ => {}
                    }
                }
            }
            Value::Array(items) => {
                let (Some(rules), Some(inner)) = (&self.items, schema.get("items")) else { return };
                for (index, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| counterpart(item, old, schema));
                    rules.walk(item, old, inner, &path.index(index), false, errors);
                }
            }
            _ => {}
        }
    }

    fn evaluate(
        &self,
        value: &Value,
        old: Option<&Value>,
        schema: &Value,
        path: &Path,
        resource: bool,
        findings: &mut Findings<'_>,
    ) {
        let wanted = |rule: &&Rule| {
            // What did not change is not held against anybody.
            let changed = old.is_none_or(|old| old != value);
            if rule.transition { rule.optional_old || old.is_some() } else { changed }
        };
        let mut scopes: [Option<Scope>; 2] = [None, None];
        for rule in self.own.iter().filter(wanted) {
            let scope = scopes[usize::from(rule.optional_old)].get_or_insert_with(|| {
                let mut scope = Scope::new();
                scope.typed("self", value, schema, resource);
                match (old, rule.optional_old) {
                    (old, true) => {
                        let old = old.map(|old| cel::value::typed(old, schema, resource));
                        scope.val("oldSelf", cel::value::optional(old));
                    }
                    (Some(old), false) => scope.typed("oldSelf", old, schema, resource),
                    (None, false) => {}
                }
                scope
            });
            let shown = Value::from(schema.get("type").and_then(Value::as_str).unwrap_or(""));
            let answer = rule.program.as_ref().map_err(Clone::clone).and_then(|program| program.is_true(scope));
            let overdrawn = !findings.spend(budget::taken());
            match answer {
                Ok(true) => {}
                Ok(false) => {
                    let whole = matches!(shown.as_str(), Some("object" | "array"));
                    let path = if rule.field_path.is_empty() { path.clone() } else { relative(path, &rule.field_path) };
                    findings.errors.push(FieldError {
                        kind: rule.kind,
                        field: path.to_string(),
                        bad_value: (!whole).then(|| value.clone()),
                        detail: rule.text(scope),
                    });
                }
                Err(cel::Error::Compile(text)) => {
                    findings.errors.push(FieldError::invalid(
                        path,
                        shown.clone(),
                        format!("rule compile error: {text}"),
                    ));
                }
                Err(error) => {
                    let text = error.to_string();
                    let text = if text == budget::EXCEEDED {
                        findings.left = None;
                        format!(
                            "'{text}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                            rule.name()
                        )
                    } else if text.starts_with("no such overload") {
                        format!(
                            "'{text}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                            rule.name()
                        )
                    } else {
                        format!("{text} evaluating rule: {}", rule.name())
                    };
                    findings.errors.push(FieldError::invalid(path, shown.clone(), text));
                }
            }
            if overdrawn && findings.left.take().is_some() {
                let text =
                    "validation failed due to running out of cost budget, no further validation rules will be run";
                findings.errors.push(FieldError::invalid(path, shown, text));
            }
            if findings.left.is_none() {
                return;
            }
        }
    }
}

/// `.spec.x` and `.spec['a.b']` below a path.
fn relative(path: &Path, text: &str) -> Path {
    let mut out = path.clone();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((key, after)) = rest.strip_prefix("['").and_then(|inner| inner.split_once("']")) {
            out = out.key(key);
            rest = after;
            continue;
        }
        let inner = rest.strip_prefix('.').unwrap_or(rest);
        let end = inner.find(['.', '[']).unwrap_or(inner.len());
        if end == 0 {
            break;
        }
        out = out.child(&inner[..end]);
        rest = &inner[end..];
    }
    out
}

/// The item of the old list that is the same one: by the keys of a map list; sets and atomic lists tell nothing.
pub(super) fn counterpart<'a>(item: &Value, old: &'a Value, schema: &Value) -> Option<&'a Value> {
    if schema.get("x-kubernetes-list-type").and_then(Value::as_str) != Some("map") {
        return None;
    }
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array)?;
    let mut names = keys.iter().filter_map(Value::as_str).peekable();
    names.peek()?;
    let names: Vec<&str> = names.collect();
    old.as_array()?.iter().find(|other| names.iter().all(|key| other.get(key) == item.get(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name.size() < 10", "message": "name is long"}],
            "properties": {"spec": {"type": "object",
                "x-kubernetes-validations": [
                    {"rule": "self.min <= self.max", "messageExpression": "'min %d is over max %d'.format([self.min, self.max])", "fieldPath": ".min"},
                    {"rule": "!has(oldSelf.fixed) || has(self.fixed)"}],
                "properties": {"min": {"type": "integer"}, "max": {"type": "integer"},
                    "fixed": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is fixed", "reason": "FieldValueForbidden"}]},
                    "once": {"type": "string", "x-kubernetes-validations": [{"rule": "oldSelf.hasValue() || self == 'new'", "optionalOldSelf": true}]},
                    "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object",
                        "properties": {"n": {"type": "string"}, "v": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}}}}}}}})
    }

    #[track_caller]
    fn check(spec: Value, old: Option<Value>, expected: &[&str]) {
        let object = |spec: Value| json!({"metadata": {"name": "x"}, "spec": spec});
        let rules = Rules::compile(&schema()).expect("rules");
        let old = old.map(object);
        let errors: Vec<String> =
            rules.check(&object(spec), old.as_ref(), &schema()).iter().map(ToString::to_string).collect();
        assert_eq!(errors, expected);
    }

    #[test]
    fn rules_tell_what_is_wrong() {
        check(json!({"min": 1, "max": 2}), None, &[]);
        check(json!({"min": 3, "max": 2}), None, &["spec.min: Invalid value: min 3 is over max 2"]);
        check(
            json!({"min": 3}),
            None,
            &["spec: Invalid value: \"object\": no such key: max evaluating rule: self.min <= self.max"],
        );
        check(
            json!({"min": 1, "max": 2, "once": "old"}),
            None,
            &["spec.once: Invalid value: \"old\": failed rule: oldSelf.hasValue() || self == 'new'"],
        );
    }

    #[test]
    fn transitions_need_an_old_value() {
        let old = || Some(json!({"min": 1, "max": 2, "fixed": "a", "list": [{"n": "a", "v": 3}]}));
        check(json!({"min": 1, "max": 2, "fixed": "b"}), old(), &["spec.fixed: Forbidden: is fixed"]);
        check(
            json!({"min": 1, "max": 2}),
            old(),
            &["spec: Invalid value: failed rule: !has(oldSelf.fixed) || has(self.fixed)"],
        );
        check(
            json!({"min": 1, "max": 2, "fixed": "a", "list": [{"n": "b", "v": 1}, {"n": "a", "v": 2}]}),
            old(),
            &["spec.list[1].v: Invalid value: 2: failed rule: self >= oldSelf"],
        );
    }

    #[test]
    fn order_means_nothing_in_sets_and_keyed_lists() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": "self == oldSelf"}],
            "properties": {
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "order": {"type": "array", "items": {"type": "string"}},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object",
                    "properties": {"n": {"type": "string"}, "v": {"type": "integer"}}}}}}}});
        let rules = Rules::compile(&schema).expect("rules");
        let equal = |old: Value, new: Value| {
            let (old, new) = (json!({"spec": old, "status": 1}), json!({"spec": new, "status": 2}));
            rules.check(&new, Some(&old), &schema).is_empty()
        };
        assert!(equal(json!({"tags": ["a", "b"]}), json!({"tags": ["b", "a"]})));
        assert!(!equal(json!({"tags": ["a", "b"]}), json!({"tags": ["b", "c"]})));
        assert!(!equal(json!({"order": ["a", "b"]}), json!({"order": ["b", "a"]})));
        let parts = |v: i32| json!([{"n": "x", "v": 1}, {"n": "y", "v": v}]);
        let turned = json!({"parts": [{"n": "y", "v": 2}, {"n": "x", "v": 1}]});
        assert!(equal(json!({"parts": parts(2)}), turned.clone()));
        assert!(!equal(json!({"parts": parts(3)}), turned));
    }

    #[test]
    fn rules_may_cost_only_so_much() {
        let over = |rules: usize, nested: &str| {
            let rule = json!({"rule": nested});
            let schema = json!({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer"},
                "x-kubernetes-validations": vec![rule; rules]}}});
            let object = json!({"l": (0..200).collect::<Vec<_>>()});
            let errors = Rules::compile(&schema).expect("rules").check_within(1_000_000, &object, None, &schema);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let twice = "self.all(x, self.all(y, x + y >= 0))";
        let thrice = "self.all(x, self.all(y, self.all(z, x + y + z >= 0)))";
        assert_eq!(over(2, twice), Vec::<String>::new());
        assert_eq!(
            over(3, thrice),
            [format!(
                "l: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {thrice}"
            )]
        );
        assert_eq!(
            over(20, twice),
            [
                "l: Invalid value: \"array\": validation failed due to running out of cost budget, no further validation rules will be run"
            ]
        );
    }

    #[test]
    fn what_was_wrong_before_may_stay() {
        let old = || json!({"min": 3, "max": 2});
        check(old(), Some(old()), &[]);
    }
}
