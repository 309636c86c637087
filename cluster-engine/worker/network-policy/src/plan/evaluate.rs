//! A model of the kernel: what becomes of a packet under a ruleset.

use std::net::Ipv4Addr;

use drydock_nftables::ruleset::{Key, Prefix, Protocol, Rule, Ruleset, Statement, Verdict};

/// The first packet of a connection, or one without ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    /// None for ICMP.
    pub(super) port: Option<(Protocol, u16)>,
}

/// Whether the packet may pass through the node.
pub(super) fn passes(ruleset: &Ruleset, packet: Packet) -> bool {
    chain(ruleset, "forward", packet).unwrap_or(true)
}

/// None if the chain was left without a decision.
fn chain(ruleset: &Ruleset, name: &str, packet: Packet) -> Option<bool> {
    for rule in &ruleset.chains[name].rules {
        match verdict(ruleset, rule, packet) {
            None => {}
            Some(Verdict::Accept) => return Some(true),
            Some(Verdict::Drop) => return Some(false),
            Some(Verdict::Return) => return None,
            Some(Verdict::Goto(to)) => return chain(ruleset, &to, packet),
            Some(Verdict::Jump(to)) => {
                if let Some(decided) = chain(ruleset, &to, packet) {
                    return Some(decided);
                }
            }
        }
    }
    None
}

fn verdict(ruleset: &Ruleset, rule: &Rule, packet: Packet) -> Option<Verdict> {
    let within = |address: Ipv4Addr, prefix: &Prefix| address.to_bits() & prefix.mask() == prefix.address.to_bits();
    let has = |set: &str, key: Key| ruleset.sets[set].members.contains_key(&key);
    let to = |map: &str, address| ruleset.sets[map].members.get(&Key::address(address)).cloned().flatten();
    for statement in rule {
        let holds = match statement {
            Statement::CtKnown => false,
            Statement::Source { prefix, is } => within(packet.source, prefix) == *is,
            Statement::Destination { prefix, is } => within(packet.destination, prefix) == *is,
            Statement::SourceIn(set) => has(set, Key::address(packet.source)),
            Statement::DestinationIn(set) => has(set, Key::address(packet.destination)),
            Statement::AddressesIn(set) => has(set, Key::pair(packet.source, packet.destination)),
            Statement::EndpointIn(set) => {
                packet.port.is_some_and(|(protocol, port)| has(set, Key::endpoint(packet.destination, protocol, port)))
            }
            Statement::Protocol(wanted) => packet.port.is_some_and(|(protocol, _)| protocol == *wanted),
            Statement::DestinationPort { first, last } => {
                packet.port.is_some_and(|(_, port)| (*first..=*last).contains(&port))
            }
            Statement::SourceMap(map) => return to(map, packet.source),
            Statement::DestinationMap(map) => return to(map, packet.destination),
            Statement::Verdict(verdict) => return Some(verdict.clone()),
            other => panic!("no policy needs {other}"),
        };
        if !holds {
            return None;
        }
    }
    None
}
