//! Pages of other sites may neither change anything nor open a terminal.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::Error;

/// Refuses state-changing requests and WebSockets whose `Origin` is not this server.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if (reads && !upgrade) || is_same_site(request.headers()) {
        next.run(request).await
    } else {
        Error::ForeignOrigin.into_response()
    }
}

/// Programs send no `Origin`; browsers always do for what is guarded here.
fn is_same_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get("x-forwarded-host").or_else(|| headers.get(header::HOST));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    match (origin, host.and_then(|host| host.to_str().ok())) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&'static str, &'static str)], expected: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().expect("value"));
        }
        assert_eq!(is_same_site(&headers), expected, "{pairs:?}");
    }

    #[test]
    fn origins() {
        check(&[("host", "127.0.0.1:8080")], true);
        check(&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")], true);
        check(&[("host", "127.0.0.1:8080"), ("origin", "http://evil.example")], false);
        check(&[("host", "127.0.0.1:8080"), ("origin", "null")], false);
        check(&[("host", "10.0.0.1"), ("x-forwarded-host", "lab.example"), ("origin", "https://lab.example")], true);
        check(&[("origin", "http://127.0.0.1:8080")], false);
    }
}
