//! /healthz, /livez and /readyz.

use drydock_component::{Shutdown, serve, tls};
use http::StatusCode;
use tokio::net::TcpListener;

use super::Error;
use crate::Options;

/// Starts serving in the background.
pub(super) async fn serve(options: &Options, shutdown: Shutdown) -> Result<(), Error> {
    let port = options.secure_port;
    if port == 0 {
        return Ok(());
    }
    let tls = match (&options.tls_cert_file, &options.tls_private_key_file) {
        (Some(certificate), Some(key)) => Some(tls::server_config(certificate, key, None)?),
        _ => None,
    };
    let listener =
        TcpListener::bind((options.bind_address, port)).await.map_err(|source| Error::Listen { port, source })?;
    let answer = |path: &str| match path {
        "/healthz" | "/livez" | "/readyz" => serve::text(StatusCode::OK, "ok"),
        _ => serve::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    tokio::spawn(async move {
        match tls {
            Some(tls) => {
                let handler = move |request: http::Request<_>, _peer| std::future::ready(answer(request.uri().path()));
                serve::https(listener, tls, handler, shutdown).await;
            }
            None => {
                let handler = move |request: http::Request<_>, _peer| std::future::ready(answer(request.uri().path()));
                serve::http(listener, handler, shutdown).await;
            }
        }
    });
    Ok(())
}
