//! From addresses to names.

use std::net::IpAddr;

use drydock_client::Object;
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{Name, RData, RecordType};

use super::services::{endpoint_label, has_name};
use super::{Answer, Records, Zone};

impl<R: Records> Zone<R> {
    /// Addresses that are not the cluster's are somebody else's to name.
    pub(super) fn reverse(&self, name: &Name, address: IpAddr, prefix: u8, kind: RecordType) -> Answer {
        let whole = if address.is_ipv4() { 32 } else { 128 };
        if prefix != whole {
            return Answer::NotOurs;
        }
        if !self.records.ready() {
            return Answer::NotReady;
        }
        let targets = self.names_of(address);
        if targets.is_empty() {
            return Answer::NotOurs;
        }
        if kind != RecordType::PTR {
            return Answer::found(Vec::new());
        }
        Answer::found(targets.into_iter().map(|target| self.record(name, RData::PTR(PTR(target)))).collect())
    }

    fn names_of(&self, address: IpAddr) -> Vec<Name> {
        if let Some(service) = self.records.service_at(address) {
            return self.below(&[service.name(), service.namespace(), "svc"]).into_iter().collect();
        }
        let text = address.to_string();
        let mut names = Vec::new();
        for slice in self.records.slices_at(address) {
            let Some(service) = slice.service_name() else { continue };
            for endpoint in slice.endpoints.iter().filter(|endpoint| has_name(endpoint)) {
                if endpoint.addresses.contains(&text) {
                    let label = endpoint_label(endpoint, &text);
                    names.extend(self.below(&[&label, service, slice.namespace(), "svc"]));
                }
            }
        }
        names.dedup();
        names
    }
}
