//! Routes: to the other nodes' pods through the nodes themselves (host-gw), and to the services.

use std::net::Ipv4Addr;

use crate::netlink::{Message, Socket};
use crate::{Cidr, Error, link};

/// Pods of another node, reached through that node's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerRoute {
    /// The other node's pod CIDR.
    pub pods: Cidr,
    /// The other node's address, on a network that this node is connected to.
    pub via: Ipv4Addr,
}

/// Marks routes as ours in `ip route` (`proto 68`), as no routing daemon uses the number.
const PROTOCOL: u8 = 68;

/// Removes what is only in `old`, sets what is in `new`.
pub(crate) fn replace_peers(old: &[PeerRoute], new: &[PeerRoute]) -> Result<(), Error> {
    let failed = |source| Error::Netlink { what: "failed to set routes to other nodes", source };
    let socket = Socket::open(libc::NETLINK_ROUTE).map_err(failed)?;
    let gone = old.iter().filter(|peer| !new.contains(peer));
    let gone = gone.map(|peer| base(libc::RTM_DELROUTE, 0, Some(peer.pods), Some(peer.via), None, None));
    let set = new
        .iter()
        .map(|peer| message(Some(peer.pods), Some(peer.via), None, None, libc::NLM_F_CREATE | libc::NLM_F_REPLACE));
    // ESRCH: the route to remove is already gone.
    socket.batch(gone.chain(set).collect(), |_, error| error == libc::ESRCH).map_err(failed)
}

/// Routes the service addresses out of the node's interface unless there is a default route.
pub(crate) fn ensure_service_route(services: Cidr, node_ip: Ipv4Addr) -> Result<(), Error> {
    let failed = |source| Error::Netlink { what: "failed to set the route to services", source };
    if has_default_route() {
        return Ok(());
    }
    let Some(interface) = link::interface_of(node_ip) else {
        return Ok(());
    };
    let index = link::index_of(&interface).map_err(failed)?;
    let socket = Socket::open(libc::NETLINK_ROUTE).map_err(failed)?;
    let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    socket.batch(vec![message(Some(services), None, Some(index), Some(node_ip), flags)], |_, _| false).map_err(failed)
}

fn has_default_route() -> bool {
    // Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask …
    let table = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some("00000000") && columns.nth(5) == Some("00000000")
    })
}

/// `RTM_NEWROUTE`; no destination is the default route.
pub(crate) fn message(
    to: Option<Cidr>,
    via: Option<Ipv4Addr>,
    device: Option<u32>,
    source: Option<Ipv4Addr>,
    flags: i32,
) -> Message {
    base(libc::RTM_NEWROUTE, flags, to, via, device, source)
}

fn base(
    kind: u16,
    flags: i32,
    to: Option<Cidr>,
    via: Option<Ipv4Addr>,
    device: Option<u32>,
    source: Option<Ipv4Addr>,
) -> Message {
    let scope = if via.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let prefix = to.map_or(0, Cidr::prefix);
    // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
    let fixed =
        [libc::AF_INET as u8, prefix, 0, 0, libc::RT_TABLE_MAIN, PROTOCOL, scope, libc::RTN_UNICAST, 0, 0, 0, 0];
    let mut message = Message::new(kind, flags, &fixed);
    if let Some(to) = to {
        message = message.attribute(libc::RTA_DST, &to.address().octets());
    }
    if let Some(via) = via {
        message = message.attribute(libc::RTA_GATEWAY, &via.octets());
    }
    if let Some(device) = device {
        message = message.attribute(libc::RTA_OIF, &device.to_ne_bytes());
    }
    if let Some(source) = source {
        message = message.attribute(libc::RTA_PREFSRC, &source.octets());
    }
    message
}
