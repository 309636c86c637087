//! One request through one connection: bodies stream both ways, upgrades become tunnels.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};

/// Begins to speak HTTP/1.1 over a stream.
///
/// # Errors
/// When the stream is gone.
pub(super) async fn begin<S>(stream: S) -> hyper::Result<SendRequest<Body>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = Builder::new().handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection into a session ended");
        }
    });
    Ok(sender)
}

/// The browser's side of an upgrade, to be taken before its request is sent on.
pub(super) fn wants_upgrade(request: &mut Request<Body>) -> Option<OnUpgrade> {
    request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(request))
}

/// Turns the answer into the browser's: `change` sees its headers, `hold` is kept until the last byte. What was upgraded ends with
/// `until`, too.
pub(super) fn pass_on<H: Send + Unpin + 'static>(
    mut answer: Response<Incoming>,
    browser: Option<OnUpgrade>,
    change: impl FnOnce(&mut HeaderMap),
    hold: H,
    until: impl Future<Output = ()> + Send + 'static,
) -> Response<Body> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(browser) = browser
    {
        let cluster = hyper::upgrade::on(&mut answer);
        let protocol = answer.headers().get(header::UPGRADE).cloned();
        tokio::spawn(async move {
            let _hold = hold;
            match tokio::try_join!(browser, cluster) {
                Ok((browser, cluster)) => {
                    let (mut browser, mut cluster) = (TokioIo::new(browser), TokioIo::new(cluster));
                    // Either side may break off; the other then hears the end.
                    tokio::select! {
                        _ = copy_bidirectional(&mut browser, &mut cluster) => {}
                        () = until => {}
                    }
                }
                Err(error) => tracing::debug!(%error, "an upgrade did not come about"),
            }
        });
        let (mut parts, _) = answer.into_parts();
        change(&mut parts.headers);
        if let Some(protocol) = protocol {
            parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(header::UPGRADE, protocol);
        }
        return Response::from_parts(parts, Body::empty());
    }
    let (mut parts, body) = answer.into_parts();
    change(&mut parts.headers);
    Response::from_parts(parts, Body::new(Held { body, _hold: hold }))
}

/// A body that keeps something until it is dropped.
struct Held<H> {
    body: Incoming,
    _hold: H,
}

impl<H: Unpin> hyper::body::Body for Held<H> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
