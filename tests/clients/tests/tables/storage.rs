//! Data that outlives its pod.

use drydock_tests_clients::{Client, run};

const SET: &str = "apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 8080, name: http}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: db
        image: drydock/demo:v1
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
";

pub(crate) fn stateful_sets(client: &Client<'_>) {
    let count = |pod: &str, method: &str, expected: &str| {
        let post = if method == "POST" { "--post-data= " } else { "" };
        run(format!("exec {pod} -- wget -qO- {post}http://127.0.0.1:8080/counter")).has(expected)
    };
    client.table(&[
        run("apply -f -").input(SET).is("service/db created\nstatefulset.apps/db created"),
        run("rollout status statefulset/db --timeout=90s").has("2 new pods").eventually(),
        run("get pvc -l app=db -o name").is("persistentvolumeclaim/data-db-0\npersistentvolumeclaim/data-db-1"),
        run("get pvc data-db-0 --no-headers").has("Bound").has("1Mi").has("RWO"),
        count("db-0", "POST", "1").eventually(),
        count("db-0", "POST", "2"),
        count("db-1", "GET", "0"),
    ]);
    let before = client.step(&run("get pod db-0 -o jsonpath={.metadata.uid}"));
    client.table(&[
        run("delete pod db-0").has("pod \"db-0\" deleted"),
        run("get pod db-0 -o jsonpath={.metadata.uid}:{.status.phase}").has(":Running").lacks(&before).eventually(),
        // The same name, the same data.
        count("db-0", "GET", "2").eventually(),
        run("exec db-1 -- wget -T 5 -qO- http://db-0.db:8080").has("demo v1 from db-0").eventually(),
        run("scale statefulset db --replicas=1").is("statefulset.apps/db scaled"),
        run("get pods -l app=db -o name").is("pod/db-0").eventually(),
        run("get pvc data-db-1 -o name").is("persistentvolumeclaim/data-db-1"),
        run("set image statefulset/db db=drydock/demo:v2").is("statefulset.apps/db image updated"),
        run("rollout status statefulset/db --timeout=60s").has("1 new pods").eventually(),
        run("exec db-0 -- wget -qO- http://127.0.0.1:8080").has("demo v2 from db-0").eventually(),
        count("db-0", "GET", "2"),
        run("rollout history statefulset/db").has("REVISION").has("2         <none>"),
        run("delete statefulset,service db"),
        run("delete pvc --all").has("persistentvolumeclaim \"data-db-0\" deleted"),
    ]);
}

pub(crate) fn volumes(client: &Client<'_>) {
    let space = client.namespace();
    let class = format!(
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: keep-{space}}}\nprovisioner: PROVISIONER\nreclaimPolicy: Retain\nvolumeBindingMode: WaitForFirstConsumer\n"
    );
    let claim = |name: &str, class: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{accessModes: [ReadWriteOnce]{class}, resources: {{requests: {{storage: 1Mi}}}}}}\n"
        )
    };
    let writer = |claim: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: w-{claim}}}\nspec:\n  restartPolicy: Never\n  containers: [{{name: w, image: drydock/demo:v1, command: [sh, -c, 'echo kept > /data/f'], volumeMounts: [{{name: d, mountPath: /data}}]}}]\n  volumes: [{{name: d, persistentVolumeClaim: {{claimName: {claim}}}}}]\n"
        )
    };
    let provisioner = client.step(&run("get storageclass -o jsonpath={.items[0].provisioner}"));
    client.table(&[
        run("get storageclass").has("(default)").has("Delete").has("WaitForFirstConsumer"),
        run("create -f -").input(class.replace("PROVISIONER", &provisioner)).has("created"),
        run("create -f -").input(claim("gone", "")).is("persistentvolumeclaim/gone created"),
        run("create -f -").input(claim("kept", &format!(", storageClassName: keep-{space}"))),
        run("get pvc gone -o jsonpath={.status.phase}").is("Pending"),
        run("describe pvc gone")
            .has("WaitForFirstConsumer")
            .has("waiting for first consumer to be created before binding")
            .eventually(),
        run("create -f -").input(writer("gone")),
        run("create -f -").input(writer("kept")),
        run("wait --for=jsonpath={.status.phase}=Succeeded pod/w-gone pod/w-kept --timeout=60s").since(28),
        run("get pods w-gone w-kept -o jsonpath={.items[*].status.phase}").is("Succeeded Succeeded").eventually(),
    ]);
    let volume = |name: &str| client.step(&run(format!("get pvc {name} -o jsonpath={{.spec.volumeName}}")));
    let (gone, kept) = (volume("gone"), volume("kept"));
    client.table(&[
        run(format!("get pv {kept} -o jsonpath={{.spec.persistentVolumeReclaimPolicy}}/{{.status.phase}}"))
            .is("Retain/Bound"),
        run("patch pvc kept -p '{\"spec\":{\"storageClassName\":\"other\"}}'")
            .code(1)
            .has("is immutable after creation"),
        run("delete pod w-gone w-kept --now"),
        run("delete pvc gone kept"),
        run(format!("get pv {gone}")).code(1).has("not found").eventually(),
        run(format!("get pv {kept} -o jsonpath={{.status.phase}}")).is("Released").eventually(),
        // A volume that was let go can be taken again, with what is on it.
        run(format!("patch pv {kept} --type json -p '[{{\"op\":\"remove\",\"path\":\"/spec/claimRef\"}}]'"))
            .has("patched"),
        run(format!("get pv {kept} -o jsonpath={{.status.phase}}")).is("Available").eventually(),
        run("create -f -").input(claim("again", &format!(", storageClassName: keep-{space}, volumeName: {kept}"))),
        run("get pvc again -o jsonpath={.status.phase}").is("Bound").eventually(),
        run("create -f -").input(writer("again").replace("echo kept > /data/f", "cat /data/f")),
        run("logs w-again").is("kept").eventually(),
        run("delete pod w-again --now"),
        run("delete pvc again"),
        run(format!("delete pv {kept}")).has("deleted"),
        run(format!("delete storageclass keep-{space}")).has("deleted"),
    ]);
}
