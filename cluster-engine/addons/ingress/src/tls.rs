//! Certificates by the name that a client asks for.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::objects::Secret;

/// Why a certificate or TLS as a whole cannot be used; the texts are for the controller's log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret lacks a part.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A part is not what it should be.
    #[error("its {0} is not PEM")]
    Pem(&'static str),
    /// Key and certificate cannot be used.
    #[error("TLS refuses it")]
    Rustls(#[from] rustls::Error),
    /// The controller's own certificate cannot be made.
    #[error("cannot make a certificate")]
    Own(#[from] rcgen::Error),
}

/// The certificates in use, and one of our own for all other names.
#[derive(Debug)]
pub struct Certificates {
    own: Arc<CertifiedKey>,
    by_host: RwLock<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// With nothing but our own certificate, which no client trusts: it shows that TLS works and that a Secret is missing.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Certificates, Error> {
        let key = rcgen::KeyPair::generate()?;
        let mut params = rcgen::CertificateParams::new(vec!["ingress.local".to_owned()])?;
        params.distinguished_name.push(rcgen::DnType::CommonName, "Ingress Controller Fake Certificate");
        let certificate = params.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let own = Arc::new(certified(vec![certificate.der().clone()], key)?);
        Ok(Certificates { own, by_host: RwLock::default() })
    }

    /// Uses these from the next handshake on. Hosts are names, `*.example.com`, or empty for all others.
    pub fn replace(&self, by_host: BTreeMap<String, Arc<CertifiedKey>>) {
        *self.by_host.write().unwrap_or_else(PoisonError::into_inner) = by_host;
    }

    fn find(&self, host: &str) -> Arc<CertifiedKey> {
        let by_host = self.by_host.read().unwrap_or_else(PoisonError::into_inner);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = host.split_once('.').map(|(_, domain)| format!("*.{domain}"));
        let found = by_host.get(&host).or_else(|| by_host.get(&wildcard?)).or_else(|| by_host.get(""));
        found.unwrap_or(&self.own).clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name().unwrap_or_default()))
    }
}

/// A server that answers with `certificates`, HTTP/2 or HTTP/1.1.
///
/// # Errors
/// When the provider has no usable protocol versions.
pub fn server_config(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificate and key of a Secret of type `kubernetes.io/tls`.
///
/// # Errors
/// When something is missing or does not fit.
pub fn read(secret: &Secret) -> Result<CertifiedKey, Error> {
    let part = |name: &'static str| {
        let text = secret.data.get(name).ok_or(Error::Missing(name))?;
        STANDARD.decode(text).map_err(|_| Error::Pem(name))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&part("tls.crt")?)
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Pem("tls.crt"))?;
    if chain.is_empty() {
        return Err(Error::Pem("tls.crt"));
    }
    let key = PrivateKeyDer::from_pem_slice(&part("tls.key")?).map_err(|_| Error::Pem("tls.key"))?;
    certified(chain, key)
}

fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, Error> {
    Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(hosts: &[&str]) -> Secret {
        let key = rcgen::KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
        let mut secret = Secret::default();
        secret.data.insert("tls.crt".to_owned(), STANDARD.encode(certificate.pem()));
        secret.data.insert("tls.key".to_owned(), STANDARD.encode(key.serialize_pem()));
        secret
    }

    #[test]
    fn the_most_special_certificate_is_shown() {
        let certificates = Certificates::new().unwrap();
        let [exact, wildcard] =
            [&["a.example"][..], &["*.example"]].map(|hosts| Arc::new(read(&secret(hosts)).unwrap()));
        certificates
            .replace([("a.example".to_owned(), exact.clone()), ("*.example".to_owned(), wildcard.clone())].into());
        assert!(Arc::ptr_eq(&certificates.find("A.example."), &exact));
        assert!(Arc::ptr_eq(&certificates.find("b.example"), &wildcard));
        assert!(Arc::ptr_eq(&certificates.find("x.b.example"), &certificates.own));
        assert!(Arc::ptr_eq(&certificates.find(""), &certificates.own));
    }

    #[test]
    fn unusable_secrets_say_what_is_wrong() {
        let good = secret(&["a.example"]);
        for (name, change, expected) in [
            ("tls.key", None, "it has no tls.key"),
            ("tls.crt", Some("nonsense"), "its tls.crt is not PEM"),
            ("tls.key", Some("aGVsbG8="), "its tls.key is not PEM"),
        ] {
            let mut bad = good.clone();
            bad.data.remove(name);
            bad.data.extend(change.map(|text| (name.to_owned(), text.to_owned())));
            assert_eq!(read(&bad).unwrap_err().to_string(), expected);
        }
        // A key of another certificate.
        let mut mixed = good;
        mixed.data.insert("tls.key".to_owned(), secret(&["b.example"]).data["tls.key"].clone());
        assert!(read(&mixed).is_err());
    }
}
