//! Selecting by labels.

use std::fmt;

use serde_json::Value;

use super::parse;
use crate::go_quote;
use crate::meta::LabelSelector;
use crate::names;

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `a in (x, y)`
    In,
    /// `a notin (x, y)`; an absent label matches.
    NotIn,
    /// `a = x`
    Equals,
    /// `a == x`
    DoubleEquals,
    /// `a != x`; an absent label matches.
    NotEquals,
    /// `a`
    Exists,
    /// `!a`
    DoesNotExist,
    /// `a > 1`
    GreaterThan,
    /// `a < 1`
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// The comparison.
    pub operator: Operator,
    /// What to compare with, sorted.
    pub values: Vec<String>,
}

/// Conditions that must all hold; none at all matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl Requirement {
    /// A checked requirement; the error is upstream's text.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, String> {
        use Operator::{DoesNotExist, DoubleEquals, Equals, Exists, GreaterThan, In, LessThan, NotEquals, NotIn};
        let mut errors = Vec::new();
        let messages = names::is_qualified_name(key);
        if !messages.is_empty() {
            errors.push(format!("key: Invalid value: {}: {}", go_quote(key), messages.join("; ")));
        }
        let shown = format!("[{}]", values.iter().map(|v| go_quote(v)).collect::<Vec<_>>().join(","));
        match operator {
            In | NotIn if values.is_empty() => {
                errors.push(format!(
                    "values: Invalid value: {shown}: for 'in', 'notin' operators, values set can't be empty"
                ));
            }
            Equals | DoubleEquals | NotEquals if values.len() != 1 => {
                errors.push(format!(
                    "values: Invalid value: {shown}: exact-match compatibility requires one single value"
                ));
            }
            Exists | DoesNotExist if !values.is_empty() => {
                errors.push(format!(
                    "values: Invalid value: {shown}: values set must be empty for exists and does not exist"
                ));
            }
            GreaterThan | LessThan => {
                if values.len() != 1 {
                    errors.push(format!(
                        "values: Invalid value: {shown}: for 'Gt', 'Lt' operators, exactly one value is required"
                    ));
                }
                for (i, value) in values.iter().enumerate() {
                    if value.parse::<i64>().is_err() {
                        errors.push(format!(
                            "values[{i}]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer",
                            go_quote(value)
                        ));
                    }
                }
            }
            _ => {}
        }
        for (i, value) in values.iter().enumerate() {
            let messages = names::is_label_value(value);
            if !messages.is_empty() {
                errors.push(format!("values[{i}][{key}]: Invalid value: {}: {}", go_quote(value), messages.join("; ")));
            }
        }
        if !errors.is_empty() {
            return Err(crate::field::join_errors(errors));
        }
        values.sort_unstable();
        values.dedup();
        Ok(Self { key: key.to_owned(), operator, values })
    }

    /// The label's value (or its absence) satisfies this.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let has = |v: &str| self.values.iter().any(|w| w == v);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(has),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(has),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let (Some(Ok(have)), Some(Ok(want))) =
                    (value.map(str::parse::<i64>), self.values.first().map(|v| v.parse::<i64>()))
                else {
                    return false;
                };
                if self.operator == Operator::GreaterThan { have > want } else { have < want }
            }
        }
    }
}

impl Selector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches no object.
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Reads `a=b,c in (d,e),!f`. The error is upstream's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from_requirements(parse::parse(text)?))
    }

    /// From requirements; all must hold.
    pub fn from_requirements(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Equality with every pair, as Services and ReplicationControllers select. No pair matches everything.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let requirement = |(key, value): (&str, &str)| Requirement {
            key: key.to_owned(),
            operator: Operator::Equals,
            values: vec![value.to_owned()],
        };
        Self::from_requirements(pairs.into_iter().map(requirement).collect())
    }

    /// From a typed LabelSelector: absent matches nothing, empty matches everything.
    pub fn from_typed(selector: Option<&LabelSelector>) -> Result<Self, String> {
        let Some(selector) = selector else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in &selector.match_labels {
            requirements.push(Requirement::new(key, Operator::In, vec![value.clone()])?);
        }
        for expression in &selector.match_expressions {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{} is not a valid label selector operator", go_quote(other))),
            };
            requirements.push(Requirement::new(&expression.key, operator, expression.values.clone())?);
        }
        Ok(Self::from_requirements(requirements))
    }

    /// From a LabelSelector as JSON: absent or null matches nothing, `{}` matches everything.
    pub fn from_label_selector(selector: &Value) -> Result<Self, String> {
        if selector.is_null() {
            return Ok(Self::nothing());
        }
        let typed: LabelSelector =
            serde::Deserialize::deserialize(selector).map_err(|e: serde_json::Error| e.to_string())?;
        Self::from_typed(Some(&typed))
    }

    /// The labels satisfy every requirement.
    pub fn matches<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> bool {
        !self.nothing
            && self.requirements.iter().all(|r| r.matches(labels.clone().find(|(k, _)| *k == r.key).map(|(_, v)| v)))
    }

    /// The object's labels satisfy every requirement.
    pub fn matches_object(&self, object: &Value) -> bool {
        self.is_everything() || self.matches(crate::meta::label_pairs(object))
    }

    /// The labels satisfy every requirement.
    pub fn matches_map(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(labels.get(&r.key).map(String::as_str)))
    }

    /// No requirement at all.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// Can match nothing.
    pub fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// The requirements, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let values = self.values.join(",");
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{}{requirement}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
