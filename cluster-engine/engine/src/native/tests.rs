//! Tables over planned clusters.

use super::*;
use crate::spec::WorkstationSpec;

fn planned(workers: u16) -> Plan {
    plan(&ClusterSpec {
        workstation: Some(WorkstationSpec {
            image: "drydock/tools:latest".to_owned(),
            kubectl: "/usr/bin/kubectl".into(),
        }),
        ..ClusterSpec::new("lab", workers)
    })
    .expect("plan")
}

#[test]
fn one_master_the_workers_and_a_workstation() {
    let names: Vec<_> = planned(2).nodes.into_iter().map(|node| (node.name, node.ip.to_string())).collect();
    let expected =
        [("master", "10.20.0.2"), ("worker-1", "10.20.0.3"), ("worker-2", "10.20.0.4"), ("workstation", "10.20.0.250")];
    assert_eq!(names, expected.map(|(name, ip)| (name.to_owned(), ip.to_owned())));
}

#[test]
fn load_balancers_live_in_the_third_quarter_of_the_network() {
    for (gateway, prefix, expected) in [
        ([10, 20, 0, 1], 24, "10.20.0.128/26"),
        ([172, 18, 0, 1], 16, "172.18.128.0/18"),
        ([10, 1, 2, 65], 26, "10.1.2.96/28"),
    ] {
        let network = SessionNetwork { gateway: Ipv4Addr::from(gateway), prefix, ..network() };
        assert_eq!(network.load_balancers(), expected);
    }
}

#[test]
fn workers_hold_no_secret_of_the_control_plane() {
    for node in planned(3).nodes.iter().filter(|node| node.role == NodeRole::Worker) {
        for file in &node.files {
            let secret = ["ca.key", "sa.key", "etcd", "admin", "scheduler", "controller-manager", "apiserver"];
            assert!(!secret.iter().any(|word| file.path.contains(word)), "{} has {}", node.name, file.path);
        }
    }
}

#[test]
fn private_keys_and_kubeconfigs_are_for_their_owner_only() {
    for node in planned(1).nodes {
        for file in node.files {
            let private = file.contents.contains("PRIVATE KEY") || file.contents.contains("client-key-data");
            assert!(!private || file.mode == 0o600, "{} on {} has mode {:o}", file.path, node.name, file.mode);
        }
    }
}

#[test]
fn addresses_of_the_largest_cluster_do_not_meet() {
    let nodes = planned(crate::spec::MAX_WORKERS).nodes;
    let mut addresses: Vec<_> = nodes.iter().map(|node| node.ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), nodes.len());
}
