//! From Ingresses, services and endpoints to a table of hosts and paths. Pure.
//!
//! The most special wins: a host by name, then by wildcard, then rules for all hosts; within a host an exact path, then
//! the longest prefix. Of two Ingresses that claim the same, the older one has it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use drydock_client::Object;
use drydock_client::types::{Endpoint, EndpointSlice, Service};

use crate::objects::{Ingress, IngressBackend, ServiceBackend};

/// The cluster's state, as far as routes depend on it beside the Ingresses.
pub trait Services {
    /// A service.
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>>;
    /// Its endpoints.
    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>>;
}

/// Where a request can be sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// An endpoint.
    Address(SocketAddr),
    /// A name to look up and a port, of an ExternalName service.
    Name(String, u16),
}

/// A service's port with its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// `namespace/name:port`, for people.
    pub name: String,
    /// Where it is served; empty if nowhere.
    pub targets: Vec<Target>,
    /// Whether endpoints speak HTTP/2 without TLS (`appProtocol: kubernetes.io/h2c`).
    pub h2c: bool,
    /// Why there is no target.
    pub missing: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    path: String,
    kind: Kind,
    backend: Arc<Backend>,
    /// Requests over HTTP are sent to HTTPS.
    https_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exact,
    Prefix,
    /// Of an Ingress's default backend for its hosts.
    Rest,
}

/// A Secret with a certificate, and the hosts it is for; no host means those that have no other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Hosts, perhaps with a wildcard.
    pub hosts: Vec<String>,
}

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// By host; wildcards by what follows the star (`.example.com`), rules for all hosts by the empty name.
    hosts: BTreeMap<String, Vec<Route>>,
    rest: Option<Arc<Backend>>,
    /// Certificates.
    pub secrets: Vec<TlsSecret>,
}

impl Table {
    /// Who serves a request; none if nobody does.
    pub fn lookup(&self, host: &str, path: &str) -> Option<&Arc<Backend>> {
        self.route(host, path).map(|route| &route.backend).or(self.rest.as_ref())
    }

    /// Whether such a request over HTTP is to be sent to HTTPS.
    pub fn is_https_only(&self, host: &str, path: &str) -> bool {
        // Whoever issues certificates must be able to ask for one over HTTP.
        !path.starts_with("/.well-known/acme-challenge") && self.route(host, path).is_some_and(|route| route.https_only)
    }

    fn route(&self, host: &str, path: &str) -> Option<&Route> {
        let host = bare_host(host);
        let wildcard = host.find('.').filter(|dot| *dot > 0).map(|dot| host[dot..].to_owned());
        let exact = Some(host.as_str()).filter(|host| !host.is_empty() && !host.starts_with('.'));
        let routes = [exact, wildcard.as_deref(), Some("")].into_iter().flatten().find_map(|name| self.hosts.get(name));
        routes.and_then(|routes| routes.iter().find(|route| route.matches(path)))
    }
}

impl Route {
    fn matches(&self, path: &str) -> bool {
        match self.kind {
            Kind::Exact => self.path == path,
            Kind::Rest => true,
            // Whole elements: /foo is no prefix of /foobar. A slash at its end makes no difference.
            Kind::Prefix => match path.strip_prefix(self.path.trim_end_matches('/')) {
                Some(rest) => rest.is_empty() || rest.starts_with('/'),
                None => false,
            },
        }
    }
}

/// A host without port and final dot, in lower case.
pub fn bare_host(host: &str) -> String {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    without_port.trim_end_matches('.').to_ascii_lowercase()
}

/// The table for these Ingresses.
pub fn plan(ingresses: &[Arc<Ingress>], services: &impl Services) -> Table {
    let mut sorted: Vec<&Ingress> = ingresses.iter().map(|ingress| &**ingress).collect();
    sorted.sort_by_key(|ingress| (ingress.metadata.creation_timestamp.as_deref(), ingress.namespace(), ingress.name()));
    let mut table = Table::default();
    let mut whole_rest = None;
    let certified = certified_hosts(&sorted);
    for ingress in sorted {
        let namespace = ingress.namespace();
        let spec = &ingress.spec;
        let rest = spec.default_backend.as_ref().map(|backend| Arc::new(resolve(namespace, backend, services)));
        for rule in &spec.rules {
            let host = rule.host.to_ascii_lowercase();
            let host = host.strip_prefix('*').unwrap_or(&host);
            let https_only = is_https_only(ingress, certified.contains(host));
            let routes = table.hosts.entry(host.to_owned()).or_default();
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                let kind = if path.path_type == "Exact" { Kind::Exact } else { Kind::Prefix };
                let text = if path.path.is_empty() { "/".to_owned() } else { path.path.clone() };
                let backend = Arc::new(resolve(namespace, &path.backend, services));
                routes.push(Route { path: text, kind, backend, https_only });
            }
            if let Some(backend) = &rest
                && !host.is_empty()
            {
                routes.push(Route { path: String::new(), kind: Kind::Rest, backend: backend.clone(), https_only });
            }
        }
        if let Some(rest) = rest {
            // An Ingress that is nothing but a default comes before one that also has rules.
            let into = if spec.rules.is_empty() { &mut table.rest } else { &mut whole_rest };
            into.get_or_insert(rest);
        }
        table.secrets.extend(spec.tls.iter().filter(|tls| !tls.secret_name.is_empty()).map(|tls| {
            let of_rules = || spec.rules.iter().map(|rule| rule.host.clone()).filter(|host| !host.is_empty());
            let hosts = if tls.hosts.is_empty() { of_rules().collect() } else { tls.hosts.clone() };
            TlsSecret { namespace: namespace.to_owned(), name: tls.secret_name.clone(), hosts }
        }));
    }
    table.rest = table.rest.or(whole_rest);
    for routes in table.hosts.values_mut() {
        // Stable: among equals the older Ingress stays first.
        routes.sort_by_key(|route| (route.kind, std::cmp::Reverse(route.path.trim_end_matches('/').len())));
    }
    table
}

/// The hosts of rules, written as in the table, for which any Ingress has TLS.
fn certified_hosts(ingresses: &[&Ingress]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    for ingress in ingresses {
        let of_rules = || ingress.spec.rules.iter().map(|rule| rule.host.to_ascii_lowercase());
        for tls in &ingress.spec.tls {
            named.extend(tls.hosts.iter().map(|host| host.to_ascii_lowercase()));
            if tls.hosts.is_empty() {
                named.extend(of_rules());
            }
        }
        hosts.extend(of_rules());
    }
    let star = |host: &str| host.find('.').map(|dot| format!("*{}", &host[dot..]));
    hosts.retain(|host| {
        !host.is_empty() && (named.contains(host) || star(host).is_some_and(|star| named.contains(&star)))
    });
    hosts.into_iter().map(|host| host.strip_prefix('*').unwrap_or(&host).to_owned()).collect()
}

/// Upstream's most common controller sends HTTP to HTTPS where there is TLS, unless an annotation says otherwise.
fn is_https_only(ingress: &Ingress, has_tls: bool) -> bool {
    let says = |name: &str, wanted: &str| {
        let key = format!("nginx.ingress.kubernetes.io/{name}");
        ingress.metadata.annotations.get(&key).is_some_and(|value| value == wanted)
    };
    says("force-ssl-redirect", "true") || (has_tls && !says("ssl-redirect", "false"))
}

fn resolve(namespace: &str, backend: &IngressBackend, services: &impl Services) -> Backend {
    let none = |name: String, missing| Backend { name, targets: Vec::new(), h2c: false, missing };
    let Some(ServiceBackend { name, port }) = &backend.service else {
        return none(format!("a resource in {namespace}"), "only services can serve requests here");
    };
    let shown = if port.name.is_empty() { port.number.to_string() } else { port.name.clone() };
    let shown = format!("{namespace}/{name}:{shown}");
    let Some(service) = services.service(namespace, name) else { return none(shown, "there is no such service") };
    if service.spec.kind == "ExternalName" {
        let number = service.spec.ports.iter().find(|known| !port.name.is_empty() && known.name == port.name);
        let number = number.map_or(port.number, |known| known.port);
        return match u16::try_from(number) {
            Ok(number @ 1..) if !service.spec.external_name.is_empty() => Backend {
                name: shown,
                targets: vec![Target::Name(service.spec.external_name.clone(), number)],
                h2c: false,
                missing: "",
            },
            _ => none(shown, "the service has no such port"),
        };
    }
    let wanted = service.spec.ports.iter().find(|known| match port.name.as_str() {
        "" => known.port == port.number,
        name => known.name == name,
    });
    let Some(wanted) = wanted else { return none(shown, "the service has no such port") };
    let slices = services.slices(namespace, name);
    let is_ready = |endpoint: &Endpoint| endpoint.conditions.ready.unwrap_or(true);
    let is_last_resort = |endpoint: &Endpoint| {
        endpoint.conditions.serving.unwrap_or(true) && endpoint.conditions.terminating.unwrap_or(false)
    };
    let mut targets = targets(&slices, &wanted.name, is_ready);
    if targets.is_empty() {
        targets = self::targets(&slices, &wanted.name, is_last_resort);
    }
    let h2c = wanted.app_protocol.as_deref() == Some("kubernetes.io/h2c");
    let missing = if targets.is_empty() { "the service has no endpoints" } else { "" };
    Backend { name: shown, targets, h2c, missing }
}

fn targets(slices: &[Arc<EndpointSlice>], port: &str, usable: impl Fn(&Endpoint) -> bool) -> Vec<Target> {
    let mut found = Vec::new();
    for slice in slices.iter().filter(|slice| slice.address_type != "FQDN") {
        for port in slice.ports.iter().filter(|known| known.name.as_deref().unwrap_or_default() == port) {
            let Some(Ok(number @ 1..)) = port.port.map(u16::try_from) else { continue };
            for endpoint in slice.endpoints.iter().filter(|endpoint| usable(endpoint)) {
                let address = endpoint.addresses.first().and_then(|address| address.parse::<IpAddr>().ok());
                found.extend(address.map(|address| Target::Address(SocketAddr::new(address, number))));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}
