//! Where the API server is and how to prove who one is: kubeconfig, in-cluster files, or by hand.

mod kubeconfig;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Error;

/// A byte stream to the API server, before TLS.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Opens a byte stream to the API server in place of a TCP connection to `Config::server`.
pub type Dialer = Arc<dyn Fn() -> BoxFuture<'static, std::io::Result<Box<dyn Io>>> + Send + Sync>;

/// How a client proves who it is.
#[derive(Clone, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A client certificate: chain and key.
    ClientCert {
        /// The certificate and its intermediates.
        chain: Vec<CertificateDer<'static>>,
        /// Its private key.
        key: Arc<PrivateKeyDer<'static>>,
    },
    /// A bearer token.
    Token(String),
    /// A file with a bearer token, read again when it changes.
    TokenFile(PathBuf),
}

impl std::fmt::Debug for Auth {
    // Secrets never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Auth::None => f.write_str("None"),
            Auth::ClientCert { .. } => f.write_str("ClientCert"),
            Auth::Token(_) => f.write_str("Token"),
            Auth::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
        }
    }
}

/// How to reach an API server.
#[derive(Clone)]
pub struct Config {
    /// `https://host:port` (or `http://` for tests); a path prefix is kept.
    pub server: String,
    /// The CAs that may have signed the server's certificate.
    pub ca: Vec<CertificateDer<'static>>,
    /// Accept any server certificate. Only kubeconfig's `insecure-skip-tls-verify` sets it.
    pub insecure: bool,
    /// How to prove who one is.
    pub auth: Auth,
    /// The name in the server's certificate, if not the host of `server`.
    pub tls_server_name: Option<String>,
    /// The namespace of the kubeconfig's context.
    pub namespace: Option<String>,
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Opens connections in place of TCP.
    pub dial: Option<Dialer>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("server", &self.server).field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Config {
    /// A configuration for `server` that trusts no CA yet and is nobody.
    pub fn new(server: impl Into<String>) -> Config {
        Config {
            server: server.into(),
            ca: Vec::new(),
            insecure: false,
            auth: Auth::None,
            tls_server_name: None,
            namespace: None,
            user_agent: default_user_agent(),
            dial: None,
        }
    }

    /// The current context of a kubeconfig file; relative file names in it start at its folder.
    ///
    /// # Errors
    /// When the file cannot be read, is not a kubeconfig or names files that cannot be read.
    pub fn from_kubeconfig(path: &Path) -> Result<Config, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Config(format!("cannot read {}: {error}", path.display())))?;
        kubeconfig::parse(&text, path.parent().unwrap_or(Path::new(".")))
            .map_err(|reason| Error::Config(format!("{}: {reason}", path.display())))
    }

    /// The current context of a kubeconfig given as text.
    ///
    /// # Errors
    /// As [`Config::from_kubeconfig`].
    pub fn from_kubeconfig_str(text: &str) -> Result<Config, Error> {
        kubeconfig::parse(text, Path::new(".")).map_err(Error::Config)
    }

    /// What a pod is given: `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT` and the service
    /// account's files.
    ///
    /// # Errors
    /// When this is no pod with a service account.
    pub fn in_cluster() -> Result<Config, Error> {
        let variable =
            |name: &str| std::env::var(name).map_err(|_| Error::Config(format!("not in a cluster: {name} is not set")));
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let folder = Path::new(SERVICE_ACCOUNT);
        let ca_file = folder.join("ca.crt");
        let pem = std::fs::read(&ca_file)
            .map_err(|error| Error::Config(format!("cannot read {}: {error}", ca_file.display())))?;
        let token = folder.join("token");
        if !token.exists() {
            return Err(Error::Config(format!("not in a cluster: {} does not exist", token.display())));
        }
        let mut config = Config::new(format!("https://{host}:{port}"));
        config.ca = certificates(&pem).map_err(Error::Config)?;
        config.auth = Auth::TokenFile(token);
        config.namespace = std::fs::read_to_string(folder.join("namespace")).ok();
        Ok(config)
    }
}

/// As client-go makes it from the program's name.
fn default_user_agent() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    user_agent(&program)
}

/// `name/v1.36.2 (linux/amd64) drydock`, for one that calls itself otherwise than its file is called.
#[must_use]
pub fn user_agent(program: &str) -> String {
    format!("{program}/{} (linux/amd64) drydock", drydock_api::KUBERNETES_VERSION)
}

/// The certificates of a PEM text, in order.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("unusable certificate: {error}"))?;
    if found.is_empty() { Err("no certificate in the PEM text".to_owned()) } else { Ok(found) }
}

/// The private key of a PEM text.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| format!("unusable private key: {error}"))
}
