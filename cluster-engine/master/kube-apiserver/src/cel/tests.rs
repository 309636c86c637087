//! Expressions and their values.

use serde_json::json;

use super::*;

#[track_caller]
fn evaluate(source: &str) -> Result<Value, Error> {
    let mut scope = Scope::new();
    scope.json("object", &json!({"spec": {"replicas": 3, "tags": ["a", "b"], "n": null}}));
    compile(source, &["object"])?.evaluate(&scope)
}

#[track_caller]
fn check(source: &str) {
    assert_eq!(evaluate(source), Ok(Value::Bool(true)), "{source}");
}

#[track_caller]
fn fails(source: &str, expected: &str) {
    match evaluate(source) {
        Err(error) => assert!(error.to_string().contains(expected), "{source}: {error}"),
        Ok(value) => panic!("{source} is {value:?}"),
    }
}

#[test]
fn kubernetes_functions_answer() {
    for source in [
        "object.spec.replicas <= 5 && object.spec.tags.all(t, t.size() == 1)",
        "[1, 2, 3].isSorted() && [1, 2].sum() == 3 && [3, 1].min() == 1 && ['a', 'b'].max() == 'b' && [1, 2, 1].lastIndexOf(1) == 2",
        "'abc 123'.find('[0-9]+') == '123' && '1 2 3'.findAll('[0-9]', 2) == ['1', '2']",
        "url('https://example.com:80/path?k=v').getHost() == 'example.com:80' && isURL('/a') && !isURL('../a')",
        "url('https://[::1]:80/').getHostname() == '::1' && url('https://h/?k=a&k=b').getQuery()['k'] == ['a', 'b']",
        "quantity('1Ki').isGreaterThan(quantity('1k')) && quantity('50k').add(20).compareTo(quantity('50020')) == 0 && !isQuantity('1x')",
        "ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 && !isIP('127.0.0.256') && ip.isCanonical('127.0.0.1')",
        "cidr('192.168.0.0/24').containsIP('192.168.0.7') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')",
        "!format.dns1123Label().validate('a-b').hasValue() && format.dns1123Label().validate('A').value().size() > 0",
        "sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0')) && isSemver('v1.2', true)",
        "object.?spec.?missing.orValue(7) == 7 && object.spec.?replicas.orValue(0) == 3",
        "duration('1h') > duration('59m') && timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-02T00:00:00Z')",
        "'%s=%d'.format(['a', 1]) == 'a=1' && 'TacoCat'.lowerAscii() == 'tacocat' && 'a,b'.split(',').join('') == 'ab'",
        "object.spec.n == null && type(object.spec.replicas) == int && !has(object.spec.gone)",
    ] {
        check(source);
    }
}

#[test]
fn failures_are_told_in_gos_words() {
    fails("object.missing", "no such key: missing");
    fails("1 / 0 == 1", "division by zero");
    fails("object.spec.tags[5] == 'a'", "index out of bounds: 5");
    fails("object.spec.replicas + 'a' == ''", "no such overload");
    fails("object.spec.", "compilation failed: ERROR: <input>:1:13: Syntax error:");
    fails("nothing.there", "undeclared reference to 'nothing' (in container '')\n | nothing.there\n | ^");
    fails("quantity('x').sign() == 1", "quantities must match");
}

#[test]
fn authorizers_are_asked() {
    let mut scope = Scope::new();
    let answer: authorizer::Answer = std::sync::Arc::new(|question: &authorizer::Question| {
        (question.verb == "get" && question.resource == "pods" && question.namespace == "n", question.name.clone())
    });
    scope.val("authorizer", Box::new(authorizer::Authorizer::new(answer)));
    let program = compile(
        "authorizer.group('').resource('pods').namespace('n').name('x').check('get').reason() == 'x' && !authorizer.path('/a').check('get').allowed()",
        &["authorizer"],
    )
    .expect("program");
    assert_eq!(program.is_true(&scope), Ok(true));
}

#[test]
fn typed_values_have_their_types() {
    let schema = json!({"type": "object", "properties": {"a-b": {"type": "number"}, "at": {"type": "string", "format": "date-time"},
        "for": {"type": "string", "format": "duration"}, "b": {"type": "string", "format": "byte"}, "map": {"type": "object", "additionalProperties": {"type": "integer"}}}});
    let mut scope = Scope::new();
    let value = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x", "labels": {}}, "a-b": 1, "at": "2026-01-01T00:00:00Z", "for": "1h",
        "b": "YQ==", "map": {"x-y": 1}, "unknown": 1});
    scope.typed("self", &value, &schema, true);
    let program = compile(
        "self.a__dash__b == 1.0 && type(self.a__dash__b) == double && self.at < timestamp('2027-01-01T00:00:00Z') && self.__for__ == duration('60m') \
         && self.b == b'a' && self.map['x-y'] == 1 && self.metadata.name == 'x' && !has(self.metadata.labels) && !has(self.unknown)",
        &["self"],
    )
    .expect("program");
    assert_eq!(program.is_true(&scope), Ok(true));
}
