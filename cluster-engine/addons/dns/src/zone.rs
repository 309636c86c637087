//! Answers from the cluster's state. Pure: what is not in [`Records`] is not known.
//!
//! Under the domain there are
//! - `<service>.<namespace>.svc`: the cluster IPs, or the endpoints of a headless service, or a CNAME,
//! - `<endpoint>.<service>.<namespace>.svc`: one endpoint by its host name, or its address with dashes,
//! - `_<port>._<protocol>.<service>.<namespace>.svc`: SRV records,
//! - `<address with dashes>.<namespace>.pod`: that address (CoreDNS's `pods insecure`),
//! - `dns-version`, the SOA and NS of the domain,
//!
//! and in the reverse zones PTR records of services and endpoints.

mod reverse;
mod services;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use drydock_client::types::{EndpointSlice, Service};
use hickory_proto::rr::rdata::{NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

pub use services::cluster_ips;

/// The version of the specification that the answers follow.
const DNS_VERSION: &str = "1.1.0";

/// The cluster's state, as far as names depend on it.
pub trait Records: Send + Sync {
    /// Whether everything was heard once.
    fn ready(&self) -> bool;
    /// Whether there is such a namespace.
    fn has_namespace(&self, name: &str) -> bool;
    /// A service.
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>>;
    /// The endpoints of a service.
    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>>;
    /// The service with this cluster IP.
    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>>;
    /// The slices in which this is an endpoint's address.
    fn slices_at(&self, address: IpAddr) -> Vec<Arc<EndpointSlice>>;
}

/// What there is to say about a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The name is not the cluster's.
    NotOurs,
    /// The cluster's state is not known yet.
    NotReady,
    /// There is no such name.
    NoSuchName,
    /// There is such a name; with its records of the type asked for, perhaps none.
    Found {
        /// Records of the name.
        records: Vec<Record>,
        /// Records of names that those mention.
        additional: Vec<Record>,
    },
    /// The name stands for another one, which is to be looked up as well.
    Alias {
        /// The CNAME record.
        record: Box<Record>,
        /// The other name.
        target: Name,
    },
}

impl Answer {
    fn found(records: Vec<Record>) -> Answer {
        Answer::Found { records, additional: Vec::new() }
    }
}

/// The cluster's domain.
pub struct Zone<R> {
    domain: Name,
    ttl: u32,
    records: R,
}

impl<R: Records> Zone<R> {
    /// A domain over `records`, whose answers may be kept for `ttl` seconds.
    pub fn new(domain: Name, ttl: u32, records: R) -> Zone<R> {
        Zone { domain, ttl, records }
    }

    /// Whether the cluster's state is known.
    pub fn is_ready(&self) -> bool {
        self.records.ready()
    }

    /// Looks up `name`; letter case does not matter and is kept in the answer.
    pub fn answer(&self, name: &Name, kind: RecordType) -> Answer {
        if let Ok(reversed) = name.parse_arpa_name() {
            return self.reverse(name, reversed.addr(), reversed.prefix_len(), kind);
        }
        if !self.domain.zone_of(name) {
            return Answer::NotOurs;
        }
        if !self.records.ready() {
            return Answer::NotReady;
        }
        let labels = name.iter().count().saturating_sub(self.domain.iter().count());
        let below: Option<Vec<String>> = name
            .iter()
            .take(labels)
            .map(|label| std::str::from_utf8(label).ok().map(str::to_ascii_lowercase))
            .collect();
        // The names of all objects are ASCII.
        let Some(below) = below else { return Answer::NoSuchName };
        let below: Vec<&str> = below.iter().map(String::as_str).collect();
        match below.as_slice() {
            [] => Answer::found(match kind {
                RecordType::SOA => vec![self.soa()],
                RecordType::NS => vec![self.record(name, RData::NS(NS(self.name_server())))],
                _ => Vec::new(),
            }),
            ["dns-version"] => Answer::found(match kind {
                RecordType::TXT => vec![self.record(name, RData::TXT(TXT::new(vec![DNS_VERSION.to_owned()])))],
                _ => Vec::new(),
            }),
            ["dns"] | ["svc"] | ["pod"] => Answer::found(Vec::new()),
            ["ns", "dns"] => self.name_server_address(name, kind),
            [namespace, "svc" | "pod"] => {
                if self.records.has_namespace(namespace) {
                    Answer::found(Vec::new())
                } else {
                    Answer::NoSuchName
                }
            }
            [address, namespace, "pod"] => self.pod(name, address, namespace, kind),
            [rest @ .., service, namespace, "svc"] => self.service(name, rest, service, namespace, kind),
            _ => Answer::NoSuchName,
        }
    }

    /// The start-of-authority record, which goes with answers that say no.
    pub fn soa(&self) -> Record {
        let mailbox = self.domain.prepend_label("hostmaster").unwrap_or_else(|_| self.domain.clone());
        let soa = SOA::new(self.name_server(), mailbox, 1, 7200, 1800, 86400, self.ttl);
        self.record(&self.domain, RData::SOA(soa))
    }

    fn record(&self, name: &Name, data: RData) -> Record {
        Record::from_rdata(name.clone(), self.ttl, data)
    }

    fn address_record(&self, name: &Name, address: IpAddr, kind: RecordType) -> Option<Record> {
        let data = match address {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        (data.record_type() == kind).then(|| self.record(name, data))
    }

    /// A name under the domain; none if a label or the whole is too long.
    fn below(&self, labels: &[&str]) -> Option<Name> {
        labels.iter().rev().try_fold(self.domain.clone(), |name, label| name.prepend_label(*label).ok())
    }

    fn name_server(&self) -> Name {
        self.below(&["ns", "dns"]).unwrap_or_else(|| self.domain.clone())
    }

    /// This server's own address: the cluster's DNS service, wherever it is installed.
    fn name_server_address(&self, name: &Name, kind: RecordType) -> Answer {
        let service = self.records.service("kube-system", "kube-dns");
        let addresses = service.iter().flat_map(|service| cluster_ips(service)).filter_map(|ip| ip.parse().ok());
        Answer::found(addresses.filter_map(|address| self.address_record(name, address, kind)).collect())
    }

    /// `10-244-1-5.namespace.pod`, whether or not there is such a pod.
    fn pod(&self, name: &Name, dashed: &str, namespace: &str, kind: RecordType) -> Answer {
        if !self.records.has_namespace(namespace) {
            return Answer::NoSuchName;
        }
        let address = dashed.replace('-', ".").parse().ok().or_else(|| dashed.replace('-', ":").parse().ok());
        match address {
            Some(address) => Answer::found(self.address_record(name, address, kind).into_iter().collect()),
            None => Answer::NoSuchName,
        }
    }
}
