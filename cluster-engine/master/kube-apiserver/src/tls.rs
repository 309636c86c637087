//! The server's TLS: a client may present a certificate of the client CA or of the front proxy's CA.

use std::path::Path;
use std::sync::Arc;

use drydock_component::tls::{TlsError, certificates, private_key};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::options::Options;

/// The configuration from the flags.
pub(crate) fn server_config(options: &Options) -> Result<Arc<ServerConfig>, TlsError> {
    let authorities: Vec<&Path> = [&options.client_ca_file, &options.requestheader_client_ca_file]
        .into_iter()
        .flatten()
        .map(|path| path.as_path())
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for path in authorities {
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
        }
        builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated().build()?,
        )
    };
    let mut config =
        builder.with_single_cert(certificates(&options.tls_cert_file)?, private_key(&options.tls_private_key_file)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
