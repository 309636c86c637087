//! The bridge and the pods' veth pairs.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};

use crate::netlink::{Message, NetlinkError, Socket};
use crate::{Cidr, Error};

// linux/if_link.h; libc has only a part of them.
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const CREATE: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// The host's end of a pod's veth pair: at most 15 characters, unique by the sandbox's id.
pub(crate) fn veth_name(id: &str) -> String {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(11).collect();
    format!("veth{id}")
}

/// The MTU of the interface that carries `ip`, or 1500.
pub(crate) fn mtu_of(ip: Ipv4Addr) -> u32 {
    interface_of(ip)
        .and_then(|name| std::fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok())
        .and_then(|text| text.trim().parse().ok())
        // The loopback device has one more than a bridge may have.
        .map_or(1500, |mtu: u32| mtu.min(65_535))
}

/// The name of the interface that carries `ip`.
pub(crate) fn interface_of(ip: Ipv4Addr) -> Option<String> {
    nix::ifaddrs::getifaddrs().ok()?.find_map(|interface| {
        let address = interface.address.as_ref()?.as_sockaddr_in()?.ip();
        (address == ip).then_some(interface.interface_name)
    })
}

/// Creates the bridge with the gateway address, or completes one that is there.
pub(crate) fn create_bridge(name: &str, range: Cidr, mtu: u32) -> Result<(), Error> {
    let failed = |source| Error::Netlink { what: "failed to create the bridge", source };
    let socket = Socket::open(libc::NETLINK_ROUTE).map_err(failed)?;
    let create = Message::new(libc::RTM_NEWLINK, CREATE, &interface(0, true))
        .text(libc::IFLA_IFNAME, name)
        .attribute(libc::IFLA_MTU, &mtu.to_ne_bytes())
        .attribute(libc::IFLA_ADDRESS, &hardware_address(range.gateway()))
        .nested(libc::IFLA_LINKINFO, |link| link.text(libc::IFLA_INFO_KIND, "bridge"));
    let up = Message::new(libc::RTM_NEWLINK, 0, &interface(0, true)).text(libc::IFLA_IFNAME, name);
    socket.batch(vec![create, up], |_, error| error == libc::EEXIST).map_err(failed)?;
    let index = index_of(name).map_err(failed)?;
    let address = address(index, range.gateway(), range.prefix());
    socket.batch(vec![address], |_, error| error == libc::EEXIST).map_err(failed)
}

/// Creates a veth pair: `name` is a port of the bridge, the other end is `eth0` in `namespace`.
///
/// With `isolated`, the port exchanges frames with the bridge itself only: pods meet in the node's routing, where packet
/// rules see them, and nowhere else. Otherwise it is in hairpin mode, so that a pod may reach itself by its service.
pub(crate) fn create_veth(
    name: &str,
    bridge: &str,
    mtu: u32,
    ip: Ipv4Addr,
    isolated: bool,
    namespace: BorrowedFd<'_>,
) -> Result<(), Error> {
    let failed = |source| Error::Netlink { what: "failed to create the pod's link", source };
    let socket = Socket::open(libc::NETLINK_ROUTE).map_err(failed)?;
    let bridge = index_of(bridge).map_err(failed)?;
    let create = Message::new(libc::RTM_NEWLINK, CREATE, &interface(0, true))
        .text(libc::IFLA_IFNAME, name)
        .attribute(libc::IFLA_MTU, &mtu.to_ne_bytes())
        .attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes())
        .nested(libc::IFLA_LINKINFO, |link| {
            link.text(libc::IFLA_INFO_KIND, "veth").nested(libc::IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |peer| {
                    peer.raw(&interface(0, false))
                        .text(libc::IFLA_IFNAME, "eth0")
                        .attribute(libc::IFLA_MTU, &mtu.to_ne_bytes())
                        .attribute(libc::IFLA_ADDRESS, &hardware_address(ip))
                        .attribute(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes())
                })
            })
        });
    let port = if isolated { IFLA_BRPORT_ISOLATED } else { IFLA_BRPORT_MODE };
    let mode = Message::new(libc::RTM_NEWLINK, 0, &interface(0, true)).text(libc::IFLA_IFNAME, name).nested(
        libc::IFLA_LINKINFO,
        |link| {
            link.text(IFLA_INFO_SLAVE_KIND, "bridge").nested(IFLA_INFO_SLAVE_DATA, |data| data.attribute(port, &[1]))
        },
    );
    socket.batch(vec![create, mode], |_, _| false).map_err(failed)
}

/// Gives `eth0` in `namespace` its address and its routes: everything, pods of the same node included, is behind the
/// gateway. If those were neighbours, the answers of a service's endpoint to a client on its own node would not pass
/// where the service's address is translated back, and no policy would see what pods of one node send each other.
pub(crate) fn configure_inside(namespace: BorrowedFd<'_>, ip: Ipv4Addr, gateway: Ipv4Addr) -> Result<(), Error> {
    let work = || -> Result<(), Error> {
        let failed = |source| Error::Netlink { what: "failed to configure the pod's link", source };
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(|errno| Error::Namespace { source: errno.into() })?;
        let socket = Socket::open(libc::NETLINK_ROUTE).map_err(failed)?;
        let eth0 = index_of("eth0").map_err(failed)?;
        // The kernel cannot bring the peer up while it creates the pair.
        let up = |name| Message::new(libc::RTM_NEWLINK, 0, &interface(0, true)).text(libc::IFLA_IFNAME, name);
        let neighbour = crate::route::message(Some(Cidr::new(gateway, 32)), None, Some(eth0), None, CREATE);
        let route = crate::route::message(None, Some(gateway), Some(eth0), None, CREATE);
        let messages = vec![up("lo"), up("eth0"), address(eth0, ip, 32), neighbour, route];
        socket.batch(messages, |_, _| false).map_err(failed)
    };
    // A thread of its own: setns changes the whole thread, and this one may belong to an async runtime.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("pod-network".to_owned()).stack_size(128 * 1024);
        let handle = thread.spawn_scoped(scope, work).map_err(|source| Error::Namespace { source })?;
        handle.join().unwrap_or_else(|_| Err(Error::Namespace { source: std::io::Error::other("thread panicked") }))
    })
}

/// Removes a link; one that does not exist is no error.
pub(crate) fn delete(name: &str) -> Result<(), Error> {
    let failed = |source| Error::Netlink { what: "failed to delete the pod's link", source };
    let socket = Socket::open(libc::NETLINK_ROUTE).map_err(failed)?;
    let delete = Message::new(libc::RTM_DELLINK, 0, &interface(0, false)).text(libc::IFLA_IFNAME, name);
    socket.batch(vec![delete], |_, error| error == libc::ENODEV || error == libc::EINVAL).map_err(failed)
}

pub(crate) fn index_of(name: &str) -> Result<u32, NetlinkError> {
    if_nametoindex(name).map_err(|errno| NetlinkError::Socket(errno.into()))
}

/// An Ethernet address made from the IP, as CNI does it: a re-used IP keeps its neighbours' ARP entries valid.
fn hardware_address(ip: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = ip.octets();
    [0x0a, 0x58, a, b, c, d]
}

/// `struct ifinfomsg`.
fn interface(index: u32, up: bool) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = if up { libc::IFF_UP as u32 } else { 0 };
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

/// `RTM_NEWADDR` with broadcast address.
fn address(index: u32, ip: Ipv4Addr, prefix: u8) -> Message {
    let mut fixed = [libc::AF_INET as u8, prefix, 0, 0, 0, 0, 0, 0];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    Message::new(libc::RTM_NEWADDR, CREATE, &fixed)
        .attribute(libc::IFA_LOCAL, &ip.octets())
        .attribute(libc::IFA_ADDRESS, &ip.octets())
        .attribute(libc::IFA_BROADCAST, &(ip.to_bits() | host_bits).to_be_bytes())
}
