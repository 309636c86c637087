//! Faults that a learner may cause.
//!
//! `POST /sessions/{id}/faults` with a [`Fault`] causes it, `POST /sessions/{id}/faults/heal` with the same one ends it.
//! What holds at the moment is in [`crate::Session::faults`].

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

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::StopNode,
        Self::FreezeNode,
        Self::CutNode,
        Self::Loss,
        Self::KillComponent,
        Self::PauseComponent,
        Self::SlowWrites,
    ];

    /// Whether it holds until it is healed, and not only for a moment.
    #[must_use]
    pub const fn lasts(self) -> bool {
        !matches!(self, Self::KillComponent)
    }

    /// Whether it befalls one component, which has to be named.
    #[must_use]
    pub const fn is_of_component(self) -> bool {
        matches!(self, Self::KillComponent | Self::PauseComponent)
    }
}

/// A fault of a session's cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// The node; the master for [`FaultKind::SlowWrites`].
    pub node: String,
    /// The component, for the kinds that befall one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
}
