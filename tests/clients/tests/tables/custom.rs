//! Kinds of one's own.

use drydock_tests_clients::{Client, run};

const DEFINITION: &str = r#"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns: [{name: Spec, type: string, jsonPath: .spec.cronSpec}, {name: Replicas, type: integer, jsonPath: .spec.replicas}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            x-kubernetes-validations: [{rule: self.replicas <= self.max, messageExpression: "'%d is over %d'.format([self.replicas, self.max])", fieldPath: .replicas}]
            properties:
              cronSpec: {type: string, pattern: '^\S+( \S+){4}$', description: When it runs.}
              replicas: {type: integer, minimum: 0, default: 1}
              max: {type: integer, default: 5}
              color: {type: string, x-kubernetes-validations: [{rule: self == oldSelf, message: color is fixed}]}
          status: {type: object, properties: {replicas: {type: integer}}}
"#;

const OBJECT: &str = "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: a}\nspec: {cronSpec: '* * * * */5', color: red}\n";

pub fn definitions(client: &Client<'_>) {
    client.table(&[
        run("apply -f -")
            .input(DEFINITION.replace("self.replicas <=", "self.nothing <="))
            .code(1)
            .has("undefined field 'nothing'"),
        run("apply -f -")
            .input(DEFINITION)
            .is("customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created"),
        run("wait --for=condition=Established crd/crontabs.stable.example.com --timeout=10s").has("condition met"),
        run("apply -f -").input(OBJECT).is("crontab.stable.example.com/a created").eventually(),
        run("get ct").is("NAME   SPEC          REPLICAS\na      * * * * */5   1"),
        run("get all").has("crontab.stable.example.com/a"),
        run("get ct --field-selector spec.color=red -o name").is("crontab.stable.example.com/a"),
        run("get ct --field-selector spec.color=blue -o name").is(""),
        run("explain ct.spec.cronSpec").has("When it runs.").eventually(),
        run("scale ct a --replicas=3").is("crontab.stable.example.com/a scaled"),
        run("scale ct a --replicas=7").code(1).has("spec.replicas: Invalid value: 7 is over 5"),
        run("patch ct a --type merge -p '{\"spec\":{\"color\":\"blue\"}}'")
            .code(1)
            .has("spec.color: Invalid value: \"blue\": color is fixed"),
        run("apply -f -")
            .input(OBJECT.replace("color: red", "color: red, more: 1"))
            .code(1)
            .has("unknown field \"spec.more\""),
        run("apply -f -")
            .input(OBJECT.replace("'* * * * */5'", "never"))
            .code(1)
            .has("spec.cronSpec in body should match"),
        run("get apiservices v1.stable.example.com").has("Local     True"),
        run("delete crd crontabs.stable.example.com --timeout=30s").has("deleted"),
        run("get ct").code(1).has("the server doesn't have a resource type \"ct\"").eventually(),
    ]);
}
