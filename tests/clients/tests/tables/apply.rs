//! Declared and changed objects.

use drydock_tests_clients::{Client, run};

use super::{SHOP, shop_without};

const ENV: &str = "get deployment shop -o jsonpath={.spec.template.spec.containers[0].env[*].name}";

pub(crate) fn client_side(client: &Client<'_>) {
    client.table(&[
        run("apply -f -").input(SHOP).is("deployment.apps/shop created"),
        run("apply -f -").input(SHOP).is("deployment.apps/shop unchanged"),
        run("diff -f -").input(SHOP).is(""),
        run("diff -f -").input(shop_without()).code(1).has("-        - name: B").has("-        - containerPort: 9090"),
        run("apply -f - --dry-run=server").input(shop_without()).is("deployment.apps/shop configured (server dry run)"),
        run(ENV).is("A B"),
        run("apply -f -").input(shop_without()).is("deployment.apps/shop configured"),
        run(ENV).is("A"),
        run("get deployment shop -o jsonpath={.spec.template.spec.containers[0].ports[*].containerPort}").is("8080"),
        run("apply view-last-applied deployment/shop").has("replicas: 2"),
        run("delete -f -").input(SHOP).has("deployment.apps \"shop\" deleted"),
    ]);
}

pub(crate) fn server_side(client: &Client<'_>) {
    let other = SHOP.replace("demo:v1", "demo:v2").replace("replicas: 2", "replicas: 1");
    client.table(&[
        run("apply --server-side -f -").input(SHOP).is("deployment.apps/shop serverside-applied"),
        run("apply --server-side --field-manager=other -f -")
            .input(&other)
            .code(1)
            .has("Apply failed with 2 conflicts: conflicts with \"kubectl\"")
            .has(".spec.replicas")
            .has(".spec.template.spec.containers[name=\"web\"].image"),
        run("apply --server-side --field-manager=other --force-conflicts -f -")
            .input(&other)
            .is("deployment.apps/shop serverside-applied"),
        run("get deployment shop -o jsonpath={.spec.replicas}").is("1"),
        run("get deployment shop --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}").has("other"),
        run("apply --server-side --field-manager=other -f -").input(other.replace(", {name: B, value: '2'}", "")),
        // The first manager still owns it.
        run(ENV).is("A B"),
        run("delete deployment shop").has("deployment.apps \"shop\" deleted"),
    ]);
}

pub(crate) fn changes(client: &Client<'_>) {
    client.table(&[
        run("create -f -").input(SHOP).is("deployment.apps/shop created"),
        run("edit deployment shop").editor("sed -i 's/replicas: 2/replicas: 1/'").is("deployment.apps/shop edited"),
        run("edit deployment shop").editor("true").has("Edit cancelled, no changes made."),
        run("edit deployment shop").editor("sed -i 's/replicas: 1/replicas: -1/'").code(1).has("is invalid"),
        run("patch deployment shop -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"web\",\"env\":[{\"name\":\"C\",\"value\":\"3\"}]}]}}}}'")
            .is("deployment.apps/shop patched"),
        run(ENV).is("C A B"),
        run("patch deployment shop --type merge -p '{\"metadata\":{\"labels\":{\"x\":\"y\"}}}'").is("deployment.apps/shop patched"),
        run("patch deployment shop --type merge -p '{\"metadata\":{\"labels\":{\"x\":\"y\"}}}'").is("deployment.apps/shop patched (no change)").eventually(),
        run("patch deployment shop --type json -p '[{\"op\":\"remove\",\"path\":\"/metadata/labels/x\"}]'").is("deployment.apps/shop patched"),
        run("patch deployment shop --type json -p '[{\"op\":\"remove\",\"path\":\"/metadata/labels/x\"}]'").code(1).has("The request is invalid"),
        run("patch deployment shop --subresource=scale --type merge -p '{\"spec\":{\"replicas\":2}}'").has("patched"),
        // Its controller may write between kubectl's reading and writing.
        run("replace -f -").input(SHOP).is("deployment.apps/shop replaced").eventually(),
        run("replace --force -f -").input(SHOP).has("deployment.apps \"shop\" deleted").has("deployment.apps/shop replaced"),
        run("replace -f -").input(SHOP.replace("name: shop", "name: nope")).code(1).has("deployments.apps \"nope\" not found"),
        run("replace -f -").input(SHOP.replace("{app: shop}", "{app: nope}")).code(1).has("field is immutable").eventually(),
        run("label deployment shop tier=back").code(1).is("error: 'tier' already has a value (front), and --overwrite is false"),
        run("label deployment shop tier=back --overwrite").is("deployment.apps/shop labeled"),
        run("label deployment shop tier-").is("deployment.apps/shop unlabeled"),
        run("annotate deployment shop note=hello").is("deployment.apps/shop annotated"),
        run("set env deployment/shop D=4").is("deployment.apps/shop env updated"),
        run("set resources deployment/shop --limits=memory=64Mi").is("deployment.apps/shop resource requirements updated"),
        run("expose deployment shop --port=80 --target-port=8080").is("service/shop exposed"),
        run("get service shop -o jsonpath={.spec.ports[0].targetPort}").is("8080"),
        run("expose deployment shop --port=80").code(1).is("Error from server (AlreadyExists): services \"shop\" already exists"),
        run("create configmap cm --from-literal=a=b").is("configmap/cm created"),
        run("create secret generic s --from-literal=p=q").is("secret/s created"),
        run("get secret s -o jsonpath={.data.p}").is("cQ=="),
        run("delete deployment,service,configmap,secret --all").has("configmap \"cm\" deleted"),
    ]);
}

pub(crate) fn mistakes(client: &Client<'_>) {
    let pod = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"X_\"},\"spec\":{\"containers\":[]}}";
    let unknown = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"},\"daat\":{\"a\":\"b\"}}";
    client.table(&[
        run("create -f -")
            .input(pod)
            .code(1)
            .has("The Pod \"X_\" is invalid")
            .has("* metadata.name: Invalid value: \"X_\"")
            .has("* spec.containers: Required value"),
        run("apply -f -").input(unknown).code(1).has("strict decoding error: unknown field \"daat\""),
        run("create -f - --validate=warn")
            .input(unknown)
            .has("Warning: unknown field \"daat\"")
            .has("configmap/x created"),
        run("apply -f -")
            .input("apiVersion: v9\nkind: Nothing\nmetadata: {name: x}\n")
            .code(1)
            .has("no matches for kind \"Nothing\" in version \"v9\""),
        run("get pod nope").code(1).is("Error from server (NotFound): pods \"nope\" not found"),
        run("get nothing").code(1).is("error: the server doesn't have a resource type \"nothing\""),
        run("get pods --field-selector=spec.bogus=1").code(1).has("field label not supported: spec.bogus"),
        run("get pods -l 'a in'").code(1).has("unable to parse requirement"),
        run("delete deployment nope").code(1).is("Error from server (NotFound): deployments.apps \"nope\" not found"),
        run("delete deployment nope --ignore-not-found").is(""),
        run("scale deployment nope --replicas=1").code(1),
        run("wait --for=condition=Ready pod/nope --timeout=1s").code(1).has("pods \"nope\" not found"),
        run("certificate approve nope")
            .code(1)
            .has("certificatesigningrequests.certificates.k8s.io \"nope\" not found"),
        run("create namespace kube-system")
            .code(1)
            .is("Error from server (AlreadyExists): namespaces \"kube-system\" already exists"),
        run("delete configmap x").has("configmap \"x\" deleted"),
    ]);
}
