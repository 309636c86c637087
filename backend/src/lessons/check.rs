//! One check: a CEL expression over the objects of a resource.

use drydock_protocol::CheckState;

use super::definition::CheckDefinition;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it holds.
    pub(crate) state: CheckState,
    /// What was seen, if the lesson says it or the expression failed.
    pub(crate) detail: Option<String>,
}

/// A compiled check.
pub(crate) struct Program {
    expression: cel::Program,
    detail: Option<cel::Program>,
}

impl Program {
    /// Compiles a check.
    ///
    /// # Errors
    /// A sentence on what CEL does not understand.
    pub(crate) fn compile(check: &CheckDefinition) -> Result<Program, String> {
        let compile =
            |text: &str| cel::Program::compile(text).map_err(|error| format!("{text:?} is no CEL expression: {error}"));
        Ok(Program {
            expression: compile(&check.expression)?,
            detail: check.detail.as_deref().map(compile).transpose()?,
        })
    }

    /// Evaluates the check over `objects`.
    ///
    /// A field that an object does not have yet is no mistake: the check is not met then.
    pub(crate) fn evaluate(&self, objects: &[serde_json::Value]) -> Verdict {
        let mut context = cel::Context::default();
        if let Err(error) = context.add_variable("objects", objects) {
            return Verdict { state: CheckState::Error, detail: Some(error.to_string()) };
        }
        let state = match self.expression.execute(&context) {
            Ok(cel::Value::Bool(true)) => CheckState::Met,
            Ok(cel::Value::Bool(false)) | Err(cel::ExecutionError::NoSuchKey(_)) => CheckState::Unmet,
            Ok(_) => {
                let detail = Some("the check's expression is neither true nor false".to_owned());
                return Verdict { state: CheckState::Error, detail };
            }
            Err(error) => return Verdict { state: CheckState::Error, detail: Some(error.to_string()) },
        };
        let detail = self.detail.as_ref().and_then(|detail| match detail.execute(&context) {
            Ok(cel::Value::String(text)) => Some(text.to_string()),
            _ => None,
        });
        Verdict { state, detail }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(expression: &str, objects: &[Value], state: CheckState, detail: Option<&str>) {
        let definition = CheckDefinition {
            id: "x".to_owned(),
            resource: "v1/pods".to_owned().try_into().expect("resource"),
            namespace: None,
            expression: expression.to_owned(),
            detail: Some("string(size(objects)) + ' Pods'".to_owned()),
        };
        let verdict = Program::compile(&definition).expect("compiles").evaluate(objects);
        assert_eq!(verdict.state, state, "{expression}: {verdict:?}");
        if let Some(detail) = detail {
            assert_eq!(verdict.detail.as_deref(), Some(detail));
        }
    }

    #[test]
    fn verdicts() {
        let running = json!({"metadata": {"name": "hello"}, "status": {"phase": "Running"}});
        let new = json!({"metadata": {"name": "hello"}});
        let expression = "objects.exists(p, p.metadata.name == 'hello' && p.status.phase == 'Running')";
        check(expression, &[], CheckState::Unmet, Some("0 Pods"));
        check(expression, std::slice::from_ref(&new), CheckState::Unmet, Some("1 Pods"));
        check(expression, std::slice::from_ref(&running), CheckState::Met, None);
        check(expression, &[new, running], CheckState::Met, Some("2 Pods"));
        check("size(objects)", &[], CheckState::Error, None);
    }
}
