//! Logs and exec, through a stand-in for the kubelet that speaks TLS and upgrades.

use crate::support::Cluster;
use anyhow::Result;
use bytes::Bytes;
use drydock_component::{Shutdown, serve};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers logs with the path asked for, and echoes whatever comes over an upgraded connection.
async fn kubelet(request: Request<Incoming>) -> Response<serve::Body> {
    let path = request.uri().to_string();
    if path.starts_with("/containerLogs/") {
        return serve::text(StatusCode::OK, path);
    }
    if path.contains("/missing?") || path.ends_with("/missing") {
        return serve::text(StatusCode::NOT_FOUND, "unable to upgrade connection: container not found (\"missing\")");
    }
    let mut request = request;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(stream) = upgrade.await else { return };
        let mut stream = TokioIo::new(stream);
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(serve::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", http::HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert("upgrade", http::HeaderValue::from_static("SPDY/3.1"));
    response
}

#[tokio::test]
async fn logs_and_exec_reach_the_kubelet() -> Result<()> {
    let Some(cluster) = Cluster::start(&["--disable-admission-plugins=ServiceAccount"]).await? else { return Ok(()) };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let tls = drydock_component::tls::server_config(&cluster.path("server.crt"), &cluster.path("server.key"), None)?;
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(serve::https(listener, tls, |request, _| async { kubelet(request).await }, shutdown));

    let admin = cluster.client("admin");
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
    let (code, node) = admin.post("/api/v1/nodes", node).await?;
    assert_eq!(
        (code, &node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]),
        (StatusCode::CREATED, &json!(port)),
        "a node brings its status"
    );
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    let (code, pod) = admin.post("/api/v1/namespaces/default/pods", pod).await?;
    assert_eq!(code, StatusCode::CREATED, "{pod}");
    let pods = "/api/v1/namespaces/default/pods/p";
    let (_, log) = admin.get(&format!("{pods}/log?follow=true&tailLines=5")).await?;
    assert_eq!(log, "/containerLogs/default/p/c?follow=true&tailLines=5");
    let (code, wrong) = admin.get(&format!("{pods}/log?container=x")).await?;
    assert_eq!(
        (code, wrong["message"].as_str()),
        (StatusCode::BAD_REQUEST, Some("container x is not valid for pod p"))
    );

    let identity = (cluster.path("admin.crt"), cluster.path("admin.key"));
    let config = drydock_component::tls::client_config(&cluster.path("ca.crt"), Some((&identity.0, &identity.1)))?;
    let stream = TcpStream::connect(cluster.address).await?;
    let stream =
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect("localhost".try_into()?, stream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let request = Request::builder()
        .method("POST")
        .uri(format!("{pods}/exec?command=sh&stdin=true&container=c"))
        .header("host", "localhost");
    let request = request
        .header("connection", "Upgrade")
        .header("upgrade", "SPDY/3.1")
        .body(http_body_util::Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    assert_eq!(
        (answer.status(), answer.headers().get("upgrade").map(|value| value.as_bytes())),
        (StatusCode::SWITCHING_PROTOCOLS, Some(&b"SPDY/3.1"[..]))
    );
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await?);
    stream.write_all(b"hello").await?;
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await?;
    assert_eq!(&echo, b"hello");
    trigger.shut_down();
    Ok(())
}
