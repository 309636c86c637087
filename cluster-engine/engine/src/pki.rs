//! The certificates of one cluster, made the way kubeadm lays them out.
//!
//! Keys are ECDSA P-256: a whole cluster's worth takes a few milliseconds.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

/// How long certificates of a session are valid.
const VALIDITY: Duration = Duration::days(365);
/// Clocks may differ a little.
const BACKDATED: Duration = Duration::minutes(5);

/// Making a key or certificate failed.
#[derive(Debug, Error)]
#[error("cannot make a certificate for {subject:?}")]
pub struct PkiError {
    /// Whose certificate.
    subject: String,
    /// Why.
    #[source]
    source: rcgen::Error,
}

/// A certificate and its private key, PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Certificate.
    pub certificate: String,
    /// Private key, PKCS#8.
    pub key: String,
}

/// A certificate authority that can issue.
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only to prove who a client is.
    Client,
    /// Only to prove who a server is.
    Server,
    /// Both, as etcd's server certificate.
    Both,
}

/// Who a certificate is for.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Common name: Kubernetes' user name.
    pub common_name: &'a str,
    /// Organization: Kubernetes' group.
    pub organization: Option<&'a str>,
    /// DNS names of a server.
    pub dns_names: &'a [&'a str],
    /// Addresses of a server.
    pub addresses: &'a [IpAddr],
    /// What it is for.
    pub purpose: Purpose,
}

impl<'a> Subject<'a> {
    /// A client that is `user` in `group`.
    pub fn client(user: &'a str, group: Option<&'a str>) -> Subject<'a> {
        Subject { common_name: user, organization: group, dns_names: &[], addresses: &[], purpose: Purpose::Client }
    }
}

impl Authority {
    /// A new authority named `common_name`.
    ///
    /// # Errors
    /// When the random generator or the certificate encoder fails.
    pub fn new(common_name: &str) -> Result<Authority, PkiError> {
        let fail = |source| PkiError { subject: common_name.to_owned(), source };
        let key = KeyPair::generate().map_err(fail)?;
        let mut params = base(common_name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).map_err(fail)?.pem();
        let pem = key.serialize_pem();
        Ok(Authority { certificate, key: pem, issuer: Issuer::new(params, key) })
    }

    /// An authority that was made before, from PEM.
    ///
    /// # Errors
    /// When certificate or key cannot be read.
    pub fn load(certificate: String, key: String) -> Result<Authority, PkiError> {
        let fail = |source| PkiError { subject: "the cluster's authority".to_owned(), source };
        let pair = KeyPair::from_pem(&key).map_err(fail)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, pair).map_err(fail)?;
        Ok(Authority { certificate, key, issuer })
    }

    /// A certificate for `subject`, signed by this authority.
    ///
    /// # Errors
    /// When a name is not usable in a certificate, or the encoder fails.
    pub fn issue(&self, subject: &Subject<'_>) -> Result<Identity, PkiError> {
        let fail = |source| PkiError { subject: subject.common_name.to_owned(), source };
        let key = KeyPair::generate().map_err(fail)?;
        let mut params = base(subject.common_name, subject.organization);
        for name in subject.dns_names {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into().map_err(fail)?));
        }
        params.subject_alt_names.extend(subject.addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if subject.purpose != Purpose::Server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if subject.purpose != Purpose::Client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let certificate = params.signed_by(&key, &self.issuer).map_err(fail)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

/// A bare key pair (private and public PEM), as service account tokens are signed with.
///
/// # Errors
/// When the random generator fails.
pub fn signing_key() -> Result<(String, String), PkiError> {
    let key = KeyPair::generate().map_err(|source| PkiError { subject: "service accounts".to_owned(), source })?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

fn base(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = now + VALIDITY;
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_issues_what_was_asked_for() {
        let authority = Authority::new("kubernetes").expect("authority");
        let identity = authority
            .issue(&Subject {
                common_name: "kube-apiserver",
                organization: None,
                dns_names: &["kubernetes.default.svc"],
                addresses: &[IpAddr::from([10, 96, 0, 1])],
                purpose: Purpose::Server,
            })
            .expect("identity");
        assert!(identity.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(identity.key.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_ne!(identity.certificate, authority.certificate);
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_refused() {
        let authority = Authority::new("kubernetes").expect("authority");
        let mut subject = Subject::client("x", None);
        subject.dns_names = &["ein Schlüssel"];
        assert!(authority.issue(&subject).is_err());
    }
}
