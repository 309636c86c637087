//! The packet rules as plain data: what plans decide and `apply` writes to the kernel.
//!
//! It is the part of nftables that a service proxy and network policies need, in nft's own terms; [`Ruleset`]'s `Display`
//! is close to what `nft list table` prints.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

/// The packet mark that asks for masquerading, upstream's.
pub const MASQUERADE_MARK: u32 = 0x4000;

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// From a service's `TCP`, `UDP`, `SCTP`; empty means TCP.
    pub fn parse(text: &str) -> Option<Protocol> {
        match text {
            "" | "TCP" => Some(Protocol::Tcp),
            "UDP" => Some(Protocol::Udp),
            "SCTP" => Some(Protocol::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

/// Addresses that share their first `length` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// An address in it.
    pub address: Ipv4Addr,
    /// How many bits they share.
    pub length: u8,
}

impl Prefix {
    /// From `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Prefix> {
        let (address, length) = text.trim().split_once('/')?;
        let (address, length) = (address.parse::<Ipv4Addr>().ok()?, length.parse().ok()?);
        let mut prefix = Prefix { address, length };
        if length > 32 {
            return None;
        }
        prefix.address = Ipv4Addr::from_bits(address.to_bits() & prefix.mask());
        Some(prefix)
    }

    /// The bits that count.
    pub fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// Where a packet goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nowhere, silently.
    Drop,
    /// On its way, without regard to the rest of the base chain.
    Accept,
    /// Back to where this chain was jumped to from.
    Return,
    /// Into a chain, and back.
    Jump(String),
    /// Into a chain for good.
    Goto(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Drop => f.write_str("drop"),
            Verdict::Accept => f.write_str("accept"),
            Verdict::Return => f.write_str("return"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
            Verdict::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

/// A part of a rule: a condition or an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The packet begins a connection.
    CtNew,
    /// The packet belongs to a connection that is known, or to one that such a connection expects.
    CtKnown,
    /// The source is (or is not) in the prefix.
    Source {
        /// The prefix.
        prefix: Prefix,
        /// Whether it must be.
        is: bool,
    },
    /// The destination is (or is not) in the prefix.
    Destination {
        /// The prefix.
        prefix: Prefix,
        /// Whether it must be.
        is: bool,
    },
    /// The source is an address of this machine.
    SourceLocal,
    /// The destination is an address of this machine.
    DestinationLocal,
    /// The destination is in the set.
    DestinationIn(String),
    /// The source is in the set.
    SourceIn(String),
    /// Source and destination are a pair in the set.
    AddressesIn(String),
    /// Destination, protocol and port are in the set.
    EndpointIn(String),
    /// The verdict that the map has for the source.
    SourceMap(String),
    /// The verdict that the map has for the destination.
    DestinationMap(String),
    /// The protocol.
    Protocol(Protocol),
    /// The destination's port lies in this range, both ends included.
    DestinationPort {
        /// The first.
        first: u16,
        /// The last.
        last: u16,
    },
    /// One of so many, by chance.
    OneIn(u32),
    /// So many of a hundred, by chance.
    Percent(u8),
    /// It came in by this network interface.
    ArrivedBy(String),
    /// The verdict that the map has for destination, protocol and port.
    ServiceMap(String),
    /// The verdict that the map has for protocol and port.
    PortMap(String),
    /// The masquerade mark is not set.
    NotMarked,
    /// Sets the masquerade mark.
    Mark,
    /// Takes the masquerade mark off.
    Unmark,
    /// Remembers the source in the set.
    Remember {
        /// The set.
        set: String,
        /// For so many seconds.
        seconds: u32,
    },
    /// Sends the connection to an endpoint.
    Dnat {
        /// Its address.
        address: Ipv4Addr,
        /// Its port.
        port: u16,
    },
    /// Gives the connection an address of this machine as its source.
    Masquerade,
    /// Refuses with ICMP "port unreachable".
    Reject,
    /// Goes on elsewhere.
    Verdict(Verdict),
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |is: bool| if is { "" } else { "!= " };
        match self {
            Statement::CtNew => f.write_str("ct state new"),
            Statement::CtKnown => f.write_str("ct state established,related"),
            Statement::Source { prefix, is } => write!(f, "ip saddr {}{prefix}", not(*is)),
            Statement::Destination { prefix, is } => write!(f, "ip daddr {}{prefix}", not(*is)),
            Statement::SourceLocal => f.write_str("fib saddr type local"),
            Statement::DestinationLocal => f.write_str("fib daddr type local"),
            Statement::DestinationIn(set) => write!(f, "ip daddr @{set}"),
            Statement::SourceIn(set) => write!(f, "ip saddr @{set}"),
            Statement::AddressesIn(set) => write!(f, "ip saddr . ip daddr @{set}"),
            Statement::EndpointIn(set) => write!(f, "ip daddr . meta l4proto . th dport @{set}"),
            Statement::SourceMap(map) => write!(f, "ip saddr vmap @{map}"),
            Statement::DestinationMap(map) => write!(f, "ip daddr vmap @{map}"),
            Statement::Protocol(protocol) => write!(f, "meta l4proto {protocol}"),
            Statement::DestinationPort { first, last } if first == last => write!(f, "th dport {first}"),
            Statement::DestinationPort { first, last } => write!(f, "th dport {first}-{last}"),
            Statement::OneIn(count) => write!(f, "numgen random mod {count} 0"),
            Statement::Percent(percent) => write!(f, "numgen random mod 100 < {percent}"),
            Statement::ArrivedBy(interface) => write!(f, "iifname {interface:?}"),
            Statement::ServiceMap(map) => write!(f, "ip daddr . meta l4proto . th dport vmap @{map}"),
            Statement::PortMap(map) => write!(f, "meta l4proto . th dport vmap @{map}"),
            Statement::NotMarked => write!(f, "meta mark & {MASQUERADE_MARK:#x} == 0"),
            Statement::Mark => write!(f, "meta mark set mark or {MASQUERADE_MARK:#x}"),
            Statement::Unmark => write!(f, "meta mark set mark xor {MASQUERADE_MARK:#x}"),
            Statement::Remember { set, seconds } => write!(f, "update @{set} {{ ip saddr timeout {seconds}s }}"),
            Statement::Dnat { address, port } => write!(f, "dnat to {address}:{port}"),
            Statement::Masquerade => f.write_str("masquerade fully-random"),
            Statement::Reject => f.write_str("reject"),
            Statement::Verdict(verdict) => verdict.fmt(f),
        }
    }
}

/// A rule: its statements, until one does not hold.
pub type Rule = Vec<Statement>;

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Translates addresses, or only filters.
    pub nat: bool,
    /// At which point of a packet's way.
    pub point: Point,
    /// The order among chains at that point.
    pub priority: i32,
}

/// A point of a packet's way, with the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Arrived, not routed yet.
    Prerouting = 0,
    /// For this machine.
    Input = 1,
    /// On its way through.
    Forward = 2,
    /// From this machine.
    Output = 3,
    /// About to leave.
    Postrouting = 4,
}

/// Rules in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Set for a base chain.
    pub hook: Option<Hook>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// What a set or map holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// (address, protocol, port) → verdict.
    Services,
    /// (protocol, port) → verdict.
    Ports,
    /// (address, protocol, port).
    Endpoints,
    /// Addresses.
    Addresses,
    /// Address → verdict.
    AddressVerdicts,
    /// (source, destination).
    AddressPairs,
    /// Addresses that rules add and that go by themselves.
    Remembered,
}

/// A member of a set; the parts that the set's kind has no use for are unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// An address; of a pair the source.
    pub address: Option<Ipv4Addr>,
    /// Of a pair the destination.
    pub destination: Option<Ipv4Addr>,
    /// A protocol and port.
    pub port: Option<(Protocol, u16)>,
}

impl Key {
    /// An address.
    pub fn address(address: Ipv4Addr) -> Key {
        Key { address: Some(address), ..Key::default() }
    }

    /// A source and a destination.
    pub fn pair(source: Ipv4Addr, destination: Ipv4Addr) -> Key {
        Key { address: Some(source), destination: Some(destination), port: None }
    }

    /// An address with a protocol and port.
    pub fn endpoint(address: Ipv4Addr, protocol: Protocol, port: u16) -> Key {
        Key { address: Some(address), destination: None, port: Some((protocol, port)) }
    }

    /// A protocol and port.
    pub fn port(protocol: Protocol, port: u16) -> Key {
        Key { port: Some((protocol, port)), ..Key::default() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (Some(address), Some((protocol, port))) => write!(f, "{address} . {protocol} . {port}"),
            (Some(address), None) => match self.destination {
                Some(destination) => write!(f, "{address} . {destination}"),
                None => address.fmt(f),
            },
            (None, Some((protocol, port))) => write!(f, "{protocol} . {port}"),
            (None, None) => Ok(()),
        }
    }
}

/// A set, or a map to verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// What it holds.
    pub kind: SetKind,
    /// Its members; maps have a verdict for each.
    pub members: BTreeMap<Key, Option<Verdict>>,
}

/// All chains and sets of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Chains by name.
    pub chains: BTreeMap<String, Chain>,
    /// Sets and maps by name.
    pub sets: BTreeMap<String, Set>,
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, set) in &self.sets {
            writeln!(f, "{:?} {name}", set.kind)?;
            for (key, verdict) in &set.members {
                match verdict {
                    Some(verdict) => writeln!(f, "    {key} : {verdict}")?,
                    None => writeln!(f, "    {key}")?,
                }
            }
        }
        for (name, chain) in &self.chains {
            writeln!(f, "chain {name}")?;
            for rule in &chain.rules {
                let statements: Vec<_> = rule.iter().map(ToString::to_string).collect();
                writeln!(f, "    {}", statements.join(" "))?;
            }
        }
        Ok(())
    }
}

/// One step from one ruleset to another; applied in order, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Forget the whole table and begin with an empty one.
    Reset,
    /// Make a chain without rules.
    AddChain(&'a str, Option<Hook>),
    /// Make a set without members.
    AddSet(&'a str, SetKind),
    /// Take a member out of a set.
    RemoveMember(&'a str, SetKind, &'a Key),
    /// Take all rules out of a chain.
    Flush(&'a str),
    /// Append a rule.
    AddRule(&'a str, &'a Rule),
    /// Put a member into a set.
    AddMember(&'a str, SetKind, &'a Key, Option<&'a Verdict>),
    /// Remove an empty chain.
    RemoveChain(&'a str),
    /// Remove a set.
    RemoveSet(&'a str),
}

static NOTHING: Ruleset = Ruleset { chains: BTreeMap::new(), sets: BTreeMap::new() };

/// The steps from `old` to `new`, or to `new` from whatever there is. What stays the same is not touched, so
/// sets keep what rules put into them (session affinity).
pub fn steps<'a>(old: Option<&'a Ruleset>, new: &'a Ruleset) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    if old.is_none() {
        steps.push(Step::Reset);
    }
    let old = old.unwrap_or(&NOTHING);
    // A chain or set of the same name but another kind cannot be changed; no name is ever used for two kinds.
    let added_chain = |name: &String| !old.chains.contains_key(name);
    let added_set = |name: &String| !old.sets.contains_key(name);
    for (name, chain) in new.chains.iter().filter(|(name, _)| added_chain(name)) {
        steps.push(Step::AddChain(name, chain.hook));
    }
    for (name, set) in new.sets.iter().filter(|(name, _)| added_set(name)) {
        steps.push(Step::AddSet(name, set.kind));
    }
    for (name, set) in &old.sets {
        let kept = new.sets.get(name);
        for (key, verdict) in &set.members {
            if kept.and_then(|kept| kept.members.get(key)) != Some(verdict) {
                steps.push(Step::RemoveMember(name, set.kind, key));
            }
        }
    }
    for (name, chain) in &old.chains {
        if !chain.rules.is_empty() && new.chains.get(name).is_none_or(|kept| kept.rules != chain.rules) {
            steps.push(Step::Flush(name));
        }
    }
    for (name, chain) in &new.chains {
        if old.chains.get(name).is_none_or(|before| before.rules != chain.rules) {
            steps.extend(chain.rules.iter().map(|rule| Step::AddRule(name, rule)));
        }
    }
    for (name, set) in &new.sets {
        let before = old.sets.get(name);
        for (key, verdict) in &set.members {
            if before.and_then(|before| before.members.get(key)) != Some(verdict) {
                steps.push(Step::AddMember(name, set.kind, key, verdict.as_ref()));
            }
        }
    }
    steps.extend(old.chains.keys().filter(|name| !new.chains.contains_key(*name)).map(|name| Step::RemoveChain(name)));
    steps.extend(old.sets.keys().filter(|name| !new.sets.contains_key(*name)).map(|name| Step::RemoveSet(name)));
    steps
}
