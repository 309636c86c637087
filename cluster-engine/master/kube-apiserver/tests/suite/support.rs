//! A real etcd and this crate's server on loopback, with certificates made for the occasion.

#![allow(dead_code, unreachable_pub, reason = "an example uses a part of it, and a program has nothing to publish")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::Parser as _;
use drydock_component::Shutdown;
use drydock_kube_apiserver::Options;
use futures_util::StreamExt as _;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;

/// Where a genuine etcd may be.
const ETCD: &str = "/usr/bin/etcd";

/// A running cluster without nodes.
pub struct Cluster {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    etcd: Child,
    etcd_arguments: Vec<String>,
    trigger: drydock_component::shutdown::Trigger,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.trigger.shut_down();
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Result<Issuer> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// Writes `<name>.crt` and `<name>.key` signed by the authority.
fn certificate(folder: &Path, ca: &Issuer, name: &str, user: &str, groups: &[&str]) -> Result<()> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    params.distinguished_name.push(DnType::CommonName, user);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    std::fs::write(folder.join(format!("{name}.crt")), params.signed_by(&key, ca)?.pem())?;
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}

impl Cluster {
    /// Starts etcd and the server and waits until it is ready. `None` when this machine has no etcd.
    pub async fn start(extra: &[&str]) -> Result<Option<Self>> {
        if !Path::new(ETCD).exists() {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let ca = authority("kubernetes-ca")?;
        std::fs::write(at("ca.crt"), ca.pem())?;
        certificate(folder.path(), &ca, "server", "kube-apiserver", &[])?;
        certificate(folder.path(), &ca, "admin", "kubernetes-admin", &["system:masters"])?;
        certificate(folder.path(), &ca, "jane", "jane", &["dev"])?;
        certificate(folder.path(), &ca, "node", "system:node:n1", &["system:nodes"])?;
        std::fs::write(at("sa.key"), KeyPair::generate()?.serialize_pem())?;
        let port = free_port().await?;
        let url = format!("https://127.0.0.1:{port}");
        let path = |name: &str| at(name).display().to_string();
        let peers = format!("http://127.0.0.1:{}", free_port().await?);
        let etcd_arguments: Vec<String> = [
            ["--name", "test"],
            ["--data-dir", &path("etcd")],
            ["--listen-client-urls", &url],
            ["--advertise-client-urls", &url],
            ["--listen-peer-urls", &peers],
            ["--cert-file", &path("server.crt")],
            ["--key-file", &path("server.key")],
            ["--trusted-ca-file", &path("ca.crt")],
        ]
        .iter()
        .flatten()
        .map(|word| (*word).to_owned())
        .chain(["--client-cert-auth".to_owned()])
        .collect();
        let etcd = start_etcd(folder.path(), &etcd_arguments)?;
        let flags = [
            format!("--etcd-servers={url}"),
            format!("--etcd-cafile={}", path("ca.crt")),
            format!("--etcd-certfile={}", path("server.crt")),
            format!("--etcd-keyfile={}", path("server.key")),
            format!("--client-ca-file={}", path("ca.crt")),
            format!("--tls-cert-file={}", path("server.crt")),
            format!("--tls-private-key-file={}", path("server.key")),
            format!("--service-account-key-file={}", path("sa.key")),
            format!("--service-account-signing-key-file={}", path("sa.key")),
            format!("--audit-log-path={}", path("audit.log")),
            "--advertise-address=127.0.0.1".to_owned(),
            "--default-not-ready-toleration-seconds=10".to_owned(),
        ];
        let flags = std::iter::once("kube-apiserver".to_owned())
            .chain(flags)
            // Flags may name files of the test's folder.
            .chain(extra.iter().map(|flag| flag.replace("{folder}", &folder.path().display().to_string())));
        let options = Options::try_parse_from(flags)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port_of(&options))).await?;
        let address = listener.local_addr()?;
        let (trigger, shutdown) = Shutdown::new();
        tokio::spawn(async move {
            if let Err(error) = drydock_kube_apiserver::serve(options, listener, shutdown).await {
                tracing::error!(%error, "the server ended");
            }
        });
        let cluster = Self { folder, address, etcd, etcd_arguments, trigger };
        cluster.write_kubeconfig("admin")?;
        let deadline = Instant::now() + Duration::from_secs(20);
        let admin = cluster.client("admin");
        loop {
            match admin.get("/readyz?verbose").await {
                Ok((StatusCode::OK, _)) => return Ok(Some(cluster)),
                other if Instant::now() > deadline => bail!("not ready: {other:?}"),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Kills etcd the hard way and starts it again on the same data.
    pub fn restart_etcd(&mut self) -> Result<()> {
        self.etcd.kill()?;
        self.etcd.wait()?;
        self.etcd = start_etcd(self.folder.path(), &self.etcd_arguments)?;
        Ok(())
    }

    /// Where a file of the test lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client with the certificate of that name; empty for none.
    pub fn client(&self, name: &str) -> Client {
        Client { address: self.address, folder: self.folder.path().to_owned(), name: name.to_owned(), token: None }
    }

    fn write_kubeconfig(&self, user: &str) -> Result<()> {
        let file = |name: String| self.path(&name).display().to_string();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "clusters": [{"name": "test", "cluster": {"server": format!("https://{}", self.address), "certificate-authority": file("ca.crt".to_owned())}}],
            "users": [{"name": user, "user": {"client-certificate": file(format!("{user}.crt")), "client-key": file(format!("{user}.key"))}}],
        });
        std::fs::write(self.path("kubeconfig"), config.to_string())?;
        Ok(())
    }
}

fn start_etcd(folder: &Path, arguments: &[String]) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("etcd.log"))?;
    Command::new(ETCD).args(arguments).stdout(Stdio::null()).stderr(log).spawn().context("cannot start etcd")
}

fn port_of(options: &Options) -> u16 {
    if options.secure_port == 6443 { 0 } else { options.secure_port }
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port())
}

/// A client that opens one HTTP/1.1 connection per request.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    folder: PathBuf,
    name: String,
    pub token: Option<String>,
}

/// What came back.
pub type Answer = Result<(StatusCode, Value)>;

impl Client {
    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let file = |extension: &str| self.folder.join(format!("{}.{extension}", self.name));
        let (cert, key) = (file("crt"), file("key"));
        let identity = (!self.name.is_empty()).then_some((cert.as_path(), key.as_path()));
        let config = drydock_component::tls::client_config(&self.folder.join("ca.crt"), identity)?;
        let stream = TcpStream::connect(self.address).await?;
        Ok(tokio_rustls::TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, stream).await?)
    }

    /// The first messages of a stream over WebSocket.
    pub async fn socket(&self, path: &str, count: usize) -> Result<Vec<Message>> {
        let address = format!("wss://localhost{path}");
        let (mut socket, _) = tokio_tungstenite::client_async(address, self.connect().await?).await?;
        let mut messages = Vec::new();
        while messages.len() < count {
            let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
            messages.push(message.with_context(|| format!("only {messages:?}"))?.context("the stream ended")??);
        }
        socket.close(None).await?;
        Ok(messages)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<http::Response<hyper::body::Incoming>> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("user-agent", "test/1")
            .header("accept", accept);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Ok(sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?)
    }

    async fn json(&self, method: Method, path: &str, kind: &str, accept: &str, body: Vec<u8>) -> Answer {
        let answer = self.send(method, path, kind, accept, body).await?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await?.to_bytes();
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok((status, value))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.json(Method::GET, path, "", "application/json", Vec::new()).await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.json(Method::GET, path, "", accept, Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_for(path, "application/json", body).await
    }

    pub async fn post_for(&self, path: &str, accept: &str, body: Value) -> Answer {
        self.json(Method::POST, path, "application/json", accept, body.to_string().into_bytes()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, "application/json", "application/json", body.to_string().into_bytes()).await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: Value) -> Answer {
        self.json(
            Method::PATCH,
            path,
            &format!("application/{kind}"),
            "application/json",
            body.to_string().into_bytes(),
        )
        .await
    }

    /// A patch as it comes over the wire.
    pub async fn patch_text(&self, path: &str, kind: &str, body: &str) -> Answer {
        let kind = format!("application/{kind}");
        self.json(Method::PATCH, path, &kind, "application/json", body.as_bytes().to_vec()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.json(Method::DELETE, path, "", "application/json", Vec::new()).await
    }

    /// With options as they come over the wire.
    pub async fn delete_with(&self, path: &str, kind: &str, options: Vec<u8>) -> Answer {
        self.json(Method::DELETE, path, kind, "application/json", options).await
    }

    /// The events of a watch until `count` have come.
    pub async fn watch(&self, path: &str, count: usize) -> Result<Vec<Value>> {
        let mut body = self.send(Method::GET, path, "", "application/json", Vec::new()).await?.into_body();
        let (mut events, mut rest) = (Vec::new(), Vec::new());
        while events.len() < count {
            let frame = tokio::time::timeout(Duration::from_secs(10), body.frame())
                .await
                .with_context(|| format!("only {events:?}"))?;
            let Some(frame) = frame else { break };
            rest.extend_from_slice(frame?.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                events.push(serde_json::from_slice(&line)?);
            }
        }
        Ok(events)
    }
}
