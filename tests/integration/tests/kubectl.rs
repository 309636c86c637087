//! The genuine kubectl against a real cluster, command by command.

use drydock_tests_harness::{Cluster, Follow, Product, wait_for};

const DEMO: &str = "--image=drydock/demo:v1";

#[test]
fn three_nodes_are_ready_and_the_control_plane_is_there() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "nodes", 2);
    let nodes = cluster.kubectl("get nodes -o wide --no-headers").ok();
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 3, "{nodes}");
    for address in ["10.20.0.2", "10.20.0.3", "10.20.0.4"] {
        assert!(nodes.contains(address), "{nodes}");
    }
    let pods = cluster.wait("get pods -A -o wide --no-headers", |pods| {
        [
            "etcd-master",
            "kube-apiserver-master",
            "kube-controller-manager-master",
            "kube-scheduler-master",
            "kube-proxy-worker-1",
        ]
        .iter()
        .all(|name| pods.lines().any(|line| line.contains(name) && line.contains("1/1") && line.contains("Running")))
    });
    assert!(pods.contains("kube-system"), "{pods}");
    let described = cluster.kubectl("describe node worker-1").ok();
    for part in ["KubeletReady", "kubelet is posting ready status", "PodCIDR:", "Allocated resources:"] {
        assert!(described.contains(part), "{part} is missing in\n{described}");
    }
}

#[test]
fn a_pod_runs_logs_and_can_be_entered() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "pods", 1);
    assert_eq!(cluster.kubectl(&format!("run hello {DEMO}")).ok(), "pod/hello created\n");
    cluster.wait("get pod hello --no-headers", |line| line.contains("1/1") && line.contains("Running"));
    assert!(cluster.kubectl("logs hello").ok().contains("demo v1 listens on port 8080"));
    assert_eq!(cluster.kubectl("exec hello -- sh -c 'echo $((6*7))'").ok(), "42\n");
    let outcome = cluster.kubectl("exec hello -- sh -c 'exit 7'");
    assert_eq!(outcome.code, 7, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("command terminated with exit code 7"), "{}", outcome.stderr);
    assert_eq!(cluster.kubectl_with("exec -i hello -- cat", "through the pipe\n").ok(), "through the pipe\n");
    let described = cluster.kubectl("describe pod hello").ok();
    for part in ["Successfully assigned default/hello to", "Container image \"drydock/demo:v1\"", "Started"] {
        assert!(described.contains(part), "{part} is missing in\n{described}");
    }
    let answer = cluster.kubectl("exec hello -- wget -qO- http://127.0.0.1:8080").ok();
    assert!(answer.starts_with("demo v1 from hello (10.244."), "{answer}");
    assert_eq!(
        cluster.kubectl("delete pod hello").ok(),
        "pod \"hello\" deleted from default namespace\n".replace(" from default namespace", delete_suffix(&cluster))
    );
    let gone = cluster.kubectl("get pod hello").failed();
    assert_eq!(gone, "Error from server (NotFound): pods \"hello\" not found\n");
}

/// Newer kubectl names the namespace.
fn delete_suffix(cluster: &Cluster<'_>) -> &'static str {
    let version: serde_json::Value =
        serde_json::from_str(&cluster.kubectl("version --client -o json").ok()).expect("kubectl version");
    let minor: u32 = version["clientVersion"]["minor"]
        .as_str()
        .and_then(|minor| minor.trim_end_matches('+').parse().ok())
        .unwrap_or(0);
    if minor >= 34 { " from default namespace" } else { "" }
}

#[test]
fn watches_logs_and_shells_follow_what_happens() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "follows", 1);
    let pods = Follow::start(cluster.kubectl_command("get pods --watch"));
    // Once the watch tells of one pod, it tells of the next from its very beginning.
    cluster.kubectl(&format!("run first {DEMO}")).ok();
    pods.wait("the watch", |seen| seen.contains("first"));
    let script = "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.2; done; sleep 3600";
    cluster.kubectl(&format!("run hello {DEMO} --command -- sh -c '{script}'")).ok();
    pods.wait("the pod to be Running", |seen| {
        let is = |state: &str| seen.lines().any(|line| line.starts_with("hello") && line.contains(state));
        is("Pending") && is("1/1     Running")
    });
    let mut logs = Follow::start(cluster.kubectl_command("logs --follow hello"));
    logs.wait_text("line 8\n");
    assert_eq!(logs.seen().lines().collect::<Vec<_>>(), (1..=8).map(|i| format!("line {i}")).collect::<Vec<_>>());

    let mut shell = Follow::on_terminal(cluster.kubectl_command("exec --stdin --tty hello -- sh"));
    shell.type_text("stty size; tty\n");
    shell.wait_text("24 100\r\n/dev/pts/0");
    shell.type_text("sleep 1000\n");
    cluster.wait("exec hello -- sh -c 'grep -ls 100[0] /proc/[0-9]*/cmdline'", |found| !found.is_empty());
    shell.type_text("\u{3}");
    shell.type_text("echo inter''rupted\n");
    shell.wait_text("interrupted\r\n");
    shell.type_text("exit 3\n");
    assert_eq!(shell.end(), 3, "{}", shell.seen());

    cluster.kubectl("delete pod hello --grace-period=1").ok();
    pods.wait_text("Terminating");
    assert_eq!(logs.end(), 0, "the log's end is the command's");
}

#[test]
fn a_process_that_dies_is_started_again_in_the_same_pod() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "restarts", 1);
    cluster.kubectl(&format!("run hello {DEMO}")).ok();
    let running =
        "get pod hello -o jsonpath='{.status.phase} {.status.podIP} {.status.containerStatuses[0].restartCount}'";
    let before = cluster.wait(running, |text| text.starts_with("Running 10.244."));
    let address = before.split(' ').nth(1).expect("an address").to_owned();
    // The connection breaks with the process: wget's own verdict does not matter.
    cluster.kubectl("exec hello -- wget -qO- --post-data= 'http://127.0.0.1:8080/exit?code=3'");
    cluster.wait(running, |text| text == format!("Running {address} 1"));
    let code = "get pod hello -o jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'";
    assert_eq!(cluster.kubectl(code).ok(), "3");
}

#[test]
fn a_deployment_scales_heals_and_is_rolled_out() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "deployments", 2);
    assert_eq!(
        cluster.kubectl(&format!("create deployment web {DEMO} --replicas=3")).ok(),
        "deployment.apps/web created\n"
    );
    let ready = |count: u32| {
        cluster.wait("get deployment web -o jsonpath={.status.readyReplicas}", |text| text == count.to_string());
    };
    ready(3);
    let names = || -> Vec<String> {
        let names = cluster.kubectl("get pods -l app=web -o jsonpath='{.items[*].metadata.name}'").ok();
        names.split_whitespace().map(str::to_owned).collect()
    };
    let first = names();
    cluster.kubectl(&format!("delete pod {} --wait=false", first[0])).ok();
    wait_for("a pod in place of the deleted one", || {
        let now = names();
        let replaced = now.len() == 3 && !now.contains(&first[0]);
        if replaced { Ok(()) } else { Err(format!("{now:?}")) }
    });
    assert_eq!(cluster.kubectl("scale deployment web --replicas=5").ok(), "deployment.apps/web scaled\n");
    ready(5);
    assert_eq!(
        cluster.kubectl("set image deployment/web demo=drydock/demo:v2").ok(),
        "deployment.apps/web image updated\n"
    );
    let rolled = cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    assert!(rolled.contains("deployment \"web\" successfully rolled out"), "{rolled}");
    assert!(cluster.kubectl("rollout history deployment/web").ok().contains('2'));
    assert_eq!(cluster.kubectl("rollout undo deployment/web").ok(), "deployment.apps/web rolled back\n");
    cluster.kubectl("rollout status deployment/web --timeout=60s").ok();
    let image = "get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'";
    assert_eq!(cluster.kubectl(image).ok(), "drydock/demo:v1");
    cluster.kubectl("delete deployment web").ok();
    cluster.wait("get pods -l app=web --no-headers", str::is_empty);
}

const MANIFEST: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, size: large}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  containers:
  - name: main
    image: drydock/demo:v1
    env:
    - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: key, key: password}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    volumeMounts:
    - {name: config, mountPath: /config}
    - {name: shared, mountPath: /shared}
  - name: side
    image: drydock/demo:v1
    command: [sh, -c, 'echo hello > /shared/note; sleep 3600']
    volumeMounts:
    - {name: shared, mountPath: /shared}
  volumes:
  - {name: config, configMap: {name: settings}}
  - {name: shared, emptyDir: {}}
";

#[test]
fn apply_configures_and_removes_what_is_left_out() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "apply", 1);
    let created = cluster.kubectl_with("apply -f -", MANIFEST).ok();
    assert_eq!(created, "configmap/settings created\nsecret/key created\npod/reader created\n");
    cluster.wait("get pod reader --no-headers", |line| line.contains("2/2"));
    let env = cluster.kubectl("exec reader -c main -- sh -c 'echo $COLOUR $PASSWORD $NODE'").ok();
    assert_eq!(env, "blue s3cret worker-1\n");
    assert_eq!(cluster.kubectl("exec reader -c main -- cat /config/size").ok(), "large");
    assert_eq!(cluster.kubectl("exec reader -c main -- cat /shared/note").ok(), "hello\n");
    // As upstream: kubectl cannot tell written-only `stringData` and the volume that the server added from a change.
    let unchanged = cluster.kubectl_with("apply -f -", MANIFEST).ok();
    assert_eq!(unchanged, "configmap/settings unchanged\nsecret/key configured\npod/reader configured\n");
    let smaller = MANIFEST.split("---").next().expect("the first object").replace(", size: large", "");
    assert_eq!(cluster.kubectl_with("apply -f -", &smaller).ok(), "configmap/settings configured\n");
    assert_eq!(cluster.kubectl("get configmap settings -o jsonpath={.data}").ok(), "{\"colour\":\"blue\"}");
}

#[test]
fn a_service_has_an_address_a_name_and_all_its_pods_behind_it() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "services", 2);
    cluster.kubectl(&format!("create deployment web {DEMO} --replicas=3")).ok();
    assert_eq!(cluster.kubectl("expose deployment web --port=80 --target-port=8080").ok(), "service/web exposed\n");
    cluster.kubectl(&format!("run client {DEMO}")).ok();
    cluster.wait("get deployment web -o jsonpath={.status.readyReplicas}", |text| text == "3");
    cluster.wait("get pod client --no-headers", |line| line.contains("Running"));
    cluster.wait("get deployment -n kube-system cluster-dns -o jsonpath={.status.readyReplicas}", |text| text == "1");
    let asked = cluster.wait("exec client -- sh -c 'for i in $(seq 60); do wget -T 2 -qO- http://web; done'", |text| {
        let mut hosts: Vec<_> = text.lines().filter_map(|line| line.split(' ').nth(3)).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.len() == 3
    });
    assert_eq!(asked.lines().count(), 60, "every request is answered:\n{asked}");
    let full = "exec client -- wget -T 2 -qO- http://web.default.svc.cluster.local";
    assert!(cluster.kubectl(full).ok().starts_with("demo v1"));
    let direct = cluster.kubectl("get pods -l app=web -o jsonpath='{.items[*].status.podIP}'").ok();
    for address in direct.split_whitespace() {
        assert!(
            cluster.kubectl(&format!("exec client -- wget -T 2 -qO- http://{address}:8080")).ok().contains(address)
        );
    }
}

#[test]
fn mistakes_are_told_as_upstream_tells_them() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "mistakes", 1);
    let table = [
        ("get pod nope", "Error from server (NotFound): pods \"nope\" not found\n"),
        ("get nonsense", "error: the server doesn't have a resource type \"nonsense\"\n"),
        (
            "run Hello --image=x",
            "The Pod \"Hello\" is invalid: \n* metadata.name: Invalid value: \"Hello\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n* spec.containers[0].name: Invalid value: \"Hello\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n",
        ),
        ("create namespace default", "Error from server (AlreadyExists): namespaces \"default\" already exists\n"),
    ];
    for (line, expected) in table {
        assert_eq!(cluster.kubectl(line).failed(), expected, "kubectl {line}");
    }
    let unknown =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b, imagee: c}]}\n";
    let refused = cluster.kubectl_with("apply -f -", unknown).failed();
    assert!(refused.contains("unknown field \"spec.containers[0].imagee\""), "{refused}");
    cluster.kubectl("run nope --image=nowhere/nothing:v9").ok();
    cluster
        .wait("get pod nope --no-headers", |line| line.contains("ErrImagePull") || line.contains("ImagePullBackOff"));
    let events = cluster.wait("describe pod nope", |text| text.contains("ImagePullBackOff"));
    assert!(events.contains("nowhere/nothing:v9"), "{events}");
}
