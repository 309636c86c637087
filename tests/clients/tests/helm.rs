//! Helm 4: a chart of our own, from its installation to its end.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use drydock_tests_clients::{Tool, run};
use drydock_tests_harness::{Cluster, Product, Server};

#[allow(clippy::print_stderr, reason = "what is left out is told")]
fn library() -> Option<OsString> {
    let library = std::env::var_os("DRYDOCK_TEST_HELM");
    if library.is_none() {
        eprintln!("Helm is not here: DRYDOCK_TEST_HELM names no library, see `cargo xtask test`");
    }
    library
}

#[test]
fn a_chart_is_installed_upgraded_rolled_back_and_removed() {
    let Some(library) = library() else { return };
    let product = Product::new();
    life_of_a_chart(&Cluster::create(&product, "helm", 1), &library);
}

#[test]
fn the_same_with_a_servers_kubeconfig() {
    let Some(library) = library() else { return };
    let product = Product::new();
    let server = Server::start(&product, &["--host", "embedded"]);
    life_of_a_chart(&Cluster::of_session(&product, &server, 1).0, &library);
}

fn life_of_a_chart(cluster: &Cluster<'_>, library: &OsStr) {
    cluster.kubectl("create namespace shop").ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm");
    let command = |words: &[String]| {
        let mut command = Command::new("python3");
        command.arg(folder.join("helm.py")).arg(library).arg(cluster.kubeconfig()).arg("shop").args(words);
        command.env("HOME", cluster.scratch());
        command
    };
    let helm = Tool::new("helm", &command);
    let kubectl = |line: &str| cluster.kubectl(&format!("--namespace shop {line}"));
    let chart = folder.join("chart").display().to_string();
    helm.table(&[
        run("list").is(""),
        run("status tea").code(1).has("release: not found"),
        run(format!("install tea {chart} --wait")).is("tea 1 deployed shop-1.0.0 - Install complete"),
        run(format!("install tea {chart}")).code(1).has("cannot reuse a name that is still in use"),
        run("list").is("tea 1 deployed shop-1.0.0 - Install complete"),
        run("status tea")
            .has("tea sells tea.\n")
            .has("v1/ConfigMap tea")
            .has("v1/Deployment tea")
            .has("v1/Service tea")
            .has("v1/Order tea"),
    ]);
    // It waited, the hook ran first, the chart's own kind has its defaults.
    assert_eq!(kubectl("get deployment tea -o jsonpath={.status.readyReplicas}").ok(), "1");
    assert_eq!(kubectl("logs job/tea-before").ok(), "before revision 1\n");
    assert_eq!(kubectl("get order tea -o jsonpath={.spec}").ok(), "{\"count\":1,\"item\":\"tea\"}");
    assert!(kubectl("get secrets").ok().contains("sh.helm.release.v1.tea.v1   helm.sh/release.v1"));
    helm.table(&[
        run("test tea").is("tea 1 deployed shop-1.0.0 - Install complete"),
        run(format!("upgrade tea {chart} --wait --set replicas=2 --set 'greeting=\"ahoy\"'"))
            .is("tea 2 deployed shop-1.0.0 - Upgrade complete"),
        run("values tea").is("{\"greeting\": \"ahoy\", \"replicas\": 2}"),
    ]);
    assert!(kubectl("logs tea-test").ok().contains("demo v1 from tea-"));
    assert_eq!(kubectl("get configmap tea -o jsonpath={.data.greeting}").ok(), "ahoy");
    assert_eq!(kubectl("get deployment tea -o jsonpath={.status.readyReplicas}").ok(), "2");
    helm.table(&[
        // An image that is nowhere: it is not ready in time.
        run(format!("upgrade tea {chart} --wait --timeout_seconds=3 --set 'image=\"drydock/nowhere:v9\"'"))
            .code(1)
            .has("upgrade failed"),
        run("status tea").has("tea 3 failed shop-1.0.0 - Upgrade \"tea\" failed"),
        run("list").has("tea 3 failed"),
        // The same with a way back, which is a roll-back to the last good revision.
        run(format!(
            "upgrade tea {chart} --wait --rollback_on_failure --timeout_seconds=3 --set 'image=\"drydock/nowhere:v9\"'"
        ))
        .code(1)
        .has("has been rolled back due to rollback-on-failure being set"),
        run("history tea")
            .has("tea 1 superseded shop-1.0.0 - Install complete\n")
            .has("tea 2 superseded shop-1.0.0 - Upgrade complete\n")
            .has("tea 3 failed shop-1.0.0 - Upgrade \"tea\" failed")
            .has("tea 5 deployed shop-1.0.0 - Rollback to 2"),
    ]);
    assert_eq!(kubectl("get configmap tea -o jsonpath={.data.greeting}").ok(), "ahoy");
    assert_eq!(
        kubectl("get deployment tea -o jsonpath={.spec.template.spec.containers[0].image}").ok(),
        "drydock/demo:v1"
    );
    helm.table(&[
        run(format!("upgrade tea {chart} --wait --server_side_apply=\"true\" --force_conflicts")).has("tea 6 deployed"),
        run("uninstall tea").has("tea 6 uninstalled"),
        run("list").is(""),
    ]);
    // What hooks made is the chart's to remove; a definition stays, for it may hold what others own.
    kubectl("delete job,pod --all --now").ok();
    cluster.wait("get deployment,service,pod,order,job --namespace shop -o name", str::is_empty);
    assert_eq!(kubectl("get configmap,secret -o name").ok(), "configmap/kube-root-ca.crt\n");
    assert!(cluster.kubectl("get crd orders.shop.drydock.example -o name").ok().contains("orders"));
}
