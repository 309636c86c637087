//! Addresses of load balancers, for which one node at a time answers on the nodes' network.
//!
//! What MetalLB does in its layer-2 mode: the node takes the address (as a /32 on the interface of its own address, so
//! that the kernel answers ARP requests for it) and tells the neighbours, who may still know the node that had it before.
#![allow(unsafe_code, reason = "a packet socket's address has no safe interface")]

use std::collections::BTreeSet;
use std::io;
use std::mem::size_of;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Keeps the node's extra addresses.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    /// None before the first look at what a former process left.
    current: Option<BTreeSet<Ipv4Addr>>,
}

impl Announcer {
    /// Makes the node answer for exactly `wanted`; what fails is tried again with the next change.
    pub(crate) fn announce(&mut self, own: &[Ipv4Addr], wanted: BTreeSet<Ipv4Addr>) {
        let Some(own) = own.first() else { return };
        if self.current.as_ref() == Some(&wanted) {
            return;
        }
        match take(*own, &wanted) {
            Ok(()) => self.current = Some(wanted),
            Err(error) => {
                self.current = None;
                tracing::warn!(%error, "cannot take the addresses of load balancers");
            }
        }
    }
}

struct Interface {
    index: u32,
    /// Addresses that stand alone: ours, for a node's own has the network's prefix.
    single: BTreeSet<Ipv4Addr>,
    hardware: [u8; 6],
}

fn take(own: Ipv4Addr, wanted: &BTreeSet<Ipv4Addr>) -> io::Result<()> {
    let interface = interface(own)?;
    for address in interface.single.difference(wanted) {
        change(libc::RTM_DELADDR, interface.index, *address)?;
        tracing::info!(%address, "another node answers for the load balancer from now on");
    }
    for address in wanted.difference(&interface.single) {
        change(libc::RTM_NEWADDR, interface.index, *address)?;
        tell(&interface, *address)?;
        tracing::info!(%address, "answering for a load balancer");
    }
    Ok(())
}

fn interface(own: Ipv4Addr) -> io::Result<Interface> {
    let all: Vec<_> = getifaddrs()?.collect();
    let address = |of: &nix::ifaddrs::InterfaceAddress| Some(of.address.as_ref()?.as_sockaddr_in()?.ip());
    let name = all.iter().find(|entry| address(entry) == Some(own)).map(|entry| entry.interface_name.clone());
    let name = name.ok_or_else(|| io::Error::other(format!("no interface has the node's address {own}")))?;
    let on_it = || all.iter().filter(|entry| entry.interface_name == name);
    let is_single = |entry: &&nix::ifaddrs::InterfaceAddress| {
        let mask = entry.netmask.as_ref().and_then(|mask| Some(mask.as_sockaddr_in()?.ip()));
        mask == Some(Ipv4Addr::BROADCAST) && address(entry) != Some(own)
    };
    let single = on_it().filter(is_single).filter_map(address).collect();
    let hardware = on_it().find_map(|entry| entry.address.as_ref()?.as_link_addr()?.addr());
    let hardware = hardware.ok_or_else(|| io::Error::other(format!("{name} has no hardware address")))?;
    Ok(Interface { index: if_nametoindex(name.as_str())?, single, hardware })
}

/// Adds or removes an address with all 32 bits of prefix.
fn change(kind: u16, index: u32, address: Ipv4Addr) -> io::Result<()> {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let mut message = Vec::with_capacity(40);
    message.extend(40_u32.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend([0; 8]);
    // struct ifaddrmsg: family, prefix length, flags, scope, index
    message.extend([libc::AF_INET as u8, 32, 0, libc::RT_SCOPE_UNIVERSE]);
    message.extend(index.to_ne_bytes());
    for attribute in [libc::IFA_LOCAL, libc::IFA_ADDRESS] {
        message.extend(8_u16.to_ne_bytes());
        message.extend(attribute.to_ne_bytes());
        message.extend(address.octets());
    }
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 512];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // struct nlmsgerr follows the header; 0 is an acknowledgement.
    let code = answer[..length].get(16..20).and_then(|code| code.first_chunk()).copied().map_or(0, i32::from_ne_bytes);
    match -code {
        0 | libc::EADDRNOTAVAIL => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// A gratuitous ARP request: everybody who knows the address learns where it is now.
fn tell(interface: &Interface, address: Ipv4Addr) -> io::Result<()> {
    const ARP: u16 = 0x0806;
    const EVERYBODY: [u8; 6] = [0xff; 6];
    let mut request = Vec::with_capacity(28);
    // Ethernet, IPv4, their lengths, request.
    request.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    request.extend(interface.hardware);
    request.extend(address.octets());
    request.extend([0; 6]);
    request.extend(address.octets());
    let socket: OwnedFd = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut hardware = [0; 8];
    hardware[..6].copy_from_slice(&EVERYBODY);
    let to = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ARP.to_be(),
        sll_ifindex: interface.index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: hardware,
    };
    // SAFETY: both pointers are to live values of the lengths that go with them, and the kernel only reads them.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            request.as_ptr().cast(),
            request.len(),
            0,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
