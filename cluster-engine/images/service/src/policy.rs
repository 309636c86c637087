//! What the operator allows: which registries, which addresses, how much.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the policy's file beside the store.
pub const FILE: &str = "image-service.json";
/// Compressed or unpacked bytes of one image.
pub(crate) const IMAGE_BYTES: u64 = 8 << 30;
/// Layers of one image: overlayfs takes no more of them.
pub(crate) const IMAGE_LAYERS: usize = 127;
/// Files of one image.
pub(crate) const IMAGE_FILES: u64 = 1_000_000;
/// Images that one session may hold.
pub(crate) const SESSION_IMAGES: usize = 200;

/// The operator's rules for all sessions of a data folder. They are read at each pull, so that a change counts at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Whether sessions may pull at all.
    pub allow: bool,
    /// Registries that may be used; all when empty. `*.example.com` stands for every name below.
    pub registries: Vec<String>,
    /// Registries that may lie at private, loopback and link-local addresses, `host` or `host:port`; `*` for all.
    pub private: Vec<String>,
    /// Registries spoken to in plain HTTP. `localhost` and 127.0.0.0/8 always are.
    pub insecure: Vec<String>,
    /// Mirrors asked before a registry, by its name: URLs.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Proxy for HTTPS: `http://[user:password@]host:port`.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy: names, `.suffixes`, addresses.
    pub no_proxy: Vec<String>,
    /// File with the certificates of authorities to trust, in place of the machine's.
    pub authorities: Option<PathBuf>,
    /// Bytes that all pulled images of the machine may take, unpacked.
    pub budget: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow: true,
            registries: Vec::new(),
            private: Vec::new(),
            insecure: Vec::new(),
            mirrors: BTreeMap::new(),
            proxy: None,
            no_proxy: Vec::new(),
            authorities: None,
            budget: 20 << 30,
        }
    }
}

impl Policy {
    /// Where the policy of a store lies: beside it, where nodes do not see it.
    #[must_use]
    pub fn path(store: &Path) -> PathBuf {
        store.with_file_name(FILE)
    }

    /// Reads the policy of a store; the default when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(store: &Path) -> io::Result<Self> {
        match fs::read(Self::path(store)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the policy of a store. Nobody but its owner reads it: a proxy's address may hold a password.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, store: &Path) -> io::Result<()> {
        let path = Self::path(store);
        let bytes = serde_json::to_vec_pretty(self)?;
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        let partial = path.with_extension(format!("new.{}", std::process::id()));
        let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&bytes)?;
        fs::rename(&partial, &path)
    }

    /// Bytes that one session may hold: half of all, so that none can keep the others from theirs.
    #[must_use]
    pub fn session_budget(&self) -> u64 {
        self.budget / 2
    }

    /// Whether images of this registry may be pulled.
    pub(crate) fn is_allowed(&self, registry: &str) -> bool {
        self.registries.is_empty() || self.registries.iter().any(|rule| matches(rule, registry))
    }

    /// Whether this host may have an address that is none of the public network.
    pub(crate) fn may_be_private(&self, host: &str, port: u16) -> bool {
        self.private.iter().any(|rule| names(rule, host, port))
    }

    /// Whether this host is spoken to in plain HTTP.
    pub(crate) fn is_insecure(&self, host: &str, port: u16) -> bool {
        let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        loopback || host == "localhost" || self.insecure.iter().any(|rule| names(rule, host, port))
    }

    /// The proxy for a host, if it is reached through one.
    pub(crate) fn proxy_for(&self, host: &str) -> Option<&str> {
        let proxy = self.proxy.as_deref().filter(|proxy| !proxy.is_empty())?;
        let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let direct = self.no_proxy.iter().map(|rule| rule.trim().trim_start_matches('*')).any(|rule| {
            let bare = rule.trim_start_matches('.');
            !bare.is_empty() && (host == bare || host.strip_suffix(bare).is_some_and(|rest| rest.ends_with('.')))
        });
        let all = self.no_proxy.iter().any(|rule| rule.trim() == "*");
        (!local && !direct && !all).then_some(proxy)
    }
}

/// `*`, a name, or `*.suffix`.
fn matches(rule: &str, name: &str) -> bool {
    match rule.strip_prefix("*.") {
        Some(suffix) => name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')),
        None => rule == "*" || rule == name,
    }
}

fn names(rule: &str, host: &str, port: u16) -> bool {
    matches(rule, host) || matches(rule, &format!("{host}:{port}"))
}

/// Whether an address is one that anybody in the Internet could have.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let relay = a == 192 && b == 88 && c == 99;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || shared
        || benchmark
        || protocol
        || relay)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    // What is assigned to the public network at all, without documentation and Teredo, which carries IPv4.
    let [first, second, ..] = ip.segments();
    first & 0xe000 == 0x2000
        && !(first == 0x2001 && second < 0x200)
        && !(first == 0x2001 && second == 0xdb8)
        && first != 0x3fff
}

/// IPv4 in IPv6's clothes: mapped, compatible, 6to4, NAT64.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0 | 0xffff) => Some(v4(g, h)),
        (0x2002, ..) => Some(v4(b, c)),
        (0x64, 0xff9b, ..) => Some(v4(g, h)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_network_are_public() {
        for ip in ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "64:ff9b::7f00:1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn rules_name_hosts() {
        let list = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect::<Vec<_>>();
        let policy = Policy {
            registries: list(&["docker.io", "*.example.com", "reg.local:5000"]),
            private: list(&["reg.local:5000"]),
            insecure: list(&["reg.local:5000"]),
            proxy: Some("http://proxy:3128".to_owned()),
            no_proxy: list(&[".corp", "10.0.0.1", "exact.example"]),
            ..Policy::default()
        };
        for (registry, allowed) in [
            ("docker.io", true),
            ("a.example.com", true),
            ("example.com", false),
            ("evilexample.com", false),
            ("reg.local:5000", true),
            ("reg.local:5001", false),
            ("quay.io", false),
        ] {
            assert_eq!(policy.is_allowed(registry), allowed, "{registry}");
        }
        assert!(policy.may_be_private("reg.local", 5000) && !policy.may_be_private("reg.local", 443));
        assert!(policy.is_insecure("127.0.0.1", 5000) && policy.is_insecure("localhost", 5000));
        assert!(policy.is_insecure("reg.local", 5000) && !policy.is_insecure("docker.io", 443));
        for (host, proxied) in [
            ("docker.io", true),
            ("a.corp", false),
            ("corp", false),
            ("acorp", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("exact.example", false),
        ] {
            assert_eq!(policy.proxy_for(host).is_some(), proxied, "{host}");
        }
    }
}
