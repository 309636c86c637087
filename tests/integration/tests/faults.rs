//! Bad days: processes die, nodes go away, and the cluster is as before.

use std::time::Duration;

use drydock_tests_harness::{Cluster, Product, wait_for, wait_for_within};

#[test]
fn killed_components_come_back_and_nothing_written_is_lost() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "kills", 1);
    for (index, component) in
        ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].into_iter().enumerate()
    {
        let name = format!("before-{index}");
        cluster.kubectl(&format!("create configmap {name} --from-literal=component={component}")).ok();
        cluster.exec("master", &["/usr/local/bin/busybox", "killall", "-9", component]).ok();
        wait_for(&format!("the API after the end of {component}"), || {
            let outcome = cluster.kubectl(&format!("get configmap {name} -o jsonpath={{.data.component}}"));
            if outcome.code == 0 && outcome.stdout == component { Ok(()) } else { Err(outcome.stderr) }
        });
        cluster.wait(
            &format!(
                "get pod -n kube-system {component}-master -o jsonpath={{.status.containerStatuses[0].restartCount}}"
            ),
            |text| text.parse::<u32>().is_ok_and(|restarts| restarts >= 1),
        );
    }
    // Controllers and scheduler work as before.
    cluster.kubectl("create deployment web --image=drydock/demo:v1 --replicas=2").ok();
    cluster.wait("get deployment web -o jsonpath={.status.readyReplicas}", |text| text == "2");
}

#[test]
fn pods_of_a_stopped_worker_come_back_on_the_other() {
    let product = Product::new();
    let cluster = Cluster::create(&product, "stops", 2);
    cluster.kubectl("create deployment web --image=drydock/demo:v1 --replicas=4").ok();
    cluster.wait("get deployment web -o jsonpath={.status.readyReplicas}", |text| text == "4");
    // A node whose first process is killed is a machine that lost its power.
    product.drydock(["cluster", "stop-node", cluster.name(), "worker-2"]).ok();
    let minute = Duration::from_secs(90);
    wait_for_within(minute, "worker-2 to be NotReady", || {
        let nodes = cluster.kubectl("get nodes --no-headers").stdout;
        let gone = nodes.lines().any(|line| line.starts_with("worker-2") && line.contains("NotReady"));
        if gone { Ok(()) } else { Err(nodes) }
    });
    wait_for_within(minute, "four pods on worker-1", || {
        let pods = cluster.kubectl("get pods -l app=web -o wide --no-headers").stdout;
        let well =
            pods.lines().filter(|line| line.contains("worker-1") && line.contains("1/1") && line.contains("Running"));
        if well.count() == 4 { Ok(()) } else { Err(pods) }
    });
    product.drydock(["cluster", "start-node", cluster.name(), "worker-2"]).ok();
    cluster.wait("get nodes --no-headers", |nodes| nodes.lines().filter(|line| line.contains(" Ready ")).count() == 3);
}
