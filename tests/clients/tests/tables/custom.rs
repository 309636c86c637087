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

pub(crate) fn definitions(client: &Client<'_>) {
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
        // What kubectl says depends on how old its knowledge of the cluster is.
        run("get crontabs.v1.stable.example.com").code(1).eventually(),
        run("get apiservices v1.stable.example.com").code(1).has("not found").eventually(),
    ]);
}

/// Two versions, defaults, what is not known is dropped, columns of every type, lists by key, status and scale.
const WIDGETS: &str = r#"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - {name: v1beta1, served: true, storage: false, deprecated: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}}
    additionalPrinterColumns:
    - {name: Size, type: string, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Made, type: date, jsonPath: .metadata.creationTimestamp}
    - {name: Parts, type: integer, jsonPath: .spec.replicas, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            properties:
              size: {type: string, enum: [small, large], default: small}
              replicas: {type: integer, format: int32, minimum: 0, maximum: 9, default: 2}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, count: {type: integer, default: 1}}}
              tags: {type: array, x-kubernetes-list-type: set, maxItems: 500, items: {type: string, maxLength: 10}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status:
            type: object
            properties:
              replicas: {type: integer}
              selector: {type: string}
              conditions: {type: array, items: {type: object, properties: {type: {type: string}, status: {type: string}}}}
"#;

const WIDGET: &str = "apiVersion: stable.example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: {parts: [{name: x}, {name: w, count: 2}], tags: [p, q], free: {any: [1, {thing: true}]}}\n";

pub(crate) fn schemas(client: &Client<'_>) {
    let apply = |text: &str| run("apply --server-side --field-manager=one -f -").input(text);
    client.table(&[
        run("create -f -").input(WIDGETS).has("created"),
        run("wait --for=condition=Established crd/widgets.stable.example.com --timeout=10s"),
        run("create -f -").input(WIDGET).is("widget.stable.example.com/a created").eventually(),
        run("get widgets a -o jsonpath={.spec.size}/{.spec.replicas}/{.spec.parts[0].count}/{.spec.free.any[1].thing}").is("small/2/1/true"),
        run("get widgets").has("NAME   SIZE    READY   MADE").has("a      small           "),
        run("get widgets -o wide").has("PARTS").has("2"),
        run("create -f - --validate=ignore --dry-run=server -o jsonpath={.spec}").input(WIDGET.replace("name: a", "name: b").replace("tags: [p, q]", "nope: 1"))
            .lacks("nope")
            .since(28),
        run("create -f -").input(WIDGET.replace("tags: [p, q]", "size: huge")).code(1).has("spec.size: Unsupported value: \"huge\": supported values: \"small\", \"large\""),
        run("create -f -").input(WIDGET.replace("tags: [p, q]", "tags: [p, p]")).code(1).has("spec.tags[1]: Duplicate value: \"p\""),
        run("create -f -").input(WIDGET.replace("name: w", "name: x")).code(1).has("spec.parts[1]: Duplicate value"),
        run("create -f -").input(WIDGET.replace("tags: [p, q]", "replicas: 10")).code(1).has("spec.replicas: Invalid value: 10: spec.replicas in body should be less than or equal to 9"),
        run("create -f -").input(WIDGET.replace("tags: [p, q]", "replicas: many")).code(1).has("spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\""),
        // The main door leaves the status alone, and the other way round.
        run("patch widget a --type merge -p '{\"status\":{\"replicas\":1}}'").is("widget.stable.example.com/a patched (no change)"),
        run("patch widget a --subresource=status --type merge -p '{\"status\":{\"replicas\":1,\"selector\":\"a=b\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]},\"spec\":{\"size\":\"large\"}}'").since(28),
        run("get widget a -o jsonpath={.spec.size}/{.metadata.generation}").is("small/1"),
        run("get widget a --no-headers").has("a     small   True").since(28),
        run("wait --for=condition=Ready widget/a --timeout=5s").is("widget.stable.example.com/a condition met").since(28),
        run("scale widget a --replicas=5").is("widget.stable.example.com/a scaled"),
        run("get widget a --subresource=scale -o jsonpath={.spec.replicas}/{.status.replicas}/{.status.selector}").is("5/1/a=b").since(28),
        run("get widgets.v1beta1.stable.example.com a -o jsonpath={.apiVersion}").has("stable.example.com/v1beta1"),
        run("get widgets.v1beta1.stable.example.com a").has("Warning: stable.example.com/v1beta1 Widget is deprecated; use stable.example.com/v1 Widget"),
        // Two managers, each with its part of a list.
        apply("apiVersion: stable.example.com/v1\nkind: Widget\nmetadata: {name: s}\nspec: {parts: [{name: x, count: 3}], tags: [p]}\n"),
        run("apply --server-side --field-manager=two -f -")
            .input("apiVersion: stable.example.com/v1\nkind: Widget\nmetadata: {name: s}\nspec: {parts: [{name: z, count: 4}], tags: [q]}\n")
            .has("serverside-applied"),
        run("get widget s -o jsonpath={.spec.parts[*].name}/{.spec.tags}").is("x z/[\"p\",\"q\"]"),
        run("apply --server-side --field-manager=two -f -")
            .input("apiVersion: stable.example.com/v1\nkind: Widget\nmetadata: {name: s}\nspec: {parts: [{name: x, count: 9}]}\n")
            .code(1)
            .has("conflict with \"one\": .spec.parts[name=\"x\"].count"),
        run("explain widget.spec.parts --recursive").has("name\t<string> -required-").has("count\t<integer>").since(28).eventually(),
        run("explain widget.spec.size").has("ENUM:").has("small").since(31),
        // A definition that is going takes no new objects.
        run("patch widget a --type merge -p '{\"metadata\":{\"finalizers\":[\"example.com/wait\"]}}'").has("patched"),
        run("delete crd widgets.stable.example.com --wait=false").has("deleted"),
        run("get crd widgets.stable.example.com -o jsonpath={.status.conditions[?(@.type==\"Terminating\")].reason}").is("InstanceDeletionInProgress").eventually(),
        run("create -f -").input(WIDGET.replace("name: a", "name: late")).code(1).has("Error from server (MethodNotAllowed)").has("create not allowed while custom resource definition is terminating"),
        run("patch widget a --type merge -p '{\"metadata\":{\"finalizers\":null}}'").has("patched"),
        run("wait --for=delete crd/widgets.stable.example.com --timeout=30s"),
    ]);
}
