//! kubectl's verbs, as tables.

mod tables;

use drydock_tests_clients::Client;
use drydock_tests_harness::{Cluster, Product};

/// Runs tables on one cluster with each client.
#[track_caller]
fn check(name: &str, workers: u16, tables: &[fn(&Client<'_>)]) {
    let product = Product::new();
    let cluster = Cluster::create(&product, name, workers);
    for client in Client::all(&cluster) {
        for table in tables {
            table(&client);
        }
    }
}

#[test]
fn objects_are_applied_changed_and_compared() {
    check("apply", 1, &[tables::apply::client_side, tables::apply::server_side, tables::apply::changes]);
}

#[test]
fn mistakes_are_told() {
    check("mistakes", 1, &[tables::apply::mistakes]);
}

#[test]
fn workloads_are_rolled_out() {
    check("rollout", 1, &[tables::workloads::rollouts, tables::workloads::scaling]);
}

#[test]
fn pods_are_entered_watched_and_copied() {
    check("pods", 1, &[tables::pods::streams, tables::pods::debugging]);
}

#[test]
fn objects_are_listed_in_every_form() {
    check("forms", 1, &[tables::forms::outputs, tables::forms::explain]);
}

#[test]
fn rights_are_asked_for() {
    check("rights", 1, &[tables::access::rights]);
}

#[test]
fn nodes_are_emptied() {
    check("nodes", 2, &[tables::nodes::maintenance]);
}

#[test]
fn definitions_bring_kinds() {
    check("custom", 1, &[tables::custom::definitions]);
}
