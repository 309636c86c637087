//! Files of the machine: no path, link, volume or log leads to them.

use std::fs;

use crate::lab::{Lab, PLACES, Place, on_the_machine};
use crate::machine;

pub(crate) fn are_out_of_reach(lab: &Lab<'_>) {
    let product = lab.product;
    let canary = product.scratch().join("canary");
    let word = format!("canary-of-{}", std::process::id());
    fs::write(&canary, &word).expect("our folder");
    let canary = canary.display().to_string();
    assert_eq!(on_the_machine(&["read", &canary])[0].1, format!("read {word}"));

    let ways =
        ["", "/node", "/proc/1/root", "/proc/self/root", "/node/proc/1/root", "/proc/1/cwd/../../../../..", "/.."];
    let ways: Vec<String> = ways.iter().map(|way| format!("{way}{canary}")).collect();
    let mut words = vec!["read"];
    words.extend(ways.iter().map(String::as_str));
    lab.everywhere(&words, |_, _, outcome| !outcome.contains(&word));

    // The Docker socket and the session's own folder, with its supervisor's socket and keys.
    let sockets =
        ["/run/docker.sock", "/var/run/docker.sock", "/node/run/docker.sock", "/run/containerd/containerd.sock"];
    lab.everywhere(&[&["read"], sockets.as_slice()].concat(), |_, _, outcome| outcome == "ENOENT");
    let [state, inside] = machine::state(product, "eve").map(|path| path.display().to_string());
    assert!(on_the_machine(&["read", &state])[0].1.starts_with("read {"));
    let paths = [&state, &inside].map(|path| [path.clone(), format!("/node{path}")]).concat();
    let words: Vec<&str> = std::iter::once("read").chain(paths.iter().map(String::as_str)).collect();
    lab.everywhere(&words, |_, _, outcome| outcome == "ENOENT");

    links_lead_nowhere(lab, &canary, &word);
    core_files_are_forbidden(lab);
}

/// Links that the kubelet would follow on a learner's behalf.
fn links_lead_nowhere(lab: &Lab<'_>, canary: &str, word: &str) {
    let pod = format!(
        "# YAML\n{{apiVersion: v1, kind: Pod, metadata: {{name: links}}, spec: {{restartPolicy: Never, volumes: [{{name: v, emptyDir: {{}}}}], \
         initContainers: [{{name: i, image: 'drydock/tools:latest', command: [ln, -s, '{canary}', /v/link], volumeMounts: [{{name: v, mountPath: /v}}]}}], \
         containers: [{{name: c, image: 'drydock/tools:latest', command: [cat, /x], volumeMounts: [{{name: v, mountPath: /x, subPath: link}}]}}]}}}}"
    );
    lab.eve.kubectl_with("apply -f -", &pod).ok();
    let state = "get pod links -o jsonpath={.status.containerStatuses[0].state}";
    let state = lab.eve.wait(state, |state| state.contains("terminated") || state.contains("Error"));
    assert!(!state.contains(word) && !lab.eve.kubectl("logs links").stdout.contains(word), "{state}");

    // A log that is a link; the log of a container that runs is read by the kubelet.
    let uid = lab.eve.kubectl("get pod plain -o jsonpath={.metadata.uid}").ok();
    let log = format!("/node/var/log/pods/default_plain_{uid}/c/0.log");
    lab.run(Place::Worst, &["ln", "-sf", canary, &log]).ok();
    let seen = lab.eve.kubectl("logs plain");
    assert!(!seen.stdout.contains(word), "{}", seen.stdout);
    // With a link to a file of the node the kubelet does follow it: that is the learner's own.
    let own = "1970-01-01T00:00:00.000000000Z stdout F own\n";
    lab.run(Place::Worst, &["sh", "-c", &format!("printf '{own}' > /node/var/own; ln -sf /var/own {log}")]).ok();
    assert_eq!(lab.eve.kubectl("logs plain").ok(), "own\n");
}

/// Where core files go is the machine's setting: nobody in a session has one written.
fn core_files_are_forbidden(lab: &Lab<'_>) {
    for place in PLACES {
        let limits = lab.run(place, &["cat", "/proc/self/limits"]);
        let limits = if limits.code == 0 { limits } else { lab.run(place, &["busybox", "cat", "/proc/self/limits"]) };
        let limits = limits.ok();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        let numbers: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(numbers, ["0", "0"], "{place:?}: {core}");
    }
}
