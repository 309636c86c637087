//! A rule's statements as nftables expressions: loads into registers, comparisons, look-ups and verdicts.
//!
//! Numbers are those of `linux/netfilter/nf_tables.h`.

use crate::attributes::Attributes;
use crate::ruleset::{MASQUERADE_MARK, Prefix, Statement, Verdict};

/// The register of a verdict.
const VERDICT: u32 = 0;
/// The 32-bit registers from the first one on; concatenated keys lie in neighbours.
const R0: u32 = 8;
const R1: u32 = 9;
const R2: u32 = 10;

const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const SOURCE_OFFSET: u32 = 12;
const DESTINATION_OFFSET: u32 = 16;
const DESTINATION_PORT_OFFSET: u32 = 2;

const META_MARK: u32 = 3;
const META_IIFNAME: u32 = 6;
const META_L4PROTO: u32 = 16;
/// Length of an interface's name in a register, with its end.
const INTERFACE_NAME: usize = 16;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const LESS: u32 = 2;
const BYTEORDER_HTON: u32 = 1;
const CT_STATE: u32 = 0;
const CT_STATE_NEW: u32 = 8;
/// Established and related.
const CT_STATE_KNOWN: u32 = 2 | 4;
const FIB_ADDRTYPE: u32 = 3;
const FIB_SADDR: u32 = 1;
const FIB_DADDR: u32 = 2;
const RTN_LOCAL: u32 = 2;
const FULLY_RANDOM: u32 = 1 << 4;

/// Writes the expressions of a rule, to lie in the rule's list of expressions.
pub(crate) fn rule(list: &mut Attributes<'_>, statements: &[Statement]) {
    for part in statements {
        statement(list, part);
    }
}

fn statement(list: &mut Attributes<'_>, statement: &Statement) {
    match statement {
        Statement::CtNew => connection_state(list, CT_STATE_NEW),
        Statement::CtKnown => connection_state(list, CT_STATE_KNOWN),
        Statement::Source { prefix, is } => in_prefix(list, SOURCE_OFFSET, *prefix, *is),
        Statement::Destination { prefix, is } => in_prefix(list, DESTINATION_OFFSET, *prefix, *is),
        Statement::SourceLocal => local(list, FIB_SADDR),
        Statement::DestinationLocal => local(list, FIB_DADDR),
        Statement::DestinationIn(set) => {
            payload(list, NETWORK, DESTINATION_OFFSET, 4, R0);
            lookup(list, set, None);
        }
        Statement::SourceIn(set) => {
            payload(list, NETWORK, SOURCE_OFFSET, 4, R0);
            lookup(list, set, None);
        }
        Statement::AddressesIn(set) => {
            payload(list, NETWORK, SOURCE_OFFSET, 4, R0);
            payload(list, NETWORK, DESTINATION_OFFSET, 4, R1);
            lookup(list, set, None);
        }
        Statement::EndpointIn(set) => {
            endpoint(list);
            lookup(list, set, None);
        }
        Statement::SourceMap(map) => {
            payload(list, NETWORK, SOURCE_OFFSET, 4, R0);
            lookup(list, map, Some(VERDICT));
        }
        Statement::DestinationMap(map) => {
            payload(list, NETWORK, DESTINATION_OFFSET, 4, R0);
            lookup(list, map, Some(VERDICT));
        }
        Statement::Protocol(protocol) => {
            meta(list, META_L4PROTO, R0);
            compare(list, EQUAL, &[protocol.number()]);
        }
        Statement::DestinationPort { first, last } => {
            payload(list, TRANSPORT, DESTINATION_PORT_OFFSET, 2, R0);
            if first == last {
                compare(list, EQUAL, &first.to_be_bytes());
            } else {
                expression(list, "range", |a| {
                    a.number(1, R0);
                    a.number(2, EQUAL);
                    data(a, 3, &first.to_be_bytes());
                    data(a, 4, &last.to_be_bytes());
                });
            }
        }
        Statement::OneIn(count) => {
            random(list, *count);
            compare(list, EQUAL, &[0; 4]);
        }
        Statement::Percent(percent) => {
            random(list, 100);
            // The machine's order of bytes into the network's, in which the kernel compares.
            expression(list, "byteorder", |a| {
                a.number(1, R0);
                a.number(2, R0);
                a.number(3, BYTEORDER_HTON);
                a.number(4, 4);
                a.number(5, 4);
            });
            compare(list, LESS, &u32::from(*percent).to_be_bytes());
        }
        Statement::ArrivedBy(interface) => {
            let mut name = [0; INTERFACE_NAME];
            for (to, from) in name.iter_mut().zip(interface.bytes().take(INTERFACE_NAME - 1)) {
                *to = from;
            }
            meta(list, META_IIFNAME, R0);
            compare(list, EQUAL, &name);
        }
        Statement::ServiceMap(map) => {
            endpoint(list);
            lookup(list, map, Some(VERDICT));
        }
        Statement::PortMap(map) => {
            meta(list, META_L4PROTO, R0);
            payload(list, TRANSPORT, DESTINATION_PORT_OFFSET, 2, R1);
            lookup(list, map, Some(VERDICT));
        }
        Statement::NotMarked => {
            meta(list, META_MARK, R0);
            bitwise(list, &MASQUERADE_MARK.to_ne_bytes(), &[0; 4]);
            compare(list, EQUAL, &[0; 4]);
        }
        // mark or M = (mark and not M) xor M
        Statement::Mark => change_mark(list, !MASQUERADE_MARK),
        Statement::Unmark => change_mark(list, u32::MAX),
        Statement::Remember { set, seconds } => {
            payload(list, NETWORK, SOURCE_OFFSET, 4, R0);
            expression(list, "dynset", |a| {
                a.text(1, set);
                a.number(3, 1);
                a.number(4, R0);
                a.raw(6, &(u64::from(*seconds) * 1000).to_be_bytes());
            });
        }
        Statement::Dnat { address, port } => {
            immediate(list, R0, &address.octets());
            immediate(list, R1, &port.to_be_bytes());
            expression(list, "nat", |a| {
                a.number(1, 1);
                a.number(2, u32::from(crate::batch::IPV4));
                a.number(3, R0);
                a.number(5, R1);
            });
        }
        Statement::Masquerade => expression(list, "masq", |a| a.number(1, FULLY_RANDOM)),
        Statement::Reject => expression(list, "reject", |a| {
            // ICMP unreachable, port.
            a.number(1, 0);
            a.raw(2, &[3]);
        }),
        Statement::Verdict(verdict) => expression(list, "immediate", |a| {
            a.number(1, VERDICT);
            a.nested(2, |a| verdict_data(a, verdict));
        }),
    }
}

/// A verdict as the data of a register or a map.
pub(crate) fn verdict_data(a: &mut Attributes<'_>, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3_i32, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    a.nested(2, |a| {
        a.raw(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            a.text(2, chain);
        }
    });
}

fn expression(list: &mut Attributes<'_>, name: &str, fill: impl FnOnce(&mut Attributes<'_>)) {
    list.nested(1, |a| {
        a.text(1, name);
        a.nested(2, fill);
    });
}

fn data(a: &mut Attributes<'_>, kind: u16, value: &[u8]) {
    a.nested(kind, |a| a.raw(1, value));
}

fn payload(list: &mut Attributes<'_>, base: u32, offset: u32, length: u32, register: u32) {
    expression(list, "payload", |a| {
        a.number(1, register);
        a.number(2, base);
        a.number(3, offset);
        a.number(4, length);
    });
}

/// A number below `count`, by chance.
fn random(list: &mut Attributes<'_>, count: u32) {
    expression(list, "numgen", |a| {
        a.number(1, R0);
        a.number(2, count);
        a.number(3, 1);
        a.number(4, 0);
    });
}

fn meta(list: &mut Attributes<'_>, key: u32, register: u32) {
    expression(list, "meta", |a| {
        a.number(1, register);
        a.number(2, key);
    });
}

fn compare(list: &mut Attributes<'_>, operation: u32, value: &[u8]) {
    expression(list, "cmp", |a| {
        a.number(1, R0);
        a.number(2, operation);
        data(a, 3, value);
    });
}

fn bitwise(list: &mut Attributes<'_>, mask: &[u8; 4], xor: &[u8; 4]) {
    expression(list, "bitwise", |a| {
        a.number(1, R0);
        a.number(2, R0);
        a.number(3, 4);
        data(a, 4, mask);
        data(a, 5, xor);
    });
}

fn immediate(list: &mut Attributes<'_>, register: u32, value: &[u8]) {
    expression(list, "immediate", |a| {
        a.number(1, register);
        data(a, 2, value);
    });
}

fn lookup(list: &mut Attributes<'_>, set: &str, to: Option<u32>) {
    expression(list, "lookup", |a| {
        a.text(1, set);
        a.number(2, R0);
        if let Some(register) = to {
            a.number(3, register);
        }
    });
}

/// Destination, protocol and port, as the key of a set.
fn endpoint(list: &mut Attributes<'_>) {
    payload(list, NETWORK, DESTINATION_OFFSET, 4, R0);
    meta(list, META_L4PROTO, R1);
    payload(list, TRANSPORT, DESTINATION_PORT_OFFSET, 2, R2);
}

fn connection_state(list: &mut Attributes<'_>, wanted: u32) {
    expression(list, "ct", |a| {
        a.number(1, R0);
        a.number(2, CT_STATE);
    });
    // Conntrack's state is a number in the machine's own order.
    bitwise(list, &wanted.to_ne_bytes(), &[0; 4]);
    compare(list, NOT_EQUAL, &[0; 4]);
}

fn in_prefix(list: &mut Attributes<'_>, offset: u32, prefix: Prefix, is: bool) {
    payload(list, NETWORK, offset, 4, R0);
    if prefix.length < 32 {
        bitwise(list, &prefix.mask().to_be_bytes(), &[0; 4]);
    }
    compare(list, if is { EQUAL } else { NOT_EQUAL }, &prefix.address.octets());
}

fn local(list: &mut Attributes<'_>, which: u32) {
    expression(list, "fib", |a| {
        a.number(1, R0);
        a.number(2, FIB_ADDRTYPE);
        a.number(3, which);
    });
    // The kernel's number in the machine's own order.
    compare(list, EQUAL, &RTN_LOCAL.to_ne_bytes());
}

fn change_mark(list: &mut Attributes<'_>, mask: u32) {
    meta(list, META_MARK, R0);
    bitwise(list, &mask.to_ne_bytes(), &MASQUERADE_MARK.to_ne_bytes());
    expression(list, "meta", |a| {
        a.number(2, META_MARK);
        a.number(3, R0);
    });
}
