//! Users from client certificates: the common name is the user, the organisations are the groups.

use std::path::Path;
use std::sync::Arc;

use drydock_component::tls::{TlsError, roots};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};

use crate::authorize::UserInfo;

/// Checks certificates against one CA bundle.
///
/// The TLS layer accepts the CAs of users and of the front proxy alike, so which of them signed is found here.
pub(super) struct Verifier(Arc<dyn ClientCertVerifier>);

impl Verifier {
    pub(super) fn open(path: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(Self(WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider).build()?))
    }

    /// The user of a certificate that this CA signed and that is valid now.
    pub(super) fn user(&self, cert: &CertificateDer<'_>) -> Option<UserInfo> {
        self.0.verify_client_cert(cert, &[], UnixTime::now()).ok()?;
        user(cert)
    }
}

fn user(cert: &CertificateDer<'_>) -> Option<UserInfo> {
    let (_, parsed) = x509_parser::parse_x509_certificate(cert).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    if name.is_empty() {
        return None;
    }
    let groups = subject.iter_organization().filter_map(|part| part.as_str().ok()).map(str::to_owned).collect();
    let digest = Sha256::digest(cert.as_ref());
    let id = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let extra = [("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("X509SHA256={id}")])].into();
    Some(UserInfo { name, uid: String::new(), groups, extra })
}
