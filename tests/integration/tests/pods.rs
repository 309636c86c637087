//! What pods may ask of their node, and what it does to those that ask too much.

use drydock_tests_harness::{Cluster, Product};

/// A manifest that kubectl does not take for JSON, which it would by its first letter.
fn pod(name: &str, spec: &str) -> String {
    format!("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {spec}}}")
}

const DEMO: &str = "image: drydock/demo:v1";

#[test]
fn environment_files_and_missing_local_volumes() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "files", 1);
    let write = r#"printf "A='from a file'\nB='two\nlines'\n" > /d/env"#;
    let writer =
        format!("{{name: w, {DEMO}, command: [sh, -c, {write:?}], volumeMounts: [{{name: d, mountPath: /d}}]}}");
    let variable = |name: &str, more: &str| {
        format!("{{name: {name}, valueFrom: {{fileKeyRef: {{volumeName: d, path: env, key: {name}{more}}}}}}}")
    };
    let env = [variable("A", ""), variable("B", ""), variable("C", ", optional: true")].join(", ");
    let reader = format!("{{name: c, {DEMO}, command: [sh, -c, 'echo \"$A|$B|$C\"'], env: [{env}]}}");
    let spec = format!(
        "{{restartPolicy: Never, initContainers: [{writer}], containers: [{reader}], volumes: [{{name: d, emptyDir: {{}}}}]}}"
    );
    cluster.kubectl_with("apply -f -", &pod("reader", &spec)).ok();
    cluster.wait("logs reader -c c", |text| text == "from a file|two\nlines|\n");
    let lost = format!(
        "{{restartPolicy: Never, containers: [{{name: c, {DEMO}, env: [{}]}}], volumes: [{{name: d, emptyDir: {{}}}}]}}",
        variable("A", "")
    );
    cluster.kubectl_with("apply -f -", &pod("lost", &lost)).ok();
    cluster.wait("get pod lost -o jsonpath='{.status.containerStatuses[0].state.waiting.reason}: {.status.containerStatuses[0].state.waiting.message}'", |text| {
        text == "CreateContainerConfigError: couldn't parse env file"
    });
    let volume = "---\n{apiVersion: v1, kind: PersistentVolume, metadata: {name: absent}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: manual, local: {path: /mnt/absent}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [worker-1]}]}]}}}}";
    let claim = "---\n{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: claim}, spec: {storageClassName: manual, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    let user = format!(
        "{{containers: [{{name: c, {DEMO}, volumeMounts: [{{name: v, mountPath: /v}}]}}], volumes: [{{name: v, persistentVolumeClaim: {{claimName: claim}}}}]}}"
    );
    cluster.kubectl_with("apply -f -", &[volume, claim, &pod("user", &user)].join("\n")).ok();
    cluster.wait("get events --field-selector involvedObject.name=user -o jsonpath='{.items[*].message}'", |text| {
        text.contains(
            "MountVolume.NewMounter initialization failed for volume \"absent\" : path \"/mnt/absent\" does not exist",
        )
    });
    // Once it is there, the pod goes on.
    let maker = format!(
        "{{nodeName: worker-1, containers: [{{name: c, {DEMO}}}], volumes: [{{name: v, hostPath: {{path: /mnt/absent, type: DirectoryOrCreate}}}}]}}"
    );
    cluster.kubectl_with("apply -f -", &pod("maker", &maker)).ok();
    cluster.wait("get pod user --no-headers", |line| line.contains("1/1") && line.contains("Running"));
}

#[test]
fn an_exit_code_restarts_all_containers_in_place() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "again", 1);
    let mount = "volumeMounts: [{name: d, mountPath: /d}]";
    let first = format!("{{name: i, {DEMO}, command: [sh, -c, 'echo run >> /d/runs'], {mount}}}");
    let once = format!("{{name: once, {DEMO}, command: ['true']}}");
    let main = format!("{{name: main, {DEMO}, command: [sh, -c, 'trap : TERM; while :; do sleep 1; done']}}");
    let watcher = format!(
        "{{name: watcher, {DEMO}, command: [sh, -c, 'test $(wc -l < /d/runs) -ge 2 && exec sleep 3600; exit 88'], {mount}, restartPolicy: Never, restartPolicyRules: [{{action: RestartAllContainers, exitCodes: {{operator: In, values: [88]}}}}]}}"
    );
    let spec = format!(
        "{{restartPolicy: Never, initContainers: [{first}], containers: [{main}, {once}, {watcher}], volumes: [{{name: d, emptyDir: {{}}}}]}}"
    );
    cluster.kubectl_with("apply -f -", &pod("all", &spec)).ok();
    let counts = "get pod all -o jsonpath='{.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[*].restartCount} {.status.containerStatuses[0].state.running.startedAt} {.status.conditions[?(@.type==\"AllContainersRestarting\")].status}'";
    let seen = cluster.wait(counts, |text| text.starts_with("1 1 1 1 20") && text.ends_with(" False"));
    let address = cluster.kubectl("get pod all -o jsonpath='{.status.podIP}'").ok();
    assert!(!address.is_empty(), "{seen}");
    assert_eq!(cluster.kubectl("exec all -c watcher -- sh -c 'wc -l < /d/runs'").ok().trim(), "2");
    // What the API server would not take.
    let wrong = pod("wrong", &spec.replace("RestartAllContainers", "Rest"));
    let refused = cluster.kubectl_with("apply -f -", &wrong).failed();
    assert!(refused.contains("Unsupported value: \"Rest\""), "{refused}");
}

#[test]
fn pods_beyond_their_limits_and_pods_of_other_systems_are_refused() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "limits", 1);
    let fill = "command: [sh, -c, 'dd if=/dev/zero of=/d/x bs=1M count=20; sleep 3600']";
    let volume = format!(
        "{{containers: [{{name: c, {DEMO}, {fill}, volumeMounts: [{{name: d, mountPath: /d}}]}}], volumes: [{{name: d, emptyDir: {{sizeLimit: 5Mi}}}}]}}"
    );
    let own = format!(
        "{{containers: [{{name: c, {DEMO}, command: [sh, -c, 'dd if=/dev/zero of=/x bs=1M count=20; sleep 3600'], resources: {{limits: {{ephemeral-storage: 5Mi}}}}}}]}}"
    );
    let pages = format!(
        "{{nodeName: worker-1, containers: [{{name: c, {DEMO}, resources: {{limits: {{hugepages-2Mi: 4Mi, memory: 64Mi}}}}}}]}}"
    );
    let windows = format!("{{nodeName: worker-1, os: {{name: windows}}, containers: [{{name: c, {DEMO}}}]}}");
    let names = ["volume", "own", "pages", "windows"];
    for (name, spec) in names.iter().zip([volume, own, pages, windows]) {
        cluster.kubectl_with("apply -f -", &pod(name, &spec)).ok();
    }
    let expected = [
        "Failed Evicted: Usage of EmptyDir volume \"d\" exceeds the limit \"5Mi\". ",
        "Failed Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. ",
        "Failed OutOfhugepages-2Mi: Pod was rejected: Node didn't have enough resource: hugepages-2Mi, requested: 4194304, used: 0, capacity: 0",
        "Failed PodOSNotSupported: Pod was rejected: Failed to admit pod as the OS field doesn't match node OS",
    ];
    for (name, expected) in names.iter().zip(expected) {
        let line = format!("get pod {name} -o jsonpath='{{.status.phase}} {{.status.reason}}: {{.status.message}}'");
        cluster.wait(&line, |text| text == expected);
    }
    let listed = cluster.kubectl("get --raw /api/v1/nodes/worker-1/proxy/pods").ok();
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("a list");
    let items = listed["items"].as_array().expect("items");
    let found = |name: &str| items.iter().find(|pod| pod["metadata"]["name"] == name).expect("the pod");
    assert_eq!(found("volume")["spec"]["volumes"][0]["emptyDir"]["sizeLimit"], "5Mi");
    assert_eq!(found("kube-proxy-worker-1")["metadata"]["annotations"]["kubernetes.io/config.source"], "file");
    assert_eq!(found("kube-proxy-worker-1")["spec"]["hostNetwork"], true);
}
