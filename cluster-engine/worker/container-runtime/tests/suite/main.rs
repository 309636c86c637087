//! One suite for the runtime, run three times: as the machine's root, as one who may not trace everybody, which is what root of
//! a container is, and as root of a node in a user namespace, which that one makes.
//!
//! Needs root and a static busybox; says so and does nothing where either is missing. A program of its own instead of
//! libtest because the runtime starts the very executable again as its helper.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used, reason = "a test")]

mod cases;
mod pod;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use drydock_container_runtime::cgroup::Hierarchy;
use drydock_container_runtime::launch::{
    Access, CapabilitySet, Command, Descriptors, Program, Root, Shm, Spec, Tree, launch,
};
use drydock_container_runtime::{Mount, Reaper, RootFs, UserMapping, remove_tree};

const FIRST_ID: u32 = 0x2000_0000;

fn main() {
    let name = std::env::args().next().unwrap_or_default();
    if name == "runtime" {
        drydock_container_runtime::helper_main();
    }
    let mode = std::env::args().nth(1);
    if mode.as_deref() == Some("in-node") {
        let filter = std::env::args().nth(2);
        std::process::exit(run("node", Path::new("/work"), filter.as_deref()));
    }
    if mode.as_deref() == Some("--list") {
        return;
    }
    if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        println!("skipped: needs root and /bin/busybox");
        return;
    }
    let work = PathBuf::from(format!("/tmp/drydock-runtime-suite-{}", std::process::id()));
    std::fs::create_dir_all(&work).unwrap();
    let filter = mode.filter(|mode| !mode.starts_with('-'));
    let mut failures = run("host", &work, filter.as_deref());
    trace_nobody();
    failures += run("container", &work, filter.as_deref());
    failures += in_node(&work, filter.as_deref());
    remove_tree(&work).unwrap();
    std::process::exit(i32::from(failures != 0));
}

/// Gives up the right to look into everybody's processes, which containers of Docker's do not have.
fn trace_nobody() {
    use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities};
    remove_capability_from_bounding_set(CapabilitySet::SYS_PTRACE).unwrap();
    let mut sets = capabilities(None).unwrap();
    for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
        set.remove(CapabilitySet::SYS_PTRACE);
    }
    set_capabilities(None, sets).unwrap();
}

/// Runs every case; returns how many failed.
fn run(place: &str, work: &Path, filter: Option<&str>) -> i32 {
    // Panics are reported with the case they belong to.
    let mut failed = 0;
    for (name, case) in cases::ALL {
        // Pods in the very user namespace that the runtime is in are made where it may trace everybody: on nodes.
        if filter.is_some_and(|filter| !name.contains(filter)) || (place, *name) == ("container", "node-pod") {
            continue;
        }
        let bench = pod::Bench::new(place, work, name);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&bench)));
        bench.clean_up();
        println!("{place}: {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += i32::from(outcome.is_err());
    }
    failed
}

/// The same again as PID 1 of a node, whose root is nobody outside.
fn in_node(work: &Path, filter: Option<&str>) -> i32 {
    let reaper = Reaper::start();
    let hierarchy = Hierarchy::detect().unwrap();
    let group = hierarchy.group(format!("drydock-suite-{}", std::process::id()));
    group.create().unwrap();
    group.delegate(FIRST_ID, FIRST_ID).unwrap();
    let (root, disk) = (work.join("node-root"), work.join("node-disk"));
    std::fs::create_dir_all(&root).unwrap();
    std::fs::create_dir_all(&disk).unwrap();
    for dir in [&root, &disk] {
        std::os::unix::fs::chown(dir, Some(FIRST_ID), Some(FIRST_ID)).unwrap();
    }
    let bind = |source: &Path, target: &Path, read_only: bool| Mount {
        host_path: source.to_owned(),
        container_path: target.to_owned(),
        read_only,
        ..Mount::default()
    };
    let executable = std::env::current_exe().unwrap();
    let system = ["/usr", "/bin", "/sbin", "/lib", "/lib64"]
        .map(|dir| bind(&Path::new(dir).canonicalize().unwrap(), Path::new(dir), true));
    let mut mounts = system.to_vec();
    mounts.push(bind(&executable, Path::new("/suite"), true));
    mounts.push(bind(&disk, Path::new("/work"), false));
    let spec = Spec {
        new: libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWCGROUP,
        user_mapping: Some(UserMapping::range(FIRST_ID, 131_072)),
        cgroup_procs: group.procs_files(),
        hostname: Some("node".to_owned()),
        loopback: true,
        root: Root::Tree(Box::new(Tree {
            rootfs: RootFs::Directory(root),
            shared: true,
            proc: true,
            sys: Some(Access::Write),
            dev: Some(["null", "zero", "full", "random", "urandom", "tty"].map(str::to_owned).to_vec()),
            shm: Shm::Own(64 << 20),
            cgroup: Some((Access::Write, hierarchy)),
            mounts,
            ..Tree::default()
        })),
        program: Program::Command(Box::new(Command {
            args: ["/suite", "in-node"].map(str::to_owned).into_iter().chain(filter.map(str::to_owned)).collect(),
            capabilities: CapabilitySet::ALL,
            ..Command::default()
        })),
        death_signal: Some(libc::SIGKILL),
        ..Spec::default()
    };
    let (input, output, error) = (std::fs::File::open("/dev/null").unwrap(), std::io::stdout(), std::io::stderr());
    let stdio = Some([input.as_fd(), output.as_fd(), error.as_fd()]);
    let descriptors = Descriptors { target: None, stdio, ..Descriptors::default() };
    let code = match launch(Path::new("/proc/self/exe"), &reaper, &spec, &descriptors) {
        Ok(node) => node.end.wait().code,
        Err(error) => {
            println!("node: cannot be started: {error}");
            1
        }
    };
    group.kill().unwrap();
    group.remove().unwrap();
    code
}
