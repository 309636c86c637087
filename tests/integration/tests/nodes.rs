//! Nodes and components that come, go, hang and come back while the cluster runs.

use std::time::{Duration, Instant};

use drydock_tests_harness::{Cluster, Product, wait_for_within};

const READY: &str = "-o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}'";

#[test]
fn workers_are_added_and_removed() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "grows", 1);
    assert_eq!(product.drydock(["node", "add", "grows"]).ok(), "node worker-2 of cluster \"grows\" is Ready\n");
    assert_eq!(cluster.kubectl(&format!("get node worker-2 {READY}")).ok(), "True");
    // What runs there is as good as elsewhere.
    let there = "{\"spec\": {\"nodeName\": \"worker-2\"}}";
    cluster.kubectl(&format!("run there --image=drydock/demo:v1 --overrides='{there}'")).ok();
    cluster.wait("get pod there --no-headers", |line| line.contains("1/1") && line.contains("Running"));
    assert_eq!(cluster.kubectl("exec there -- sh -c 'echo in'").ok(), "in\n");
    let listed = product.drydock(["cluster", "list", "--output", "json"]).ok();
    assert!(listed.contains("\"workers\":2"), "{listed}");

    product.drydock(["node", "remove", "grows", "worker-2"]).ok();
    assert!(cluster.kubectl("get node worker-2").failed().contains("NotFound"));
    cluster.wait("get pods --no-headers", str::is_empty);
    assert_eq!(
        product.drydock(["node", "remove", "grows", "master"]).failed(),
        "drydock: master is not a worker: only workers can be removed; to remove everything, delete the cluster\n"
    );
    assert_eq!(
        product.drydock(["node", "remove", "grows", "worker-2"]).failed(),
        "drydock: cluster \"grows\" has no node named \"worker-2\"\n"
    );
}

#[test]
fn a_node_that_hangs_and_comes_back_has_its_pods_ready_again() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "hangs", 1);
    cluster.kubectl("run web --image=drydock/demo:v1").ok();
    let web = format!("get pod web {READY}");
    cluster.wait(&web, |ready| ready == "True");
    product.drydock(["fault", "node", "hangs", "worker-1", "freeze"]).ok();
    wait_for_within(Duration::from_secs(60), "the pod not to count as ready", || {
        let ready = cluster.kubectl(&web).stdout;
        if ready == "False" { Ok(()) } else { Err(ready) }
    });
    product.drydock(["fault", "node", "hangs", "worker-1", "heal"]).ok();
    cluster.wait(&format!("get node worker-1 {READY}"), |ready| ready == "True");
    cluster.wait(&web, |ready| ready == "True");
    product.drydock(["fault", "node", "hangs", "worker-1", "cut"]).ok();
    wait_for_within(Duration::from_secs(60), "the node to be away", || {
        let ready = cluster.kubectl(&format!("get node worker-1 {READY}")).stdout;
        if ready == "Unknown" { Ok(()) } else { Err(ready) }
    });
    product.drydock(["fault", "node", "hangs", "worker-1", "heal"]).ok();
    cluster.wait(&format!("get node worker-1 {READY}"), |ready| ready == "True");
}

#[test]
fn a_component_that_hangs_is_missed_and_goes_on() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "parts", 1);
    let fault =
        |component: &str, fault: &str| product.drydock(["fault", "component", "parts", "master", component, fault]);
    fault("kube-scheduler", "pause").ok();
    cluster.kubectl("run web --image=drydock/demo:v1").ok();
    cluster.wait("get events -A", |events| !events.contains("pod/web"));
    assert_eq!(cluster.kubectl("get pod web -o jsonpath={.spec.nodeName}").ok(), "");
    fault("kube-scheduler", "resume").ok();
    cluster.wait("get pod web --no-headers", |line| line.contains("Running"));
    fault("kube-proxy", "kill").ok();
    let restarts = "get pod -n kube-system kube-proxy-master -o jsonpath={.status.containerStatuses[0].restartCount}";
    cluster.wait(restarts, |count| count == "1");
    assert_eq!(fault("nonsense", "kill").failed(), "drydock: no process named \"nonsense\" runs on master\n");
    assert_eq!(
        fault("kubelet", "kill").failed(),
        "drydock: the kubelet is the node itself: stop, kill or freeze the node instead\n"
    );
}

#[test]
fn lost_packets_and_slow_writes_are_felt_and_healed() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "slow", 2);
    for (name, node) in [("here", "worker-1"), ("there", "worker-2")] {
        let overrides = format!("{{\"spec\": {{\"nodeName\": \"{node}\"}}}}");
        cluster.kubectl(&format!("run {name} --image=drydock/tools --overrides='{overrides}' -- sleep 1h")).ok();
        cluster.wait(&format!("get pod {name} {READY}"), |ready| ready == "True");
    }
    let address = cluster.kubectl("get pod there -o jsonpath={.status.podIP}").ok();
    // How many of 50 come back.
    let ping = || {
        let printed = cluster.kubectl(&format!("exec here -- ping -c 50 -i 0.02 -W 1 {address}")).stdout;
        let received = printed.split(", ").find_map(|part| part.strip_suffix(" received")).unwrap_or("none");
        received.parse::<u32>().unwrap_or_else(|_| panic!("ping prints a count:\n{printed}"))
    };
    assert_eq!(ping(), 50);
    product.drydock(["fault", "loss", "slow", "worker-2", "50"]).ok();
    // Fewer than 5 or more than 45 of 50 are as good as impossible.
    let received = ping();
    assert!((5..=45).contains(&received), "{received} of 50 came through a half");
    // What heals a node heals this too; half the packets are enough for the node itself to stay.
    product.drydock(["fault", "node", "slow", "worker-2", "heal"]).ok();
    assert_eq!(ping(), 50);
    assert!(product.drydock(["fault", "loss", "slow", "worker-2", "101"]).failed().contains("101 is not in 0..=100"));
    assert_eq!(
        product.drydock(["fault", "loss", "slow", "worker-9", "10"]).failed(),
        "drydock: cluster \"slow\" has no node named \"worker-9\"\n"
    );

    let write = |name: &str| {
        let begun = Instant::now();
        cluster.kubectl(&format!("create configmap {name}")).ok();
        begun.elapsed()
    };
    let delay = Duration::from_millis(1500);
    product.drydock(["fault", "writes", "slow", "1500ms"]).ok();
    assert!(write("slowly") >= delay);
    product.drydock(["fault", "writes", "slow", "0"]).ok();
    cluster.kubectl("get configmap slowly").ok();
    let quick = (0..5).map(|number| write(&format!("quickly-{number}"))).min();
    assert!(quick.is_some_and(|quick| quick < delay), "{quick:?}");
}
