//! What a signer's requests must be like, and signing them (upstream: `pkg/controller/certificates/signer`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    CertificateSigningRequestParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::kinds::SigningRequest;

pub(super) const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
pub(super) const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
pub(super) const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
pub(super) const LEGACY: &str = "kubernetes.io/legacy-unknown";
/// Clocks may differ by this much.
const BACKDATE: Duration = Duration::minutes(5);
/// Shorter lives are not given.
const SHORTEST: i64 = 600;

/// Why a request is not signed.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    /// It is no request.
    #[error("unable to parse csr: {0}")]
    Unreadable(String),
    /// It is not one for this signer.
    #[error("{0}")]
    Unfit(String),
    /// The certificate could not be made.
    #[error("unable to sign: {0}")]
    Unsigned(String),
}

/// Whether this is one of the signers served here.
pub(super) fn is_ours(signer: &str) -> bool {
    matches!(signer, CLIENT | KUBELET_CLIENT | KUBELET_SERVING | LEGACY)
}

fn parse(request: &SigningRequest) -> Result<CertificateSigningRequestParams, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| Refusal::Unreadable(error.to_string());
    let pem = STANDARD.decode(&request.spec.request).map_err(|error| unreadable(&error))?;
    let pem = String::from_utf8(pem).map_err(|error| unreadable(&error))?;
    CertificateSigningRequestParams::from_pem(&pem).map_err(|error| unreadable(&error))
}

fn text(subject: &DistinguishedName, kind: &DnType) -> String {
    match subject.get(kind) {
        Some(DnValue::PrintableString(text)) => text.as_str().to_owned(),
        Some(DnValue::Ia5String(text)) => text.as_str().to_owned(),
        Some(DnValue::TeletexString(text)) => text.as_str().to_owned(),
        Some(DnValue::Utf8String(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The name that the certificate would be of.
pub(super) fn common_name(request: &SigningRequest) -> Result<String, Refusal> {
    Ok(text(&parse(request)?.params.distinguished_name, &DnType::CommonName))
}

/// Whether the request is a kubelet's for a client certificate.
pub(super) fn is_kubelet_client(request: &SigningRequest) -> bool {
    parse(request).is_ok_and(|csr| fits(request, &csr, KUBELET_CLIENT).is_ok())
}

/// Whether the request is one that the signer signs.
fn fits(request: &SigningRequest, csr: &CertificateSigningRequestParams, signer: &str) -> Result<(), Refusal> {
    let unfit = |why: String| Err(Refusal::Unfit(why));
    let usages: Vec<&str> = request.spec.usages.iter().map(String::as_str).collect();
    let allowed: &[&str] = match signer {
        CLIENT | KUBELET_CLIENT => &["digital signature", "key encipherment", "client auth"],
        KUBELET_SERVING => &["digital signature", "key encipherment", "server auth"],
        _ => return Ok(()),
    };
    let purpose = allowed[2];
    if !usages.contains(&purpose) || usages.iter().any(|usage| !allowed.contains(usage)) {
        return unfit(format!(
            "invalid usages for {} certificate: [{}]",
            if purpose == "client auth" { "client" } else { "server" },
            usages.join(" ")
        ));
    }
    if signer == CLIENT {
        return Ok(());
    }
    let subject = &csr.params.distinguished_name;
    if text(subject, &DnType::OrganizationName) != "system:nodes" {
        return unfit("subject organization is not system:nodes".to_owned());
    }
    if !text(subject, &DnType::CommonName).starts_with("system:node:") {
        return unfit("subject common name does not begin with system:node:".to_owned());
    }
    let names = &csr.params.subject_alt_names;
    if signer == KUBELET_CLIENT {
        return if names.is_empty() { Ok(()) } else { unfit("subjectAltNames are not allowed".to_owned()) };
    }
    if names.is_empty() {
        return unfit("DNS or IP subjectAltName is required".to_owned());
    }
    if names.iter().any(|name| !matches!(name, SanType::DnsName(_) | SanType::IpAddress(_))) {
        return unfit("Email and URI subjectAltNames are not allowed".to_owned());
    }
    Ok(())
}

/// The CA that signs.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// No certificate outlives this many seconds.
    longest: i64,
}

impl Authority {
    /// From PEM texts; `longest` in seconds.
    pub(super) fn new(certificate: &str, key: &str, longest: i64) -> Result<Authority, String> {
        let key = KeyPair::from_pem(key).map_err(|error| error.to_string())?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(|error| error.to_string())?;
        Ok(Authority { issuer, longest })
    }

    /// The signed certificate, PEM.
    pub(super) fn sign(&self, request: &SigningRequest, now: i64, serial: [u8; 16]) -> Result<String, Refusal> {
        let mut csr = parse(request)?;
        fits(request, &csr, &request.spec.signer_name)?;
        let wanted = request.spec.expiration_seconds.unwrap_or(self.longest).max(SHORTEST).min(self.longest);
        let now = OffsetDateTime::from_unix_timestamp(now).map_err(|error| Refusal::Unsigned(error.to_string()))?;
        let params = &mut csr.params;
        params.not_before = now - BACKDATE;
        params.not_after = now + Duration::seconds(wanted);
        // A serial number is positive.
        let mut serial = serial;
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages.clear();
        params.extended_key_usages.clear();
        for usage in &request.spec.usages {
            match usage.as_str() {
                "signing" | "digital signature" => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
                "content commitment" => params.key_usages.push(KeyUsagePurpose::ContentCommitment),
                "key encipherment" => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
                "key agreement" => params.key_usages.push(KeyUsagePurpose::KeyAgreement),
                "data encipherment" => params.key_usages.push(KeyUsagePurpose::DataEncipherment),
                "any" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::Any),
                "server auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
                "client auth" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                "code signing" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning),
                "email protection" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::EmailProtection),
                "timestamping" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::TimeStamping),
                "ocsp signing" => params.extended_key_usages.push(ExtendedKeyUsagePurpose::OcspSigning),
                other => return Err(Refusal::Unsigned(format!("usage {other:?} is not supported"))),
            }
        }
        let certificate = csr.signed_by(&self.issuer).map_err(|error| Refusal::Unsigned(error.to_string()))?;
        Ok(certificate.pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams};

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority::new(&certificate.pem(), &key.serialize_pem(), 86_400).unwrap()
    }

    fn request(signer: &str, name: &str, group: &str, names: &[&str], usages: &[&str]) -> SigningRequest {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, group);
        let csr = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let mut request = SigningRequest::default();
        request.spec.request = STANDARD.encode(csr.pem().unwrap());
        request.spec.signer_name = signer.into();
        request.spec.usages = usages.iter().map(|usage| (*usage).to_owned()).collect();
        request
    }

    #[track_caller]
    fn check(request: &SigningRequest, expected: Result<(), &str>) {
        let signed = authority().sign(request, 1_700_000_000, [0xff; 16]);
        match (signed, expected) {
            (Ok(pem), Ok(())) => assert!(pem.starts_with("-----BEGIN CERTIFICATE-----")),
            (Err(refusal), Err(why)) => assert_eq!(refusal.to_string(), why),
            (signed, expected) => panic!("{signed:?} is not {expected:?}"),
        }
    }

    #[test]
    fn each_signer_has_its_rules() {
        let client = ["digital signature", "client auth"];
        let server = ["digital signature", "key encipherment", "server auth"];
        check(&request(CLIENT, "ann", "devs", &[], &client), Ok(()));
        check(
            &request(CLIENT, "ann", "devs", &[], &server),
            Err("invalid usages for client certificate: [digital signature key encipherment server auth]"),
        );
        check(&request(KUBELET_CLIENT, "system:node:w1", "system:nodes", &[], &client), Ok(()));
        check(
            &request(KUBELET_CLIENT, "ann", "system:nodes", &[], &client),
            Err("subject common name does not begin with system:node:"),
        );
        check(
            &request(KUBELET_CLIENT, "system:node:w1", "devs", &[], &client),
            Err("subject organization is not system:nodes"),
        );
        check(&request(KUBELET_SERVING, "system:node:w1", "system:nodes", &["w1"], &server), Ok(()));
        check(
            &request(KUBELET_SERVING, "system:node:w1", "system:nodes", &[], &server),
            Err("DNS or IP subjectAltName is required"),
        );
        check(&request(LEGACY, "any", "any", &["x"], &["any"]), Ok(()));
        assert!(is_kubelet_client(&request("", "system:node:w1", "system:nodes", &[], &client)));
        assert_eq!(common_name(&request("", "ann", "x", &[], &[])).unwrap(), "ann");
    }

    #[test]
    fn junk_is_refused() {
        let mut junk = SigningRequest::default();
        junk.spec.request = "!".into();
        assert!(authority().sign(&junk, 0, [1; 16]).unwrap_err().to_string().starts_with("unable to parse csr: "));
    }
}
