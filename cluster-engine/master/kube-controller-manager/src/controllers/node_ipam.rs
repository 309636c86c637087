//! Each node gets a range of pod addresses out of the cluster's.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use drydock_client::types::Node;
use drydock_client::{Api, Client, Error, Event, EventRecorder, Object, ObjectReference, Patch, Reflector, WorkQueue};
use serde_json::json;

use crate::context::Context;
use crate::work::{Next, Reconcile, work};

/// The cluster's range cut into nodes' ranges, and who holds which.
pub(crate) struct Ranges {
    base: u32,
    prefix: u8,
    count: u32,
    held: BTreeMap<u32, String>,
}

/// An IPv4 network as its first address and prefix length.
fn parse(cidr: &str) -> Option<(u32, u8)> {
    let (address, prefix) = cidr.trim().split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok().filter(|prefix| (1..=32).contains(prefix))?;
    Some((u32::from(address) & (u32::MAX << (32 - prefix)), prefix))
}

impl Ranges {
    /// Cuts `cidr` into ranges of `/prefix`; those that overlap `services` are not given away.
    ///
    /// # Errors
    /// One sentence, when the flags do not go together.
    pub(crate) fn new(cidr: &str, prefix: u8, services: Option<&str>) -> Result<Ranges, String> {
        let (base, length) = parse(cidr).ok_or_else(|| {
            format!("--cluster-cidr={cidr:?} is not an IPv4 range, which --allocate-node-cidrs needs")
        })?;
        if prefix < length || prefix > 30 || prefix - length > 16 {
            return Err(format!("--node-cidr-mask-size={prefix} does not fit into --cluster-cidr={cidr}"));
        }
        let mut ranges = Ranges { base, prefix, count: 1 << (prefix - length), held: BTreeMap::new() };
        if let Some(services) = services {
            let (start, length) = parse(services)
                .ok_or_else(|| format!("--service-cluster-ip-range={services:?} is not an IPv4 range"))?;
            let end = start | !(u32::MAX << (32 - u32::from(length)).min(31));
            for index in 0..ranges.count {
                let (first, last) = ranges.bounds(index);
                if first <= end && start <= last {
                    ranges.held.insert(index, String::new());
                }
            }
        }
        Ok(ranges)
    }

    fn bounds(&self, index: u32) -> (u32, u32) {
        let size = 1_u32 << (32 - self.prefix);
        let first = self.base + index * size;
        (first, first + (size - 1))
    }

    /// Notes that a node holds a range.
    fn occupy(&mut self, node: &str, cidr: &str) {
        if let Some((address, prefix)) = parse(cidr)
            && prefix == self.prefix
            && address >= self.base
        {
            let index = (address - self.base) >> (32 - self.prefix);
            if index < self.count {
                self.held.insert(index, node.to_owned());
            }
        }
    }

    /// A free range for a node, or the one it holds already.
    fn allocate(&mut self, node: &str) -> Option<String> {
        let held = self.held.iter().find(|(_, holder)| *holder == node).map(|(index, _)| *index);
        let index = held.or_else(|| (0..self.count).find(|index| !self.held.contains_key(index)))?;
        self.held.insert(index, node.to_owned());
        Some(format!("{}/{}", Ipv4Addr::from(self.bounds(index).0), self.prefix))
    }

    fn release(&mut self, node: &str) {
        self.held.retain(|_, holder| holder != node);
    }
}

struct Controller {
    client: Client,
    recorder: EventRecorder,
    nodes: Reflector<Node>,
    ranges: Mutex<Ranges>,
}

pub(super) async fn run(context: Arc<Context>, mut ranges: Ranges) {
    let nodes = context.watch::<Node>();
    let client = context.client("node-controller").await;
    nodes.synced().await;
    // What is held already must be known before the first range is given away.
    for node in nodes.list() {
        ranges.occupy(node.name(), &node.spec.pod_cidr);
    }
    let queue = WorkQueue::new();
    let add = queue.clone();
    nodes.handle(move |event| {
        let concerns = match event {
            Event::Applied(node, _) => node.spec.pod_cidr.is_empty(),
            Event::Deleted(_) => true,
        };
        if concerns {
            add.add(event.object().name().to_owned());
        }
    });
    let recorder = context.recorder(&client, "cidrAllocator");
    let controller = Controller { client, recorder, nodes, ranges: Mutex::new(ranges) };
    // One worker: ranges are given away one at a time.
    work(Arc::new(controller), queue, 1).await;
}

impl Reconcile for Controller {
    type Key = String;
    const NAME: &'static str = "node-ipam";

    async fn reconcile(&self, key: &String) -> Result<Next, Error> {
        let node = self.nodes.get("", key);
        let range = {
            let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
            match &node {
                None => {
                    ranges.release(key);
                    return Ok(Next::Change);
                }
                Some(node) if !node.spec.pod_cidr.is_empty() => {
                    ranges.occupy(key, &node.spec.pod_cidr);
                    return Ok(Next::Change);
                }
                Some(_) => ranges.allocate(key),
            }
        };
        let Some(node) = node else { return Ok(Next::Change) };
        let Some(range) = range else {
            let message = format!("Node {key} status is now: CIDRNotAvailable");
            self.recorder.normal(&ObjectReference::of(&*node), "CIDRNotAvailable", message);
            return Ok(Next::After(std::time::Duration::from_secs(30)));
        };
        let patch = json!({"spec": {"podCIDR": range, "podCIDRs": [range]}});
        Api::<Node>::all(self.client.clone()).patch(key, Patch::Strategic, &patch).await?;
        Ok(Next::Change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_given_once_and_come_back() {
        let mut ranges = Ranges::new("10.244.0.0/16", 24, Some("10.96.0.0/12")).unwrap();
        ranges.occupy("old", "10.244.0.0/24");
        assert_eq!(ranges.allocate("a").as_deref(), Some("10.244.1.0/24"));
        assert_eq!(ranges.allocate("b").as_deref(), Some("10.244.2.0/24"));
        assert_eq!(ranges.allocate("a").as_deref(), Some("10.244.1.0/24"), "a retry gets the same");
        ranges.release("a");
        assert_eq!(ranges.allocate("c").as_deref(), Some("10.244.1.0/24"));
    }

    #[test]
    fn services_addresses_are_left_out_and_ranges_run_out() {
        let mut ranges = Ranges::new("10.0.0.0/22", 24, Some("10.0.1.0/24")).unwrap();
        let given: Vec<_> = (0..4).map(|n| ranges.allocate(&n.to_string())).collect();
        let expected = [Some("10.0.0.0/24"), Some("10.0.2.0/24"), Some("10.0.3.0/24"), None];
        assert_eq!(given, expected.map(|range| range.map(str::to_owned)));
    }

    #[test]
    fn bad_flags_are_named() {
        for (cidr, prefix, services) in [("", 24, None), ("10.0.0.0/24", 16, None), ("10.0.0.0/16", 24, Some("x"))] {
            let error = Ranges::new(cidr, prefix, services).err().unwrap();
            assert!(error.starts_with("--"), "{error}");
        }
    }
}
