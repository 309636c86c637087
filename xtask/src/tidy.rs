//! `cargo xtask tidy`: the dependency table and the form of the files.
//!
//! The table is the architecture's *Invariants* as data: a crate may use exactly the crates of ours that stand in its
//! row. ARCHITECTURE.md shows the same rooms.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::metadata::Metadata;
use crate::tools;

/// Which of our crates a crate may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("drydock-api", &[]),
    ("drydock-protocol", &[]),
    ("drydock-bundle", &[]),
    ("drydock-component", &[]),
    ("drydock-images", &[]),
    ("drydock-image-service", &["drydock-images"]),
    ("drydock-container-runtime", &[]),
    ("drydock-etcd-proto", &[]),
    ("drydock-nftables", &[]),
    ("drydock-pod-network", &[]),
    ("drydock-demo", &[]),
    ("drydock-web-build", &[]),
    ("drydock-fault", &["drydock-component", "drydock-nftables"]),
    ("drydock-client", &["drydock-api", "drydock-component"]),
    ("drydock-etcd", &["drydock-component", "drydock-etcd-proto"]),
    ("drydock-kube-apiserver", &["drydock-api", "drydock-component", "drydock-etcd-proto"]),
    ("drydock-kube-controller-manager", &["drydock-api", "drydock-client", "drydock-component"]),
    ("drydock-kube-scheduler", &["drydock-api", "drydock-client", "drydock-component"]),
    (
        "drydock-kubelet",
        &[
            "drydock-api",
            "drydock-client",
            "drydock-component",
            "drydock-container-runtime",
            "drydock-images",
            "drydock-pod-network",
        ],
    ),
    (
        "drydock-kube-proxy",
        &["drydock-api", "drydock-client", "drydock-component", "drydock-network-policy", "drydock-nftables"],
    ),
    ("drydock-network-policy", &["drydock-api", "drydock-client", "drydock-component", "drydock-nftables"]),
    ("drydock-dns", &["drydock-api", "drydock-client", "drydock-component"]),
    ("drydock-local-path", &["drydock-api", "drydock-client", "drydock-component"]),
    ("drydock-metrics-server", &["drydock-api", "drydock-client", "drydock-component"]),
    ("drydock-ingress", &["drydock-api", "drydock-client", "drydock-component"]),
    (
        "drydock-supervisor",
        &[
            "drydock-component",
            "drydock-container-runtime",
            "drydock-engine",
            "drydock-image-service",
            "drydock-images",
        ],
    ),
    (
        "drydock-node",
        &[
            "drydock-component",
            "drydock-container-runtime",
            "drydock-dns",
            "drydock-etcd",
            "drydock-fault",
            "drydock-image-service",
            "drydock-ingress",
            "drydock-kube-apiserver",
            "drydock-kube-controller-manager",
            "drydock-kube-proxy",
            "drydock-kube-scheduler",
            "drydock-kubelet",
            "drydock-local-path",
            "drydock-metrics-server",
            "drydock-supervisor",
        ],
    ),
    ("drydock-engine", &["drydock-api", "drydock-client"]),
    ("drydock-host-docker", &["drydock-engine", "drydock-supervisor"]),
    ("drydock-host-embedded", &["drydock-container-runtime", "drydock-engine", "drydock-images", "drydock-supervisor"]),
    (
        "drydock",
        &[
            "drydock-api",
            "drydock-bundle",
            "drydock-client",
            "drydock-component",
            "drydock-engine",
            "drydock-host-docker",
            "drydock-host-embedded",
            "drydock-image-service",
            "drydock-images",
            "drydock-protocol",
        ],
    ),
    ("drydock-frontend", &["drydock-protocol"]),
    ("xtask", &["drydock-bundle", "drydock-web-build"]),
    ("drydock-tests-harness", &[]),
    ("drydock-tests-hosts", &[]),
    ("drydock-tests-bench", &["drydock-client", "drydock-tests-harness"]),
    ("drydock-tests-soak", &["drydock-client", "drydock-tests-harness"]),
    ("drydock-tests-integration", &["drydock-tests-harness"]),
    ("drydock-tests-clients", &["drydock-tests-harness"]),
    ("drydock-tests-browser", &["drydock-tests-harness"]),
];

/// Lines past which a source file wants a split; generated and table files are named with their reason.
const LONGEST_FILE: usize = 900;

/// Checks everything and lists all that is wrong.
///
/// # Errors
/// When something is wrong.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut wrong = dependencies()?;
    wrong.extend(sources()?);
    if wrong.is_empty() {
        println!("tidy: all in order");
        return Ok(());
    }
    bail!("tidy:\n  {}", wrong.join("\n  "));
}

fn dependencies() -> anyhow::Result<Vec<String>> {
    let metadata = Metadata::load(&["--no-deps"])?;
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(allowed) = table.get(package.name.as_str()) else {
            wrong.push(format!("{} has no row in xtask/src/tidy.rs", package.name));
            continue;
        };
        for dependency in
            package.dependencies.iter().filter(|it| it.path.is_some() && it.kind.as_deref() != Some("dev"))
        {
            if !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} may not use {}", package.name, dependency.name));
            }
        }
    }
    Ok(wrong)
}

fn sources() -> anyhow::Result<Vec<String>> {
    let listed = tools::output(Command::new("git").current_dir(tools::root()).args(["ls-files", "*.rs"]))?;
    let mut wrong = Vec::new();
    for file in listed.lines() {
        let path = tools::root().join(file);
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!")).unwrap_or_default();
        if !first.starts_with("//!") {
            wrong.push(format!("{file} does not say in its first line what it is (//! …)"));
        }
        if text.lines().count() > LONGEST_FILE {
            wrong.push(format!("{file} has {} lines: split it", text.lines().count()));
        }
        // In a tests/ folder, mod.rs is what keeps a shared module from being a test of its own.
        if Path::new(file).file_name().is_some_and(|name| name == "mod.rs") && !file.contains("/tests/") {
            wrong.push(format!("{file}: use foo.rs beside foo/, not mod.rs"));
        }
    }
    Ok(wrong)
}
