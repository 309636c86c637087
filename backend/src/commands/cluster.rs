//! `drydock cluster`: the engine alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use drydock_engine::host::NodeLimits;
use drydock_engine::{Cluster, ClusterSpec, Stage, WorkstationSpec};
use serde_json::json;

use super::Common;

/// How long a node may take to stop.
const NODE_GRACE: Duration = Duration::from_secs(5);

/// What to do with clusters.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Creates a cluster and returns when all its nodes are Ready.
    Create(Create),
    /// Lists the clusters on this machine.
    List(Form),
    /// Prints a cluster's kubeconfig.
    Kubeconfig {
        /// The cluster's name.
        name: String,
        #[command(flatten)]
        form: Form,
    },
    /// Runs a command on a node.
    Exec {
        /// The cluster's name.
        name: String,
        /// The node, e.g. worker-1 or workstation.
        node: String,
        #[command(flatten)]
        form: Form,
        /// The command and its arguments, after `--`.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Stops a node, as an accident would.
    StopNode {
        /// The cluster's name.
        name: String,
        /// The node.
        node: String,
        #[command(flatten)]
        form: Form,
    },
    /// Starts a stopped node again.
    StartNode {
        /// The cluster's name.
        name: String,
        /// The node.
        node: String,
        #[command(flatten)]
        form: Form,
    },
    /// Removes a cluster and all that was made for it.
    Delete {
        /// The cluster's name.
        name: String,
        #[command(flatten)]
        form: Form,
    },
}

/// How to print.
#[derive(Args, Clone, Copy)]
pub(crate) struct Form {
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Form {
    /// Whether programs read it.
    pub(super) fn is_json(self) -> bool {
        self.output == Output::Json
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What to create.
#[derive(Args)]
pub(crate) struct Create {
    /// Letters, digits and '-'.
    name: String,
    /// Worker nodes.
    #[arg(long, default_value_t = 2)]
    workers: u16,
    /// Writes the kubeconfig here instead of naming the command that prints it.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Without the workstation, only the cluster.
    #[arg(long)]
    no_workstation: bool,
    /// Memory of one node, in MiB.
    #[arg(long, env = "DRYDOCK_NODE_MEMORY", default_value_t = 4096)]
    node_memory: u64,
    /// Processes and threads of one node.
    #[arg(long, env = "DRYDOCK_NODE_PIDS", default_value_t = 4096)]
    node_pids: u64,
    /// Disk space of one node, in MiB.
    #[arg(long, env = "DRYDOCK_NODE_DISK", default_value_t = 10_240, value_parser = clap::value_parser!(u64).range(256..))]
    node_disk: u64,
    #[command(flatten)]
    pulling: super::pulling::Options,
    #[command(flatten)]
    form: Form,
}

/// Runs one cluster command.
///
/// # Errors
/// When the engine fails; a command of `exec` that fails ends this process with its code.
pub(crate) async fn run(common: &Common, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(create) => {
            // What is typed wrong is told before anything else.
            ClusterSpec::new(&create.name, create.workers).validate()?;
            let (files, engine) = common.engine(&create.pulling, true).await?;
            let workstation = (!create.no_workstation)
                .then(|| {
                    anyhow::Ok(WorkstationSpec { image: "drydock/tools:latest".to_owned(), kubectl: files.kubectl()? })
                })
                .transpose()?;
            let spec = ClusterSpec {
                workstation,
                node_shell: files.program("busybox"),
                limits: NodeLimits {
                    memory_bytes: Some(create.node_memory * 1024 * 1024),
                    cpu_millis: None,
                    pids: Some(create.node_pids),
                    disk_bytes: Some(create.node_disk * 1024 * 1024),
                },
                ..ClusterSpec::new(&create.name, create.workers)
            };
            let started = Instant::now();
            let quiet = create.form.output == Output::Json;
            let progress = move |stage: Stage| {
                if !quiet {
                    eprintln!("{:>6.0} ms  {}", started.elapsed().as_secs_f64() * 1000.0, sentence(stage));
                }
            };
            let cluster = engine.create(&spec, &progress).await?;
            let millis = started.elapsed().as_millis();
            if let Some(file) = &create.kubeconfig {
                write_secret(file, &cluster.kubeconfig)?;
            }
            if create.form.output == Output::Json {
                let mut description = describe(&cluster);
                description["readyMillis"] = json!(u64::try_from(millis).unwrap_or(u64::MAX));
                println!("{description}");
            } else {
                let nodes = spec.workers + 1;
                println!("cluster {:?}: {nodes} nodes Ready after {millis} ms", create.name);
                match &create.kubeconfig {
                    Some(file) => println!("use it:    kubectl --kubeconfig {} get nodes", file.display()),
                    None => println!(
                        "use it:    drydock cluster kubeconfig {0} > {0}.kubeconfig && kubectl --kubeconfig {0}.kubeconfig get nodes",
                        create.name
                    ),
                }
                println!("remove it: drydock cluster delete {}", create.name);
            }
        }
        Command::List(form) => {
            let mut clusters = Vec::new();
            for engine in common.engines().await? {
                clusters.extend(engine.list().await?);
            }
            if form.output == Output::Json {
                println!("{}", serde_json::Value::from(clusters.iter().map(describe).collect::<Vec<_>>()));
            } else {
                println!("{:<24} {:>7}  ENDPOINT", "NAME", "WORKERS");
                for cluster in clusters {
                    println!("{:<24} {:>7}  https://{}", cluster.spec.name, cluster.spec.workers, cluster.endpoint());
                }
            }
        }
        Command::Kubeconfig { name, form } => {
            let (_, cluster) = common.find(&name).await?;
            if form.output == Output::Json {
                println!("{}", json!({"name": name, "kubeconfig": cluster.kubeconfig}));
            } else {
                print!("{}", cluster.kubeconfig);
            }
        }
        Command::Exec { name, node, form, command } => {
            let (engine, _) = common.find(&name).await?;
            let output = engine.host().exec(&name, &node, &command).await?;
            if form.output == Output::Json {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                println!(
                    "{}",
                    json!({"code": output.code, "stdout": text(&output.stdout), "stderr": text(&output.stderr)})
                );
            } else {
                std::io::stdout().write_all(&output.stdout)?;
                std::io::stderr().write_all(&output.stderr)?;
            }
            if output.code != 0 {
                std::process::exit(output.code);
            }
        }
        Command::StopNode { name, node, form } => {
            let (engine, _) = common.find(&name).await?;
            engine.host().stop_node(&name, &node, NODE_GRACE).await?;
            say(form, &name, &node, "stopped");
        }
        Command::StartNode { name, node, form } => {
            let (engine, _) = common.find(&name).await?;
            engine.host().start_node(&name, &node).await?;
            say(form, &name, &node, "started");
        }
        Command::Delete { name, form } => {
            let (engine, _) = common.find(&name).await?;
            engine.delete(&name).await?;
            if form.output == Output::Json {
                println!("{}", json!({"name": name, "deleted": true}));
            } else {
                println!("cluster {name:?} is gone");
            }
        }
    }
    Ok(())
}

/// Tells what a node is now.
pub(super) fn say(form: Form, cluster: &str, node: &str, what: &str) {
    if form.output == Output::Json {
        println!("{}", json!({"cluster": cluster, "node": node, what: true}));
    } else {
        println!("node {node} of cluster {cluster:?} is {what}");
    }
}

fn sentence(stage: Stage) -> &'static str {
    match stage {
        Stage::Network => "network and certificates",
        Stage::ControlPlane => "nodes start; waiting for kube-apiserver",
        Stage::Controllers => "kube-apiserver answers; waiting for the controllers",
        Stage::Nodes => "waiting for the nodes to be Ready",
        Stage::Ready => "all nodes are Ready",
    }
}

fn describe(cluster: &Cluster) -> serde_json::Value {
    json!({
        "name": cluster.spec.name,
        "workers": cluster.spec.workers,
        "createdMillis": cluster.created_millis,
        "endpoint": format!("https://{}", cluster.endpoint()),
        "nodes": cluster.host.nodes,
    })
}

/// A kubeconfig is a key: only its owner may read it.
fn write_secret(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(out.write_all(text.as_bytes())?)
}
