//! `ip("10.0.0.1")`, `cidr("10.0.0.0/8")` and what can be asked of them.

use std::net::IpAddr;

use ::cel::common::types::{CelBool, CelInt, CelString};
use ::cel::{DeclarationError, Env, ExecutionError};

use super::failure;
use super::opaque::opaque;

opaque!(
    /// An address.
    Ip(IpAddr), IP = "net.IP"
);

opaque!(
    /// An address and the length of its prefix.
    Cidr((IpAddr, u8)), CIDR = "net.CIDR"
);

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(IP.to_owned())?;
    env.add_type(CIDR.to_owned())?;
    ::cel::add_overload!(env, fn ip: (CelString) -> Result<Ip>)?;
    ::cel::add_overload!(env, fn is_ip: (CelString) -> CelBool, name = "isIP")?;
    ::cel::add_overload!(env, fn is_canonical: (CelString) -> Result<CelBool>, name = "ip.isCanonical")?;
    ::cel::add_overload!(env, fn ip_text: (Ip) -> CelString, name = "string")?;
    ::cel::add_member_overload!(env, fn family: (Ip) -> CelInt)?;
    ::cel::add_member_overload!(env, fn is_unspecified: (Ip) -> CelBool)?;
    ::cel::add_member_overload!(env, fn is_loopback: (Ip) -> CelBool)?;
    ::cel::add_member_overload!(env, fn is_link_local_multicast: (Ip) -> CelBool)?;
    ::cel::add_member_overload!(env, fn is_link_local_unicast: (Ip) -> CelBool)?;
    ::cel::add_member_overload!(env, fn is_global_unicast: (Ip) -> CelBool)?;
    ::cel::add_overload!(env, fn cidr: (CelString) -> Result<Cidr>)?;
    ::cel::add_overload!(env, fn is_cidr: (CelString) -> CelBool, name = "isCIDR")?;
    ::cel::add_overload!(env, fn cidr_text: (Cidr) -> CelString, name = "string")?;
    ::cel::add_member_overload!(env, fn contains_ip: (Cidr, Ip) -> CelBool, name = "containsIP")?;
    ::cel::add_member_overload!(env, fn contains_ip_text: (Cidr, CelString) -> Result<CelBool>, name = "containsIP")?;
    ::cel::add_member_overload!(env, fn contains_cidr: (Cidr, Cidr) -> CelBool, name = "containsCIDR")?;
    ::cel::add_member_overload!(env, fn contains_cidr_text: (Cidr, CelString) -> Result<CelBool>, name = "containsCIDR")?;
    ::cel::add_member_overload!(env, fn cidr_ip: (Cidr) -> Ip, name = "ip")?;
    ::cel::add_member_overload!(env, fn masked: (Cidr) -> Cidr)?;
    ::cel::add_member_overload!(env, fn prefix_length: (Cidr) -> CelInt)
}

/// Upstream takes neither zones nor IPv4 addresses in IPv6 form.
fn read_ip(text: &str) -> Result<IpAddr, ExecutionError> {
    let why = |why: &str| failure(format!("IP Address {text:?} parse error during conversion from string: {why}"));
    let address: IpAddr = text.parse().map_err(|_| why(&format!("ParseAddr({text:?}): unable to parse IP")))?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(failure(format!("IPv4-mapped IPv6 address {text:?} is not allowed")))
        }
        address => Ok(address),
    }
}

fn read_cidr(text: &str) -> Result<(IpAddr, u8), ExecutionError> {
    let why = || {
        failure(format!(
            "network address parse error during conversion from string: netip.ParsePrefix({text:?}): no '/'"
        ))
    };
    let (address, length) = text.split_once('/').ok_or_else(why)?;
    let address = read_ip(address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let good =
        !length.is_empty() && length.chars().all(|c| c.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    match length.parse::<u8>() {
        Ok(length) if good && length <= most => Ok((address, length)),
        _ => Err(failure(format!(
            "network address parse error during conversion from string: netip.ParsePrefix({text:?}): prefix length out of range"
        ))),
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

fn ip(text: &CelString<'_>) -> Result<Ip, ExecutionError> {
    read_ip(text.inner()).map(Ip)
}

fn is_ip(text: &CelString<'_>) -> CelBool {
    read_ip(text.inner()).is_ok().into()
}

fn is_canonical(text: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    Ok((read_ip(text.inner())?.to_string() == text.inner()).into())
}

fn ip_text(own: &Ip) -> CelString<'static> {
    CelString::from(own.0.to_string())
}

fn family(own: &Ip) -> CelInt {
    if own.0.is_ipv4() { 4.into() } else { 6.into() }
}

fn is_unspecified(own: &Ip) -> CelBool {
    own.0.is_unspecified().into()
}

fn is_loopback(own: &Ip) -> CelBool {
    own.0.is_loopback().into()
}

fn is_link_local_multicast(own: &Ip) -> CelBool {
    match own.0 {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    }
    .into()
}

fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_link_local_unicast(own: &Ip) -> CelBool {
    link_local(own.0).into()
}

fn is_global_unicast(own: &Ip) -> CelBool {
    let broadcast = matches!(own.0, IpAddr::V4(v4) if v4.is_broadcast());
    let other = own.0.is_unspecified() || own.0.is_loopback() || own.0.is_multicast() || link_local(own.0) || broadcast;
    (!other).into()
}

fn cidr(text: &CelString<'_>) -> Result<Cidr, ExecutionError> {
    read_cidr(text.inner()).map(Cidr)
}

fn is_cidr(text: &CelString<'_>) -> CelBool {
    read_cidr(text.inner()).is_ok().into()
}

fn cidr_text(own: &Cidr) -> CelString<'static> {
    CelString::from(format!("{}/{}", own.0.0, own.0.1))
}

fn holds(own: (IpAddr, u8), address: IpAddr) -> bool {
    own.0.is_ipv4() == address.is_ipv4() && (bits(own.0) ^ bits(address)) & mask(own.1) == 0
}

fn contains_ip(own: &Cidr, address: &Ip) -> CelBool {
    holds(own.0, address.0).into()
}

fn contains_ip_text(own: &Cidr, text: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    Ok(holds(own.0, read_ip(text.inner())?).into())
}

fn contains_cidr(own: &Cidr, other: &Cidr) -> CelBool {
    (own.0.1 <= other.0.1 && holds(own.0, other.0.0)).into()
}

fn contains_cidr_text(own: &Cidr, text: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    Ok(contains_cidr(own, &Cidr(read_cidr(text.inner())?)))
}

fn cidr_ip(own: &Cidr) -> Ip {
    Ip(own.0.0)
}

fn masked(own: &Cidr) -> Cidr {
    let kept = bits(own.0.0) & mask(own.0.1);
    let address = match own.0.0 {
        IpAddr::V4(_) => IpAddr::from(((kept >> 96) as u32).to_be_bytes()),
        IpAddr::V6(_) => IpAddr::from(kept.to_be_bytes()),
    };
    Cidr((address, own.0.1))
}

fn prefix_length(own: &Cidr) -> CelInt {
    i64::from(own.0.1).into()
}
