//! What stands before the server: the addresses it is known by, and the proxies whose word about a client counts.

mod names;

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use clap::Args;
use thiserror::Error;

use crate::preview::Peer;

/// Why an option cannot be used.
#[derive(Debug, Error)]
pub(crate) enum FrontError {
    /// Not an origin.
    #[error("{0:?} is no public address: write http:// or https://, a host, and a port where it is not the usual one")]
    Url(String),
    /// Not a network.
    #[error("{0:?} is no address or network: write 10.0.0.1 or 10.0.0.0/8")]
    Network(String),
}

/// Options about what stands before the server.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Address under which browsers reach the server, e.g. https://lab.example.com; may be given again. Pages of other origins may
    /// then change nothing [default: IP addresses, localhost and the machine's own names].
    #[arg(long = "public-url", env = "DRYDOCK_PUBLIC_URL", value_delimiter = ',', value_name = "URL")]
    public_urls: Vec<Origin>,
    /// Address or network of a reverse proxy whose X-Forwarded-For, -Proto and -Host are believed; may be given again
    /// [default: none].
    #[arg(long = "trusted-proxy", env = "DRYDOCK_TRUSTED_PROXY", value_delimiter = ',', value_name = "ADDRESS")]
    trusted_proxies: Vec<Network>,
}

/// Scheme, host and port, as browsers write them in `Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    secure: bool,
    /// Host and, where it is not the usual one, port; in small letters.
    host: String,
}

impl FromStr for Origin {
    type Err = FrontError;

    fn from_str(text: &str) -> Result<Origin, FrontError> {
        let wrong = || FrontError::Url(text.to_owned());
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(wrong()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let usual = if secure { ":443" } else { ":80" };
        let host = rest.strip_suffix(usual).unwrap_or(rest).to_ascii_lowercase();
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)) {
            return Err(wrong());
        }
        Ok(Origin { secure, host })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }
}

/// An address or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = FrontError;

    fn from_str(text: &str) -> Result<Network, FrontError> {
        let wrong = |_| FrontError::Network(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(wrong)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| FrontError::Network(text.to_owned())))?;
        if bits > most {
            return Err(FrontError::Network(text.to_owned()));
        }
        Ok(Network { address, bits })
    }
}

impl Network {
    fn holds(self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

/// Who is at the other end of a request, as far as the connection and believed proxies tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The browser's address.
    pub(crate) address: IpAddr,
    /// The host that the browser asked for, with its port; in small letters.
    pub(crate) host: String,
    /// Whether the browser speaks TLS.
    pub(crate) secure: bool,
}

impl Client {
    /// Scheme and host that lead the browser here.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = crate::error::Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Client, Self::Rejection> {
        parts.extensions.get().cloned().ok_or(crate::error::Error::Unknown)
    }
}

/// What stands before the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    options: Options,
    /// Names of the machine's own.
    names: Vec<String>,
}

impl Front {
    /// As the options say.
    pub(crate) fn new(options: Options) -> Front {
        Front { options, names: names::of_this_machine() }
    }

    /// The first public address, where one is set.
    pub(crate) fn public_url(&self) -> Option<String> {
        self.options.public_urls.first().map(ToString::to_string)
    }

    /// Who asks.
    pub(crate) fn look(&self, parts: &Parts) -> Client {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let asked = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        let mut client = self.client(peer, &parts.headers, asked);
        // The server's own certificate, where previews brought one.
        client.secure |= parts.extensions.get::<ConnectInfo<Peer>>().is_some_and(|peer| peer.0.tls);
        client
    }

    fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap, asked: Option<String>) -> Client {
        let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0])).to_canonical();
        let trusts = |address: IpAddr| self.trusts(address);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let behind = trusts(peer);
        let forwarded = |name: &str| if behind { text(name).map(|it| last(it).to_owned()) } else { None };
        let mut address = peer;
        if behind {
            // From the nearest hop on: the first that no proxy of ours wrote is the client.
            let hops = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
            let hops: Vec<_> = hops.flat_map(|hops| hops.split(',')).collect();
            for hop in hops.iter().rev() {
                let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
                address = hop.to_canonical();
                if !trusts(address) {
                    break;
                }
            }
        }
        let host = forwarded("x-forwarded-host").or_else(|| text(header::HOST.as_str()).map(str::to_owned)).or(asked);
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let secure = match forwarded("x-forwarded-proto") {
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
            None => self.options.public_urls.iter().any(|url| url.secure && url.host == host),
        };
        Client { address, host, secure }
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.options.trusted_proxies.iter().any(|network| network.holds(peer))
    }

    /// Whether `host` is one that a browser may ask this server for. Whoever has a name may have it lead here, and the browser then
    /// takes their page and this server for one origin (DNS rebinding); so only names count that were given to the server, by
    /// `--public-url` or as `domain`, or to its machine. Which names a trusted proxy answers to is the proxy's to say.
    pub(crate) fn answers_to(&self, host: &str, peer: Option<IpAddr>, domain: Option<&str>) -> bool {
        let Options { public_urls, .. } = &self.options;
        // With a public address, what others ask changes nothing: see `is_own`.
        if !public_urls.is_empty() || host.is_empty() || is_literal(host) {
            return true;
        }
        let name = name(host).trim_end_matches('.');
        let known = self.names.iter().map(String::as_str).chain(domain.map(self::name));
        peer.is_some_and(|peer| self.trusts(peer.to_canonical()))
            || known.into_iter().any(|it| it.eq_ignore_ascii_case(name))
    }

    /// Whether `origin`, as a browser sent it, is this server's.
    pub(crate) fn is_own(&self, origin: &str, client: &Client) -> bool {
        let Ok(origin) = origin.parse::<Origin>() else { return false };
        if self.options.public_urls.contains(&origin) {
            return true;
        }
        // Nobody can make a name lead here that is an address already, so such a host may be asked for beside the public one.
        let open = self.options.public_urls.is_empty() || is_literal(&client.host);
        let usual = if origin.secure { ":443" } else { ":80" };
        open && origin.host == client.host.strip_suffix(usual).unwrap_or(&client.host)
    }
}

/// Of several values that hops added, the one of the hop that is believed.
fn last(values: &str) -> &str {
    values.rsplit(',').next().unwrap_or_default().trim()
}

/// A host without its port, an IPv6 address without its brackets.
fn name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Whether a host is an IP address or this machine's own name for itself.
fn is_literal(host: &str) -> bool {
    let name = name(host);
    name.trim_end_matches('.').eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(urls: &[&str], proxies: &[&str]) -> Front {
        let options = Options {
            public_urls: urls.iter().map(|url| url.parse().expect("url")).collect(),
            trusted_proxies: proxies.iter().map(|network| network.parse().expect("network")).collect(),
        };
        Front { options, names: vec!["lab".to_owned(), "lab.local".to_owned()] }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().expect("name"), value.parse().expect("value"))).collect()
    }

    #[track_caller]
    fn sees(front: &Front, peer: &str, pairs: &[(&'static str, &str)], expected: (&str, &str, bool)) {
        let client = front.client(Some(peer.parse().expect("address")), &headers(pairs), None);
        assert_eq!((client.address.to_string().as_str(), client.host.as_str(), client.secure), expected, "{pairs:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let forged = [
            ("host", "A:80"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "b"),
        ];
        sees(&front(&[], &[]), "10.0.0.1", &forged, ("10.0.0.1", "a:80", false));
        sees(&front(&[], &["10.0.0.0/8"]), "10.0.0.1", &forged, ("9.9.9.9", "b", true));
        sees(&front(&[], &["10.0.0.0/8"]), "11.0.0.1", &forged, ("11.0.0.1", "a:80", false));
        // What a client wrote itself stands left of what the proxy added.
        let added = [("host", "a"), ("x-forwarded-for", "1.1.1.1, 9.9.9.9, 10.0.0.2")];
        sees(&front(&[], &["10.0.0.0/8"]), "10.0.0.1", &added, ("9.9.9.9", "a", false));
        sees(&front(&[], &["10.0.0.1"]), "::ffff:10.0.0.1", &added, ("10.0.0.2", "a", false));
        sees(&front(&[], &["10.0.0.1"]), "10.0.0.1", &[("x-forwarded-for", "nonsense")], ("10.0.0.1", "", false));
        sees(
            &front(&["https://lab.example"], &[]),
            "10.0.0.1",
            &[("host", "lab.example")],
            ("10.0.0.1", "lab.example", true),
        );
    }

    #[track_caller]
    fn own(front: &Front, host: &str, origin: &str, expected: bool) {
        let client = Client { address: IpAddr::from([127, 0, 0, 1]), host: host.to_owned(), secure: false };
        assert_eq!(front.is_own(origin, &client), expected, "{host} {origin}");
    }

    #[test]
    fn origins() {
        let open = front(&[], &[]);
        own(&open, "127.0.0.1:8080", "http://127.0.0.1:8080", true);
        own(&open, "lab.example", "https://lab.example", true);
        own(&open, "lab.example:443", "https://lab.example", true);
        own(&open, "127.0.0.1:8080", "http://evil.example", false);
        own(&open, "127.0.0.1:8080", "null", false);
        own(&open, "localhost:8080", "http://80--s-abc.localhost:8080", false);
        own(&open, "", "http://127.0.0.1:8080", false);
        let public = front(&["https://lab.example/"], &[]);
        own(&public, "lab.example", "https://LAB.example", true);
        own(&public, "lab.example", "http://lab.example", false);
        own(&public, "evil.example", "https://evil.example", false);
        own(&public, "127.0.0.1:8080", "http://127.0.0.1:8080", true);
        own(&public, "[::1]:8080", "http://[::1]:8080", true);
    }

    #[track_caller]
    fn answers(front: &Front, peer: &str, host: &str, expected: bool) {
        let peer = peer.parse().expect("address");
        assert_eq!(front.answers_to(host, Some(peer), Some("preview.example:8443")), expected, "{peer} {host}");
    }

    #[test]
    fn names_that_others_make_lead_here_are_not_the_servers() {
        let open = front(&[], &["10.0.0.0/8"]);
        for own in [
            "",
            "127.0.0.1:8080",
            "192.0.2.7",
            "[2001:db8::1]:8080",
            "localhost:8080",
            "LocalHost.",
            "lab",
            "lab.local:80",
        ] {
            answers(&open, "192.0.2.1", own, true);
        }
        answers(&open, "192.0.2.1", "preview.example:8443", true);
        for foreign in [
            "evil.example",
            "lab.evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "lab.local.evil",
            "[",
        ] {
            answers(&open, "192.0.2.1", foreign, false);
            answers(&open, "127.0.0.1", foreign, false);
            // A proxy that is believed says itself which names are its own.
            answers(&open, "10.0.0.2", foreign, true);
            answers(&open, "::ffff:10.0.0.2", foreign, true);
        }
        answers(&front(&["https://lab.example"], &[]), "192.0.2.1", "probe.internal", true);
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        for url in ["lab.example", "https://", "https://a/b", "ftp://a"] {
            url.parse::<Origin>().expect_err(url);
        }
        for network in ["lab", "10.0.0.0/33", "10.0.0.0/x", ""] {
            network.parse::<Network>().expect_err(network);
        }
        assert!("0.0.0.0/0".parse::<Network>().expect("all").holds(IpAddr::from([9, 9, 9, 9])));
        assert!(!"::/0".parse::<Network>().expect("all").holds(IpAddr::from([9, 9, 9, 9])));
    }
}
