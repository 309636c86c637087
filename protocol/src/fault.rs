//! Faults that a learner may cause.

use serde::{Deserialize, Serialize};

/// What can be done to a node or to a component on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Ends the node's processes; it stays away until it is started.
    StopNode,
    /// Halts all processes of the node where they are.
    FreezeNode,
    /// Takes the node off the network.
    CutNode,
    /// Drops a share of the node's packets.
    Loss,
    /// Kills a component; the kubelet starts it again.
    KillComponent,
    /// Halts a component where it is.
    PauseComponent,
    /// Makes etcd's writes slow.
    SlowWrites,
}
