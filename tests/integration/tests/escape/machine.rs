//! What the machine has of a session, in the machine's own words: processes, folders, files. Nodes are processes of this machine, or Docker's
//! containers (`DRYDOCK_TEST_HOST=docker`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use drydock_tests_harness::Product;

/// Whether nodes are Docker's containers.
fn is_docker() -> bool {
    std::env::var_os("DRYDOCK_TEST_HOST").is_some_and(|host| host == "docker")
}

/// What Docker answers, by lines.
fn docker(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(arguments).output().expect("docker can be started");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The filters that find what belongs to a session of this product, and to no other's of the same name.
fn filters(product: &Product, session: &str) -> [String; 2] {
    let instance = fs::read_to_string(product.data().join("docker/instance")).expect("the data folder's own name");
    [format!("label=drydock.instance={}", instance.trim()), format!("label=drydock.session={session}")]
}

/// Processes of a session's nodes, by their control groups. What the machine itself runs for them is not theirs: supervisors, which in Docker
/// are the first processes of containers.
pub(crate) fn processes(product: &Product, session: &str) -> Vec<u32> {
    let (groups, supervisors) = if is_docker() {
        let [instance, session] = filters(product, session);
        let list = ["ps", "--no-trunc", "--quiet", "--filter", &instance, "--filter", &session];
        let containers = docker(&list);
        assert!(containers.len() > 2, "a gateway and nodes: {containers:?}");
        let inspect = ["inspect", "--format", "{{.State.Pid}}"];
        let first: Vec<&str> = inspect.into_iter().chain(containers.iter().map(String::as_str)).collect();
        let first: Vec<u32> = docker(&first).iter().filter_map(|pid| pid.parse().ok()).collect();
        assert_eq!(first.len(), containers.len(), "every container runs");
        (containers, first)
    } else {
        (vec![format!("/drydock/{session}.")], Vec::new())
    };
    let is_of = |pid: &u32| {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        !supervisors.contains(pid) && groups.iter().any(|group| own.contains(group.as_str()))
    };
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_of).collect()
}

/// Where a session's nodes have their disks.
pub(crate) fn disks(product: &Product, session: &str) -> Vec<PathBuf> {
    if !is_docker() {
        return vec![product.data().join("sessions").join(session)];
    }
    let [instance, session] = filters(product, session);
    let list = ["volume", "ls", "--filter", &instance, "--filter", &session, "--format", "{{.Mountpoint}}"];
    let folders: Vec<PathBuf> = docker(&list).into_iter().map(PathBuf::from).collect();
    assert!(!folders.is_empty(), "nodes have volumes");
    folders
}

/// What the supervisor of a session's worker keeps, and where the container of the supervisor sees it.
pub(crate) fn state(product: &Product, session: &str) -> [PathBuf; 2] {
    if !is_docker() {
        let file = product.data().join("sessions").join(session).join("session.json");
        return [file.clone(), file];
    }
    let disks = disks(product, session);
    let worker =
        disks.iter().find(|disk| disk.display().to_string().contains(".worker-1/")).expect("the worker's volume");
    [worker.join("session/session.json"), PathBuf::from("/var/lib/drydock/session/session.json")]
}

/// The folder of all images.
pub(crate) fn store(product: &Product) -> PathBuf {
    if !is_docker() {
        return product.data().join("images");
    }
    let name = "drydock-store";
    let volume = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", name]);
    PathBuf::from(volume.first().expect("the store's volume")).join("images")
}
