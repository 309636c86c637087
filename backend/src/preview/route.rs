//! Where a preview leads inside its session, and why nothing answers there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use drydock_protocol::topology::{Ingress, Node, NodeState, Service, Topology};
use drydock_protocol::{Target, preview};

use super::page::Reason;

/// A way into a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// What to dial.
    pub(super) addr: SocketAddr,
    /// The node from which it is dialled; none: from the session's network.
    pub(super) from: Option<String>,
    /// Whether TLS is spoken there.
    pub(super) tls: bool,
    /// The name by which it is asked, such as an Ingress's host; none: the preview's own.
    pub(super) host: Option<String>,
}

/// The way to a target, as far as the cluster's objects tell it.
///
/// # Errors
/// Why there is none.
pub(super) fn way(target: &Target, topology: &Topology) -> Result<Way, Reason> {
    let plain = |addr: SocketAddr| Way { addr, from: None, tls: is_tls(target, topology), host: None };
    match target {
        Target::Node(port) => {
            let service = node_port(*port, topology);
            let node = answering(service, topology).ok_or(Reason::NoNode)?;
            Ok(plain(SocketAddr::new(node, *port)))
        }
        Target::Address(ip, port) => {
            let addr = SocketAddr::new(IpAddr::V4(*ip), *port);
            // What is not in the nodes' own network is known to nodes only: a Service's or a pod's address.
            let from = if is_outer(*ip, topology) { None } else { any_node(topology) };
            Ok(Way { from, ..plain(addr) })
        }
        Target::Local(node, port) => {
            Ok(Way { from: Some(node.clone()), ..plain(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), *port)) })
        }
        Target::Host(_) | Target::Long(_) => {
            let (ingress, host) = ingress(target, topology).ok_or(Reason::NoIngress)?;
            let ip = ingress.addresses.iter().find_map(|it| it.parse::<IpAddr>().ok()).ok_or(Reason::NoIngress)?;
            let tls = is_tls(target, topology);
            let addr = SocketAddr::new(ip, if tls { 443 } else { 80 });
            Ok(Way { addr, from: None, tls, host: Some(if host.is_empty() { ip.to_string() } else { host }) })
        }
    }
}

/// The Ingress that has the host, else any that has an address: its controller says best that it knows no such host.
fn ingress<'a>(target: &Target, topology: &'a Topology) -> Option<(&'a Ingress, String)> {
    let known = topology.ingresses.iter().filter(|it| !it.addresses.is_empty());
    let hosts = known.clone().flat_map(|it| it.routes.iter().map(move |route| (it, &route.host)));
    for (ingress, host) in hosts {
        if let Target::Host(name) = Target::host(host)
            && target.is_host(&name)
        {
            return Some((ingress, name));
        }
    }
    match target {
        Target::Host(host) => known.clone().next().map(|it| (it, host.clone())),
        _ => None,
    }
}

fn is_tls(target: &Target, topology: &Topology) -> bool {
    match target {
        Target::Host(_) | Target::Long(_) => topology.ingresses.iter().flat_map(|it| &it.tls).any(|host| {
            let wild = match (target, host.strip_prefix('*')) {
                (Target::Host(own), Some(rest)) => {
                    own.strip_suffix(rest).is_some_and(|it| !it.is_empty() && !it.contains('.'))
                }
                _ => false,
            };
            wild || target.is_host(host)
        }),
        Target::Address(_, port) | Target::Local(_, port) if matches!(port, 443 | 6443 | 8443 | 10250) => true,
        _ => {
            let word = target.label();
            topology.services.iter().flat_map(|it| preview::of_service(it, topology)).any(|it| it.to == word && it.tls)
        }
    }
}

fn node_port(port: u16, topology: &Topology) -> Option<&Service> {
    topology.services.iter().find(|it| it.ports.iter().any(|it| it.node_port == Some(port)))
}

/// A node that can answer: one with a pod of the Service, since a Service may keep to its node's own pods.
fn answering(service: Option<&Service>, topology: &Topology) -> Option<IpAddr> {
    let ip = |node: &Node| node.ip.parse::<IpAddr>().ok();
    let ready = topology.nodes.iter().filter(|it| it.state == NodeState::Ready);
    let own = service.and_then(|service| {
        let nodes = service.endpoints.iter().filter(|it| it.ready).filter_map(|it| it.node.as_deref());
        nodes.filter_map(|name| ready.clone().find(|it| it.name == name)).find_map(ip)
    });
    own.or_else(|| ready.clone().find_map(ip)).or_else(|| topology.nodes.iter().find_map(ip))
}

/// Whether an address belongs to the network that the nodes share.
fn is_outer(ip: Ipv4Addr, topology: &Topology) -> bool {
    let same = |node: &Node| node.ip.parse::<Ipv4Addr>().is_ok_and(|it| it.octets()[..3] == ip.octets()[..3]);
    topology.nodes.iter().any(same)
}

fn any_node(topology: &Topology) -> Option<String> {
    topology.nodes.iter().find(|it| it.state == NodeState::Ready).map(|it| it.name.clone())
}

/// Why nothing answers at a target, as far as the cluster's objects tell it.
pub(super) fn why(target: &Target, topology: &Topology) -> Reason {
    let of = |service: &Service| {
        if service.endpoints.iter().any(|it| it.ready) {
            return None;
        }
        Some(Reason::NoEndpoints { namespace: service.namespace.clone(), service: service.name.clone() })
    };
    let services: Vec<&Service> = match target {
        Target::Node(port) => match node_port(*port, topology) {
            Some(service) => vec![service],
            None => return Reason::NoService { port: *port },
        },
        Target::Address(ip, port) => {
            let ip = ip.to_string();
            let own = |it: &&Service| {
                (it.cluster_ip.as_ref() == Some(&ip) || it.addresses.contains(&ip))
                    && it.ports.iter().any(|it| it.port == *port)
            };
            topology.services.iter().filter(own).collect()
        }
        Target::Local(node, port) => return Reason::NotLocal { node: node.clone(), port: *port },
        Target::Host(_) | Target::Long(_) => Vec::new(),
    };
    services.into_iter().find_map(of).unwrap_or(Reason::Refused)
}

/// The target that a URL in a terminal of `node` means; none when it leads out of the session.
pub(super) fn meant(url: &str, node: &str, topology: &Topology) -> Option<(Target, String)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (authority, default),
    };
    let local = |port| Some((Target::Local(node.to_owned(), port), path.clone()));
    if name == "localhost" {
        return local(port);
    }
    let node_of = |name: &str| topology.nodes.iter().find(|it| it.name == name).map(|it| it.ip.as_str());
    let name = node_of(name).unwrap_or(name);
    if let Ok(ip) = name.parse::<Ipv4Addr>() {
        return match ip {
            _ if ip.is_loopback() => local(port),
            // A cluster has no public addresses of its own.
            _ if !ip.is_private() => None,
            _ if topology.nodes.iter().any(|it| it.ip == name) && node_port(port, topology).is_some() => {
                Some((Target::Node(port), path))
            }
            _ => Some((Target::Address(ip, port), path)),
        };
    }
    let hosts = topology.ingresses.iter().flat_map(|it| &it.routes).map(|it| it.host.as_str());
    let matches = |rule: &str| match rule.strip_prefix('*') {
        Some(rest) => name.strip_suffix(rest).is_some_and(|it| !it.is_empty() && !it.contains('.')),
        None => !rule.is_empty() && rule.eq_ignore_ascii_case(name),
    };
    let known = hosts.into_iter().any(matches);
    known.then(|| (Target::Host(name.to_ascii_lowercase()), path))
}

#[cfg(test)]
mod tests {
    use drydock_protocol::topology::{Endpoint, IngressRoute, ServicePort};

    use super::*;

    fn topology() -> Topology {
        let node = |name: &str, ip: &str, state| Node { name: name.into(), ip: ip.into(), state, ..Node::default() };
        let service = |name: &str, port: ServicePort, addresses: &[&str], node: Option<&str>| Service {
            namespace: "default".into(),
            name: name.into(),
            cluster_ip: Some("10.96.0.10".into()),
            addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
            ports: vec![port],
            endpoints: node
                .map(|node| Endpoint { node: Some(node.into()), ready: true, ..Endpoint::default() })
                .into_iter()
                .collect(),
            ..Service::default()
        };
        let port = |port, node_port| ServicePort { port, node_port: Some(node_port), ..ServicePort::default() };
        let ingress = |host: &str, tls: &[&str]| Ingress {
            namespace: "default".into(),
            tls: tls.iter().map(|it| (*it).to_owned()).collect(),
            addresses: vec!["10.20.0.201".into()],
            routes: vec![IngressRoute { host: host.into(), path: "/".into(), ..IngressRoute::default() }],
            ..Ingress::default()
        };
        Topology {
            nodes: vec![
                node("master", "10.20.0.10", NodeState::NotReady),
                node("worker-1", "10.20.0.11", NodeState::Ready),
                node("worker-2", "10.20.0.12", NodeState::Ready),
            ],
            services: vec![
                service("web", port(80, 30080), &[], Some("worker-2")),
                service("empty", port(81, 30081), &["10.20.0.200"], None),
                service("safe", port(443, 30443), &[], Some("worker-1")),
            ],
            ingresses: vec![
                ingress("shop.example.com", &["shop.example.com"]),
                ingress("*.wild.io", &[]),
                ingress("", &[]),
            ],
            ..Topology::default()
        }
    }

    #[track_caller]
    fn check(word: &str, addr: &str, from: Option<&str>, tls: bool, host: Option<&str>) {
        let found = way(&Target::parse(word).expect("word"), &topology());
        let (from, host) = (from.map(str::to_owned), host.map(str::to_owned));
        assert_eq!(found, Ok(Way { addr: addr.parse().expect("address"), from, tls, host }), "{word}");
    }

    #[test]
    fn ways() {
        check("30080", "10.20.0.12:30080", None, false, None);
        check("30081", "10.20.0.11:30081", None, false, None);
        check("30443", "10.20.0.11:30443", None, true, None);
        check("31000", "10.20.0.11:31000", None, false, None);
        check("10-20-0-200-81", "10.20.0.200:81", None, false, None);
        check("10-96-0-10-80", "10.96.0.10:80", Some("worker-1"), false, None);
        check("10-20-0-12-443", "10.20.0.12:443", None, true, None);
        check("workstation-8080", "127.0.0.1:8080", Some("workstation"), false, None);
        check("shop-example-com--ingress", "10.20.0.201:443", None, true, Some("shop.example.com"));
        check("any-wild-io--ingress", "10.20.0.201:80", None, false, Some("any.wild.io"));
        check("nobody-example-com--ingress", "10.20.0.201:80", None, false, Some("nobody.example.com"));
        check("ingress", "10.20.0.201:80", None, false, Some("10.20.0.201"));
        assert_eq!(way(&Target::Long(255), &topology()), Err(Reason::NoIngress));
        assert_eq!(way(&Target::Node(30080), &Topology::default()), Err(Reason::NoNode));
    }

    #[test]
    fn why_nothing_answers() {
        let why = |word: &str| why(&Target::parse(word).expect("word"), &topology());
        assert_eq!(why("30080"), Reason::Refused);
        assert_eq!(why("31000"), Reason::NoService { port: 31000 });
        let empty = Reason::NoEndpoints { namespace: "default".into(), service: "empty".into() };
        assert_eq!(why("30081"), empty);
        assert_eq!(why("10-20-0-200-81"), empty);
        assert_eq!(why("10-20-0-99-80"), Reason::Refused);
        assert_eq!(why("workstation-80"), Reason::NotLocal { node: "workstation".into(), port: 80 });
    }

    #[test]
    fn urls_of_terminals() {
        let meant = |url: &str| meant(url, "workstation", &topology()).map(|(target, path)| (target.label(), path));
        let is = |word: &str, path: &str| Some((word.to_owned(), path.to_owned()));
        assert_eq!(meant("http://10.20.0.11:30080/x?y=1"), is("30080", "/x?y=1"));
        assert_eq!(meant("10.20.0.11:30080"), is("30080", "/"));
        assert_eq!(meant("http://worker-1:30080/"), is("30080", "/"));
        assert_eq!(meant("worker-2:9000"), is("10-20-0-12-9000", "/"));
        assert_eq!(meant("http://10.20.0.200"), is("10-20-0-200-80", "/"));
        assert_eq!(meant("http://10.96.0.10:80"), is("10-96-0-10-80", "/"));
        assert_eq!(meant("localhost:8080"), is("workstation-8080", "/"));
        assert_eq!(meant("http://127.0.0.1:8080/a"), is("workstation-8080", "/a"));
        assert_eq!(meant("https://shop.example.com?x=1"), is("shop-example-com--ingress", "/?x=1"));
        assert_eq!(meant("http://a.wild.io/"), is("a-wild-io--ingress", "/"));
        for elsewhere in [
            "https://kubernetes.io/docs",
            "http://8.8.8.8/",
            "ftp://10.20.0.11",
            "http://10.20.0.11:99999",
            "http://a.b.wild.io/",
            "",
        ] {
            assert_eq!(meant(elsewhere), None, "{elsewhere}");
        }
    }
}
