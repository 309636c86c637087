//! A node's port belongs to one pod.

use drydock_client::types::{ContainerPort, Pod};

use crate::framework::{Plugin, Rejection};
use crate::snapshot::{NodeInfo, PodInfo};

/// Upstream: `NodePorts`.
pub(crate) struct NodePorts<'a> {
    wanted: Vec<&'a ContainerPort>,
}

impl<'a> NodePorts<'a> {
    /// For this pod.
    pub(crate) fn new(pod: &'a PodInfo) -> NodePorts<'a> {
        NodePorts { wanted: host_ports(&pod.pod).collect() }
    }
}

fn host_ports(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    pod.spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports).filter(|port| port.host_port > 0)
}

fn conflict(a: &ContainerPort, b: &ContainerPort) -> bool {
    let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
    let protocol =
        |port: &ContainerPort| if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.clone() };
    a.host_port == b.host_port
        && protocol(a) == protocol(b)
        && (any(&a.host_ip) || any(&b.host_ip) || a.host_ip == b.host_ip)
}

impl Plugin for NodePorts<'_> {
    fn filter(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let taken = |wanted: &ContainerPort| {
            node.pods.iter().flat_map(|pod| host_ports(&pod.pod)).any(|port| conflict(wanted, port))
        };
        if self.wanted.iter().any(|wanted| taken(wanted)) {
            return Err(Rejection::resolvable(
                "NodePorts",
                "node(s) didn't have free ports for the requested pod ports",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_filter_with, node, pod};

    #[test]
    fn a_port_is_taken_once() {
        let refused = Err("node(s) didn't have free ports for the requested pod ports");
        for (there, wanted, expected) in [
            (("", 80, "TCP"), ("", 80, "TCP"), refused),
            (("", 80, "TCP"), ("", 81, "TCP"), Ok(())),
            (("", 80, "TCP"), ("", 80, "UDP"), Ok(())),
            (("127.0.0.1", 80, "TCP"), ("127.0.0.2", 80, "TCP"), Ok(())),
            (("127.0.0.1", 80, "TCP"), ("0.0.0.0", 80, ""), refused),
        ] {
            let there = pod("q").host_port(there.0, there.1, there.2);
            check_filter_with(node("n"), vec![there], pod("p").host_port(wanted.0, wanted.1, wanted.2), expected);
        }
    }
}
