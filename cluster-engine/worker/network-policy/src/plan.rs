//! From policies, pods and namespaces to packet rules. Pure.
//!
//! Each pod of the node that a policy isolates has an entry in a map from its address to a chain of what is allowed,
//! which returns for what it allows and drops the rest. Pods that are allowed the same share a chain; peers are sets of
//! addresses, so that a pod that comes or goes changes a set's member and nothing else.

#[cfg(test)]
mod evaluate;
#[cfg(test)]
mod property;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::Deref;

use drydock_api::meta::LabelSelector;
use drydock_api::selector::Selector;
use drydock_client::Object;
use drydock_nftables::ruleset::{Chain, Hook, Key, Point, Protocol, Rule, Ruleset, Set, SetKind, Statement, Verdict};

use crate::objects::{NetworkPolicy, Pod};

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// Which end of a connection a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Connections that pods take.
    Ingress,
    /// Connections that pods begin.
    Egress,
}

const ITSELF: &str = "itself";
/// After the translation of service addresses, before anything else that filters.
const PRIORITY: i32 = 0;

/// The rules for the pods of `node`; none if no policy isolates any of them.
pub fn plan<N, P>(policies: &[N], pods: &[P], namespaces: &BTreeMap<String, Labels>, node: &str) -> Option<Ruleset>
where
    N: Deref<Target = NetworkPolicy>,
    P: Deref<Target = Pod>,
{
    let policies: Vec<Policy<'_>> = policies.iter().filter_map(|policy| Policy::read(policy)).collect();
    let mut pods: Vec<(Ipv4Addr, &Pod)> = pods.iter().filter_map(|pod| Some((pod.address()?, &**pod))).collect();
    // The address of a pod that is going may already be another's.
    pods.sort_by_key(|(address, pod)| (pod.metadata.is_deleting(), *address));
    let mut planner = Planner { pods: &pods, namespaces, ruleset: frame() };
    let mut isolated = BTreeSet::new();
    for (address, pod) in pods.iter().filter(|(_, pod)| pod.spec.node_name == node) {
        for direction in [Direction::Egress, Direction::Ingress] {
            let own: Vec<&Policy<'_>> = policies.iter().filter(|policy| policy.isolates(pod, direction)).collect();
            if !own.is_empty() {
                planner.isolate(*address, pod, direction, &own);
                isolated.insert(*address);
            }
        }
    }
    if isolated.is_empty() {
        return None;
    }
    let itself = isolated.into_iter().map(|address| (Key::pair(address, address), None)).collect();
    planner.ruleset.sets.insert(ITSELF.to_owned(), Set { kind: SetKind::AddressPairs, members: itself });
    Some(planner.ruleset)
}

/// The base chain, and the maps that it asks.
fn frame() -> Ruleset {
    let accept = || Statement::Verdict(Verdict::Accept);
    let rules = vec![
        vec![Statement::CtKnown, accept()],
        // A pod may always reach itself, through a service for instance.
        vec![Statement::AddressesIn(ITSELF.to_owned()), accept()],
        vec![Statement::SourceMap(Direction::Egress.map().to_owned())],
        vec![Statement::DestinationMap(Direction::Ingress.map().to_owned())],
    ];
    let hook = Some(Hook { nat: false, point: Point::Forward, priority: PRIORITY });
    let set = |kind| Set { kind, members: BTreeMap::new() };
    Ruleset {
        chains: [("forward".to_owned(), Chain { hook, rules })].into(),
        sets: [
            (ITSELF.to_owned(), set(SetKind::AddressPairs)),
            (Direction::Egress.map().to_owned(), set(SetKind::AddressVerdicts)),
            (Direction::Ingress.map().to_owned(), set(SetKind::AddressVerdicts)),
        ]
        .into(),
    }
}

impl Direction {
    /// The map from pods' addresses to their chains.
    fn map(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress-pods",
            Direction::Egress => "egress-pods",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

/// A policy with its selector read.
struct Policy<'a> {
    object: &'a NetworkPolicy,
    selector: Selector,
}

impl<'a> Policy<'a> {
    /// None if the selector makes no sense, which the API server does not let in.
    fn read(object: &'a NetworkPolicy) -> Option<Policy<'a>> {
        Some(Policy { object, selector: Selector::from_typed(Some(&object.spec.pod_selector)).ok()? })
    }

    fn isolates(&self, pod: &Pod, direction: Direction) -> bool {
        let spec = &self.object.spec;
        let is_meant = match direction {
            _ if !spec.policy_types.is_empty() => {
                spec.policy_types.iter().any(|kind| kind.eq_ignore_ascii_case(direction.word()))
            }
            Direction::Ingress => true,
            Direction::Egress => !spec.egress.is_empty(),
        };
        is_meant && self.object.namespace() == pod.namespace() && self.selector.matches_map(&pod.metadata.labels)
    }
}

struct Planner<'a> {
    pods: &'a [(Ipv4Addr, &'a Pod)],
    namespaces: &'a BTreeMap<String, Labels>,
    ruleset: Ruleset,
}

impl<'a> Planner<'a> {
    fn isolate(&mut self, address: Ipv4Addr, pod: &Pod, direction: Direction, policies: &[&Policy<'_>]) {
        let mut rules: Vec<Rule> = Vec::new();
        for policy in policies {
            let spec = &policy.object.spec;
            let allowed = match direction {
                Direction::Ingress => &spec.ingress,
                Direction::Egress => &spec.egress,
            };
            for rule in allowed {
                for mut conditions in self.conditions(rule, pod, direction, policy.object.namespace()) {
                    conditions.push(Statement::Verdict(Verdict::Return));
                    if !rules.contains(&conditions) {
                        rules.push(conditions);
                    }
                }
            }
        }
        rules.push(vec![Statement::Verdict(Verdict::Drop)]);
        let chain = self.chain(direction, rules);
        if let Some(map) = self.ruleset.sets.get_mut(direction.map()) {
            map.members.entry(Key::address(address)).or_insert(Some(Verdict::Jump(chain)));
        }
    }

    /// The name of the chain with these rules.
    fn chain(&mut self, direction: Direction, rules: Vec<Rule>) -> String {
        let text: Vec<String> = rules.iter().flatten().map(ToString::to_string).collect();
        let mut name = format!("{}-{:016x}", direction.word(), hash(&text));
        while self.ruleset.chains.get(&name).is_some_and(|chain| chain.rules != rules) {
            name.push('x');
        }
        self.ruleset.chains.entry(name.clone()).or_insert(Chain { hook: None, rules });
        name
    }

    /// The pods that a peer means, and a name for them.
    fn selected(&self, peer: &rules::Selectors<'_>, namespace: &str) -> Option<(String, Vec<(Ipv4Addr, &'a Pod)>)> {
        let pods = peer.pods.map_or_else(|| Ok(Selector::everything()), |pods| Selector::from_typed(Some(pods)));
        let namespaces = peer.namespaces.map(|selector| Selector::from_typed(Some(selector))).transpose();
        let (Ok(pods), Ok(namespaces)) = (pods, namespaces) else { return None };
        let is_meant = |pod: &Pod| {
            let in_namespace = match &namespaces {
                None => pod.namespace() == namespace,
                Some(selector) => {
                    self.namespaces.get(pod.namespace()).is_some_and(|labels| selector.matches_map(labels))
                }
            };
            in_namespace && pods.matches_map(&pod.metadata.labels)
        };
        let meant = self.pods.iter().filter(|(_, pod)| is_meant(pod)).copied().collect();
        // Without a namespace selector the same words mean other pods in another namespace.
        let home = if peer.namespaces.is_none() { namespace } else { "" };
        Some((format!("{:016x}", hash(&(home, text(peer.namespaces), text(peer.pods)))), meant))
    }

    /// The set of the addresses of all pods that a peer means.
    fn addresses(&mut self, peer: &rules::Selectors<'_>, namespace: &str) -> Option<String> {
        let (name, pods) = self.selected(peer, namespace)?;
        let members = pods.into_iter().map(|(address, _)| (Key::address(address), None)).collect();
        Some(self.set(format!("pods-{name}"), SetKind::Addresses, members))
    }

    /// The set of the ports called `port` of all pods that a peer means.
    fn endpoints(
        &mut self,
        peer: &rules::Selectors<'_>,
        namespace: &str,
        port: &str,
        protocol: Protocol,
    ) -> Option<String> {
        let (name, pods) = self.selected(peer, namespace)?;
        let members = pods.into_iter().flat_map(|(address, pod)| {
            rules::numbers(pod, port, protocol).map(move |number| (Key::endpoint(address, protocol, number), None))
        });
        let members = members.collect();
        Some(self.set(format!("ports-{name}-{protocol}-{port}"), SetKind::Endpoints, members))
    }

    fn set(&mut self, name: String, kind: SetKind, members: BTreeMap<Key, Option<Verdict>>) -> String {
        self.ruleset.sets.insert(name.clone(), Set { kind, members });
        name
    }
}

fn text(selector: Option<&LabelSelector>) -> String {
    selector.map(|selector| format!("{selector:?}")).unwrap_or_default()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
