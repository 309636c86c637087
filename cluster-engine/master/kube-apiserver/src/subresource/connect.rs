//! `pods/exec`, `pods/attach` and `pods/portforward`: passed on to the kubelet of the pod's node.

use drydock_api::Status;
use drydock_api::meta::{self, Gvk};
use drydock_component::serve::Body;
use http::{Method, Response};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};

use crate::admission::{Attempt, Operation};
use crate::exchange::{Exchange, FieldValidation, WriteOptions};
use crate::kubelet::{Scheme, Target};
use crate::request::Query;
use crate::row::{Resource, Subresource};
use crate::server::Server;
use crate::verbs::get;

/// Answers an upgrade.
pub(super) async fn serve(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Subresource,
    method: &Method,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, Status> {
    if exchange.info.verb == "get" {
        // A WebSocket begins with a GET; what it does is a create, and must be allowed as one.
        server.authorize_also(exchange, "create", subresource.name())?;
    }
    admit(server, exchange, row, subresource).await?;
    let pod = get::newest_value(server, row, &exchange.info.namespace, &exchange.info.name).await?;
    let query = &exchange.query;
    let path = match subresource {
        Subresource::PortForward => port_forward_path(&pod, query),
        other => {
            let container = container(&pod, query.text("container"))?;
            stream_path(&pod, other.name(), &container, query)
        }
    };
    let (host, port) = kubelet_of(server, &pod)?;
    let target = Target { host, port, scheme: Scheme::Kubelet, path };
    let upgrade = upgrade.ok_or_else(|| Status::bad_request("Upgrade request required"))?;
    server.kubelets.upgrade(&target, method, &exchange.headers, upgrade).await
}

/// Asks admission about a connection; the object is made of the query.
///
/// # Errors
/// What a webhook or policy refuses.
pub(super) async fn admit(
    server: &Server,
    exchange: &Exchange,
    row: &'static Resource,
    subresource: Subresource,
) -> Result<(), Status> {
    let kind = match (subresource, row.plural) {
        (Subresource::Exec, _) => "PodExecOptions",
        (Subresource::Attach, _) => "PodAttachOptions",
        (Subresource::PortForward, _) => "PodPortForwardOptions",
        (_, "pods") => "PodProxyOptions",
        (_, "services") => "ServiceProxyOptions",
        _ => "NodeProxyOptions",
    };
    let mut object = json!({"apiVersion": "v1", "kind": kind});
    for key in ["stdin", "stdout", "stderr", "tty"] {
        if exchange.query.flag(key) {
            object[key] = true.into();
        }
    }
    for key in ["container", "path"] {
        if !exchange.query.text(key).is_empty() {
            object[key] = exchange.query.text(key).into();
        }
    }
    let lists: Vec<&str> = exchange.query.all("command").collect();
    if !lists.is_empty() {
        object["command"] = json!(lists);
    }
    // The query is for the other side, not for us.
    let options =
        WriteOptions { dry_run: false, field_manager: String::new(), field_validation: FieldValidation::Ignore };
    let mut attempt = Attempt::new(server, exchange, row, Some(subresource), Operation::Connect, &options)
        .of_kind(Gvk::new("", "v1", kind));
    attempt.options = Value::Null;
    attempt.mutate(Some(&mut object)).await?;
    attempt.validate(Some(&object)).await
}

/// Address of the kubelet that runs a pod.
///
/// # Errors
/// 400 when the pod runs nowhere yet.
pub(super) fn kubelet_of(server: &Server, pod: &Value) -> Result<(String, u16), Status> {
    let node = pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or("");
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", meta::name(pod))));
    }
    let node = server.object("/registry/minions", "", node).ok_or_else(|| Status::not_found("", "nodes", node))?;
    server.kubelets.address(&node)
}

/// The container that is meant.
///
/// # Errors
/// 400 in upstream's words when there is none of that name or the name is needed.
pub(super) fn container(pod: &Value, asked: &str) -> Result<String, Status> {
    let names = |list: &str| -> Vec<String> {
        let items = pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|container| container["name"].as_str()).map(str::to_owned).collect()
    };
    let (main, init, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    if asked.is_empty() {
        if let Some(name) = meta::annotation(pod, "kubectl.kubernetes.io/default-container")
            && main.iter().any(|own| own == name)
        {
            return Ok(name.to_owned());
        }
        return match &main[..] {
            [] => Err(Status::bad_request(format!("a container name must be specified for pod {}", meta::name(pod)))),
            [one] => Ok(one.clone()),
            _ => {
                let mut text = format!(
                    "a container name must be specified for pod {}, choose one of: [{}]",
                    meta::name(pod),
                    main.join(" ")
                );
                if !init.is_empty() {
                    text.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
                }
                Err(Status::bad_request(text))
            }
        };
    }
    if [&main, &init, &ephemeral].iter().any(|list| list.iter().any(|name| name == asked)) {
        return Ok(asked.to_owned());
    }
    Err(Status::bad_request(format!("container {asked} is not valid for pod {}", meta::name(pod))))
}

fn stream_path(pod: &Value, kind: &str, container: &str, query: &Query) -> String {
    let mut path = format!("/{kind}/{}/{}/{container}?", meta::namespace(pod), meta::name(pod));
    for (ours, theirs) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
        if query.flag(ours) {
            path.push_str(&format!("{theirs}=1&"));
        }
    }
    for word in query.all("command") {
        path.push_str(&format!("command={}&", escape(word)));
    }
    path.truncate(path.len() - 1);
    path
}

fn port_forward_path(pod: &Value, query: &Query) -> String {
    let ports: Vec<String> = query.all("ports").map(|port| format!("port={}", escape(port))).collect();
    let mark = if ports.is_empty() { "" } else { "?" };
    format!("/portForward/{}/{}{mark}{}", meta::namespace(pod), meta::name(pod), ports.join("&"))
}

/// Percent-encodes a query value.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_gets_its_own_form() {
        let pod = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"containers": [{"name": "c"}]}});
        let query = Query::parse("command=sh&command=-c&command=echo%20a%26b&stdin=true&stdout=true&tty=false");
        assert_eq!(
            stream_path(&pod, "exec", "c", &query),
            "/exec/a/p/c?input=1&output=1&command=sh&command=-c&command=echo%20a%26b"
        );
        assert_eq!(port_forward_path(&pod, &Query::parse("ports=80")), "/portForward/a/p?port=80");
        assert_eq!(port_forward_path(&pod, &Query::default()), "/portForward/a/p");
        assert_eq!(container(&pod, "").as_deref().ok(), Some("c"));
        assert!(container(&pod, "d").is_err());
    }
}
