//! Services, their endpoints and ports.

use std::net::IpAddr;
use std::sync::Arc;

use drydock_client::types::{Endpoint, EndpointSlice, Service};
use hickory_proto::rr::rdata::{CNAME, SRV};
use hickory_proto::rr::{Name, RData, RecordType};

use super::{Answer, Records, Zone};

/// Something that a service's name leads to: an address, and the name it has under the service.
struct Host {
    address: IpAddr,
    /// The endpoint's own label; none for a cluster IP, whose name is the service's.
    label: Option<String>,
    ports: Vec<Port>,
}

#[derive(PartialEq)]
struct Port {
    name: String,
    protocol: String,
    number: u16,
}

/// The service's own addresses.
pub fn cluster_ips(service: &Service) -> impl Iterator<Item = &str> {
    let spec = &service.spec;
    let one = spec.cluster_ips.is_empty().then_some(spec.cluster_ip.as_str());
    spec.cluster_ips.iter().map(String::as_str).chain(one).filter(|ip| !ip.is_empty() && *ip != "None")
}

/// The label of an endpoint: its host name, or its address with dashes.
pub(super) fn endpoint_label(endpoint: &Endpoint, address: &str) -> String {
    match &endpoint.hostname {
        Some(name) if !name.is_empty() => name.clone(),
        _ => address.replace(['.', ':'], "-"),
    }
}

/// Endpoints that are not ready have no names; with publishNotReadyAddresses the controller says that all are.
pub(super) fn has_name(endpoint: &Endpoint) -> bool {
    endpoint.conditions.ready.unwrap_or(true)
}

/// What stands before the service's name in a question.
enum Wanted<'a> {
    All,
    Endpoint(&'a str),
    Port { name: &'a str, protocol: &'a str },
}

impl<R: Records> Zone<R> {
    pub(super) fn service(
        &self,
        name: &Name,
        rest: &[&str],
        service: &str,
        namespace: &str,
        kind: RecordType,
    ) -> Answer {
        let wanted = match rest {
            [] => Wanted::All,
            [endpoint] => Wanted::Endpoint(endpoint),
            [port, protocol] => match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
                (Some(name), Some(protocol)) => Wanted::Port { name, protocol },
                _ => return Answer::NoSuchName,
            },
            _ => return Answer::NoSuchName,
        };
        let Some(object) = self.records.service(namespace, service) else { return Answer::NoSuchName };
        if object.spec.kind == "ExternalName" {
            return self.alias(name, &object, &wanted, kind);
        }
        let slices = || self.records.slices(namespace, service);
        let mut hosts = match wanted {
            Wanted::Endpoint(label) => endpoints(&slices(), Some(label)),
            _ if object.is_headless() => endpoints(&slices(), None),
            _ => own_addresses(&object),
        };
        if let Wanted::Port { name, protocol } = wanted {
            for host in &mut hosts {
                host.ports.retain(|port| port.name == name && port.protocol.eq_ignore_ascii_case(protocol));
            }
            hosts.retain(|host| !host.ports.is_empty());
        }
        if hosts.is_empty() {
            return Answer::NoSuchName;
        }
        match kind {
            RecordType::A | RecordType::AAAA => {
                let mut records = Vec::new();
                for record in hosts.iter().filter_map(|host| self.address_record(name, host.address, kind)) {
                    if !records.contains(&record) {
                        records.push(record);
                    }
                }
                Answer::found(records)
            }
            RecordType::SRV => self.servers(name, service, namespace, &hosts),
            _ => Answer::found(Vec::new()),
        }
    }

    /// SRV records, and the addresses of the names in them.
    fn servers(&self, name: &Name, service: &str, namespace: &str, hosts: &[Host]) -> Answer {
        let mut records = Vec::new();
        let mut additional = Vec::new();
        let mut targets: Vec<(Name, u16)> = Vec::new();
        for host in hosts {
            let target = match &host.label {
                Some(label) => self.below(&[label, service, namespace, "svc"]),
                None => self.below(&[service, namespace, "svc"]),
            };
            let Some(target) = target else { continue };
            let of_host = match host.address {
                IpAddr::V4(_) => RecordType::A,
                IpAddr::V6(_) => RecordType::AAAA,
            };
            let address = self.address_record(&target, host.address, of_host);
            additional.extend(address.filter(|record| !additional.contains(record)));
            for port in &host.ports {
                if !targets.contains(&(target.clone(), port.number)) {
                    targets.push((target.clone(), port.number));
                }
            }
        }
        // All are equally good; CoreDNS shares 100 among them.
        let weight = u16::try_from(100 / targets.len().max(1)).unwrap_or(1).max(1);
        for (target, port) in targets {
            records.push(self.record(name, RData::SRV(SRV::new(0, weight, port, target))));
        }
        Answer::Found { records, additional }
    }

    fn alias(&self, name: &Name, service: &Service, wanted: &Wanted<'_>, kind: RecordType) -> Answer {
        if !matches!(wanted, Wanted::All) {
            return Answer::NoSuchName;
        }
        let external = service.spec.external_name.trim_end_matches('.');
        if let Ok(address) = external.parse::<IpAddr>() {
            // Allowed though useless as a name; CoreDNS answers with the address.
            return Answer::found(self.address_record(name, address, kind).into_iter().collect());
        }
        let Ok(mut target) = Name::from_ascii(external) else { return Answer::NoSuchName };
        target.set_fqdn(true);
        match kind {
            RecordType::A | RecordType::AAAA | RecordType::CNAME => {
                let record = self.record(name, RData::CNAME(CNAME(target.clone())));
                if kind == RecordType::CNAME {
                    Answer::found(vec![record])
                } else {
                    Answer::Alias { record: Box::new(record), target }
                }
            }
            _ => Answer::found(Vec::new()),
        }
    }
}

fn own_addresses(service: &Service) -> Vec<Host> {
    let addresses = cluster_ips(service).filter_map(|ip| ip.parse().ok());
    let host = |address| {
        let ports = service.spec.ports.iter().filter_map(|port| {
            let number = u16::try_from(port.port).ok()?;
            Some(Port { name: port.name.clone(), protocol: or_tcp(&port.protocol), number })
        });
        Host { address, label: None, ports: ports.collect() }
    };
    addresses.map(host).collect()
}

/// The endpoints with names, or the one that is called `label`.
fn endpoints(slices: &[Arc<EndpointSlice>], label: Option<&str>) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for slice in slices {
        let ports = || {
            slice.ports.iter().filter_map(|port| {
                Some(Port {
                    name: port.name.clone().unwrap_or_default(),
                    protocol: or_tcp(port.protocol.as_deref().unwrap_or_default()),
                    number: u16::try_from(port.port?).ok()?,
                })
            })
        };
        for endpoint in slice.endpoints.iter().filter(|endpoint| has_name(endpoint)) {
            for text in &endpoint.addresses {
                let Ok(address) = text.parse() else { continue };
                let own = endpoint_label(endpoint, text);
                if label.is_some_and(|label| !own.eq_ignore_ascii_case(label)) {
                    continue;
                }
                // The ports of one endpoint can be spread over slices.
                match hosts.iter_mut().find(|host| host.address == address && host.label.as_ref() == Some(&own)) {
                    Some(host) => {
                        for port in ports() {
                            if !host.ports.contains(&port) {
                                host.ports.push(port);
                            }
                        }
                    }
                    None => hosts.push(Host { address, label: Some(own), ports: ports().collect() }),
                }
            }
        }
    }
    hosts
}

fn or_tcp(protocol: &str) -> String {
    if protocol.is_empty() { "TCP".to_owned() } else { protocol.to_owned() }
}
