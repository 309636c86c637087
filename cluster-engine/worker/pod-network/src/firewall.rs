//! Masquerade of what leaves the pod network, and host ports: one nf_tables table of our own, replaced whole.

use std::net::Ipv4Addr;

use crate::netlink::{Message, Socket};
use crate::{Cidr, Error};

const TABLE: &str = "drydock-pod-network";

// linux/netfilter/nf_tables.h
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const RTN_LOCAL: u32 = 2;

/// The transport of a host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port of the node that leads to a port of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The transport.
    pub protocol: Protocol,
    /// Only this address of the node; all of them if `None`.
    pub host_ip: Option<Ipv4Addr>,
    /// The node's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
}

/// A host port with the pod it leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forward {
    port: HostPort,
    pod: Ipv4Addr,
}

impl HostPort {
    pub(crate) fn to(self, pod: Ipv4Addr) -> Forward {
        Forward { port: self, pod }
    }
}

/// Replaces the table in one transaction.
pub(crate) fn replace(bridge: &str, pods: Cidr, cluster: Option<Cidr>, forwards: &[Forward]) -> Result<(), Error> {
    let failed = |source| Error::Netlink { what: "failed to set nf_tables rules", source };
    let socket = Socket::open(libc::NETLINK_NETFILTER).map_err(failed)?;
    socket.batch(transaction(bridge, pods, cluster, forwards), |_, _| false).map_err(failed)
}

fn transaction(bridge: &str, pods: Cidr, cluster: Option<Cidr>, forwards: &[Forward]) -> Vec<Message> {
    // Add before delete: deleting a table that is not there would fail the transaction.
    let mut batch = vec![
        control(BATCH_BEGIN),
        table(NEW_TABLE, libc::NLM_F_CREATE),
        table(DELETE_TABLE, 0),
        table(NEW_TABLE, libc::NLM_F_CREATE),
        chain("postrouting", libc::NF_INET_POST_ROUTING, 100),
    ];
    let leaves = |rule: Rule| rule.source_in(pods, true).destination_in(cluster.unwrap_or(pods), false);
    let multicast = Cidr::new(Ipv4Addr::new(224, 0, 0, 0), 4);
    batch.push(leaves(Rule::new()).destination_in(multicast, false).masquerade().into_message("postrouting"));
    if !forwards.is_empty() {
        batch.push(chain("prerouting", libc::NF_INET_PRE_ROUTING, -100));
        batch.push(chain("output", libc::NF_INET_LOCAL_OUT, -100));
    }
    for forward in forwards {
        for chain in ["prerouting", "output"] {
            batch.push(forward.rule().into_message(chain));
        }
        let pod = Cidr::new(forward.pod, 32);
        // The pod that calls its own host port, and the node that calls it by 127.0.0.1.
        let own = Rule::new().source_in(pod, true).destination_in(pod, true);
        batch.push(own.masquerade().into_message("postrouting"));
        let loopback = Rule::new().out_of(bridge).source_in(Cidr::new(Ipv4Addr::LOCALHOST, 8), true);
        batch.push(loopback.destination_in(pod, true).masquerade().into_message("postrouting"));
    }
    batch.push(control(BATCH_END));
    batch
}

impl Forward {
    fn rule(&self) -> Rule {
        let protocol = match self.port.protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
            Protocol::Sctp => libc::IPPROTO_SCTP,
        };
        let rule = Rule::new().for_this_node().protocol(protocol as u8).destination_port(self.port.host_port);
        let rule = match self.port.host_ip {
            Some(ip) if !ip.is_unspecified() => rule.destination_in(Cidr::new(ip, 32), true),
            _ => rule,
        };
        rule.dnat(self.pod, self.port.container_port)
    }
}

/// The expressions of a rule, each already encoded as a list of attributes.
struct Rule(Vec<(&'static str, Vec<(u16, Data)>)>);

enum Data {
    /// A big-endian number, as nf_tables wants all of its attributes.
    Number(u32),
    /// A value inside a nested data attribute.
    Value(Vec<u8>),
}

impl Rule {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn with(mut self, name: &'static str, attributes: Vec<(u16, Data)>) -> Self {
        self.0.push((name, attributes));
        self
    }

    fn load(self, base: u32, offset: u32, length: u32) -> Self {
        self.with(
            "payload",
            vec![
                (1, Data::Number(REGISTER_1)),
                (2, Data::Number(base)),
                (3, Data::Number(offset)),
                (4, Data::Number(length)),
            ],
        )
    }

    fn compare(self, equal: bool, value: Vec<u8>) -> Self {
        let operator = u32::from(!equal);
        self.with("cmp", vec![(1, Data::Number(REGISTER_1)), (2, Data::Number(operator)), (3, Data::Value(value))])
    }

    fn address_in(self, offset: u32, range: Cidr, inside: bool) -> Self {
        let rule = self.load(NETWORK_HEADER, offset, 4);
        let rule = if range.prefix() == 32 {
            rule
        } else {
            let mask = Data::Value(range.mask().octets().to_vec());
            let register = || Data::Number(REGISTER_1);
            let zero = Data::Value(vec![0; 4]);
            rule.with("bitwise", vec![(1, register()), (2, register()), (3, Data::Number(4)), (4, mask), (5, zero)])
        };
        rule.compare(inside, range.address().octets().to_vec())
    }

    fn source_in(self, range: Cidr, inside: bool) -> Self {
        self.address_in(SOURCE, range, inside)
    }

    fn destination_in(self, range: Cidr, inside: bool) -> Self {
        self.address_in(DESTINATION, range, inside)
    }

    fn meta(self, key: u32) -> Self {
        self.with("meta", vec![(1, Data::Number(REGISTER_1)), (2, Data::Number(key))])
    }

    fn protocol(self, number: u8) -> Self {
        self.meta(16).compare(true, vec![number])
    }

    fn out_of(self, interface: &str) -> Self {
        let mut name = [0; libc::IFNAMSIZ];
        for (slot, byte) in name.iter_mut().zip(interface.bytes()) {
            *slot = byte;
        }
        self.meta(7).compare(true, name.to_vec())
    }

    fn destination_port(self, port: u16) -> Self {
        self.load(TRANSPORT_HEADER, 2, 2).compare(true, port.to_be_bytes().to_vec())
    }

    /// `fib daddr type local`
    fn for_this_node(self) -> Self {
        self.with("fib", vec![(1, Data::Number(REGISTER_1)), (2, Data::Number(3)), (3, Data::Number(2))])
            .compare(true, RTN_LOCAL.to_ne_bytes().to_vec())
    }

    fn masquerade(self) -> Self {
        self.with("masq", Vec::new())
    }

    fn dnat(self, ip: Ipv4Addr, port: u16) -> Self {
        self.with("immediate", vec![(1, Data::Number(REGISTER_1)), (2, Data::Value(ip.octets().to_vec()))])
            .with("immediate", vec![(1, Data::Number(REGISTER_2)), (2, Data::Value(port.to_be_bytes().to_vec()))])
            .with(
                "nat",
                vec![
                    (1, Data::Number(1)),
                    (2, Data::Number(libc::AF_INET as u32)),
                    (3, Data::Number(REGISTER_1)),
                    (5, Data::Number(REGISTER_2)),
                ],
            )
    }

    fn into_message(self, chain: &str) -> Message {
        let message = request(NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND).text(1, TABLE).text(2, chain);
        message.nested(4, |list| {
            self.0.into_iter().fold(list, |list, (name, attributes)| {
                list.nested(1, |expression| {
                    expression.text(1, name).nested(2, |data| {
                        attributes.into_iter().fold(data, |data, (kind, value)| match value {
                            Data::Number(number) => data.attribute(kind, &number.to_be_bytes()),
                            Data::Value(bytes) => data.nested(kind, |nested| nested.attribute(1, &bytes)),
                        })
                    })
                })
            })
        })
    }
}

fn control(kind: u16) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::new(kind, 0, &[libc::AF_UNSPEC as u8, 0, high, low])
}

fn request(kind: u16, flags: i32) -> Message {
    Message::new(SUBSYSTEM << 8 | kind, flags, &[libc::AF_INET as u8, 0, 0, 0])
}

fn table(kind: u16, flags: i32) -> Message {
    request(kind, flags).text(1, TABLE)
}

fn chain(name: &str, hook: i32, priority: i32) -> Message {
    request(NEW_CHAIN, libc::NLM_F_CREATE)
        .text(1, TABLE)
        .text(3, name)
        .nested(4, |hooked| hooked.attribute(1, &(hook as u32).to_be_bytes()).attribute(2, &priority.to_be_bytes()))
        .text(7, "nat")
}
