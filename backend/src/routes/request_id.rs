//! Every request has an identifier: in the log's lines about it and in its answer. Logs name routes, not addresses, since those
//! hold sessions' identifiers and tokens.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

const NAME: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are not believed.
const LONGEST: usize = 64;

/// Names a request, as the proxy before the server did or anew.
pub(super) async fn name(request: Request, next: Next) -> Response {
    let given = request.headers().get(NAME).and_then(|value| value.to_str().ok()).filter(|id| is_sound(id));
    let id = given.map_or_else(|| format!("{:016x}", rand::random::<u64>()), ToOwned::to_owned);
    let route = request.extensions().get::<MatchedPath>().map_or("(web app)", MatchedPath::as_str);
    let span =
        tracing::info_span!("request", request.id = id, request.method = %request.method(), request.route = route);
    let value = HeaderValue::from_str(&id);
    let begun = std::time::Instant::now();
    async {
        let mut response = next.run(request).await;
        tracing::debug!(
            status = response.status().as_u16(),
            millis = begun.elapsed().as_secs_f64() * 1000.0,
            "answered"
        );
        if let Ok(value) = value {
            response.headers_mut().insert(NAME, value);
        }
        response
    }
    .instrument(span)
    .await
}

fn is_sound(id: &str) -> bool {
    (8..=LONGEST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_identifiers_are_believed() {
        for (id, sound) in [
            ("0123456789abcdef", true),
            ("b0c5-41_x.9", true),
            ("short", false),
            ("with spaces in it", false),
            ("line\nbreak-in-log", false),
            (&*"x".repeat(65), false),
        ] {
            assert_eq!(is_sound(id), sound, "{id:?}");
        }
    }
}
