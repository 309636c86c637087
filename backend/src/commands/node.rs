//! `drydock node` and `drydock fault`: what can happen to a cluster while it runs.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use drydock_engine::{ComponentFault, NodeFault};
use serde_json::json;

use super::Common;
use super::cluster::{Form, say};

/// What to do with a running cluster's nodes.
#[derive(Subcommand)]
pub(crate) enum NodeCommand {
    /// Adds a worker and returns when it is Ready.
    Add {
        /// The cluster's name.
        cluster: String,
        #[command(flatten)]
        form: Form,
    },
    /// Removes a worker with its disk; its pods are made anew elsewhere by whoever owns them.
    Remove {
        /// The cluster's name.
        cluster: String,
        /// The worker.
        node: String,
        #[command(flatten)]
        form: Form,
    },
}

/// What shall go wrong.
#[derive(Subcommand)]
pub(crate) enum FaultCommand {
    /// Lets something befall a whole node, or heals it.
    Node {
        /// The cluster's name.
        cluster: String,
        /// The node.
        node: String,
        /// What befalls it.
        #[arg(value_enum)]
        fault: NodeFaultName,
        #[command(flatten)]
        form: Form,
    },
    /// Loses packets that a node is sent by other nodes.
    Loss {
        /// The cluster's name.
        cluster: String,
        /// The node.
        node: String,
        /// How many of a hundred; 0 heals it.
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
        #[command(flatten)]
        form: Form,
    },
    /// Makes etcd's writes slow, as a bad disk does.
    Writes {
        /// The cluster's name.
        cluster: String,
        /// How much longer each takes, e.g. 200ms; 0 heals it.
        #[arg(value_parser = drydock_component::duration::flag)]
        delay: Duration,
        #[command(flatten)]
        form: Form,
    },
    /// Lets something befall one component of a node.
    Component {
        /// The cluster's name.
        cluster: String,
        /// The node.
        node: String,
        /// The component's process, e.g. etcd or kube-scheduler.
        component: String,
        /// What befalls it.
        #[arg(value_enum)]
        fault: ComponentFaultName,
        #[command(flatten)]
        form: Form,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum NodeFaultName {
    /// Switched off in good order.
    Stop,
    /// Without power from one moment to the next.
    Kill,
    /// Hangs.
    Freeze,
    /// Its network cable is pulled.
    Cut,
    /// Runs again, connected.
    Heal,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ComponentFaultName {
    /// Dies, and is started again by its kubelet.
    Kill,
    /// Hangs.
    Pause,
    /// Goes on.
    Resume,
}

/// Adds or removes a node.
///
/// # Errors
/// When the engine fails.
pub(crate) async fn run(common: &Common, command: NodeCommand) -> anyhow::Result<()> {
    match command {
        NodeCommand::Add { cluster, form } => {
            let (engine, _) = common.find(&cluster).await?;
            let node = engine.add_node(&cluster).await?;
            say(form, &cluster, &node, "Ready");
        }
        NodeCommand::Remove { cluster, node, form } => {
            let (engine, _) = common.find(&cluster).await?;
            engine.remove_node(&cluster, &node).await?;
            say(form, &cluster, &node, "gone");
        }
    }
    Ok(())
}

/// Lets something go wrong, or heals it.
///
/// # Errors
/// When the engine fails.
pub(crate) async fn fault(common: &Common, command: FaultCommand) -> anyhow::Result<()> {
    let (FaultCommand::Node { cluster, .. }
    | FaultCommand::Component { cluster, .. }
    | FaultCommand::Loss { cluster, .. }
    | FaultCommand::Writes { cluster, .. }) = &command;
    let (engine, _) = common.find(cluster).await?;
    match command {
        FaultCommand::Node { cluster, node, fault, form } => {
            let (fault, what) = match fault {
                NodeFaultName::Stop => (NodeFault::Stop, "stopped"),
                NodeFaultName::Kill => (NodeFault::Kill, "killed"),
                NodeFaultName::Freeze => (NodeFault::Freeze, "frozen"),
                NodeFaultName::Cut => (NodeFault::CutOff, "cut off"),
                NodeFaultName::Heal => (NodeFault::Heal, "healed"),
            };
            engine.fault_node(&cluster, &node, fault).await?;
            say(form, &cluster, &node, what);
        }
        FaultCommand::Loss { cluster, node, percent, form } => {
            engine.fault_node(&cluster, &node, NodeFault::Loss(percent)).await?;
            if form.is_json() {
                println!("{}", json!({"cluster": cluster, "node": node, "lossPercent": percent}));
            } else {
                println!("node {node} of cluster {cluster:?} loses {percent} % of the packets from other nodes");
            }
        }
        FaultCommand::Writes { cluster, delay, form } => {
            engine.slow_writes(&cluster, delay).await?;
            if form.is_json() {
                println!("{}", json!({"cluster": cluster, "writeDelayMillis": delay.as_millis()}));
            } else {
                println!("etcd's writes in cluster {cluster:?} take {} ms longer", delay.as_millis());
            }
        }
        FaultCommand::Component { cluster, node, component, fault, form } => {
            let (fault, what) = match fault {
                ComponentFaultName::Kill => (ComponentFault::Kill, "killed"),
                ComponentFaultName::Pause => (ComponentFault::Pause, "paused"),
                ComponentFaultName::Resume => (ComponentFault::Resume, "resumed"),
            };
            engine.fault_component(&cluster, &node, &component, fault).await?;
            if form.is_json() {
                println!("{}", json!({"cluster": cluster, "node": node, "component": component, what: true}));
            } else {
                println!("{component} on {node} of cluster {cluster:?} is {what}");
            }
        }
    }
    Ok(())
}
