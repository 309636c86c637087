//! Which addresses and ports a Service gets: a function of the Service and of what others hold.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use drydock_api::field::{FieldError, Path};
use serde_json::{Value, json};

/// An IPv4 range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    base: u32,
    bits: u32,
}

impl Cidr {
    /// Reads `10.96.0.0/12`; at least four addresses.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/')?;
        let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        if !(8..=30).contains(&bits) {
            return None;
        }
        Some(Self { base: u32::from(address) & (u32::MAX << (32 - bits)), bits })
    }

    fn size(self) -> u32 {
        1 << (32 - self.bits)
    }

    /// The address at an offset.
    pub(crate) fn nth(self, offset: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(self.base + offset % self.size()))
    }

    fn spans(self, address: Ipv4Addr) -> bool {
        u32::from(address).wrapping_sub(self.base) < self.size()
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address).wrapping_sub(self.base);
        offset > 0 && offset < self.size() - 1
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

/// The IPv4 ranges of ServiceCIDRs that Services may have addresses from, the server's `own` first: it is there before any object.
pub(super) fn ranges(objects: &[Value], own: Cidr) -> Vec<Cidr> {
    let is_ready = |object: &&Value| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
        // Without a word about it upstream takes it for ready, too.
        object["metadata"]["deletionTimestamp"].is_null() && ready.next().is_none_or(|it| it["status"] == "True")
    };
    let texts =
        objects.iter().filter(is_ready).flat_map(|object| object["spec"]["cidrs"].as_array().into_iter().flatten());
    let mut ranges: Vec<Cidr> = texts.filter_map(|text| Cidr::parse(text.as_str()?)).collect();
    if objects.is_empty() {
        ranges.push(own);
    }
    ranges.sort_by_key(|range| *range != own);
    ranges
}

/// What other Services hold.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    addresses: HashSet<String>,
    ports: HashSet<(String, u16)>,
}

impl Taken {
    /// What these Services hold.
    pub(crate) fn of<'a>(services: impl Iterator<Item = &'a Value>) -> Self {
        let mut taken = Self::default();
        for service in services {
            let spec = &service["spec"];
            taken.addresses.extend(
                spec["clusterIP"]
                    .as_str()
                    .filter(|address| !address.is_empty() && *address != "None")
                    .map(str::to_owned),
            );
            for port in spec["ports"].as_array().into_iter().flatten() {
                taken.ports.extend(node_port(&port["nodePort"]).map(|number| (protocol(port), number)));
            }
            taken.ports.extend(node_port(&spec["healthCheckNodePort"]).map(|number| ("TCP".to_owned(), number)));
        }
        taken
    }
}

impl Taken {
    /// Addresses that something else holds.
    pub(super) fn add_addresses(&mut self, addresses: impl Iterator<Item = String>) {
        self.addresses.extend(addresses);
    }
}

fn node_port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)
}

fn protocol(port: &Value) -> String {
    port["protocol"].as_str().unwrap_or("TCP").to_owned()
}

/// Fills in `clusterIP(s)`, IP families, node ports and the health check port; takes away what the type does not have.
pub(crate) fn allocate(
    service: &mut Value,
    old: Option<&Value>,
    ranges: &[Cidr],
    ports_range: (u16, u16),
    mut taken: Taken,
    random: &mut dyn FnMut() -> u32,
) -> Vec<FieldError> {
    let kind = service.pointer("/spec/type").and_then(Value::as_str).unwrap_or("ClusterIP").to_owned();
    let mut errors = Vec::new();
    if !service["spec"].is_object() {
        return errors;
    }
    if kind == "ExternalName" {
        release(service);
        return errors;
    }
    if let Some(old) = old {
        inherit(service, old, &kind);
    }
    families(service);
    cluster_ip(service, ranges, &taken, random, &mut errors);
    ports(service, &kind, ports_range, &mut taken, random, &mut errors);
    errors
}

/// An ExternalName has no addresses.
fn release(service: &mut Value) {
    if let Some(spec) = service["spec"].as_object_mut() {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"] {
            spec.remove(key);
        }
    }
    for port in service.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
        port.as_object_mut().map(|fields| fields.remove("nodePort"));
    }
}

/// What an update leaves out stays as it was (upstream's patchAllocatedValues).
fn inherit(service: &mut Value, old: &Value, kind: &str) {
    let old_kind = old.pointer("/spec/type").and_then(Value::as_str).unwrap_or("ClusterIP");
    if old_kind != "ExternalName" {
        for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let given = match &service["spec"][key] {
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            };
            if !given && !old["spec"][key].is_null() {
                service["spec"][key] = old["spec"][key].clone();
            }
        }
    }
    let needs = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    if needs(old_kind) && needs(kind) {
        let before: Vec<Value> = old["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let mut used: HashSet<u16> = service["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| node_port(&port["nodePort"]))
            .collect();
        for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if node_port(&port["nodePort"]).is_some() {
                continue;
            }
            let same = before.iter().find(|other| other["port"] == port["port"] && protocol(other) == protocol(port));
            if let Some(number) = same.and_then(|other| node_port(&other["nodePort"]))
                && used.insert(number)
            {
                port["nodePort"] = number.into();
            }
        }
    } else if needs(old_kind) {
        // The type lost its node ports; those that the client merely repeats go with it.
        let before: HashSet<u16> = old["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| node_port(&port["nodePort"]))
            .collect();
        for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if node_port(&port["nodePort"]).is_some_and(|number| before.contains(&number)) {
                port.as_object_mut().map(|fields| fields.remove("nodePort"));
            }
        }
    }
    if service["spec"]["healthCheckNodePort"].is_null()
        && !old["spec"]["healthCheckNodePort"].is_null()
        && wants_health_port(service, kind)
    {
        service["spec"]["healthCheckNodePort"] = old["spec"]["healthCheckNodePort"].clone();
    }
}

fn families(service: &mut Value) {
    let spec = &mut service["spec"];
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = json!("SingleStack");
    }
    if spec["ipFamilies"].as_array().is_none_or(Vec::is_empty) {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
}

fn cluster_ip(
    service: &mut Value,
    ranges: &[Cidr],
    taken: &Taken,
    random: &mut dyn FnMut() -> u32,
    errors: &mut Vec<FieldError>,
) {
    let path = Path::new("spec").child("clusterIPs");
    let spec = &mut service["spec"];
    let first = spec["clusterIPs"][0].as_str().unwrap_or("").to_owned();
    let given = match spec["clusterIP"].as_str().unwrap_or("") {
        "" => first,
        given => given.to_owned(),
    };
    if given == "None" {
        spec["clusterIP"] = json!("None");
        spec["clusterIPs"] = json!(["None"]);
        return;
    }
    let chosen = if given.is_empty() {
        match ranges.iter().find_map(|range| free_address(*range, taken, random)) {
            Some(address) => address,
            None => {
                errors.push(FieldError::internal(&path, "failed to allocate a serviceIP: range is full"));
                return;
            }
        }
    } else {
        let shown = spec["clusterIPs"].clone();
        let shown = if shown.is_null() { json!([given]) } else { shown };
        let parsed: Option<Ipv4Addr> = given.parse().ok();
        // A malformed address is the row's validation to refuse.
        if let Some(address) = parsed.filter(|address| !ranges.iter().any(|range| range.contains(*address))) {
            // The first and the last address of a range are in it and yet not to be had.
            let why = match ranges.iter().find(|range| range.spans(address)) {
                Some(range) => {
                    format!("the provided IP ({given}) is not in the valid range. The range of valid IPs is {range}")
                }
                None => "the provided network does not match the current range".to_owned(),
            };
            errors.push(FieldError::invalid(&path, shown, format!("failed to allocate IP {given}: {why}")));
            return;
        }
        if taken.addresses.contains(&given) {
            errors.push(FieldError::invalid(
                &path,
                shown,
                format!("failed to allocate IP {given}: provided IP is already allocated"),
            ));
            return;
        }
        given
    };
    spec["clusterIP"] = chosen.clone().into();
    spec["clusterIPs"] = json!([chosen]);
}

/// A free address, from the upper part of the range first (the lower is left for those who choose by hand, as upstream does).
fn free_address(cidr: Cidr, taken: &Taken, random: &mut dyn FnMut() -> u32) -> Option<String> {
    let size = cidr.size();
    let reserved = (size / 16).clamp(16, 256).min(size / 2);
    let (upper, lower) = (reserved..size - 1, 1..reserved);
    for part in [upper, lower] {
        let length = part.end.saturating_sub(part.start);
        if length == 0 {
            continue;
        }
        let begin = random() % length;
        // A cluster of this size never fills a range; looking at each once is bounded all the same.
        let found = (0..length)
            .map(|step| cidr.nth(part.start + (begin + step) % length).to_string())
            .find(|address| !taken.addresses.contains(address));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn ports(
    service: &mut Value,
    kind: &str,
    range: (u16, u16),
    taken: &mut Taken,
    random: &mut dyn FnMut() -> u32,
    errors: &mut Vec<FieldError>,
) {
    let path = Path::new("spec").child("ports");
    let wants =
        kind == "NodePort" || kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false;
    let mut own: HashSet<(String, u16)> = HashSet::new();
    let list = service["spec"]["ports"].as_array_mut();
    let mut chosen_before: Vec<(u16, String)> = Vec::new();
    for (index, port) in list.into_iter().flatten().enumerate() {
        let path = path.index(index).child("nodePort");
        match node_port(&port["nodePort"]) {
            Some(number) => {
                if number < range.0 || number > range.1 {
                    errors.push(FieldError::invalid(
                        &path,
                        number,
                        format!(
                            "provided port is not in the valid range. The range of valid ports is {}-{}",
                            range.0, range.1
                        ),
                    ));
                } else if taken.ports.contains(&(protocol(port), number)) || !own.insert((protocol(port), number)) {
                    errors.push(FieldError::invalid(&path, number, "provided port is already allocated"));
                } else {
                    chosen_before.push((number, protocol(port)));
                }
            }
            None if wants => {
                // The same port over another protocol gets the same number when it can.
                let shared = chosen_before.iter().find(|(number, used)| {
                    *used != protocol(port)
                        && !taken.ports.contains(&(protocol(port), *number))
                        && !own.contains(&(protocol(port), *number))
                });
                let number = shared
                    .map(|(number, _)| *number)
                    .or_else(|| free_port(range, &protocol(port), taken, &own, random));
                let Some(number) = number else {
                    errors.push(FieldError::internal(&path, "failed to allocate a nodePort: range is full"));
                    continue;
                };
                own.insert((protocol(port), number));
                chosen_before.push((number, protocol(port)));
                port["nodePort"] = number.into();
            }
            None => {
                port.as_object_mut().map(|fields| fields.remove("nodePort"));
            }
        }
    }
    if !wants_health_port(service, kind) {
        service["spec"].as_object_mut().map(|fields| fields.remove("healthCheckNodePort"));
    } else if node_port(&service["spec"]["healthCheckNodePort"]).is_none()
        && let Some(number) = free_port(range, "TCP", taken, &own, random)
    {
        service["spec"]["healthCheckNodePort"] = number.into();
    }
}

fn wants_health_port(service: &Value, kind: &str) -> bool {
    kind == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local"
}

fn free_port(
    range: (u16, u16),
    protocol: &str,
    taken: &Taken,
    own: &HashSet<(String, u16)>,
    random: &mut dyn FnMut() -> u32,
) -> Option<u16> {
    let length = u32::from(range.1 - range.0) + 1;
    let begin = random() % length;
    (0..length).map(|step| range.0 + ((begin + step) % length) as u16).find(|number| {
        // One number for all protocols, so that it reads as one port.
        ["TCP", "UDP", "SCTP"].iter().all(|each| !taken.ports.contains(&((*each).to_owned(), *number)))
            && !own.contains(&(protocol.to_owned(), *number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: (u16, u16) = (30000, 30003);

    fn run(service: &mut Value, old: Option<&Value>, others: &[Value]) -> Vec<String> {
        let cidr = Cidr::parse("10.96.0.0/12").expect("cidr");
        let errors = allocate(service, old, &[cidr], RANGE, Taken::of(others.iter()), &mut || 5);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_service_gets_an_address_and_a_node_port_gets_a_port() {
        let mut service = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}});
        assert!(run(&mut service, None, &[]).is_empty());
        assert_eq!(service["spec"]["clusterIP"], "10.96.1.5");
        assert_eq!(service["spec"]["clusterIPs"], json!(["10.96.1.5"]));
        assert_eq!(service["spec"]["ports"][0]["nodePort"], 30001);
        let mut second = json!({"spec": {"type": "NodePort", "ports": [{"port": 80}]}});
        assert!(run(&mut second, None, &[service.clone()]).is_empty());
        assert_eq!(second["spec"]["clusterIP"], "10.96.1.6");
        assert_eq!(second["spec"]["ports"][0]["nodePort"], 30002);
    }

    #[test]
    fn services_live_in_every_range_that_is_ready() {
        let own = Cidr::parse("10.96.0.0/28").expect("cidr");
        let range = |cidr: &str, more: Value| {
            let mut object = json!({"metadata": {}, "spec": {"cidrs": [cidr]}});
            object.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            object
        };
        let ready = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        let all = [
            range("10.97.0.0/28", ready("True")),
            range("10.98.0.0/28", ready("False")),
            range("10.99.0.0/28", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
            range("fd00::/64", json!({})),
            range("10.96.0.0/28", json!({})),
        ];
        let found: Vec<String> = ranges(&all, own).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.96.0.0/28", "10.97.0.0/28"]);
        assert_eq!(ranges(&[], own), [own]);
        // When the first is full, the next one is used.
        let mut taken = Taken::default();
        taken.add_addresses((1..15).map(|last| format!("10.96.0.{last}")));
        let mut service = json!({"spec": {}});
        assert!(allocate(&mut service, None, &ranges(&all, own), RANGE, taken, &mut || 0).is_empty());
        assert_eq!(service["spec"]["clusterIP"], "10.97.0.8");
    }

    #[test]
    fn a_name_for_another_host_gets_nothing() {
        let given = json!({"spec": {"type": "ExternalName", "externalName": "a.example"}});
        let mut service = given.clone();
        assert!(run(&mut service, None, &[]).is_empty());
        assert_eq!(service, given);
    }

    #[test]
    fn what_is_taken_or_outside_is_refused() {
        let other = json!({"spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 1, "nodePort": 30000}]}});
        let mut service = json!({"spec": {"clusterIP": "10.96.0.10"}});
        assert!(run(&mut service, None, std::slice::from_ref(&other))[0].contains("provided IP is already allocated"));
        let mut service = json!({"spec": {"clusterIP": "192.168.0.1"}});
        assert!(run(&mut service, None, &[])[0].contains("the provided network does not match the current range"));
        let mut service = json!({"spec": {"clusterIP": "10.96.0.0"}});
        assert!(run(&mut service, None, &[])[0].contains("is not in the valid range"));
        let mut service = json!({"spec": {"type": "NodePort", "ports": [{"port": 1, "nodePort": 30000}]}});
        assert!(run(&mut service, None, &[other])[0].contains("provided port is already allocated"));
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name_and_headless_stays_so() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.96.3.3", "clusterIPs": ["10.96.3.3"], "ports": [{"port": 80, "nodePort": 30002}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"port": 80}]}});
        assert!(run(&mut new, Some(&old), &[]).is_empty());
        assert_eq!(
            (&new["spec"]["clusterIP"], &new["spec"]["ports"][0]["nodePort"]),
            (&json!("10.96.3.3"), &json!(30002))
        );
        let mut plain = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.3.3", "ports": [{"port": 80, "nodePort": 30002}]}});
        assert!(run(&mut plain, Some(&old), &[]).is_empty());
        assert!(plain["spec"]["ports"][0].get("nodePort").is_none());
        let mut headless = json!({"spec": {"clusterIP": "None"}});
        assert!(run(&mut headless, None, &[]).is_empty());
        assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    }
}
