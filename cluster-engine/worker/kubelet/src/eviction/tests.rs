//! Thresholds, ranking and words as tables.

use super::*;
use crate::pod::tests::pod;

fn config(list: &[(&str, &str)]) -> KubeletConfiguration {
    let eviction_hard = list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    KubeletConfiguration { eviction_hard, ..KubeletConfiguration::default() }
}

#[test]
fn thresholds_are_amounts_or_shares() {
    let check = |name: &str, text: &str, available: u64, expected: bool| {
        let short = shortages(&config(&[(name, text)]), |_| Some(Supply { capacity: 1000, available }));
        assert_eq!(!short.is_empty(), expected, "{name} {text} {available}");
    };
    check("memory.available", "100", 99, true);
    check("memory.available", "100", 100, false);
    check("nodefs.available", "10%", 99, true);
    check("nodefs.available", "10%", 100, false);
    check("pid.available", "1k", 999, true);
    check("memory.available", "nonsense", 0, false);
    assert!(shortages(&config(&[]), |_| Some(Supply { capacity: 1000, available: 0 })).is_empty());
}

fn candidate(name: &str, spec: &str, usage: i64) -> Candidate {
    let pod = pod(&format!("{{metadata: {{name: {name}}}, spec: {{{spec}}}}}"));
    Candidate { pod: Arc::new(pod), usage, containers: vec![("c".to_owned(), usage)] }
}

#[test]
fn greedy_unimportant_pods_go_first() {
    let request = |bytes: i64| format!("containers: [{{name: c, resources: {{requests: {{memory: {bytes}}}}}}}]");
    let ranked = ranked(
        vec![
            candidate("modest", &request(100), 90),
            candidate("important", &format!("priority: 5, {}", request(0)), 500),
            candidate("over", &request(100), 150),
            candidate("far-over", &request(100), 300),
            candidate("system", "priority: 2000001000, containers: [{name: c}]", 900),
        ],
        Signal::Memory,
    );
    let names: Vec<_> = ranked.iter().map(|candidate| candidate.pod.metadata.name.as_str()).collect();
    assert_eq!(names, ["far-over", "over", "important", "modest"]);
}

#[test]
fn the_reason_is_upstreams() {
    let shortage = Shortage { signal: Signal::Memory, threshold: 100 << 20, available: 50 << 20 };
    let failure = reason(&candidate("p", "containers: [{name: c}]", 200 << 20), &shortage);
    assert_eq!(failure.reason, "Evicted");
    assert_eq!(
        failure.message,
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using 200Mi, request is 0, has larger consumption of memory. "
    );
}

#[test]
fn who_is_let_in_under_pressure() {
    let check = |spec: &str, pressures: &[Signal], expected: Option<&str>| {
        let refused = refuses(&pod(&format!("spec: {{{spec}}}")), pressures);
        assert_eq!(refused.map(|failure| failure.message).as_deref(), expected, "{spec}");
    };
    let memory = Some("Pod was rejected: The node had condition: [MemoryPressure]. ");
    check("containers: [{name: c}]", &[], None);
    check("containers: [{name: c}]", &[Signal::Memory], memory);
    check("containers: [{name: c, resources: {requests: {cpu: 1}}}]", &[Signal::Memory], None);
    let disk = Some("Pod was rejected: The node had condition: [DiskPressure]. ");
    check("containers: [{name: c, resources: {requests: {cpu: 1}}}]", &[Signal::Disk, Signal::Inodes], disk);
    check("priority: 2000000000, containers: [{name: c}]", &[Signal::Disk], None);
    check(
        "tolerations: [{key: node.kubernetes.io/memory-pressure, operator: Exists, effect: NoSchedule}], containers: [{name: c}]",
        &[Signal::Memory],
        None,
    );
}
