//! kubectl's words, as it said them, against the lines that a person would point at.

use super::*;

const TEXT: &str = r#"# A web server and its address.
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicsa: 3
  template:
    spec:
      containers:
      - name: web
        image: drydock/demo:v1
        ports:
        - containerPort: 80800
      - name: side
        imag: x
---

apiVersion: v1
kind: Service
metadata:
  name: "web"   # the same
  namespace: shop
spec:
  ports:
    -
      port: 0
"#;

#[track_caller]
fn check(said: &str, expected: &[u32]) {
    let documents = documents(TEXT);
    let found = problems(&documents, "/tmp/.d", "web.yaml", said);
    assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), expected, "{said}\n{found:#?}");
    assert!(found.iter().all(|problem| !problem.message.contains("/tmp/")), "{found:#?}");
}

#[test]
fn documents_begin_where_kubectl_lets_them_begin() {
    let lines: Vec<_> = documents(TEXT).iter().map(|it| (it.first_line, it.text.lines().count())).collect();
    assert_eq!(lines, [(3, 16), (20, 10)]);
    assert_eq!(documents("").len(), 1);
    assert_eq!(documents("# nothing\n---\n---\n").len(), 1);
    assert_eq!(documents("kind: A\n---\n").len(), 1);
}

#[test]
fn syntax() {
    check(
        "error: error parsing /tmp/.d/1.yaml: error converting YAML to JSON: yaml: line 9: mapping values are not allowed in this context",
        &[9],
    );
    check(
        "error: error parsing /tmp/.d/2.yaml: error converting YAML to JSON: yaml: line 99: did not find expected key",
        &[29],
    );
}

#[test]
fn unknown_fields() {
    check(
        r#"Error from server (BadRequest): error when creating "/tmp/.d/1.yaml": Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replicsa", unknown field "spec.template.spec.containers[1].imag""#,
        &[9, 18],
    );
    check(
        r#"Error from server (BadRequest): error when creating "/tmp/.d/2.yaml": Service in version "v1" cannot be handled as a Service: json: cannot unmarshal string into Go struct field ServiceSpec.spec.ports of type int32"#,
        &[27],
    );
}

#[test]
fn invalid_values() {
    check(
        "deployment.apps/x created\nThe Service \"web\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        &[29],
    );
    check(
        "The Deployment \"web\" is invalid: \n* spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 80800: must be between 1 and 65535, inclusive\n* spec.selector: Required value",
        &[16, 8],
    );
    check(
        "The Deployment \"web\" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`]",
        &[8, 10],
    );
}

#[test]
fn what_is_not_there() {
    check(
        "error: resource mapping not found for name: \"web\" namespace: \"\" from \"/tmp/.d/1.yaml\": no matches for kind \"Deploymint\" in version \"apps/v1\"\nensure CRDs are installed first",
        &[4],
    );
    check(r#"Error from server (NotFound): error when creating "/tmp/.d/2.yaml": namespaces "shop" not found"#, &[25]);
    check("error: no objects passed to apply", &[3]);
    check("deployment.apps/web created\nservice/web unchanged", &[]);
}

#[test]
fn files_have_the_name_that_the_learner_knows() {
    assert_eq!(
        renamed("a /tmp/.d/1.yaml: b \"/tmp/.d/12.yaml\"", "/tmp/.d", "lab/web.yaml"),
        "a lab/web.yaml: b \"lab/web.yaml\""
    );
}
