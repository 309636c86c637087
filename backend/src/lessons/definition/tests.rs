//! What is accepted and what is refused, with the line.

use super::*;

const STEP: &str = "order = 1\nminutes = 10\n[[step]]\nid = \"a\"\n";

#[track_caller]
fn check(text: &str, expected: Result<usize, &str>) {
    match (parse(text), expected) {
        (Ok(definition), Ok(steps)) => {
            assert_eq!(definition.steps.len(), steps);
            let stored = serde_json::to_string(&definition).expect("JSON");
            let read: Definition = serde_json::from_str(&stored).expect("stored lessons are read again");
            assert_eq!(read, definition);
        }
        (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
        (outcome, _) => panic!("{text}: {outcome:?}"),
    }
}

#[test]
fn steps() {
    check(STEP, Ok(1));
    check("order = 1\nminutes = 10\n", Err("step"));
    check("order = 1\nminutes = 10\nsteps = []\n", Err("line 3: unknown field"));
    check(&format!("{STEP}[[step]]\nid = \"a\"\n"), Err("line 5: two steps are named \"a\""));
    check("order = 1\nminutes = 10\n[[step]]\nid = \"A b\"\n", Err("line 3: step \"A b\" is to be named"));
    check("order = 1\nminutes = 10\nfaults = [\"stop-node\"]\nkind = \"challenge\"\n[[step]]\nid = \"a\"\n", Ok(1));
    check("order = 1\nminutes = 10\nfaults = [\"explode\"]\n[[step]]\nid = \"a\"\n", Err("line 3: unknown variant"));
}

#[test]
fn needs() {
    let quiz = "[[step.quiz]]\nid = \"q\"\nright = [\"a\"]\n";
    check(&format!("{STEP}{quiz}[[step]]\nid = \"b\"\nneeds = [\"a\"]\n"), Ok(2));
    check(
        &format!("{STEP}[[step]]\nid = \"b\"\nneeds = [\"a\"]\n"),
        Err("line 5: step \"b\" needs \"a\", which has neither"),
    );
    check(
        &format!("{STEP}needs = [\"b\"]\n[[step]]\nid = \"b\"\n"),
        Err("line 3: step \"a\" needs \"b\", but no step before"),
    );
}

#[test]
fn checks_of_objects() {
    let of = |resource: &str, expression: &str| {
        format!("{STEP}[[step.check]]\nid = \"x\"\nresource = \"{resource}\"\nexpression = \"{expression}\"\n")
    };
    check(&of("v1/pods", "size(objects) > 0"), Ok(1));
    check(&of("pods", "true"), Err("names no resource"));
    check(&of("v1/../secrets", "true"), Err("names no resource"));
    check(&of("v1/pods", "size(objects"), Err("line 5: check \"x\" of step \"a\""));
    check(&of("v1/pods", "object.size() > 0"), Err("\"object\" is not known"));
    check(
        &format!("{}with = {{ nodes = \"v1/nodes\" }}\n", of("v1/pods", "nodes.all(n, objects.exists(p, p == n))")),
        Ok(1),
    );
    check(&of("v1/pods", "nodes.size() > 0"), Err("\"nodes\" is not known"));
    check(&format!("{}with = {{ objects = \"v1/nodes\" }}\n", of("v1/pods", "true")), Err("cannot be named"));
    let two = of("v1/pods", "true").replace(STEP, "");
    check(&format!("{STEP}{two}{two}"), Err("line 9: two of step \"a\" are named check \"x\""));
}

#[test]
fn probes_and_commands() {
    let of = |rest: &str| format!("{STEP}[[step.check]]\nid = \"x\"\n{rest}\n");
    check(&of("probe = { url = \"http://web/\" }"), Ok(1));
    check(
        &of(
            "probe = { url = \"https://worker-1:30443/\", host = \"shop.example.com\", insecure = true, status = 404, contains = \"v1\", distinct = 2 }",
        ),
        Ok(1),
    );
    check(&of("probe = { url = \"ftp://web/\" }"), Err("neither http://"));
    check(&of("probe = { url = \"http:///x\" }"), Err("names no host"));
    check(&of("probe = { url = \"http://web/\", from = \"worker-9\" }"), Err("no node named \"worker-9\""));
    check(&of("probe = { url = \"https://web/\", from = \"worker-1\" }"), Err("from the workstation"));
    check(&of("probe = { url = \"http://web/\", distinct = 0 }"), Err("distinct"));
    check(&of("command = { run = \"test -f x\" }"), Ok(1));
    check(&of("command = { run = \"test -f x\", on = \"nowhere\" }"), Err("no node named"));
    check(&of("command = { run = \"x\" }\nprobe = { url = \"http://web/\" }"), Err("exactly one of"));
    check(&of("command = { run = \"x\" }\nnamespace = \"default\""), Err("exactly one of"));
    check(&of(""), Err("exactly one of"));
}

#[test]
fn quizzes_hints_and_scripts() {
    let of = |key: &str, rest: &str| format!("{STEP}[[step.{key}]]\n{rest}\n");
    check(&of("quiz", "id = \"q\"\nright = []"), Err("line 5: quiz \"q\" of step \"a\" has no right answer"));
    let hint = "id = \"h\"\nresource = \"v1/services\"\nwith = { pods = \"v1/pods\" }\nwhen = \"pods.size() == 0\"\n";
    check(&of("hint", &format!("{hint}values = {{ n = \"string(objects.size())\" }}")), Ok(1));
    check(&of("hint", &format!("{hint}values = {{ n = \"string(\" }}")), Err("line 5: hint \"h\" of step \"a\""));
    check(&of("setup", "run = \"true\"\non = \"worker-2\""), Ok(1));
    check(&of("solution", "run = \"true\"\non = \"worker-3\""), Err("line 5: there is no node named \"worker-3\""));
    check(&of("solution", "fault = { kind = \"stop-node\", node = \"worker-2\" }"), Ok(1));
    check(&of("solution", "fault = { kind = \"pause-component\", component = \"etcd\" }"), Ok(1));
    check(&of("solution", "fault = { kind = \"pause-component\" }"), Err("line 5: a component is named"));
    check(&of("solution", "heal = \"worker-2\""), Ok(1));
    check(&of("solution", "add-node = true\n[[step.solution]]\non = \"worker-3\"\nrun = \"true\""), Ok(1));
    check(&of("solution", "add-node = true\nrun = \"true\""), Err("exactly one of: run"));
    check(&of("solution", "on = \"master\""), Err("exactly one of: run"));
    check(
        "order = 1\nminutes = 1\n[[setup]]\nrun = \"x\"\non = \"y\"\n[[step]]\nid = \"a\"\n",
        Err("line 3: there is no node"),
    );
}
