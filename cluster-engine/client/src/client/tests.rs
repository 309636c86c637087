//! The client against a TLS server in the same process: identities, reconnecting, reflectors.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::reflector::{Event, Reflector};
use crate::{Client, Config, ListOptions, PartialObject, Resource, TokenSource};

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Handler = Arc<dyn Fn(&Request<Incoming>) -> Response<Body> + Send + Sync>;

struct Server {
    address: SocketAddr,
    ca: Vec<rustls_pki_types::CertificateDer<'static>>,
    task: tokio::task::JoinHandle<()>,
}

fn full(status: u16, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}

/// An answer whose lines the test sends one by one.
fn lines() -> (mpsc::UnboundedSender<Value>, Response<Body>) {
    let (sender, receiver) = mpsc::unbounded_channel::<Value>();
    let frames = stream::unfold(receiver, |mut receiver| async {
        let line = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from(format!("{line}\n")))), receiver))
    });
    (sender, Response::new(StreamBody::new(frames).boxed_unsync()))
}

async fn serve(handler: Handler) -> Server {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = signed.cert.der().clone();
    let key = rustls_pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        // The set aborts its connections when the server's task is aborted.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, handler) = (acceptor.clone(), handler.clone());
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| {
                    let response = handler(&request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Server { address, ca: vec![certificate], task }
}

fn client(server: &Server) -> Client {
    let mut config = Config::new(format!("https://{}", server.address));
    config.ca.clone_from(&server.ca);
    config.tls_server_name = Some("localhost".to_owned());
    Client::new(config).unwrap()
}

fn things() -> Resource {
    Resource { group: "".into(), version: "v1".into(), kind: "Thing".into(), plural: "things".into(), namespaced: true }
}

fn thing(name: &str, version: u32) -> Value {
    json!({"metadata": {"name": name, "namespace": "x", "uid": name, "resourceVersion": version.to_string()}})
}

#[tokio::test]
async fn identities_share_a_connection_and_errors_carry_the_status() {
    let server = serve(Arc::new(|request| match request.uri().path() {
        "/who" => {
            let header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            full(200, &json!({"header": header}))
        }
        "/missing" => full(404, &json!({"kind": "Status", "reason": "NotFound", "message": "no", "code": 404})),
        _ => Response::builder().status(500).body(Full::new("boom".into()).boxed_unsync()).unwrap(),
    }))
    .await;
    let nobody = client(&server);
    assert_eq!(nobody.get::<Value>("/who").await.unwrap()["header"], Value::Null);
    let somebody = nobody.with_token(TokenSource::fixed("abc"));
    assert_eq!(somebody.get::<Value>("/who").await.unwrap()["header"], "Bearer abc");
    let missing = nobody.get::<Value>("/missing").await.unwrap_err();
    assert!(missing.is_not_found());
    assert_eq!(missing.to_string(), "no");
    let broken = nobody.get::<Value>("/broken").await.unwrap_err();
    assert_eq!((broken.code(), broken.to_string().as_str()), (500, "boom"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(Config::new(format!("http://{address}"))).unwrap();
    let error = client.get::<Value>("/x").await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_reflector_follows_resumes_and_lists_again() {
    let (asked_sender, mut asked) = mpsc::unbounded_channel::<String>();
    let open: Arc<Mutex<Vec<mpsc::UnboundedSender<Value>>>> = Arc::default();
    let lists = Arc::new(Mutex::new(vec![
        json!({"metadata": {"resourceVersion": "30"}, "items": [thing("b", 30)]}),
        json!({"metadata": {"resourceVersion": "10"}, "items": [thing("a", 5), thing("b", 6)]}),
    ]));
    let watches = open.clone();
    let server = serve(Arc::new(move |request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let watch = query.contains("watch=true");
        let version = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap_or("none");
        asked_sender.send(format!("{} {version}", if watch { "watch" } else { "list" })).unwrap();
        if !watch {
            return full(200, &lists.lock().unwrap().pop().unwrap());
        }
        let (sender, response) = lines();
        watches.lock().unwrap().push(sender);
        response
    }))
    .await;

    let reflector = Reflector::<PartialObject>::start_of(client(&server), things(), ListOptions::default());
    reflector.synced().await;
    assert_eq!(reflector.len(), 2);
    let mut events = reflector.subscribe();
    let mut told = async || match events.recv().await.unwrap() {
        Event::Applied(new, old) => format!("{}{}", if old.is_some() { "~" } else { "+" }, new.metadata.name),
        Event::Deleted(old) => format!("-{}", old.metadata.name),
    };
    assert_eq!((told().await, told().await), ("+a".to_owned(), "+b".to_owned()));
    assert_eq!(asked.recv().await.unwrap(), "list 0");
    assert_eq!(asked.recv().await.unwrap(), "watch 10");

    let current = || open.lock().unwrap().last().unwrap().clone();
    current().send(json!({"type": "MODIFIED", "object": thing("a", 11)})).unwrap();
    assert_eq!(told().await, "~a");
    current().send(json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}})).unwrap();
    open.lock().unwrap().clear();
    assert_eq!(asked.recv().await.unwrap(), "watch 20", "the watch resumes from the bookmark");

    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}});
    current().send(gone).unwrap();
    assert_eq!((told().await, told().await), ("-a".to_owned(), "~b".to_owned()), "the new list is compared");
    assert_eq!(asked.recv().await.unwrap(), "list none");
    assert_eq!(asked.recv().await.unwrap(), "watch 30");
    server.task.abort();
}

#[tokio::test]
async fn a_broken_connection_is_made_again() {
    let handler: Handler = Arc::new(|_| full(200, &json!({"ok": true})));
    let first = serve(handler.clone()).await;
    let second = serve(handler).await;
    let target = Arc::new(Mutex::new(first.address));
    let dialed = target.clone();
    let mut config = Config::new("https://localhost:1");
    config.ca = [first.ca.clone(), second.ca.clone()].concat();
    config.dial = Some(Arc::new(move || {
        let address = *dialed.lock().unwrap();
        Box::pin(async move { Ok(Box::new(tokio::net::TcpStream::connect(address).await?) as Box<dyn crate::Io>) })
    }));
    let client = Client::new(config).unwrap();
    client.get::<Value>("/x").await.unwrap();
    first.task.abort();
    *target.lock().unwrap() = second.address;
    // The connection may still look alive for the first request after the cut; a GET is repeated.
    client.get::<Value>("/x").await.unwrap();
}
