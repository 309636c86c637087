//! Pages of other sites may neither change anything nor open a terminal.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::error::Error;
use crate::front::{Client, Front};

/// Refuses state-changing requests and WebSockets of pages that are not this server's.
pub(super) async fn same_site(State(app): State<App>, client: Client, request: Request, next: Next) -> Response {
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if (reads && !upgrade) || is_same_site(request.headers(), &client, app.identity.front()) {
        next.run(request).await
    } else {
        Error::ForeignOrigin.into_response()
    }
}

/// Programs send no `Origin`; browsers always do for what is guarded here, and most say besides whose page asks.
fn is_same_site(headers: &HeaderMap, client: &Client, front: &Front) -> bool {
    // A preview is another origin of the same site: its pages are the learner's workloads, not ours.
    let page = headers.get("sec-fetch-site").map(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().is_ok_and(|it| front.is_own(it, client)));
    page.unwrap_or(true) && origin.unwrap_or(true)
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
        let client = Client { address: [127, 0, 0, 1].into(), host: "127.0.0.1:8080".to_owned(), secure: false };
        assert_eq!(is_same_site(&headers, &client, &Front::default()), expected, "{pairs:?}");
    }

    #[test]
    fn origins() {
        check(&[], true);
        check(&[("origin", "http://127.0.0.1:8080")], true);
        check(&[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "http://evil.example")], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "same-site")], false);
    }
}
