//! What of a session opens in a browser, and how its address is written.
//!
//! A *preview* is named by a short word, the [`Target`], that fits into one label of a host name:
//!
//! | word | leads to |
//! | --- | --- |
//! | `30080` | a NodePort, on a node that can answer |
//! | `10-20-0-200-80` | port 80 of an address in the session: a load balancer, a node, a Service |
//! | `workstation-8080` | what listens on localhost of a node |
//! | `shop-example-com--ingress` | an Ingress's host: a dot is written `-`, a dash `--` |
//! | `0123456789abcdef--host` | an Ingress's host that is too long to be written out |
//! | `ingress` | an Ingress without a host |

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::topology::{Ingress, NodeRole, ObjectKind, Service, Topology};

/// A host that is written with more letters than this is named by its number: one label has 63, and the session needs some.
const LONGEST: usize = 36;

/// Something that a browser can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `Service` or `Ingress`.
    pub kind: ObjectKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its address as the cluster knows it, such as `http://10.20.0.200:80` or `https://shop.example.com/cart`.
    pub address: String,
    /// The word for it, see [`Target`].
    pub to: String,
    /// The path to begin with, with its slash.
    pub path: String,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// Whether a ready pod is behind it.
    pub ready: bool,
}

/// Where a preview leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A NodePort.
    Node(u16),
    /// A port of an address.
    Address(Ipv4Addr, u16),
    /// A port of a node's localhost.
    Local(String, u16),
    /// An Ingress's host; empty for all.
    Host(String),
    /// An Ingress's host by its number.
    Long(u64),
}

impl Target {
    /// The target of an Ingress's host. A wildcard is asked under a name that it matches.
    #[must_use]
    pub fn host(host: &str) -> Target {
        match host.strip_prefix("*.") {
            Some(rest) => Target::Host(format!("any.{rest}")),
            None => Target::Host(host.to_owned()),
        }
    }

    /// The word.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Target::Node(port) => port.to_string(),
            Target::Address(ip, port) => format!("{}-{port}", ip.to_string().replace('.', "-")),
            Target::Local(node, port) => format!("{node}-{port}"),
            Target::Host(host) if host.is_empty() => "ingress".to_owned(),
            Target::Host(host) => {
                let label = host.replace('-', "--").replace('.', "-");
                if label.len() > LONGEST {
                    return Target::Long(number(host)).label();
                }
                format!("{label}--ingress")
            }
            Target::Long(number) => format!("{number:016x}--host"),
        }
    }

    /// Reads a word.
    #[must_use]
    pub fn parse(label: &str) -> Option<Target> {
        if label == "ingress" {
            return Some(Target::Host(String::new()));
        }
        if let Some(host) = label.strip_suffix("--ingress") {
            return unescape(host).map(Target::Host);
        }
        if let Some(number) = label.strip_suffix("--host") {
            return u64::from_str_radix(number, 16).ok().map(Target::Long);
        }
        let Some((address, port)) = label.rsplit_once('-') else { return port_number(label).map(Target::Node) };
        let port = port_number(port)?;
        if let Ok(ip) = address.replace('-', ".").parse() {
            return Some(Target::Address(ip, port));
        }
        let is_name = address.starts_with(|it: char| it.is_ascii_lowercase())
            && address.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
        is_name.then(|| Target::Local(address.to_owned(), port))
    }

    /// Whether it is the target of an Ingress's host.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        match self {
            Target::Host(own) => own.eq_ignore_ascii_case(host),
            Target::Long(own) => *own == number(host),
            _ => false,
        }
    }
}

fn port_number(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|port| plain && *port != 0)
}

fn unescape(label: &str) -> Option<String> {
    let mut host = String::with_capacity(label.len());
    let mut letters = label.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '-' if letters.next_if_eq(&'-').is_some() => host.push('-'),
            '-' => host.push('.'),
            'a'..='z' | '0'..='9' => host.push(letter),
            _ => return None,
        }
    }
    let whole = host.split('.').all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-'));
    whole.then_some(host)
}

/// FNV-1a: it names one of a learner's own hosts and need not be hard to forge.
fn number(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// All that opens, Ingresses first.
#[must_use]
pub fn ports(topology: &Topology) -> Vec<Port> {
    let ingresses = topology.ingresses.iter().flat_map(|it| of_ingress(it, topology));
    // The cluster's own, such as the ingress controller's, opens by the Ingresses.
    let services = topology.services.iter().filter(|it| it.namespace != "kube-system");
    ingresses.chain(services.flat_map(|it| of_service(it, topology))).collect()
}

/// What opens of an Ingress.
#[must_use]
pub fn of_ingress(ingress: &Ingress, topology: &Topology) -> Vec<Port> {
    if ingress.addresses.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Port> = Vec::new();
    for route in &ingress.routes {
        let target = Target::host(&route.host);
        let Target::Host(host) = &target else { continue };
        let tls = ingress.tls.contains(&route.host);
        let plain = route.path.bytes().all(|it| it.is_ascii_alphanumeric() || b"/-_.~".contains(&it));
        let path = if route.path.starts_with('/') && plain { route.path.clone() } else { "/".to_owned() };
        let shown = if host.is_empty() { &ingress.addresses[0] } else { host };
        let address = format!("{}://{shown}{path}", if tls { "https" } else { "http" });
        if found.iter().any(|it| it.address == address) {
            continue;
        }
        let service = topology
            .services
            .iter()
            .find(|it| it.name == route.service && it.namespace == ingress.namespace)
            .is_some_and(is_ready);
        found.push(Port {
            kind: ObjectKind::Ingress,
            namespace: ingress.namespace.clone(),
            name: ingress.name.clone(),
            address,
            to: target.label(),
            path,
            tls,
            ready: service,
        });
    }
    found
}

fn is_ready(service: &Service) -> bool {
    service.endpoints.iter().any(|it| it.ready)
}

/// What opens of a Service: its load balancer's addresses, else its node ports.
#[must_use]
pub fn of_service(service: &Service, topology: &Topology) -> Vec<Port> {
    let worker = topology.nodes.iter().find(|it| it.role == NodeRole::Worker).or(topology.nodes.first());
    let mut found = Vec::new();
    for port in service.ports.iter().filter(|it| it.protocol == "TCP" || it.protocol.is_empty()) {
        let tls = matches!(port.port, 443 | 8443) || port.name.starts_with("https");
        let scheme = if tls { "https" } else { "http" };
        let mut push = |target: &Target, shown: String| {
            found.push(Port {
                kind: ObjectKind::Service,
                namespace: service.namespace.clone(),
                name: service.name.clone(),
                address: format!("{scheme}://{shown}"),
                to: target.label(),
                path: "/".to_owned(),
                tls,
                ready: is_ready(service),
            });
        };
        let balanced: Vec<Ipv4Addr> = service.addresses.iter().filter_map(|it| it.parse().ok()).collect();
        for ip in &balanced {
            push(&Target::Address(*ip, port.port), format!("{ip}:{}", port.port));
        }
        if let Some(node_port) = port.node_port.filter(|_| balanced.is_empty()) {
            push(&Target::Node(node_port), format!("{}:{node_port}", worker.map_or("localhost", |it| &it.name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Endpoint, IngressRoute, Node, ServicePort};

    #[track_caller]
    fn check(label: &str, target: Option<Target>) {
        assert_eq!(Target::parse(label), target, "{label}");
        if let Some(target) = target {
            assert_eq!(target.label(), label);
        }
    }

    #[test]
    fn words() {
        check("30080", Some(Target::Node(30080)));
        check("10-20-0-200-80", Some(Target::Address(Ipv4Addr::new(10, 20, 0, 200), 80)));
        check("workstation-8080", Some(Target::Local("workstation".into(), 8080)));
        check("worker-1-9376", Some(Target::Local("worker-1".into(), 9376)));
        check("shop-example-com--ingress", Some(Target::Host("shop.example.com".into())));
        check("my--shop-example-com--ingress", Some(Target::Host("my-shop.example.com".into())));
        check("xn----fiq228c-cn--ingress", Some(Target::Host("xn--fiq228c.cn".into())));
        check("ingress", Some(Target::Host(String::new())));
        check("00000000000000ff--host", Some(Target::Long(255)));
        for wrong in [
            "",
            "0",
            "+80",
            "65536",
            "a",
            "-80",
            "a-b",
            "--ingress",
            "a---b--ingress",
            "UP--ingress",
            "a_b-80",
            "1-2-3-80",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_long_host_has_a_number() {
        let host = "a-very-long-name.of-a-department.of-a-company.example.com";
        let label = Target::host(host).label();
        assert!(label.ends_with("--host") && label.len() < 40, "{label}");
        assert!(Target::parse(&label).is_some_and(|it| it.is_host(host)));
    }

    #[test]
    fn what_opens() {
        let service = |name: &str, ports: Vec<ServicePort>, addresses: &[&str], ready| Service {
            namespace: "default".into(),
            name: name.into(),
            ports,
            addresses: addresses.iter().map(|it| (*it).to_owned()).collect(),
            endpoints: vec![Endpoint { ready, ..Endpoint::default() }],
            ..Service::default()
        };
        let port = |port, node_port| ServicePort { port, node_port, protocol: "TCP".into(), ..ServicePort::default() };
        let udp = ServicePort { protocol: "UDP".into(), ..port(53, Some(30053)) };
        let route = |host: &str, path: &str, service: &str| IngressRoute {
            host: host.into(),
            path: path.into(),
            service: service.into(),
            port: "80".into(),
        };
        let topology = Topology {
            services: vec![
                service("inner", vec![port(80, None)], &[], true),
                service("web", vec![port(80, Some(30080)), udp], &[], true),
                service("lb", vec![port(443, Some(30081))], &["10.20.0.200"], false),
            ],
            ingresses: vec![
                Ingress {
                    namespace: "default".into(),
                    name: "shop".into(),
                    tls: vec!["shop.example.com".into()],
                    addresses: vec!["10.20.0.201".into()],
                    routes: vec![
                        route("shop.example.com", "/", "web"),
                        route("shop.example.com", "/api", "lb"),
                        route("*.wild.io", "", "web"),
                        route("", "", "web"),
                        route("shop.example.com", "/(.*)", "web"),
                    ],
                    ..Ingress::default()
                },
                Ingress { routes: vec![route("new.example.com", "/", "web")], ..Ingress::default() },
            ],
            nodes: [("master", NodeRole::Master), ("worker-1", NodeRole::Worker)]
                .map(|(name, role)| Node { name: name.into(), role, ..Node::default() })
                .to_vec(),
            ..Topology::default()
        };
        let found: Vec<_> = ports(&topology).into_iter().map(|it| (it.address, it.to, it.tls, it.ready)).collect();
        let expected = [
            ("https://shop.example.com/", "shop-example-com--ingress", true, true),
            ("https://shop.example.com/api", "shop-example-com--ingress", true, false),
            ("http://any.wild.io/", "any-wild-io--ingress", false, true),
            ("http://10.20.0.201/", "ingress", false, true),
            ("http://worker-1:30080", "30080", false, true),
            ("https://10.20.0.200:443", "10-20-0-200-443", true, false),
        ];
        assert_eq!(found, expected.map(|(one, two, tls, ready)| (one.to_owned(), two.to_owned(), tls, ready)));
    }
}
