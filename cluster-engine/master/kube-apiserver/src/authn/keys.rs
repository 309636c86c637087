//! Keys of ServiceAccount tokens: reading PEM, signing and verifying RS256 and ES256, and their JWKS form.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds no RSA or P-256 key.
    #[error("{path} holds no RSA or P-256 key in PEM form")]
    Unusable {
        /// The file.
        path: std::path::PathBuf,
    },
}

/// A key that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    kind: Kind,
    /// RSA: PKCS#1 RSAPublicKey; EC: the uncompressed point.
    bytes: Vec<u8>,
    /// Upstream's key id: base64url SHA-256 of the SubjectPublicKeyInfo.
    pub(crate) id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
}

/// A key that signs.
pub(crate) enum SigningKey {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl PublicKey {
    fn rsa(pkcs1: &[u8]) -> Self {
        // SEQUENCE { SEQUENCE { OID rsaEncryption, NULL }, BIT STRING }
        const HEAD: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
        Self { kind: Kind::Rsa, id: key_id(HEAD, pkcs1), bytes: pkcs1.to_vec() }
    }

    fn p256(point: &[u8]) -> Self {
        // SEQUENCE { SEQUENCE { OID ecPublicKey, OID prime256v1 }, BIT STRING }
        const HEAD: &[u8] = &[
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
            0x03, 0x01, 0x07,
        ];
        Self { kind: Kind::P256, id: key_id(HEAD, point), bytes: point.to_vec() }
    }

    /// The JWS algorithm.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Rsa => "RS256",
            Kind::P256 => "ES256",
        }
    }

    /// Whether the signature is this key's.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            Kind::Rsa => UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &self.bytes)
                .verify(message, signature)
                .is_ok(),
            Kind::P256 => UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &self.bytes)
                .verify(message, signature)
                .is_ok(),
        }
    }

    /// The key as an entry of a JWKS.
    pub(crate) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.kind {
            Kind::P256 => json!({
                "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
                "x": encode(self.bytes.get(1..33).unwrap_or_default()), "y": encode(self.bytes.get(33..).unwrap_or_default()),
            }),
            Kind::Rsa => {
                let mut rest = read_tag(&self.bytes, 0x30).map_or(&[][..], |(body, _)| body);
                let mut number = || {
                    let (body, after) = read_tag(rest, 0x02)?;
                    rest = after;
                    Some(encode(body.strip_prefix(&[0]).unwrap_or(body)))
                };
                let (modulus, exponent) = (number(), number());
                json!({"use": "sig", "kty": "RSA", "kid": self.id, "alg": "RS256", "n": modulus, "e": exponent})
            }
        }
    }
}

impl SigningKey {
    /// The first private key of a PEM file.
    pub(crate) fn open(path: &std::path::Path) -> Result<Self, KeyError> {
        let unusable = || KeyError::Unusable { path: path.to_owned() };
        sections(&read(path)?).into_iter().find_map(|(label, der)| private(&label, &der)).ok_or_else(unusable)
    }

    /// The half that verifies.
    pub(crate) fn public(&self) -> PublicKey {
        match self {
            Self::Rsa(pair) => PublicKey::rsa(pair.public_key().as_ref()),
            Self::P256(pair) => PublicKey::p256(pair.public_key().as_ref()),
        }
    }

    /// Signs; the form is the JWS algorithm's.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).ok()?;
                Some(out)
            }
            Self::P256(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
        }
    }
}

/// Every key of a PEM file as one that verifies.
pub(crate) fn public_keys(path: &std::path::Path) -> Result<Vec<PublicKey>, KeyError> {
    let keys: Vec<_> = sections(&read(path)?).into_iter().filter_map(|(label, der)| public(&label, &der)).collect();
    if keys.is_empty() { Err(KeyError::Unusable { path: path.to_owned() }) } else { Ok(keys) }
}

fn public(label: &str, der: &[u8]) -> Option<PublicKey> {
    match label {
        "PUBLIC KEY" => from_spki(&SubjectPublicKeyInfo::from_der(der).ok()?.1),
        "RSA PUBLIC KEY" => Some(PublicKey::rsa(der)),
        "CERTIFICATE" => from_spki(x509_parser::parse_x509_certificate(der).ok()?.1.public_key()),
        _ => Some(private(label, der)?.public()),
    }
}

fn from_spki(info: &SubjectPublicKeyInfo<'_>) -> Option<PublicKey> {
    let bits = info.subject_public_key.data.as_ref();
    match info.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => Some(PublicKey::rsa(bits)),
        "1.2.840.10045.2.1" if bits.len() == 65 => Some(PublicKey::p256(bits)),
        _ => None,
    }
}

fn private(label: &str, der: &[u8]) -> Option<SigningKey> {
    let (random, p256) = (SystemRandom::new(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    match label {
        "RSA PRIVATE KEY" => Some(SigningKey::Rsa(Box::new(RsaKeyPair::from_der(der).ok()?))),
        "PRIVATE KEY" => match EcdsaKeyPair::from_pkcs8(p256, der, &random) {
            Ok(pair) => Some(SigningKey::P256(Box::new(pair))),
            Err(_) => Some(SigningKey::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).ok()?))),
        },
        "EC PRIVATE KEY" => {
            // SEC1: SEQUENCE { INTEGER 1, OCTET STRING key, [0] curve, [1] BIT STRING point }
            let (body, _) = read_tag(der, 0x30)?;
            let (_, rest) = read_tag(body, 0x02)?;
            let (secret, rest) = read_tag(rest, 0x04)?;
            let rest = read_tag(rest, 0xa0).map_or(rest, |(_, after)| after);
            let (point, _) = read_tag(read_tag(rest, 0xa1)?.0, 0x03)?;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(p256, secret, point.get(1..)?, &random).ok()?;
            Some(SigningKey::P256(Box::new(pair)))
        }
        _ => None,
    }
}

/// One DER element with that tag: its body and what follows.
fn read_tag(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|_| count <= 4)?;
        (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), &rest[count..])
    };
    Some((rest.get(..length)?, &rest[length..]))
}

fn key_id(algorithm: &[u8], bits: &[u8]) -> String {
    let mut body = algorithm.to_vec();
    body.push(0x03);
    push_length(&mut body, bits.len() + 1);
    body.push(0);
    body.extend_from_slice(bits);
    let mut der = vec![0x30];
    push_length(&mut der, body.len());
    der.extend_from_slice(&body);
    URL_SAFE_NO_PAD.encode(Sha256::digest(&der))
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let used = bytes.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &bytes[at..]);
        out.push(0x80 | used.len() as u8);
        out.extend_from_slice(used);
    }
}

fn read(path: &std::path::Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| KeyError::File { path: path.to_owned(), source })
}

/// Label and DER of each PEM section.
fn sections(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            open = Some((label.to_owned(), String::new()));
        } else if line.starts_with("-----END ") {
            if let Some((label, body)) = open.take()
                && let Ok(der) = STANDARD.decode(body)
            {
                found.push((label, der));
            }
        } else if let Some((_, body)) = &mut open {
            body.push_str(line);
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn p256_pair() -> SigningKey {
        let document = EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("key");
        private("PRIVATE KEY", document.as_ref()).expect("key")
    }

    #[test]
    fn what_a_key_signs_its_public_half_verifies() {
        let key = p256_pair();
        let signature = key.sign(b"hello").expect("signature");
        assert!(key.public().verify(b"hello", &signature));
        assert!(!key.public().verify(b"hullo", &signature));
        assert!(!p256_pair().public().verify(b"hello", &signature));
        assert_eq!(key.public().jwk()["x"].as_str().map(str::len), Some(43));
    }

    #[test]
    fn the_key_id_hashes_a_well_formed_spki() {
        let key = p256_pair().public();
        let mut spki = vec![0x30, 0x59];
        spki.extend_from_slice(&[
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
            0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ]);
        spki.extend_from_slice(&key.bytes);
        assert_eq!(public("PUBLIC KEY", &spki), Some(key.clone()));
        assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(&spki)), key.id);
    }
}
