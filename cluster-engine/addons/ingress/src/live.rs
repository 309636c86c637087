//! The proxy with real sockets: clients, endpoints, TLS, upgrades and streams.

use std::net::SocketAddr;
use std::sync::Arc;

use drydock_client::types::{EndpointSlice, Service};
use drydock_component::Shutdown;
use drydock_component::serve::{self, Body, Peer, full};
use drydock_component::shutdown::Trigger;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::proxy::{Door, Proxy};
use crate::routes::{Services, plan};
use crate::tls::{Certificates, server_config};

struct Running {
    http: SocketAddr,
    https: SocketAddr,
    _stop: Vec<Trigger>,
}

/// One service per endpoint list.
struct Fixed {
    slices: Vec<(&'static str, Vec<SocketAddr>)>,
}

impl Services for Fixed {
    fn service(&self, _: &str, name: &str) -> Option<Arc<Service>> {
        let known = self.slices.iter().any(|(known, _)| *known == name);
        let value = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
        known.then(|| Arc::new(serde_json::from_value(value).unwrap()))
    }

    fn slices(&self, _: &str, name: &str) -> Vec<Arc<EndpointSlice>> {
        let addresses = self.slices.iter().filter(|(known, _)| *known == name).flat_map(|(_, addresses)| addresses);
        let slice = |address: &SocketAddr| {
            let value = json!({
                "metadata": {"name": "s"}, "addressType": "IPv4",
                "endpoints": [{"addresses": [address.ip().to_string()]}], "ports": [{"port": address.port()}],
            });
            Arc::new(serde_json::from_value(value).unwrap())
        };
        addresses.map(slice).collect()
    }
}

/// An endpoint that shows what it was asked; `/upgrade` says words backwards.
async fn endpoint(stop: &mut Vec<Trigger>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = Shutdown::new();
    stop.push(trigger);
    let handler = |mut request: Request<Incoming>, _: Peer| async move {
        if request.uri().path() == "/upgrade" {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgraded.await.unwrap());
                let mut buffer = [0; 4];
                while stream.read_exact(&mut buffer).await.is_ok() {
                    buffer.reverse();
                    stream.write_all(&buffer).await.unwrap();
                }
            });
            let mut response = Response::new(full(""));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            response.headers_mut().insert(UPGRADE, request.headers()[UPGRADE].clone());
            return response;
        }
        show(request).await
    };
    tokio::spawn(serve::http(listener, handler, shutdown));
    address
}

async fn show(request: Request<Incoming>) -> Response<Body> {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
    let mut text = format!(
        "{} {} host={} for={} proto={} port={}",
        request.method(),
        request.uri(),
        header("host"),
        header("x-forwarded-for"),
        header("x-forwarded-proto"),
        header("x-forwarded-port"),
    );
    let body = request.into_body().collect().await.unwrap().to_bytes();
    text.push_str(&format!(" body={}", String::from_utf8_lossy(&body)));
    Response::new(full(text))
}

async fn start() -> Running {
    let mut stop = Vec::new();
    let web = endpoint(&mut stop).await;
    // An address where nobody listens any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let services =
        Fixed { slices: vec![("web", vec![web]), ("half", vec![web, gone]), ("gone", vec![gone]), ("empty", vec![])] };
    let rule = |service: &str| {
        json!({"host": format!("{service}.example"), "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}},
        ]}})
    };
    let rules: Vec<Value> = ["web", "half", "gone", "empty"].map(rule).into();
    let ingress = json!({"metadata": {"name": "i", "namespace": "ns"}, "spec": {"rules": rules}});
    let table = plan(&[Arc::new(serde_json::from_value(ingress).unwrap())], &services);
    let proxy = Arc::new(Proxy::new(watch::channel(Some(Arc::new(table))).1));
    let through = |door: Door| {
        let proxy = proxy.clone();
        move |request: Request<Incoming>, peer: Peer| {
            let proxy = proxy.clone();
            async move { proxy.serve(request, peer.addr, door).await }
        }
    };
    let config = server_config(Arc::new(Certificates::new().unwrap())).unwrap();
    let (http, https) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (trigger, shutdown) = Shutdown::new();
    stop.push(trigger);
    let running = Running { http: http.local_addr().unwrap(), https: https.local_addr().unwrap(), _stop: stop };
    tokio::spawn(serve::http(http, through(Door::Http), shutdown.clone()));
    tokio::spawn(serve::https(https, config, through(Door::Https), shutdown));
    running
}

/// Sends a request as text and reads the answer until the connection ends.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(host: &str) -> String {
    format!("GET /a/b?c=d HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")
}

#[tokio::test]
async fn requests_reach_their_endpoint() {
    let running = start().await;
    let answer = ask(running.http, &get("web.example")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("GET /a/b?c=d host=web.example for=127.0.0.1 proto=http port=80 body="), "{answer}");
    let chunked = "POST / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    assert!(ask(running.http, chunked).await.ends_with("body=hello world"));
}

#[tokio::test]
async fn what_cannot_be_served_says_why() {
    let running = start().await;
    for (host, status, reason) in [
        ("other.example", "404 Not Found", "no Ingress leads other.example/a/b anywhere"),
        ("empty.example", "503 Service Unavailable", "ns/empty:80: the service has no endpoints"),
        ("gone.example", "502 Bad Gateway", "Connection refused"),
    ] {
        let answer = ask(running.http, &get(host)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.contains(reason), "{answer}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_passed_over() {
    let running = start().await;
    for _ in 0..20 {
        assert!(ask(running.http, &get("half.example")).await.starts_with("HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn protocols_can_be_changed() {
    let running = start().await;
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    let request = "GET /upgrade HTTP/1.1\r\nHost: web.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    for (said, heard) in [(b"abcd", b"dcba"), (b"1234", b"4321")] {
        stream.write_all(said).await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, heard);
    }
}

#[tokio::test]
async fn tls_is_answered_without_any_secret() {
    let running = start().await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(drydock_component::tls::AnyCertificate::new(provider))
        .with_no_client_auth();
    let stream = TcpStream::connect(running.https).await.unwrap();
    let name = ServerName::try_from("web.example").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.write_all(get("web.example").as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A server may end TLS without a farewell.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.ends_with("proto=https port=443 body="), "{answer}");
}
