//! Who may do what.

use drydock_tests_clients::{Client, run};

pub fn rights(client: &Client<'_>) {
    let robot = format!("--as=system:serviceaccount:{}:robot", client.namespace());
    client.table(&[
        run("auth can-i create pods").is("yes"),
        run("auth can-i create pods --as=jane").code(1).has("no"),
        run("auth can-i --list --as=jane").has("selfsubjectaccessreviews.authorization.k8s.io").has("[/healthz]"),
        run("auth whoami").has("kubernetes-admin").has("system:masters"),
        run("create serviceaccount robot").is("serviceaccount/robot created"),
        run("create token robot --duration=10m").has("eyJ"),
        run("create token nobody").code(1).has("serviceaccounts \"nobody\" not found"),
        run("create role reader --verb=get,list --resource=pods").is("role.rbac.authorization.k8s.io/reader created"),
        run(format!("create rolebinding readers --role=reader --serviceaccount={}:robot", client.namespace())),
        run(format!("auth can-i list pods {robot}")).is("yes").eventually(),
        run(format!("auth can-i delete pods {robot}")).code(1).has("no"),
        run(format!("get pods {robot}")).has("No resources found"),
        run(format!("get secrets {robot}")).code(1).has(&format!(
            "secrets is forbidden: User \"system:serviceaccount:{0}:robot\" cannot list resource \"secrets\" in API group \"\" in the namespace \"{0}\"",
            client.namespace()
        )),
        run("auth reconcile -f -").input(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\nrules: [{apiGroups: [''], resources: [secrets], verbs: [list]}]\n",
        ).has("reconciled"),
        run(format!("get secrets {robot}")).has("No resources found").eventually(),
        run("delete role,rolebinding,serviceaccount reader readers robot --ignore-not-found"),
    ]);
}
