//! The kernel's list of UDP connections: read, and single ones forgotten.

use std::net::Ipv4Addr;

use crate::attributes::{ACK, DUMP, GENERIC, Messages, REQUEST, find};
use crate::batch::IPV4;
use crate::ruleset::Protocol;
use crate::{Error, Socket};

const SUBSYSTEM: u16 = 1;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_SOURCE: u16 = 1;
const IP_DESTINATION: u16 = 2;
const PROTO_NUMBER: u16 = 1;
const PROTO_SOURCE: u16 = 2;
const PROTO_DESTINATION: u16 = 3;
/// `IPS_DST_NAT`.
const DST_NAT: u32 = 1 << 5;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// From where.
    pub source: (Ipv4Addr, u16),
    /// To where.
    pub destination: (Ipv4Addr, u16),
}

/// A UDP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// As the client sends.
    pub original: Tuple,
    /// As the answer comes back.
    pub reply: Tuple,
    /// Whether its destination was translated.
    pub translated: bool,
}

/// Forgets the UDP connections for which `is_stale` holds; answers how many there were.
///
/// # Errors
/// When the kernel has no connection tracking, or it may not be changed.
pub fn forget(socket: &Socket, is_stale: impl Fn(&Connection) -> bool) -> Result<usize, Error> {
    let mut request = Messages::default();
    request.message(GET, REQUEST | DUMP, 0, IPV4, 0, |_| {});
    let mut stale = Vec::new();
    socket.dump(&request.bytes, |body| {
        if let Some(connection) = body.get(GENERIC..).and_then(parse)
            && is_stale(&connection)
        {
            stale.push(connection);
        }
    })?;
    for connection in &stale {
        let mut request = Messages::default();
        request.message(DELETE, REQUEST | ACK, 0, IPV4, 0, |a| {
            let Tuple { source, destination } = connection.original;
            a.nested(TUPLE_ORIGINAL, |a| {
                a.nested(TUPLE_IP, |a| {
                    a.raw(IP_SOURCE, &source.0.octets());
                    a.raw(IP_DESTINATION, &destination.0.octets());
                });
                a.nested(TUPLE_PROTO, |a| {
                    a.raw(PROTO_NUMBER, &[Protocol::Udp.number()]);
                    a.raw(PROTO_SOURCE, &source.1.to_be_bytes());
                    a.raw(PROTO_DESTINATION, &destination.1.to_be_bytes());
                });
            });
        });
        for (_, error) in socket.send_and_collect_errors(&request.bytes)? {
            // Ended by itself meanwhile.
            if error.raw_os_error() != Some(nix::libc::ENOENT) {
                return Err(Error::Socket(error));
            }
        }
    }
    Ok(stale.len())
}

fn parse(attributes: &[u8]) -> Option<Connection> {
    let original = tuple(find(attributes, TUPLE_ORIGINAL)?)?;
    let reply = tuple(find(attributes, TUPLE_REPLY)?)?;
    let status =
        find(attributes, STATUS).and_then(|status| status.first_chunk()).copied().map_or(0, u32::from_be_bytes);
    Some(Connection { original, reply, translated: status & DST_NAT != 0 })
}

fn tuple(attributes: &[u8]) -> Option<Tuple> {
    let ip = find(attributes, TUPLE_IP)?;
    let proto = find(attributes, TUPLE_PROTO)?;
    if find(proto, PROTO_NUMBER)? != [Protocol::Udp.number()] {
        return None;
    }
    let address = |kind| Some(Ipv4Addr::from(*find(ip, kind)?.first_chunk::<4>()?));
    let port = |kind| Some(u16::from_be_bytes(*find(proto, kind)?.first_chunk::<2>()?));
    Some(Tuple {
        source: (address(IP_SOURCE)?, port(PROTO_SOURCE)?),
        destination: (address(IP_DESTINATION)?, port(PROTO_DESTINATION)?),
    })
}
