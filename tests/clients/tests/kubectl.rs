//! kubectl's verbs, as tables.

mod tables;

use drydock_tests_clients::Client;
use drydock_tests_harness::{Cluster, Product, Server};

type Table = fn(&Client<'_>);

/// Runs tables on one cluster with all clients at the same time, each in its namespace.
#[track_caller]
fn check(name: &str, workers: u16, tables: &[Table]) {
    let product = Product::new();
    let cluster = Cluster::create(&product, name, workers);
    let clients = Client::all(&cluster);
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(move || tables.iter().for_each(|table| table(client)));
        }
    });
}

/// Runs tables about what belongs to no namespace: one client after the other.
#[track_caller]
fn check_in_turn(name: &str, workers: u16, tables: &[Table]) {
    let product = Product::new();
    let cluster = Cluster::create(&product, name, workers);
    for client in Client::all(&cluster) {
        tables.iter().for_each(|table| table(&client));
    }
}

/// What travels in more than one way: whole answers, watches, streams of both kinds, discovery.
#[test]
fn a_servers_kubeconfig_does_as_much() {
    use tables::{apply, forms, pods};
    let product = Product::new();
    let server = Server::start(&product, &["--host", "embedded"]);
    let (cluster, _) = Cluster::of_session(&product, &server, 1);
    assert!(std::fs::read_to_string(cluster.kubeconfig()).expect("a kubeconfig").contains("/kube\n"));
    for client in Client::all(&cluster) {
        let tables: [Table; 6] =
            [apply::client_side, apply::server_side, forms::explain, pods::streams, pods::logs, pods::attaching];
        tables.iter().for_each(|table| table(&client));
    }
}

#[test]
fn objects_are_applied_changed_and_compared() {
    use tables::{access, apply, forms, limits};
    let tables: [Table; 9] = [
        apply::client_side,
        apply::server_side,
        apply::changes,
        apply::mistakes,
        forms::outputs,
        forms::explain,
        access::rights,
        limits::quotas,
        limits::ranges,
    ];
    check("objects", 1, &tables);
}

#[test]
fn workloads_run() {
    use tables::{batch, workloads};
    let tables: [Table; 6] = [
        workloads::rollouts,
        workloads::scaling,
        batch::jobs,
        batch::cron_jobs,
        batch::disruptions,
        workloads::daemons,
    ];
    check("workloads", 2, &tables);
}

#[test]
fn pods_are_entered_watched_and_copied() {
    use tables::pods;
    check("pods", 1, &[pods::streams, pods::logs, pods::attaching, pods::debugging, pods::measuring]);
}

#[test]
fn data_stays() {
    use tables::storage;
    check("data", 2, &[storage::stateful_sets, storage::volumes]);
}

#[test]
fn traffic_finds_its_way() {
    use tables::network;
    check("traffic", 2, &[network::services, network::names, network::ingresses, network::policies]);
}

#[test]
fn nodes_are_emptied_and_kinds_are_defined() {
    use tables::{custom, network, nodes};
    check_in_turn("wide", 2, &[nodes::maintenance, custom::definitions, custom::schemas, network::ranges]);
}
