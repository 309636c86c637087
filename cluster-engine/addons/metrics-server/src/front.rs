//! The HTTPS server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use drydock_api::meta::ObjectMeta;
use drydock_api::selector::Selector;
use drydock_api::status::Status;
use drydock_client::types::{Node, Pod};
use drydock_client::{Api, Client, ListOptions, Object, PartialObject};
use drydock_component::Shutdown;
use drydock_component::serve::{self, Body, Peer, full, text};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::answer::{self, Question};
use crate::collect::Collector;
use crate::gate::{FrontProxy, Gate};
use crate::{Error, Options, tls};

struct Front {
    client: Client,
    collector: Collector,
    gate: Gate,
}

pub(crate) async fn serve(client: Client, options: Options, shutdown: Shutdown) -> Result<(), Error> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, options.secure_port));
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let proxy = tokio::select! {
        proxy = FrontProxy::published(&client) => proxy,
        () = shutdown.wait() => return Ok(()),
    };
    let config = tls::server_config(&proxy.ca)?;
    let front = Arc::new(Front {
        collector: Collector::new(client.clone(), options.kubelet_insecure_tls),
        gate: Gate::new(client.clone(), proxy),
        client,
    });
    tracing::info!(port = options.secure_port, "serving");
    let handler = move |request: Request<Incoming>, peer: Peer| {
        let front = front.clone();
        async move { front.answer(request, peer).await }
    };
    serve::https(listener, config, handler, shutdown).await;
    Ok(())
}

fn json(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn refused(status: &Status) -> Response<Body> {
    json(status.code, status.to_json())
}

impl Front {
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if matches!(path.as_str(), "/livez" | "/readyz" | "/healthz") {
            return text(StatusCode::OK, "ok");
        }
        let question = answer::question(&path);
        let is_list = matches!(question, Some(Question::Nodes(None) | Question::Pods { name: None, .. }));
        if let Err(status) = self.gate.check(request.headers(), &peer, question.as_ref(), &path, is_list).await {
            return refused(&status);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let status = Status::generic(405, "the server does not allow this method on the requested resource");
            return refused(&status);
        }
        if let Some(document) = answer::document(&path) {
            return json(200, document.to_string());
        }
        let Some(question) = question else { return refused(&Status::unknown_path()) };
        match self.find(&question, request.uri().query().unwrap_or_default()).await {
            Ok(items) => self.show(&question, items, &request),
            Err(status) => refused(&status),
        }
    }

    async fn find(&self, question: &Question, query: &str) -> Result<Vec<Value>, Status> {
        let parameter = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            pair.map(decode).filter(|value| !value.is_empty())
        };
        let options = ListOptions {
            label_selector: parameter("labelSelector"),
            field_selector: parameter("fieldSelector"),
            metadata_only: true,
            ..ListOptions::default()
        };
        if let Some(selector) = &options.label_selector {
            Selector::parse(selector).map_err(|error| Status::bad_request(error.to_string()))?;
        }
        let there = self.there(question, &options).await?;
        let usage = self.collector.usage().await.map_err(unavailable)?;
        Ok(answer::objects(question, &Selector::everything(), &there, &usage))
    }

    /// The objects that are asked about, as the API server has them; it also does the selecting.
    async fn there(&self, question: &Question, options: &ListOptions) -> Result<Vec<ObjectMeta>, Status> {
        let (api, name) = match question {
            Question::Nodes(name) => (Api::<PartialObject>::of(self.client.clone(), Node::resource(), ""), name),
            Question::Pods { namespace, name } => {
                (Api::<PartialObject>::of(self.client.clone(), Pod::resource(), namespace), name)
            }
        };
        if let Some(name) = name {
            let resource = if matches!(question, Question::Nodes(_)) { "nodes" } else { "pods" };
            let found = api.get_opt(name).await.map_err(unavailable)?;
            let missing = || Status::not_found("metrics.k8s.io", resource, name);
            return Ok(vec![found.ok_or_else(missing)?.metadata]);
        }
        let list = api.list(options).await.map_err(unavailable)?;
        Ok(list.items.into_iter().map(|object| object.metadata).collect())
    }

    fn show(&self, question: &Question, mut items: Vec<Value>, request: &Request<Incoming>) -> Response<Body> {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.split(',').next().is_some_and(|first| first.contains("as=Table")) {
            return json(200, answer::table(&items).to_string());
        }
        match question {
            Question::Nodes(Some(name)) | Question::Pods { name: Some(name), .. } => match items.pop() {
                Some(item) => json(200, item.to_string()),
                None => {
                    let kind = if matches!(question, Question::Nodes(_)) { "nodemetrics" } else { "podmetrics" };
                    refused(&Status::not_found("metrics.k8s.io", kind, name))
                }
            },
            _ => json(200, answer::list(question, items).to_string()),
        }
    }
}

fn unavailable(error: drydock_client::Error) -> Status {
    match error.status() {
        Some(status) if status.code < 500 => status.clone(),
        _ => Status::service_unavailable(error.to_string()),
    }
}

/// `%2C` and `+` of a query as characters.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let byte = match first {
            b'+' => b' ',
            b'%' => {
                let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    Some(byte) => {
                        rest = &after[2..];
                        byte
                    }
                    None => b'%',
                }
            }
            other => *other,
        };
        bytes.push(byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        for (text, expected) in [("app%3Dweb%2Cx", "app=web,x"), ("a+b", "a b"), ("100%", "100%"), ("%zz", "%zz")] {
            assert_eq!(decode(text), expected);
        }
    }
}
