//! Every form of output.

use drydock_tests_clients::{Client, run};

pub(crate) fn outputs(client: &Client<'_>) {
    let folder = client.cluster().scratch();
    let file = |name: &str, text: &str| {
        let path = folder.join(format!("{}-{name}", client.namespace()));
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (path, columns, template) = (
        file("path", "{.metadata.name}={.data.k}"),
        file("columns", "NAME          K\nmetadata.name data.k\n"),
        file("template", "{{range .items}}{{.metadata.name}};{{end}}"),
    );
    client.table(&[
        run("create configmap b --from-literal=k=2").is("configmap/b created"),
        run("create configmap a --from-literal=k=3").is("configmap/a created"),
        run("create configmap c --from-literal=k=1").is("configmap/c created"),
        run("label configmap a c kind=x"),
        run("get configmap a -o json").has("\"kind\": \"ConfigMap\"").has("\"k\": \"3\""),
        run("get configmap a -o yaml").has("kind: ConfigMap").has("  k: \"3\""),
        run("get configmap a -o name").is("configmap/a"),
        run("get configmap a -o jsonpath={.data.k}").is("3"),
        run("get configmap a -o jsonpath-as-json={.data}").has("\"k\": \"3\""),
        run("get configmap a -o go-template={{.data.k}}").is("3"),
        run(format!("get configmap a -o jsonpath-file={path}")).is("a=3"),
        run(format!("get configmap a -o custom-columns-file={columns}")).is("NAME   K\na      3"),
        run(format!("get configmap -l kind=x -o go-template-file={template}")).is("a;c;"),
        run("get configmap a -o kyaml").has("kind: \"ConfigMap\",").since(34),
        run("get configmap --sort-by=.data.k -l kind -o name").is("configmap/c\nconfigmap/a"),
        run("get configmap a -o jsonpath={.nothing}").is(""),
        run("get configmap a -o jsonpath={.data.k}{.nothing}").is("3"),
        run("get configmap a -o jsonpath={.data").code(1).has("unclosed action"),
        run("get configmap a -o bogus")
            .code(1)
            .has("unable to match a printer suitable for the output format \"bogus\""),
        run("get configmap --field-selector metadata.name!=b,metadata.namespace=nope -o name").is(""),
        run("get configmap -l kind=x -o name").is("configmap/a\nconfigmap/c"),
        run("get configmap -l 'kind!=x,kind' -o name").is(""),
        run("get configmap --field-selector metadata.name=b -o name").is("configmap/b"),
        run("get configmap -l kind=x --sort-by=.data.k -o custom-columns=NAME:.metadata.name,K:.data.k")
            .is("NAME   K\nc      1\na      3"),
        run("get configmap a --show-labels --no-headers").has("kind=x"),
        run("get configmap a -L kind").has("KIND"),
        run("get configmap a -o wide").has("NAME   DATA   AGE"),
        run("get configmap a --output-watch-events --watch=false").code(1),
        run("get configmap,serviceaccount -o name").has("serviceaccount/default").has("configmap/kube-root-ca.crt"),
        run("get --raw /readyz").is("ok"),
        run("get configmap --chunk-size=1 -o name").has("configmap/a\nconfigmap/b\nconfigmap/c"),
        run("get nodes -o wide").has("INTERNAL-IP").has("10.20.0.2"),
        run("get all -A").has("service/kubernetes"),
        run("api-resources --api-group=apps")
            .has("deployments           deploy       apps/v1      true         Deployment"),
        run("api-versions").has("apps/v1\n"),
        run("get apiservices v1.apps").has("Local     True"),
        run("cluster-info").has("Kubernetes control plane"),
        run("version").has("Server Version: v1.36"),
        run("delete configmap a b c"),
    ]);
}

pub(crate) fn explain(client: &Client<'_>) {
    client.table(&[
        run("explain pod.spec.nodeName").has("FIELD: nodeName <string>").has("DESCRIPTION:").has("scheduler"),
        run("explain deployment.spec --recursive")
            .has("template\t<PodTemplateSpec>")
            .has("containers\t<[]Container>")
            .has("terminationGracePeriodSeconds\t<integer>"),
        run("explain deployment.spec.strategy --output plaintext-openapiv2")
            .has("RESOURCE: strategy <Object>")
            .has("rollingUpdate"),
        run("explain pod.nothing").code(1).has("field \"nothing\" does not exist"),
    ]);
}
