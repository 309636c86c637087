//! `grpc.health.v1.Health/Check` with the two messages it needs written by hand.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Target, connect};
use crate::pod::GrpcAction;

/// Asks; `Ok(None)` means SERVING, `Ok(Some(text))` a failed check.
///
/// # Errors
/// When the service cannot be asked.
pub(crate) async fn check(target: &Target, action: &GrpcAction, timeout: Duration) -> Result<Option<String>, String> {
    let host = target.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let address = format!("{host}:{}", action.port);
    match tokio::time::timeout(timeout, ask(&host, &address, action)).await {
        Ok(result) => result,
        Err(_) => Ok(Some(format!(
            "timeout: failed to connect service \"{address}\" within {timeout:?}: context deadline exceeded"
        ))),
    }
}

async fn ask(host: &str, address: &str, action: &GrpcAction) -> Result<Option<String>, String> {
    let stream = match connect(host, action.port).await {
        Ok(stream) => stream,
        Err(text) => return Ok(Some(format!("error: this service could not be reached at {address}: {text}"))),
    };
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.36")
        .body(Full::new(message(&action.service)))
        .map_err(|error| error.to_string())?;
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return Ok(Some(format!("error: health rpc failed: {error}"))),
    };
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    let status =
        |map: &http::HeaderMap| map.get("grpc-status").and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    let code = body.trailers().and_then(status).or_else(|| status(&headers)).unwrap_or(0);
    if code == 12 {
        return Ok(Some(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)".to_owned(),
        ));
    }
    if code != 0 {
        return Ok(Some(format!("error: health rpc failed with code {code}")));
    }
    Ok(match serving(&body.to_bytes()) {
        1 => None,
        other => Some(format!("service unhealthy (responded with \"{}\")", name(other))),
    })
}

fn name(status: u8) -> &'static str {
    match status {
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}

/// A length-prefixed `HealthCheckRequest{service}`.
fn message(service: &str) -> Bytes {
    let mut inner = BytesMut::new();
    if !service.is_empty() {
        inner.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            inner.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        inner.put_u8(length as u8);
        inner.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(inner.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&inner);
    framed.freeze()
}

/// The status of a length-prefixed `HealthCheckResponse`: field 1, a small enum.
fn serving(body: &[u8]) -> u8 {
    match body.get(5..) {
        Some([0x08, status, ..]) => *status,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_protobuf() {
        assert_eq!(&message("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&message("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), 1);
        assert_eq!(serving(&[0, 0, 0, 0, 0]), 0);
    }
}
