//! HTTP requests inside a cluster: who asks whom, in which words, and what came back.
//!
//! The workstation is outside of the pod network: it asks nodes, load balancers and the ingress controller, with curl.
//! A Service's own address is served by kube-proxy on the nodes, so a node asks it; nodes have no curl and resolve no
//! names, so the request is written out and carried by busybox's `nc`.

use std::collections::BTreeMap;
use std::sync::Arc;

use drydock_engine::host::{HostNode, NodeState};
use drydock_engine::native::{self, NODE_SHELL, WORKSTATION};

use crate::lessons::Probe;
use crate::live::raw::{Raw, list, text};

/// Seconds that a request may take.
pub(super) const SECONDS: u64 = 4;

/// A command that asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The node that runs it.
    pub(super) on: String,
    pub(super) argv: Vec<String>,
    /// Whether the answer is one of `nc`: as it came over the wire.
    raw: bool,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

struct Url<'a> {
    tls: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

fn parse(url: &str) -> Option<Url<'_>> {
    let (tls, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if tls { 443 } else { 80 }),
    };
    Some(Url { tls, host, port, path })
}

/// The command that asks.
///
/// # Errors
/// Why nobody can be asked now.
pub(super) fn request(
    probe: &Probe,
    nodes: &[HostNode],
    registered: &[Arc<Raw>],
    services: &[Arc<Raw>],
) -> Result<Request, String> {
    let url = parse(&probe.url).ok_or_else(|| format!("{:?} is no address", probe.url))?;
    let node = nodes.iter().find(|node| node.name == url.host);
    let service = if node.is_none() { service(url.host, services) } else { None };
    let target = match (node, service) {
        (Some(node), _) => node.ip.to_string(),
        (None, Some(service)) => match text(&service.value, "/spec/clusterIP") {
            "" | "None" => return Err(format!("the Service {} has no address of its own", url.host)),
            address => address.to_owned(),
        },
        (None, None) => url.host.to_owned(),
    };
    let asker = match (probe.from.as_str(), service) {
        (WORKSTATION, None) => return Ok(curl(probe, &url)),
        (WORKSTATION, Some(_)) => asker(nodes, registered).ok_or("no node runs")?,
        (from, _) => from.to_owned(),
    };
    if url.tls {
        return Err("a Service cannot be asked over https".to_owned());
    }
    if target.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("there is no node and no Service named {}", url.host));
    }
    let script = "printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\nUser-Agent: drydock\\r\\nConnection: close\\r\\n\\r\\n' \"$1\" \"$2\" | \"$0\" timeout \"$5\" \"$0\" nc -w \"$5\" \"$3\" \"$4\"";
    let host = probe.host.as_deref().unwrap_or(url.host);
    let (port, seconds) = (url.port.to_string(), SECONDS.to_string());
    let argv = [NODE_SHELL, "sh", "-c", script, NODE_SHELL, url.path, host, &target, &port, &seconds];
    Ok(Request { on: asker, argv: argv.map(str::to_owned).to_vec(), raw: true })
}

/// The node that asks a Service: one that is well, and rather a worker than the master.
fn asker(nodes: &[HostNode], registered: &[Arc<Raw>]) -> Option<String> {
    let is_ready = |node: &HostNode| {
        let known = registered.iter().find(|known| text(&known.value, "/metadata/name") == node.name);
        known.is_some_and(|known| {
            let conditions = list(&known.value, "/status/conditions");
            conditions.iter().any(|it| text(it, "/type") == "Ready" && text(it, "/status") == "True")
        })
    };
    let running = nodes.iter().filter(|node| node.state == NodeState::Running && native::is_kubernetes_node(node.role));
    running.min_by_key(|node| (!is_ready(node), node.name == native::MASTER)).map(|node| node.name.clone())
}

/// The Service that a name means, as a pod in `default` would have it resolved.
fn service<'a>(host: &str, services: &'a [Arc<Raw>]) -> Option<&'a Arc<Raw>> {
    let parts: Vec<&str> = host.split('.').collect();
    let (name, namespace) = match parts.as_slice() {
        [name] => (*name, "default"),
        [name, namespace] | [name, namespace, "svc"] | [name, namespace, "svc", "cluster", "local"] => {
            (*name, *namespace)
        }
        _ => return None,
    };
    services.iter().find(|service| {
        text(&service.value, "/metadata/name") == name && text(&service.value, "/metadata/namespace") == namespace
    })
}

fn curl(probe: &Probe, url: &Url<'_>) -> Request {
    let mut argv: Vec<String> =
        ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-filesize", "1000000"].map(str::to_owned).to_vec();
    argv.extend(["--max-time".to_owned(), SECONDS.to_string(), "--write-out".to_owned(), "\n%{http_code}".to_owned()]);
    if probe.insecure {
        argv.push("--insecure".to_owned());
    }
    let address = match &probe.host {
        // Under TLS the name is part of the handshake: curl is told that the name is at that address.
        Some(host) if url.tls => {
            argv.extend(["--connect-to".to_owned(), format!("{host}:{port}:{}:{port}", url.host, port = url.port)]);
            argv.extend(["--header".to_owned(), format!("Host: {host}")]);
            format!("https://{host}:{}{}", url.port, url.path)
        }
        Some(host) => {
            argv.extend(["--header".to_owned(), format!("Host: {host}")]);
            probe.url.clone()
        }
        None => probe.url.clone(),
    };
    argv.extend(["--".to_owned(), address]);
    Request { on: WORKSTATION.to_owned(), argv, raw: false }
}

/// Reads what the command wrote; none when it is no answer.
pub(super) fn answer(request: &Request, stdout: &[u8]) -> Option<Answer> {
    if request.raw {
        let end = stdout.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&stdout[..end]).ok()?;
        let status = head.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
        return Some(Answer { status, body: stdout[end + 4..].to_vec() });
    }
    let end = stdout.iter().rposition(|byte| *byte == b'\n')?;
    let status = std::str::from_utf8(&stdout[end + 1..]).ok()?.parse().ok().filter(|status| *status != 0)?;
    Some(Answer { status, body: stdout[..end].to_vec() })
}

impl Answer {
    /// Whether this is what the probe asks for.
    pub(super) fn fits(&self, probe: &Probe) -> bool {
        let contains = |part: &String| self.body.windows(part.len().max(1)).any(|window| window == part.as_bytes());
        self.status == probe.status && probe.contains.as_ref().is_none_or(|part| part.is_empty() || contains(part))
    }

    /// What is shown of it to authors.
    pub(super) fn excerpt(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).trim().replace('\n', " ");
        format!("{} {body:?}", self.status)
    }
}

/// Bodies seen so far, by check: how many different ones a load balancer has shown.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<(String, String), Vec<Vec<u8>>>);

impl Seen {
    /// Adds a body and returns how many different ones there are; more than needed are not kept.
    pub(super) fn add(&mut self, step: &str, check: &str, body: &[u8]) -> usize {
        let bodies = self.0.entry((step.to_owned(), check.to_owned())).or_default();
        let body = &body[..body.len().min(4096)];
        if bodies.len() < 8 && !bodies.iter().any(|known| known == body) {
            bodies.push(body.to_vec());
        }
        bodies.len()
    }

    /// How many different ones there are.
    pub(super) fn count(&self, step: &str, check: &str) -> usize {
        self.0.get(&(step.to_owned(), check.to_owned())).map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use drydock_engine::host::NodeRole;
    use serde_json::json;

    use super::*;

    fn probe(toml: &str) -> Probe {
        toml::from_str(toml).expect("a probe")
    }

    fn nodes() -> Vec<HostNode> {
        let node = |name: &str, role, last: u8, state| HostNode {
            name: name.to_owned(),
            role,
            ip: std::net::Ipv4Addr::new(10, 20, 0, last),
            state,
        };
        vec![
            node("master", NodeRole::ControlPlane, 2, NodeState::Running),
            node("worker-1", NodeRole::Worker, 3, NodeState::Running),
            node("worker-2", NodeRole::Worker, 4, NodeState::Stopped),
            node("worker-3", NodeRole::Worker, 5, NodeState::Running),
            node("workstation", NodeRole::Workstation, 250, NodeState::Running),
        ]
    }

    /// worker-1 is cut off: it runs, and nobody hears of it.
    fn registered() -> Vec<Arc<Raw>> {
        let node = |name: &str, ready: &str| {
            let value =
                json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            Arc::new(serde_json::from_value(value).expect("a node"))
        };
        vec![node("master", "True"), node("worker-1", "Unknown"), node("worker-2", "True"), node("worker-3", "True")]
    }

    fn services() -> Vec<Arc<Raw>> {
        let service = |name: &str, namespace: &str, ip: &str| {
            let value = json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip}});
            Arc::new(serde_json::from_value(value).expect("a Service"))
        };
        vec![
            service("web", "default", "10.96.1.1"),
            service("db", "data", "10.96.1.2"),
            service("none", "default", "None"),
        ]
    }

    #[track_caller]
    fn check(toml: &str, expected: Result<(&str, &[&str]), &str>) {
        match (request(&probe(toml), &nodes(), &registered(), &services()), expected) {
            (Ok(request), Ok((on, words))) => {
                assert_eq!(request.on, on, "{request:?}");
                for word in words {
                    assert!(request.argv.iter().any(|it| it == word), "{word}: {request:?}");
                }
            }
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (found, _) => panic!("{toml}: {found:?}"),
        }
    }

    #[test]
    fn who_asks_whom() {
        check(r#"url = "http://worker-1:30080/x""#, Ok(("workstation", &["curl", "http://worker-1:30080/x"])));
        check(r#"url = "http://web/a?b=c""#, Ok(("worker-3", &["/a?b=c", "web", "10.96.1.1", "80"])));
        check(r#"url = "http://db.data.svc:5432""#, Ok(("worker-3", &["/", "10.96.1.2", "5432"])));
        check(
            "url = \"http://web/\"\nfrom = \"master\"\nhost = \"a.example\"",
            Ok(("master", &["a.example", "10.96.1.1"])),
        );
        check("url = \"http://master:1/\"\nfrom = \"worker-1\"", Ok(("worker-1", &["10.20.0.2", "1"])));
        check(
            "url = \"https://worker-1:443/x\"\nhost = \"shop.example.com\"\ninsecure = true",
            Ok((
                "workstation",
                &[
                    "--insecure",
                    "shop.example.com:443:worker-1:443",
                    "Host: shop.example.com",
                    "https://shop.example.com:443/x",
                ],
            )),
        );
        check(r#"url = "https://web/""#, Err("over https"));
        check(r#"url = "http://none/""#, Err("no address of its own"));
        check("url = \"http://nobody/\"\nfrom = \"worker-1\"", Err("no node and no Service named nobody"));
    }

    #[test]
    fn answers() {
        let over_nc = request(&probe(r#"url = "http://web/""#), &nodes(), &registered(), &services()).expect("request");
        let over_curl =
            request(&probe(r#"url = "http://master/""#), &nodes(), &registered(), &services()).expect("request");
        let found = Some(Answer { status: 404, body: b"no\nsuch".to_vec() });
        assert_eq!(answer(&over_nc, b"HTTP/1.0 404 Not Found\r\na: b\r\n\r\nno\nsuch"), found);
        assert_eq!(answer(&over_curl, b"no\nsuch\n404"), found);
        for rubbish in [&b""[..], b"\n000", b"HTTP/1.0 200", b"HTTP/1.0 x\r\n\r\n", b"\xff\n\xff"] {
            assert_eq!(answer(&over_nc, rubbish), None);
            assert_eq!(answer(&over_curl, rubbish), None);
        }
        let fits = |toml: &str| {
            found.as_ref().is_some_and(|answer| answer.fits(&probe(&format!("url = \"http://web/\"\n{toml}"))))
        };
        assert!(fits("status = 404"));
        assert!(fits("status = 404\ncontains = \"such\""));
        assert!(!fits("status = 404\ncontains = \"much\""));
        assert!(!fits(""));
    }

    #[test]
    fn bodies_are_counted_once() {
        let mut seen = Seen::default();
        assert_eq!(seen.add("a", "x", b"1"), 1);
        assert_eq!(seen.add("a", "x", b"1"), 1);
        assert_eq!(seen.add("a", "x", b"2"), 2);
        assert_eq!(seen.add("a", "y", b"2"), 1);
        for body in 0..40_u8 {
            seen.add("a", "x", &[body]);
        }
        assert_eq!(seen.count("a", "x"), 8);
    }
}
