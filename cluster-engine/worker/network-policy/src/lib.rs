//! NetworkPolicy: which connections the pods of a node may begin and take.
//!
//! [`plan`] turns policies, pods and namespaces into the rules of one nftables table (pure); the loop in `agent` watches
//! them and brings the kernel from the rules before to the new ones in one transaction. It runs inside kube-proxy's
//! process, since a process of its own would cost every node more memory than all the rules.
//!
//! An idle cluster pays for one watch of policies that has nothing to tell: pods and namespaces are watched only while
//! there is a policy, and without one there is no table.
//!
//! How a packet meets the rules:
//! - only what passes *through* the node is looked at (the `forward` hook), after service addresses were translated. So
//!   the node itself, its probes and its host-network pods always reach its pods, as upstream demands;
//! - pods of one node are routed to each other, not bridged (see drydock-pod-network), so the hook sees them as well;
//! - a packet of a known connection passes, so answers need no rule, and a new policy does not cut what is open;
//! - then the source's egress rules and the destination's ingress rules are asked, each on the pod's own node.
//!
//! A pod's rules are written when its address appears in its status; its containers are not held back until then.

mod agent;
pub mod objects;
pub mod plan;

use thiserror::Error;

pub use agent::run;

/// The table that holds everything.
pub const TABLE: &str = "network-policy";

/// Why policies cannot be enforced.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel's packet rules cannot be reached.
    #[error("cannot reach nftables")]
    Netlink(#[from] drydock_nftables::Error),
}
