//! The serving certificate, made at the start, and whose client certificates are believed.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Error;

/// A configuration with a certificate of its own making; `front_proxy_ca` is the PEM text of the CA of the API
/// server's front proxy.
pub(crate) fn server_config(front_proxy_ca: &str) -> Result<Arc<ServerConfig>, Error> {
    let certificate = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
    let names = vec!["metrics-server.kube-system.svc".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| certificate(&error))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(front_proxy_ca.as_bytes()) {
        let found = found.map_err(|error| certificate(&error))?;
        roots.add(found).map_err(|error| certificate(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| certificate(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(|error| certificate(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
