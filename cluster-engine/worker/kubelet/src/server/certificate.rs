//! The server's certificate: the configured one, or one of our own making.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drydock_component::tls;

use crate::kubelet::Kubelet;

/// The TLS configuration, with client certificates verified if a client CA is configured.
pub(super) fn server_config(kubelet: &Kubelet) -> Result<Arc<rustls::ServerConfig>, String> {
    let config = &kubelet.config;
    let (certificate, key) = match (&config.tls_cert_file, &config.tls_private_key_file) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => self_made(kubelet)?,
    };
    let client_ca = config.authentication.x509.client_ca_file.as_deref();
    tls::server_config(&certificate, &key, client_ca).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    })
}

/// A self-signed certificate, made once and kept.
fn self_made(kubelet: &Kubelet) -> Result<(PathBuf, PathBuf), String> {
    let directory = kubelet.options.root_dir.join("pki");
    let (certificate, key) = (directory.join("kubelet.crt"), directory.join("kubelet.key"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let names = vec![kubelet.node_name.clone(), kubelet.node_ip.to_string()];
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
    write(&directory, &certificate, &made.cert.pem(), 0o644)?;
    write(&directory, &key, &made.signing_key.serialize_pem(), 0o600)?;
    Ok((certificate, key))
}

fn write(directory: &Path, path: &Path, text: &str, mode: u32) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", path.display()))
}
