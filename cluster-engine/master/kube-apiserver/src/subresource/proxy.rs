//! `proxy` of nodes, pods and services: any HTTP request, passed on.

mod links;

use drydock_api::{Status, meta};
use drydock_component::serve::Body;
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;

use self::links::Rewrite;
use crate::encode;
use crate::exchange::Exchange;
use crate::kubelet::{Scheme, Target};
use crate::row::{Resource, Subresource};
use crate::server::Server;
use crate::verbs::get;

/// Passes a request on.
pub(super) async fn serve(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    method: &Method,
    incoming: Incoming,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Status> {
    let info = &exchange.info;
    if info.rest.is_empty()
        && !info.rest_given
        && matches!(*method, Method::GET | Method::HEAD)
        && exchange.query.get("path").is_none()
    {
        // So that relative links of the page behind it work.
        let query = &exchange.raw_query;
        let to = format!("{}/{}{query}", info.path, if query.is_empty() { "" } else { "?" });
        let mut response =
            encode::with_type(StatusCode::MOVED_PERMANENTLY, "text/html; charset=utf-8", bytes::Bytes::new());
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&to).map_err(Status::internal)?);
        return Ok(response);
    }
    super::connect::admit(server, exchange, row, Subresource::Proxy).await?;
    let (scheme, name, port) = split(&info.name);
    let (host, port, scheme) = match row.plural {
        "nodes" => node(server, row, name).await?,
        "pods" => pod(server, row, &info.namespace, scheme, name, port).await?,
        _ => service(server, &info.namespace, scheme, name, port)?,
    };
    let rest =
        if info.rest.is_empty() { exchange.query.text("path").trim_start_matches('/') } else { info.rest.as_str() };
    let target = Target { host, port, scheme, path: format!("/{}{}", path_escape(rest), raw_query(exchange)) };
    if let Some(upgrade) = upgrade {
        return server.kubelets.upgrade(&target, method, &exchange.headers, upgrade).await;
    }
    let mut headers = exchange.headers.clone();
    // Links can only be found in what is not compressed.
    headers.remove(header::ACCEPT_ENCODING);
    headers.insert("x-forwarded-uri", HeaderValue::from_str(&path_escape(&info.path)).map_err(Status::internal)?);
    let rewrite = Rewrite {
        prefix: info.path.strip_suffix(&format!("/{rest}")).unwrap_or(&info.path).to_owned(),
        hosts: vec![format!("{}:{}", target.host, target.port), exchange.header("host").to_owned()],
    };
    let body = incoming.map_err(Into::into).boxed_unsync();
    let answer = server.kubelets.send(&target, method, &headers, body).await.map_err(unavailable)?;
    Ok(passed_back(answer.map(|body| body.map_err(Into::into).boxed_unsync()), rewrite))
}

/// The answer as the client sees it: addresses lead through the proxy, and no page of a pod speaks for this server's origin.
fn passed_back(answer: Response<Body>, rewrite: Rewrite) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
    ] {
        parts.headers.remove(name);
    }
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
    let location = rewrite.address(text(header::LOCATION));
    if !location.is_empty() {
        if let Ok(location) = HeaderValue::from_str(&location) {
            parts.headers.insert(header::LOCATION, location);
        }
        return Response::from_parts(parts, body);
    }
    let media = text(header::CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    if media != "text/html" || !text(header::CONTENT_ENCODING).is_empty() {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, links::rewritten(body, rewrite))
}

/// Upstream's proxy says 503 when the other side cannot be reached.
fn unavailable(status: Status) -> Status {
    if status.code == 500 { Status::service_unavailable(status.message) } else { status }
}

fn raw_query(exchange: &Exchange) -> String {
    let text = exchange.raw_query.as_str();
    if text.is_empty() { String::new() } else { format!("?{text}") }
}

/// `[scheme:]name[:port]`.
fn split(text: &str) -> (&str, &str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => ("", text, ""),
    }
}

fn scheme_of(text: &str) -> Scheme {
    if text == "https" { Scheme::Https } else { Scheme::Http }
}

async fn node(server: &Server, row: &'static Resource, name: &str) -> Result<(String, u16, Scheme), Status> {
    let node = get::newest_value(server, row, "", name).await?;
    let (host, port) = server.kubelets.address(&node)?;
    Ok((host, port, Scheme::Kubelet))
}

async fn pod(
    server: &Server,
    row: &'static Resource,
    namespace: &str,
    scheme: &str,
    name: &str,
    port: &str,
) -> Result<(String, u16, Scheme), Status> {
    let pod = get::newest_value(server, row, namespace, name).await?;
    let host = pod.pointer("/status/podIP").and_then(Value::as_str).filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| Status::bad_request(format!("address not allowed: pod {name} has no IP")))?;
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let mut ports =
        containers.into_iter().flatten().flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let number = if port.is_empty() {
        ports.next().and_then(|port| port["containerPort"].as_u64()).unwrap_or(80)
    } else if let Ok(number) = port.parse() {
        number
    } else {
        let found = ports.find(|own| own["name"] == port).and_then(|own| own["containerPort"].as_u64());
        found.ok_or_else(|| Status::bad_request(format!("pod {name} has no port named {port}")))?
    };
    Ok((host.to_owned(), number as u16, scheme_of(scheme)))
}

/// Address and port of one ready endpoint of a Service's port, for calls of the server itself.
///
/// # Errors
/// 404 or 503 in upstream's words.
pub(crate) fn endpoint(server: &Server, namespace: &str, name: &str, port: &str) -> Result<(String, u16), Status> {
    service(server, namespace, "https", name, port).map(|(host, port, _)| (host, port))
}

/// One ready endpoint of the service's port.
fn service(
    server: &Server,
    namespace: &str,
    scheme: &str,
    name: &str,
    port: &str,
) -> Result<(String, u16, Scheme), Status> {
    let service = server
        .object("/registry/services/specs", namespace, name)
        .ok_or_else(|| Status::not_found("", "services", name))?;
    let none = || {
        Status::service_unavailable(format!(
            "no endpoints available for service {}",
            drydock_api::go_quote(&exact(scheme, name, port))
        ))
    };
    let ports: Vec<&Value> = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten().collect();
    let wanted = match port {
        "" => ports.first(),
        port => ports
            .iter()
            .find(|own| own["name"] == port || own["port"].as_u64().is_some_and(|number| number.to_string() == port)),
    };
    let wanted = wanted.ok_or_else(|| {
        Status::service_unavailable(format!(
            "no service port {} found for service {}",
            drydock_api::go_quote(port),
            drydock_api::go_quote(name)
        ))
    })?;
    let port_name = wanted["name"].as_str().unwrap_or("");
    let slices = server.objects("/registry/endpointslices", namespace);
    let own = slices.iter().filter(|slice| meta::label(slice, "kubernetes.io/service-name") == Some(name));
    let mut found = Vec::new();
    for slice in own {
        let port =
            slice["ports"].as_array().into_iter().flatten().find(|own| own["name"].as_str().unwrap_or("") == port_name);
        let Some(number) = port.and_then(|port| port["port"].as_u64()) else { continue };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            let ready = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
            if let (true, Some(address)) = (ready, endpoint["addresses"][0].as_str()) {
                found.push((address.to_owned(), number as u16));
            }
        }
    }
    if found.is_empty() {
        return Err(none());
    }
    let (host, number) = found.swap_remove(rand::random::<u32>() as usize % found.len());
    let secure = scheme == "https";
    Ok((host, number, if secure { Scheme::Https } else { Scheme::Http }))
}

fn exact(scheme: &str, name: &str, port: &str) -> String {
    match (scheme, port) {
        ("", "") => name.to_owned(),
        ("", port) => format!("{name}:{port}"),
        (scheme, port) => format!("{scheme}:{name}:{port}"),
    }
}

/// A decoded path, made safe for a request line again.
fn path_escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'/'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_carry_scheme_and_port() {
        assert_eq!(split("web"), ("", "web", ""));
        assert_eq!(split("web:80"), ("", "web", "80"));
        assert_eq!(split("https:web:443"), ("https", "web", "443"));
        assert_eq!(split("http:web:"), ("http", "web", ""));
        assert_eq!(path_escape("a b/ü"), "a%20b/%C3%BC");
    }
}
